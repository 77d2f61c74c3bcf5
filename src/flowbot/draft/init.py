"""A task's folder from a user's rows, and a start from a prompt: reads, drafts, and writes them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from flowbot.fields import UserError
from flowbot.fields.arguments import FILE, FOLDER, NAMES, SAY, SWITCH, TEXT, checked, one_kind
from flowbot.fields.chat import read_chat
from flowbot.fields.numbers import is_number, require_above_0
from flowbot.fields.yaml import dump_yaml
from flowbot.task import METRICS
from flowbot.task.decode import decoded
from flowbot.task.hub import is_of_hub
from flowbot.workflow.check import require_valid
from flowbot.workflow.starts.prompted import Prompted, read_prompt
from flowbot.workflow.workflow import Workflow

from .draft import MOST, Draft, draft_task
from .folder import refuse_existing, write_folder
from .guess import Guess
from .roles import Wishes
from .table import Table, read_table

START = "start.flow.yaml"
_LONGEST_GOAL = 300
_PERSON = re.compile(
    r"\s*(?:$|#|you(?:'re)?\b(?! (?:must|should|shall|will|need|have) )|act as\b|imagine\b"
    r"|(?:please )?read\b|here (?:is|are)\b|below (?:is|are)\b|the following\b)",
    re.IGNORECASE,
)
"""How a sentence begins that says who a model shall be, or what it is shown, not what it shall do."""


_COLUMNS = (NAMES[0], "a list of columns, such as ['total']")


def _numbers(value: object) -> bool:
    return isinstance(value, Sequence) and all(map(is_number, cast("Sequence[object]", value)))


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task's folder that was made.

    Args:
        folder: where it is.
        draft: what was written: fields, metric and rows.
        guesses: what was guessed, why, and how to change it.
        start: the file of the start that sends the prompt; None where there is no prompt.
    """

    folder: Path
    draft: Draft
    guesses: tuple[Guess, ...]
    start: Path | None

    @property
    def task(self) -> Path:
        """The task's file."""
        return self.folder / "task.yaml"

    def dump(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "dir": str(self.folder),
            "inputs": {field.name: str(field.type) for field in self.draft.inputs},
            "outputs": {field.name: str(field.type) for field in self.draft.outputs},
            "metric": self.draft.metric,
            "group": self.draft.group or None,
            "splits": {split: len(rows) for split, rows in self.draft.splits.items()},
            "guesses": [
                {"what": each.what, "guess": each.guess, "why": each.why, "change": each.change}
                for each in self.guesses
            ],
        }


@checked(
    files=(one_kind(str, os.PathLike), "the path of a file or a folder, or hf:ORG/NAME"),
    prompt=FILE,
    out=FOLDER,
    force=SWITCH,
    inputs=_COLUMNS,
    outputs=_COLUMNS,
    metric=(one_kind(str), f"one of {', '.join(METRICS)}"),
    group=(one_kind(str), "a column's name"),
    labels=_COLUMNS,
    split=(_numbers, "three parts for train, val and test that sum to 1, such as (0.4, 0.3, 0.3)"),
    as_is=SWITCH,
    goal=TEXT,
    say=SAY,
    ask=(callable, "a function that takes a question and gives the answer"),
)
def init(
    *files: Path | str,
    prompt: Path | str | None = None,
    out: Path | str | None = None,
    force: bool = False,
    inputs: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    metric: str | None = None,
    group: str | None = None,
    labels: Sequence[str] | None = None,
    split: Sequence[float] | None = None,
    most: int | None = None,
    as_is: bool = False,
    goal: str | None = None,
    say: Callable[[str], None] | None = None,
    ask: Callable[[str], str] | None = None,
) -> NewTask:
    """Make a task's folder from rows, and a start from a prompt; says what was guessed and how to change it. Asks no model.

        >>> made = fb.init("tickets.csv", outputs=["department"], out="tickets")
        >>> task = fb.Task.load(made.folder)

    Args:
        files: a .jsonl, .json, .csv, .tsv or .parquet file, several, a folder (files named train, val and test are the splits), or
            hf:ORG/NAME[/CONFIG][@REVISION] of the Hugging Face hub.
        prompt: the file of a prompt: text, with placeholders such as {question} or without, or a chat. The start sends it as it
            stands.
        out: the folder to make; one named for the data when None.
        force: True: write into a folder that is there: files of these names are replaced, others stay.
        inputs: columns that are given.
        outputs: columns that are wanted. Where no column has the answers, the name that they shall have.
        metric: how answers are scored: the name of a built-in metric.
        group: the column of what rows belong to: those with the same one stay in one split; `none` for none.
        labels: outputs whose answers are among those that the rows have; empty: all may be any text.
        split: parts of all rows for train, val and test, which sum to 1; the files' own, or 0.3, 0.3, 0.4, when None.
        most: rows that a split is given at most; 500 when None.
        as_is: True: take the rows as they stand, whatever tool's export they look like.
        goal: what is wanted, in a sentence.
        say: called with one-line news, as of rows that are fetched.
        ask: called with a question where a guess is not sure; gives the answer. None: guesses stand.

    Raises:
        UserError: if the rows or the prompt cannot be read, or what is asked for does not fit them.
    """
    paths, prompt = tuple(map(Path, files)), None if prompt is None else Path(prompt)
    if out is not None and not force:
        refuse_existing(Path(out))
    wishes = Wishes(_columns(inputs), _columns(outputs), "" if group == "none" else group, _columns(labels))
    _require_known(metric)
    require_above_0(most, "--most")
    fractions = None if split is None else _fractions(split)
    text = "" if prompt is None else decoded(prompt, piped=True)[0]
    if text:
        read_chat(text, str(prompt))  # a malformed chat is refused by its name, before any row is read
    for file in filter(is_of_hub, paths):
        if say is not None:
            say(f"Reading {file} from the Hugging Face hub, or from its cache…")
    table = read_table(paths, as_is=as_is)

    def drafted(wishes: Wishes) -> Draft:
        return draft_task(
            table, wishes, prompt=text, goal=goal or "", metric=metric or "", fractions=fractions, most=most or MOST
        )

    draft = drafted(wishes)
    if ask is not None and not draft.sure:
        wishes = replace(wishes, outputs=_wanted(draft, table, ask))
        draft = drafted(wishes)
    if ask is not None and draft.closed:
        draft = drafted(replace(wishes, labels=_confirmed(draft.closed, ask)))
    shown = "the prompt of the rows" if prompt is None else prompt.name
    asked = text or table.prompt
    read = None
    if asked or prompt is not None:
        columns = {field.name: (draft.columns[field.name],) for field in draft.inputs}
        read = read_prompt(asked, shown if prompt is None else str(prompt), columns)
        if goal is None:
            draft = _with_goal(draft, read)
    folder = _free_folder(draft.name, paths) if out is None else Path(out)
    start = {} if read is None else {START: _start(draft, read)}
    write_folder(draft, folder, beside=start, read=(*paths, *([prompt] if prompt else [])) if force else None)
    guesses = (*draft.guesses, *([] if read is None else _of_prompt(shown, read)))
    return NewTask(folder, draft, guesses, folder / START if start else None)


