"""`flowbot export`: a workflow as files that run without FlowBot."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flowbot.fields import UserError
from flowbot.fields.words import count, listed

from .console import Console
from .options import ALLOW_WRITES, FORCE, OUT, Calls, FlowFile, Output, StepsModel, whole
from .text import complain

if TYPE_CHECKING:
    from flowbot.export.export import ExportResult
    from flowbot.export.scored import ScoredParity
    from flowbot.export.source.write import Written

FAILED = 1
SOURCE = "source"
"""What `--to` says for a program's own file."""
CORE = "core"
"""What it says for a program in words."""
_SPLITS = {"val": "validation", "train": "training"}


def export(
    flow: FlowFile,
    /,
    *,
    to: Annotated[str, Parameter(name="--to")],
    out: Annotated[Path | None, OUT] = None,
    check: Annotated[Path | None, Parameter(name="--check")] = None,
    trust_code: Annotated[bool, Parameter(name="--trust-code", negative=(), show_default=False)] = False,
    force: Annotated[bool, FORCE] = False,
    python: Annotated[str, Parameter(name="--python", show_default=False)] = "",
    most: Annotated[int | None, Parameter(name="--most", negative=(), converter=whole, show_default=False)] = None,
    model: StepsModel = None,
    allow_writes: Annotated[bool, ALLOW_WRITES] = False,
    calls: Calls = Calls(),  # noqa: B008
    output: Output = Output(),  # noqa: B008
) -> int:
    """Write a workflow, or what a run found, as files that run without FlowBot, and check that they ask for the same.

    What a run found is checked on the stored replies of the run, at no cost. Exit status 1 tells that an export asks for something else.

    Parameters
    ----------
    to
        What is written: prompts (the prompts as Markdown and JSON), python (one file on the openai package), langgraph, dspy or pydantic-ai (one
        file for that framework); core (a program in words, which leaves out what no words say); or source: what was found for a program goes
        into its own file, literal by literal, in place.
    out
        The folder; with `--to source` the one in which the program stands, otherwise this one.
    check
        The task on whose validation examples (training, where it has none) the export is compared with the workflow, which is run on them
        first where no replies are stored; it tells of the workflow's tools, too.
    trust_code
        Embed the code of the workflow's steps, which then runs without a sandbox.
    python
        The interpreter that runs an export for langgraph, dspy or pydantic-ai when it is checked; the one that runs FlowBot unless it is named.
    most
        Examples of the check, the first ones; all of the split unless it is named.
    force
        Replace the export that is in the folder of --out, and leave what else is there; with `--to source` literals whatever they say now.
    allow_writes
        Call tools that write, for real, where the workflow is run for the check.
    """
    from flowbot.export.export import read_export
    from flowbot.task import Task

    from .engine import require_model, require_price
    from .signals import run_pausing

    console = Console.open(output)
    if to in (SOURCE, CORE) and (check is not None or calls.dry_run):
        odd = "--dry-run" if check is None else "--check"
        raise UserError(f"--to {to}", f"{odd} beside it", f"no {odd}: no model is asked, and nothing is compared")
    if to == SOURCE:
        from flowbot.export.source.write import write_source

        written = write_source(flow, folder=out or Path(), force=force)
        console.json(written.dump())
        say_written(console, written)
        return 0
    if out is None:
        raise UserError("--out", "nothing", "the folder of the export")
    if to == CORE:
        return _write_core(console, flow, out, force=force)
    ready = read_export(
        flow,
        to,
        model=model,
        task=None if check is None else Task.load(check),
        trust_code=trust_code,
        python=python,
        most=most,
    )
    require_model(ready.workflow, ready.model)
    require_price(calls, ready.model)
    if calls.dry_run:
        console.json({"dry_run": True, "n": len(ready.examples), "calls": ready.calls})
        console.result(
            f"{count(ready.calls, 'model call')} at most for the check; none was made, and nothing was written."
        )
        return 0
    listed_models, soft = calls.listed(), partial(console.say, style="soft")
    result = run_pausing(
        lambda stop: ready.write(
            out, force=force, models=listed_models, allow_writes=allow_writes, say=soft, **calls.settings(stop)
        ),
        say=partial(console.say, style="warn"),
    )
    console.json(result.dump())
    _show(console, result, ready.target.about)
    return 0 if result.parity is None or result.parity.ok else FAILED


def say_written(console: Console, written: Written) -> None:
    """Which literals were written, and a line for each that was not."""
    console.result(str(written), "good" if written.files else "")
    for each in written.left:
        console.paragraph(f"{each.where}: {each.what}; {each.mend}", "warn", indent=2)


def _write_core(console: Console, flow: Path, out: Path, *, force: bool) -> int:
    from flowbot.export.core import FILE, core_text
    from flowbot.export.folder import write_export
    from flowbot.run.folders import flow_file
    from flowbot.workflow.check import require_valid
    from flowbot.workflow.workflow import Workflow

    workflow = Workflow.load(flow_file(flow))
    require_valid(workflow, where=str(flow), allow_writes=True)
    made = core_text(workflow, str(flow))
    write_export(out, {FILE: made.text}, force=force)
    console.json({"to": CORE, "out": str(out), "files": [FILE], "lost": made.lost})
    console.result(f"{FILE} in {out}: a program in words.", "good")
    for each in made.lost:
        console.say(f"Lost. {each}", "warn")
    return 0


def _show(console: Console, result: ExportResult, about: str) -> None:
    from flowbot.export.scored import ScoredParity

    console.result(f"{count(len(result.files), 'file')} in {result.out}: {about}.", "good")
    parity = result.parity
    if parity is None:
        console.say(f"Not checked: {result.unchecked}.", "warn")
        return
    of = count(parity.examples, f"{_SPLITS[parity.split]} example")
    for ids, why in (
        (parity.absent, "their replies are not all stored, or the endpoint refuses them"),
        (parity.own, "the workflow shows them as demonstrations"),
    ):
        if ids:
            console.say(f"Not compared: {count(len(ids), 'example')} ({listed(ids, 5)}): {why}.", "warn")
    if result.unreached:
        console.say(f"Not compared: {listed(result.unreached, 5)}: no example came there.", "warn")
    if isinstance(parity, ScoredParity):
        _show_scores(console, parity, of)
        return
    if parity.first is None:
        console.say(f"Checked: the same {count(parity.requests, 'request')} on {of}.", "good")
        return
    complain(f"the export asks for something else: example {parity.first.example}: {parity.first.what}")
    for line in parity.first.diff.splitlines():
        console.say(line, "good" if line.startswith("+") else "bad" if line.startswith("-") else "")


def _show_scores(console: Console, parity: ScoredParity, of: str) -> None:
    difference = parity.difference
    shown = f"{100 * difference.mean:+.1f} ({100 * difference.low:+.1f} to {100 * difference.high:+.1f})"
    scores = f"it scores {100 * parity.export:.1f} and the workflow {100 * parity.workflow:.1f} on {of}: {shown}"
    asked = f"{parity.same} of the workflow's {count(parity.requests, 'request')} were made as they are, {parity.made} in all"
    asked += f"; the same was given on {count(parity.alike, 'example')}"
    if parity.failed:
        some = f"{count(len(parity.failed), 'example')} ({listed(parity.failed, 5)})"
        console.say(f"The export failed on {some}, first: {parity.fault}", "warn")
    if parity.ok:
        console.say(f"Checked: {scores}; {asked}.", "good")
    else:
        complain(f"the export is worse: {scores}; {asked}")
