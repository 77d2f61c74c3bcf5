"""`flowbot diff`: what is different between two workflows, or between the start of a run and what it found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowbot.fields import UserError

from .console import Console, Style
from .options import Output
from .text import complain, wrap

if TYPE_CHECKING:
    from flowbot.report.diffs import Piece, TextDiff
    from flowbot.workflow.workflow import Workflow

AROUND = 100
"""Letters of unchanged text that are shown before and behind a change."""
NAME = 34
"""Letters of a workflow's name above its drawing."""
LINES_AROUND = 3
"""Lines of unchanged code that are shown before and behind a change."""
MARKS: dict[str, tuple[str, Style]] = {"same": ("  ", "soft"), "gone": ("- ", "bad"), "new": ("+ ", "good")}


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two workflows, and what it is called."""

    name: str
    workflow: Workflow

    def dump(self) -> dict[str, Any]:
        """The object for programs: also the types of what the workflow takes and gives."""
        from flowbot.workflow.scope import Scope

        sketch = self.workflow.sketch
        scope = Scope.of(sketch)
        outputs = {name: scope.type_text(reference) or "?" for name, reference in sketch.outputs.items()}
        return {"name": self.name, "hash": self.workflow.hash, "inputs": dict(sketch.inputs), "outputs": outputs}


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
    from flowbot.report.diffs import text_diffs
    from flowbot.workflow.diff import diff as changes_between

    console = Console.open(output)
    sides = _start_and_found(a) if b is None else _sides(a, b)
    if len(sides) < 2:
        return 2
    left, right = sides
    one, other = left.dump(), right.dump()
    changes, texts = changes_between(left.workflow, right.workflow), text_diffs(left.workflow, right.workflow)
    same_fields = all(one[role] == other[role] for role in ("inputs", "outputs"))
    console.json(
        {
            "a": one,
            "b": other,
            "same": left.workflow.hash == right.workflow.hash,
            "same_fields": same_fields,
            "changes": changes,
            "texts": [{"node": each.node, "what": each.what, "pieces": each.pieces} for each in texts],
        }
    )
    if left.workflow.hash == right.workflow.hash:
        console.result(f"{left.name} and {right.name} are the same workflow.", "good")
    elif console.mode == "quiet":
        for line in changes:
            console.result(line)
    else:
        console.say(f"{left.name} → {right.name}", "title")
        if not same_fields:
            console.say()
            _other_fields(one, other, console)
        _structure(left, right, console)
        for text in texts:
            console.say()
            console.say(f"{text.node}, {text.what}", "title")
            _text(text, console)
    return 0


def _sides(*paths: Path) -> list[Side]:
    """The workflows in files, or those that runs found; of each that is none, one line says why."""
    from flowbot.workflow.workflow import Workflow

    from .runs import flow_file

    sides: list[Side] = []
    faults: list[str] = []
    for path in paths:
        try:
            file = flow_file(path)
            sides.append(Side(str(path if file == path else file.parent), Workflow.load(file)))
        except UserError as error:
            faults.append(str(error))
    for fault in dict.fromkeys(faults):
        complain(fault)
    return sides


def _start_and_found(path: Path) -> list[Side]:
    from flowbot.run.view import read_run

    from .runs import run_folder

    if path.is_file():
        raise UserError("B", "nothing", "a second workflow to compare with, or a run's folder as A alone")
    folder = run_folder(path)
    run = read_run(folder)
    if run.found is None:
        raise UserError(str(run.run_dir), "a run without a found workflow yet", "a finished run, or two files")
    return [Side("start", run.start), Side("found", run.found)]


def _other_fields(one: dict[str, Any], other: dict[str, Any], console: Console) -> None:
    console.say("The two do not take and give the same: they are for different tasks.", "warn")
    for role in ("inputs", "outputs"):
        a, b = (", ".join(f"{name}: {kind}" for name, kind in side[role].items()) for side in (one, other))
        console.row(role.capitalize(), a if a == b else f"{a} → {b}")


def _structure(left: Side, right: Side, console: Console) -> None:
    """Both drawings, and what changed in the steps and their wiring, their texts left out."""
    from flowbot.workflow.diff import diff as changes_between

    from .drawing import side_by_side

    console.say()
    titles = [each.name if len(each.name) <= NAME else f"…{each.name[1 - NAME :]}" for each in (left, right)]
    drawing = side_by_side((titles[0], left.workflow), (titles[1], right.workflow), console.width - 2)
    console.print(drawing, indent=2)
    bare = [each.workflow.model_copy(update={"parameters": {}}) for each in (left, right)]
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
