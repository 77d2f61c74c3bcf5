"""Work on the shared tier as a whole: how much there is, checking it, dropping from it, carrying it elsewhere. It concerns all who use it."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString

from flowbot.fields import UserError

from .limits import Pruned
from .places import shared_url
from .postgres import VARIABLE, Shared
from .rows import DAY
from .transfer import Exported, Imported, chunks, read_rows, write_rows
from .verify import Check, Damage, Row, Verified, fault, read_row

_TAKES: LiteralString = "octet_length(value) + 2 * octet_length(key) + 60"


@contextmanager
def shared_tier(path: Path) -> Generator[Shared]:
    """The database behind the file at `path`.

    Raises:
        UserError: if the environment names none, or it lets us not in.
        InfrastructureError: if it stays away.
    """
    url = shared_url()
    if not url:
        raise UserError(
            "--shared", f"no second tier: {VARIABLE} is not set", f"{VARIABLE}=postgresql://USER@HOST/DATABASE"
        )
    from .tiers import open_shared

    shared = open_shared(path, url)
    try:
        yield shared
    finally:
        shared.close()


def shared_entries(path: Path) -> tuple[str, dict[str, dict[str, int]]]:
    """What it is called, and by kind how many responses there are and bytes of them."""
    count: LiteralString = (
        "SELECT kind, count(*), sum(octet_length(value)) FROM flowbot_responses GROUP BY kind ORDER BY kind"
    )
    with shared_tier(path) as shared:
        rows = shared.do(lambda connection: connection.execute(count).fetchall())
    return shared.name, {str(kind): {"entries": int(entries), "bytes": int(size)} for kind, entries, size in rows}


def prune_shared(path: Path, *, older_than: float | None, kind: str | None, dry_run: bool) -> Pruned:
    """Drop what nobody used for so many seconds (in whole days, UTC), of one kind or of all; with a kind alone, all of it."""
    which: LiteralString = "FROM flowbot_responses WHERE used < %s AND (%s::text IS NULL OR kind = %s)"
    how: LiteralString = f"SELECT value, key {which}" if dry_run else f"DELETE {which} RETURNING value, key"
    count: LiteralString = f"WITH gone AS ({how}) SELECT count(*), coalesce(sum({_TAKES}), 0) FROM gone"
    before = 2**31 - 1 if older_than is None else int((time.time() - older_than) // DAY)
    with shared_tier(path) as shared:
        entries, size = shared.do(lambda connection: connection.execute(count, (before, kind, kind)).fetchone()) or (
            0,
            0,
        )
    return Pruned(int(entries), int(size))


def verify_shared(path: Path, *, check: Check, repair: bool) -> Verified:
    """Look at every response; `repair` drops the damaged ones."""
    with shared_tier(path) as shared:
        looked = [(row.key, row.kind, fault(row, check)) for row in _rows(shared)]
        damaged = tuple(Damage(*each) for each in looked if each[2])
        keys = [each.key for each in damaged] if repair else []
        if keys:
            shared.do(
                lambda connection: connection.execute("DELETE FROM flowbot_responses WHERE key = ANY(%s)", (keys,))
            )
    return Verified(len(looked), (), damaged, len(keys))


def export_shared(path: Path, out: Path, *, kind: str | None) -> Exported:
    """As `export_responses`, in the order of the keys."""
    with shared_tier(path) as shared:
        return write_rows(out, _rows(shared, kind))


def import_shared(path: Path, source: Path, *, check: Check) -> Imported:
    """As `import_responses`."""
    entries, new = sum(1 for _ in read_rows(source, check)), 0
    with shared_tier(path) as shared:
        for chunk in chunks(read_rows(source, check)):
            new += sum(each.text is None for each in shared.get([row[0] for row in chunk]).values())
            shared.put((row[:4], False) for row in chunk)
    return Imported(entries, new)


def _rows(shared: Shared, kind: str | None = None) -> Iterator[Row]:
    for number, (key, its, text, created) in enumerate(shared.rows(kind)):
        yield read_row(number, key, its, text if text is not None else "", created, None)
