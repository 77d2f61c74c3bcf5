"""Questions in SQL to an SQLite file that nothing here can change.

The file is opened read-only and immutable, a callback of SQLite's lets only reading statements pass, and time, length
and the number of rows are bounded. SQLite looks for no changes of such a file, so we do. Its clock is looked at between two
steps and not within one, so functions that could stay in one step for long are replaced (see `_bound_functions`).
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from flowbot.fields import Field, StepError, ToolSignature, UserError
from flowbot.fields.files import sha256
from flowbot.task import SQLSource, Tool

T = TypeVar("T")
SECONDS = 10.0
"""Time that one query may take."""
MOST_ROWS = 100
_MOST_CELL = 500
_MOST_TABLE = 50_000
_MOST_SCHEMA = 4000
_MOST_STATEMENT = 20_000
_MOST_VALUE = 100_000
"""Bytes of a value, and of a row that is read: one step of SQLite works on so much before the clock is looked at."""
_MOST_PATTERN = 200
_MOST_COLUMNS = 200
_MOST_TABLES = 500
_LATE = "the query took longer than {:g} s; ask for less"
_STEPS = 20  # of SQLite's virtual machine, between two looks at the clock
_CONVERSION = re.compile(r"%[-+ #!,0]*(\*|[0-9]*)(?:\.(\*|[0-9]*))?l{0,2}(.)", re.DOTALL)
"""As SQLite's printf reads one: how wide, how precise, of what."""
_TAKE_NOTHING = "%n"
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
_FORBIDDEN = {"load_extension", "fts3_tokenizer"}


def sql_tool(source: SQLSource) -> Tool:
    """The tool that a source declares: `query` in, `result` out, a table as text.

    Raises:
        UserError: if the file is no SQLite database, or one that was not closed.
    """
    where = f"{source.where}.sql"
    file = Path(source.file)
    state = _state(file)
    pending = _pending(file)
    if pending:
        raise UserError(where, f"{file}, with changes that stand only in {pending}", "a closed database")
    try:
        with closing(_connect(file)) as connection:
            tables = _tables(connection)
    except sqlite3.Error as error:
        raise UserError(where, f"{file} ({error})", "an SQLite database") from None
    about = " ".join(part for part in (source.about, "Runs one SELECT on an SQLite database. Tables:", tables) if part)
    signature = ToolSignature(
        source.name,
        about,
        (Field.of("query", "str", "one SELECT statement"),),
        (Field.of("result", "str", f"the rows as a table, at most {MOST_ROWS}"),),
    )
    identity = f"sql 3 {sha256(file)}"

    def ask(query: str) -> str:
        try:
            return answer(file, query)
        finally:  # what was read of a changing file is neither a result nor a fault of the query
            if _state(file) != state or _pending(file):
                raise UserError(str(file), "a database that changed while it was in use", "one that stays as it is")

    return Tool(signature, ask, None, identity, plain=True)


def answer(file: Path, query: str) -> str:
    """The rows of one SELECT as a table: a line of column names, then a line a row.

    Raises:
        StepError: if the statement is wrong, does anything but read, or takes too long.
    """
    with closing(_connect(file)) as connection:
        return select(connection, query, _table, SECONDS)


def select(
    connection: sqlite3.Connection,
    query: str,
    take: Callable[[Sequence[str], Iterable[tuple[Any, ...]]], T],
    seconds: float,
) -> T:
    """What is taken of the rows of one SELECT by somebody who is not trusted. The connection is of no other use afterwards.

    Args:
        connection: to a database; its statements are bounded from now on.
        query: the statement.
        take: what makes the result of the columns' names and of the rows, which are read as it asks for them.
        seconds: time that it may take.

    Raises:
        StepError: if the statement is wrong, does anything but read, or takes too long.
    """
    if len(query) > _MOST_STATEMENT:
        raise StepError(f"a statement of {len(query):,} characters; the most is {_MOST_STATEMENT:,}")
    end = time.monotonic() + seconds
    with closing(sqlite3.connect(":memory:")) as own:
        _bound_functions(connection, own)
        connection.set_authorizer(_authorise)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_VALUE)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, _MOST_PATTERN)
        connection.setlimit(sqlite3.SQLITE_LIMIT_COLUMN, _MOST_COLUMNS)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.set_progress_handler(lambda: int(time.monotonic() > end), _STEPS)
        try:
            cursor = connection.execute(query)
            names = [str(column[0]) for column in cursor.description or ()]
            taken = take(names, cursor)
        except (sqlite3.Error, sqlite3.Warning, UnicodeError) as error:
            raise StepError(_explain(error, seconds)) from None
        if time.monotonic() > end:
            raise StepError(_LATE.format(seconds))
        if cursor.description is None:
            raise StepError("the statement gives no rows; write one SELECT")
    return taken


