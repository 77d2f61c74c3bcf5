"""Calls under way when a run must end: a short grace, then they are cut off, and what is stored stays."""

from __future__ import annotations

import asyncio

import pytest
from lm_helpers import client_of, make_lm, request, until

from flowbot.fields import Paused
from flowbot.lm import cut
from flowbot.lm.budget import Budget
from flowbot.store import Store


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cut, "GRACE", 0.05)


async def test_a_call_that_does_not_end_is_cut_off_after_the_seconds_and_resumes() -> None:
    store = Store.memory()
    lm = make_lm(lambda asked, number: "late", store=store, budget=Budget(seconds=0.05))
    client_of(lm).gate.clear()
    with pytest.raises(Paused, match=r"0\.05 seconds") as paused:
        await asyncio.wait_for(lm.ask(request(), purpose="t"), 30)
    assert paused.value.stopped_by == "seconds"
    assert lm.session.budget.used["calls"] == 0
    await asyncio.wait_for(lm.close(), 30)
    again = make_lm(lambda asked, number: "now", store=store)
    assert (await again.ask(request(), purpose="t")).text == "now"


async def test_one_wish_to_stop_ends_calls_under_way_too() -> None:
    lm = make_lm(lambda asked, number: "late", concurrency=1)
    client_of(lm).gate.clear()
    asking = [asyncio.create_task(lm.ask(request(str(number)), purpose="t")) for number in range(3)]
    await until(lambda: len(client_of(lm).sent) == 1)
    lm.session.stop.set("Ctrl-C")
    results = await asyncio.wait_for(asyncio.gather(*asking, return_exceptions=True), 30)
    assert {getattr(each, "stopped_by", None) for each in results} == {"signal"}
    assert len(client_of(lm).sent) == 1


async def test_what_ends_within_the_grace_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cut, "GRACE", 30.0)
    store = Store.memory()
    lm = make_lm(lambda asked, number: "in time", store=store)
    client_of(lm).gate.clear()
    asking = asyncio.create_task(lm.ask(request(), purpose="t"))
    await until(lambda: len(client_of(lm).sent) == 1)
    lm.session.stop.set()
    await asyncio.sleep(0)
    client_of(lm).gate.set()
    assert (await asking).text == "in time"
    assert len(await store.items("lm")) == 1
