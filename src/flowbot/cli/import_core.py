"""`flowbot import`: a program in words as a workflow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from .console import Console
from .options import FORCE, OUT, Output, require_new

_FILE = "The program: a text with a step a line, NAME:::TYPE:::INSTRUCTION:::KEY::TARGET."
_MOST_BYTES = 1_000_000


def import_core(
    file: Annotated[Path, Parameter(name="FILE", negative=(), help=_FILE)],
    /,
    *,
    task: Annotated[Path | None, Parameter(name="--task")] = None,
    lift: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    interpreter: Literal["compact", "faithful"] = "compact",
    out: Annotated[Path | None, OUT] = None,
    force: Annotated[bool, FORCE] = False,
    output: Output = Output(),  # noqa: B008
) -> int:
    """Make a workflow of a program in words (CoRE): one node that carries it out, or typed nodes. Nothing is called.

    Parameters
    ----------
    task
        The task that it is for: its inputs, outputs and tools. Without one it reads `task` and gives `answer`, both texts.
    lift
        Typed nodes in place of the program, where its circles are loops; otherwise it stays a program, and why is said.
    interpreter
        How it is carried out: compact takes a call a step; faithful asks what the published interpreter asks, to compare with.
    out
        The workflow's file; without it the workflow is shown.
    force
        Replace the file of --out.
    """
    from flowbot.fields import Field
    from flowbot.fields.files import read_text
    from flowbot.fields.words import count
    from flowbot.fields.yaml import dump_yaml
    from flowbot.task import Task
    from flowbot.workflow.core import read_core
    from flowbot.workflow.core_lift import lift_core
    from flowbot.workflow.starts.core import core_workflow

    console = Console.open(output)
    text = read_text(file, limit=_MOST_BYTES, piped=True)
    loaded = None if task is None else Task.load(task)
    inputs = [Field.of("task", "str")] if loaded is None else loaded.inputs
    outputs = [Field.of("answer", "str")] if loaded is None else loaded.outputs
    tools = () if loaded is None else [tool.signature.name for tool in loaded.tools]
    program, defects = read_core(text)
    for each in defects[1:]:
        console.say(f"{file}: {each}", "warn")
    workflow = core_workflow(text, inputs, outputs, tools=tools, interpreter=interpreter, where=str(file))
    why, notes = "", list(program.notes)
    if loaded is not None and loaded.sources:
        notes.append("The tools of its servers are not named: add those that its steps may call under `tools`.")
    if lift:
        lifted, why = lift_core(workflow, next(iter(workflow.sketch.nodes)))
        workflow = lifted or workflow
        if lifted is not None and interpreter == "faithful":
            notes.append("Typed nodes are run as those of any workflow: --interpreter says nothing of them.")
    if out is not None:
        require_new(out, force=force)
        workflow.save(out)
    facts = {"notes": notes, "lifted": lift and not why, "why": why, "workflow": workflow.dump()}
    console.json({**facts, "file": None if out is None else str(out)})
    if out is None:
        console.result(dump_yaml(workflow.dump()).rstrip("\n"))
    else:
        console.result(f"{count(len(workflow.sketch.nodes), 'node')} in {out}.", "good")
    for note in (*notes, *([f"It stays a program: {why}"] if why else [])):
        console.say(note, "warn")
    return 0
