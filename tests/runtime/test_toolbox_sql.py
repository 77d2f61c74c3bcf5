from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from flowbot.fields import StepError, UserError
from flowbot.runtime.toolbox import opened_tools, sql
from flowbot.runtime.tools import ToolRunner
from flowbot.task import SQLSource


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    file = tmp_path / "my shop.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE orders(id INTEGER PRIMARY KEY, customer TEXT, total REAL, picture BLOB)")
        rows = [(1, "Ann\nLee", 12.5, None), (2, "Bo", 3.0, b"xy")]
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", rows)
        connection.execute("CREATE VIEW dear AS SELECT * FROM orders WHERE total > 10")
        connection.commit()
    return file


def content(file: Path) -> bytes:
    return file.read_bytes()


async def asked(file: Path, query: str) -> str:
    async with opened_tools([SQLSource(file=file)]) as tools:
        outputs, _ = await ToolRunner(tools, None).call("sql", {"query": query})
        return outputs["result"]


async def test_rows_come_as_a_table(shop: Path) -> None:
    table = await asked(shop, "SELECT * FROM orders ORDER BY id")
    assert table == "id | customer | total | picture\n1 | Ann Lee | 12.5 | NULL\n2 | Bo | 3.0 | <2 bytes>"
    assert await asked(shop, "WITH d AS (SELECT * FROM dear) SELECT count(*) AS n FROM d") == "n\n1"
    assert await asked(shop, "SELECT id FROM orders WHERE id > 9") == "id\n(no rows)"


async def test_the_model_is_told_the_tables(shop: Path) -> None:
    async with opened_tools([SQLSource(file=shop, name="shop", about="Orders of a shop.")]) as tools:
        about = tools["shop"].signature.about
    assert about.startswith("Orders of a shop.")
    assert "orders(id INTEGER, customer TEXT, total REAL, picture BLOB); dear(" in about


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM orders",
        "INSERT INTO orders VALUES (3, 'x', 1, NULL)",
        "UPDATE orders SET total = 0",
        "DROP TABLE orders",
        "CREATE TABLE x(y)",
        "ATTACH DATABASE '/tmp/other.sqlite' AS other",
        "PRAGMA query_only = OFF",
        "PRAGMA database_list",
        "SELECT * FROM pragma_database_list",
        "EXPLAIN DELETE FROM orders",
        "VACUUM INTO '/tmp/copy.sqlite'",
        "SELECT load_extension('/tmp/x.so')",
        "BEGIN",
        "SELECT 1; DELETE FROM orders",
        "SELEC 1",
        "SELECT nothing FROM orders",
        "SELECT randomblob(100000000)",
        "",
        "SELECT '" + "x" * 30_000 + "'",
        "SELECT length(randomblob(200000))",
        "SELECT * FROM orders WHERE customer LIKE '" + "%a" * 200 + "'",
    ],
)
async def test_all_but_one_bounded_select_is_a_failed_step_and_changes_nothing(shop: Path, query: str) -> None:
    before = content(shop)
    with pytest.raises(StepError, match="tool sql"):
        await asked(shop, query)
    assert content(shop) == before


async def test_rows_and_cells_are_bounded(shop: Path) -> None:
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, "
    many = (await asked(shop, numbers + "'x' FROM n LIMIT 5000")).splitlines()
    assert len(many) == sql.MOST_ROWS + 2
    assert many[-1] == "(only the first 100 rows are shown; ask for less)"
    wide = await asked(shop, numbers + "printf('%.*c', 9000, 'x') FROM n LIMIT 5000")
    assert len(wide) < 60_000
    assert "x…" in wide


async def test_an_endless_query_is_ended(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "SECONDS", 0.05)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(StepError, match=r"longer than 0\.05 s"):
        await asked(shop, endless)


