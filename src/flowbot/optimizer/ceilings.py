"""What ceilings allow, by an estimate, before the first reply: which are refused, and what is left to search with.

What is set aside for the closing test, here and in `reserve`, is a fair share of what a ceiling leaves, in whole test examples.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from flowbot.fields import Usage, UserError
from flowbot.fields.words import count, money
from flowbot.lm.budget import Budget, Ceiling, Hold
from flowbot.lm.model_options import thinking_budget
from flowbot.lm.prices import Price, price_of
from flowbot.run.result import CostEstimate
from flowbot.runtime.engine import DEFAULT_MAX_TOKENS
from flowbot.task import Task
from flowbot.workflow.calls import usual_calls
from flowbot.workflow.workflow import Workflow

from .estimate import REPLY_TOKENS, judge_usage, read_tokens, thinking
from .pool import OPENING

FEWEST = 10
"""Test examples that are kept for whatever the ceiling; a smaller test is run whole."""
MOST_FOR_TEST = 1 / 2
"""Share of what a ceiling leaves that the closing test may set aside, beyond `FEWEST` examples; it also leaves what validating
one finalist takes, and as much again to find it."""
BLOCK = 8
"""Test examples that are run at a time where it is not certain that all of them fit."""
MOST_STEPS = 2
"""Calls an example of a workflow that may be found, before one is."""
SHORT_REPLY = 30
"""Tokens of a reply by which a ceiling is refused: before anything is seen, only what is surely too little is."""
PROMPT_BYTES = 600
"""Bytes of a prompt besides the example and the task's goal."""
NAMES: tuple[Ceiling, ...] = ("calls", "tokens", "usd")
Left: TypeAlias = Mapping[Ceiling, float]
"""What is left of each ceiling that there is."""
_DUST = 1e-9
"""Less than this share is lost where amounts are divided and rounded."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What something takes of each thing that a ceiling may limit."""

    calls: float = 0.0
    tokens: float = 0.0
    usd: float = 0.0

    @staticmethod
    def of(usage: Usage) -> Cost:
        """What calls took; an unknown price counts as nothing, since no ceiling in USD is accepted with it."""
        return Cost(usage.calls, usage.tokens, usage.usd or 0.0)

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.calls + other.calls, self.tokens + other.tokens, self.usd + other.usd)

    def __mul__(self, number: float) -> Cost:
        return Cost(self.calls * number, self.tokens * number, self.usd * number)

    def beyond(self, other: Cost) -> Cost:
        """What it is more than `other`, of each."""
        return Cost(*(max(0.0, mine - its) for mine, its in zip(self.amounts, other.amounts, strict=True)))

    @property
    def amounts(self) -> tuple[float, float, float]:
        """In the order of `NAMES`."""
        return self.calls, self.tokens, self.usd

    def times_in(self, left: Left, most: int) -> int:
        """How often it fits into what is left of each ceiling that there is; `most` where it always does."""
        for name, amount in zip(NAMES, self.amounts, strict=True):
            if name in left and amount > 0:
                most = min(most, math.floor(max(0.0, left[name]) / amount + _DUST))
        return most

    def hold(self, budget: Budget) -> Hold:
        """Set it aside, or as much of it as there is."""
        left = budget.left
        calls, tokens, usd = (
            max(0.0, min(each, left.get(name, each))) for name, each in zip(NAMES, self.amounts, strict=True)
        )
        return budget.hold(calls=int(calls), tokens=int(tokens), usd=usd * (1 - _DUST))


def rows_to_test(row: Cost, validation: Cost, spare: Cost, left: Left, test: int) -> int:
    """How many test examples to set aside for: all, or as many as a fair share of what is left allows."""
    kept = dict(zip(NAMES, (validation * 2).amounts, strict=True))
    share: Left = {name: min(MOST_FOR_TEST * value, value - kept[name]) for name, value in left.items()}
    return max(rows_in(row, spare, share, test), rows_in(row, spare, left, min(FEWEST, test)))


def rows_in(row: Cost, spare: Cost, left: Left, most: int) -> int:
    """How many rows fit, a last call's worst case included."""
    free: Left = {name: left[name] - extra for name, extra in zip(NAMES, spare.amounts, strict=True) if name in left}
    return row.times_in(free, most)


def largest(costs: Iterable[Cost]) -> Cost:
    """The largest of each amount."""
    columns = zip(*(each.amounts for each in [Cost(), *costs]), strict=True)
    return Cost(*(max(values) for values in columns))


@dataclass(frozen=True, slots=True)
class CeilingOutlook:
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
class _Expected:
    """What is expected before the first reply, of each example.

    Args:
        start: what the start takes, judging included.
        found: what a workflow that may be found takes.
        spare: what a call's worst case is more than what it takes: free for the last call too.
        opening: rows that the start is run on before anything is proposed.
        fewest: test examples of the smallest closing test.
    """

    start: Cost
    found: Cost
    spare: Cost
    opening: int
    fewest: int

    @property
    def least_test(self) -> Cost:
        """What testing the start and a workflow like it on the fewest examples takes."""
        return self.start * (2 * self.fewest) + self.spare


