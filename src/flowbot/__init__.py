"""FlowBot finds LLM workflows from data: which calls, tools and code, wired how, with the prompt of each step tuned.

    import flowbot as fb
    task = fb.Task.load("task.yaml")                       # or fb.Task(goal=..., inputs=..., outputs=..., rows=...)
    result = fb.optimize(task, lm="openai/gpt-4.1-mini", meta_lm="openai/gpt-4.1", budget=fb.Budget(usd=5))
    result.workflow.save("found.flow.yaml")
    flow = fb.load("found.flow.yaml", lm="openai/gpt-4.1-mini")
    flow(question="...")

What the command line does has a function of the same name: `fb.init`, `fb.check`, `fb.lift`, `fb.show`, `fb.diff`, `fb.compare`, `fb.bench`,
`fb.starts`, `fb.models`, `fb.runs` and `fb.cache` give values to go on with.

`fb.optimize` and `fb.evaluate` also work inside a running event loop, as in Jupyter; async code awaits
`fb.optimize_async` and `fb.evaluate_async`. A notebook shows tasks, workflows, flows and results as pages.

Names are loaded when they are first used, so that importing FlowBot costs little. A pipeline of your own takes `fb.Param`,
`fb.Value`, `fb.step` and `fb.slot`, which load the standard library alone.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .benchmark.result import BenchResult
    from .benchmark.run import bench, bench_async
    from .checks.check import check
    from .draft.init import init
    from .export.source.write import write_source
    from .fields import (
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
    from .lm.budget import Budget
    from .lm.callable_model import CallableModel
    from .lm.pace import Pace
    from .lm.stop import StopSignal
    from .notebook.progress_bar import ProgressBar
    from .optimizer.evaluate import evaluate, evaluate_async
    from .optimizer.progress import ProgressEvent
    from .optimizer.run import optimize, optimize_async
    from .program.params import Param, Value
    from .program.slots import slot
    from .program.steps import step
    from .report.diffs import diff
    from .report.report import write_report
    from .report.show import show
    from .run.comparisons import compare
    from .run.eval_result import EvalResult, EvalRow
    from .run.listing import RunSummary, runs
    from .run.load import load
    from .run.result import RunResult
    from .run.use import use
    from .runtime.cache import cache
    from .runtime.flow import Flow
    from .runtime.lift.lift import Lifted, lift, lift_async
    from .runtime.model_proxy import ModelProxy
    from .runtime.models import models
    from .runtime.starts import starts
    from .runtime.trace import Trace
    from .runtime.workbench import Workbench
    from .task import Example, Judge, Metric, Part, Parts, Task
    from .workflow.workflow import Workflow

__version__ = "0.1.0"

_HOME = {
    **dict.fromkeys(("BudgetExceeded", "Field", "FlowBotError", "InfrastructureError", "ModelError"), "fields"),
    **dict.fromkeys(("DeniedError", "Paused", "Score", "Usage", "UserError"), "fields"),
    "BenchResult": "benchmark.result",
    **dict.fromkeys(("bench", "bench_async"), "benchmark.run"),
    "Budget": "lm.budget",
    "CallableModel": "lm.callable_model",
    "Pace": "lm.pace",
    "StopSignal": "lm.stop",
    **dict.fromkeys(("evaluate", "evaluate_async"), "optimizer.evaluate"),
    **dict.fromkeys(("optimize", "optimize_async"), "optimizer.run"),
    **dict.fromkeys(("Param", "Value"), "program.params"),
    "slot": "program.slots",
    "step": "program.steps",
    "ProgressBar": "notebook.progress_bar",
    "ProgressEvent": "optimizer.progress",
    **dict.fromkeys(("EvalResult", "EvalRow"), "run.eval_result"),
    "RunResult": "run.result",
    **dict.fromkeys(("RunSummary", "runs"), "run.listing"),
    "use": "run.use",
    "write_report": "report.report",
    "write_source": "export.source.write",
    "cache": "runtime.cache",
    "check": "checks.check",
    "compare": "run.comparisons",
    "diff": "report.diffs",
    "init": "draft.init",
    "models": "runtime.models",
    "show": "report.show",
    "starts": "runtime.starts",
    "Flow": "runtime.flow",
    **dict.fromkeys(("Lifted", "lift", "lift_async"), "runtime.lift.lift"),
    "ModelProxy": "runtime.model_proxy",
    "load": "run.load",
    "Trace": "runtime.trace",
    "Workbench": "runtime.workbench",
    **dict.fromkeys(("Example", "Judge", "Metric", "Part", "Parts", "Task"), "task"),
    "Workflow": "workflow.workflow",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        from .fields.near import nearest

        near = nearest(name, __all__)
        raise AttributeError(
            f"module 'flowbot' has no attribute {name!r}{f' (did you mean {near!r}?)' if near else ''}"
        )
    if "IPython" in sys.modules and not _HOME[name].startswith("program."):
        from .notebook.html import register

        register()
    return getattr(import_module(f"flowbot.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)


__all__ = [
    "BenchResult",
    "Budget",
    "BudgetExceeded",
    "CallableModel",
    "DeniedError",
    "EvalResult",
    "EvalRow",
    "Example",
    "Field",
    "Flow",
    "FlowBotError",
    "InfrastructureError",
    "Judge",
    "Lifted",
    "Metric",
    "ModelError",
    "ModelProxy",
    "Pace",
    "Param",
    "Part",
    "Parts",
    "Paused",
    "ProgressBar",
    "ProgressEvent",
    "RunResult",
    "RunSummary",
    "Score",
    "StopSignal",
    "Task",
    "Trace",
    "Usage",
    "UserError",
    "Value",
    "Workbench",
    "Workflow",
    "bench",
    "bench_async",
    "cache",
    "check",
    "compare",
    "diff",
    "evaluate",
    "evaluate_async",
    "init",
    "lift",
    "lift_async",
    "load",
    "models",
    "optimize",
    "optimize_async",
    "runs",
    "show",
    "slot",
    "starts",
    "step",
    "use",
    "write_report",
    "write_source",
]
