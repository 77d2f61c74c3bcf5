"""What a store holds: how many responses of which kind, how old, and what the file takes."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from .files import opened
from .limits import Limits, read_limits, space
from .rows import LAST


@dataclass(frozen=True, slots=True)
class Stats:
    """The state of a store.

    Args:
        entries: by kind, how many responses.
        bytes: by kind, what their values take.
        oldest: when the first of them was stored, in seconds since 1970; None if there is none.
        newest: when the last was.
        file_bytes: what the file takes on disk, its write-ahead log included.
        free_bytes: of these, what the next responses can use.
        limits: those set for the file.
    """

    entries: dict[str, int]
    bytes: dict[str, int]
    oldest: float | None
    newest: float | None
    file_bytes: int
    free_bytes: int
    limits: Limits


def read_stats(path: Path) -> Stats:
    """Look at the store at `path`; a missing file is an empty store. Nothing is written.

    Raises:
        UserError: if it cannot be opened.
        InfrastructureError: if it fails while it is read.
    """
    if not path.exists():
        return Stats({}, {}, None, None, 0, 0, Limits())
    entries, sizes = Counter[str](), Counter[str]()
    oldest, newest = math.inf, -math.inf
    with opened(path, write=False) as connection:
        # Counted here: to group, SQLite would sort the rows, values and all, in a temporary file.
        for kind, size, created in connection.execute("SELECT kind, length(value), created FROM responses"):
            entries[str(kind)] += 1
            sizes[str(kind)] += size
            if isinstance(created, int | float) and 0 <= created < LAST:  # a file of others may hold any time
                oldest, newest = min(oldest, created), max(newest, created)
        free = space(connection)[1]
        limits = read_limits(connection)
    files = [path, path.with_name(f"{path.name}-wal")]
    return Stats(
        entries=dict(sorted(entries.items())),
        bytes=dict(sizes),
        oldest=None if oldest > newest else oldest,
        newest=None if oldest > newest else newest,
        file_bytes=sum(file.stat().st_size for file in files if file.exists()),
        free_bytes=free,
        limits=limits,
    )
