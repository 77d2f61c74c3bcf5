"""`flowbot diff`: what is different between two workflows, or between the start of a run and what it found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowbot.fields import UserError

from .console import Console, Style
from .options import Output
from .text import complain, wrap

if TYPE_CHECKING:
    from flowbot.report.diffs import Piece, TextDiff, WorkflowDiff

AROUND = 100
"""Letters of unchanged text that are shown before and behind a change."""
NAME = 34
"""Letters of a workflow's name above its drawing."""
LINES_AROUND = 3
"""Lines of unchanged code that are shown before and behind a change."""
MARKS: dict[str, tuple[str, Style]] = {"same": ("  ", "soft"), "gone": ("- ", "bad"), "new": ("+ ", "good")}


def diff(
    a: Annotated[Path, Parameter(name="A", negative=())],
    b: Annotated[Path | None, Parameter(name="B", negative=())] = None,
    /,
    *,
    output: Output = Output(),  # noqa: B008
) -> int:
    """Show what is different between two workflows: the steps and their wiring, and every prompt word by word.

    Parameters
    ----------
    a
        A workflow's file, or a run's folder (or its name in runs/).
    b
        The same, compared with A. Of a run it is what was found. With a run as A alone: its start, and what it found.
    """
    from flowbot.report import diffs

    console = Console.open(output)
    if b is not None and not _are_workflows(a, b):
        return 2
    found = diffs.diff(a, b)
    console.json(found.dump())
    if found.same:
        console.result(f"{found.a.name} and {found.b.name} are the same workflow.", "good")
    elif console.mode == "quiet":
        for line in found.changes:
            console.result(line)
    else:
        console.say(f"{found.a.name} → {found.b.name}", "title")
        if not found.same_fields:
            console.say()
            _other_fields(found.a.dump(), found.b.dump(), console)
        _structure(found, console)
        for text in found.texts:
            console.say()
            console.say(f"{text.node}, {text.what}", "title")
            _text(text, console)
    return 0


def _are_workflows(*paths: Path) -> bool:
    """Whether all of them are workflows; of each that is none, one line says why."""
    from flowbot.run.folders import flow_file
    from flowbot.workflow.workflow import Workflow

    faults: list[str] = []
    for path in paths:
        try:
            Workflow.load(flow_file(path))
        except UserError as error:
            faults.append(str(error))
    for fault in dict.fromkeys(faults):
        complain(fault)
    return not faults


def _other_fields(one: dict[str, Any], other: dict[str, Any], console: Console) -> None:
    console.say("The two do not take and give the same: they are for different tasks.", "warn")
    for role in ("inputs", "outputs"):
        a, b = (", ".join(f"{name}: {kind}" for name, kind in side[role].items()) for side in (one, other))
        console.row(role.capitalize(), a if a == b else f"{a} → {b}")


def _structure(found: WorkflowDiff, console: Console) -> None:
    """Both drawings, and what changed in the steps and their wiring, their texts left out."""
    from flowbot.workflow.diff import diff as changes_between

    from .drawing import side_by_side

    console.say()
    titles = [each.name if len(each.name) <= NAME else f"…{each.name[1 - NAME :]}" for each in (found.a, found.b)]
    drawing = side_by_side((titles[0], found.a.workflow), (titles[1], found.b.workflow), console.width - 2)
    console.print(drawing, indent=2)
    bare = [each.workflow.model_copy(update={"parameters": {}}) for each in (found.a, found.b)]
    lines = changes_between(*bare)
    console.say()
    console.say(*("Steps and wiring", "title") if lines else ("The steps and their wiring are the same.", "soft"))
    styles: dict[str, Style] = {"-": "bad", "+": "good", "~": "warn"}
    for line in lines:
        console.paragraph(line, styles.get(line[:1], ""), indent=2, hang=4)


def _text(text: TextDiff, console: Console) -> None:
    """Code line by line; else words in place, as `[-gone-]` and `{+new+}`, or a whole new text below the old one."""
    if not text.code and any(kind == "same" for kind, _ in text.pieces):
        console.styled([*_words(text.pieces)], indent=2)
        return
    for index, (kind, piece) in enumerate(text.pieces):
        mark, style = MARKS[kind]
        lines = piece.splitlines()
        if not text.code:
            lines = [part for line in lines for part in wrap(line, console.width - 4) or [""]]
        elif kind == "same":
            head, tail = LINES_AROUND * (index > 0), LINES_AROUND * (index < len(text.pieces) - 1)
            if len(lines) > head + tail + 1:
                lines = [*lines[:head], "…", *lines[len(lines) - tail :]]
        for line in lines:
            console.say(f"  {mark}{line}", style)


def _words(pieces: Sequence[Piece]) -> Iterator[tuple[str, Style]]:
    """The pieces with their marks; of long unchanged ones what stands near a change."""
    for index, (kind, text) in enumerate(pieces):
        before, behind = index > 0, index < len(pieces) - 1
        if kind != "same":
            yield (f"[-{text}-]", "bad") if kind == "gone" else (f"{{+{text}+}}", "good")
        elif len(text) <= (before + behind) * AROUND + 5:
            yield text, ""
        else:
            head = text[:AROUND].rsplit(" ", 1)[0] + " " if before else ""
            tail = " " + text[-AROUND:].split(" ", 1)[-1] if behind else ""
            yield f"{head}…{tail}", ""
