"""What a day may cost, over restarts and over all processes that serve under one name.

A small SQLite file has a row for each process and day with what it has paid. A process counts its own payments in a budget, which
reserves the worst case of each call, and adds what the others have paid: at each request and behind payments of its own. So one process
passes the ceiling never, and several by no more than the calls that are in flight at once. The file says what the budget says, also
where nobody knows what a call has cost: the budget counts the dearest then.
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

from flowbot.fields import InfrastructureError, UserError
from flowbot.fields.files import require_own
from flowbot.lm.budget import Budget

if TYPE_CHECKING:
    from flowbot.lm.session import Session

FILE = "served.sqlite"
"""Its name in the cache folder."""
_PICO = 10**12
_KEPT_DAYS = 31
_BUSY_SECONDS = 5.0
_TABLE = "CREATE TABLE IF NOT EXISTS paid (name TEXT, day TEXT, who TEXT, pico INTEGER, PRIMARY KEY (name, day, who)) WITHOUT ROWID"
_OTHERS = "SELECT COALESCE(SUM(pico), 0) FROM paid WHERE name = ? AND day = ? AND who <> ?"
_PAID = "INSERT INTO paid VALUES (?, ?, ?, ?) ON CONFLICT (name, day, who) DO UPDATE SET pico = excluded.pico"


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
            self._db.execute("DELETE FROM paid WHERE day < ?", (self._date(-_KEPT_DAYS),))
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
            raise InfrastructureError(
                f"what the day has cost cannot be read or written: {error}", kind="disk"
            ) from None

    @property
    def paid(self) -> float:
        """Dollars of today, as far as they are known here."""
        return self.budget.used["usd"]

    def over(self) -> str:
        """That the ceiling is reached; "" if it is not."""
        return f"today's {self._usd:g} USD are spent" if self.budget.left["usd"] <= 0 else ""

    def close(self) -> None:
        """Write what is not written yet, and close the file. May be called twice."""
        self._soon()
        self._db.close()

    def _begin(self, day: str) -> None:
        self._day = day
        self._others = 0
        self.budget = Budget(usd=self._usd, name="today")
        if self._around is not None:
            self.budget = self.budget.within(self._around)

    def _date(self, days: int = 0) -> str:
        return datetime.fromtimestamp(self._now() + 86_400 * days, UTC).date().isoformat()

    def _paid(self) -> None:
        """Something was paid. The budget is told next, and then, in the loop's next turn, the file: once for all that comes in one."""
        if not self._unwritten:
            self._unwritten = True
            asyncio.get_running_loop().call_soon(self._soon)

    def _soon(self) -> None:
        with suppress(sqlite3.Error):  # the next request tries again, and is refused if it must be
            self._sync()

    def _sync(self) -> None:
        """Write what was paid here, and count what others have paid."""
        if self._unwritten:
            own = round(self.budget.used["usd"] * _PICO) - self._others
            self._db.execute(_PAID, (self._name, self._day, self._who, own))
            self._unwritten = False
        (others,) = self._db.execute(_OTHERS, (self._name, self._day, self._who)).fetchone()
        if others > self._others:
            self.budget.taken_elsewhere((others - self._others) / _PICO)
            self._others = others