def _columns(names: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)


def _fractions(split: Sequence[float]) -> tuple[float, ...]:
    parts = tuple(split)
    if len(parts) != 3 or not all(0 <= part <= 1 for part in parts) or abs(sum(parts) - 1) > 1e-6:
        expected = "three parts for train, val and test that sum to 1, such as 0.4,0.3,0.3"
        raise UserError("--split", repr(",".join(f"{part:g}" for part in parts)), expected)
    return parts


def names(lists: Sequence[str]) -> tuple[str, ...]:
    """The names of lists such as `a,b`, each once."""
    return tuple(dict.fromkeys(name.strip() for each in lists for name in each.split(",") if name.strip()))


def _require_known(metric: str | None) -> None:
    if metric is not None and metric not in METRICS:
        expected = f"one of {', '.join(METRICS)}; a judge or one of your own is written into task.yaml"
        raise UserError("--metric", repr(metric), expected)


def _free_folder(name: str, files: tuple[Path, ...]) -> Path:
    """A folder named for the data, in the current one; the data's own folder keeps its name."""
    folder = Path(name)
    own = {path.resolve() for path in files} | {path.resolve().parent for path in files}
    return Path(f"{name}-task") if folder.resolve() in own else folder


def _wanted(draft: Draft, table: Table, ask: Callable[[str], str]) -> tuple[str, ...]:
    """The columns that a person wants for outputs; the guess where there is no answer."""
    guess = [draft.columns.get(field.name, field.name) for field in draft.outputs]
    question = f"Which columns are wanted, of {', '.join(table.columns)}? [{','.join(guess)}]"
    named = names([ask(question)]) or tuple(guess)
    called = {column.casefold(): column for column in reversed(table.columns)}
    return tuple(name if name in table.columns else called.get(name.casefold(), name) for name in named)


def _confirmed(closed: Mapping[str, Sequence[str]], ask: Callable[[str], str]) -> tuple[str, ...]:
    """The columns of which a person says that the rows have all the answers that there can be."""
    found: list[str] = []
    for column, options in closed.items():
        shown = ", ".join(options[:6]) + (", …" if len(options) > 6 else "")
        question = f"{column} has {len(options)} different values ({shown}). Can there be no others? [Y/n]"
        if not ask(question).casefold().startswith("n"):
            found.append(column)
    return tuple(found)


def _with_goal(draft: Draft, read: Prompted) -> Draft:
    """The goal in the prompt's own words: its first sentence that asks for something."""
    sentences = re.split(r"(?<=[.!?])\s+|\n\s*\n|\n(?=\s*[-*#\d])", read.asks)
    sentence = next((" ".join(each.split()) for each in sentences if not _PERSON.match(each)), "")
    if not 8 <= len(sentence) <= _LONGEST_GOAL:
        return draft
    own = Guess("goal", sentence, "from your prompt", "--goal TEXT, or goal in task.yaml")
    guesses = tuple(own if each.what == "goal" else each for each in draft.guesses)
    return replace(draft, goal=sentence, guesses=guesses)


def _start(draft: Draft, read: Prompted) -> str:
    """One call that sends the prompt as it stands, as a workflow's file."""
    sketch, parameters = read.call(draft.inputs, draft.outputs)
    workflow = Workflow(sketch=sketch, parameters=parameters)
    require_valid(workflow)
    return dump_yaml(workflow.dump())


def _of_prompt(shown: str, read: Prompted) -> list[Guess]:
    change = f"the messages in {START}"
    found = [Guess("start", f"one call that sends {shown} as it stands", f"with {', '.join(read.used)}", change)]
    if read.kept:
        shown = ", ".join(read.kept[:5])
        found.append(Guess("left as text", shown, "no input has this name", change))
    found += [Guess("prompt", note, "", change) for note in read.notes]
    return found
