"""Scorers as metrics that stay the same while code elsewhere changes."""

from __future__ import annotations

from flowbot.task import Metric
from flowbot.task.metrics import MetricCall


def versioned(call: MetricCall, version: int = 1) -> Metric:
    """The metric of one of our scorers, which is pure.

    Its identity is its name and a version, as a built-in metric's is. Of any other callable the identity is the content of all files
    that it imports, and so of most of this package: every change would have a comparison's finished cells run again.

    Args:
        call: the scorer; its name is unique among them.
        version: goes up whenever it gives another score or another feedback for the same outputs.
    """
    name = str(getattr(call, "__name__", ""))
    return Metric(name, True, f"{name}/{version}", call)
