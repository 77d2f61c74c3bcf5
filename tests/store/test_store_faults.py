"""Files that cannot be written, are locked or damaged: one clear line, and nothing that was committed is lost."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from store_help import age, damage, damage_page, fill, first_version, is_sound, keys, numbered, sql

import flowbot.store.files as files_module
from flowbot.fields import InfrastructureError, UserError
from flowbot.store import Store
from flowbot.store.limits import Limits, prune, set_limits
from flowbot.store.rows import checksum
from flowbot.store.stats import read_stats
from flowbot.store.transfer import import_responses
from flowbot.store.verify import verify

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A place that an ordinary user can reach."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder / "store.sqlite"
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture
def ordinary_user(path: Path) -> Iterator[Callable[[], None]]:
    """Become somebody to whom the permissions of files apply."""
    fill(path, {"warm": {}})  # what is imported on first use is imported now
    root = os.geteuid() == 0

    def become() -> None:
        if root:
            os.seteuid(NOBODY)

    yield become
    if root:
        os.seteuid(0)


def hold(path: Path) -> sqlite3.Connection:
    """Another program that keeps the file locked."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    other.execute("INSERT INTO responses (key, kind, value, created) VALUES ('theirs', 'lm', '{}', 1)")
    return other


def test_a_file_that_may_not_be_written_is_named(open_path: Path, ordinary_user: Callable[[], None]) -> None:
    fill(open_path, {"k": {"n": 1}})
    open_path.chmod(0o444)
    open_path.parent.chmod(0o555)
    ordinary_user()
    with pytest.raises(UserError, match="no way to write there") as caught:
        Store.open(open_path)
    assert str(open_path) in str(caught.value)

    async def read() -> object:
        store = Store.open(open_path, read_only=True)
        found = await store.get("k")
        await store.close()
        return found

    assert asyncio.run(read()) == {"n": 1}


def test_a_file_that_may_not_be_read_is_named(open_path: Path, ordinary_user: Callable[[], None]) -> None:
    fill(open_path, {"k": {}})
    open_path.chmod(0)
    ordinary_user()
    for read_only in (True, False):
        with pytest.raises(UserError, match=str(open_path)):
            Store.open(open_path, read_only=read_only)


async def test_a_file_that_becomes_read_only_fails_the_write_alone(path: Path) -> None:
    store = Store.open(path)
    await store.put("k", {"n": 1})
    store._writer._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(InfrastructureError, match="cannot be written") as caught:
        await store.put("l", {})
    assert caught.value.kind == "disk"
    assert await store.get("l") is None
    store._writer._connection.execute("PRAGMA query_only = OFF")
    await store.put("l", {})
    await store.close()
    assert keys(path) == {"k", "l"}


async def test_a_day_of_use_that_cannot_be_written_is_in_nobodys_way(path: Path) -> None:
    store = Store.open(path)
    await store.put("k", {"n": 1})
    await store.close()
    age(path, 3)
    store = Store.open(path)
    sql(path, "CREATE TRIGGER never BEFORE UPDATE ON responses BEGIN SELECT RAISE(FAIL, 'never'); END")
    assert await store.get("k") == {"n": 1}
    for n in range(3):
        assert await store.put(f"l{n}", {"n": n}) == {"n": n}
    await store.close()
    assert keys(path) == {"k", "l0", "l1", "l2"}


async def test_a_locked_file_fails_writes_but_not_reads(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "BUSY_SECONDS", 0.05)
    store = Store.open(path)
    await store.put("k", {"n": 1})
    await store.close()
    age(path, 3)
    store = Store.open(path)
    with closing(hold(path)):
        assert await store.get("k") == {"n": 1}
        with pytest.raises(InfrastructureError, match="another process keeps it locked") as caught:
            await store.put("l", {})
        assert caught.value.kind == "disk"
        assert "\n" not in str(caught.value)
    assert await store.put("l", {"n": 2}) == {"n": 2}
    await store.close()
    assert keys(path) == {"k", "l"}


def test_a_file_that_is_locked_when_it_is_opened_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(path, {"k": {}})
    monkeypatch.setattr(files_module, "BUSY_SECONDS", 0.05)
    with closing(hold(path)):
        for use in (Store.open, prune, lambda place: set_limits(place, Limits())):
            with pytest.raises(InfrastructureError, match="another process keeps it locked") as caught:
                use(path)
            assert caught.value.kind == "disk"
    assert keys(path) == {"k"}


