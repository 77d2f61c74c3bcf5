"""Room under a ceiling: what the closing test will take is set aside, by an estimate before the first reply, then by replies seen.

A ceiling is hard for each call: its worst case is reserved before it is sent. What is only *set aside* need not be the worst
case. An upper quantile of what the start took an example is near the truth where whole reply limits are ten times too much;
should it be too little, fewer test rows are run. All of it follows from stored replies, so a replay ends where the run ended.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flowbot.fields import Usage, UserError
from flowbot.fields.words import count, money
from flowbot.lm import Budget, price_of
from flowbot.lm.budget import Ceiling, Hold
from flowbot.runtime import DEFAULT_MAX_TOKENS
from flowbot.runtime.judge import PURPOSE as JUDGED
from flowbot.task import Task
from flowbot.workflow import Workflow, usual_calls

from .bilevel import Schedule
from .costs import REPLY_TOKENS, judge_usage, read_tokens
from .result import CostEstimate
from .search import Search

MOST_STEPS = 2
"""Calls an example of the workflow that the closing test has room for before one is found."""
QUANTILE = 0.9
"""Share of the examples seen that took no more than what is set aside for one."""
FEWEST = 10
"""Test examples that room is kept for whatever the ceiling; a smaller test is run whole."""
MOST_FOR_TEST = 1 / 2
"""Share of what a ceiling leaves that the closing test may set aside, beyond `FEWEST` examples; it also leaves what validating
one finalist takes, and as much again to find it."""
MOST_FOR_VALIDATION = 1 / 3
"""Share of what a ceiling leaves that the validation of several finalists may set aside."""
MOST_FOR_ONE = 1 / 2
"""The same of one finalist."""
BLOCK = 8
"""Test examples that are run at a time where it is not certain that all of them fit."""
SHORT_REPLY = 30
"""Tokens of a reply by which a ceiling is refused: before anything is seen, only what is surely too little is."""
PROMPT_BYTES = 600
"""Bytes of a prompt besides the example and the task's goal."""
_DUST = 1e-9
"""Less than this share is lost where amounts are divided and rounded."""
_NAMES: tuple[Ceiling, ...] = ("calls", "tokens", "usd")


@dataclass(frozen=True, slots=True)
class Room:
    """An amount of each thing that a ceiling may limit."""

    calls: float = 0.0
    tokens: float = 0.0
    usd: float = 0.0

    @staticmethod
    def of(usage: Usage) -> Room:
        """What calls took; an unknown price counts as nothing, since no ceiling in USD is accepted with it."""
        return Room(usage.calls, usage.tokens, usage.usd or 0.0)

    def __add__(self, other: Room) -> Room:
        return Room(self.calls + other.calls, self.tokens + other.tokens, self.usd + other.usd)

    def __mul__(self, number: float) -> Room:
        return Room(self.calls * number, self.tokens * number, self.usd * number)

    def beyond(self, other: Room) -> Room:
        """What it is more than `other`, of each."""
        return Room(*(max(0.0, mine - its) for mine, its in zip(self.amounts, other.amounts, strict=True)))

    @property
    def amounts(self) -> tuple[float, float, float]:
        """In the order of `Ceiling`."""
        return self.calls, self.tokens, self.usd

    def times_in(self, left: Mapping[Ceiling, float], most: int) -> int:
        """How often it fits into what is left of each ceiling that there is; `most` where it always does."""
        for name, amount in zip(_NAMES, self.amounts, strict=True):
            if name in left and amount > 0:
                most = min(most, math.floor(max(0.0, left[name]) / amount + _DUST))
        return most

    def hold(self, budget: Budget) -> Hold:
        """Set it aside, or as much of it as there is."""
        held = {
            name: max(0.0, min(amount, budget.left.get(name, amount)))
            for name, amount in zip(_NAMES, self.amounts, strict=True)
        }
        return budget.hold(calls=int(held["calls"]), tokens=int(held["tokens"]), usd=held["usd"] * (1 - _DUST))


