"""`flowbot diff`: what is different between two workflows, or between the start of a run and what it found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from .console import Console, complain
from .options import Output

if TYPE_CHECKING:
    from flowbot.workflow.workflow import Workflow


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two workflows, and what it is called."""

    name: str
    workflow: Workflow

    def dump(self) -> dict[str, Any]:
        """As JSON data."""
        return {"name": self.name, "hash": self.workflow.hash, **fields(self.workflow)}


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
    from flowbot.fields import UserError

    from .diff_text import show

    console = Console.open(output)
    if b is None:
        sides = [*_start_and_found(a)]
    else:
        sides: list[Side] = []
        faults: list[UserError] = []
        for path in (a, b):
            try:
                sides.append(_side(path))
            except UserError as error:
                faults.append(error)
        for fault in dict.fromkeys(map(str, faults)):
            complain(fault)
        if faults:
            return 2
    left, right = sides
    facts = compared(left, right)
    console.json(facts)
    show(left, right, facts, console)
    return 0


def compared(left: Side, right: Side) -> dict[str, Any]:
    """The object for programs."""
    from flowbot.report.diffs import text_diffs
    from flowbot.workflow.diff import diff as diff_workflows

    a, b = left.workflow, right.workflow
    return {
        "a": left.dump(),
        "b": right.dump(),
        "same": a.hash == b.hash,
        "same_fields": fields(a) == fields(b),
        "changes": diff_workflows(a, b),
        "texts": [
            {"node": each.node, "what": each.what, "pieces": [list(piece) for piece in each.pieces]}
            for each in text_diffs(a, b)
        ],
    }


def fields(workflow: Workflow) -> dict[str, dict[str, str]]:
    """The types of what a workflow takes and gives, by name."""
    from flowbot.workflow.scope import Scope

    scope = Scope.of(workflow.sketch)
    outputs = {name: scope.type_text(reference) or "?" for name, reference in workflow.sketch.outputs.items()}
    return {"inputs": dict(workflow.sketch.inputs), "outputs": outputs}


def _start_and_found(path: Path) -> tuple[Side, Side]:
    from flowbot.fields import UserError

    if path.is_file():
        raise UserError("B", "nothing", "a second workflow to compare with, or a run's folder as A alone")
    from flowbot.run.view import read_run

    from .runs import run_folder

    folder = run_folder(path)
    if not (folder / "journal.jsonl").is_file():
        raise UserError(
            str(folder), "a folder without journal.jsonl", "the folder of a run, or two workflows to compare"
        )
    run = read_run(folder)
    if run.found is None:
        raise UserError(str(run.run_dir), "a run without a found workflow yet", "a finished run, or two files")
    return Side("start", run.start), Side("found", run.found)


def _side(path: Path) -> Side:
    """The workflow in a file, or that which a run found.

    Raises:
        UserError: naming what is wrong.
    """
    from flowbot.workflow.file import load

    from .runs import flow_file

    file = flow_file(path)
    return Side(str(path if file == path else file.parent), load(file))
