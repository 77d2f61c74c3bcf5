"""The parts of `flowbot check`, one after the other: file, tools, workflow or examples and metric, models."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from flowbot.task.quality import Remark

from .check_model import Asking, ask_models, judge_task, too_long
from .check_task import every_row, look_at, open_tools, read_task, score_task
from .findings import Findings

if TYPE_CHECKING:
    from flowbot.fields import ToolSignature
    from flowbot.task import Task
    from flowbot.task.defects import ReadTask
    from flowbot.workflow.workflow import Workflow


def examine(path: Path, task: Path | None, asking: Asking, *, width: int) -> Findings:
    """All that can be found about a file. Imports the user's Python of a task.

    Args:
        path: a task's or a workflow's file.
        task: the file of the task that a workflow is for.
        asking: which models are asked.
        width: columns for a workflow's drawing.
    """
    import asyncio

    from flowbot.fields import UserError

    findings = Findings()
    workflow = _workflow(path, findings)
    read = None
    if workflow is not None and task is not None:
        read = read_task(task, findings)
    elif workflow is None and not findings.defects:
        if task is None:
            read = read_task(path, findings)
        else:
            expected = "a workflow's file; --task names the task that it is for"
            findings.fault(UserError(str(path), "no `nodes`, so it is no workflow", expected))
    asyncio.run(_examine(workflow, read, asking, findings, width))
    return findings


def _workflow(path: Path, findings: Findings) -> Workflow | None:
    """The workflow in the file; None if it holds something else, or a defect."""
    from flowbot.fields import UserError
    from flowbot.fields.yaml import read_data
    from flowbot.workflow.messages import FormatError
    from flowbot.workflow.workflow import Workflow

    try:
        data = read_data(path)
        return Workflow.load(path) if isinstance(data, dict) and "nodes" in cast("dict[str, Any]", data) else None
    except FormatError as error:
        findings.defects += [Remark(each.where, each.what, each.mend) for each in error.defects]
    except UserError as error:
        findings.fault(error)
    return None


async def _examine(
    workflow: Workflow | None, read: ReadTask | None, asking: Asking, findings: Findings, width: int
) -> None:
    """All that needs an event loop: tools, the metric, the models."""
    from flowbot.lm.session import Session
    from flowbot.store import Store

    async with AsyncExitStack() as stack:
        store = Store.open(asking.cache_dir / "store.sqlite") if asking.models else Store.memory()
        stack.push_async_callback(store.close)
        session = Session(store=store)
        task = None if read is None else read.task
        signatures: Mapping[str, ToolSignature] = {}
        if task is not None:
            signatures = await open_tools(task, findings, cache_dir=asking.cache_dir, say=asking.say)
        if workflow is not None:
            _check_workflow(workflow, task, signatures, findings, width)
            await ask_models(asking, session, findings)
        elif read is None or task is None:
            await ask_models(asking, session, findings)
        else:
            look_at(read, signatures, findings)
            with redirect_stdout(StringIO()):  # what a metric prints, a thousand times
                await score_task(session, read, findings)
            await ask_models(asking, session, findings)
            await judge_task(asking, session, read, findings)
            findings.warnings += too_long(findings.facts["model"], every_row(read))


def _check_workflow(
    workflow: Workflow, task: Task | None, tools: Mapping[str, ToolSignature], findings: Findings, width: int
) -> None:
    from flowbot.draw.text import draw_text
    from flowbot.fields import UserError
    from flowbot.runtime.open_model import names_file
    from flowbot.runtime.own_models import named_models, require_own_models
    from flowbot.workflow.check import check as check_workflow

    if task is None:
        found = check_workflow(workflow)
    else:
        found = check_workflow(workflow, tools=tools, task_inputs=task.inputs, task_outputs=task.outputs)
    findings.defects += [Remark(each.where, each.what, each.mend) for each in found]
    named = sorted({model for _, model in named_models(workflow)})
    if may := [model for model in named if not names_file(model)]:
        findings.rows.append(
            ("Models", f"its steps name {', '.join(may)}; who runs it must name them too, by --models")
        )
    try:
        require_own_models(named, workflow=workflow)  # what even that does not allow
    except UserError as error:
        findings.fault(error)
    if not found:
        findings.drawing = draw_text(workflow, width=width).splitlines()