async def test_limits_that_cannot_be_kept_do_not_fail_the_close(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "BUSY_SECONDS", 0.05)
    store = Store.open(path)
    await store.put("k", {})
    await store.close()
    set_limits(path, Limits(age=1))
    age(path, 30)
    store = Store.open(path)
    with closing(hold(path)):
        await store.close()
    assert keys(path) == {"k"}


class SmallDisk(sqlite3.Connection):
    """A connection to a disk on which the file cannot grow."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        pages = self.execute("PRAGMA page_count").fetchone()[0]
        self.execute(f"PRAGMA max_page_count = {max(pages, 1)}")


@pytest.fixture
def small_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    connect = sqlite3.connect

    def fill_it() -> None:
        monkeypatch.setattr(sqlite3, "connect", lambda *given, **named: connect(*given, factory=SmallDisk, **named))

    return fill_it


def test_a_disk_too_full_for_a_new_file_is_said(path: Path, small_disk: Callable[[], None]) -> None:
    small_disk()
    with pytest.raises(UserError, match="full disk") as caught:
        Store.open(path)
    assert str(path) in str(caught.value)


def test_a_disk_too_full_for_a_new_version_leaves_the_old_one(
    path: Path, small_disk: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    first_version(path, [(f"k{n}", "lm", f'{{"n":{n}}}', 1.0) for n in range(500)])
    small_disk()
    with pytest.raises(UserError, match="full disk"):
        Store.open(path)
    monkeypatch.undo()
    assert sql(path, "PRAGMA user_version") == [(1,)]
    assert len(keys(path)) == 500
    fill(path, {"new": {}})
    assert sql(path, "PRAGMA user_version") == [(2,)]
    assert keys(path) == {"new", *numbered(range(500))}
    assert is_sound(path)


def test_a_file_of_another_program_is_not_read_either(path: Path) -> None:
    sql(path, "CREATE TABLE responses (key, value)")
    with pytest.raises(UserError, match="another program"):
        Store.open(path, read_only=True)
    with pytest.raises(UserError, match="another program"):
        prune(path, kind="lm")
    assert sql(path, "SELECT * FROM responses") == []


def test_a_newer_file_is_not_read_either(path: Path) -> None:
    fill(path, {"k": {}})
    sql(path, "PRAGMA user_version = 99")
    with pytest.raises(UserError, match="newer FlowBot"):
        Store.open(path, read_only=True)


async def test_a_damaged_response_fails_alone(path: Path) -> None:
    store = Store.open(path)
    for n in range(50):
        await store.put(f"k{n}", {"text": f"pears {n:03}"})
    await store.close()
    damage(path, b"pears 007", b"pears 008")
    damage(path, b'{"text":"pears 011"}', b"\xff" * 20)
    store = Store.open(path)
    found = await asyncio.gather(*(store.get(f"k{n}") for n in range(50)), return_exceptions=True)
    for n, each in enumerate(found):
        if n in (7, 11):
            assert isinstance(each, InfrastructureError)
            assert each.kind == "disk"
            assert f"k{n} is damaged" in str(each)
            assert "verify --repair" in str(each)
        else:
            assert each == {"text": f"pears {n:03}"}
    await store.close()


async def test_a_damaged_page_fails_only_what_is_on_it(path: Path) -> None:
    store = Store.open(path)
    for n in range(100):
        await store.put(f"k{n}", {"text": f"{n:03} " + "x" * 1000})
    await store.close()
    damage_page(path, b'{"text":"050 ')
    store = Store.open(path)
    found = await asyncio.gather(*(store.get(f"k{n}") for n in range(100)), return_exceptions=True)
    failed = [n for n, each in enumerate(found) if not isinstance(each, dict)]
    assert 50 in failed
    assert len(failed) < 10
    assert all("damaged" in str(found[n]) for n in failed)
    await store.close()


@pytest.mark.parametrize("ending", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("kind", ["link", "pipe", "second name"])
def test_a_file_of_the_store_that_is_none_of_its_own_is_refused(path: Path, ending: str, kind: str) -> None:
    fill(path, {"a": {"n": 1}})
    odd, victim = path.with_name(f"{path.name}{ending}"), path.with_name("victim")
    odd.unlink(missing_ok=True)
    victim.write_bytes(b"mine")
    if kind == "pipe":
        os.mkfifo(odd)
    elif kind == "link":
        odd.symlink_to(victim)
    else:
        os.link(victim, odd)
    for read_only in (False, True):
        with pytest.raises(UserError, match=r"store\.sqlite.*own"):
            Store.open(path, read_only=read_only)
    assert victim.read_bytes() == b"mine"


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW v AS SELECT 1",
        "CREATE TRIGGER t AFTER INSERT ON responses BEGIN DELETE FROM responses; END",
        "ALTER TABLE responses ADD COLUMN more TEXT AS (zeroblob(1000000000))",
        "CREATE INDEX i ON responses (hex(zeroblob(1000)))",
        "DROP INDEX responses_used",
    ],
)
@pytest.mark.parametrize("old", [False, True])
def test_a_store_that_holds_more_than_ours_is_refused(path: Path, statement: str, old: bool) -> None:
    if old:
        if statement.startswith("DROP"):
            return  # the first version has no such index
        first_version(path, [("a", "lm", "{}", 1.0)])
    else:
        fill(path, {"a": {"n": 1}})
    sql(path, statement)
    for read_only in (False, True):
        with pytest.raises(UserError, match="a database of another program"):
            Store.open(path, read_only=read_only)


async def test_what_sqlite_notes_of_its_tables_is_no_fault(path: Path) -> None:
    store = Store.open(path)
    await store.put("a", {"n": 1})
    await store.close()
    sql(path, "ANALYZE")
    store = Store.open(path)
    assert await store.get("a") == {"n": 1}
    await store.close()


@pytest.mark.parametrize(
    "value", ["3", "[]", "nonsense", "[" * 10_000 + "]" * 10_000, '{"a": NaN}', '{"a": 1e999}', f'{{"a": {"9" * 400}}}']
)
async def test_a_text_that_is_no_value_is_damaged_though_its_checksum_fits(path: Path, value: str) -> None:
    store = Store.open(path)
    await store.put("k", {"n": 1})
    await store.close()
    sql(path, f"UPDATE responses SET value = '{value}', crc = {checksum(value)}")
    store = Store.open(path)
    with pytest.raises(InfrastructureError, match="the response k is damaged"):
        await store.get("k")
    with pytest.raises(InfrastructureError, match="the response k is damaged"):
        await store.put("k", {"n": 2})
    await store.close()
    assert not verify(path, check=lambda kind, value: None).sound


@pytest.mark.parametrize(
    "change",
    ["value = 3, crc = NULL", "value = x'ff00', crc = NULL", "used = 'never'", "created = 9e999", "created = 'now'"],
)
async def test_a_row_of_other_types_is_damaged_or_of_use_and_ends_no_thread(path: Path, change: str) -> None:
    store = Store.open(path)
    await store.put("k", {"n": 1})
    await store.close()
    sql(path, f"UPDATE responses SET {change}")
    store = Store.open(path)
    with suppress(InfrastructureError):
        assert await store.get("k") == {"n": 1}
    assert await store.put("l", {"n": 2}) == {"n": 2}
    await store.close()
    assert read_stats(path).entries == {"lm": 2}
    assert prune(path, older_than=0, dry_run=True).entries <= 2
    verify(path, check=lambda kind, value: None)


def test_a_row_of_a_number_beyond_all_is_found_without_counting_there(path: Path) -> None:
    fill(path, numbered(range(3)))
    sql(path, f"UPDATE responses SET rowid = {2**62}, value = '[]', crc = NULL WHERE key = 'k1'")
    found = verify(path, check=lambda kind, value: None)
    assert (found.entries, [each.key for each in found.damaged]) == (3, ["k1"])
    assert verify(path, check=lambda kind, value: None, repair=True).sound
    assert prune(path, kind="lm").entries == 2


def test_an_import_without_room_says_that_the_disk_is_full(path: Path, small_disk: Callable[[], None]) -> None:
    source = path.with_name("in.jsonl")
    source.write_text("".join(f'{{"key":"k{n}","kind":"lm","created":1,"value":{{}}}}\n' for n in range(999)))
    small_disk()
    with pytest.raises((UserError, InfrastructureError), match="full"):
        import_responses(path, source, check=lambda kind, value: None)
