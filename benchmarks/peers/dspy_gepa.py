"""DSPy's GEPA (Agrawal et al. 2025, arXiv 2507.19457): reflective evolution of the prompt, with the task's feedback in words.

As its documentation has it: a reflection model at temperature 1, the metric's feedback, train for reflection and val for the
Pareto front, minibatches of 3, merges on, `track_stats`. A stopper, as gepa offers them, ends the search where the calls that are
left no longer suffice for one more step together with its validation: a step that ends in between could not be chosen.
`max_metric_calls` is no second ceiling: what asks no model again, as a row that the same prompt has answered, counts there too.
"""

from __future__ import annotations

from typing import Any

import dspy
from dspy_peer import THREADS, Setting, run

MINIBATCH = 3


def search(setting: Setting) -> dspy.Module | None:
    """What GEPA finds."""
    job = setting.job

    def metric(
        gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None
    ) -> dspy.Prediction:
        value, why = setting.score(gold, pred)
        return dspy.Prediction(score=value, feedback=why or f"This got a score of {value:g} of 1.")

    row = 1 + job.task["judge_calls"]
    step = 2 * MINIBATCH * row + 1 + len(job.val) * row

    def spent(state: Any) -> bool:
        return job.calls_left() < step

    gepa = dspy.GEPA(
        metric=metric,
        max_metric_calls=10 * job.effort,
        reflection_lm=setting.meta,
        reflection_minibatch_size=MINIBATCH,
        num_threads=THREADS,
        track_stats=True,
        seed=job.seed,
        gepa_kwargs={"stop_callbacks": [spent]},
    )
    return gepa.compile(setting.program(), trainset=setting.train, valset=setting.val)


if __name__ == "__main__":
    run(search, "GEPA")
