"""`flowbot check`: is this task, or this workflow, sound? No model is asked and nothing is paid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Parameter

from .console import Console
from .options import PLACES, Output

if TYPE_CHECKING:
    from flowbot.task import Task


def check(
    file: Annotated[Path, Parameter(name="FILE", negative=())],
    /,
    *,
    task: Annotated[Path | None, Parameter(name="--task")] = None,
    cache_dir: Annotated[Path | None, Parameter(group=PLACES)] = None,
    output: Output = Output(),  # noqa: B008
) -> int:
    """Check a task file or a workflow file and list every defect.

    Parameters
    ----------
    file
        A task.yaml or a .flow.yaml (JSON works too).
    task
        The task that a workflow is for: its tools, inputs and outputs are then checked as well.
    cache_dir
        Folder of search indexes; the user's cache folder otherwise.
    """
    from flowbot.fields import UserError
    from flowbot.fields.yaml import read_data
    from flowbot.workflow.messages import FormatError

    console = Console.open(output)
    if not file.is_file():
        raise UserError(str(file), "a folder" if file.is_dir() else "no such file", "a task or a workflow file")

    def opened(path: Path) -> Task:
        return _load_task(path, cache_dir, lambda line: console.say(line, "soft"))

    defects: list[dict[str, str]] = []
    lines: list[tuple[str, str]] = []
    try:
        data = read_data(file)
        if isinstance(data, dict) and "nodes" in cast("dict[str, Any]", data):
            known = None if task is None else opened(task)
            defects, lines = _check_workflow(file, known, console.width - 14)
        else:
            lines = _about(opened(file))
    except FormatError as error:
        defects = [{"where": each.where, "what": each.what, "mend": each.mend} for each in error.defects]
    except UserError as error:
        defects = [{"where": error.where, "what": f"found {error.found}", "mend": f"expected {error.expected}"}]
    console.json({"ok": not defects, "defects": defects})
    if defects:
        for each in defects:
            console.result(f"{each['where']}: {each['what']}. {each['mend']}".rstrip(". "), "bad")
        console.say(f"{len(defects)} defect{'s' * (len(defects) > 1)} in {file}.")
        return 1
    console.say(f"{file} is sound.", "good")
    for name, text in lines:
        console.row(name, text)
    return 0


def _load_task(file: Path, cache_dir: Path | None, say: Callable[[str], None]) -> Task:
    """The task with its tools opened once, which shows whether they can be; what they take and give is kept."""
    import asyncio

    from flowbot.task import Task

    loaded = Task.load(file)
    return asyncio.run(_opened(loaded, cache_dir, say)) if loaded.sources else loaded


async def _opened(task: Task, cache_dir: Path | None, say: Callable[[str], None]) -> Task:
    from flowbot.runtime import opened_task

    async with opened_task(task, cache_dir=cache_dir, say=say) as opened:
        return opened


def _about(task: Task) -> list[tuple[str, str]]:
    sizes = ", ".join(f"{len(examples)} {split}" for split, examples in task.splits.items())
    rows = [
        ("Goal", task.goal),
        ("Inputs", ", ".join(f"{field.name}: {field.type}" for field in task.inputs)),
        ("Outputs", ", ".join(f"{field.name}: {field.type}" for field in task.outputs)),
        ("Metric", task.metric.name),
        ("Examples", sizes),
    ]
    if task.tools:
        rows.append(("Tools", ", ".join(tool.signature.name for tool in task.tools)))
    return rows


def _check_workflow(file: Path, task: Task | None, width: int) -> tuple[list[dict[str, str]], list[tuple[str, str]]]:
    from flowbot.workflow import check as check_workflow
    from flowbot.workflow import draw_text, load

    workflow = load(file)
    if task is None:
        found = check_workflow(workflow)
    else:
        found = check_workflow(
            workflow,
            tools={tool.signature.name: tool.signature for tool in task.tools},
            task_inputs=task.inputs,
            task_outputs=task.outputs,
        )
    defects = [{"where": each.where, "what": each.what, "mend": each.mend} for each in found]
    return defects, [] if defects else [("", line) for line in draw_text(workflow, width=width).splitlines()]
