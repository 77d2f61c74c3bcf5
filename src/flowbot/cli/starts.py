"""`flowbot starts`: the library of hand-written workflows, listed, shown, and written for a task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowbot.fields import UserError

from .console import Console
from .options import FORCE, MODELS, OUT, CacheDir, Output, require_new
from .text import command_line

if TYPE_CHECKING:
    from flowbot.task import Task
    from flowbot.workflow.starts import Start
    from flowbot.workflow.workflow import Workflow


def starts(
    name: Annotated[str | None, Parameter(name="NAME")] = None,
    task: Annotated[Path | None, Parameter(name="TASK", negative=())] = None,
    /,
    *,
    out: Annotated[Path | None, OUT] = None,
    force: Annotated[bool, FORCE] = False,
    pin: Annotated[list[str] | None, Parameter(group=MODELS, negative=(), show_env_var=False)] = None,
    cache_dir: CacheDir = None,
    output: Output = Output(),  # noqa: B008
) -> int:
    """List the hand-written workflows of the literature; with NAME, show one; with TASK, make it fit the task.

    Parameters
    ----------
    name
        A start, such as self-consistency.
    task
        A task's file: the workflow then has its inputs, outputs and goal. Nothing is called and nothing is paid.
    out
        A .yaml or .json file to write the workflow to.
    force
        Replace the file of --out if it is there.
    pin
        STEP=MODEL: another model for a step that names one. May be given several times.
    """
    from flowbot.fields.yaml import dump_yaml
    from flowbot.runtime import starts as hand_written
    from flowbot.workflow.starts import find_start

    console = Console.open(output)
    if name is None:
        if out is not None or pin:
            option = "--out" if out is not None else "--pin"
            raise UserError(option, "no name of a start", mend="name one: flowbot starts NAME")
        _list(console)
        return 0
    start = find_start(name)
    if task is None:
        if pin:
            raise UserError(
                "--pin", "no task", mend=f"name one: {command_line('flowbot', 'starts', name)} TASK --pin STEP=MODEL"
            )
        workflow, text = start.workflow, start.text
    else:
        workflow = hand_written.starts(name, task, pins=_pins(pin or []), cache_dir=cache_dir)
        text = dump_yaml(workflow.dump())
    if out is not None:
        require_new(out, force=force)
        workflow.save(out)
    console.json({**_about(start), "workflow": workflow.dump(), "file": None if out is None else str(out)})
    if out is None:
        console.result(text.rstrip("\n"))
    else:
        console.result(f"{start.name} is in {out}.", "good")
        console.say(f"{start.what} {start.source}.", "soft")
    return 0


def start_workflow(
    start: str, task: Task, *, cache_dir: Path | None, where: str = "--start"
) -> tuple[Task, Workflow, str, Start | str]:
    """The task, with the program that is the start where one is; the workflow of `--start`, or what `where` says that it is of, what it is in words, and what `optimize` takes for it: a start's name, else a file (`./react` for one
    of that name) or a run.

    Raises:
        UserError: if it is neither, or the start does not fit the task.
    """
    from flowbot.fields.near import one_of
    from flowbot.optimizer.program_start import with_program
    from flowbot.run.folders import FOLDER, flow_file
    from flowbot.runtime import starts as hand_written
    from flowbot.workflow.starts import list_starts
    from flowbot.workflow.workflow import Workflow

    library = {each.name: each for each in list_starts()}
    if (made := with_program(start, task, where)) is not None:
        return *made, f"the program {start}", start
    if start in library:
        return (
            task,
            hand_written.starts(start, task, cache_dir=cache_dir),
            f"{start}: {library[start].what}",
            library[start],
        )
    if not Path(start).suffix and not Path(start).exists() and not (FOLDER / start).is_dir():
        raise UserError(where, repr(start), f"a workflow's file, a run, or {one_of(start, library)}")
    file = flow_file(Path(start))
    return task, Workflow.load(file), start if Path(start).is_file() else f"what the run {start} found", start


def _pins(options: list[str]) -> dict[str, str]:
    pins: dict[str, str] = {}
    for each in options:
        step, _, model = each.partition("=")
        if not step or not model:
            raise UserError("--pin", repr(each), "STEP=MODEL")
        pins[step] = model
    return pins


def _about(start: Start) -> dict[str, Any]:
    return {
        "name": start.name,
        "what": start.what,
        "source": start.source,
        "note": start.note,
        "needs": list(start.needs),
    }


def _list(console: Console) -> None:
    from flowbot.workflow.starts import list_starts

    library = list_starts()
    console.json([_about(start) for start in library])
    if console.mode == "quiet":
        for start in library:
            console.result(start.name)
    rows: list[tuple[str, str]] = []
    for start in library:
        needs = [("", f"needs {'; '.join(start.needs)}")] if start.needs else []
        rows += [(start.name, start.what), *needs, ("", start.source)]
    console.rows(rows)
    console.say()
    console.say(f"To use one: {command_line('flowbot', 'starts', 'NAME', 'TASK', '--out', 'FILE')}", "soft")
