"""Budgets within budgets: no ceiling of any is passed, sums agree, and who gets room follows from the order of asking."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbot.fields import BudgetExceeded, Paused, Usage, UserError
from flowbot.lm.budget import Budget, Hold


@dataclass(frozen=True)
class Call:
    place: int
    worst: int
    actual: int
    delay: int


@st.composite
def _calls(draw: st.DrawFn) -> Call:
    worst = draw(st.integers(0, 40))
    return Call(draw(st.integers(0, 4)), worst, draw(st.integers(0, worst)), draw(st.integers(0, 6)))


_CEILING = st.tuples(st.none() | st.integers(1, 12), st.none() | st.integers(1, 250))
_TREE = st.lists(_CEILING, min_size=5, max_size=5)


def _tree(ceilings: list[tuple[int | None, int | None]]) -> list[Budget]:
    """The whole, two parts of it, and two parts of the first part."""
    whole = Budget(*ceilings[0])
    one, other = whole.child(*ceilings[1], name="one"), whole.child(*ceilings[2], name="other")
    return [whole, one, other, one.child(*ceilings[3], name="a"), one.child(*ceilings[4], name="b")]


_AROUND = {0: (0,), 1: (0, 1), 2: (0, 2), 3: (0, 1, 3), 4: (0, 1, 4)}


def _usage(tokens: int) -> Usage:
    return Usage(calls=1, input_tokens=tokens)


async def _run(tree: list[Budget], calls: list[Call]) -> list[str]:
    """What became of each call: "" or whose ceiling refused it."""

    async def one(call: Call) -> str:
        try:
            reservation = await tree[call.place].reserve(_usage(call.worst))
        except BudgetExceeded as error:
            return str(tree.index(error.budget))  # type: ignore[arg-type]
        for each, budget in enumerate(tree):
            for name in ("calls", "tokens"):
                ceiling = getattr(budget, name)
                assert ceiling is None or budget.left[name] >= 0, each
        for _ in range(call.delay):
            await asyncio.sleep(0)
        reservation.settle(_usage(call.actual))
        return ""

    return await asyncio.wait_for(asyncio.gather(*map(one, calls)), 20)


@given(ceilings=_TREE, calls=st.lists(_calls(), max_size=30))
@settings(max_examples=200, deadline=None)
def test_no_ceiling_of_a_tree_is_passed_and_its_sums_agree(
    ceilings: list[tuple[int | None, int | None]], calls: list[Call]
) -> None:
    tree = _tree(ceilings)
    ended = asyncio.run(_run(tree, calls))
    for place, budget in enumerate(tree):
        inside = [
            call for call, refused in zip(calls, ended, strict=True) if not refused and place in _AROUND[call.place]
        ]
        assert budget.used == {"calls": len(inside), "tokens": sum(call.actual for call in inside), "usd": 0.0}
        most_calls, most_tokens = ceilings[place]
        assert most_calls is None or budget.used["calls"] <= most_calls
        assert most_tokens is None or budget.used["tokens"] <= most_tokens
        assert budget.sound
        assert not budget.passed
    for call, refused in zip(calls, ended, strict=True):
        assert not refused or int(refused) in _AROUND[call.place]
    left = tree[3].left
    for index, name in enumerate(("calls", "tokens")):
        rooms = [
            ceilings[each][index] - tree[each].used[name] for each in (0, 1, 3) if ceilings[each][index] is not None
        ]  # type: ignore[operator, index]
        assert left.get(name) == (min(rooms) if rooms else None)  # type: ignore[call-overload]


@given(ceilings=_TREE, calls=st.lists(_calls(), max_size=25), seed=st.integers(0, 1000))
@settings(max_examples=200, deadline=None)
def test_who_gets_room_in_a_tree_does_not_depend_on_how_fast_replies_come(
    ceilings: list[tuple[int | None, int | None]], calls: list[Call], seed: int
) -> None:
    delays = [call.delay for call in calls]
    Random(seed).shuffle(delays)
    shuffled = [Call(c.place, c.worst, c.actual, delay) for c, delay in zip(calls, delays, strict=True)]
    at_once = [Call(c.place, c.worst, c.actual, 0) for c in calls]
    assert asyncio.run(_run(_tree(ceilings), shuffled)) == asyncio.run(_run(_tree(ceilings), at_once))


@given(ceilings=_TREE, calls=st.lists(_calls(), max_size=25), cancelled=st.sets(st.integers(0, 24)))
@settings(max_examples=150, deadline=None)
def test_calls_that_are_given_up_leave_no_room_taken_anywhere(
    ceilings: list[tuple[int | None, int | None]], calls: list[Call], cancelled: set[int]
) -> None:
    tree = _tree(ceilings)
    took = [0]

    async def one(call: Call) -> None:
        reservation = await tree[call.place].reserve(_usage(call.worst))
        for _ in range(call.delay):
            await asyncio.sleep(0)
        took[0] += call.actual
        reservation.settle(_usage(call.actual))

    async def run() -> None:
        tasks = [asyncio.create_task(one(each)) for each in calls]
        await asyncio.sleep(0)
        waiting = [task for number, task in enumerate(tasks) if number in cancelled and calls[number].delay == 0]
        for task in waiting:
            task.cancel()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)

    asyncio.run(run())
    for budget, (most_calls, most_tokens) in zip(tree, ceilings, strict=True):
        own = [most for most in (most_calls, most_tokens) if most is not None]
        assert budget.sound
        assert len(own) == 0 or all(value >= 0 for value in budget.left.values())
    assert tree[0].used["tokens"] == took[0]


async def test_a_nested_ceiling_says_whose_it_is_and_the_rest_goes_on() -> None:
    run = Budget(calls=5)
    part = run.child(calls=2, name="structure")
    for _ in range(2):
        (await part.reserve(_usage(1))).settle(_usage(1))
    with pytest.raises(BudgetExceeded, match="structure: 2 of 2 calls are used") as caught:
        await part.reserve(_usage(1))
    assert caught.value.budget is part
    assert run.left == {"calls": 3}
    for _ in range(3):
        (await run.reserve(_usage(1))).settle(_usage(1))
    with pytest.raises(BudgetExceeded, match=r"^5 of 5 calls") as caught:
        await run.child(calls=9).reserve(_usage(1))
    assert caught.value.budget is run


async def test_a_call_that_waits_further_in_keeps_its_room_outside_and_gives_it_back_when_it_is_refused() -> None:
    run = Budget(tokens=100)
    part = run.child(tokens=50)
    first = await part.reserve(_usage(50))
    inner = asyncio.create_task(part.reserve(_usage(40)))
    outer = asyncio.create_task(run.reserve(_usage(30)))
    await asyncio.sleep(0)
    assert not inner.done()
    assert not outer.done()
    first.settle(_usage(20))
    with pytest.raises(BudgetExceeded):
        await inner
    (await outer).settle(_usage(30))
    assert run.used["tokens"] == 50


async def test_a_hold_in_a_part_is_kept_free_in_the_whole() -> None:
    run = Budget(calls=3)
    part = run.child(calls=2)
    hold = part.hold(calls=2)
    (await run.reserve(_usage(1))).settle(_usage(1))
    with pytest.raises(BudgetExceeded, match="2 set aside"):
        await run.reserve(_usage(1))
    hold.release()
    (await run.reserve(_usage(1))).settle(_usage(1))
    assert part.left == {"calls": 1}
    with pytest.raises(BudgetExceeded):
        part.hold(calls=2)
    assert run.left == {"calls": 1}


async def test_what_comes_without_room_of_its_own_counts_in_all_around() -> None:
    run = Budget(tokens=10)
    part = run.child(tokens=20)
    part.add(_usage(15))
    assert (run.used["tokens"], part.used["tokens"]) == (15, 15)
    assert not part.sound
    assert part.passed.startswith("a ceiling was passed: 15 tokens where the ceiling is 10 tokens;")


async def test_dollars_that_are_limited_around_need_a_price() -> None:
    part = Budget(usd=1).child()
    assert part.limits("usd")
    assert part.needs_worst_case
    with pytest.raises(UserError, match="--price"):
        await part.reserve(Usage(calls=1, usd=None))


def test_seconds_around_end_what_is_within() -> None:
    now = [0.0]
    run = Budget(seconds=5, now=lambda: now[0])
    part = run.child(calls=1)
    assert part.seconds_left == 5
    now[0] = 6.0
    with pytest.raises(Paused, match="5 seconds"):
        part.check_time()


def test_a_budget_is_put_within_one_other_before_it_counts() -> None:
    whole, used = Budget(calls=3), Budget()
    used.add(_usage(1))
    with pytest.raises(UserError, match="of its own"):
        used.within(whole)
    part = Budget(calls=1).within(whole)
    assert part.within(whole) is part
    with pytest.raises(UserError, match="of its own"):
        part.within(Budget())
    with pytest.raises(UserError, match="of its own"):
        whole.within(part)


def test_what_a_part_gives_up_is_left_to_the_others() -> None:
    whole = Budget(tokens=100, calls=9)
    part, other = whole.child(calls=4, tokens=60), whole.child()
    part.add(_usage(20))
    with part.hold_rest():
        assert part.left == {"calls": 0, "tokens": 0}
        assert other.left == {"calls": 8, "tokens": 80}
    assert part.left == {"calls": 3, "tokens": 40}


async def test_a_hold_that_is_exchanged_is_free_for_the_next_one_and_for_nobody_who_waits() -> None:
    whole = Budget(calls=10)
    part, other = whole.child(), whole.child()
    hold = part.hold(calls=6)
    taken = [other.try_reserve(Usage(calls=1)) for _ in range(4)]
    waiting = [asyncio.create_task(other.reserve(Usage(calls=1))) for _ in range(3)]
    await asyncio.sleep(0)
    found: list[float] = []

    def larger() -> Hold:
        found.append(part.left["calls"])
        return part.hold(calls=5)

    after = hold.exchanged(larger)
    await asyncio.sleep(0)
    assert found == [6], "its own room is free to the next"
    assert [each.done() for each in waiting] == [True, False, False], "what the next one leaves is for who waits"
    hold.release()
    assert part.left["calls"] == 0, "what was exchanged holds nothing any more"
    after.release()
    assert all([await each for each in waiting])
    assert all(taken)


async def test_where_the_next_hold_cannot_be_made_the_first_is_given_back() -> None:
    part = Budget(calls=3).child()
    hold = part.hold(calls=2)
    with pytest.raises(BudgetExceeded):
        hold.exchanged(lambda: part.hold(calls=4))
    assert part.left["calls"] == 3
