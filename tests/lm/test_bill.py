"""What a call takes over all its tries: counted against the ceilings, kept with the response, charged again by a replay."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lm_helpers import client_of, make_lm, reply, request, until

from flowbot.fields import BudgetExceeded, InfrastructureError, Usage
from flowbot.lm.budget import Budget
from flowbot.lm.client import Reply, Request
from flowbot.lm.lm import LM
from flowbot.lm.pace import Pace
from flowbot.lm.prices import per_million
from flowbot.lm.rows import check_value, read_row
from flowbot.lm.session import Session
from flowbot.store import Store

EMPTY = reply("", written=7)


def _mute_at_first(asked: Request, number: int, times: dict[str, int]) -> Reply:
    """Empty as often as the request's text says."""
    text = asked.messages[-1].content
    times[text] = times.get(text, 0) + 1
    return EMPTY if times[text] <= int(text[-1]) else reply(f"answer to {text}")


async def _asked(texts: list[str], store: Store, ceiling: int, *, tokens: bool) -> tuple[LM, list[str]]:
    times: dict[str, int] = {}
    budget = Budget(tokens=ceiling) if tokens else Budget(calls=ceiling)
    lm = make_lm(
        lambda asked, number: _mute_at_first(asked, number, times),
        store=store,
        budget=budget,
        price=per_million((1.0, 1.0)),
    )
    said: list[str] = []
    for text in texts:
        try:
            said.append((await lm.ask(request(text), purpose="t")).text)
        except BudgetExceeded:
            said.append("over")
    return lm, said


@given(empties=st.lists(st.integers(0, 3), min_size=1, max_size=12), ceiling=st.integers(1, 12), tokens=st.booleans())
@settings(max_examples=80, deadline=None)
def test_every_request_that_was_served_counts_and_a_replay_ends_where_the_run_ended(
    empties: list[int], ceiling: int, tokens: bool
) -> None:
    texts = [f"{number}: {times}" for number, times in enumerate(empties)]
    ceiling *= 200 if tokens else 1

    async def both() -> None:
        store = Store.memory()
        lm, said = await _asked(texts, store, ceiling, tokens=tokens)
        used, sent = lm.session.budget.used, client_of(lm).sent
        assert used["calls"] == len(sent) == lm.session.ledger.spent.calls
        assert used["tokens"] == lm.session.ledger.logical.tokens
        assert used["tokens" if tokens else "calls"] <= ceiling
        assert lm.session.ledger.logical.calls == sum(each != "over" for each in said)
        assert lm.session.ledger.logical.calls + lm.session.ledger.repeated == used["calls"]
        again, said_again = await _asked(texts, store, ceiling, tokens=tokens)
        assert (again.session.budget.used, said_again) == (used, said)
        assert client_of(again).sent == []
        assert again.session.ledger.logical.tokens == lm.session.ledger.logical.tokens
        assert again.session.ledger.logical.usd == pytest.approx(lm.session.ledger.logical.usd)
        assert again.session.ledger.requests == lm.session.ledger.requests

    asyncio.run(both())


async def test_tries_that_were_served_are_not_made_again_by_a_run_with_a_higher_ceiling() -> None:
    store = Store.memory()
    _, said = await _asked(["a 2"], store, 2, tokens=False)
    assert said == ["over"]
    lm = make_lm(lambda asked, number: "at last", store=store, budget=Budget(calls=3))
    answer = await lm.ask(request("a 2"), purpose="t")
    assert len(client_of(lm).sent) == 1
    assert lm.session.budget.used["calls"] == 3
    assert answer.took.calls == 3
    assert answer.took.output_tokens == 2 * 7 + 5


async def test_an_answer_of_no_use_is_charged_for_what_its_endpoint_counts() -> None:
    took = Usage(calls=1, input_tokens=10, output_tokens=90)
    fault = InfrastructureError("no message", kind="garbage", took=took)
    lm = make_lm(lambda asked, number: fault if number == 1 else "yes", budget=Budget(calls=2))
    await lm.ask(request(), purpose="t")
    assert lm.session.budget.used["calls"] == 2
    assert lm.session.ledger.spent.output_tokens == 95
    assert lm.session.ledger.requests == {"t": 2}


async def _raced(store: Store, budget: Budget) -> tuple[LM, Any]:
    """A call that straggles, with second tries allowed."""
    lm = make_lm(lambda asked, number: "x", store=store, concurrency=4)
    client = client_of(lm)
    lm = LM(client, Session(store, budget, pace=Pace(4, hedge=True)))
    for number in range(30):
        await lm.ask(request(f"warm {number}"), purpose="t")
    sent = len(client.sent)
    client.gate.clear()
    asking = asyncio.create_task(lm.ask(request("slow"), purpose="t"))
    await until(lambda: len(client.sent) > sent)
    for _ in range(1000):
        await asyncio.sleep(0)
    client.gate.set()
    await asking
    await lm.close()
    return lm, len(client.sent) - sent


async def test_a_second_sending_counts_and_a_replay_charges_it_too() -> None:
    store = Store.memory()
    lm, sent = await _raced(store, Budget(calls=32))
    assert (sent, lm.session.budget.used["calls"], lm.session.ledger.logical.calls) == (2, 32, 31)
    again = make_lm(lambda asked, number: "never", store=store)
    for text in (*(f"warm {number}" for number in range(30)), "slow"):
        await again.ask(request(text), purpose="t")
    assert client_of(again).sent == []
    assert again.session.budget.used == lm.session.budget.used
    assert again.session.ledger.requests == {"t": 32}


