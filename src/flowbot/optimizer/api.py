"""`optimize` and `evaluate` for code that is not async, and for cells of a notebook, where a loop runs already."""

from __future__ import annotations

from flowbot.runtime.blocking import blocking

from .measure import evaluate_async
from .run import optimize_async

optimize = blocking(optimize_async, "optimize")
evaluate = blocking(evaluate_async, "evaluate")
