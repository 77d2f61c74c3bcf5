"""What a run would cost, roughly, before anything is paid for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from flowbot.fields import Usage
from flowbot.lm.model_options import usual_thinking
from flowbot.lm.prices import Price, price_of
from flowbot.run.result import CostEstimate
from flowbot.run.sessions import Spent
from flowbot.runtime.ability import MOST, PURPOSE
from flowbot.runtime.judge import PURPOSE as JUDGED
from flowbot.task import Judge, Task
from flowbot.workflow.calls import most_calls
from flowbot.workflow.workflow import Workflow

from .effort import planned_calls
from .method import Sizes, follows_ability, planned_by_purpose
from .methods import find_method
from .planner import SETTLED
from .progress import Phase
from .seams import AskedMode

FOUND_STEPS = 2
"""Calls of what is found beside one of the start, by which its test is estimated."""
REPLY_TOKENS = 120
"""Tokens of a reply that the estimate assumes."""
JUDGE_TOKENS = 60
"""Tokens that a judge is assumed to write of each criterion, and to be told besides task, example and rubric."""


def sizes_of(task: Task, start: Workflow | None, effort: object) -> Sizes:
    """What a search would work on.

    Raises:
        UserError: for an effort that is none.
    """
    train, val, test = (len(task.splits.get(split, ())) for split in ("train", "val", "test"))
    start_calls = (max(1, most_calls(start)) if start else 1) + task.metric.judge_calls
    return Sizes(train, val, test, start_calls, planned_calls(effort))


def estimate(
    task: Task,
    *,
    lm: str,
    meta_lm: str | None = None,
    judge_lm: str | None = None,
    method: object = "flowbot+blame",
    effort: object = "medium",
    start: Workflow | None = None,
    price: Price | None = None,
    meta_mode: AskedMode = "auto",
    choices: Sequence[str] = (),
    batch: bool = False,
) -> CostEstimate:
    """What `optimize` would take at most, without any call; tokens come from the lengths of the examples.

    What the search takes is what the method plans, which it never passes; the closing test is counted for the start, and for
    what may be found with twice its calls. What judges take stands under `judge`, for search and test alike; the questions that
    find out how the meta model is to be asked are some of those that it is planned to be asked. Where steps may be given other
    models (`choices`), these are assumed to share the calls after the structure has settled, and the dearest to be what is tested.
    With `batch` validation and test are taken to go by batches; how many rounds of the search are wide enough nobody knows before.
    """
    sizes = sizes_of(task, start, effort)
    strategy = find_method(method)
    by_purpose = planned_by_purpose(strategy, sizes)
    searched = sum(by_purpose[each] for each in ("gradients", "proposals")) or by_purpose["train"]
    by_purpose["test"] = sizes.test * sizes.start_calls * (1 + (FOUND_STEPS if searched else 0))
    read = read_tokens(task)
    meta_calls = by_purpose["gradients"] + by_purpose["proposals"]
    first = min(MOST, by_purpose["gradients"]) if meta_mode == "auto" and follows_ability(strategy, sizes) else 0
    by_purpose["gradients"] -= first
    judging = task.metric.judge_calls
    scored = {each: by_purpose[each] // sizes.start_calls for each in ("train", "val", "test")}
    by_purpose.update({each: by_purpose[each] - judging * rows for each, rows in scored.items()})
    runs = sum(by_purpose[each] for each in scored)
    judges = [
        (each.model or judge_lm or meta_lm or lm, judge_usage(each, sum(scored.values()), read))
        for each in task.metric.judges.values()
    ]
    others = [each for each in choices if each != lm]
    late = int(SETTLED * by_purpose["train"]) // len(others) if others else 0
    found = by_purpose["test"] * FOUND_STEPS // (1 + FOUND_STEPS) if others else 0
    dearest = max((*choices, lm), key=lambda each: price_of(each, typical_usage(task, each), price) or 0.0)
    checked = by_purpose["val"] + by_purpose["test"] - found
    shares = [*((each, late, False) for each in others), (dearest, found, batch), (lm, checked, batch)]
    shares.append((lm, runs - checked - found - late * len(others), False))
    parts = [
        *((model, Usage(calls, calls * read, calls * REPLY_TOKENS), cheap) for model, calls, cheap in shares),
        (meta_lm or lm, Usage(meta_calls, meta_calls * 3 * read, meta_calls * REPLY_TOKENS), False),
        *((model, usage, False) for model, usage in judges),
    ]
    by_model: dict[str, Usage] = {}
    for model, usage, cheap in parts:
        took = replace(thinking(usage, model), usd=price_of(model, thinking(usage, model), price, batch=cheap))
        by_model[model] = by_model[model] + took if model in by_model else took
    used = sum(by_model.values(), Usage(usd=0.0))
    return CostEstimate(
        calls=used.calls,
        tokens=used.tokens,
        usd=used.usd,
        by_model={model: Spent(calls=each.calls, tokens=each.tokens, usd=each.usd) for model, each in by_model.items()},
        by_purpose={
            **by_purpose,
            **({PURPOSE: first} if first else {}),
            **({JUDGED: judging * sum(scored.values())} if judges else {}),
        },
    )


def thinking(usage: Usage, model: str) -> Usage:
    """The usage with what a model that thinks writes besides."""
    return replace(usage, output_tokens=usage.output_tokens + usage.calls * usual_thinking(model))


def phases(planned: CostEstimate, opening: float, *, validates: bool) -> dict[Phase, float]:
    """Planned calls by phase of a run, in their order.

    Args:
        planned: by purpose.
        opening: calls of the start's first rows.
        validates: whether the search itself validates, so that there is nothing to do at its end.
    """
    ran = sum(planned.by_purpose[each] for each in ("train", "val", "test"))
    judged = 1 + planned.by_purpose.get(JUDGED, 0) / max(1, ran)
    by = {
        name: calls * (judged if name in ("train", "val", "test") else 1) for name, calls in planned.by_purpose.items()
    }
    at_end = 0 if validates else by["val"]
    search = by["train"] + by["val"] + by["gradients"] + by["proposals"] + by.get(PURPOSE, 0) - at_end
    opening = min(opening, search) if by["train"] else search
    return {"start": opening, "search": search - opening, "validation": at_end, "test": by["test"]}


def typical_usage(task: Task, model: str) -> Usage:
    """What one call of a step is assumed to take, thoughts of the model included."""
    return thinking(Usage(1, read_tokens(task), REPLY_TOKENS), model)


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
