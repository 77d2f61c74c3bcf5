"""The library of hand-written workflows, made to fit a task."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import overload

from flowbot.fields import ToolSignature, UserError
from flowbot.fields.arguments import FOLDER, checked_arguments, one_kind
from flowbot.task import Task
from flowbot.workflow.starts import Start, find_start, fit, list_starts
from flowbot.workflow.workflow import Workflow

from .blocking import blocking
from .toolbox import opened_task


@overload
def starts() -> tuple[Start, ...]: ...
@overload
def starts(name: str) -> Start: ...
@overload
def starts(
    name: str,
    task: Task | Path | str,
    *,
    pins: Mapping[str, str] | None = None,
    cache_dir: Path | str | None = None,
) -> Workflow: ...
@checked_arguments(
    name=(one_kind(str), "a start's name, such as 'self-refine'"),
    task=(one_kind(Task, str, os.PathLike), "a Task, or the path of a task.yaml"),
    pins=(one_kind(Mapping), "model strings by the step that asks it"),
    cache_dir=FOLDER,
)
def starts(
    name: str | None = None,
    task: Task | Path | str | None = None,
    *,
    pins: Mapping[str, str] | None = None,
    cache_dir: Path | str | None = None,
) -> tuple[Start, ...] | Start | Workflow:
    """The hand-written workflows of the literature: all, one of them, or one made to fit a task. Asks no model.

        >>> [start.name for start in fb.starts()]
        >>> fb.starts("self-refine", task).save("start.flow.yaml")

    Args:
        name: a start, such as `self-consistency`; None for all of them.
        task: the workflow then has its inputs, outputs and goal; a task or its file. Its tools are opened only if the start
            needs any.
        pins: another model for a step that names one, by the step.
        cache_dir: folder of the indexes of corpora that the tools search; the user's cache folder when None.

    Raises:
        UserError: if there is no such start, the task lacks what it needs, or a tool cannot be opened.
    """
    if name is None:
        if task is not None:
            raise UserError("name", "None, beside a task", "a start's name, such as 'self-refine'")
        return tuple(list_starts())
    start = find_start(name)
    if task is None:
        return start
    solved = task if isinstance(task, Task) else Task.load(task)
    tools = start_tools(start, _opened_tools(solved, cache_dir)) if start.tools or start.chooses_tools else None
    return fit(start, solved.inputs, solved.outputs, solved.goal, tools=tools, models=pins)


def start_tools(start: Start, task: Task) -> dict[str, ToolSignature]:
    """The tools that a start may call for a task whose tools are opened: those that the task declares, and what the start itself
    names of those that are at hand without."""
    declared = {tool.signature.name for tool in task.tools}
    return {name: each for name, each in task.signatures.items() if name in declared or name in start.tools}


async def _opened(task: Task, cache_dir: Path | str | None) -> Task:
    async with opened_task(task, cache_dir=cache_dir) as opened:
        return opened


_opened_tools = blocking(_opened, "starts")