@dataclass(frozen=True, slots=True)
class Outlook:
    """What one ceiling allows, by an estimate, before anything is paid for.

    Args:
        ceiling: which.
        given: the ceiling.
        least: the smallest at which it can be said how good the start is, and something found is tested.
        enough: the smallest at which a change can be tried, validated and tested too.
        start: what scoring the start on validation takes.
        test: what is set aside for the closing test.
        rows: test examples that is enough for.
    """

    ceiling: Ceiling
    given: float
    least: float
    enough: float
    start: float
    test: float
    rows: int

    @property
    def left(self) -> float:
        """What is left to search and to validate what is found."""
        return max(0.0, self.given - self.start - self.test)


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected before the first reply, of each example.

    Args:
        start: what the start takes, judging included.
        found: what a workflow that may be found takes.
        spare: what a call's worst case is more than what it takes: free for the last call too.
    """

    start: Room
    found: Room
    spare: Room

    @staticmethod
    def of(
        task: Task,
        start: Workflow,
        models: tuple[str, str | None],
        price: tuple[float, float] | None,
        *,
        usd: bool,
        written: int = REPLY_TOKENS,
    ) -> Expected:
        """By the lengths of the examples, as the estimate of the whole.

        Args:
            task: for its examples and its metric.
            start: the workflow to improve.
            models: model strings of task model and judge; None: the judge is the task model.
            price: USD per million input and output tokens, where the user gave it.
            usd: whether dollars are limited, so that prices are worth looking up.
            written: tokens of a reply.
        """

        def priced(model: str, usage: Usage) -> Room:
            return Room(usage.calls, usage.tokens, (price_of(model, usage, price) or 0.0) if usd else 0.0)

        read, judges = read_tokens(task), task.metric.judges.values()
        call = priced(models[0], Usage(1, read, written))
        judged = sum(
            (priced(each.model or models[1] or models[0], judge_usage(each, 1, read)) for each in judges), Room()
        )
        longest = max(
            len(json.dumps(dict(example.inputs), ensure_ascii=False).encode())
            for example in [*task.splits["val"], *task.splits["test"]]
        )
        worst = priced(models[0], Usage(1, longest + len(task.goal.encode()) + PROMPT_BYTES, DEFAULT_MAX_TOKENS))
        steps = usual_calls(start)
        return Expected(call * steps + judged, call * max(steps, MOST_STEPS) + judged, worst.beyond(call))


def outlook(
    budget: Budget, task: Task, start: Workflow, models: tuple[str, str | None], price: tuple[float, float] | None
) -> list[Outlook]:
    """What each ceiling that there is allows; see `Expected.of`."""
    left = budget.left
    expected = Expected.of(task, start, models, price, usd="usd" in left)
    short = Expected.of(task, start, models, price, usd="usd" in left, written=SHORT_REPLY)
    begun = expected.start * len(task.splits["val"])
    least = short.start * len(task.splits["val"]) + _least_test(short, task)
    free = {name: left[name] - amount for name, amount in zip(_NAMES, begun.amounts, strict=True) if name in left}
    both = expected.start + expected.found
    validation = expected.found * len(task.splits["val"])
    rows = _rows_set_aside(both, validation, expected.spare, free, len(task.splits["test"]))
    test = both * rows + expected.spare
    enough = begun + _least_test(expected, task) + validation + both * BLOCK
    whole = zip(_NAMES, least.amounts, enough.amounts, begun.amounts, test.amounts, strict=True)
    return [Outlook(name, left[name], *amounts, rows) for name, *amounts in whole if name in left]


def require_room(outlooks: Sequence[Outlook], task: Task, planned: CostEstimate) -> None:
    """Refuse a ceiling at which nothing sensible can be done.

    Raises:
        UserError: with the smallest ceiling that is taken, and what the whole search is estimated at.
    """
    for each in outlooks:
        if each.given < each.least:
            whole = dict(zip(_NAMES, (planned.calls, planned.tokens, planned.usd or 0.0), strict=True))[each.ceiling]
            tested = min(FEWEST, len(task.splits["test"]))
            raise UserError(
                f"the ceiling of {each.ceiling}",
                amount(each.ceiling, each.given),
                f"at least {amount(each.ceiling, each.least, up=True)}, to score the start on "
                f"{count(len(task.splits['val']), 'validation example')} and for a closing test of {tested}; "
                f"the whole search is estimated at up to {amount(each.ceiling, whole)}",
            )


def first_hold(
    budget: Budget, task: Task, start: Workflow, models: tuple[str, str | None], price: tuple[float, float] | None
) -> Hold:
    """Room for the smallest closing test, until the start's own replies tell what it takes."""
    short = Expected.of(task, start, models, price, usd=budget.usd is not None, written=SHORT_REPLY)
    return _least_test(short, task).hold(budget)


def _least_test(expected: Expected, task: Task) -> Room:
    """Of the start and a workflow like it, on the fewest examples."""
    return expected.start * (2 * min(FEWEST, len(task.splits["test"]))) + expected.spare


def _rows_set_aside(row: Room, validation: Room, spare: Room, left: Mapping[Ceiling, float], test: int) -> int:
    """How many test examples to set room aside for: all, or as many as a fair share of what is left allows."""
    kept = dict(zip(_NAMES, (validation * 2).amounts, strict=True))
    share = {name: min(MOST_FOR_TEST * value, value - kept[name]) for name, value in left.items()}
    fewest = min(FEWEST, test)
    return max(_rows_in(row, spare, share, test), _rows_in(row, spare, left, fewest))


def _rows_in(row: Room, spare: Room, left: Mapping[Ceiling, float], most: int) -> int:
    """How many rows fit, a last call's worst case included."""
    free = {name: left[name] - extra for name, extra in zip(_NAMES, spare.amounts, strict=True) if name in left}
    return row.times_in(free, most)


