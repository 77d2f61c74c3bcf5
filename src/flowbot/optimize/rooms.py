"""Room under a ceiling: what must still be paid for is set aside before the search begins."""

from __future__ import annotations

import json
import math
from typing import Any

from flowbot.fields import BudgetExceeded, Usage, UserError
from flowbot.lm import Budget, price_of
from flowbot.lm.budget import Hold
from flowbot.runtime import DEFAULT_MAX_TOKENS
from flowbot.runtime.judge import reply_tokens
from flowbot.task import Task
from flowbot.workflow import Workflow, most_calls

from .bilevel import Schedule
from .search import Search, Split

MOST_STEPS = 2
"""Calls an example of the workflow that the closing test has room for under a ceiling."""
MOST_FOR_VALIDATION = 1 / 3
"""Share of what a ceiling leaves that the validation of several finalists may set aside."""
PROMPT_BYTES = 2000
"""Bytes of a prompt besides the example."""
_REPLY_BYTES = 4 * DEFAULT_MAX_TOKENS
"""Bytes of a workflow's outputs, as a judge reads them."""


def validation_room(search: Search, schedule: Schedule) -> Hold | None:
    """Room to validate as many finalists as fit, more than one only if most of what is left stays for the search; None where
    there are no ceilings, or no room for one."""
    budget = search.session.budget
    if not budget.limited:
        return None
    for number in range(1 if schedule.validate else search.effort.finalists, 0, -1):
        room = _room(search, "val", number * MOST_STEPS, number)
        if number > 1 and any(room[name] > MOST_FOR_VALIDATION * left for name, left in budget.left.items()):
            continue
        try:
            return budget.hold(**room)
        except BudgetExceeded:
            continue
    return None


def _room(search: Search, split: Split, steps: int, workflows: int) -> dict[str, Any]:
    models = (search.model, search.engine.judge_model)
    return room_for(search.task, split, steps, workflows, models, search.price, search.session.budget)


def test_room(search: Search, workflow: Workflow) -> Hold | None:
    """Room for what the closing test of a workflow takes beyond that of `closing_test`; None if there is none."""
    more = max(0, most_calls(workflow) - MOST_STEPS) if search.session.budget.limited else 0
    try:
        return search.session.budget.hold(**_room(search, "test", more, 0))
    except BudgetExceeded:
        return None


def room_for(
    task: Task,
    split: Split,
    steps: int,
    workflows: int,
    models: tuple[str, str | None],
    price: tuple[float, float] | None,
    budget: Budget,
) -> dict[str, Any]:
    """What running workflows on every example of a split takes: arguments of `Budget.hold`.

    Args:
        task: for its examples and its metric.
        split: which examples.
        steps: model calls of all the workflows together on one example.
        workflows: how many there are; a judge is asked about each.
        models: model strings of task model and judge; None: the judge is the task model.
        price: USD per million input and output tokens, where the user gave it.
        budget: for which of its ceilings room is kept.
    """
    examples = task.splits[split]
    calls = len(examples) * steps
    longest = max(len(json.dumps(dict(example.inputs), ensure_ascii=False).encode()) for example in examples)
    written = calls * DEFAULT_MAX_TOKENS
    read = calls * (longest + PROMPT_BYTES)
    asked = [(models[0], Usage(calls, read, written))]
    for judge in task.metric.judges.values():
        number = len(examples) * workflows * judge.repeats
        shown = longest + _REPLY_BYTES + PROMPT_BYTES + sum(len(each.text.encode()) for each in judge.criteria)
        used = Usage(number, number * shown, number * reply_tokens(judge))
        asked.append((judge.model or models[1] or models[0], used))
    total = sum((usage for _, usage in asked), Usage())
    usd = 0.0 if budget.usd is None else sum(price_of(name, usage, price) or 0.0 for name, usage in asked)
    return {"calls": total.calls, "tokens": total.tokens, "usd": usd}


def closing_test(
    budget: Budget,
    task: Task,
    start: Workflow,
    models: tuple[str, str | None],
    price: tuple[float, float] | None,
) -> Hold:
    """Room for the closing test: the start, and a workflow of at most `MOST_STEPS` calls, on every test example.

    Raises:
        UserError: if the ceilings leave no room for it.
    """
    room = room_for(task, "test", most_calls(start) + MOST_STEPS, 2, models, price, budget)
    try:
        return budget.hold(**room)
    except BudgetExceeded as error:
        given, needed = getattr(budget, error.ceiling), room[error.ceiling]
        examples = len(task.splits["test"])
        raise UserError(
            f"the ceiling of {error.ceiling}",
            f"{given:,}",
            f"room for the closing test of {examples} examples: {math.ceil(needed * 100) / 100 if error.ceiling == 'usd' else needed:,}; "
            "raise the ceiling, or test on fewer examples",
        ) from error
