"""The store: what was put is there, after a kill too, and every way in which a file can fail is said."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flowbot.store.store as store_module
from flowbot.fields import InfrastructureError, UserError
from flowbot.store import Store, default_cache_dir
from flowbot.store.migrations import APPLICATION_ID, MIGRATIONS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "store.sqlite"


async def test_what_was_put_is_there_in_the_next_process(path: Path) -> None:
    store = Store.open(path)
    await store.put("k", {"text": "ü", "n": [1, 2.5, None, True]})
    await store.close()
    again = Store.open(path)
    assert again.peek("k") is None
    assert await again.get("k") == {"text": "ü", "n": [1, 2.5, None, True]}
    assert again.peek("k") == {"text": "ü", "n": [1, 2.5, None, True]}
    assert await again.get("other") is None
    await again.close()


async def test_the_first_value_stands_unless_it_is_replaced(path: Path) -> None:
    for store in (Store.open(path), Store.memory()):
        assert await store.put("k", {"n": 1}) == {"n": 1}
        assert await store.put("k", {"n": 2}) == {"n": 1}
        assert await store.get("k") == {"n": 1}
        assert await store.put("k", {"n": 3}, replace=True) == {"n": 3}
        assert await store.get("k") == {"n": 3}
        await store.close()


async def test_two_stores_on_one_file_agree_on_the_first_value(path: Path) -> None:
    one, other = Store.open(path), Store.open(path)
    both = list(enumerate([one, other]))
    stood = await asyncio.gather(*(each.put(f"k{n}", {"by": who}) for n in range(50) for who, each in both))
    for n in range(50):
        assert stood[2 * n] == stood[2 * n + 1] == await one.get(f"k{n}") == await other.get(f"k{n}")
    await one.close()
    await other.close()


async def test_a_value_that_is_changed_outside_does_not_change_inside() -> None:
    store = Store.memory()
    value = {"items": [1]}
    await store.put("k", value)
    value["items"].append(2)
    found = await store.get("k")
    assert found == {"items": [1]}
    found["items"].append(3)
    assert await store.get("k") == {"items": [1]}


async def test_many_puts_at_once_are_committed_in_few_groups(path: Path) -> None:
    store = Store.open(path)
    commits: list[str] = []
    store._writer._connection.set_trace_callback(lambda text: commits.append(text) if text == "COMMIT" else None)
    await asyncio.gather(*(store.put(f"k{n}", {"n": n}) for n in range(500)))
    assert 1 <= len(commits) < 100
    assert len(await store.items("lm")) == 500
    await store.close()


async def test_lists_by_kind(path: Path) -> None:
    for store in (Store.open(path), Store.memory()):
        await store.put("b", {"n": 1}, kind="probe")
        await store.put("a", {"n": 2}, kind="probe")
        await store.put("c", {"n": 3})
        assert [len(await store.items(kind)) for kind in ("lm", "probe", "tool")] == [1, 2, 0]
        assert list((await store.items("probe")).items()) == [("a", {"n": 2}), ("b", {"n": 1})]
        await store.close()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"x"])
async def test_refuses_what_json_cannot_hold(value: object) -> None:
    with pytest.raises(ValueError, match="not JSON"):
        await Store.memory().put("k", {"v": value})


async def test_half_a_surrogate_pair_is_kept(path: Path) -> None:
    store = Store.open(path)
    await store.put("k", {"text": "\ud83d"})
    await store.close()
    again = Store.open(path)
    assert await again.get("k") == {"text": "\ud83d"}
    await again.close()


async def test_what_does_not_fit_in_memory_comes_from_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MEMORY_BYTES", 1000)
    store = Store.open(path)
    for n in range(20):
        await store.put(f"k{n}", {"text": "x" * 100})
    assert store.peek("k0") is None
    assert store.peek("k19") is not None
    assert await store.get("k0") == {"text": "x" * 100}
    await store.close()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), _JSON, max_size=4))
@settings(max_examples=50, deadline=None)
def test_any_json_object_comes_back_equal(value: dict[str, object]) -> None:
    async def through() -> object:
        store = Store.memory()
        await store.put("k", value)
        return await store.get("k")

    assert asyncio.run(through()) == value


_CHILD = """
import asyncio, sys
from pathlib import Path
from flowbot.store import Store

async def one(store, n):
    await store.put(f"k{n}", {"n": n})
    sys.stdout.write(f"{n}\\n")
    sys.stdout.flush()

