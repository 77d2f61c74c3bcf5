"""`sessions.jsonl`: what a run was really paid for, when and in what time, over all sessions that worked on it.

A session is one start of the command. One line each, in order:

    {"began": "2026-03-01T09:00:00+00:00", "seconds": 12.5, "status", "spent": {"calls", "tokens", "usd"}}

The last line is written anew with every reply that is paid for, so that of a session that is killed nothing is missing but
what endpoints were still working on; its status stays `working`. A session that paid for nothing where others do (a replay; one
that ended at once) leaves no line: what it found is theirs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

from flowbot.fields import InfrastructureError, Usage, UserError
from flowbot.fields.files import open_own, read_text, write_all
from flowbot.fields.foreign import Amount, Count, Record, checked
from flowbot.fields.yaml import parse_json
from flowbot.lm.ledger import Ledger

from .journal import read_lines

NAME = "sessions.jsonl"
MOST_RESULT = 16_000_000
"""Bytes of the largest `result.json` that is read."""


class _Spent(Record):
    calls: Count
    tokens: Count
    usd: Amount | None


class _Line(Record):
    began: str
    seconds: Amount
    status: str
    spent: _Spent


@dataclass(frozen=True, slots=True)
class WorkSession:
    """What one session paid.

    Args:
        began: when, in UTC.
        seconds: how long it worked, without fetching models.
        status: how it ended; `working` while it does, and where it was killed.
        calls: requests that were paid for.
        tokens: of these.
        usd: of these; None where a price is unknown.
    """

    began: str
    seconds: float
    status: str
    calls: int
    tokens: int
    usd: float | None

    def dump(self) -> dict[str, Any]:
        """As JSON data."""
        spent = {"calls": self.calls, "tokens": self.tokens, "usd": self.usd}
        return {"began": self.began, "seconds": round(self.seconds, 2), "status": self.status, "spent": spent}


def read_sessions(run_dir: Path) -> tuple[WorkSession, ...]:
    """The sessions of a run so far; none where it has not written any.

    Raises:
        UserError: if the file is damaged, or says what cannot be.
    """
    path = run_dir / NAME
    if not path.exists():
        return ()
    read = [checked(_Line, line, f"{path}:{number}") for number, line in enumerate(read_lines(path), start=1)]
    return tuple(WorkSession(each.began, each.seconds, each.status, **dict(each.spent)) for each in read)


def _of_result(run_dir: Path) -> tuple[WorkSession, ...]:
    """What the result of a run says that ended before there was such a file, so that a replay does not take it for nothing;
    one that cannot be read is written anew, and says nothing."""
    path = run_dir / "result.json"
    try:
        facts = parse_json(read_text(path, limit=MOST_RESULT, links=False), str(path))
        found = checked(_Line, {"began": "", **facts}, str(path))
    except (UserError, TypeError):
        return ()
    paid = WorkSession("", found.seconds, found.status, **dict(found.spent))
    return (paid,) if paid.calls else ()


def spent_in_all(sessions: Sequence[WorkSession]) -> dict[str, Any]:
    """What all of them paid together: `{calls, tokens, usd}`."""
    usage = sum((Usage(each.calls, each.tokens, usd=each.usd) for each in sessions), Usage())
    return {"calls": usage.calls, "tokens": usage.tokens, "usd": usage.usd}


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
        self._before = tuple(each for each in read_sessions(run_dir) if each.calls) or _of_result(run_dir)
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
        return WorkSession(self._began, took, status, spent.calls, spent.tokens, spent.usd)

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
        return this.calls > 0 or not self._before

    def _write(self, this: WorkSession) -> None:
        """Write this session's line, the last of the file, in the place of what stands there of it."""
        if not self._counts(this):
            return
        line = json.dumps(this.dump()).encode() + b"\n"
        try:
            if self._file is None:
                self._file = open_own(self._path, "r+")
                before = b"".join(json.dumps(each.dump()).encode() + b"\n" for each in self._before)
                write_all(self._file, before)  # without what a kill may have left half written
                self._place = len(before)
            self._file.seek(self._place)
            write_all(self._file, line)
            self._file.truncate()
        except OSError as error:
            raise InfrastructureError(f"{self._path}: {error.strerror or error}", kind="disk") from None
