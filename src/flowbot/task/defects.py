"""Everything that is wrong with a task file at once, by the same reading that loads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flowbot.fields import UserError

from .example import Example
from .faults import Faults
from .labels import check_labels
from .load import TaskParts, naming, read_parts
from .splits import Split, check_disjoint
from .task import Task


@dataclass(frozen=True, slots=True)
class ReadTask:
    """A task file, read as far as it goes.

    Args:
        task: the task; without examples or tools where those have faults; None where not even that can be made.
        rows: the examples without a fault of their own, with their places.
        faults: what is wrong, in the order of the file.
    """

    task: Task | None
    rows: Mapping[Split, Sequence[Example]]
    faults: tuple[UserError, ...]


def read_whole(path: Path) -> ReadTask:
    """Read a task file or folder, import its Python, and keep every fault. What loads as a task has none."""
    faults = Faults(keep=True)
    parts = read_parts(path, callables=True, faults=faults)
    if parts.rows is not None:
        _check_rows(parts, faults)
    task = None
    if parts.inputs is not None and parts.outputs is not None and parts.metric is not None:
        with faults, naming(parts.path):
            task = Task(**parts.arguments(rows=not faults.met))
    return ReadTask(task, parts.rows or {}, tuple(faults.found))


def _check_rows(parts: TaskParts, faults: Faults) -> None:
    assert parts.rows is not None
    where = f"{parts.path}: data"
    check_disjoint(parts.rows, faults.within(where))
    if parts.outputs is not None and parts.metric is not None:
        every = [row for split in parts.rows.values() for row in split]
        labels = faults.within(where)
        with labels:
            check_labels(every, parts.outputs, parts.metric, labels)
