"""Work on the shared tier as a whole: how much there is, checking it, dropping from it, carrying it elsewhere. It concerns all who use it."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString

from flowbot.fields import UserError

from .limits import Pruned
from .places import VARIABLE, shared_url
from .postgres import Shared
from .rows import DAY
from .transfer import Exported, Imported, chunks, read_rows, write_rows
from .verify import Check, Damage, Row, Verified, fault, read_row

_CHUNK = 500
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


def shared_entries(shared: Shared) -> dict[str, tuple[int, int]]:
    """How many responses there are, and bytes of their values, by kind."""
    count: LiteralString = (
        "SELECT kind, count(*), sum(octet_length(value)) FROM flowbot_responses GROUP BY kind ORDER BY kind"
    )
    rows = shared.do(lambda connection: connection.execute(count).fetchall())
    return {str(kind): (int(entries), int(size)) for kind, entries, size in rows}


def prune_shared(shared: Shared, *, older_than: float | None, kind: str | None, dry_run: bool) -> Pruned:
    """Drop what nobody used for so many seconds (in whole days, UTC), of one kind or of all; with a kind alone, all of it."""
    where: LiteralString = "WHERE used < %s AND (%s::text IS NULL OR kind = %s)"
    before = 2**31 - 1 if older_than is None else int((time.time() - older_than) // DAY)
    counted: LiteralString = f"SELECT count(*), coalesce(sum({_TAKES}), 0) FROM flowbot_responses {where}"
    dropped: LiteralString = f"WITH gone AS (DELETE FROM flowbot_responses {where} RETURNING *) SELECT count(*), coalesce(sum({_TAKES}), 0) FROM gone"
    bounds = (before, kind, kind)
    row = shared.do(lambda connection: connection.execute(counted if dry_run else dropped, bounds).fetchone())
    entries, size = row or (0, 0)
    return Pruned(int(entries), int(size))


def verify_shared(shared: Shared, *, check: Check, repair: bool) -> Verified:
    """Look at every response; `repair` drops the damaged ones."""
    entries, damaged = 0, list[Damage]()
    for row in _rows(shared):
        entries += 1
        if why := fault(row, check):
            damaged.append(Damage(row.key, row.kind, why))
    keys = [each.key for each in damaged] if repair else []
    for start in range(0, len(keys), _CHUNK):
        chunk = keys[start : start + _CHUNK]
        shared.do(
            lambda connection, chunk=chunk: connection.execute(
                "DELETE FROM flowbot_responses WHERE key = ANY(%s)", (chunk,)
            )
        )
    return Verified(entries, (), tuple(damaged), len(keys))


def export_shared(shared: Shared, out: Path, *, kind: str | None) -> Exported:
    """As `export_responses`, in the order of the keys."""
    return write_rows(out, _rows(shared, kind))


def import_shared(shared: Shared, source: Path, *, check: Check) -> Imported:
    """As `import_responses`."""
    entries = sum(1 for _ in read_rows(source, check))
    new = 0
    for chunk in chunks(read_rows(source, check)):
        before = shared.get([row[0] for row in chunk])
        shared.put((row[:4], False) for row in chunk)
        new += sum(each.text is None for each in before.values())
    return Imported(entries, new)


def _rows(shared: Shared, kind: str | None = None) -> Iterator[Row]:
    for number, (key, its, text, created) in enumerate(shared.rows(kind)):
        yield read_row(number, key, its, text if text is not None else "", created, None)
