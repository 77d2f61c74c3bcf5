"""The arguments of `optimize` and `evaluate`, checked at once: a person's slip is one line, before anything is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast, get_args

from flowbot.fields import UserError
from flowbot.fields.arguments import FOLDER, MODEL, NAMES, SWITCH, Check, Checks, choice, one_kind, require_value
from flowbot.fields.numbers import LEAST, MOST, is_number, shown
from flowbot.lm.callable_model import ModelLike
from flowbot.run.folders import FOLDER as RUNS
from flowbot.run.folders import flow_file
from flowbot.run.result import RunResult
from flowbot.runtime.allowed_models import allowed_models, require_allowed_models
from flowbot.runtime.flow import Flow
from flowbot.runtime.settings import (
    CHECKS,
    DEFAULTS,
    CallSettings,
    WorkbenchSettings,
    require_settings,
)
from flowbot.runtime.starts import start_tools
from flowbot.runtime.workbench import Workbench
from flowbot.task import Task
from flowbot.task.programs import UserProgram
from flowbot.workflow.starts import Start, find_start, fit, list_starts
from flowbot.workflow.workflow import Workflow

from .progress import ProgressCallback
from .seams import AskedMode, FeedbackMode, Order

TaskLike: TypeAlias = Task | Path | str
"""A task, or the path of its file or folder."""
WorkflowLike: TypeAlias = Workflow | Start | Flow | RunResult | Path | str | UserProgram | Callable[..., Any]
"""A workflow, that of a flow, the path of its file, a start of the library or its name, such as `self-refine`, a run that
found one: its result, its folder, or its name in runs/; or a program: a callable, or `app.py:answer`."""


class RunSettings(WorkbenchSettings, total=False):
    """What an optimisation and an evaluation have in common.

    Args:
        judge_lm: model string of the judges of the task's metric that name no model; when None the meta model, or without one
            the task model.
        models: model strings that steps and judges of files may name beside those of the arguments, and that a search may give to
            steps: by price or size, else in this order the cheapest first and the strongest last.
        allow_writes: True: tools that write are called for real; without it they need a stand-in.
        progress: called with a `ProgressEvent` at every step and at all news; see `ProgressCallback`.
        workbench: what it shares with other runs, which then says `cache_dir`, `pace`, `sandbox` and `executor`; one of its own
            when None.
    """

    judge_lm: ModelLike | None
    models: Sequence[str] | None
    allow_writes: bool
    progress: ProgressCallback | None
    workbench: Workbench | None


SETTINGS = (CallSettings, WorkbenchSettings, RunSettings)
RUN_DEFAULTS: Mapping[str, object] = {**DEFAULTS, "allow_writes": False}


def as_task(task: object) -> Task:
    """The task itself, or the one of a file or folder.

    Raises:
        UserError: if it is neither.
    """
    if isinstance(task, str | Path):
        return Task.load(task)
    if not isinstance(task, Task):
        raise UserError("task", shown(task), "a Task, or the path of a task.yaml")
    return task


def as_workflow(workflow: object, where: str) -> Workflow | Start:
    """The workflow itself, that of a `Flow`, the one of a file or that a run found, or a start of the library, which `fitted` makes fit.

    Args:
        workflow: what was given; a text without a suffix that is no file and no run is a start's name.
        where: how errors name it.

    Raises:
        UserError: if it is none of them.
    """
    if isinstance(workflow, str) and not Path(workflow).suffix and not Path(workflow).exists():
        starts = [each.name for each in list_starts()]
        if workflow in starts or not (RUNS / workflow).is_dir():
            return find_start(workflow)
    if isinstance(workflow, str | Path | RunResult):
        return Workflow.load(flow_file(workflow))
    if isinstance(workflow, Flow):
        return workflow.workflow
    if not isinstance(workflow, Workflow | Start):
        expected = (
            "a Workflow, a Flow, the path of a .flow.yaml, a run, a name that `flowbot starts` lists, or a program"
        )
        raise UserError(where, shown(workflow), expected)
    return workflow


def fitted(workflow: Workflow | Start, task: Task) -> Workflow:
    """The workflow, or the start made to fit the task, whose tools are opened.

    Raises:
        UserError: if the start does not fit.
    """
    if isinstance(workflow, Workflow):
        return workflow
    return fit(workflow, task.inputs, task.outputs, task.goal, tools=start_tools(workflow, task))


def users_models(
    workflow: Workflow | Start | None,
    given: object,
    task: Task,
    *lms: str | None,
    models: Sequence[str] | None,
) -> frozenset[str]:
    """The user's list of models, to which what workflow and task name is held; see `flowbot.runtime.allowed_models`.

    Args:
        workflow: what is to be run.
        given: as what it was given; a `Flow` has a list of its own.
        task: for its judges.
        lms: task, meta and judge model.
        models: what else may be named.

    Raises:
        UserError: naming all models beyond the list.
    """
    flow = given.models if isinstance(given, Flow) else ()
    own = allowed_models(*lms, *flow, models=models, metric=task.metric)
    begun = workflow.workflow if isinstance(workflow, Start) else workflow
    require_allowed_models(own, workflow=begun, where=named(given), metric=task.metric)
    return own


def named(workflow: object) -> str:
    """What errors call a workflow that was given."""
    if isinstance(workflow, Start | RunResult):
        return workflow.name if isinstance(workflow, Start) else str(workflow.run_dir)
    return str(workflow) if isinstance(workflow, str | Path) else "workflow"


def require_run(call: str, settings: RunSettings, models: Mapping[str, object], **more: object) -> None:
    """Refuse settings that there are none of or of another kind than they are, and what is no model string.

    Args:
        call: what was called.
        settings: as they were given.
        models: model strings by the argument's name; None stands for none.
        more: other arguments that are looked at, such as `seed`.

    Raises:
        UserError: naming the argument.
    """
    require_settings(call, settings, RunSettings, _CHECKS)
    checks: Checks = {**_CHECKS, **dict.fromkeys(models, MODEL)}
    for name, value in {**models, **more}.items():
        require_value(name, value, checks)


LIMIT: Check = (lambda value: one_kind(int)(value) and 1 <= cast("int", value) <= MOST, "a whole number above 0")

_CHECKS: Checks = {
    **CHECKS,
    "judge_lm": MODEL,
    "seed": (
        lambda value: one_kind(int)(value) and 0 <= cast("int", value) < 2**63,
        "a whole number from 0 to 2^63 - 1",
    ),
    "meta_mode": choice(get_args(AskedMode)),
    "feedback": choice(get_args(FeedbackMode)),
    "order": choice(get_args(Order)),
    "max_calls_per_example": LIMIT,
    "max_nodes": LIMIT,
    "max_latency": (lambda value: is_number(value) and LEAST <= value <= MOST, "a number of seconds above 0"),
    "freeze": NAMES,
    "name": (one_kind(str), "a name for the run"),
    "run_dir": FOLDER,
    "workbench": (one_kind(Workbench), "an fb.Workbench()"),
    **dict.fromkeys(("allow_writes", "fresh", "traces"), SWITCH),
}
