"""What a set of the field is: where it comes from, how its rows are read, and the task that they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flowbot.task import Task
from flowbot.task.row import Row
from flowbot.task.splits import Split


@dataclass(frozen=True, slots=True)
class SetRows:
    """Rows of a set as they were found, in the publisher's columns or in those of the normalised files.

    Args:
        rows: by split, cut to the number that is wanted.
        folder: where what stands beside them is, such as a corpus or databases; None for rows of the hub.
    """

    rows: Mapping[Split, Sequence[Row]]
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class BenchmarkSet:
    """A set of the field.

    Args:
        name: how a bench file asks for it.
        about: what is asked, in a sentence.
        source: who published it, and where it is read from.
        licence: of the data.
        make: the task of its rows, in one of the variants.
        variants: forms of the task, the usual one first.
        files: names of the publisher's own files by split, looked for where there are no `train.jsonl`, `dev.jsonl` and `test.jsonl`.
        hub: the publisher's own name of it on the hub, `ORG/NAME[/CONFIG]`; "" where there is none.
    """

    name: str
    about: str
    source: str
    licence: str
    make: Callable[[SetRows, str], Task]
    variants: tuple[str, ...] = ("",)
    files: Mapping[Split, tuple[str, ...]] = field(default_factory=dict[Split, tuple[str, ...]])
    hub: str = ""