def _bound_functions(connection: sqlite3.Connection, own: sqlite3.Connection) -> None:
    """Have a connection call, in place of SQLite's own functions of whose arguments one step can be made to last, these.

    Args:
        connection: whose functions are replaced.
        own: another one, which formats.
    """
    own.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_VALUE)

    def formatted(*given: Any) -> Any:
        """As SQLite formats; NULL, which it gives for what is too long, for what is to be very wide or precise."""
        if given and _sizes(own, _as_text(given[0]), given[1:]) > _MOST_VALUE:
            return None
        return own.execute(f"SELECT printf({', '.join('?' * len(given))})", given).fetchone()[0]

    for name in ("printf", "format"):
        connection.create_function(name, -1, formatted, deterministic=True)
    # SQLite compares each character with each of those to take away.
    for name, strip in (("trim", str.strip), ("ltrim", str.lstrip), ("rtrim", str.rstrip)):
        connection.create_function(name, 2, _stripping(strip), deterministic=True)


def _sizes(connection: sqlite3.Connection, form: str, given: Sequence[Any]) -> int:
    """The sum of all widths and precisions: SQLite writes a billion characters one by one, also where there is room for none."""
    rest, total = iter(given), 0
    for width, precision, kind in _CONVERSION.findall(form):
        for size in (width, precision):
            if size == "*":  # the number that SQLite makes of a value; one below zero counts as if it were above
                total += abs(
                    connection.execute("SELECT coalesce(CAST(? AS INTEGER), 0)", (next(rest, 0),)).fetchone()[0]
                )
            else:
                total += int(size.lstrip("0")[:9] or 0)
        if kind not in _TAKE_NOTHING:
            next(rest, None)
    return total


def _stripping(strip: Callable[[str, str], str]) -> Callable[[Any, Any], str | None]:
    def stripped(text: Any, characters: Any) -> str | None:
        if text is None or characters is None:
            return None
        return strip(_as_text(text), _as_text(characters))

    return stripped


def _as_text(value: Any) -> str:
    return _decoded(value) if isinstance(value, bytes) else str(value)


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)
    try:
        connection.execute("PRAGMA query_only = ON")
        # Text need not be Unicode.
        connection.text_factory = _decoded
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _state(file: Path) -> tuple[int, int] | None:
    """Size and time of the last change; None if the file is gone."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _pending(file: Path) -> str:
    """The file beside a database that holds changes which are not in it yet; empty if there is none."""
    beside = (file.with_name(file.name + ending) for ending in ("-wal", "-journal"))
    return next((each.name for each in beside if (state := _state(each)) is not None and state[0]), "")


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _authorise(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action not in _ALLOWED or (action == sqlite3.SQLITE_FUNCTION and second in _FORBIDDEN):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _explain(error: Exception, seconds: float) -> str:
    text = str(error)
    if text == "interrupted":
        return _LATE.format(seconds)
    if isinstance(error, UnicodeError):
        return "the statement is not valid Unicode"
    if "not authorized" in text or "prohibited" in text:
        return "only one SELECT that reads the tables is allowed"
    return text


def _tables(connection: sqlite3.Connection) -> str:
    """The tables and views with their columns, as `name(column TYPE, …)`."""
    shown: list[str] = []
    query = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    for (name,) in connection.execute(f"{query} ORDER BY rowid LIMIT {_MOST_TABLES}").fetchall():
        columns = connection.execute("SELECT name, type FROM pragma_table_info(?)", (name,)).fetchall()
        shown.append(f"{name}({', '.join(f'{column} {kind}'.strip() for column, kind in columns)})")
    text = "; ".join(shown) or "none"
    return text if len(text) <= _MOST_SCHEMA else text[: _MOST_SCHEMA - 1] + "…"


def _table(names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> str:
    """The table; of rows no more are read than are shown, and one more."""
    lines = [" | ".join(map(_cell, names))]
    length = len(lines[0])
    more = False
    for row in rows:
        line = " | ".join(map(_cell, row))
        length += len(line) + 1
        more = len(lines) > MOST_ROWS or length > _MOST_TABLE
        if more:
            break
        lines.append(line)
    shown = len(lines) - 1
    if more:
        lines.append(f"(only the first {shown} rows are shown; ask for less)")
    elif not shown:
        lines.append("(no rows)")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    text = " ".join(str(value).split()) if isinstance(value, str) else repr(value)
    return text if len(text) <= _MOST_CELL else text[: _MOST_CELL - 1] + "…"
