"""What a ceiling allows, by an estimate, before the first reply: whether it is refused, and what is left to search with."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from flowbot.fields import Usage, UserError
from flowbot.fields.words import count, money
from flowbot.lm.budget import Budget, Ceiling, Hold
from flowbot.lm.model_options import thinking_budget
from flowbot.lm.prices import price_of
from flowbot.run.result import CostEstimate
from flowbot.runtime.engine import DEFAULT_MAX_TOKENS
from flowbot.task import Task
from flowbot.workflow.calls import usual_calls
from flowbot.workflow.workflow import Workflow

from .costs import REPLY_TOKENS, judge_usage, read_tokens, thinking
from .pool import OPENING
from .room import BLOCK, FEWEST, MOST_STEPS, NAMES, Left, Room, rows_set_aside

SHORT_REPLY = 30
"""Tokens of a reply by which a ceiling is refused: before anything is seen, only what is surely too little is."""
PROMPT_BYTES = 600
"""Bytes of a prompt besides the example and the task's goal."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What one ceiling allows, by an estimate, before anything is paid for.

    Args:
        ceiling: which.
        given: the ceiling.
        least: the smallest at which it can be said how good the start is, and something found is tested.
        enough: the smallest at which a change can be tried, validated and tested too.
        start: what the start's first rows take.
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
        # Of a short reply the thoughts are left out too: what is surely too little is to be told.
        thinks = written >= REPLY_TOKENS

        def expected(model: str, usage: Usage) -> Room:
            return priced(model, thinking(usage, model) if thinks else usage)

        call = expected(models[0], Usage(1, read, written))
        named = [(each.model or models[1] or models[0], judge_usage(each, 1, read)) for each in judges]
        judged = sum((expected(model, usage) for model, usage in named), Room())
        longest = max(
            len(json.dumps(dict(example.inputs), ensure_ascii=False).encode())
            for example in [*task.splits["val"], *task.splits["test"]]
        )
        worst = priced(
            models[0],
            Usage(1, longest + len(task.goal.encode()) + PROMPT_BYTES, DEFAULT_MAX_TOKENS + thinking_budget(models[0])),
        )
        steps = usual_calls(start)
        return Expected(call * steps + judged, call * max(steps, MOST_STEPS) + judged, worst.beyond(call))


def outlook(
    budget: Budget, task: Task, start: Workflow, models: tuple[str, str | None], price: tuple[float, float] | None
) -> list[Outlook]:
    """What each ceiling that there is allows; see `Expected.of`."""
    left = budget.left
    expected = Expected.of(task, start, models, price, usd="usd" in left)
    short = Expected.of(task, start, models, price, usd="usd" in left, written=SHORT_REPLY)
    begun = expected.start * _opening(task)
    least = short.start * _opening(task) + _least_test(short, task)
    free: Left = {name: left[name] - amount for name, amount in zip(NAMES, begun.amounts, strict=True) if name in left}
    both = expected.start + expected.found
    validation = expected.found * len(task.splits["val"])
    rows = rows_set_aside(both, validation, expected.spare, free, len(task.splits["test"]))
    test = both * rows + expected.spare
    enough = begun + _least_test(expected, task) + validation + both * BLOCK
    return [
        Outlook(name, left[name], *(each.amounts[place] for each in (least, enough, begun, test)), rows=rows)
        for place, name in enumerate(NAMES)
        if name in left
    ]


def _opening(task: Task) -> int:
    """Rows that the start is run on before anything is proposed."""
    return min(OPENING, len(task.splits["train"]))


def require_room(outlooks: Sequence[Outlook], task: Task, planned: CostEstimate) -> None:
    """Refuse a ceiling at which nothing sensible can be done.

    Raises:
        UserError: with the smallest ceiling that is taken, and what the whole search is estimated at.
    """
    for each in outlooks:
        if each.given < each.least:
            whole = dict(zip(NAMES, (planned.calls, planned.tokens, planned.usd or 0.0), strict=True))[each.ceiling]
            tested = min(FEWEST, len(task.splits["test"]))
            raise UserError(
                f"the ceiling of {each.ceiling}",
                amount(each.ceiling, each.given),
                f"at least {amount(each.ceiling, each.least, up=True)}, to score the start on "
                f"{count(_opening(task), 'training example')} and for a closing test of {tested}; "
                f"the whole search is estimated at up to {amount(each.ceiling, whole)}",
            )


def first_hold(
    budget: Budget, task: Task, start: Workflow, models: tuple[str, str | None], price: tuple[float, float] | None
) -> Hold:
    """Room for the smallest closing test, until the start's own replies tell what it takes."""
    short = Expected.of(task, start, models, price, usd=budget.limits("usd"), written=SHORT_REPLY)
    return _least_test(short, task).hold(budget)


def _least_test(expected: Expected, task: Task) -> Room:
    """Of the start and a workflow like it, on the fewest examples."""
    return expected.start * (2 * min(FEWEST, len(task.splits["test"]))) + expected.spare


def amount(ceiling: Ceiling, value: float, *, up: bool = False) -> str:
    """An amount in words: `$0.25`, `1,200 calls`; with `up` it is enough for the value when it is read again."""
    if ceiling != "usd":
        return f"{math.ceil(value) if up else round(value):,} {ceiling}"
    if not up or value <= 0:
        return money(value)
    step = 0.01 if value >= 0.1 else 10.0 ** (math.floor(math.log10(value)) - 1)
    rounded = math.ceil(value / step) * step
    return f"${rounded:.2f}" if rounded >= 0.1 else f"${rounded:.2g}" if rounded >= 0.0001 else f"${rounded:f}"
