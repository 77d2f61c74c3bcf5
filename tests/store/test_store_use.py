"""Days of use, old files brought to the newest version, limits, and what they never touch."""

from __future__ import annotations

import asyncio
import zlib
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_help import age, fill, first_version, is_sound, keys, numbered, sql

import flowbot.store.rows as rows_module
from flowbot.store import Store
from flowbot.store.limits import Limits, prune, set_limits
from flowbot.store.rows import DAY, today
from flowbot.store.stats import read_stats


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


def used(path: Path) -> dict[str, int]:
    """Days since the last use, by key."""
    return {key: today() - day for key, day in sql(path, "SELECT key, used FROM responses")}


async def read(path: Path, *wanted: str, read_only: bool = False) -> list[object]:
    store = Store.open(path, read_only=read_only)
    found = [await store.get(key) for key in wanted]
    await store.close()
    return found


async def test_reading_notes_the_day_of_use_of_what_was_read(path: Path) -> None:
    store = Store.open(path)
    for key, value in numbered(range(3)).items():
        await store.put(key, value)
    await store.close()
    assert used(path) == {"k0": 0, "k1": 0, "k2": 0}
    age(path, 5)
    await read(path, "k0", "k2", "missing")
    assert used(path) == {"k0": 0, "k1": 5, "k2": 0}
    assert sql(path, "SELECT max(created) < ? FROM responses", (today() - 3) * DAY) == [(1,)]


def test_a_store_that_is_read_only_writes_no_day_of_use(path: Path) -> None:
    fill(path, {"k": {}})
    age(path, 5)
    before = path.read_bytes()
    assert asyncio.run(read(path, "k", read_only=True)) == [{}]
    assert path.read_bytes() == before


async def test_what_is_pruned_just_after_it_was_read_is_put_back(path: Path) -> None:
    store = Store.open(path)
    await store.put("k", {"n": 1})
    await store.close()
    age(path, 5)
    store = Store.open(path)
    row = sql(path, "SELECT key, kind, value, created, crc FROM responses")
    sql(path, "DELETE FROM responses")
    store._writer.use(row)
    await store.close()
    assert used(path) == {"k": 0}
    assert await read(path, "k") == [{"n": 1}]


