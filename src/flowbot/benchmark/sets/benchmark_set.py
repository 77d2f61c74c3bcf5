"""What a set of the field is: where it comes from, how its rows are read, and the task that they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flowbot.task import Task
from flowbot.task.data import read_rows
from flowbot.task.row import Row
from flowbot.task.splits import Split

PYTHON = "python"
"""The variant of a set whose workflows may run Python, as a program of thought does; its metric is the usual one."""
SplitRows = Mapping[Split, Sequence[Row]]
"""Rows of a set by split."""


@dataclass(frozen=True, slots=True)
class SetRows:
    """Rows of a set as they were found, in the publisher's columns or in those of the normalised files.

    Args:
        rows: by split, cut to the number that is wanted.
        folder: where what stands beside them is, such as a corpus or databases; None for rows of the hub.
    """

    rows: SplitRows
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
        files: names of the publisher's own files by split, looked for where there is no `dev.jsonl`; `*` stands for any letters,
            and all that are there are read, one after the other.
        hub: the publisher's own name of it on the hub, `ORG/NAME[/CONFIG]`; "" where there is none.
        metric: what is rewarded, in words.
        split: how the publisher's rows become train, val and test, in words; "" where `flowbot.benchmark.sets.read.divided` says it all.
        together: columns, of which the first that a row has tells what may not stand in two splits: its question, or the passage or
            database that several share.
        reader: the rows of one of the publisher's files.
        divide: the publisher's own rule for rows whose splits are not told by its files; None: `flowbot.benchmark.sets.read.divided`.
        keeps: whether a row has what a variant takes, as those of a test whose answers are secret have not; None: all have.
        prefixes: by variant, how the names of its own normalised files begin, where a folder has such.
    """

    name: str
    about: str
    source: str
    licence: str
    make: Callable[[SetRows, str], Task]
    variants: tuple[str, ...] = ("",)
    files: Mapping[Split, tuple[str, ...]] = field(default_factory=dict[Split, tuple[str, ...]])
    hub: str = ""
    metric: str = ""
    split: str = ""
    together: tuple[str, ...] = ()
    reader: Callable[[Path], Sequence[Row]] = read_rows
    divide: Callable[[SplitRows], SplitRows] | None = None
    keeps: Callable[[Row, str], bool] | None = None
    prefixes: Mapping[str, str] = field(default_factory=dict[str, str])