async def main():
    store = Store.open(Path(sys.argv[1]))
    for start in range(0, 10**9, 20):
        await asyncio.gather(*(one(store, start + n) for n in range(20)))

asyncio.run(main())
"""


def test_what_was_confirmed_survives_a_kill(path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", _CHILD, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    confirmed = [int(child.stdout.readline()) for _ in range(333)]
    child.send_signal(signal.SIGKILL)
    confirmed += [int(line) for line in child.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL

    async def lost() -> list[int]:
        store = Store.open(path)
        missing = [n for n in confirmed if await store.get(f"k{n}") != {"n": n}]
        await store.put("after", {})
        await store.close()
        return missing

    assert asyncio.run(lost()) == []


async def test_opens_for_reading_only(path: Path) -> None:
    store = Store.open(path)
    await store.put("k", {"n": 1})
    reading = Store.open(path, read_only=True)
    assert await reading.get("k") == {"n": 1}
    with pytest.raises(InfrastructureError, match="reading only"):
        await reading.put("l", {})
    await reading.close()
    await store.close()
    with pytest.raises(UserError, match="no such file"):
        Store.open(path.with_name("other.sqlite"), read_only=True)


async def test_a_closed_store_says_so(path: Path) -> None:
    store = Store.open(path)
    await store.close()
    await store.close()
    with pytest.raises(InfrastructureError, match="closed"):
        await store.put("k", {})
    with pytest.raises(InfrastructureError, match="closed"):
        await store.get("k")


@pytest.mark.parametrize(
    ("content", "said"), [(b"this is a text, no database, and long enough to see it" * 30, "not a database")]
)
def test_a_file_that_is_no_database_is_named(path: Path, content: bytes, said: str) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(UserError, match=said) as caught:
        Store.open(path)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == content


def test_another_programs_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.commit()
    other.close()
    with pytest.raises(UserError, match="another program"):
        Store.open(path)


def test_a_newer_file_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    newer = sqlite3.connect(path)
    newer.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    newer.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    newer.execute("CREATE TABLE later (x)")
    newer.commit()
    newer.close()
    with pytest.raises(UserError, match="newer FlowBot"):
        Store.open(path)


def test_a_damaged_file_is_named(path: Path) -> None:
    async def fill() -> None:
        store = Store.open(path)
        for n in range(300):
            await store.put(f"k{n}", {"text": "x" * 500})
        await store.close()

    asyncio.run(fill())
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)

    async def use() -> None:
        damaged = Store.open(path)
        try:
            await damaged.get("k7")
            await damaged.put("new", {})
        finally:
            await damaged.close()

    with pytest.raises((UserError, InfrastructureError), match="damaged") as caught:
        asyncio.run(use())
    assert str(path) in str(caught.value)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "store.sqlite"
    with pytest.raises(UserError, match="no way to write there") as caught:
        Store.open(path)
    assert str(path) in str(caught.value)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    # The kernel lets root write anywhere but here.
    folder = Path("/proc/self") if os.geteuid() == 0 else tmp_path
    if os.geteuid() != 0:
        tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="no way to write there"):
        Store.open(folder / "store.sqlite")


async def test_a_full_disk_is_said_and_what_was_stored_stays(path: Path) -> None:
    store = Store.open(path)
    await store.put("k", {"n": 1})
    pages = store._writer._connection.execute("PRAGMA page_count").fetchone()[0]
    store._writer._connection.execute(f"PRAGMA max_page_count = {pages}")
    results = await asyncio.gather(
        *(store.put(f"big{n}", {"text": "x" * 100_000}) for n in range(5)), return_exceptions=True
    )
    assert {type(each) for each in results} == {InfrastructureError}
    assert all(each.kind == "disk" and "full" in str(each) and str(path) in str(each) for each in results)
    assert await store.get("big0") is None
    store._writer._connection.execute("PRAGMA max_page_count = 1000000")
    assert await store.put("big0", {"text": "x" * 100_000}) == {"text": "x" * 100_000}
    assert await store.get("k") == {"n": 1}
    await store.close()


def test_the_cache_folder_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLOWBOT_CACHE_DIR", str(tmp_path))
    assert default_cache_dir() == tmp_path
    monkeypatch.delenv("FLOWBOT_CACHE_DIR")
    assert default_cache_dir().name == "flowbot"
