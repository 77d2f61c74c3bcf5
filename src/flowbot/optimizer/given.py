"""What was given to `optimize` or `evaluate`, checked at once: a person's slip is one line, before anything is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, get_args

from flowbot.fields import UserError
from flowbot.fields.numbers import shown
from flowbot.lm.budget import Budget
from flowbot.lm.pace import Pace
from flowbot.lm.prices import is_price
from flowbot.lm.stop import StopSignal
from flowbot.runtime.executors import ExecutorName
from flowbot.runtime.flow import Flow
from flowbot.runtime.own_models import own_models, require_own_models
from flowbot.runtime.sandbox import SandboxName
from flowbot.runtime.workbench import Workbench
from flowbot.task import Task
from flowbot.workflow.starts import Start, find_start, fit
from flowbot.workflow.workflow import Workflow

GivenTask: TypeAlias = Task | Path | str
"""A task, or the path of its file or folder."""
GivenWorkflow: TypeAlias = Workflow | Flow | Path | str
"""A workflow, that of a flow, the path of its file, or the name of a start of the library, such as `self-refine`."""


def given_task(task: object) -> Task:
    """The task itself, or the one of a file or folder.

    Raises:
        UserError: if it is neither.
    """
    if isinstance(task, str | Path):
        return Task.load(task)
    if not isinstance(task, Task):
        raise UserError("task", shown(task), "a Task, or the path of a task.yaml")
    return task


def given_workflow(workflow: object, where: str) -> Workflow | Start:
    """The workflow itself, that of a `Flow`, the one of a file, or a start of the library, which `fitted` makes fit.

    Args:
        workflow: what was given; a text without a suffix that is no file is a start's name.
        where: how errors name it.

    Raises:
        UserError: if it is none of them.
    """
    if isinstance(workflow, str) and not Path(workflow).suffix and not Path(workflow).exists():
        return find_start(workflow)
    if isinstance(workflow, str | Path):
        return Workflow.load(Path(workflow))
    if isinstance(workflow, Flow):
        return workflow.workflow
    if not isinstance(workflow, Workflow):
        expected = "a Workflow, a Flow, the path of a .flow.yaml, or a name that `flowbot starts` lists"
        raise UserError(where, shown(workflow), expected)
    return workflow


def fitted(workflow: Workflow | Start, task: Task) -> Workflow:
    """The workflow, or the start made to fit the task, whose tools are opened.

    Raises:
        UserError: if the start does not fit.
    """
    if isinstance(workflow, Workflow):
        return workflow
    tools = {tool.signature.name: tool.signature for tool in task.tools}
    return fit(workflow, task.inputs, task.outputs, task.goal, tools=tools)


def users_models(
    workflow: Workflow | Start | None,
    given: object,
    task: Task,
    *named: str | None,
    models: Sequence[str] | None,
) -> frozenset[str]:
    """The user's list of models, to which what workflow and task name is held; see `flowbot.runtime.own_models`.

    Args:
        workflow: what is to be run.
        given: as what it was given; a `Flow` has a list of its own.
        task: for its judges.
        named: task, meta and judge model.
        models: what else may be named.

    Raises:
        UserError: naming all models beyond the list.
    """
    flow = given.models if isinstance(given, Flow) else ()
    own = own_models(*named, *flow, models=models, metric=task.metric)
    begun = workflow.workflow if isinstance(workflow, Start) else workflow
    where = str(given) if isinstance(given, str | Path) else "workflow"
    require_own_models(own, workflow=begun, where=where, metric=task.metric)
    return own


def require_models(*, needed: tuple[str, ...] = (), **models: object) -> None:
    """Refuse what is no model string; None stands for none where the model is not needed.

    Raises:
        UserError: naming the argument.
    """
    for name, model in models.items():
        if (model is not None or name in needed) and not isinstance(model, str):
            raise UserError(name, shown(model), "a model string such as 'openai/gpt-4.1-mini'")


def require_settings(**settings: object) -> None:
    """Refuse settings of another kind than they are; None stands for what is left to us.

    Args:
        settings: by the names that `optimize` and `evaluate` have for them: `budget`, `pace`, `stop`, `seed`, `price`, folders,
            `executor` and `sandbox`.

    Raises:
        UserError: naming the argument.
    """
    for name, value in settings.items():
        fits, expected = _SETTINGS[name]
        if value is not None and not fits(value):
            raise UserError(name, shown(value), expected)


def _is(*kinds: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, kinds) and not isinstance(value, bool)


def _one_of(names: Sequence[str]) -> tuple[Callable[[object], bool], str]:
    return lambda value: value in names, f"one of {', '.join(names)}"


def _is_seed(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


_FOLDER = (_is(str, Path), "the path of a folder")
_SETTINGS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "budget": (_is(Budget), "fb.Budget(calls=…, usd=…)"),
    "pace": (_is(Pace), "fb.Pace(concurrency=…)"),
    "stop": (_is(StopSignal), "an fb.StopSignal()"),
    "seed": (_is_seed, "a whole number from 0 to 2^63 - 1"),
    "price": (is_price, "two numbers, USD per million input and output tokens, such as (0.4, 1.6)"),
    "run_dir": _FOLDER,
    "cache_dir": _FOLDER,
    "workbench": (_is(Workbench), "an fb.Workbench()"),
    "executor": _one_of(get_args(ExecutorName)),
    "sandbox": _one_of(get_args(SandboxName)),
}
