"""FlowBot finds LLM workflows from data: which calls, tools and code, wired how, with the prompt of each step tuned.

    import flowbot as fb
    task = fb.Task.load("task.yaml")                       # or fb.Task(goal=..., inputs=..., outputs=..., rows=...)
    result = fb.optimize(task, lm="openai/gpt-4.1-mini", meta_lm="openai/gpt-4.1", budget=fb.Budget(usd=5))
    result.workflow.save("found.flow.yaml")
    flow = fb.load("found.flow.yaml", lm="openai/gpt-4.1-mini")
    flow(question="...")

`fb.optimize` and `fb.evaluate` also work inside a running event loop, as in Jupyter; async code awaits
`fb.optimize_async` and `fb.evaluate_async`. Tasks, workflows, flows and results show themselves in a notebook.

Names are loaded when they are first used, so that importing FlowBot costs little.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowbot.fields import (
        BudgetExceeded,
        DeniedError,
        Field,
        FlowBotError,
        InfrastructureError,
        ModelError,
        Paused,
        Score,
        Usage,
        UserError,
    )
    from flowbot.lm import Budget, Pace, StopSignal
    from flowbot.optimize import (
        EvalResult,
        EvalRow,
        ProgressBar,
        ProgressEvent,
        RunResult,
        evaluate,
        evaluate_async,
        optimize,
        optimize_async,
    )
    from flowbot.report import write_report
    from flowbot.runtime import Flow, Trace, load
    from flowbot.task import Example, Judge, Metric, Part, Parts, Task
    from flowbot.workflow import Workflow

__version__ = "0.1.0"

_HOME = {
    **dict.fromkeys(("BudgetExceeded", "Field", "FlowBotError", "InfrastructureError", "ModelError"), "fields"),
    **dict.fromkeys(("DeniedError", "Paused", "Score", "Usage", "UserError"), "fields"),
    **dict.fromkeys(("Budget", "Pace", "StopSignal"), "lm"),
    **dict.fromkeys(("EvalResult", "EvalRow", "ProgressBar", "ProgressEvent", "RunResult"), "optimize"),
    **dict.fromkeys(("evaluate", "evaluate_async", "optimize", "optimize_async"), "optimize"),
    "write_report": "report",
    **dict.fromkeys(("Flow", "Trace", "load"), "runtime"),
    **dict.fromkeys(("Example", "Judge", "Metric", "Part", "Parts", "Task"), "task"),
    "Workflow": "workflow",
}


class _Package(ModuleType):
    """This package. Its attribute `optimize` is the function, though a package of that name stands below it."""

    @property
    def optimize(self) -> Any:
        """The function; Python would put the package `flowbot.optimize` here as soon as that is imported."""
        return import_module("flowbot.optimize").optimize

    @optimize.setter
    def optimize(self, package: ModuleType) -> None:
        """Leave it as it is."""


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        from flowbot.fields.near import nearest

        near = nearest(name, __all__)
        raise AttributeError(
            f"module 'flowbot' has no attribute {name!r}{f' (did you mean {near!r}?)' if near else ''}"
        )
    return getattr(import_module(f"flowbot.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)


__all__ = [
    "Budget",
    "BudgetExceeded",
    "DeniedError",
    "EvalResult",
    "EvalRow",
    "Example",
    "Field",
    "Flow",
    "FlowBotError",
    "InfrastructureError",
    "Judge",
    "Metric",
    "ModelError",
    "Pace",
    "Part",
    "Parts",
    "Paused",
    "ProgressBar",
    "ProgressEvent",
    "RunResult",
    "Score",
    "StopSignal",
    "Task",
    "Trace",
    "Usage",
    "UserError",
    "Workflow",
    "evaluate",
    "evaluate_async",
    "load",
    "optimize",
    "optimize_async",
    "write_report",
]
