"""`fb.ModelProxy`: models by their strings behind an address, from plain code and from async code, alone or on a workbench."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

import aiohttp
import pytest

import flowbot as fb
from flowbot.lm.proxy import Access

ASKED = {"model": "task", "messages": [{"role": "user", "content": "seven pears"}]}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWBOT_CACHE_DIR", str(tmp_path))


def post(access: Access) -> Any:
    asked = Request(f"{access.url}/chat/completions", json.dumps(ASKED).encode())
    with build_opener(ProxyHandler({})).open(asked) as answer:
        return json.load(answer)


def test_plain_code_gets_an_address_and_a_second_time_the_same_replies() -> None:
    said: list[Any] = []
    for _ in range(2):
        with fb.ModelProxy({"task": "fake/counter"}, budget=fb.Budget(calls=2)) as access:
            said.append([post(access), post(access)])
            assert access.session.budget.used["calls"] == 2
    assert said[0] == said[1]
    assert said[0][0] != said[0][1]
    assert access.misses == 0
    with pytest.raises(URLError):  # the port is closed
        post(access)


def test_on_a_workbench_it_counts_in_the_budget_of_all() -> None:
    whole = fb.Budget(calls=5)
    with (
        fb.Workbench(budget=whole) as bench,
        fb.ModelProxy({"task": "fake/echo"}, budget=fb.Budget(calls=2), workbench=bench) as access,
    ):
        assert post(access)["choices"][0]["message"]["content"] == "seven pears"
        assert (whole.used["calls"], access.budget["calls"]) == (1, {"used": 1, "ceiling": 2, "left": 1})


def test_it_is_opened_once_at_a_time() -> None:
    one = fb.ModelProxy({"task": "fake/echo"})
    for _ in range(2):
        with one as access:
            told = pytest.raises(fb.UserError, match="open already")
            with told, one:
                pass
            assert post(access)["choices"][0]["message"]["content"] == "seven pears"


async def test_async_code_has_it_on_its_own_loop() -> None:
    asked = {**ASKED, "model": "fake/echo"}
    async with (
        fb.Workbench() as bench,
        fb.ModelProxy("fake/echo", mode="replay", workbench=bench) as access,
        aiohttp.ClientSession() as http,
        http.post(f"{access.url}/chat/completions", json=asked) as answer,
    ):
        assert (await answer.json())["choices"][0]["message"]["content"] == "seven pears"
        assert len(await bench.connections.store.items("lm")) == 0


def test_a_slip_is_told_in_a_line_and_leaves_nothing_open() -> None:
    with pytest.raises(fb.UserError, match="mode: found 'keep'; expected one of record, replay, refuse"):
        fb.ModelProxy("fake/echo", mode="keep")  # type: ignore[arg-type]
    told = pytest.raises(fb.UserError, match="fake/eco")
    with fb.Workbench() as bench, told, fb.ModelProxy("fake/eco", workbench=bench):
        pass
    with told, fb.ModelProxy("fake/eco"):
        pass
    assert not [each for each in threading.enumerate() if each.name == "flowbot-workbench"]
