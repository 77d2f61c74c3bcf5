"""Room under a ceiling: what must still be paid for is set aside before the search begins."""

from __future__ import annotations

import json
from typing import Any

from flowbot.fields import BudgetExceeded, Usage, UserError
from flowbot.lm import Budget, Session, price_of
from flowbot.lm.budget import Hold
from flowbot.runtime import DEFAULT_MAX_TOKENS
from flowbot.task import Task
from flowbot.workflow import Workflow, most_calls

from .bilevel import Schedule
from .search import Search, Split

MOST_STEPS = 2
"""Calls an example of the workflow that the closing test has room for under a ceiling."""
PROMPT_BYTES = 2000
"""Bytes of a prompt besides the example."""


def validation_room(search: Search, schedule: Schedule) -> Hold | None:
    """Room to validate as many finalists as fit; None where there are no ceilings, or no room for one."""
    budget = search.session.budget
    if not budget.limited:
        return None
    for number in range(1 if schedule.validate else search.effort.finalists, 0, -1):
        try:
            return budget.hold(**_room(search, "val", number * MOST_STEPS))
        except BudgetExceeded:
            continue
    return None


def _room(search: Search, split: Split, steps: int) -> dict[str, Any]:
    return room_for(search.task, split, steps, search.model, search.price, search.session.budget)


def test_room(search: Search, workflow: Workflow) -> Hold | None:
    """Room for what the closing test of a workflow takes beyond that of `closing_test`; None if there is none."""
    more = max(0, most_calls(workflow) - MOST_STEPS) if search.session.budget.limited else 0
    try:
        return search.session.budget.hold(**_room(search, "test", more))
    except BudgetExceeded:
        return None


def room_for(
    task: Task, split: Split, steps: int, lm: str, price: tuple[float, float] | None, budget: Budget
) -> dict[str, Any]:
    """What running `steps` model calls on every example of a split takes: arguments of `Budget.hold`."""
    examples = task.splits[split]
    calls = len(examples) * steps
    longest = max(len(json.dumps(dict(example.inputs), ensure_ascii=False).encode()) for example in examples)
    written = calls * DEFAULT_MAX_TOKENS
    read = calls * (longest + PROMPT_BYTES)
    usd = 0.0 if budget.usd is None else price_of(lm, Usage(calls, read, written), price) or 0.0
    return {"calls": calls, "tokens": read + written, "usd": usd}


def closing_test(session: Session, task: Task, start: Workflow, lm: str, price: tuple[float, float] | None) -> Hold:
    """Room for the closing test: the start, and a workflow of at most `MOST_STEPS` calls, on every test example.

    Raises:
        UserError: if the ceilings leave no room for it.
    """
    room = room_for(task, "test", most_calls(start) + MOST_STEPS, lm, price, session.budget)
    try:
        return session.budget.hold(**room)
    except BudgetExceeded as error:
        raise UserError(
            f"the ceiling of {error.ceiling}",
            str(error),
            f"room for the closing test: {room['calls']} calls, about {room['tokens']} tokens",
        ) from error
