"""What a run would cost, roughly, before anything is paid for."""

from __future__ import annotations

import json

from flowbot.fields import Usage
from flowbot.lm import price_of
from flowbot.task import Task
from flowbot.workflow import Workflow, most_calls

from .effort import EFFORTS, Effort, EffortName
from .methods import Method
from .result import CostEstimate

REPLY_TOKENS = 120
"""Tokens of a reply that the estimate assumes."""


def estimate(
    task: Task,
    *,
    lm: str,
    meta_lm: str | None = None,
    method: str = "flowbot+blame",
    effort: EffortName = "medium",
    start: Workflow | None = None,
    price: tuple[float, float] | None = None,
) -> CostEstimate:
    """What `optimize` would take, roughly and rather too much, without any call.

    A candidate structure is assumed to make two calls an example; tokens come from the lengths of the examples.
    """
    parsed = Method.parse(method)
    by_purpose = _calls(task, parsed, EFFORTS[effort])
    steps = max(1, most_calls(start)) if start else 1
    by_purpose = {purpose: n * steps if purpose in ("train", "val", "test") else n for purpose, n in by_purpose.items()}
    examples = [example for split in task.splits.values() for example in split]
    length = sum(len(json.dumps(dict(example.inputs), ensure_ascii=False)) for example in examples) / max(
        1, len(examples)
    )
    read = int(length / 4) + len(task.goal) // 4 + 60
    meta_calls = by_purpose["gradients"] + by_purpose["proposals"]
    task_calls = sum(by_purpose.values()) - meta_calls
    task_usage = Usage(task_calls, task_calls * read, task_calls * REPLY_TOKENS)
    meta_usage = Usage(meta_calls, meta_calls * 3 * read, meta_calls * REPLY_TOKENS)
    costs = [price_of(lm, task_usage, price), price_of(meta_lm or lm, meta_usage, price)]
    known = [cost for cost in costs if cost is not None]
    return CostEstimate(
        calls=task_calls + meta_calls,
        tokens=task_usage.tokens + meta_usage.tokens,
        usd=sum(known) if len(known) == len(costs) else None,
        by_purpose=by_purpose,
    )


def _calls(task: Task, method: Method, effort: Effort) -> dict[str, int]:
    train, val, test = (len(task.splits.get(split, ())) for split in ("train", "val", "test"))
    schedule = method.schedule(task.splits.get("train", ()), effort)
    loops = len(schedule.batches) * schedule.loops
    if schedule.validate:
        inner = schedule.inner_steps if method.inner == "layerwise" else 0
        return {
            "train": train * schedule.loops * (1 + inner),
            "val": val * (1 + len(schedule.batches)),
            "test": 2 * test,
            "gradients": loops * (5 + inner * 5),
            "proposals": loops * (3 + inner),
        }
    race = min(train, effort.race)
    candidates = effort.candidates if method.outer != "none" else 0
    inner = schedule.inner_steps if method.inner != "none" else 0
    # A candidate structure has two or three model calls an example, and so has what is found, at worst.
    return {
        "train": race + loops * race * (2 * candidates + 2 * inner),
        "val": val * (1 + 2 * effort.finalists),
        "test": 3 * test,
        "gradients": loops * (effort.ballots * (method.outer == "flowbot") + 6 * inner),
        "proposals": loops * (2 * candidates + inner),
    }
