"""From a workflow's file, or a run that found one, to a flow: `fb.load`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Unpack

from flowbot.fields.arguments import checked_arguments, one_kind
from flowbot.runtime.flow import FLOW_CHECKS, FLOW_DEFAULTS, Flow, FlowSettings
from flowbot.runtime.settings import CallSettings, require_settings, with_settings
from flowbot.task import Task
from flowbot.workflow.workflow import Workflow

from .folders import RUN, RunLike, flow_file


@with_settings(CallSettings, FlowSettings, defaults=FLOW_DEFAULTS)
@checked_arguments(
    path=(RUN[0], "the path of a workflow's file, or a run that found one"),
    task=(one_kind(Task, str, os.PathLike), "a Task, or the path of a task.yaml"),
)
def load(path: RunLike, *, task: Task | Path | str | None = None, **settings: Unpack[FlowSettings]) -> Flow:
    """A `Flow` from a workflow's file. Reading the file runs no code.

        >>> flow = fb.load("found.flow.yaml", lm="openai/gpt-4.1-mini", tools=[lookup])
        >>> flow(question="How many pears are left?")
        {'answer': 12}
        >>> flow = fb.load("support-1", lm="openai/gpt-4.1-mini", task="support/task.yaml")     # a run, with the tools of its task

    Args:
        path: the file, or a run that found a workflow: its result, its folder, or its name in runs/.
        task: the task that it is for, or its file: its tools, sources and programs are given to the workflow, before those of `tools` and `programs`. Loading a
            task imports the Python files that it names.

    Raises:
        UserError: if the file is not a valid workflow, or something that it needs is not given.
    """
    require_settings("load", settings, FlowSettings, FLOW_CHECKS)
    if task is not None:
        solved = task if isinstance(task, Task) else Task.load(task)
        settings["programs"] = (*solved.programs, *(settings.get("programs") or ()))
        settings["tools"] = (*solved.tools, *solved.sources, *(settings.get("tools") or ()))
    return Flow(Workflow.load(flow_file(path)), **settings)