async def test_what_a_process_uses_over_several_days_stays_young(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day = today()
    store = Store.open(path)
    await store.put("old", {})
    await store.close()
    age(path, 9)
    store = Store.open(path)
    await store.put("mine", {})
    monkeypatch.setattr(rows_module, "time", SimpleNamespace(time=lambda: (day + 4) * DAY + 60.0))
    await store.put("mine too", {})
    await store.put("next", {})  # a group later
    assert dict(sql(path, "SELECT key, used FROM responses"))["mine"] == day + 4
    await store.close()
    assert dict(sql(path, "SELECT key, used FROM responses"))["old"] == day - 9


def test_an_old_file_gets_checksums_and_days_of_use(path: Path) -> None:
    text = '{"text":"pears"}'
    first_version(path, [("k", "lm", text, 1_700_000_000.5), ("probe", "probe", "{}", 1_600_000_000.0)])
    fill(path, {"new": {"n": 1}})
    rows = {row[0]: row[1:] for row in sql(path, "SELECT key, kind, value, created, used, crc FROM responses")}
    assert rows["k"] == ("lm", text, 1_700_000_000.5, 1_700_000_000 // DAY, zlib.crc32(text.encode()))
    assert rows["probe"][3:] == (1_600_000_000 // DAY, zlib.crc32(b"{}"))
    assert is_sound(path)


def test_an_old_file_can_be_read_without_being_changed(path: Path) -> None:
    first_version(path, [("k", "lm", '{"n":1}', 1_700_000_000.0)])
    before = path.read_bytes()
    assert asyncio.run(read(path, "k", "other", read_only=True)) == [{"n": 1}, None]
    assert path.read_bytes() == before
    assert read_stats(path).entries == {"lm": 1}


async def test_a_process_of_the_older_version_may_go_on_writing(path: Path) -> None:
    store = Store.open(path)
    sql(path, "INSERT INTO responses (key, kind, value, created) VALUES ('k', 'lm', '{}', ?)", today() * DAY)
    assert await store.get("k") == {}
    await store.close()
    assert used(path) == {"k": 0}
    sql(path, "INSERT INTO responses (key, kind, value, created) VALUES ('unread', 'lm', '{}', ?)", today() * DAY)
    assert prune(path, older_than=DAY).entries == 0
    assert prune(path, size=1).entries == 0


def test_by_age_goes_what_was_not_used_for_so_long(path: Path) -> None:
    fill(path, numbered(range(1200)))
    age(path, 40, where="value LIKE '%1,%'")
    old = {key for key, days in used(path).items() if days == 40}
    would = prune(path, older_than=30 * DAY, dry_run=True)
    assert keys(path) > old
    assert prune(path, older_than=30 * DAY) == would
    assert would.entries == len(old)
    assert keys(path) == set(numbered(range(1200))) - old


def test_by_size_goes_what_was_used_longest_ago(path: Path) -> None:
    fill(path, numbered(range(2000), size=900))
    for n in range(4):
        age(path, 10 * (n + 1), where=f"rowid > {n * 500} AND rowid <= {(n + 1) * 500}")
    before = read_stats(path).file_bytes
    would = prune(path, size=before // 2, dry_run=True)
    assert prune(path, size=before // 2) == would
    left = used(path)
    assert set(left.values()) <= {10, 20, 30}
    assert min(would.entries, len(left)) > 800
    assert read_stats(path).file_bytes <= before * 0.6
    assert is_sound(path)


def test_by_size_what_was_used_today_or_yesterday_stays(path: Path) -> None:
    fill(path, numbered(range(300), size=900))
    age(path, 1, where="rowid <= 100")
    age(path, 2, where="rowid > 200")
    pruned = prune(path, size=1000)
    assert (pruned.entries, pruned.kept) == (100, True)
    assert set(used(path).values()) == {0, 1}


def test_pages_that_hold_nothing_are_counted_as_free(path: Path) -> None:
    fill(path, numbered(range(300), size=900))
    full = read_stats(path)
    sql(path, "DELETE FROM responses WHERE rowid <= 200")
    assert full.free_bytes == 0
    assert full.file_bytes / 2 < read_stats(path).free_bytes < full.file_bytes
    prune(path, kind="probe")
    assert read_stats(path).free_bytes == 0
    assert read_stats(path).file_bytes < full.file_bytes / 2


def test_by_kind_goes_that_kind_alone(path: Path) -> None:
    fill(path, numbered(range(10)))
    fill(path, {"p": {}}, kind="probe")
    assert prune(path, kind="probe").entries == 1
    assert prune(path, kind="tool").entries == 0
    assert keys(path) == set(numbered(range(10)))


def test_pruning_a_missing_file_makes_none(path: Path) -> None:
    assert prune(path, older_than=1).entries == 0
    assert not path.exists()


@settings(deadline=None)
@given(st.lists(st.integers(min_value=0, max_value=6), min_size=1, max_size=25), st.integers(1, 40), st.integers(1, 7))
def test_limits_only_take_what_is_oldest(
    tmp_path_factory: pytest.TempPathFactory, days: list[int], kilobytes: int, most: int
) -> None:
    path = tmp_path_factory.mktemp("limits") / "store.sqlite"
    fill(path, numbered(range(len(days)), size=2000))
    for n, each in enumerate(days):
        age(path, each, where=f"key = 'k{n}'")
    before = used(path)
    pruned = set_limits(path, Limits(size=kilobytes * 1000, age=most * DAY))
    after = used(path)
    gone = {key: before[key] for key in before.keys() - after.keys()}
    assert pruned.entries == len(gone)
    assert all(each > 1 for each in gone.values())
    assert not gone or min(gone.values()) >= max((each for each in after.values() if each > 1), default=0)
    assert max(after.values(), default=0) <= max(most + 1, 1)


def test_a_limit_of_hours_leaves_what_was_used_yesterday(path: Path) -> None:
    fill(path, numbered(range(3)))
    age(path, 1, where="key = 'k1'")
    age(path, 2, where="key = 'k2'")
    assert set_limits(path, Limits(age=3600)).entries == 1
    assert keys(path) == {"k0", "k1"}


async def test_limits_are_kept_when_a_store_is_closed(path: Path) -> None:
    store = Store.open(path)
    for key, value in numbered(range(100), size=1000).items():
        await store.put(key, value)
    await store.close()
    set_limits(path, Limits(age=7 * DAY))
    age(path, 30, where="rowid <= 50")
    store = Store.open(path)
    assert await store.get("k7") == numbered([7], size=1000)["k7"]
    await store.close()
    assert keys(path) == {"k7", *numbered(range(50, 100))}
    assert read_stats(path).limits == Limits(age=7 * DAY)
    set_limits(path, Limits(size=20_000))
    age(path, 3, where="key <> 'k7'")
    await read(path, "k99")
    left = keys(path)
    assert {"k7", "k99"} <= left
    assert len(left) < 20
    assert [each.name for each in path.parent.iterdir()] == [path.name]


async def test_a_store_that_is_read_only_keeps_no_limits(path: Path) -> None:
    store = Store.open(path)
    await store.put("k", {})
    await store.close()
    set_limits(path, Limits(age=DAY))
    age(path, 30)
    await read(path, "k", read_only=True)
    assert keys(path) == {"k"}


def test_a_file_made_before_limits_gives_its_space_back_too(path: Path) -> None:
    first_version(path, [(f"k{n}", "lm", '{"text":"' + "x" * 1000 + '"}', 1_700_000_000.0) for n in range(1000)])
    before = path.stat().st_size
    assert prune(path, older_than=DAY).entries == 1000
    assert path.stat().st_size < before / 10
    assert is_sound(path)
