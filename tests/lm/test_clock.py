"""The virtual clock: order, speed, cancellation, holding."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from flowbot.lm.clock import RealClock, VirtualClock


async def test_an_hour_passes_without_waiting():
    clock = VirtualClock()
    await clock.sleep(3600)
    assert clock.now() == 3600


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_sleepers_wake_in_order_of_time_then_of_going_to_sleep(naps: list[int]):
    async def main() -> list[tuple[float, int]]:
        clock = VirtualClock()
        woken: list[tuple[float, int]] = []

        async def nap(number: int, seconds: int) -> None:
            await clock.sleep(seconds)
            woken.append((clock.now(), number))

        await asyncio.gather(*(nap(number, seconds) for number, seconds in enumerate(naps)))
        return woken

    assert asyncio.run(main()) == sorted((float(seconds), number) for number, seconds in enumerate(naps))


async def test_work_between_sleeps_takes_no_virtual_time():
    clock = VirtualClock()

    async def worker() -> float:
        for _ in range(3):
            await clock.sleep(1)
            for _ in range(20):  # a chain of steps that stay ready
                await asyncio.sleep(0)
        return clock.now()

    assert await asyncio.gather(*(worker() for _ in range(10))) == [3.0] * 10


async def test_a_cancelled_sleeper_does_not_move_the_time():
    clock = VirtualClock()
    far = asyncio.create_task(clock.sleep(1000))
    await asyncio.sleep(0)
    far.cancel()
    await clock.sleep(1)
    assert clock.now() == 1
    assert far.cancelled()


async def test_hold_keeps_the_time_still():
    clock = VirtualClock()
    sleeper = asyncio.create_task(clock.sleep(5))
    with clock.hold():
        for _ in range(500):
            await asyncio.sleep(0)
        assert clock.now() == 0
        assert not sleeper.done()
    await sleeper
    assert clock.now() == 5


def test_a_clock_outlives_its_event_loop():
    clock = VirtualClock()

    async def leave_a_sleeper_behind() -> None:
        task = asyncio.ensure_future(clock.sleep(100))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(leave_a_sleeper_behind())
    asyncio.run(clock.sleep(2))
    assert clock.now() == 2


async def test_the_real_clock_waits():
    clock = RealClock()
    before = clock.now()
    await clock.sleep(0.01)
    assert clock.now() - before >= 0.009
    await clock.sleep(-1)
