"""`flowbot compare`: runs of one task side by side, with paired differences on the same examples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from .console import Console
from .options import Output

if TYPE_CHECKING:
    from flowbot.run.comparisons import Comparison


def compare(
    *runs: Annotated[Path, Parameter(name="RUN", negative=())],
    split: Literal["test", "val"] = "test",
    output: Output = Output(),  # noqa: B008
) -> int:
    """Compare runs of one task: scores, cost, and paired differences with intervals. Asks no model.

    Parameters
    ----------
    runs
        Two or more runs: folders, or names in runs/. Runs that differ in their seed alone form a group.
    split
        The examples to compare on. Validation chose the workflows, so it flatters them.
    """
    from flowbot.run.comparisons import compare_runs

    from .runs import run_folder

    console = Console.open(output)
    comparison = compare_runs([run_folder(run) for run in runs], split)
    console.json(comparison.dump())
    if console.mode != "json":
        _show(comparison, console)
    return 0


def _show(comparison: Comparison, console: Console) -> None:
    from .compare_text import lines_of

    for line, style in lines_of(comparison, min(console.width, 80)):
        console.result(line, style)
