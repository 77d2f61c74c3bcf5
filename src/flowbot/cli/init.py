"""`flowbot init`: a task folder from rows in a file, and a start from a prompt."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flowbot.fields import UserError
from flowbot.fields.numbers import require_above_0

from .console import Console
from .options import FORCE, OUT, Output, whole
from .text import command_line

if TYPE_CHECKING:
    from flowbot.draft import Draft, Guess, Table
    from flowbot.workflow.starts.prompted import Prompted

_START = "start.flow.yaml"
_MODEL = "openai/gpt-4.1-mini"
_LONGEST_GOAL = 300
_PERSON = re.compile(
    r"\s*(?:$|#|you(?:'re)?\b(?! (?:must|should|shall|will|need|have) )|act as\b|imagine\b"
    r"|(?:please )?read\b|here (?:is|are)\b|below (?:is|are)\b|the following\b)",
    re.IGNORECASE,
)
"""How a sentence begins that says who a model shall be, or what it is shown, not what it shall do."""


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
    from flowbot.draft import MOST, Wishes, draft_task, read_table, refuse_existing, write_folder
    from flowbot.fields.chat import read_chat
    from flowbot.task.decode import decoded
    from flowbot.task.hub import is_of_hub
    from flowbot.workflow.starts.prompted import read_prompt

    console = Console.open(output)
    if out is not None and not force:
        refuse_existing(out)
    closed = None if labels is None else () if labels == ["none"] else _names(labels)
    wishes = Wishes(_names(inputs), _names(outputs), "" if group == "none" else group, closed)
    _require_known(metric)
    require_above_0(most, "--most")
    fractions = _fractions(split)
    text = "" if prompt is None else decoded(prompt, piped=True)[0]
    if text:
        read_chat(text, str(prompt))  # a malformed chat is refused by its name, before any row is read
    for file in filter(is_of_hub, files):
        console.say(f"Reading {file} from the Hugging Face hub, or from its cache…", "soft")
    table = read_table(files, as_is=as_is)

    def drafted(wishes: Wishes) -> Draft:
        return draft_task(
            table, wishes, prompt=text, goal=goal or "", metric=metric or "", fractions=fractions, most=most or MOST
        )

    draft = drafted(wishes)
    if console.asks and not draft.sure:
        wishes = replace(wishes, outputs=_wanted(draft, table, console))
        draft = drafted(wishes)
    if console.asks and draft.closed:
        draft = drafted(replace(wishes, labels=_confirmed(draft.closed, console)))
    shown = "the prompt of the rows" if prompt is None else prompt.name
    asked = text or table.prompt
    read = None
    if asked or prompt is not None:
        columns = {field.name: (draft.columns[field.name],) for field in draft.inputs}
        read = read_prompt(asked, shown if prompt is None else str(prompt), columns)
        if goal is None:
            draft = _with_goal(draft, read)
    folder = out or _free_folder(draft.name, files)
    start = {} if read is None else {_START: _start(draft, read)}
    write_folder(draft, folder, beside=start, read=(*files, *([prompt] if prompt else [])) if force else None)
    guesses = [*draft.guesses, *([] if read is None else _of_prompt(shown, read))]
    _report(console, draft, folder, guesses, started=bool(start))
    return 0


def _report(console: Console, draft: Draft, folder: Path, guesses: list[Guess], *, started: bool) -> None:
    sizes = {split: len(rows) for split, rows in draft.splits.items()}
    following = _next(folder, started=started)
    console.json(
        {
            "dir": str(folder),
            "inputs": {field.name: str(field.type) for field in draft.inputs},
            "outputs": {field.name: str(field.type) for field in draft.outputs},
            "metric": draft.metric,
            "group": draft.group or None,
            "splits": sizes,
            "guesses": [
                {"what": each.what, "guess": each.guess, "why": each.why, "change": each.change} for each in guesses
            ],
            "next": following,
        }
    )
    files = ["task.yaml", *(f"{split}.jsonl ({size})" for split, size in sizes.items() if size)]
    console.result(f"{folder} is made: {', '.join([*files, *([_START] if started else [])])}.", "good")
    if not draft.labelled:
        console.result("No column has answers: a model will judge. Finish the rubric in task.yaml.", "warn")
    console.say()
    console.say("What was guessed, and how to change it (the options make it anew; task.yaml may be edited):", "title")
    rows: list[tuple[str, str]] = []
    for each in guesses:
        why = f" ({each.why})" if each.why else ""
        rows += [(each.what, f"{each.guess}{why}"), ("", f"to change: {each.change}")]
    console.rows(rows)
    console.say()
    console.say("Next:", "title")
    for line in following:
        console.say(f"  {line}", "accent")


def _next(folder: Path, *, started: bool) -> list[str]:
    task, start = str(folder / "task.yaml"), str(folder / _START)
    lines = [command_line("flowbot", "check", task)]
    if started:
        lines.append(command_line("flowbot", "eval", start, task, "--model", _MODEL))
    begin = ["--start", start] if started else []
    lines.append(command_line("flowbot", "optimize", task, *begin, "--model", _MODEL, "--max-usd", "2", "--dry-run"))
    return lines


def _names(lists: list[str] | None) -> tuple[str, ...] | None:
    if lists is None:
        return None
    return tuple(dict.fromkeys(name.strip() for each in lists for name in each.split(",") if name.strip()))


def _require_known(metric: str | None) -> None:
    from flowbot.task import METRICS

    if metric is not None and metric not in METRICS:
        expected = f"one of {', '.join(METRICS)}; a judge or one of your own is written into task.yaml"
        raise UserError("--metric", repr(metric), expected)


def _fractions(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        parts = tuple(float(part) for part in text.split(","))
    except ValueError:
        parts = ()
    if len(parts) != 3 or not all(0 <= part <= 1 for part in parts) or abs(sum(parts) - 1) > 1e-6:
        expected = "three parts for train, val and test that sum to 1, such as 0.4,0.3,0.3"
        raise UserError("--split", repr(text), expected)
    return parts


def _free_folder(name: str, files: tuple[Path, ...]) -> Path:
    """A folder named for the data, in the current one; the data's own folder keeps its name."""
    folder = Path(name)
    own = {path.resolve() for path in files} | {path.resolve().parent for path in files}
    return Path(f"{name}-task") if folder.resolve() in own else folder


