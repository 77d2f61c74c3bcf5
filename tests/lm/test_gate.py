"""The gate: slots, order, rates, the window that adapts, the breaker that rests."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lm_helpers import ScriptedClient, client_of, make_lm, reply, request, until

from flowbot.fields import InfrastructureError, Paused, UserError
from flowbot.lm.breaker import IN_A_ROW, LONGEST_REST, NEVER_WORKED, PATIENCE, Breaker
from flowbot.lm.budget import Budget
from flowbot.lm.client import Message, Request
from flowbot.lm.clock import VirtualClock
from flowbot.lm.flight import Flights
from flowbot.lm.gate import Gate
from flowbot.lm.lm import LM
from flowbot.lm.open_ends import OpenEnds
from flowbot.lm.pace import Pace
from flowbot.lm.rates import Rate
from flowbot.lm.session import Session
from flowbot.lm.window import Window
from flowbot.store import Store
from flowbot.testing.fake import FakeClient, Faults


def make_gate(pace: Pace | None = None, *, start: int = 4, most: int = 4) -> tuple[Gate, VirtualClock]:
    clock = VirtualClock()
    return Gate(pace or Pace(), start=start, most=most, clock=clock), clock


async def passing(gate: Gate, clock: VirtualClock, group: str, seconds: float, seen: list[str]) -> None:
    await gate.enter(group)
    seen.append(group)
    await clock.sleep(seconds)
    gate.answered(group, seconds)
    gate.leave()


# Slots


@given(seconds=st.lists(st.integers(1, 9), min_size=1, max_size=40), places=st.integers(1, 6))
def test_no_slot_idles_while_a_call_waits_and_none_is_taken_twice(seconds: list[int], places: int) -> None:
    async def run() -> None:
        gate, clock = make_gate(start=places, most=places)
        inside = 0

        async def call(length: int) -> None:
            nonlocal inside
            await gate.enter("a")
            inside += 1
            assert inside <= places
            await clock.sleep(length)
            inside -= 1
            gate.leave()

        await asyncio.gather(*(call(each) for each in seconds))
        # List scheduling: never longer than the work spread evenly and the longest call after it (Graham, 1966).
        assert clock.now() <= sum(seconds) / places + max(seconds)

    asyncio.run(run())


async def test_whoever_is_cancelled_while_waiting_or_when_let_in_leaves_the_slot_free() -> None:
    gate, _ = make_gate(start=1, most=1)
    await gate.enter("a")
    waiting = [asyncio.create_task(gate.enter("a")) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    gate.leave()  # lets the second in, which is cancelled before it can run
    waiting[1].cancel()
    await asyncio.wait(waiting)
    assert waiting[2].exception() is None
    gate.leave()
    assert gate.spare


# Order


async def test_calls_of_one_kind_go_together_and_no_kind_waits_for_ever() -> None:
    gate, clock = make_gate(start=1, most=1)
    seen: list[str] = []
    kinds = ["plan", "draft"] * 10
    await asyncio.gather(*(passing(gate, clock, each, 1.0, seen) for each in kinds))
    changes = sum(one != other for one, other in pairwise(seen))
    assert sorted(seen) == sorted(kinds)
    assert changes < 10  # first come first served would change 19 times
    assert "draft" in seen[:6]


async def test_a_call_that_is_sent_again_goes_before_its_kind() -> None:
    gate, _ = make_gate(start=1, most=1)
    await gate.enter("a")
    order: list[str] = []

    async def call(name: str, first: bool) -> None:
        await gate.enter("a", first=first)
        order.append(name)
        gate.leave()

    new = asyncio.create_task(call("new", False))
    await asyncio.sleep(0)
    again = asyncio.create_task(call("again", True))
    await asyncio.sleep(0)
    gate.leave()
    await asyncio.gather(new, again)
    assert order == ["again", "new"]


# Rates


@given(
    per_minute=st.floats(1, 6000),
    amounts=st.lists(st.floats(0.1, 500), min_size=1, max_size=60),
    seed=st.integers(0, 9),
)
def test_no_stretch_of_time_sees_more_than_the_rate_and_its_burst(
    per_minute: float, amounts: list[float], seed: int
) -> None:
    rate, now, chance = Rate(per_minute), 0.0, Random(seed)
    sent: list[tuple[float, float]] = []
    for amount in amounts:
        now += chance.random() * 3
        now += rate.wait(now)
        assert rate.wait(now) <= 1e-6
        rate.take(amount, now)
        sent.append((now, amount))
    burst = max(1.0, per_minute / 60 * 2)
    for first in range(len(sent)):
        for last in range(first, len(sent)):
            # The last one may be larger than what is left: the one after it waits for that.
            within = sum(amount for _, amount in sent[first:last])
            length = sent[last][0] - sent[first][0]
            assert within <= burst + per_minute / 60 * length + 1e-3


async def test_requests_a_minute_hold_for_all_calls_together() -> None:
    gate, clock = make_gate(Pace(concurrency=50, requests_per_minute=60))
    seen: list[str] = []
    await asyncio.gather(*(passing(gate, clock, "a", 0.1, seen) for _ in range(62)))
    assert 59.0 <= clock.now() <= 62.0


async def test_tokens_a_minute_are_estimated_first_and_corrected_by_the_answer() -> None:
    clock = VirtualClock()
    client = FakeClient(lambda asked: "x" * 40, latency=0.01, clock=clock)
    session = Session(Store.memory(), pace=Pace(concurrency=8, tokens_per_minute=6000))
    lm = LM(client, session)
    for number in range(40):
        await lm.ask(Request((Message("user", f"{number:04}" * 20),), 1000), purpose="t")
    used = session.ledger.spent.tokens
    # What was really used counts in the end: 256 tokens estimated for each reply would have taken over two minutes.
    assert used / 100 - 4 <= clock.now() <= used / 100 + 4


# The window


def settled(window: Window, *, capacity: int, rounds: int = 150) -> int:
    """The window in the end before an endpoint that refuses what goes beyond its capacity."""
    for _ in range(rounds):
        size = window.size
        for place in range(size):
            if place < capacity:
                window.answered("a", 1.0, full=True)
            else:
                window.refused()
    return window.size


@settings(deadline=None, max_examples=40)
@given(capacity=st.integers(5, 200), start=st.integers(1, 256))
def test_the_window_finds_what_an_endpoint_bears(capacity: int, start: int) -> None:
    found = settled(Window(start, 256), capacity=capacity)
    assert 0.6 * min(capacity, 256) <= found <= 1.5 * capacity + 8


def test_few_refusals_among_many_answers_change_nothing() -> None:
    window, chance = Window(64, 64), Random(1)
    for _ in range(20_000):
        if chance.random() < 0.1:
            window.refused()
        else:
            window.answered("a", 1.0, full=True)
    assert window.size >= 60


def test_answers_that_take_much_longer_make_the_window_smaller_but_not_below_a_few() -> None:
    window = Window(128, 128)
    for _ in range(64):
        window.answered("a", 1.0, full=True)
    assert window.size == 128
    for number in range(2000):
        window.answered("a", 3.0 * 1.02**number, full=True)
    assert 8 <= window.size < 40


def test_kinds_of_calls_that_take_longer_than_others_are_no_overload() -> None:
    window = Window(64, 64)
    for number in range(4000):
        window.answered("short" if number < 2000 else "long", 1.0 if number < 2000 else 20.0, full=True)
    assert window.size == 64


def test_a_window_that_is_not_used_does_not_grow() -> None:
    window = Window(16, 128)
    for _ in range(1000):
        window.answered("a", 1.0, full=False)
    assert window.size == 16


# The breaker


def test_the_breaker_rests_an_endpoint_that_keeps_failing_and_tries_it_with_one_call() -> None:
    breaker = Breaker()
    breaker.answered()
    for _ in range(IN_A_ROW):
        assert breaker.wait(0.0) == 0
        breaker.sent(0.0)
        breaker.failed(0.0)
    assert breaker.wait(0.0) > 0
    after = breaker.wait(0.0)
    assert breaker.wait(after) == 0
    breaker.sent(after)
    assert breaker.wait(after) > 0  # the others wait for the one that tries
    breaker.failed(after)
    assert breaker.wait(after) > after  # and longer each time
    later = after + LONGEST_REST
    breaker.sent(later)
    breaker.answered()
    assert breaker.wait(later) == 0


def test_an_endpoint_that_never_worked_is_given_up_sooner() -> None:
    for worked, patience in ((False, NEVER_WORKED), (True, PATIENCE)):
        breaker = Breaker()
        if worked:
            breaker.answered()
        for second in range(IN_A_ROW):
            breaker.failed(float(second))
        assert not breaker.hopeless(patience - 1)
        assert breaker.hopeless(patience + 1)


async def test_an_endpoint_that_dies_for_a_minute_and_returns_loses_no_call() -> None:
    clock = VirtualClock()

    def answering(asked: Request, number: int) -> str | Exception:
        if 5.0 <= clock.now() < 65.0:
            return InfrastructureError("refused", kind="connection")
        return "yes"

    lm = make_lm(answering, concurrency=8)
    client_of(lm).clock = clock
    lm = LM(client_of(lm), Session(Store.memory(), pace=Pace(8)))

    async def later(number: int) -> str:
        await clock.sleep(number / 20)
        return (await lm.ask(request(str(number)), purpose="t")).text

    assert await asyncio.gather(*(later(number) for number in range(300))) == ["yes"] * 300
    sent_dead = len(client_of(lm).sent) - 300
    assert sent_dead < 60  # without rests every call would have met it several times
    assert clock.now() < 65.0 + LONGEST_REST + 5


async def test_an_endpoint_that_stays_dead_is_given_up_and_tried_again_later() -> None:
    dead = True
    lm = make_lm(lambda r, n: InfrastructureError("refused", kind="connection") if dead else "yes", concurrency=8)
    ended = await asyncio.gather(
        *(lm.ask(request(str(number)), purpose="t") for number in range(50)), return_exceptions=True
    )
    assert all(isinstance(each, InfrastructureError) for each in ended)
    assert NEVER_WORKED <= client_of(lm).clock.now() < PATIENCE
    dead = False
    await client_of(lm).clock.sleep(LONGEST_REST)
    assert (await lm.ask(request("again"), purpose="t")).text == "yes"


async def test_a_wrong_key_is_found_out_by_few_and_told_to_all() -> None:
    lm = make_lm(lambda r, n: InfrastructureError("no such key", kind="auth", fatal=True), concurrency=4)
    ended = await asyncio.gather(*(lm.ask(request(str(n)), purpose="t") for n in range(100)), return_exceptions=True)
    assert all(isinstance(each, InfrastructureError) and "no such key" in str(each) for each in ended)
    assert len(client_of(lm).sent) <= 8


async def test_many_refusals_make_all_wait_as_long_as_the_endpoint_asks() -> None:
    def answering(asked: Request, number: int) -> str | Exception:
        full = InfrastructureError("too many", kind="rate_limit", retry_after=20.0)
        return full if client_of(lm).clock.now() < 20.0 else "yes"

    lm = make_lm(answering, concurrency=32)
    await asyncio.gather(*(lm.ask(request(str(number)), purpose="t") for number in range(300)))
    # The calls in flight at first are refused; those that wait behind them are not sent into it.
    assert len(client_of(lm).sent) <= 300 + 64


async def test_who_waits_for_the_endpoint_is_told_at_once_to_stop() -> None:
    lm = make_lm(lambda r, n: InfrastructureError("too many", kind="rate_limit", retry_after=100.0), concurrency=8)
    asking = [asyncio.create_task(lm.ask(request(str(number)), purpose="t")) for number in range(40)]
    await until(lambda: lm.session.ledger.retries >= 8)
    lm.session.stop.set()
    ended = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(each, Paused) for each in ended)
    assert client_of(lm).clock.now() < 100


# Patience and second tries


async def test_patience_is_learnt_and_grows_for_a_call_that_was_cut_off() -> None:
    gate, _ = make_gate()
    assert gate.patience("a", 0).seconds is None
    for _ in range(30):
        gate.answered("a", 4.0)
    assert [gate.patience("a", cuts).seconds for cuts in (0, 1, 2)] == [10.0, 20.0, 40.0]
    assert [gate.patience("a", cuts).stretch for cuts in (0, 1, 2)] == [1.0, 2.0, 4.0]


async def hedged(*, hedge: bool, seed: int) -> tuple[LM, FakeClient, list[str]]:
    client = FakeClient(
        lambda asked: asked.messages[-1].content, latency=1.0, faults=Faults(phang=0.03), seed=seed, concurrency=32
    )
    lm = LM(client, Session(Store.memory(), Budget(), pace=Pace(32, hedge=hedge)))
    asked = [str(number) for number in range(400)]
    texts = await asyncio.gather(*(lm.ask(request(each), purpose="t") for each in asked))
    await lm.close()
    assert [each.text for each in texts] == asked
    return lm, client, asked


async def test_a_straggler_is_sent_twice_where_the_user_allows_it_and_both_are_paid() -> None:
    plain, _, _ = await hedged(hedge=False, seed=3)
    twice, client, asked = await hedged(hedge=True, seed=3)
    assert twice.session.ledger.logical.calls == len(asked)
    assert client.calls > len(asked)
    assert twice.session.ledger.retries < plain.session.ledger.retries


async def test_the_loser_of_two_is_paid_for_and_not_used() -> None:
    def answering(asked: Request, number: int) -> str:
        return "first" if number % 2 else "second"

    lm = make_lm(answering, concurrency=4)
    client = client_of(lm)
    lm = LM(client, Session(Store.memory(), pace=Pace(4, hedge=True)))
    for number in range(30):
        await lm.ask(request(f"warm {number}"), purpose="t")
    sent = len(client.sent)
    client.gate.clear()
    asking = asyncio.create_task(lm.ask(request("slow"), purpose="t"))
    await until(lambda: len(client.sent) == sent + 2)
    client.gate.set()
    await asking
    await lm.close()
    assert lm.session.ledger.logical.calls == 31
    assert lm.session.ledger.spent.calls == 32


# What the user says


@pytest.mark.parametrize(
    "wrong", [{"concurrency": 0}, {"requests_per_minute": -1.0}, {"tokens_per_minute": float("nan")}]
)
def test_a_pace_that_is_none_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        Pace(**wrong)  # type: ignore[arg-type]


async def test_an_empty_reply_is_asked_for_again_and_believed_when_it_repeats() -> None:
    lm = make_lm(lambda r, n: "" if n < 3 else "at last")
    assert (await lm.ask(request(), purpose="t")).text == "at last"
    assert lm.session.ledger.spent.calls == 3
    assert lm.session.ledger.logical.calls == 1
    mute = make_lm(lambda r, n: reply(""))
    assert (await mute.ask(request(), purpose="t")).text == ""
    assert len(client_of(mute).sent) == 3


async def test_a_call_that_hangs_from_the_first_wave_is_cut_off_once_its_like_are_known() -> None:
    ends = OpenEnds()
    hung = asyncio.create_task(ends.run("a", asyncio.sleep(3600)))
    other = asyncio.create_task(ends.run("b", asyncio.sleep(0, "done")))
    assert await other == "done"
    assert "a" in ends
    assert "b" not in ends
    ends.known("a", 0.0)
    with pytest.raises(InfrastructureError, match="no answer within"):
        await hung
    assert "a" not in ends


async def test_who_waits_goes_as_soon_as_the_endpoint_is_well() -> None:
    gate, clock = make_gate(start=2, most=2)
    for _ in range(IN_A_ROW):
        gate.failed(InfrastructureError("down", kind="connection"))
    asked = [asyncio.create_task(gate.enter("a")) for _ in range(2)]
    await until(asked[0].done)
    assert not asked[1].done()  # one tries the endpoint
    tried = clock.now()
    gate.answered("a", 0.1)
    gate.leave()
    await asked[1]
    assert clock.now() < tried + 0.5


def test_a_gate_whose_loop_ended_while_calls_waited_works_on_the_next() -> None:
    gate, clock = make_gate(Pace(concurrency=1, requests_per_minute=1))

    async def first() -> None:
        await gate.enter("a")
        gate.leave()
        await asyncio.sleep(0)
        waiting = asyncio.create_task(gate.enter("a"))
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(first())
    before = clock.now()
    asyncio.run(asyncio.wait_for(gate.enter("a"), 20))
    assert clock.now() > before


async def test_a_call_cancelled_before_it_began_is_not_joined_by_the_next() -> None:
    flights = Flights()

    async def call(flight: object) -> dict[str, object]:
        return {"done": True}

    asked = asyncio.create_task(flights.join("k", None, call))
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await asyncio.sleep(0)
    assert await asyncio.wait_for(flights.join("k", None, call), 20) == {"done": True}
    assert len(flights) == 0


async def slow_calls(count: int) -> tuple[LM, ScriptedClient, list[asyncio.Task[object]]]:
    """Calls that do not end while the client's gate is shut, in a place where others took half a second."""
    client = client_of(make_lm(lambda r, n: "x"))
    lm = LM(client, Session(Store.memory(), pace=Pace(4, hedge=True)))
    for number in range(30):
        await lm.ask(request(f"warm {number}"), purpose="t")
    client.gate.clear()
    return lm, client, [asyncio.create_task(lm.ask(request(f"slow {n}"), purpose="t")) for n in range(count)]


async def test_second_tries_keep_to_the_limit_and_are_no_more_than_there_are_places() -> None:
    lm, client, asked = await slow_calls(3)
    await until(lambda: client.now_in_flight == 4)
    await client.clock.sleep(100)
    assert client.now_in_flight == 4
    client.gate.set()
    await asyncio.gather(*asked)
    await lm.session.drain()
    assert client.most_in_flight == 4
    assert lm.session.ledger.spent.calls == len(client.sent) == 34
    assert lm.endpoint.gate.spare


async def test_no_second_try_is_sent_after_a_stop() -> None:
    lm, client, asked = await slow_calls(1)
    await until(lambda: client.now_in_flight == 1)
    lm.session.stop.set()
    await client.clock.sleep(100)
    assert client.now_in_flight == 1
    client.gate.set()
    await asyncio.gather(*asked)
