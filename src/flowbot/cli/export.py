"""`flowbot export`: a workflow as files that run without FlowBot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flowbot.fields.words import count

from .console import Console
from .options import FORCE, OUT, Calls, FlowFile, Output, StepsModel
from .text import complain


def export(
    flow: FlowFile,
    /,
    *,
    to: Annotated[str, Parameter(name="--to")],
    out: Annotated[Path, OUT],
    check: Annotated[Path | None, Parameter(name="--check")] = None,
    trust_code: Annotated[bool, Parameter(name="--trust-code", negative=(), show_default=False)] = False,
    force: Annotated[bool, FORCE] = False,
    model: StepsModel = None,
    calls: Calls = Calls(),  # noqa: B008
    output: Output = Output(),  # noqa: B008
) -> int:
    """Write a workflow, or what a run found, as files that run without FlowBot.

    Parameters
    ----------
    to
        What is written: prompts.
    out
        The folder.
    check
        The task on whose validation examples the export is to ask for the same as the workflow; it has the workflow's tools, too.
    trust_code
        Embed the code of the workflow's steps, which then runs without a sandbox.
    force
        Replace the files of an export in the folder of --out.
    """
    from flowbot.export.exporting import exported
    from flowbot.export.folder import write_export
    from flowbot.export.target import find_target
    from flowbot.run.folders import flow_file
    from flowbot.workflow.check import require_valid
    from flowbot.workflow.workflow import Workflow

    from .engine import require_model

    console = Console.open(output)
    target = find_target(to)
    file = flow_file(flow)
    workflow = Workflow.load(file)
    require_model(workflow, model)
    require_valid(workflow, where=str(file), allow_writes=True)
    made = exported(workflow, model=model, name=flow.name.partition(".")[0], origin=str(flow), trust_code=trust_code)
    if refused := target.refuses(made):
        for sentence in refused:
            complain(f"--to {to}: {sentence}")
        return 2
    files = target.files(made)
    write_export(out, files, force=force)
    console.json({"to": to, "out": str(out), "files": list(files), "parity": None})
    console.result(f"{count(len(files), 'file')} in {out}: {target.about}.", "good")
    return 0
