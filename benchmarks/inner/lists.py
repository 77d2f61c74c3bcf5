"""The two lists of `benchmarks/design.txt`: tasks that design work may look at, and tasks that are reported on.

design trec6: why it is there
report gsm8k: why it is there
seen local.yaml: a comparison on tasks of the first list, which says so beside its figures
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flowbot.benchmark.sets.registry import load_set
from flowbot.task import Task

HERE = Path(__file__).resolve().parents[1]
DATA = HERE.parents[1] / "shared" / "data"
"""Where the bench files look for the sets' rows, too; they are not part of the project."""
_LINE = re.compile(r"(design|report|seen) (\S+): (.+)")


@dataclass(frozen=True, slots=True)
class Lists:
    """What stands in the file; each a mapping of names to reasons.

    Args:
        design: sets whose train and dev rows design work may look at.
        report: sets whose test rows are reported on.
        seen: bench files that are about sets of `design` all the same.
    """

    design: Mapping[str, str]
    report: Mapping[str, str]
    seen: Mapping[str, str]


def read_lists(path: Path = HERE / "design.txt") -> Lists:
    """The lists.

    Raises:
        ValueError: for a line that is none, a name twice, or a set that is in both lists.
    """
    found: dict[str, dict[str, str]] = {"design": {}, "report": {}, "seen": {}}
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        told = _LINE.fullmatch(line)
        if told is None or told[2] in found[told[1]]:
            raise ValueError(f"{path.name}: {line!r}; expected `design|report|seen NAME: a reason`, each name once")
        found[told[1]][told[2]] = told[3]
    if both := sorted({*found["design"]} & {*found["report"]}):
        raise ValueError(f"{path.name}: {', '.join(both)} in both lists; a set is for design or for reports")
    return Lists(**found)


def task_of(name: str, data: Path, train: int, rows: int) -> tuple[Task, Literal["val", "test"]]:
    """A set as a task, and the split on which proposals are scored: dev of a set for design, test of one for reports.

    Args:
        name: of the set.
        data: folder with a folder of rows for every set.
        train: rows that those who propose see.
        rows: rows that are scored.

    Raises:
        ValueError: for a set of neither list.
        UserError: as `load_set`.
    """
    lists = read_lists()
    if name not in lists.design and name not in lists.report:
        raise ValueError(
            f"{name}: in neither list of design.txt; there are {', '.join((*lists.design, *lists.report))}"
        )
    place = data / name.replace("/", "_")
    if name in lists.design:
        return load_set(name, place, rows=[train, rows, 1]), "val"
    return load_set(name, place, rows=[train, 1, rows]), "test"
