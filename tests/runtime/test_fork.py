"""A flow that was used before `os.fork` works on both sides of it, and neither side closes what is the other's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from endpoint_help import serving

from flowbot.fields import InfrastructureError
from flowbot.runtime.awake import Watch
from flowbot.store import Store

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
PROGRAM = Path(__file__).with_name("fork_program.py")
GUARD_SECONDS = 60.0
"""After which a program that hangs is ended, and its test fails."""


async def forked(name: str, model: str, **env: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PROGRAM),
        name,
        model,
        env={**os.environ, **env},
        stdout=-1,
        stderr=-1,
        start_new_session=True,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), GUARD_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)  # also what was forked and hangs
    assert process.returncode == 0, err.decode()
    return json.loads(out)


def call(n: int, said: str = "") -> dict[str, Any]:
    return {"twice": 10 // n, "said": said or str(10 // n), "owner": True}


async def test_a_forked_process_opens_all_anew_and_the_parents_work_goes_on() -> None:
    found = await forked("by_fork", "fake/echo")
    assert found["before"] == found["after"] == call(1)
    assert [found["child"][0], found["child"][2]] == [call(2), call(5)]
    assert found["child"][1]["error"].startswith("d: ZeroDivisionError")


async def test_an_error_in_a_forked_process_reads_as_in_the_parent() -> None:
    found = await forked("by_fork", "fake/echo")
    assert found["child"][1] == (await forked("alone", "fake/echo"))["failed"]


async def test_so_does_one_that_it_forks_itself() -> None:
    found = await forked("by_grandchild", "fake/echo")
    assert found["child"] == [call(2), call(5)]


async def test_an_endpoint_over_http_is_asked_by_all() -> None:
    async with serving() as endpoint:
        base = str(endpoint.server.make_url("/v1"))
        env = {"OPENAI_BASE_URL": base, "OPENAI_API_KEY": "sk-test-0123456789"}
        for name in ("by_fork", "by_pool"):
            found = await forked(name, "openai/gpt-x", **env)
            assert found["before"] == found["after"] == call(1, "hi")
            assert [each.get("said") for each in found["child"]].count("hi") == len(found["child"]) - (
                name == "by_fork"
            )


async def test_the_workers_of_a_pool_share_what_was_opened_before() -> None:
    found = await forked("by_pool", "fake/echo")
    assert found["child"] == [call(1), call(2), call(5)]
    assert found["after"] == call(1)


async def test_a_fork_in_the_midst_of_other_threads_calls_is_no_trap() -> None:
    found = await forked("by_threads", "fake/echo")
    assert found["child"] == [call(2)] * 6
    assert found["after"] == call(1)


async def test_a_forked_worker_ends_when_it_is_told_to() -> None:
    found = await forked("by_signal", "fake/echo")
    assert (found["child"], found["status"], found["after"]) == (call(2), 7, call(1))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("by_workbench", "workbench: found one that is not open; expected with fb.Workbench() as bench: …"),
        (
            "by_coroutine",
            "executor: found worker processes of the one that this was forked from; expected its own: open it here",
        ),
    ],
)
async def test_a_forked_process_neither_uses_nor_ends_the_parents_workers(name: str, said: str) -> None:
    found = await forked(name, "fake/echo")
    assert found["child"] == said
    assert found["before"] == found["after"] != found["own"]  # the same worker, which nobody has ended


async def test_a_store_of_the_parents_is_refused_and_not_closed(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store.sqlite")
    await store.put("a", {"n": 1})

    def child() -> list[str]:
        async def used() -> list[str]:
            told: list[str] = []
            for each in (store.get("b"), store.put("c", {"n": 3})):
                try:
                    await each
                except InfrastructureError as error:
                    told.append(str(error))
            await store.close()
            own = Store.open(tmp_path / "store.sqlite")
            told.append(json.dumps(await own.get("a")))
            await own.put("d", {"n": 4})
            await own.close()
            return told

        return asyncio.run(used())

    told = await asyncio.to_thread(fork_and_ask, child)
    assert told[2] == '{"n": 1}'
    assert all("before this process was forked" in each for each in told[:2])
    assert await store.put("e", {"n": 5}) == {"n": 5}
    assert await store.get("d") == {"n": 4}
    await store.close()
    again = Store.open(tmp_path / "store.sqlite", read_only=True)
    assert len(await again.items("lm")) == 3
    await again.close()


def fork_and_ask(work: Any) -> list[str]:
    """What `work` gives in a forked process, which ends at once: pytest has no business there."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.write(writing, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as heard:
        text = heard.read()
    os.waitpid(child, 0)
    return json.loads(text)


def test_who_watches_the_clock_watches_in_the_child_too() -> None:
    from flowbot.runtime import awake

    with awake._WATCH.watching():  # its thread runs in the parent now

        def child() -> list[str]:
            held = awake._WATCH._turn.acquire(blocking=False)
            awake._WATCH._turn.release()
            with awake._WATCH.watching():
                thread = awake._WATCH._thread
                return [str(held), str(thread is not None and thread.is_alive())]

        assert fork_and_ask(child) == ["True", "True"]
    assert isinstance(awake._WATCH, Watch)
