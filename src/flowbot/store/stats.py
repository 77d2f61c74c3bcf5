"""What a store holds: how many responses of which kind, how old, and what the file takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .files import opened
from .limits import Limits, read_limits
from .prune import live_bytes
from .rows import LAST

_CREATED = f"CASE WHEN created >= 0 AND created < {LAST} THEN created END"
"""A file of others may hold any time, and what is none."""


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
    with opened(path, write=False) as connection:
        rows = connection.execute(
            f"SELECT kind, count(*), sum(coalesce(length(value), 0)), min({_CREATED}), max({_CREATED}) FROM responses "
            "GROUP BY kind ORDER BY kind"
        ).fetchall()
        page_size, pages = (
            int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_size", "page_count")
        )
        free = page_size * pages - live_bytes(connection)
        limits = read_limits(connection)
    files = [path, path.with_name(f"{path.name}-wal")]
    return Stats(
        entries={str(kind): int(entries) for kind, entries, *_ in rows},
        bytes={str(kind): int(size) for kind, _, size, *_ in rows},
        oldest=min((float(row[3]) for row in rows if row[3] is not None), default=None),
        newest=max((float(row[4]) for row in rows if row[4] is not None), default=None),
        file_bytes=sum(file.stat().st_size for file in files if file.exists()),
        free_bytes=free,
        limits=limits,
    )
