"""`flowbot lift`: a program of one's own as a typed workflow that makes exactly the same requests, or why there is none."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flowbot.fields.words import count, listed

from .console import Console
from .options import ALLOW_WRITES, CEILINGS, FORCE, OUT, Calls, Output, TaskFile, require_new, whole
from .text import complain

FAILED = 1
_PROGRAM = "The program, as app.py:answer."


def lift(
    program: Annotated[str, Parameter(name="PROGRAM", negative=(), help=_PROGRAM)],
    task: TaskFile,
    /,
    *,
    out: Annotated[Path | None, OUT] = None,
    limit: Annotated[int, Parameter(group=CEILINGS, converter=whole)] = 8,
    force: Annotated[bool, FORCE] = False,
    allow_writes: Annotated[bool, ALLOW_WRITES] = False,
    calls: Calls = Calls(),  # noqa: B008
    output: Output = Output(),  # noqa: B008
) -> int:
    """Draft a typed workflow from runs of a program, taken only if it makes exactly the same requests on all of them.

    The program is run on training examples; what is stored is not paid for again. Where no typed workflow says what it does, the step
    that defeats it is named, and the exit status is 1.

    Parameters
    ----------
    out
        The workflow's file; without it the workflow is shown.
    limit
        Examples that it is run on.
    force
        Replace the file of --out.
    allow_writes
        Run a program that writes, for real.
    """
    from flowbot.draw.text import draw_text
    from flowbot.runtime.lift.lift import lift_async

    from .signals import run_pausing

    console = Console.open(output)
    if out is not None:
        require_new(out, force=force)
    if calls.dry_run:
        console.json({"dry_run": True, "n": limit})
        console.result(f"The program would be run on {count(limit, 'example')} at most; no model was called.")
        return 0
    soft, warn = partial(console.say, style="soft"), partial(console.say, style="warn")
    lifted = run_pausing(
        lambda stop: lift_async(
            program, task, examples=limit, allow_writes=allow_writes, say=soft, **calls.settings(stop)
        ),
        say=warn,
    )
    console.json(lifted.dump())
    if lifted.failed:
        some = count(len(lifted.failed), "example")
        console.say(f"The program did not end well on {some} ({listed(lifted.failed, 5)}), which tell nothing.", "warn")
    if lifted.workflow is None:
        assert lifted.defeat is not None
        complain(f"{lifted.defeat.where}: {lifted.defeat.what}; {lifted.defeat.mend}")
        return FAILED
    on = count(lifted.examples, "example")
    console.result(f"It makes the same {count(lifted.requests, 'request')} on {on}.", "good")
    for line in draw_text(lifted.workflow, width=console.width - 2).splitlines():
        console.say(f"  {line}".rstrip())
    for note in lifted.notes:
        console.say(note, "warn")
    if lifted.tools:
        console.say(f"In the task file: tools: [{', '.join(lifted.tools)}]")
    if out is not None:
        lifted.workflow.save(out)
        console.say(f"Written: {out}.", "good")
    return 0
