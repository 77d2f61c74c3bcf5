"""Several processes, several loops and several tasks on one store."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from store_help import fill, is_sound, keys, numbered, sql

from flowbot.store import Store

_WRITER = """
import asyncio, json, sys
from pathlib import Path
from flowbot.store import Store

async def main(path, me):
    store = Store.open(Path(path))
    print("ready", flush=True)
    sys.stdin.readline()
    stood = {}
    for start in range(0, 300, 30):
        keys = [f"k{n}" for n in range(start, start + 30)]
        for key, value in zip(keys, await asyncio.gather(*(store.put(key, {"by": me}) for key in keys))):
            stood[key] = value["by"]
    print(json.dumps(stood), flush=True)
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


def test_processes_that_write_the_same_keys_see_the_same_values(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in ("a", "b", "c")
    ]
    for each in processes:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    stood = [json.loads(each.communicate("go\n")[0]) for each in processes]
    assert [each.returncode for each in processes] == [0, 0, 0]
    assert stood[0] == stood[1] == stood[2]
    assert stood[0] == {key: json.loads(value)["by"] for key, value in sql(path, "SELECT key, value FROM responses")}
    assert len(stood[0]) == 300
    assert is_sound(path)


def test_a_store_may_be_used_from_one_loop_after_another(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    fill(path, numbered(range(3)))
    store = Store.open(path)
    assert asyncio.run(store.get("k0")) == numbered([0])["k0"]

    async def leave() -> None:
        asyncio.get_running_loop().create_task(store.get("k1"))
        asyncio.get_running_loop().create_task(store.put("late", {}))
        await asyncio.sleep(0)

    asyncio.run(leave())  # the loop ends while both are on their way
    assert asyncio.run(store.get("k2")) == numbered([2])["k2"]
    asyncio.run(store.close())
    assert keys(path) == {"late", *numbered(range(3))}


async def test_keys_that_are_asked_for_together_are_looked_up_together(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store.sqlite")
    await asyncio.gather(*(store.put(key, value) for key, value in numbered(range(200)).items()))
    await store.close()
    store = Store.open(tmp_path / "store.sqlite")
    statements: list[str] = []
    store._reader._connection.set_trace_callback(statements.append)
    wanted = [*numbered(range(200)), "missing", "k7"]
    found = await asyncio.gather(*(store.get(key) for key in wanted))
    assert found == [*numbered(range(200)).values(), None, numbered([7])["k7"]]
    assert len(statements) < 100
    await store.close()


async def test_a_waiter_that_gave_up_does_not_disturb_the_others(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store.sqlite")
    await store.put("k", {"n": 1})
    await store.close()
    store = Store.open(tmp_path / "store.sqlite")
    gone, stays = asyncio.create_task(store.get("k")), asyncio.create_task(store.get("k"))
    putting = asyncio.create_task(store.put("l", {"n": 2}))
    await asyncio.sleep(0)
    gone.cancel()
    putting.cancel()
    assert await stays == {"n": 1}
    with pytest.raises(asyncio.CancelledError):
        await gone
    await store.close()
    assert keys(tmp_path / "store.sqlite") == {"k", "l"}


async def test_what_is_asked_for_before_the_close_is_answered(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store.sqlite")
    await store.put("k", {"n": 1})
    await store.close()
    store = Store.open(tmp_path / "store.sqlite")
    asked = [asyncio.create_task(each) for each in (store.get("k"), store.put("l", {}), store.items("lm"))]
    await asyncio.sleep(0)
    await store.close()
    assert (await asyncio.gather(*asked))[:2] == [{"n": 1}, {}]
