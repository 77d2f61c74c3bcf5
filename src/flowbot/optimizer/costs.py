"""What a run would cost, roughly, before anything is paid for."""

from __future__ import annotations

import json
from dataclasses import replace

from flowbot.fields import Usage
from flowbot.lm.model_options import usual_thoughts
from flowbot.lm.prices import price_of
from flowbot.run.result import CostEstimate
from flowbot.runtime.judge import PURPOSE as JUDGED
from flowbot.task import Judge, Task
from flowbot.workflow.calls import most_calls
from flowbot.workflow.workflow import Workflow

from .effort import EFFORTS, Effort, EffortName
from .methods import Method
from .progress import Phase

NOTHING = "none+none"
"""The method that scores the start and tests it."""
REPLY_TOKENS = 120
"""Tokens of a reply that the estimate assumes."""
JUDGE_TOKENS = 60
"""Tokens that a judge is assumed to write of each criterion, and to be told besides task, example and rubric."""


def estimate(
    task: Task,
    *,
    lm: str,
    meta_lm: str | None = None,
    judge_lm: str | None = None,
    method: str = "flowbot+blame",
    effort: EffortName = "medium",
    start: Workflow | None = None,
    price: tuple[float, float] | None = None,
) -> CostEstimate:
    """What `optimize` would take, roughly and rather too much, without any call.

    A candidate structure is assumed to make two calls an example; tokens come from the lengths of the examples. What a
    judge takes stands under `judge`.
    """
    parsed = Method.parse(method)
    by_purpose = _calls(task, parsed, EFFORTS[effort])
    steps = max(1, most_calls(start)) if start else 1
    by_purpose = {purpose: n * steps if purpose in ("train", "val", "test") else n for purpose, n in by_purpose.items()}
    read = read_tokens(task)
    meta_calls = by_purpose["gradients"] + by_purpose["proposals"]
    task_calls = sum(by_purpose.values()) - meta_calls
    task_usage = thinking(Usage(task_calls, task_calls * read, task_calls * REPLY_TOKENS), lm)
    meta_usage = thinking(Usage(meta_calls, meta_calls * 3 * read, meta_calls * REPLY_TOKENS), meta_lm or lm)
    costs = [price_of(lm, task_usage, price), price_of(meta_lm or lm, meta_usage, price)]
    runs = _runs(task, parsed, EFFORTS[effort])
    judged = [
        thinking(judge_usage(judge, runs, read), judge.model or judge_lm or meta_lm or lm)
        for judge in task.metric.judges.values()
    ]
    costs += [
        price_of(judge.model or judge_lm or meta_lm or lm, usage, price)
        for judge, usage in zip(task.metric.judges.values(), judged, strict=True)
    ]
    known = [cost for cost in costs if cost is not None]
    used = sum(judged, task_usage + meta_usage)
    return CostEstimate(
        calls=used.calls,
        tokens=used.tokens,
        usd=sum(known) if len(known) == len(costs) else None,
        by_purpose={**by_purpose, **({JUDGED: used.calls - task_calls - meta_calls} if judged else {})},
    )


def thinking(usage: Usage, model: str) -> Usage:
    """The usage with what a model that thinks writes besides."""
    return replace(usage, output_tokens=usage.output_tokens + usage.calls * usual_thoughts(model))


def phases(planned: CostEstimate, start: int) -> dict[Phase, float]:
    """Planned calls by phase of a run, in their order; what judging takes goes with each answer.

    Args:
        planned: by purpose.
        start: calls that score the start on validation.
    """
    by = {name: planned.by_purpose.get(name, 0) for name in ("train", "val", "test", "gradients", "proposals", JUDGED)}
    more = 1 + by[JUDGED] / max(1, by["train"] + by["val"] + by["test"])
    return {
        "start": start * more,
        "search": by["train"] * more + by["gradients"] + by["proposals"],
        "validation": max(0, by["val"] - start) * more,
        "test": by["test"] * more,
    }


def read_tokens(task: Task) -> int:
    """Tokens of an example with its task, roughly, as one call reads them."""
    examples = [example for split in task.splits.values() for example in split]
    length = sum(len(json.dumps(dict(example.inputs), ensure_ascii=False)) for example in examples)
    return int(length / max(1, len(examples)) / 4) + len(task.goal) // 4 + 60


def judge_usage(judge: Judge, runs: int, read: int) -> Usage:
    """What judging `runs` answers takes, roughly; `read` are the tokens of an example with its task."""
    calls = runs * judge.repeats
    rubric = sum(len(each.text) for each in judge.criteria) // 4
    written = JUDGE_TOKENS * len(judge.criteria)
    return Usage(calls, calls * (read + rubric + REPLY_TOKENS + JUDGE_TOKENS), calls * written)


def _runs(task: Task, method: Method, effort: Effort) -> int:
    """Examples that are run and scored."""
    train, val, test = (len(task.splits.get(split, ())) for split in ("train", "val", "test"))
    schedule = method.schedule(task.splits.get("train", ()), effort)
    loops = len(schedule.batches) * schedule.loops
    if schedule.validate:
        inner = schedule.inner_steps if method.inner == "layerwise" else 0
        return train * schedule.loops * (1 + inner) + val * (1 + len(schedule.batches)) + 2 * test
    if str(method) == NOTHING:
        return val + test
    race = min(train, effort.race)
    candidates = effort.candidates if method.outer != "none" else 0
    inner = schedule.inner_steps if method.inner != "none" else 0
    return race + loops * race * (candidates + inner) + val * (1 + effort.finalists) + 2 * test


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
    if str(method) == NOTHING:
        return {"train": 0, "val": val, "test": test, "gradients": 0, "proposals": 0}
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
