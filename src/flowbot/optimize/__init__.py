"""Finding a workflow: loss, backward, the inner and the outer loop, acceptance, and a run from beginning to end."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import optimize
    from .costs import estimate
    from .effort import EFFORTS, EffortName
    from .methods import INNERS, OUTERS, Method
    from .result import CostEstimate, RunResult, Scores
    from .run import optimize_async
    from .search import ProgressEvent

_HOME = {
    "optimize": "api",
    "EFFORTS": "effort",
    "EffortName": "effort",
    "INNERS": "methods",
    "OUTERS": "methods",
    "Method": "methods",
    "CostEstimate": "result",
    "RunResult": "result",
    "Scores": "result",
    "estimate": "costs",
    "optimize_async": "run",
    "ProgressEvent": "search",
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
    "Method",
    "ProgressEvent",
    "RunResult",
    "Scores",
    "estimate",
    "optimize",
    "optimize_async",
]
