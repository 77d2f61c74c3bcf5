"""Two tiers: a file of one's own before a database that several users share. What stands there stands everywhere."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, cast

from flowbot.fields import InfrastructureError, UserError

from .files import opened
from .postgres import Shared, Standing
from .rows import REPLACE, Kind, checksum, dump, today
from .store import Store
from .transaction import transaction
from .worker import Answer, Worker, settle
from .writer import OWED

_FIRST_WAIT, _LONGEST_WAIT = 0.05, 1.0
"""Seconds between two looks at a call that another coordinator sends."""


class _Job(NamedTuple):
    """A row to keep (`text`), a key to look for, or one to give up (no `answer`)."""

    key: str
    answer: asyncio.Future[Any] | None = None
    claim: bool = False
    text: str | None = None
    kind: str = ""
    replace: bool = False


class TieredStore(Store):
    """The responses of a file, and behind them those of a database.

    Failure policy: a value is in the database before anybody gets it. Where the database stays away (see `Shared.do`), the value is
    kept in the file as owed, so that nothing is paid for twice, and the run that waits for it pauses. The next `open_tiers` brings it.

    Args:
        local: the file; closed with this one.
        shared: the database; the same.
    """

    def __init__(self, local: Store, shared: Shared) -> None:
        super().__init__(local.path, None, None)
        self._local = local
        self._shared = shared
        self._claimed: set[str] = set()
        self._worker: Worker[_Job] = Worker("flowbot-store-shared", self._work)

    @staticmethod
    def open_tiers(path: Path, url: str) -> TieredStore:
        """Open both, and bring to the database what the file owes it.

        Raises:
            UserError: if one of them cannot serve.
            InfrastructureError: if the database stays away, or another process keeps the file locked.
        """
        shared = open_shared(path, url)
        try:
            _bring_owed(path, shared)
            return TieredStore(Store.open(path), shared)
        except BaseException:
            shared.close()
            raise

    def peek(self, key: str) -> dict[str, Any] | None:
        """As of the file."""
        return self._local.peek(key)

    async def get(self, key: str) -> dict[str, Any] | None:
        """The value of the file, else that of the database."""
        value = await self._local.get(key)
        if value is not None and "tries" not in value:
            return value
        return await self._adopt(key, await self._asked(_Job(key))) or value

    async def claim(self, key: str) -> dict[str, Any] | None:
        """As `get`, but waits where another coordinator sends the call; without a response nobody else sends it until the `put`
        of one, or `unclaim`."""
        value = await self._local.get(key)
        if value is not None and "tries" not in value:
            return value
        wait = _FIRST_WAIT
        while True:
            found: Standing = await self._asked(_Job(key, claim=True))
            if found.mine:
                self._claimed.add(key)
            if found.mine or found.kind not in ("", "tries"):
                return await self._adopt(key, found) or value
            await asyncio.sleep(wait)
            wait = min(_LONGEST_WAIT, 1.5 * wait)

    def unclaim(self, key: str) -> None:
        """The call is not sent by us, for now."""
        if key in self._claimed:
            self._claimed.discard(key)
            if not self._closed:
                self._worker.submit(_Job(key))

    async def put(self, key: str, value: dict[str, Any], *, kind: Kind = "lm", replace: bool = False) -> dict[str, Any]:
        """Keep it in the database and then in the file; what stands there is given back."""
        text = dump(key, value)
        try:
            found: Standing = await self._asked(_Job(key, text=text, kind=kind, replace=replace))
        except (InfrastructureError, UserError):
            await self._local.owe(key, value, kind=kind, replace=replace)
            raise
        if found.kind != "tries":
            self._claimed.discard(key)
        return await self._adopt(key, found) or value

    async def items(self, kind: Kind) -> dict[str, dict[str, Any]]:
        """As of the database."""
        rows = await self._asked(_Job("", kind=kind))
        return {key: self._value(key, text or "") for key, _, text, _ in rows}

    async def close(self) -> None:
        """Close both. May be called twice."""
        if not self._closed:
            self._closed = True
            if self._worker.is_here:
                await asyncio.to_thread(self._end)
            await self._local.close()

    def _end(self) -> None:
        self._shared.closing.set()
        self._worker.stop()
        self._shared.close()

    async def _asked(self, job: _Job) -> Any:
        if self._closed:
            self._refuse("closed")
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._worker.submit(job._replace(answer=answer))
        return await answer

    async def _adopt(self, key: str, found: Standing) -> dict[str, Any] | None:
        """The value that the database has, kept in the file."""
        if found.text is None:
            return None
        return await self._local.put(key, self._value(key, found.text), kind=cast("Kind", found.kind), replace=True)

    def _work(self, group: list[_Job]) -> None:
        """What is to be kept first, then what is given up, then what is asked for."""
        puts = [job for job in group if job.text is not None]
        asked = [job for job in group if job.answer is not None and job.text is None and job.key]
        dropped = [job.key for job in group if job.answer is None]
        settle(
            [
                *self._done(puts, self._put),
                *self._done(asked, lambda jobs: self._get(jobs, dropped)),
                *(each for job in group if not job.key for each in self._done([job], self._rows)),
            ]
        )
        if dropped and not asked:
            with suppress(InfrastructureError, UserError):
                self._shared.unclaim(dropped)

    def _done(self, jobs: list[_Job], work: Callable[[list[_Job]], Mapping[str, object]]) -> list[Answer]:
        """The answers of some jobs: all are done, or fail, together."""
        if not jobs:
            return []
        try:
            found = work(jobs)
        except Exception as error:
            return [(job.answer, error) for job in jobs if job.answer is not None]
        return [(job.answer, found[job.key]) for job in jobs if job.answer is not None]

    def _put(self, jobs: list[_Job]) -> Mapping[str, object]:
        now = time.time()
        return self._shared.put(((job.key, job.kind, job.text or "", now), job.replace) for job in jobs)

    def _get(self, jobs: list[_Job], dropped: list[str]) -> Mapping[str, object]:
        if dropped:
            self._shared.unclaim(dropped)
        return self._shared.get([job.key for job in jobs if not job.claim], [job.key for job in jobs if job.claim])

    def _rows(self, jobs: list[_Job]) -> Mapping[str, object]:
        return {"": list(self._shared.rows(jobs[0].kind))}


def open_shared(path: Path, url: str) -> Shared:
    """The database behind the file at `path`; connects at first need."""
    return Shared(url, hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16])


def _bring_owed(path: Path, shared: Shared) -> None:
    """Keep in the database what could not be kept there; where another value stands by now, it stands here too."""
    with opened(path, write=True) as connection:
        owed = connection.execute(
            f"SELECT r.key, r.kind, r.value, r.created, CAST(s.value AS INTEGER) FROM settings AS s JOIN responses AS r"
            f" ON r.key = substr(s.name, {len(OWED) + 1}) WHERE s.name GLOB '{OWED}*'"
        ).fetchall()
        standing = shared.put((tuple(row[:4]), bool(row[4])) for row in owed)
        day = today()
        with transaction(connection):
            for key, _, text, created, _ in owed:
                stands = standing[key]
                if stands.text is not None and stands.text != text:
                    connection.execute(REPLACE, (key, stands.kind, stands.text, created, day, checksum(stands.text)))
            connection.execute(f"DELETE FROM settings WHERE name GLOB '{OWED}*'")
