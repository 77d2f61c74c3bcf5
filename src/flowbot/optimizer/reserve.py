"""What is set aside under a ceiling for validation and the closing test, by the replies that the start gave.

A ceiling is hard for each call: its worst case is reserved before it is sent. What is only *set aside* need not be the worst
case. An upper quantile of what the start took an example is near the truth where whole reply limits are ten times too much;
should it be too little, fewer test rows are run. All of it follows from stored replies, so a replay ends where the run ended.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext

from flowbot.fields import Usage
from flowbot.fields.words import count
from flowbot.lm.budget import Hold
from flowbot.lm.prices import price_of
from flowbot.runtime.judge import PURPOSE as JUDGED
from flowbot.runtime.program import WorkflowProgram

from .ceilings import BLOCK, MOST_STEPS, Cost, Left, largest, rows_in, rows_to_test
from .search import Search

QUANTILE = 0.9
"""Share of the examples seen that took no more than what is set aside for one."""
MOST_FOR_VALIDATION = 1 / 3
"""Share of what a ceiling leaves that may be set aside to validate start and finalist."""


class Reserve:
    """What is set aside in one search once its start was run on some rows, by the replies that it gave.

    Args:
        search: the search.
        kept: holds what is counted on no more, until the run's end.
    """

    def __init__(self, search: Search, kept: ExitStack) -> None:
        self._search = search
        self._kept = kept
        self._budget = search.session.budget
        self._start = search.start
        self._share = 1.0 if search.engine.lm is None else search.engine.lm.share("test")
        """Of a usual price what a test's calls take: traces tell the usual one."""
        ledger = search.session.ledger
        judged = Cost.of(ledger.logical_by.get(JUDGED, Usage(usd=0.0)))
        asked = Cost(ledger.requests.get(JUDGED, 0), judged.tokens, judged.usd)
        self._judging = asked * (1 / max(1, len(self._seen(self._start))))
        """What judging takes an example: the mean, since a judge's replies are alike."""
        self._spare = Cost(*self._budget.largest.values()).beyond(self._call())
        """What must be free beyond what a call takes for the last one to be sent."""

    def closing(self) -> Hold:
        """Room to test the start and one that may be found on as many test examples as a fair share of what is left allows."""
        row = self._row(self._start) + self._found()
        test = len(self._search.task.splits["test"])
        validation = self._found() * len(self._search.task.splits["val"])
        rows = rows_to_test(row, validation, self._spare, self._budget.left, test)
        if rows < test:
            self._search.watch.news(
                f"Room is kept to test on at least {rows} of {count(test, 'example')}: a ceiling leaves no more"
            )
        return (row * rows + self._spare).hold(self._budget)

    def validation(self) -> AbstractContextManager[object]:
        """Room to validate start and finalist on as many rows as a fair share of what is left allows."""
        if not self._budget.limited:
            return nullcontext()
        both = self._row(self._start) + self._found()
        share: Left = {name: MOST_FOR_VALIDATION * value for name, value in self._budget.left.items()}
        rows = rows_in(both, self._spare, share, len(self._search.validation))
        return (both * rows + self._spare).hold(self._budget) if rows else nullcontext()

    def give_up_rest(self) -> None:
        """Count on nothing any more but on what is set aside.

        Which calls were the last that fitted under a ceiling depends on the order in which answers came, and so does what they
        left over. It is less than the worst case of one call, and a replay must not test on more rows for it.
        """
        self._kept.enter_context(self._budget.hold_rest())

    def testable(self, programs: Sequence[WorkflowProgram], most: int) -> int:
        """Test examples, `most` at most, for which what is left is enough to run all of these workflows on them."""
        row = sum((self._row(each) for each in programs), Cost())
        return rows_in(row, self._spare, self._budget.left, most)

    def block(self, programs: Sequence[WorkflowProgram], most: int) -> int:
        """How many test examples to run next: all where twice as much is there as they should take, else a few at a time."""
        return most if self.testable(programs, 2 * most) == 2 * most else min(BLOCK, self.testable(programs, most))

    def _seen(self, program: WorkflowProgram) -> list[Usage]:
        """What a program took on each row that it was run on to choose by or to learn from."""
        rows = [*self._search.validation, *self._search.rows]
        return [row.trace.usage for row in self._search.recorded(program, rows)]

    def _row(self, program: WorkflowProgram) -> Cost:
        """What running a workflow on an example takes, as a rule at most, judging included."""
        seen = [self._priced(usage) for usage in self._seen(program)]
        if not seen:
            return self._found() if program.hash != self._start.hash else self._judging
        return _upper(seen) + self._judging

    def _found(self) -> Cost:
        """What a workflow that may be found takes: the calls of the start, and at least `MOST_STEPS` of them."""
        return largest([self._row(self._start), self._call() * MOST_STEPS + self._judging])

    def _call(self) -> Cost:
        """What one call of the start takes, as a rule at most."""
        calls = [self._priced(usage) * (1 / usage.calls) for usage in self._seen(self._start) if usage.calls]
        return _upper(calls) if calls else Cost()

    def _priced(self, usage: Usage) -> Cost:
        """A usage; its price is looked up where it was not known when it was paid."""
        usd = usage.usd
        if usd is None and self._budget.limits("usd"):
            usd = price_of(self._search.model, usage, self._search.price)
        return Cost(usage.calls, usage.tokens, (usd or 0.0) * self._share)


def _upper(costs: Sequence[Cost]) -> Cost:
    """The upper quantile of each amount: the smallest that `QUANTILE` of them do not pass."""
    columns = zip(*(each.amounts for each in costs), strict=True)
    return Cost(*(sorted(values)[math.ceil(QUANTILE * len(values)) - 1] for values in columns))
