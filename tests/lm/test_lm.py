"""Asking a model: once per request, past store and ledger, again after faults, not again when that cannot help."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from lm_helpers import ScriptedClient, client_of, make_lm, reply, request, until

from flowbot.fields import DeniedError, InfrastructureError, ModelError, Paused, RefusedError
from flowbot.lm.budget import Budget
from flowbot.lm.client import Client, Message, Request
from flowbot.lm.lm import LM
from flowbot.lm.pace import Pace
from flowbot.lm.session import Session
from flowbot.store import Store


def _down(**more: object) -> InfrastructureError:
    return InfrastructureError("down", **{"kind": "server", **more})  # type: ignore[arg-type]


def test_a_scripted_client_is_a_client() -> None:
    assert isinstance(ScriptedClient(lambda r, n: "x"), Client)


async def test_a_stored_reply_is_never_asked_for_again() -> None:
    store = Store.memory()
    first = make_lm(lambda r, n: f"reply {n}", store=store)
    replies = [await first.ask(request("a"), purpose="train") for _ in range(3)]
    assert [each.text for each in replies] == ["reply 1"] * 3
    again = make_lm(lambda r, n: "another", store=store)
    assert await again.ask(request("a"), purpose="train") == replies[0]
    assert client_of(again).sent == []


async def test_identical_requests_in_flight_share_one_call() -> None:
    lm = make_lm(lambda r, n: f"reply {n}")
    replies = await asyncio.gather(*(lm.ask(request("a"), purpose="train") for _ in range(20)))
    assert {each.text for each in replies} == {"reply 1"}
    assert lm.session.ledger.calls == {"train": 1}


@pytest.mark.parametrize(
    "other",
    [
        Request((Message("user", "b"),), 50),
        Request((Message("system", "a"),), 50),
        Request((Message("user", "a"),), 51),
        Request((Message("user", "a"),), 50, 0.5),
        Request((Message("user", "a"),), 50, seed=1),
        Request((Message("user", "a"),), 50, schema={"type": "object"}),
    ],
)
def test_whatever_may_change_a_reply_changes_its_key(other: Request) -> None:
    lm = make_lm(lambda r, n: "x")
    assert lm.key(other) != lm.key(request("a"))


def test_order_of_properties_draw_and_model_change_the_key() -> None:
    def asked(*names: str) -> Request:
        return Request((Message("user", "a"),), 50, schema={"properties": {name: {} for name in names}})

    lm = make_lm(lambda r, n: "x")
    assert lm.key(asked("a", "b")) != lm.key(asked("b", "a"))
    assert lm.key(asked("a", "b")) == lm.key(asked("a", "b"))
    assert lm.key(request(), (0, 1)) != lm.key(request(), (0, 2))
    other = LM(ScriptedClient(lambda r, n: "x", name="other"), lm.session)
    assert lm.key(request()) != other.key(request())


async def test_draws_are_different_calls_with_different_seeds() -> None:
    lm = make_lm(lambda r, n: str(r.seed))
    first, second = [await lm.ask(request(temperature=1.0), purpose="train", draw=(0, n)) for n in range(2)]
    assert first.text != second.text
    assert (await lm.ask(request(temperature=1.0), purpose="train", draw=(0, 0))).text == first.text
    assert len(client_of(lm).sent) == 2


async def test_faults_are_tried_again_on_the_clients_clock() -> None:
    lm = make_lm(lambda r, n: _down() if n < 4 else "at last")
    assert (await lm.ask(request(), purpose="train")).text == "at last"
    assert 0.7 < client_of(lm).clock.now() <= 1.4
    assert (lm.session.ledger.retries, lm.session.ledger.spent.calls) == (3, 1)


async def test_a_call_waits_as_long_as_the_endpoint_asks() -> None:
    lm = make_lm(lambda r, n: _down(kind="rate_limit", retry_after=30.0) if n == 1 else str(n))
    first = asyncio.create_task(lm.ask(request("a"), purpose="train"))
    await until(lambda: lm.session.ledger.retries > 0)
    second = asyncio.create_task(lm.ask(request("b"), purpose="train"))
    await asyncio.gather(first, second)
    assert client_of(lm).clock.now() >= 30.0
    times = {each.messages[0].content for each in client_of(lm).sent[1:]}
    assert times == {"a", "b"}


async def test_gives_up_when_the_endpoint_asks_for_an_hour() -> None:
    lm = make_lm(lambda r, n: _down(kind="rate_limit", retry_after=3600.0))
    with pytest.raises(InfrastructureError):
        await lm.ask(request(), purpose="train")
    assert len(client_of(lm).sent) == 1
    assert client_of(lm).clock.now() == 0


async def test_a_fault_that_persists_is_raised_and_neither_stored_nor_counted() -> None:
    lm = make_lm(lambda r, n: _down())
    with pytest.raises(InfrastructureError, match=r"down \(tried 9 times\)"):
        await lm.ask(request(), purpose="train")
    assert len(client_of(lm).sent) == 9
    assert not await lm.session.store.items("lm")
    assert lm.session.ledger.calls == {}
    assert lm.session.budget.used["calls"] == 0
    client_of(lm).answering = lambda r, n: "up again"
    await client_of(lm).clock.sleep(60)  # the endpoint is rested
    assert (await lm.ask(request(), purpose="train")).text == "up again"


async def test_a_wrong_key_stops_at_once_and_for_all() -> None:
    lm = make_lm(lambda r, n: _down(kind="auth", fatal=True), concurrency=2)
    results = await asyncio.gather(
        *(lm.ask(request(str(n)), purpose="train") for n in range(20)), return_exceptions=True
    )
    assert {type(each) for each in results} == {DeniedError}
    assert all(each.fatal for each in results)
    assert len(client_of(lm).sent) == 2


async def test_a_refusal_that_repeats_is_stored_and_raised_again() -> None:
    store = Store.memory()
    lm = make_lm(lambda r, n: RefusedError("policy"), store=store)
    with pytest.raises(RefusedError, match="policy"):
        await lm.ask(request(), purpose="train")
    assert len(client_of(lm).sent) == 2
    again = make_lm(lambda r, n: "no refusal", store=store)
    with pytest.raises(RefusedError, match="policy"):
        await again.ask(request(), purpose="train")
    assert client_of(again).sent == []
    assert again.session.ledger.calls == lm.session.ledger.calls == {"train": 1}


async def test_a_refusal_that_does_not_repeat_is_forgotten() -> None:
    lm = make_lm(lambda r, n: RefusedError("policy") if n == 1 else "yes")
    assert (await lm.ask(request(), purpose="train")).text == "yes"


async def test_a_request_that_is_too_long_is_the_models_error_on_replay_too() -> None:
    store = Store.memory()
    for _ in range(2):
        lm = make_lm(lambda r, n: ModelError("too long", reply="r"), store=store)
        with pytest.raises(ModelError, match="too long"):
            await lm.ask(request(), purpose="train")
    assert client_of(lm).sent == []


async def test_no_more_calls_at_once_than_allowed() -> None:
    lm = make_lm(lambda r, n: "x", concurrency=3)
    await asyncio.gather(*(lm.ask(request(str(n)), purpose="train") for n in range(30)))
    assert client_of(lm).most_in_flight == 3


async def test_two_models_of_one_endpoint_share_its_limit() -> None:
    client = ScriptedClient(lambda r, n: "x")
    session = Session(Store.memory(), pace=Pace(2))
    lms = [LM(client, session), LM(client, session)]
    await asyncio.gather(*(lms[n % 2].ask(request(str(n)), purpose="train") for n in range(20)))
    assert client.most_in_flight == 2


async def test_a_stop_lets_calls_in_flight_finish_and_sends_no_more() -> None:
    lm = make_lm(lambda r, n: "x", concurrency=2)
    client = client_of(lm)
    client.gate.clear()
    asked = [asyncio.create_task(lm.ask(request(str(n)), purpose="train")) for n in range(6)]
    await until(lambda: client.now_in_flight == 2)
    lm.session.stop.set()
    client.gate.set()
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [getattr(each, "text", None) for each in results] == ["x", "x", None, None, None, None]
    assert {each.stopped_by for each in results if isinstance(each, Paused)} == {"signal"}
    assert len(client.sent) == 2
    # What is stored comes back all the same.
    assert (await lm.ask(request("0"), purpose="train")).text == "x"


async def test_a_stop_ends_a_wait_for_the_endpoint() -> None:
    lm = make_lm(lambda r, n: _down())
    asked = asyncio.create_task(lm.ask(request(), purpose="train"))
    await until(lambda: lm.session.ledger.retries > 0)
    await asyncio.to_thread(lm.session.stop.set)
    with pytest.raises(Paused):
        await asked
    assert len(client_of(lm).sent) <= 2


async def test_seconds_that_are_over_pause_but_stored_replies_come() -> None:
    now = [0.0]
    lm = make_lm(lambda r, n: "x", budget=Budget(seconds=10, now=lambda: now[0]))
    await lm.ask(request("a"), purpose="train")
    now[0] = 10.0
    assert (await lm.ask(request("a"), purpose="train")).text == "x"
    with pytest.raises(Paused) as caught:
        await lm.ask(request("b"), purpose="train")
    assert caught.value.stopped_by == "seconds"


async def test_a_call_that_nobody_waits_for_any_more_is_stored_if_it_was_sent() -> None:
    lm = make_lm(lambda r, n: "x", concurrency=1)
    client = client_of(lm)
    client.gate.clear()
    asked = [asyncio.create_task(lm.ask(request(str(n)), purpose="train")) for n in range(3)]
    await until(lambda: client.now_in_flight == 1)
    for each in asked:
        each.cancel()
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(each) for each in results} == {asyncio.CancelledError}
    client.gate.set()
    await lm.close()
    assert [each.messages[0].content for each in client.sent] == ["0"]
    assert lm.session.store.peek(lm.key(request("0"))) is not None
    assert lm.session.ledger.calls == {"train": 1}
    assert client.closed == 1


async def test_closing_one_model_leaves_the_calls_of_another_alone() -> None:
    session = Session(Store.memory(), pace=Pace(1))
    one = LM(ScriptedClient(lambda r, n: "x", name="one"), session)
    other = LM(ScriptedClient(lambda r, n: "y", name="other"), session)
    client_of(other).gate.clear()
    asked = [asyncio.create_task(other.ask(request(str(n)), purpose="train")) for n in range(2)]
    await until(lambda: client_of(other).now_in_flight == 1)
    await one.close()
    client_of(other).gate.set()
    assert [each.text for each in await asyncio.gather(*asked)] == ["y", "y"]


async def test_one_waiter_leaving_does_not_end_the_call_of_the_other() -> None:
    lm = make_lm(lambda r, n: "x")
    client_of(lm).gate.clear()
    first, second = (asyncio.create_task(lm.ask(request(), purpose="train")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    client_of(lm).gate.set()
    assert (await second).text == "x"


async def test_asking_again_right_after_a_cancelled_wait_makes_a_new_call() -> None:
    lm = make_lm(lambda r, n: "x", concurrency=1)
    client_of(lm).gate.clear()
    sent = asyncio.create_task(lm.ask(request("first"), purpose="train"))
    waiting = asyncio.create_task(lm.ask(request("second"), purpose="train"))
    await until(lambda: client_of(lm).now_in_flight == 1)
    waiting.cancel()
    await asyncio.sleep(0)
    again = asyncio.create_task(lm.ask(request("second"), purpose="train"))
    client_of(lm).gate.set()
    assert (await again).text == (await sent).text == "x"


async def test_half_a_surrogate_pair_in_a_reply_does_not_poison_what_follows() -> None:
    lm = make_lm(lambda r, n: "bad \ud83d")
    text = (await lm.ask(request(), purpose="train")).text
    text.encode()
    await lm.ask(request(text), purpose="train")
    await lm.ask(request("the user's own \ud83d"), purpose="train")


async def test_a_warm_hit_needs_no_thread_and_no_task(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store.sqlite")
    lm = make_lm(lambda r, n: reply("x" * 500), store=store)
    asked = [request("word " * 400 + str(n)) for n in range(100)]
    for each in asked:
        await lm.ask(each, purpose="train")
    assert len(client_of(lm).sent) == 100
    before = len(asyncio.all_tasks())
    for each in asked:
        assert lm.session.store.peek(lm.key(each)) is not None
        await lm.ask(each, purpose="train")
        assert len(asyncio.all_tasks()) == before
    await store.close()