async def test_the_identity_is_the_content(shop: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(shop, tmp_path / "copy.sqlite"))
    async with opened_tools([SQLSource(file=shop), SQLSource(file=copy, name="copy")]) as tools:
        assert tools["sql"].identity == tools["copy"].identity
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("DELETE FROM orders")
        connection.commit()
    async with opened_tools([SQLSource(file=shop), SQLSource(file=copy, name="copy")]) as tools:
        assert tools["sql"].identity != tools["copy"].identity


async def test_a_file_that_is_no_closed_database_is_the_users_error(shop: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.sqlite"
    text.write_text("no database, but long enough to be read as one\n" * 50, encoding="utf-8")
    with pytest.raises(UserError, match="an SQLite database"):
        await asked(text, "SELECT 1")
    shop.with_name(shop.name + "-wal").write_bytes(b"x")
    with pytest.raises(UserError, match="a closed database"):
        await asked(shop, "SELECT 1")


async def test_the_clock_is_looked_at_after_the_last_step(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "SECONDS", -1.0)
    with pytest.raises(StepError, match="took longer"):
        await asked(shop, "SELECT 1")


def touch(file: Path) -> None:
    found = file.stat()
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns + 1))


@pytest.mark.parametrize(
    "change",
    [
        touch,
        Path.unlink,
        lambda file: file.with_name(file.name + "-wal").write_bytes(b"x"),
        lambda file: file.with_name(file.name + "-journal").write_bytes(b"x"),
    ],
    ids=["rewritten", "removed", "log", "journal"],
)
async def test_a_database_that_changes_while_it_is_open_is_the_users_error(
    shop: Path, change: Callable[[Path], object]
) -> None:
    async with opened_tools([SQLSource(file=shop)]) as tools:
        runner = ToolRunner(tools, None)
        await runner.call("sql", {"query": "SELECT 1"})
        change(shop)
        with pytest.raises(UserError, match="changed while it was in use"):
            await runner.call("sql", {"query": "SELECT count(*) FROM orders"})


async def test_so_is_one_that_changes_by_a_write_ahead_log(shop: Path) -> None:
    with closing(sqlite3.connect(shop)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    async with opened_tools([SQLSource(file=shop)]) as tools:
        with closing(sqlite3.connect(shop)) as connection:
            connection.execute("DELETE FROM orders")
            connection.commit()
            with pytest.raises(UserError, match="changed while it was in use"):
                await ToolRunner(tools, None).call("sql", {"query": "SELECT count(*) FROM orders"})


async def test_functions_that_stay_in_one_step_are_bounded_and_else_as_they_are(shop: Path) -> None:
    for endless in (
        "printf('%.*c', 300000000, 'x')",
        "format('%.300000000c', 'x')",
        "printf('%s%%%n%-*d%.*c', 1, 2, 3, ' 300000000x', 'x')",
        "printf('%.*c', -2147483600, 'x')",
        "printf('%.*c', -9223372036854775807 - 1, 'x')",
        "printf('%.0000000000300000000c', 'x')",
        "printf(replace(hex(zeroblob(12000)), '00', '%.99999c'), 'x')",
    ):
        assert (await asked(shop, f"SELECT {endless} AS v")).splitlines() == ["v", "NULL"]
    same = "printf('%.2f|%5d|%s|%.3c', 1.239, 7, 'a', 'xy'), trim('xxaxx', 'x'), ltrim(115, 1), rtrim(NULL, 'a')"
    assert (await asked(shop, f"SELECT {same}")).splitlines()[1] == "1.24| 7|a|xxx | a | 5 | NULL"
    starred = "printf('%%%.*c|%*d|%-*.*f', -3, 'x', 4, 1000000000, 6, 1, 2.54), printf(NULL), printf()"
    assert (await asked(shop, f"SELECT {starred}")).splitlines()[1] == "%xxx|1000000000|2.5 | NULL | NULL"


async def test_wide_rows_are_refused(shop: Path) -> None:
    with pytest.raises(StepError, match="too many columns"):
        await asked(shop, f"SELECT {', '.join(['1'] * 201)}")
