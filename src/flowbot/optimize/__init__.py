"""Finding a workflow: loss, backward, the inner and the outer loop, acceptance, and a run from beginning to end."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import evaluate, optimize
    from .bar import ProgressBar
    from .costs import estimate
    from .effort import EFFORTS, EffortName
    from .eval_result import EvalResult, EvalRow
    from .measure import evaluate_async
    from .methods import INNERS, OUTERS, Method, MethodName
    from .progress import ProgressCallback, ProgressEvent
    from .result import CostEstimate, RunResult, Scores
    from .run import optimize_async

_HOME = {
    "optimize": "api",
    "evaluate": "api",
    "ProgressBar": "bar",
    "evaluate_async": "measure",
    "EvalResult": "eval_result",
    "EvalRow": "eval_result",
    "EFFORTS": "effort",
    "EffortName": "effort",
    "INNERS": "methods",
    "OUTERS": "methods",
    "Method": "methods",
    "MethodName": "methods",
    "CostEstimate": "result",
    "RunResult": "result",
    "Scores": "result",
    "estimate": "costs",
    "optimize_async": "run",
    "ProgressCallback": "progress",
    "ProgressEvent": "progress",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


__all__ = [
    "EFFORTS",
    "INNERS",
    "OUTERS",
    "CostEstimate",
    "EffortName",
    "EvalResult",
    "EvalRow",
    "Method",
    "MethodName",
    "ProgressBar",
    "ProgressCallback",
    "ProgressEvent",
    "RunResult",
    "Scores",
    "estimate",
    "evaluate",
    "evaluate_async",
    "optimize",
    "optimize_async",
]
