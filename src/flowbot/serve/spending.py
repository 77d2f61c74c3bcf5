"""What a day may cost, over restarts and over all processes that serve under one name.

A small SQLite file has a row for each process and day: what it has paid, and what it has paid or may have to, the worst case of all its calls
under way included. A call is sent only once its worst case stands there, which it does in one transaction, if what all have written leaves
the room. So no number of processes passes the ceiling. What a process that was killed had kept for calls is free again some time after it
was heard of last. The file says what the budget says, also where nobody knows what a call has cost: the budget counts the dearest then.
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from flowbot.fields import BudgetExceeded, InfrastructureError, UserError
from flowbot.fields.files import require_own
from flowbot.lm.budget import Budget

if TYPE_CHECKING:
    from flowbot.lm.session import Session

FILE = "served.sqlite"
"""Its name in the cache folder."""
_PICO = 10**12
_KEPT_DAYS = 31
_BUSY_SECONDS = 5.0
_SILENT_SECONDS = 900
"""After which what a process has kept for calls is free again; no call takes as long."""
_DAY = 86_400
_COLUMNS = "name TEXT, day TEXT, who TEXT, pico INTEGER, kept INTEGER, seen INTEGER"
_TABLE = f"CREATE TABLE IF NOT EXISTS spent ({_COLUMNS}, PRIMARY KEY (name, day, who)) WITHOUT ROWID"
_OTHERS = (
    "SELECT COALESCE(SUM(pico), 0), COALESCE(SUM(CASE WHEN seen > ? THEN MAX(pico, kept) ELSE pico END), 0)"
    " FROM spent WHERE name = ? AND day = ? AND who <> ?"
)
_PAID = (
    "INSERT INTO spent VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name, day, who)"
    " DO UPDATE SET pico = excluded.pico, kept = excluded.kept, seen = excluded.seen"
)


class Held(BudgetExceeded):
    """There is no room as long as other processes keep theirs for calls under way."""


class _Day(Budget):
    """A day's ceiling, of which others have a part; see `Level.admit`."""

    def __init__(self, usd: float, keep: Callable[[int], None]) -> None:
        super().__init__(usd=usd, name="today")
        self._level.admit = keep

    @property
    def committed(self) -> int:
        """As of `Level`."""
        return self._level.committed


class Spending:
    """A ceiling in dollars a day (UTC).

    Args:
        file: made if it is missing; see `FILE`.
        name: whose ceiling: processes of the same name share it.
        usd: the ceiling.
        within: ceilings around it.
        now: seconds since 1970.

    Attributes:
        budget: of today; the session's, see `watch`.

    Raises:
        UserError: if the file cannot be written, or is something else.
    """

    def __init__(
        self, file: Path, name: str, usd: float, *, within: Budget | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._name, self._usd, self._around, self._now = name, usd, within, now
        self._who = secrets.token_hex(8)
        self._session: Session | None = None
        require_own(file)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(file, timeout=_BUSY_SECONDS, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute(_TABLE)
            self._db.execute("DELETE FROM spent WHERE day < ?", (self._date(-_KEPT_DAYS),))
        except (sqlite3.Error, OSError) as error:
            raise UserError(
                str(file), f"a file that cannot be used ({error})", "a place for what a day costs"
            ) from None
        self._unwritten = False
        self._begin(self._date())

    def watch(self, session: Session) -> None:
        """Count what a session pays; its budget is today's from now on."""
        self._session = session
        session.budget = self.budget
        session.ledger.noted = self._paid

    def look(self) -> None:
        """Before a request: see what others have paid by now, and whether another day has begun.

        Raises:
            InfrastructureError: if the file fails: what is not known to be within the ceiling is not paid.
        """
        try:
            self._sync()
            if (day := self._date()) != self._day:
                self._begin(day)
                if self._session is not None:
                    self._session.budget = self.budget
                self._sync()
        except sqlite3.Error as error:
            raise _unknown(error) from None

    @property
    def paid(self) -> float:
        """Dollars of today, as far as they are known here."""
        return self.budget.used["usd"]

    def over(self) -> str:
        """That the ceiling is reached; "" if it is not."""
        return f"today's {self._usd:g} USD are spent" if self.budget.left["usd"] <= 0 else ""

    @property
    def left(self) -> float:
        """Seconds until the day ends."""
        return _DAY - self._now() % _DAY

    def close(self) -> None:
        """Write what is not written yet, and close the file. May be called twice."""
        self._soon()
        self._db.close()

    def _begin(self, day: str) -> None:
        self._day = day
        self._others = self._kept = 0
        self.budget = _Day(self._usd, self._keep)
        if self._around is not None:
            self.budget.within(self._around)

    def _date(self, days: int = 0) -> str:
        return datetime.fromtimestamp(self._now() + _DAY * days, UTC).date().isoformat()

    def _paid(self) -> None:
        """Something was paid. The budget is told next, and then, in the loop's next turn, the file: once for all that comes in one."""
        if not self._unwritten:
            self._unwritten = True
            asyncio.get_running_loop().call_soon(self._soon)

    def _soon(self) -> None:
        with suppress(sqlite3.Error):  # the next request tries again, and is refused if it must be
            self._sync()

    def _keep(self, needed: int) -> None:
        """Keep room for a call; `needed` is all that is committed here then, with what others have paid.

        Raises:
            BudgetExceeded: if what all others have committed leaves no room for it.
            InfrastructureError: if the file fails.
        """
        needed -= self._others
        if needed <= self._kept:
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            with self._db:
                paid, others = self._of_others()
                if needed > (ceiling := int(self._usd * _PICO)) - others:
                    text = f"today: {paid / _PICO:.4f} USD of {self._usd:g} are used by other processes, {(others - paid) / _PICO:.4f} set aside"
                    kind = Held if needed <= ceiling - paid else BudgetExceeded
                    raise kind(text, ceiling="usd", budget=self.budget)
                self._kept = needed
                self._write()
        except sqlite3.Error as error:
            self._kept = -1  # what the file says now is not known: it is written anew
            raise _unknown(error) from None

    def _sync(self) -> None:
        """Write what was paid here, and count what others have paid."""
        kept = self.budget.committed - self._others
        if self._unwritten or kept != self._kept:
            self._kept = kept
            self._write()
        others, _ = self._of_others()
        if others > self._others:
            self.budget.taken_elsewhere((others - self._others) / _PICO)
            self._others = others

    def _write(self) -> None:
        own = round(self.budget.used["usd"] * _PICO) - self._others
        self._db.execute(_PAID, (self._name, self._day, self._who, own, self._kept, int(self._now())))
        self._unwritten = False

    def _of_others(self) -> tuple[int, int]:
        """What others have paid, and what they may pay in all."""
        since = int(self._now()) - _SILENT_SECONDS
        return self._db.execute(_OTHERS, (since, self._name, self._day, self._who)).fetchone()


def _unknown(error: sqlite3.Error) -> InfrastructureError:
    return InfrastructureError(f"what the day has cost cannot be read or written: {error}", kind="disk")
