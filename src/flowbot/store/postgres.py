"""The second tier of the store: one table in PostgreSQL that several users share. Nothing here opens a file, or runs in a loop.

A coordinator keeps an advisory lock for as long as its connection stands, so that others can tell whether it is at work. Who sends a
call says so first, in a row (a claim) that names the coordinator: nobody else sends the same call meanwhile.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple, TypeVar

from flowbot.fields import InfrastructureError, UserError
from flowbot.fields.secrets import declare, hide_text

from .rows import DAY, KINDS, MOST_BYTES, today

if TYPE_CHECKING:
    import psycopg

VARIABLE = "FLOWBOT_STORE"
PATIENCE = 30.0
"""Seconds for which a lost database is waited for."""
UNCLAIMED = 45.0
"""Seconds after which the claims of a coordinator that is seen to be gone count no more; longer than it waits itself."""
Result = TypeVar("Result")
Row = tuple[str, str, str, float]
"""Key, kind, text and time."""

_LOCK = 0x464C4257
_CONNECT: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_TABLES: tuple[LiteralString, ...] = (
    "CREATE TABLE IF NOT EXISTS flowbot_responses (key text PRIMARY KEY, kind text NOT NULL, value text NOT NULL,"
    " created double precision NOT NULL, used integer NOT NULL)",
    "CREATE TABLE IF NOT EXISTS flowbot_claims (key text PRIMARY KEY, owner text NOT NULL)",
)
_ROW: LiteralString = (
    "INSERT INTO flowbot_responses AS r (key, kind, value, created, used) VALUES (%s, %s, %s, %s, %s) ON CONFLICT (key) DO"
    " UPDATE SET kind = excluded.kind, value = excluded.value, created = excluded.created, used = excluded.used"
)
# As in the file: what only holds the place of a response gives way to it; a response never does.
_FIRST: LiteralString = _ROW + " WHERE r.kind = 'tries' AND (excluded.kind <> 'tries' OR excluded.created >= r.created)"
_FOUND: LiteralString = (
    "SELECT key, kind, CASE WHEN octet_length(value) <= %s THEN value END FROM flowbot_responses WHERE key = ANY(%s)"
)
_NAME = re.compile('"[^"]*"')
"""Users and tables in what a server says."""
_REACHED = ("28", "3D", "42")
"""Classes of what a server that was reached says of who asks, of the database, and of what is asked."""
_BUSY = ("starting up", "shutting down", "recovery", "too many", "slots")


class Standing(NamedTuple):
    """What stands under a key.

    Args:
        text: the value, None where there is none.
        kind: of it.
        mine: whether the call is claimed for who asks.
    """

    text: str | None
    kind: str = ""
    mine: bool = False


class Shared:
    """One connection to the database, made at first need and again when it was lost. Blocks; from one thread at a time.

    Failure policy: what fails because the database is gone is done again for `PATIENCE` seconds, then an `InfrastructureError` that
    names host and database and no more of the address. Each step is safe to be done twice.

    Args:
        url: `postgresql://USER:PASSWORD@HOST/DATABASE`.
        place: tells whose coordinator it is: those of one place see what another of them has kept.

    Raises:
        UserError: if that is no such address, or the library is missing.
    """

    def __init__(self, url: str, place: str) -> None:
        self.name = shown(url)
        self._url = url
        self._place = place
        self._owner = ""
        self._connection: psycopg.Connection[Any] | None = None
        self._gone: dict[str, float] = {}
        self._patience = PATIENCE
        self.closing = threading.Event()

    def do(self, work: Callable[[psycopg.Connection[Any]], Result]) -> Result:
        """What `work` returns for the connection.

        Raises:
            UserError: if the server was reached and does not let us in.
            InfrastructureError: if the database stays away.
        """
        import psycopg

        until, wait = time.monotonic() + self._patience, 0.1
        while True:
            try:
                done = work(self._connected())
            except psycopg.Error as error:
                said = self._explained(error)
                lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
                if self._connection is not None and (lost or self._connection.closed):
                    self._leave()
                if not lost or isinstance(said, UserError) or time.monotonic() + wait > until:
                    self._patience = 0.0  # who asks next is not to wait as long once more
                    raise said from None
                if self.closing.wait(wait):
                    raise said from None
                wait = min(2.0, wait * 2)
            else:
                self._patience = PATIENCE
                return done

    def put(self, rows: Iterable[tuple[Row, bool]]) -> dict[str, Standing]:
        """Keep rows, each first or in place of what stands there, and give up the claims of those that are responses.

        Returns:
            what stands then, by key.
        """
        # In one order everywhere, so that nobody waits for each other.
        ordered = sorted(rows, key=lambda each: each[0][0])
        keys = list(dict.fromkeys(row[0] for row, _ in ordered))

        def work(connection: psycopg.Connection[Any]) -> dict[str, Standing]:
            with connection.transaction(), connection.cursor() as cursor:
                for which in (True, False):
                    found = [(*row, int(row[3] // DAY)) for row, replace in ordered if replace is which]
                    if found:
                        cursor.executemany(_ROW if which else _FIRST, found)
                standing = _standing(connection, keys)
                there = [key for key in keys if standing[key].kind != "tries"]
                connection.execute("DELETE FROM flowbot_claims WHERE key = ANY(%s)", (there,))
            return standing

        return self.do(work)

    def get(self, keys: Sequence[str], claim: Sequence[str] = ()) -> dict[str, Standing]:
        """What stands under keys; those of `claim` without a response are claimed, unless another coordinator at work has them."""

        def work(connection: psycopg.Connection[Any]) -> dict[str, Standing]:
            mine = self._claim(connection, claim) if claim else set[str]()
            found = _standing(connection, [*keys, *claim])  # only now: who had the claim before has put it by then
            self._unclaim(connection, [key for key in mine if found[key].kind not in ("", "tries")])
            return {key: each._replace(mine=key in mine) for key, each in found.items()}

        return self.do(work)

    def unclaim(self, keys: Sequence[str]) -> None:
        """The calls are not sent, or met a fault: whoever wants them may."""
        self.do(lambda connection: self._unclaim(connection, keys))

    def close(self) -> None:
        """Give up all claims and the connection. What cannot be told is told by the end of the connection."""
        self.closing.set()
        if self._connection is not None:
            with suppress(Exception):
                self._connection.execute("DELETE FROM flowbot_claims WHERE owner = %s", (self._owner,))
            self._leave()

    def rows(self, kind: str | None = None) -> Iterator[tuple[Any, ...]]:
        """Key, kind, text (None where it is too large) and time of all rows, or of those of a kind, in the order of the keys."""
        select: LiteralString = (
            "SELECT key, kind, CASE WHEN octet_length(value) <= %s THEN value END, created FROM flowbot_responses"
            " WHERE key > %s AND (%s::text IS NULL OR kind = %s) ORDER BY key LIMIT 200"
        )
        last: str | None = ""
        while last is not None:
            bounds = (MOST_BYTES, last, kind, kind)
            found = self.do(lambda connection, bounds=bounds: connection.execute(select, bounds).fetchall())
            yield from found
            last = found[-1][0] if found else None

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            import psycopg

            made = psycopg.connect(self._url, autocommit=True, application_name="flowbot", **_CONNECT)
            try:
                missing = made.execute(
                    "SELECT to_regclass('flowbot_responses') IS NULL OR to_regclass('flowbot_claims') IS NULL"
                )
                if (missing.fetchone() or (True,))[0]:
                    with made.transaction():
                        made.execute("SELECT pg_advisory_xact_lock(%s, -1)", (_LOCK,))
                        for each in _TABLES:
                            made.execute(each)
                # Another number each time: the server may not have noticed yet that the connection before it is gone.
                before, number = self._owner, secrets.randbelow(2**31)
                self._owner = f"{self._place}/{number}"
                made.execute("SELECT pg_advisory_lock(%s, %s)", (_LOCK, number))
                made.execute("UPDATE flowbot_claims SET owner = %s WHERE owner = %s", (self._owner, before))
            except BaseException:
                made.close()
                raise
            self._connection = made
        return self._connection

    def _leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _claim(self, connection: psycopg.Connection[Any], keys: Sequence[str]) -> set[str]:
        """Those of the keys that are ours."""
        wanted = sorted(set(keys))
        with connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO flowbot_claims (key, owner) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                [(key, self._owner) for key in wanted],
            )
        owners = dict(
            connection.execute("SELECT key, owner FROM flowbot_claims WHERE key = ANY(%s)", (wanted,)).fetchall()
        )
        if others := set(owners.values()) - {self._owner}:
            held = "SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND granted"
            at_work = {str(number) for (number,) in connection.execute(held, (_LOCK,)).fetchall()}
            for other in sorted(others):
                place, _, number = other.rpartition("/")
                if number in at_work:
                    self._gone.pop(other, None)
                    continue
                since = self._gone.setdefault(other, time.monotonic())
                if place == self._place or time.monotonic() - since > UNCLAIMED:
                    taken = connection.execute(
                        "UPDATE flowbot_claims SET owner = %s WHERE owner = %s AND key = ANY(%s) RETURNING key",
                        (self._owner, other, wanted),
                    ).fetchall()
                    owners |= {key: self._owner for (key,) in taken}
        return {key for key, owner in owners.items() if owner == self._owner}

    def _unclaim(self, connection: psycopg.Connection[Any], keys: Sequence[str]) -> None:
        if keys:
            connection.execute(
                "DELETE FROM flowbot_claims WHERE owner = %s AND key = ANY(%s)", (self._owner, list(keys))
            )

    def _explained(self, error: psycopg.Error) -> UserError | InfrastructureError:
        import psycopg

        said, state = " ".join((error.diag.message_primary or "").split()), error.sqlstate or ""
        if not state and isinstance(error, psycopg.OperationalError) and "FATAL:" in str(error):
            # While it lets nobody in, a server says why in a text alone: the last part holds no address.
            said = " ".join(str(error).rpartition("FATAL:")[2].split())
            state = "" if any(word in said for word in _BUSY) else "28"
        said = hide_text(_NAME.sub('"…"', said))
        if state.startswith(_REACHED):
            return UserError(
                f"store {self.name}",
                said or type(error).__name__,
                mend=f"see the user, password, database and rights of {VARIABLE}",
            )
        text = f"store {self.name}: the database cannot be used ({said or 'no connection'}); what was paid for is kept in the file here"
        return InfrastructureError(text, kind="disk")


def shown(url: str) -> str:
    """Host and database of an address, without user, password and options. The password is declared a secret.

    Raises:
        UserError: if it is none, or the library is missing; the text does not quote it.
    """
    try:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict
    except ImportError:
        raise UserError(
            VARIABLE, "no psycopg, which speaks to PostgreSQL", mend="pip install -e '.[postgres]'"
        ) from None
    try:
        parts = conninfo_to_dict(url) if url.startswith(("postgresql://", "postgres://")) else {}
    except psycopg.ProgrammingError:
        parts = {}
    if not parts.get("dbname"):
        raise UserError(VARIABLE, "a text that is no address of a database", "postgresql://USER:PASSWORD@HOST/DATABASE")
    declare(*(str(value) for name, value in parts.items() if "pass" in name and value))
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"postgresql://{parts.get('host') or 'localhost'}{port}/{parts['dbname']}"


def _standing(connection: psycopg.Connection[Any], keys: Sequence[str]) -> dict[str, Standing]:
    found = {key: Standing(None) for key in keys}
    for key, kind, text in connection.execute(_FOUND, (MOST_BYTES, list(found))).fetchall():
        # What others wrote is read as what a stranger wrote: "" is no JSON, and said to be damaged.
        found[key] = Standing(text if text is not None and kind in KINDS else "", kind if kind in KINDS else "lm")
    if there := [key for key, each in found.items() if each.text is not None]:
        connection.execute(
            "UPDATE flowbot_responses SET used = %s WHERE key = ANY(%s) AND used < %s", (day := today(), there, day)
        )
    return found
