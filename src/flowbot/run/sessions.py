"""`sessions.jsonl`: what a run was really paid for, when and in what time, over all sessions that worked on it.

A session is one start of the command. One line each, in order:

    {"began": "2026-03-01T09:00:00+00:00", "seconds": 12.5, "status", "spent": {"calls", "tokens", "usd"}}

The last line is written anew with every reply that is paid for, so that of a session that is killed nothing is missing but
what endpoints were still working on; its status stays `working`. A session that paid for nothing where others do (a replay; one
that ended at once) leaves no line: what it found is theirs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

from flowbot.fields import InfrastructureError, Usage, UserError
from flowbot.fields.files import open_own, write_all
from flowbot.fields.foreign import Amount, Count, Record, checked
from flowbot.lm.ledger import Ledger

from .journal import read_lines

NAME = "sessions.jsonl"


class Spent(Record):
    """What was paid for: requests and their tokens; `usd` is None where a price is unknown."""

    calls: Count
    tokens: Count
    usd: Amount | None


class WorkSession(Record):
    """What one session paid.

    Args:
        began: when, in UTC.
        seconds: how long it worked, without fetching models.
        status: how it ended; `working` while it does, and where it was killed.
        spent: what it paid.
    """

    began: str
    seconds: Amount
    status: str
    spent: Spent


def read_sessions(run_dir: Path) -> tuple[WorkSession, ...]:
    """The sessions of a run so far; none where it has not written any.

    Raises:
        UserError: if the file is damaged, or says what cannot be.
    """
    path = run_dir / NAME
    if not os.path.lexists(path):
        return ()
    return tuple(
        checked(WorkSession, line, f"{path}:{number}") for number, line in enumerate(read_lines(path), start=1)
    )


def spent_in_all(sessions: Sequence[WorkSession]) -> Spent:
    """What all of them paid together."""
    usage = sum((Usage(each.spent.calls, each.spent.tokens, usd=each.spent.usd) for each in sessions), Usage())
    return Spent(calls=usage.calls, tokens=usage.tokens, usd=usage.usd)


class Sessions:
    """The sessions of a run, this one included.

    Args:
        run_dir: the run's folder, which this process holds.
        ledger: what this session pays.
        since: when it began, by the clock.
        now: the clock, in seconds.

    Raises:
        UserError: as `read_sessions`.
    """

    def __init__(self, run_dir: Path, ledger: Ledger, since: float, now: Callable[[], float] = time.monotonic) -> None:
        self._path = run_dir / NAME
        self._before = tuple(each for each in read_sessions(run_dir) if each.spent.calls)
        self._ledger = ledger
        self._now = now
        self._began = datetime.now(UTC).isoformat(timespec="seconds")
        self._from = since
        self._file: FileIO | None = None
        self._place = 0

    def this(self, status: str = "working", seconds: float | None = None) -> WorkSession:
        """This session as it stands."""
        spent = self._ledger.spent
        took = self._now() - self._from if seconds is None else seconds
        paid = Spent(calls=spent.calls, tokens=spent.tokens, usd=spent.usd)
        return WorkSession(began=self._began, seconds=round(took, 2), status=status, spent=paid)

    def note(self) -> None:
        """Write what was paid so far. Where the disk fails, `end` says so: the reply that was just paid for is to be kept first."""
        with suppress(InfrastructureError, UserError):
            self._write(self.this())

    def end(self, status: str, seconds: float) -> tuple[WorkSession, ...]:
        """Write that this session ended; gives all sessions that count.

        Raises:
            InfrastructureError: if the disk fails.
        """
        this = self.this(status, seconds)
        self._write(this)
        return (*self._before, this) if self._counts(this) else self._before

    def close(self) -> None:
        """Close the file. May be called twice."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _counts(self, this: WorkSession) -> bool:
        return this.spent.calls > 0 or not self._before

    def _write(self, this: WorkSession) -> None:
        """Write this session's line, the last of the file, in the place of what stands there of it."""
        if not self._counts(this):
            return
        line = _line(this)
        try:
            if self._file is None:
                self._file = open_own(self._path, "r+")
                before = b"".join(map(_line, self._before))
                write_all(self._file, before)  # without what a kill may have left half written
                self._place = len(before)
            self._file.seek(self._place)
            write_all(self._file, line)
            self._file.truncate()
        except OSError as error:
            raise InfrastructureError(f"{self._path}: {error.strerror or error}", kind="disk") from None


def _line(session: WorkSession) -> bytes:
    return session.model_dump_json().encode() + b"\n"
