"""`flowbot show`: what a run did on one example, step by step; without an example, which examples there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flowbot.fields import UserError
from flowbot.fields.words import count, percent

from .console import Console, Style
from .options import Output, RunFolder
from .text import command_line

if TYPE_CHECKING:
    from flowbot.report.show import ExampleScores, ShownRun
    from flowbot.run.view import RunView

LISTED = 40
"""Examples that are listed without --full."""
COLOURS: dict[str, Style] = {"fixed": "good", "better": "good", "broken": "bad", "worse": "bad", "wrong": "warn"}
SPLITS = {"test": "test", "val": "validation", "train": "training"}


def show(
    run: RunFolder,
    example: Annotated[str | None, Parameter(name="EXAMPLE", show_default=False)] = None,
    /,
    *,
    start: Annotated[bool, Parameter(name="--start", negative=(), show_default=False)] = False,
    found: Annotated[bool, Parameter(name="--found", negative=(), show_default=False)] = False,
    both: Annotated[bool, Parameter(name="--both", negative=(), show_default=False)] = False,
    candidate: Annotated[str | None, Parameter(name="--candidate")] = None,
    step: Annotated[str | None, Parameter(name="--step")] = None,
    prompt: Annotated[bool, Parameter(name="--prompt", negative=(), show_default=False)] = False,
    full: Annotated[bool, Parameter(name="--full", negative=(), show_default=False)] = False,
    output: Output = Output(),  # noqa: B008
) -> int:
    """Show what a run did on one example: prompts as sent, replies as received, tools, scores, gradients. Asks no model.

    Parameters
    ----------
    example
        The example's id, or with --prompt a step; without it the examples are listed, those fixed and broken first.
    start
        Show the start workflow alone.
    found
        Show the found workflow alone.
    both
        Show both, as is done without any of the three.
    candidate
        Show the workflow that a proposal made, such as p3, where the search wrote gradients on its run.
    step
        Show one step alone: a path as refine/critic, or one call of it as refine/critic[2].
    prompt
        Print the whole prompt of each step of what was found (with --start: of the start), to be copied: flowbot show RUN --prompt STEP
        prints that of one step. An input stands there as {{name}}; with --json, messages as an endpoint takes them.
    full
        Show long texts and lists whole.
    """
    from flowbot.report import show as runs

    from .show_example import show_example

    for option, value in (("--step", step), ("--candidate", candidate)):
        if (example is None or prompt) and value is not None:
            raise UserError(option, repr(value), f"an example to show it of: flowbot show RUN EXAMPLE {option} …")
    console = Console.open(output)
    if prompt:
        return _prompts(run, example, console, start=start)
    if example is None:
        return _list(runs.show(run), run, console, full=full)
    shown = runs.show(run, example)
    one = start != found and not both
    sides = [name for name, asked in (("start", start or not one), ("found", found or not one)) if asked]
    if candidate is not None:
        other = shown.candidate(candidate)
        sides = [*(sides if start or found or both else ()), other]
    if step is not None:
        shown = shown.only(step)
    left_out = {"start", "found"} - set(sides)
    facts = {name: value for name, value in shown.dump().items() if name not in left_out}
    console.json(facts)
    show_example(shown, sides, console.page(), full=full)
    return 0


def _prompts(run: Path, step: str | None, console: Console, *, start: bool) -> int:
    """Print what steps are told; with a step, its prompt and nothing else."""
    from flowbot.fields.near import one_of
    from flowbot.report.prompts import step_prompts
    from flowbot.run.folders import flow_file, run_folder
    from flowbot.run.journal import NAME, read_start
    from flowbot.run.result import START
    from flowbot.workflow.workflow import Workflow

    file = run_folder(run) / START if start else flow_file(run)
    journal = file.parent / NAME
    model = read_start(journal).models.get("task") if journal.is_file() else None
    found = step_prompts(Workflow.load(file), model)
    shown = [each for each in found if step in (None, each.step)]
    if not shown:
        known = one_of(step or "", [each.step for each in found]) if found else "a workflow that asks a model"
        raise UserError("--prompt", "no step with a prompt" if step is None else repr(step), known)
    console.json({"workflow": str(file), "prompts": [each.dump() for each in shown]})
    for each in shown:
        if step is None:
            console.result(f"{'' if each is shown[0] else chr(10)}── {each.step} ({each.kind})", "title")
        console.result(each.text)
    return 0


def _list(found: ShownRun, run: Path, console: Console, *, full: bool) -> int:
    from flowbot.run.verdict import noted

    view, rows = found.run, found.examples
    console.json(found.dump())
    if console.mode != "quiet":
        console.page().paragraph(_title(view, rows), "title")
        console.say()
    shown = rows if full else rows[:LISTED]
    console.page().table(
        ("Example", "Split", "Start", "Found", "Outcome", "Gradients"),
        [
            (
                row.id,
                SPLITS[row.split],
                *("–" if score is None else percent(score) for score in (row.start, row.found)),
                row.outcome,
                str(row.gradients or ""),
            )
            for row in shown
        ],
        left=(0, 1, 4),
        styles=[COLOURS.get(row.outcome, "") for row in shown],
    )
    if len(rows) > len(shown):
        console.result(f"… {len(rows) - LISTED:,} more (--full lists all)", "soft")
    if view.notes and console.mode != "quiet":
        console.say()
        console.say("What the search noted", "title")
        for note in view.notes if full else view.notes[-LISTED:]:
            console.page().paragraph(noted(note), indent=2, hang=2)
    console.say()
    if rows:
        console.say("To see one with its prompts and replies:")
        console.say(f"  {command_line('flowbot', 'show', str(run), rows[0].id)}", "accent")
    return 0


def _title(view: RunView, rows: Sequence[ExampleScores]) -> str:
    sizes = Counter(row.split for row in rows)
    tested = Counter(row.outcome for row in rows if row.split == "test")
    named = ", ".join(f"{sizes[split]:,} {name}" for split, name in SPLITS.items() if sizes[split])
    state = f"The run is {view.status}: the command that began it goes on."
    if view.status == "done":
        state = f"On the test {count(tested['fixed'], 'was', 'were')} fixed and {tested['broken']} broken."
    return f"Run on {view.started.task}: {named} {'example' if len(rows) == 1 else 'examples'}. {state}"
