"""FlowBot finds LLM workflows from data: which calls, tools and code, wired how, with the prompt of each step tuned.

    import flowbot as fb
    task = fb.Task.load("task.yaml")
    result = fb.optimize(task, lm="openai/gpt-4.1-mini", meta_lm="openai/gpt-4.1", budget=fb.Budget(usd=5))
    result.workflow.save("found.flow.yaml")

Names are loaded when they are first used, so that importing FlowBot costs little.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowbot.fields import Field, FlowBotError, Score, Usage, UserError
    from flowbot.lm import Budget, Pace
    from flowbot.optimize import RunResult, optimize
    from flowbot.runtime import Flow, load
    from flowbot.task import Example, Metric, Task
    from flowbot.workflow import Workflow

__version__ = "0.1.0"

_HOME = {
    "Field": "fields",
    "FlowBotError": "fields",
    "Score": "fields",
    "Usage": "fields",
    "UserError": "fields",
    "Budget": "lm",
    "Pace": "lm",
    "RunResult": "optimize",
    "optimize": "optimize",
    "Flow": "runtime",
    "load": "runtime",
    "Example": "task",
    "Metric": "task",
    "Task": "task",
    "Workflow": "workflow",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'flowbot' has no attribute {name!r}")
    return getattr(import_module(f"flowbot.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)


__all__ = [
    "Budget",
    "Example",
    "Field",
    "Flow",
    "FlowBotError",
    "Metric",
    "Pace",
    "RunResult",
    "Score",
    "Task",
    "Usage",
    "UserError",
    "Workflow",
    "load",
    "optimize",
]
