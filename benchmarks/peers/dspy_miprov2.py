"""DSPy's MIPROv2 (Opsahl-Ong et al. 2024, arXiv 2406.11695): demonstrations and proposed instructions, chosen by Bayesian search.

`auto` at the highest level whose calls fit the effort. Where not even "light" does, the same by hand, smaller: as many candidates,
with the number of trials that MIPROv2 recommends for them (`max(2·variables·log2 n, 1.5·n)`), as leave at least `LEAST` validation
rows for each trial; as `auto` does with large sets, the validation set is cut to what fits, by lot.
"""

from __future__ import annotations

import math
import random
from typing import Any

import dspy
from dspy_peer import THREADS, Setting, run

FULL_STEPS, MINIBATCH = 5, 35
"""Its defaults: every so many minibatch trials one of a whole validation set, and rows of a minibatch."""
VARIABLES = 2
"""Of one step: its instruction and its demonstrations."""
AUTO = {"heavy": (18, 1000), "medium": (12, 300), "light": (6, 100)}
"""Its levels: candidates, and validation rows at most. Minibatches are used from 51 rows on."""
LEAST = 20
"""Validation rows of which a trial has something to say."""


def trials(candidates: int) -> int:
    """The number of trials that MIPROv2 recommends."""
    return int(max(2 * VARIABLES * math.log2(candidates), 1.5 * candidates))


def opening(candidates: int, instructions: int, train: int, row: int) -> int:
    """Calls before the first trial: demonstrations and instructions.

    Args:
        candidates: sets of demonstrations; all but two are bootstrapped, each from some eight rows where half are right.
        instructions: that are proposed with three calls each, two of which describe program and step.
        train: rows.
        row: calls of a row, judging included.
    """
    return max(0, candidates - 2) * min(train, 8) * row + min(10, math.ceil(train / 10)) + 1 + 3 * instructions


def plan(effort: int, train: int, val: int, row: int) -> dict[str, Any]:
    """The setting whose calls fit: `auto`, or candidates, trials and validation rows."""
    for level, (candidates, most) in AUTO.items():
        rows, number = min(val, most), trials(candidates)
        runs = number * MINIBATCH + rows * (2 + number // FULL_STEPS) if rows > 50 else rows * (number + 1)
        if opening(candidates, candidates // 2, train, row) + runs * row <= effort:
            return {"auto": level, "rows": rows}
    for candidates in (5, 4, 3, 2):
        number = trials(candidates)
        rows = (effort - opening(candidates, candidates, train, row)) // ((number + 1) * row)
        if rows >= min(LEAST, val) or candidates == 2:
            return {"auto": None, "candidates": candidates, "trials": number, "rows": max(1, min(rows, val))}
    raise AssertionError


def search(setting: Setting) -> dspy.Module | None:
    """What MIPROv2 finds."""
    job = setting.job
    chosen = plan(job.effort, len(job.train), len(job.val), 1 + job.task["judge_calls"])
    print("settings:", chosen, flush=True)
    val = random.Random(job.seed).sample(setting.val, chosen["rows"]) if chosen["auto"] is None else setting.val
    setting.watch.rows = chosen["rows"]
    optimiser = dspy.MIPROv2(
        metric=setting.metric,
        prompt_model=setting.meta,
        task_model=setting.lm,
        auto=chosen["auto"],
        num_candidates=chosen.get("candidates"),
        num_threads=THREADS,
        max_errors=10**9,
        seed=job.seed + 9,  # 9 is its default
    )
    smaller = {} if chosen["auto"] else {"num_trials": chosen["trials"], "minibatch": False}
    return optimiser.compile(setting.program(), trainset=setting.train, valset=val, **smaller)


if __name__ == "__main__":
    run(search, "MIPROv2")
