"""Running workflows: engine, traces, tools, sandbox, evaluation, and `Flow` for a workflow in use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .adapter import messages
    from .engine import DEFAULT_MAX_TOKENS, Engine
    from .evaluation import Evaluation, Row, evaluate, evaluate_each
    from .executors import Executor, ExecutorName, open_executor
    from .flow import Flow, load
    from .sandbox import BubblewrapSandbox, ChosenSandbox, MontySandbox, Sandbox, SandboxName, open_sandbox
    from .toolbox import opened_task, opened_tools
    from .tools import ToolRunner, not_stored, require_stand_ins
    from .trace import Step, Trace

_LATER = {
    "messages": "adapter",
    **dict.fromkeys(("DEFAULT_MAX_TOKENS", "Engine"), "engine"),
    **dict.fromkeys(("Evaluation", "Row", "evaluate", "evaluate_each"), "evaluation"),
    **dict.fromkeys(("Executor", "ExecutorName", "open_executor"), "executors"),
    **dict.fromkeys(("Flow", "load"), "flow"),
    **dict.fromkeys(("Step", "Trace"), "trace"),
    **dict.fromkeys(
        ("BubblewrapSandbox", "ChosenSandbox", "MontySandbox", "Sandbox", "SandboxName", "open_sandbox"), "sandbox"
    ),
    **dict.fromkeys(("opened_task", "opened_tools"), "toolbox"),
    **dict.fromkeys(("ToolRunner", "not_stored", "require_stand_ins"), "tools"),
}


def __getattr__(name: str) -> Any:
    """Modules that are not always needed are imported when their first name is asked for (PEP 562)."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LATER[name]}", __name__), name)


__all__ = [
    "DEFAULT_MAX_TOKENS",
    "BubblewrapSandbox",
    "ChosenSandbox",
    "Engine",
    "Evaluation",
    "Executor",
    "ExecutorName",
    "Flow",
    "MontySandbox",
    "Row",
    "Sandbox",
    "SandboxName",
    "Step",
    "ToolRunner",
    "Trace",
    "evaluate",
    "evaluate_each",
    "load",
    "messages",
    "not_stored",
    "open_executor",
    "open_sandbox",
    "opened_task",
    "opened_tools",
    "require_stand_ins",
]
