"""The difference of two workflows for a person: what changed in words, both drawings, every text word by word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .console import Console, Style
from .drawing import side_by_side
from .text import wrap

if TYPE_CHECKING:
    from flowbot.workflow.workflow import Workflow

AROUND = 100
"""Letters of unchanged text that are shown before and behind a change."""
NAME = 34
"""Letters of a workflow's name above its drawing."""
LINES_AROUND = 3
"""The same for code, in lines."""
Piece = Sequence[str]
"""`(kind, text)` with kind `same`, `gone` or `new`."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two workflows, and what it is called."""

    name: str
    workflow: Workflow


def show(left: Side, right: Side, facts: dict[str, Any], console: Console) -> None:
    """Say what is different. With `--quiet`: the changes, a line each."""
    if facts["same"]:
        console.result(f"{left.name} and {right.name} are the same workflow.", "good")
        return
    if console.mode == "quiet":
        for line in facts["changes"]:
            console.result(line)
        return
    console.say(f"{left.name} → {right.name}", "title")
    if not facts["same_fields"]:
        console.say()
        _other_fields(facts, console)
    console.say()
    titles = (_end(left.name), left.workflow), (_end(right.name), right.workflow)
    for line in side_by_side(*titles, console.width - 2):
        console.say(f"  {line}".rstrip())
    _wiring(left, right, console)
    for text in facts["texts"]:
        console.say()
        console.say(f"{text['node']}, {text['what']}", "title")
        if text["what"] in ("code", "demonstrations"):
            _lines(text["pieces"], console)
        else:
            _words(text["pieces"], console)


def _end(name: str) -> str:
    """A path as a title: of a long one its end."""
    return name if len(name) <= NAME else f"…{name[1 - NAME :]}"


def _other_fields(facts: dict[str, Any], console: Console) -> None:
    console.say("The two do not take and give the same: they are for different tasks.", "warn")
    for role in ("inputs", "outputs"):
        a, b = (", ".join(f"{name}: {kind}" for name, kind in facts[side][role].items()) for side in ("a", "b"))
        console.row(role.capitalize(), a if a == b else f"{a} → {b}")


def _wiring(left: Side, right: Side, console: Console) -> None:
    """What changed in the steps and their wiring, their texts left out."""
    from flowbot.workflow.diff import diff

    lines = diff(_bare(left.workflow), _bare(right.workflow))
    console.say()
    if not lines:
        console.say("The steps and their wiring are the same.", "soft")
        return
    console.say("Steps and wiring", "title")
    styles: dict[str, Style] = {"-": "bad", "+": "good", "~": "warn"}
    for line in lines:
        for part in wrap(line, console.width - 2, subsequent_indent="    "):
            console.say(f"  {part}", styles.get(line[:1], ""))


def _bare(workflow: Workflow) -> Workflow:
    """The workflow without its texts and settings."""
    return workflow.model_copy(update={"parameters": {}})


def _words(pieces: Sequence[Piece], console: Console) -> None:
    """A text with its changes in place, as `[-gone-]` and `{+new+}`; a whole new text below the old one."""
    kinds = [kind for kind, _ in pieces]
    if "same" not in kinds:
        for kind, text in pieces:
            mark: tuple[str, Style] = ("- ", "bad") if kind == "gone" else ("+ ", "good")
            for line in _wrapped(text, console.width - 4):
                console.say(f"  {mark[0]}{line}", mark[1])
        return
    console.styled([*_marked(pieces)], indent=2)


def _marked(pieces: Sequence[Piece]) -> Iterator[tuple[str, Style]]:
    for index, (kind, text) in enumerate(pieces):
        if kind == "gone":
            yield f"[-{text}-]", "bad"
        elif kind == "new":
            yield f"{{+{text}+}}", "good"
        else:
            yield _near(text, before=index > 0, behind=index < len(pieces) - 1), ""


def _near(text: str, *, before: bool, behind: bool) -> str:
    """What stands near a change of a long unchanged text: its beginning, behind one, and its end, before one."""
    if len(text) <= (before + behind) * AROUND + 5:
        return text
    head = text[:AROUND].rsplit(" ", 1)[0] + " " if before else ""
    tail = " " + text[-AROUND:].split(" ", 1)[-1] if behind else ""
    return f"{head}…{tail}"


def _lines(pieces: Sequence[Piece], console: Console) -> None:
    """Code, line by line."""
    marks: dict[str, tuple[str, Style]] = {"same": ("  ", "soft"), "gone": ("- ", "bad"), "new": ("+ ", "good")}
    for index, (kind, text) in enumerate(pieces):
        mark, style = marks[kind]
        lines = text.splitlines()
        if kind == "same":
            head = LINES_AROUND if index else 0
            tail = LINES_AROUND if index < len(pieces) - 1 else 0
            if len(lines) > head + tail + 1:
                lines = [*lines[:head], "…", *lines[len(lines) - tail :]]
        for line in lines:
            console.say(f"  {mark}{line}", style)


def _wrapped(text: str, width: int) -> list[str]:
    return [part for line in text.splitlines() for part in wrap(line, width) or [""]]