def _expected(
    task: Task,
    start: Workflow,
    models: tuple[str, str | None],
    price: Price | None,
    budget: Budget,
    written: int = REPLY_TOKENS,
    *,
    batch: bool = False,
) -> _Expected:
    """By the lengths of the examples, as the estimate of the whole.

    Args:
        task: for its examples and its metric.
        start: the workflow to improve.
        models: model strings of task model and judge; None: the judge is the task model.
        price: USD per million input and output tokens, where the user gave it.
        budget: prices are looked up where it limits dollars.
        written: tokens of a reply.
        batch: whether examples go by batches.
    """
    usd = budget.limits("usd")
    # Of a short reply the thoughts are left out too: what is surely too little is to be told.
    thinks = written >= REPLY_TOKENS

    def priced(model: str, usage: Usage) -> Cost:
        return Cost(usage.calls, usage.tokens, (price_of(model, usage, price, batch=batch) or 0.0) if usd else 0.0)

    def usual(model: str, usage: Usage) -> Cost:
        return priced(model, thinking(usage, model) if thinks else usage)

    read = read_tokens(task)
    call = usual(models[0], Usage(1, read, written))
    judges = [
        (each.model or models[1] or models[0], judge_usage(each, 1, read)) for each in task.metric.judges.values()
    ]
    judged = sum((usual(model, usage) for model, usage in judges), Cost())
    longest = max(
        len(json.dumps(dict(example.inputs), ensure_ascii=False).encode())
        for example in [*task.splits["val"], *task.splits["test"]]
    )
    prompt = longest + len(task.goal.encode()) + PROMPT_BYTES
    worst = priced(models[0], Usage(1, prompt, DEFAULT_MAX_TOKENS + thinking_budget(models[0])))
    steps = usual_calls(start)
    return _Expected(
        start=call * steps + judged,
        found=call * max(steps, MOST_STEPS) + judged,
        spare=worst.beyond(call),
        opening=min(OPENING, len(task.splits["train"])),
        fewest=min(FEWEST, len(task.splits["test"])),
    )


def ceiling_outlooks(
    budget: Budget,
    task: Task,
    start: Workflow,
    models: tuple[str, str | None],
    price: Price | None,
    *,
    batch: bool = False,
) -> tuple[list[CeilingOutlook], Cost]:
    """What each ceiling that there is allows, see `_expected`; and what the smallest closing test takes, for which room is held until the
    start's own replies tell more."""
    left = budget.left
    expected = _expected(task, start, models, price, budget, batch=batch)
    short = _expected(task, start, models, price, budget, written=SHORT_REPLY, batch=batch)
    begun = expected.start * expected.opening
    least = short.start * short.opening + short.least_test
    free: Left = {name: left[name] - amount for name, amount in zip(NAMES, begun.amounts, strict=True) if name in left}
    both = expected.start + expected.found
    validation = expected.found * len(task.splits["val"])
    rows = rows_to_test(both, validation, expected.spare, free, len(task.splits["test"]))
    test = both * rows + expected.spare
    enough = begun + expected.least_test + validation + both * BLOCK
    outlooks = [
        CeilingOutlook(name, left[name], *(each.amounts[place] for each in (least, enough, begun, test)), rows=rows)
        for place, name in enumerate(NAMES)
        if name in left
    ]
    return outlooks, short.least_test


def require_room(outlooks: Sequence[CeilingOutlook], task: Task, planned: CostEstimate) -> None:
    """Refuse a ceiling at which nothing sensible can be done.

    Raises:
        UserError: with the smallest ceiling that is taken, and what the whole search is estimated at.
    """
    opening, tested = min(OPENING, len(task.splits["train"])), min(FEWEST, len(task.splits["test"]))
    for each in outlooks:
        if each.given < each.least:
            whole = dict(zip(NAMES, (planned.calls, planned.tokens, planned.usd or 0.0), strict=True))[each.ceiling]
            raise UserError(
                f"the ceiling of {each.ceiling}",
                amount(each.ceiling, each.given),
                f"at least {amount(each.ceiling, each.least, up=True)}, to score the start on "
                f"{count(opening, 'training example')} and for a closing test of {tested}; "
                f"the whole search is estimated at up to {amount(each.ceiling, whole)}",
            )


def amount(ceiling: Ceiling, value: float, *, up: bool = False) -> str:
    """An amount in words: `$0.25`, `1,200 calls`; with `up` it is enough for the value when it is read again."""
    if ceiling != "usd":
        return f"{math.ceil(value) if up else round(value):,} {ceiling}"
    if not up or value <= 0:
        return money(value)
    step = 0.01 if value >= 0.1 else 10.0 ** (math.floor(math.log10(value)) - 1)
    rounded = math.ceil(value / step) * step
    return f"${rounded:.2f}" if rounded >= 0.1 else f"${rounded:.2g}" if rounded >= 0.0001 else f"${rounded:f}"
