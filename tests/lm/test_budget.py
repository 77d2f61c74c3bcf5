"""Ceilings: never passed, whatever runs at once; counted the same on replay; and the ledger adds up to them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lm_helpers import client_of, make_lm, reply, request

from flowbot.fields import BudgetExceeded, Usage, UserError
from flowbot.lm.budget import Budget
from flowbot.lm.client import Reply, Request
from flowbot.lm.prices import per_million
from flowbot.store import Store


@dataclass(frozen=True)
class Call:
    worst: tuple[int, int]
    share: float
    delay: int


_CALLS = st.lists(
    st.builds(Call, st.tuples(st.integers(0, 60), st.integers(0, 60)), st.floats(0, 1), st.integers(0, 5)), max_size=25
)
_CEILINGS = st.tuples(
    st.none() | st.integers(1, 20), st.none() | st.integers(1, 600), st.none() | st.floats(0.0001, 0.01)
)
_PRICE = per_million((10.0, 30.0))


def _usage(read: int, written: int) -> Usage:
    usage = Usage(calls=1, input_tokens=read, output_tokens=written)
    return Usage(1, read, written, usd=_PRICE(usage))


@given(calls=_CALLS, ceilings=_CEILINGS)
@settings(max_examples=150, deadline=None)
def test_a_ceiling_is_never_passed_and_nobody_waits_for_ever(
    calls: list[Call], ceilings: tuple[int | None, int | None, float | None]
) -> None:
    budget = Budget(*ceilings)
    total = [Usage()]

    async def one(call: Call) -> bool:
        try:
            reservation = await budget.reserve(_usage(*call.worst))
        except BudgetExceeded:
            return False
        for _ in range(call.delay):
            await asyncio.sleep(0)
        actual = _usage(int(call.worst[0] * call.share), int(call.worst[1] * call.share))
        total[0] += actual
        reservation.settle(actual)
        return True

    async def run() -> list[bool]:
        return await asyncio.wait_for(asyncio.gather(*map(one, calls)), 20)

    went = asyncio.run(run())
    limit_calls, limit_tokens, limit_usd = ceilings
    assert limit_calls is None or total[0].calls <= limit_calls
    assert limit_tokens is None or total[0].tokens <= limit_tokens
    assert limit_usd is None or (total[0].usd or 0.0) <= limit_usd * (1 + 1e-9)
    assert budget.used["calls"] == total[0].calls == sum(went)
    assert budget.used["tokens"] == total[0].tokens
    if limit_calls is not None and limit_tokens is None and limit_usd is None:
        assert sum(went) == min(limit_calls, len(calls))


@given(calls=_CALLS, tokens=st.integers(1, 600), delays=st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_who_gets_room_does_not_depend_on_how_fast_replies_come(calls: list[Call], tokens: int, delays: object) -> None:
    def run(order: list[int]) -> list[bool]:
        budget = Budget(tokens=tokens)

        async def one(call: Call, delay: int) -> bool:
            try:
                reservation = await budget.reserve(_usage(*call.worst))
            except BudgetExceeded:
                return False
            for _ in range(delay):
                await asyncio.sleep(0)
            reservation.settle(_usage(int(call.worst[0] * call.share), int(call.worst[1] * call.share)))
            return True

        async def all_of_them() -> list[bool]:
            return await asyncio.gather(*map(one, calls, order))

        return asyncio.run(all_of_them())

    shuffled = [call.delay for call in calls]
    delays.shuffle(shuffled)  # type: ignore[attr-defined]
    assert run([0] * len(calls)) == run(shuffled)


async def test_waits_for_calls_in_flight_before_it_fails() -> None:
    budget = Budget(tokens=100)
    first = await budget.reserve(_usage(0, 80))
    second = asyncio.create_task(budget.reserve(_usage(0, 50)))
    third = asyncio.create_task(budget.reserve(_usage(0, 1)))
    await asyncio.sleep(0)
    assert not second.done()
    assert not third.done()
    first.settle(_usage(0, 20))
    (await second).settle(_usage(0, 50))
    (await third).cancel()
    with pytest.raises(BudgetExceeded, match="70 of 100 tokens") as caught:
        await budget.reserve(_usage(0, 31))
    assert caught.value.ceiling == "tokens"


async def test_a_waiter_that_is_cancelled_lets_the_next_one_in() -> None:
    budget = Budget(tokens=100)
    first = await budget.reserve(_usage(0, 60))
    big = asyncio.create_task(budget.reserve(_usage(0, 90)))
    small = asyncio.create_task(budget.reserve(_usage(0, 10)))
    await asyncio.sleep(0)
    big.cancel()
    (await small).settle(_usage(0, 10))
    first.settle(_usage(0, 60))
    assert budget.used["tokens"] == 70


async def test_a_waiter_cancelled_as_it_gets_room_gives_it_back() -> None:
    budget = Budget(calls=1)
    first = await budget.reserve(_usage(0, 0))
    waiting = asyncio.create_task(budget.reserve(_usage(0, 0)))
    await asyncio.sleep(0)
    first.cancel()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    (await budget.reserve(_usage(0, 0))).settle(_usage(0, 0))


async def test_what_is_held_is_kept_for_later() -> None:
    budget = Budget(calls=3)
    with budget.hold(calls=2):
        (await budget.reserve(_usage(1, 1))).settle(_usage(1, 1))
        with pytest.raises(BudgetExceeded, match="2 set aside"):
            await budget.reserve(_usage(1, 1))
    for _ in range(2):
        (await budget.reserve(_usage(1, 1))).settle(_usage(1, 1))
    hold = Budget(calls=1).hold(calls=1)
    hold.release()
    hold.release()
    with pytest.raises(BudgetExceeded):
        Budget(usd=1.0).hold(usd=1.5)


async def test_releasing_a_hold_wakes_who_waits() -> None:
    budget = Budget(calls=2)
    hold = budget.hold(calls=1)
    first = await budget.reserve(_usage(0, 0))
    second = asyncio.create_task(budget.reserve(_usage(0, 0)))
    await asyncio.sleep(0)
    hold.release()
    (await second).cancel()
    first.cancel()


@pytest.mark.parametrize("ceiling", [{"calls": 0}, {"tokens": -1}, {"usd": float("nan")}, {"seconds": 0}])
def test_a_ceiling_must_be_a_number_above_zero(ceiling: dict[str, float]) -> None:
    with pytest.raises(UserError, match="number above 0"):
        Budget(**ceiling)  # type: ignore[arg-type]


async def test_a_ceiling_in_usd_needs_a_price() -> None:
    with pytest.raises(UserError, match="--price"):
        await Budget(usd=1).reserve(Usage(calls=1, usd=None))


def _answer(asked: Request, number: int) -> Reply:
    size = len(asked.messages[0].content)
    return reply("x", read=size, written=min(asked.max_tokens, size % 37))


_SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=25)


@given(sizes=_SIZES, tokens=st.integers(100, 6000), concurrency=st.integers(1, 8), usd=st.booleans())
@settings(max_examples=60, deadline=None)
def test_calls_at_once_never_pass_a_ceiling_and_a_replay_charges_the_same(
    sizes: list[int], tokens: int, concurrency: int, usd: bool
) -> None:
    async def run(store: Store) -> tuple[dict[str, float], dict[str, int], int, list[bool]]:
        budget = Budget(usd=tokens / 1e6) if usd else Budget(tokens=tokens)
        lm = make_lm(_answer, store=store, budget=budget, concurrency=concurrency, price=per_million((1.0, 1.0)))

        async def one(size: int) -> bool:
            try:
                await lm.ask(request("y" * size, max_tokens=30), purpose=f"p{size % 2}")
            except BudgetExceeded:
                return False
            return True

        went = await asyncio.gather(*map(one, sizes))
        ledger = lm.session.ledger
        assert ledger.logical.tokens == budget.used["tokens"] <= tokens
        assert ledger.logical.calls == budget.used["calls"] == sum(ledger.calls.values())
        assert ledger.spent.calls + ledger.replayed == ledger.logical.calls
        assert ledger.spent.calls == len(client_of(lm).sent)
        return budget.used, ledger.calls, ledger.spent.calls, went

    async def both() -> None:
        store = Store.memory()
        used, calls, spent, went = await run(store)
        again_used, again_calls, again_spent, again_went = await run(store)
        assert (again_used, again_calls, again_went) == (used, calls, went)
        assert (spent, again_spent) == (sum(calls.values()), 0)

    asyncio.run(both())


async def test_the_ledger_adds_up_by_purpose_and_by_model() -> None:
    store = Store.memory()
    lm = make_lm(_answer, store=store, price=per_million((1.0, 2.0)), name="fake/x")
    await lm.ask(request("ab"), purpose="train")
    await lm.ask(request("abc"), purpose="val")
    await lm.ask(request("abc"), purpose="test")
    ledger = lm.session.ledger
    assert ledger.calls == {"train": 1, "val": 1}
    assert sum(ledger.spent_by.values(), Usage()) == sum(ledger.spent_by_model.values(), Usage()) == ledger.spent
    assert ledger.spent == ledger.logical
    assert ledger.spent.usd == pytest.approx((2 + 2 * 2 + 3 + 2 * 3) / 1e6)
    again = make_lm(_answer, store=store, name="fake/x")
    await again.ask(request("ab"), purpose="train")
    assert again.session.ledger.spent == Usage()
    assert again.session.ledger.logical == ledger.logical_by["train"]
    assert again.session.ledger.replayed == 1


async def test_what_is_left_is_told_of_each_ceiling_that_there_is() -> None:
    budget = Budget(calls=10, usd=2.0)
    budget.hold(calls=2, usd=0.5)
    (await budget.reserve(Usage(calls=1, usd=0.25))).settle(Usage(calls=1, usd=0.25))
    await budget.reserve(Usage(calls=3, usd=0.25))
    assert budget.left == {"calls": 4, "usd": 1.0}
    assert Budget().left == {}


async def test_once_a_call_did_not_fit_no_smaller_one_gets_through_until_room_is_given_back() -> None:
    budget = Budget(tokens=100)
    hold = budget.hold(tokens=20)
    first = await budget.reserve(Usage(calls=1, input_tokens=60))
    waiting = [asyncio.ensure_future(budget.reserve(Usage(calls=1, input_tokens=size))) for size in (50, 5)]
    await asyncio.sleep(0)
    first.settle(Usage(calls=1, input_tokens=60))
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in ended] == [BudgetExceeded, BudgetExceeded]
    with pytest.raises(BudgetExceeded):
        budget.try_reserve(Usage(calls=1, input_tokens=5))
    hold.release()
    assert budget.try_reserve(Usage(calls=1, input_tokens=5)) is not None


def test_the_largest_worst_case_so_far_is_known_for_each_ceiling() -> None:
    budget = Budget(tokens=1000, usd=1)
    for tokens, usd in ((30, 0.2), (90, 0.1)):
        reservation = budget.try_reserve(Usage(calls=1, input_tokens=tokens, usd=usd))
        assert reservation is not None
        reservation.cancel()
    assert budget.largest == {"calls": 1, "tokens": 90, "usd": pytest.approx(0.2)}