async def test_no_second_sending_where_a_ceiling_leaves_no_room_for_it() -> None:
    lm, sent = await _raced(Store.memory(), Budget(calls=31))
    assert (sent, lm.session.budget.used["calls"]) == (1, 31)


async def test_a_ceiling_that_an_endpoint_makes_us_pass_ends_all_and_is_said() -> None:
    lm = make_lm(
        lambda asked, number: replace(reply("x"), usage=Usage(1, 10, 5_000)),
        budget=Budget(tokens=2_000),
        concurrency=2,
        price=per_million((1.0, 1.0)),
    )
    results = await asyncio.gather(*(lm.ask(request(str(n)), purpose="t") for n in range(10)), return_exceptions=True)
    assert sum(isinstance(each, Reply) for each in results) == len(client_of(lm).sent) == 2  # those in flight
    assert "a ceiling was passed" in lm.session.budget.passed
    with pytest.raises(BudgetExceeded):
        await lm.ask(request("one more"), purpose="t")


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        {"text": 3},
        {**reply("x").dump(), "usage": {**reply("x").dump()["usage"], "usd": -1000}},
        {**reply("x").dump(), "usage": {**reply("x").dump()["usage"], "usd": "x"}},
        {**reply("x").dump(), "usage": {**reply("x").dump()["usage"], "input_tokens": 10**30}},
        {**reply("x").dump(), "seconds": "1"},
        {**reply("x").dump(), "finish": "maybe"},
        {"failed": "refused"},
        {"tries": 3},
    ],
)
async def test_a_stored_row_that_is_none_is_named_and_never_a_score(value: Any) -> None:
    store = Store.memory()
    lm = make_lm(lambda asked, number: "x", store=store)
    with pytest.raises(ValueError, match=r"."):
        read_row(value)
    with pytest.raises(ValueError, match=r"."):
        check_value("lm", value)
    await store.put(lm.key(request()), value)
    with pytest.raises(InfrastructureError, match="damaged"):
        await lm.ask(request(), purpose="t")


async def test_a_call_asked_again_in_one_run_counts_its_tries_once() -> None:
    took = Usage(calls=1, input_tokens=10, output_tokens=90)
    fault = InfrastructureError("no message", kind="garbage", fatal=True, took=took)
    store = Store.memory()
    lm = make_lm(lambda asked, number: fault, store=store)
    for _ in range(3):
        with pytest.raises(InfrastructureError):
            await lm.ask(request(), purpose="t")
    assert len(client_of(lm).sent) == lm.session.budget.used["calls"] == lm.session.ledger.requests["t"] == 3
    again = make_lm(lambda asked, number: "yes", store=store)
    await again.ask(request(), purpose="t")
    assert again.session.budget.used["calls"] == 4


async def test_a_counted_call_whose_row_is_gone_is_sent_though_a_ceiling_was_passed() -> None:
    lm = make_lm(lambda asked, number: replace(reply("x"), usage=Usage(1, 10, 5_000)), budget=Budget(tokens=2_000))
    await lm.ask(request(), purpose="t")
    lm.session.store = Store.memory()  # as where another process pruned the row
    assert (await asyncio.wait_for(lm.ask(request(), purpose="t"), 30)).text == "x"


async def test_what_holds_a_responses_place_under_another_kind_gives_way_too() -> None:
    store = Store.memory()
    lm = make_lm(lambda asked, number: f"reply {number}", store=store)
    await store.put(lm.key(request()), {"tries": {"calls": 1}}, kind="lm")
    assert (await lm.ask(request(), purpose="t")).text == "reply 1"
    again = make_lm(lambda asked, number: "another", store=store)
    assert (await again.ask(request(), purpose="t")).text == "reply 1"
    with pytest.raises(ValueError, match="another kind"):
        check_value("lm", {"tries": {"calls": 1}})
    with pytest.raises(ValueError, match="another kind"):
        check_value("tries", reply("x").dump())


async def test_a_response_of_another_process_is_seen_where_only_tries_stood(tmp_path: Path) -> None:
    one, other = Store.open(tmp_path / "s.sqlite"), Store.open(tmp_path / "s.sqlite")
    key = make_lm(lambda asked, number: "x").key(request())
    await one.put(key, {"tries": {"calls": 1}}, kind="tries")
    assert await other.get(key) == {"tries": {"calls": 1}}
    await one.put(key, {**reply("there").dump(), "besides": {"calls": 1}})
    lm = make_lm(lambda asked, number: "paid again", store=other)
    assert (await lm.ask(request(), purpose="t")).text == "there"
    assert lm.session.budget.used["calls"] == 2
    await one.close()
    await other.close()


async def test_a_copys_row_that_is_none_is_damaged() -> None:
    store = Store.memory()
    await _raced(store, Budget())
    key = next(iter(await store.items("copy")))
    await store.put(key, {"calls": "many"}, kind="copy", replace=True)
    again = make_lm(lambda asked, number: "never", store=store)
    with pytest.raises(InfrastructureError, match="damaged"):
        await again.ask(request("slow"), purpose="t")
