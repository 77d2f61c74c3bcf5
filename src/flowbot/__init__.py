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
    from .benchmark.result import BenchResult as BenchResult
    from .benchmark.run import bench as bench
    from .benchmark.run import bench_async as bench_async
    from .checks.check import check as check
    from .draft.init import init as init
    from .export.source.write import write_source as write_source
    from .fields import (
        BudgetExceeded as BudgetExceeded,
    )
    from .fields import (
        DeniedError as DeniedError,
    )
    from .fields import (
        Field as Field,
    )
    from .fields import (
        FlowBotError as FlowBotError,
    )
    from .fields import (
        InfrastructureError as InfrastructureError,
    )
    from .fields import (
        ModelError as ModelError,
    )
    from .fields import (
        Paused as Paused,
    )
    from .fields import (
        Score as Score,
    )
    from .fields import (
        Usage as Usage,
    )
    from .fields import (
        UserError as UserError,
    )
    from .lm.budget import Budget as Budget
    from .lm.callable_model import CallableModel as CallableModel
    from .lm.pace import Pace as Pace
    from .lm.stop import StopSignal as StopSignal
    from .notebook.progress_bar import ProgressBar as ProgressBar
    from .optimizer.evaluate import evaluate as evaluate
    from .optimizer.evaluate import evaluate_async as evaluate_async
    from .optimizer.progress import ProgressEvent as ProgressEvent
    from .optimizer.run import optimize as optimize
    from .optimizer.run import optimize_async as optimize_async
    from .program.params import Param as Param
    from .program.params import Value as Value
    from .program.slots import slot as slot
    from .program.slots import slot_sync as slot_sync
    from .program.steps import step as step
    from .report.diffs import diff as diff
    from .report.report import write_report as write_report
    from .report.show import show as show
    from .run.comparisons import compare as compare
    from .run.eval_result import EvalResult as EvalResult
    from .run.eval_result import EvalRow as EvalRow
    from .run.listing import RunSummary as RunSummary
    from .run.listing import runs as runs
    from .run.load import load as load
    from .run.result import RunResult as RunResult
    from .run.use import use as use
    from .runtime.cache import cache as cache
    from .runtime.flow import Flow as Flow
    from .runtime.lift.lift import Lifted as Lifted
    from .runtime.lift.lift import lift as lift
    from .runtime.lift.lift import lift_async as lift_async
    from .runtime.model_proxy import ModelProxy as ModelProxy
    from .runtime.models import models as models
    from .runtime.starts import starts as starts
    from .runtime.trace import Trace as Trace
    from .runtime.workbench import Workbench as Workbench
    from .task import Example as Example
    from .task import Judge as Judge
    from .task import Metric as Metric
    from .task import Part as Part
    from .task import Parts as Parts
    from .task import Task as Task
    from .workflow.workflow import Workflow as Workflow

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
    **dict.fromkeys(("slot", "slot_sync"), "program.slots"),
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

__all__ = [*_HOME]  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll]


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


def model_hosts() -> set[tuple[str, str]]:
    """Hosts and ports of models, for what stands below them and may not let them be called."""
    from .lm.providers import model_hosts as found

    return found()


def __dir__() -> list[str]:
    return sorted(__all__)