class Rooms:
    """What is set aside in one search once its start is scored on validation, by the replies that it gave.

    Args:
        search: the search.
        start: the workflow that was scored.
    """

    def __init__(self, search: Search, start: Workflow) -> None:
        self._search = search
        self._budget = search.session.budget
        self._start = start
        self._known = [*search.order("val"), *search.order("train")]
        ledger = search.session.ledger
        judged = Room.of(ledger.logical_by.get(JUDGED, Usage(usd=0.0)))
        asked = Room(ledger.requests.get(JUDGED, 0), judged.tokens, judged.usd)
        self._judging = asked * (1 / max(1, len(self._seen(start))))
        """What judging takes an example: the mean, since a judge's replies are alike."""
        self._spare = Room(*self._budget.largest.values()).beyond(self._call())
        """What must be free beyond what a call takes for the last one to be sent."""

    def closing(self, found: Sequence[Workflow] | None = None) -> Hold:
        """Room to test the start and one that is found on as many test examples as a fair share of what is left allows.

        Args:
            found: one of which it may be; None while nothing is found, which stands for a workflow of `MOST_STEPS` calls.
        """
        row = self._row(self._start)
        row += self._found() if found is None else _largest(self._row(each) for each in found)
        test = len(self._search.task.splits["test"])
        validation = Room() if found is not None else self._found() * len(self._search.task.splits["val"])
        rows = _rows_set_aside(row, validation, self._spare, self._budget.left, test)
        if rows < test and found is None:
            self._search.watch.news(
                f"Room is kept to test on at least {rows} of {test} examples: a ceiling leaves no more"
            )
        return (row * rows + self._spare).hold(self._budget)

    def validation(self, schedule: Schedule) -> Hold | None:
        """Room to validate what may be found: as many finalists as fit if most of what is left stays for the search, else
        one, else one that takes no more than the start; None where there are no ceilings, or no room for that."""
        if not self._budget.limited:
            return None
        finalists = 1 if schedule.validate else self._search.effort.finalists
        found, alike = self._found(), self._row(self._start)
        ways = [
            *((found * number, MOST_FOR_VALIDATION) for number in range(finalists, 1, -1)),
            (found, MOST_FOR_ONE),
            (alike, 1.0),
        ]
        left = self._budget.left
        for row, share in ways:
            room = row * len(self._search.task.splits["val"]) + self._spare
            if room.times_in({name: share * value for name, value in left.items()}, 1):
                return room.hold(self._budget)
        return None

    def testable(self, workflows: Sequence[Workflow], most: int) -> int:
        """Test examples, `most` at most, for which what is left is enough to run all of these workflows on them."""
        row = sum((self._row(each) for each in workflows), Room())
        return _rows_in(row, self._spare, self._budget.left, most)

    def block(self, workflows: Sequence[Workflow], most: int) -> int:
        """How many test examples to run next: all where twice as much is there as they should take, else a few at a time."""
        return most if self.testable(workflows, 2 * most) == 2 * most else min(BLOCK, self.testable(workflows, most))

    def _seen(self, workflow: Workflow) -> list[Usage]:
        """What a workflow took on each example that it was run on to choose by or to learn from."""
        rows = (self._search.scored(workflow.hash, each.id) for each in self._known)
        return [row.trace.usage for row in rows if row is not None]

    def _row(self, workflow: Workflow) -> Room:
        """What running a workflow on an example takes, as a rule at most, judging included."""
        seen = [self._priced(usage) for usage in self._seen(workflow)]
        if not seen:
            return self._found() if workflow.hash != self._start.hash else self._judging
        return _upper(seen) + self._judging

    def _found(self) -> Room:
        """What a workflow that may be found takes: the calls of the start, and at least `MOST_STEPS` of them."""
        return _largest([self._row(self._start), self._call() * MOST_STEPS + self._judging])

    def _call(self) -> Room:
        """What one call of the start takes, as a rule at most."""
        calls = [self._priced(usage) * (1 / usage.calls) for usage in self._seen(self._start) if usage.calls]
        return _upper(calls) if calls else Room()

    def _priced(self, usage: Usage) -> Room:
        """A usage; its price is looked up where it was not known when it was paid."""
        if usage.usd is not None or self._budget.usd is None:
            return Room.of(usage)
        return Room(usage.calls, usage.tokens, price_of(self._search.model, usage, self._search.price) or 0.0)


def _upper(rooms: Sequence[Room]) -> Room:
    """The upper quantile of each amount: the smallest that `QUANTILE` of them do not pass."""
    columns = zip(*(each.amounts for each in rooms), strict=True)
    return Room(*(sorted(values)[math.ceil(QUANTILE * len(values)) - 1] for values in columns))


def _largest(rooms: Iterable[Room]) -> Room:
    """The largest of each amount."""
    columns = zip(*(each.amounts for each in [Room(), *rooms]), strict=True)
    return Room(*(max(values) for values in columns))


def amount(ceiling: Ceiling, value: float, *, up: bool = False) -> str:
    """An amount in words: `$0.25`, `1,200 calls`; with `up` it is enough for the value when it is read again."""
    if ceiling != "usd":
        return f"{math.ceil(value) if up else round(value):,} {ceiling}"
    if not up or value <= 0:
        return money(value)
    step = 0.01 if value >= 0.1 else 10.0 ** (math.floor(math.log10(value)) - 1)
    rounded = math.ceil(value / step) * step
    return f"${rounded:.2f}" if rounded >= 0.1 else f"${rounded:.2g}" if rounded >= 0.0001 else f"${rounded:f}"