def _wanted(draft: Draft, table: Table, console: Console) -> tuple[str, ...]:
    """The columns that a person wants for outputs; the guess where there is no answer."""
    guess = [draft.columns.get(field.name, field.name) for field in draft.outputs]
    question = f"Which columns are wanted, of {', '.join(table.columns)}? [{','.join(guess)}]"
    named = _names([console.ask(question)]) or tuple(guess)
    called = {column.casefold(): column for column in reversed(table.columns)}
    return tuple(name if name in table.columns else called.get(name.casefold(), name) for name in named)


def _confirmed(closed: Mapping[str, Sequence[str]], console: Console) -> tuple[str, ...]:
    """The columns of which a person says that the rows have all the answers that there can be."""
    found: list[str] = []
    for column, options in closed.items():
        shown = ", ".join(options[:6]) + (", …" if len(options) > 6 else "")
        question = f"{column} has {len(options)} different values ({shown}). Can there be no others? [Y/n]"
        if not console.ask(question).casefold().startswith("n"):
            found.append(column)
    return tuple(found)


def _with_goal(draft: Draft, read: Prompted) -> Draft:
    """The goal in the prompt's own words: its first sentence that asks for something."""
    from flowbot.draft import Guess

    sentences = re.split(r"(?<=[.!?])\s+|\n\s*\n|\n(?=\s*[-*#\d])", read.asks)
    sentence = next((" ".join(each.split()) for each in sentences if not _PERSON.match(each)), "")
    if not 8 <= len(sentence) <= _LONGEST_GOAL:
        return draft
    own = Guess("goal", sentence, "from your prompt", "--goal TEXT, or goal in task.yaml")
    guesses = tuple(own if each.what == "goal" else each for each in draft.guesses)
    return replace(draft, goal=sentence, guesses=guesses)


def _start(draft: Draft, read: Prompted) -> str:
    """One call that sends the prompt as it stands, as a workflow's file."""
    from flowbot.fields.yaml import dump_yaml
    from flowbot.workflow.check import require_valid
    from flowbot.workflow.workflow import Workflow

    sketch, parameters = read.call(draft.inputs, draft.outputs)
    workflow = Workflow(sketch=sketch, parameters=parameters)
    require_valid(workflow)
    return dump_yaml(workflow.dump())


def _of_prompt(shown: str, read: Prompted) -> list[Guess]:
    from flowbot.draft import Guess

    change = f"the messages in {_START}"
    found = [Guess("start", f"one call that sends {shown} as it stands", f"with {', '.join(read.used)}", change)]
    if read.kept:
        shown = ", ".join(read.kept[:5])
        found.append(Guess("left as text", shown, "no input has this name", change))
    found += [Guess("prompt", note, "", change) for note in read.notes]
    return found
