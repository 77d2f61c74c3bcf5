"""`flowbot show`: what a run did on one example, step by step; without an example, which examples there are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from .console import Console, Style
from .options import Output
from .text import command_line

if TYPE_CHECKING:
    from flowbot.run.examples import RecordedExample
    from flowbot.run.view import RunView

LISTED = 40
"""Examples that are listed without --full."""
COLOURS: dict[str, Style] = {"fixed": "good", "better": "good", "broken": "bad", "worse": "bad", "wrong": "warn"}
SPLITS = {"test": "test", "val": "validation", "train": "training"}


def show(
    run: Annotated[Path, Parameter(name="RUN", negative=())],
    example: Annotated[str | None, Parameter(name="EXAMPLE", show_default=False)] = None,
    /,
    *,
    start: Annotated[bool, Parameter(name="--start", negative=(), show_default=False)] = False,
    found: Annotated[bool, Parameter(name="--found", negative=(), show_default=False)] = False,
    both: Annotated[bool, Parameter(name="--both", negative=(), show_default=False)] = False,
    candidate: Annotated[str | None, Parameter(name="--candidate")] = None,
    step: Annotated[str | None, Parameter(name="--step")] = None,
    full: Annotated[bool, Parameter(name="--full", negative=(), show_default=False)] = False,
    output: Output = Output(),  # noqa: B008
) -> int:
    """Show what a run did on one example: prompts as sent, replies as received, tools, scores, gradients. Asks no model.

    Parameters
    ----------
    run
        The run's folder, or its name in runs/.
    example
        The example's id; without it the examples are listed, those fixed and broken first.
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
    full
        Show long texts and lists whole.
    """
    from flowbot.fields import UserError

    from .runs import run_folder

    folder = run_folder(run)
    for option, value in (("--step", step), ("--candidate", candidate)):
        if example is None and value is not None:
            raise UserError(option, repr(value), f"an example to show it of: flowbot show RUN EXAMPLE {option} …")
    console = Console.open(output)
    if example is None:
        return _list(folder, run, console, full=full)
    from flowbot.report.show import read_shown

    from .show_example import show_example

    shown = read_shown(folder, example)
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


def _list(folder: Path, run: Path, console: Console, *, full: bool) -> int:
    from flowbot.fields.words import percent
    from flowbot.run.changes import by_text
    from flowbot.run.examples import OUTCOMES, read_examples
    from flowbot.run.verdict import noted
    from flowbot.run.view import read_run

    view = read_run(folder)
    gradients = Counter(name for each in by_text(view.feedback) for name in each.examples)
    # Without their traces: a split may be larger than memory.
    rows = [_row(each, gradients[each.id]) for each in read_examples(folder)]
    notes = [{"about": each.about, "text": each.text, "calls": each.spent} for each in view.notes]
    rows.sort(key=lambda row: (OUTCOMES.index(row["outcome"]), list(SPLITS).index(row["split"])))
    console.json(
        {"run_dir": str(folder), "status": view.status, "unchanged": view.unchanged, "notes": notes, "examples": rows}
    )
    if console.mode != "quiet":
        console.page().paragraph(_title(view, rows), "title")
        console.say()
    shown = rows if full else rows[:LISTED]
    console.page().table(
        ("Example", "Split", "Start", "Found", "Outcome", "Gradients"),
        [
            (
                row["id"],
                SPLITS[row["split"]],
                *("–" if row[side] is None else percent(row[side]) for side in ("start", "found")),
                row["outcome"],
                str(row["gradients"] or ""),
            )
            for row in shown
        ],
        left=(0, 1, 4),
        styles=[COLOURS.get(row["outcome"], "") for row in shown],
    )
    if len(rows) > len(shown):
        console.result(f"… {len(rows) - LISTED:,} more (--full lists all)", "soft")
    if view.notes:
        console.say()
        console.say("What the search noted", "title")
        for note in view.notes if full else view.notes[-LISTED:]:
            console.page().paragraph(noted(note), indent=2, hang=2)
    console.say()
    if rows:
        console.say("To see one with its prompts and replies:")
        console.say(f"  {command_line('flowbot', 'show', str(run), rows[0]['id'])}", "accent")
    return 0


def _title(view: RunView, rows: list[dict[str, Any]]) -> str:
    from flowbot.fields.words import count

    sizes = Counter(row["split"] for row in rows)
    tested = Counter(row["outcome"] for row in rows if row["split"] == "test")
    named = ", ".join(f"{sizes[split]:,} {name}" for split, name in SPLITS.items() if sizes[split])
    state = f"The run is {view.status}: the command that began it goes on."
    if view.status == "done":
        state = f"On the test {count(tested['fixed'], 'was', 'were')} fixed and {tested['broken']} broken."
    return f"Run on {view.started.task}: {named} {'example' if len(rows) == 1 else 'examples'}. {state}"


def _row(example: RecordedExample, gradients: int) -> dict[str, Any]:
    return {
        "id": example.id,
        "split": example.split,
        "start": None if example.start is None else example.start.score,
        "found": None if example.final is None else example.final.score,
        "outcome": example.outcome,
        "gradients": gradients,
    }
