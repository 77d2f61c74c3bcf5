"""`flowbot init`: a task folder from rows in a file, and a start from a prompt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flowbot.fields import UserError

from .console import Console
from .options import FORCE, OUT, Output, whole
from .text import command_line

if TYPE_CHECKING:
    from flowbot.draft.init import NewTask

_MODEL = "openai/gpt-4.1-mini"


def init(
    *files: Annotated[Path, Parameter(name="FILE", negative=())],
    prompt: Annotated[Path | None, Parameter(name="--prompt", negative=())] = None,
    out: Annotated[Path | None, OUT] = None,
    force: Annotated[bool, FORCE] = False,
    inputs: Annotated[list[str] | None, Parameter(name="--inputs", negative=())] = None,
    outputs: Annotated[list[str] | None, Parameter(name="--outputs", negative=())] = None,
    metric: Annotated[str | None, Parameter(name="--metric", negative=())] = None,
    group: Annotated[str | None, Parameter(name="--group", negative=())] = None,
    labels: Annotated[list[str] | None, Parameter(name="--labels", negative=())] = None,
    split: Annotated[str | None, Parameter(name="--split", negative=())] = None,
    most: Annotated[int | None, Parameter(name="--most", negative=(), converter=whole, show_default=False)] = None,
    as_is: Annotated[bool, Parameter(name="--as-is", negative=())] = False,
    goal: Annotated[str | None, Parameter(name="--goal", negative=())] = None,
    output: Output = Output(),  # noqa: B008
) -> int:
    """Make a task folder from your rows, and a start from your prompt; says what it guessed and how to change it.

    Parameters
    ----------
    files
        A .jsonl, .json, .csv, .tsv or .parquet file, several, a folder (files named train, val and test are the splits), or
        hf:ORG/NAME[/CONFIG][@REVISION] of the Hugging Face hub.
    prompt
        Your prompt: text, with placeholders such as {question} or without, or a chat. start.flow.yaml sends it as it stands.
    out
        The folder to make; otherwise one named for the data. Nothing is overwritten without --force.
    force
        Write into a folder that is there: files of these names are replaced, others stay.
    inputs
        Columns that are given: a,b. May be given several times.
    outputs
        Columns that are wanted: c,d. Where no column has the answers, the name that they shall have.
    metric
        How answers are scored: exact, normalised, numeric, f1, contains or json_fields.
    group
        The column of what rows belong to, such as a document: rows with the same one stay in one split; none for none.
    labels
        Outputs whose answers are among those that the rows have: c,d; none: all may be any text.
    split
        Parts of all rows for train, val and test, which sum to 1: the files' own, or 0.3,0.3,0.4, otherwise.
    most
        Rows that a split is given at most (500 otherwise).
    as_is
        Take the rows as they stand, whatever tool's export they look like.
    goal
        What is wanted, in a sentence.
    """
    from flowbot.draft import init as tasks

    console = Console.open(output)
    made = tasks.init(
        *files,
        prompt=prompt,
        out=out,
        force=force,
        inputs=None if inputs is None else tasks.names(inputs),
        outputs=None if outputs is None else tasks.names(outputs),
        metric=metric,
        group=group,
        labels=None if labels is None else () if labels == ["none"] else tasks.names(labels),
        split=None if split is None else _parts(split),
        most=most,
        as_is=as_is,
        goal=goal,
        say=lambda line: console.say(line, "soft"),
        ask=console.ask if console.asks else None,
    )
    _report(console, made)
    return 0


def _report(console: Console, made: NewTask) -> None:
    draft = made.draft
    following = _next(made)
    console.json({**made.dump(), "next": following})
    sizes = {split: len(rows) for split, rows in draft.splits.items()}
    files = ["task.yaml", *(f"{split}.jsonl ({size})" for split, size in sizes.items() if size)]
    console.result(f"{made.folder} is made: {', '.join([*files, *([made.start.name] if made.start else [])])}.", "good")
    if not draft.labelled:
        console.result("No column has answers: a model will judge. Finish the rubric in task.yaml.", "warn")
    console.say()
    console.say("What was guessed, and how to change it (the options make it anew; task.yaml may be edited):", "title")
    rows: list[tuple[str, str]] = []
    for each in made.guesses:
        why = f" ({each.why})" if each.why else ""
        rows += [(each.what, f"{each.guess}{why}"), ("", f"to change: {each.change}")]
    console.rows(rows)
    console.say()
    console.say("Next:", "title")
    for line in following:
        console.say(f"  {line}", "accent")


def _next(made: NewTask) -> list[str]:
    task, start = str(made.task), str(made.start)
    lines = [command_line("flowbot", "check", task)]
    if made.start is not None:
        lines.append(command_line("flowbot", "eval", start, task, "--model", _MODEL))
    begin = ["--start", start] if made.start is not None else []
    lines.append(command_line("flowbot", "optimize", task, *begin, "--model", _MODEL, "--max-usd", "2", "--dry-run"))
    return lines


def _parts(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        expected = "three parts for train, val and test that sum to 1, such as 0.4,0.3,0.3"
        raise UserError("--split", repr(text), expected) from None
