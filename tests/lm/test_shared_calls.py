"""Calls that several runs, or several parts of one run, want at the same time: paid once, refused to nobody who has room."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from lm_helpers import ScriptedClient, reply, request, until

from flowbot.fields import BudgetExceeded, InfrastructureError, Usage
from flowbot.lm.bill import Account, Bill
from flowbot.lm.budget import Budget
from flowbot.lm.connections import Connections
from flowbot.lm.gate import Gate
from flowbot.lm.hedge import Hedge
from flowbot.lm.lm import LM
from flowbot.lm.pace import Pace
from flowbot.lm.session import Session
from flowbot.lm.stop import StopSignal
from flowbot.store import Store
from flowbot.store.rows import Kind


async def test_a_run_that_lost_its_turn_looks_in_the_store_before_it_sends() -> None:
    client, store = ScriptedClient(lambda asked, number: reply("" if number == 1 else "yes")), Store.memory()
    connections = Connections(store)
    # Room for the worst case of both runs' calls, and not for a third while those are in flight.
    whole = Budget(tokens=2 * LM(client, Session(store, Budget(tokens=1)))._worst(request()).tokens + 10)  # pyright: ignore[reportPrivateUsage]
    lms = [LM(client, Session(store, whole.child(), connections=connections)) for _ in range(2)]
    client.gate.clear()
    asked = [asyncio.create_task(lm.ask(request(), purpose="t")) for lm in lms]
    await until(lambda: len(client.sent) == 1)
    client.gate.set()
    assert [(await each).text for each in asked] == ["yes", "yes"]
    assert len(client.sent) == 2
    # Each run counts both requests, as a replay of it does.
    assert [lm.session.budget.used["calls"] for lm in lms] == [2, 2]
    assert sum(lm.session.ledger.spent.calls for lm in lms) == 2
    again = LM(client, Session(store))
    await again.ask(request(), purpose="t")
    assert again.session.budget.used["calls"] == 2
    assert len(client.sent) == 2


async def test_the_ceiling_of_one_part_of_a_run_refuses_nothing_to_another_part() -> None:
    client = ScriptedClient(lambda asked, number: "yes")
    run = LM(client, Session(Store.memory(), Budget(calls=9)))
    small, large = (run.within(run.session.budget.child(calls=calls)) for calls in (1, 5))
    client.gate.clear()
    first = asyncio.create_task(small.ask(request("first"), purpose="t"))
    await until(lambda: len(client.sent) == 1)
    refused = asyncio.create_task(small.ask(request("same"), purpose="t"))  # waits for what the first gives back
    await asyncio.sleep(0)
    served = asyncio.create_task(large.ask(request("same"), purpose="t"))
    await asyncio.sleep(0)
    client.gate.set()
    await first
    with pytest.raises(BudgetExceeded) as caught:
        await refused
    assert caught.value.budget is small.session.budget
    assert (await served).text == "yes"
    assert (small.session.budget.used["calls"], large.session.budget.used["calls"]) == (1, 1)


class Shut(Gate):
    """Is shut by somebody else in the moment in which a second sending asks for a place."""

    def try_enter(self, tokens: float = 0.0) -> bool:
        self.failed(InfrastructureError("no such key", kind="auth", fatal=True))
        return super().try_enter(tokens)


async def test_there_is_no_second_sending_through_a_gate_that_was_shut() -> None:
    client = ScriptedClient(lambda asked, number: "yes")
    gate = Shut(Pace(), start=4, most=4, clock=client.clock)
    for _ in range(30):
        gate.answered("", 1.0, like="x")
    session = Session(Store.memory(), Budget(calls=5))
    account = Account(session, "m", "who", lambda usage: 0.0)
    bill = Bill(account, "0" * 16, "t", Usage(calls=1), counted=False)
    await bill.reserve()
    await gate.enter("")
    client.gate.clear()
    hedged = Hedge(client, gate, client.clock).complete(request(), gate.patience("x", 0), "", "x", 0, bill)
    asking = asyncio.create_task(hedged)
    for _ in range(1000):
        await asyncio.sleep(0)
    client.gate.set()
    assert (await asking).text == "yes"
    gate.leave()
    await session.strays.settle()
    assert len(client.sent) == 1
    assert gate.busy == 0
    bill.release()
    assert session.budget.left == {"calls": 5}


async def test_a_wish_to_stop_is_heard_from_each_signal_that_is_followed() -> None:
    own, first, second = StopSignal(), StopSignal(), StopSignal()
    own.follow(first)
    own.follow(second)
    first.set("the first")
    assert own.is_set()
    with pytest.raises(Exception, match="the first"):
        own.check()
    assert not second.is_set()


def test_signals_that_follow_each_other_are_both_set() -> None:
    one, other = StopSignal(), StopSignal()
    one.follow(other)
    other.follow(one)
    one.set("enough")
    assert other.is_set()


async def test_what_a_run_has_counted_of_a_call_that_another_run_finishes_is_not_counted_again() -> None:
    client, store = ScriptedClient(lambda asked, number: reply("" if number == 1 else "yes")), Store.memory()
    connections = Connections(store)
    one, other = (LM(client, Session(store, connections=connections)) for _ in range(2))
    given_up = asyncio.create_task(one.ask(request(), purpose="t"))
    await until(lambda: len(client.sent) == 1 and client.now_in_flight == 0)
    given_up.cancel()  # before its second try
    await asyncio.gather(given_up, return_exceptions=True)
    await one.session.drain()
    assert [(await lm.ask(request(), purpose="t")).text for lm in (other, one)] == ["yes", "yes"]
    assert len(client.sent) == 2
    assert [lm.session.budget.used["calls"] for lm in (one, other)] == [2, 2]


async def test_a_call_is_not_given_up_before_it_is_stored_that_a_try_was_served() -> None:
    stored = asyncio.Event()

    class Slow(Store):
        async def put(
            self, key: str, value: dict[str, Any], *, kind: Kind = "lm", replace: bool = False
        ) -> dict[str, Any]:
            if kind == "tries":
                await stored.wait()
            return await super().put(key, value, kind=kind, replace=replace)

    client, store = ScriptedClient(lambda asked, number: reply("" if number == 1 else "yes")), Slow(None, None, None)
    connections = Connections(store)
    one, other = (LM(client, Session(store, connections=connections)) for _ in range(2))
    given_up = asyncio.create_task(one.ask(request(), purpose="t"))
    await until(lambda: len(client.sent) == 1 and client.now_in_flight == 0)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    asked = asyncio.create_task(other.ask(request(), purpose="t"))
    for _ in range(100):
        await asyncio.sleep(0)
    stored.set()
    await asked
    assert (await one.ask(request(), purpose="t")).text == "yes"
    again = LM(client, Session(store))
    await again.ask(request(), purpose="t")
    assert [lm.session.budget.used["calls"] for lm in (one, other, again)] == [2, 2, 2]


async def test_a_call_that_nobody_waits_for_any_more_is_not_sent_again() -> None:
    client = ScriptedClient(
        lambda asked, number: InfrastructureError("broken", kind="server") if number == 1 else "yes"
    )
    run = LM(client, Session(Store.memory()))
    client.gate.clear()
    asked = asyncio.create_task(run.ask(request(), purpose="t"))
    await until(lambda: len(client.sent) == 1)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    client.gate.set()
    await run.session.drain()
    assert len(client.sent) == 1
    assert run.session.budget.used["calls"] == 0
    assert (await run.ask(request(), purpose="t")).text == "yes"
