"""Room in the ceilings of budgets: what of each is used, kept for calls in flight or set aside, and who waits for some.

The order in which reservations are asked for decides who gets one; how fast replies come does not. So once a call did not
fit no smaller one behind it gets through, until room that was set aside is given back.

A path is one budget and all around it, the outermost first. A call asks the outermost first and holds its room there while it
waits further in. So each budget is asked in the order in which the calls came, and what it decides follows from that order
alone, as in a lone budget.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from flowbot.fields import BudgetExceeded, Usage

if TYPE_CHECKING:
    import asyncio

Ceiling = Literal["calls", "tokens", "usd"]
CEILINGS: tuple[Ceiling, ...] = ("calls", "tokens", "usd")
Amounts = tuple[int, int, int]
"""Calls, tokens, and USD in units of 10^-12: whole numbers, so that sums are exact."""
PICO = 1_000_000_000_000
NOTHING: Amounts = (0, 0, 0)


class Level:
    """The ceilings of one budget, and what has been taken of them.

    Args:
        ceilings: of calls, tokens and picodollars; None for none.
        name: whose they are, for what is said when one is reached; "" for the run's.
        budget: what a `BudgetExceeded` names.
    """

    def __init__(self, ceilings: tuple[int | None, int | None, int | None], name: str, budget: object) -> None:
        self.ceilings = ceilings
        self._limited = tuple(index for index, ceiling in enumerate(ceilings) if ceiling is not None)
        self.used = NOTHING
        self.held = NOTHING
        self.largest = NOTHING
        """The largest worst case of a single call, here or further in."""
        self.in_flight = 0
        self._reserved = NOTHING
        self.admit: Callable[[int], None] | None = None
        """Asked before room is kept, with all the picodollars that are taken and kept then; raises `BudgetExceeded`."""
        self._name = name
        self._budget = budget
        self._refused: tuple[Ceiling, Amounts] | None = None
        """What did not fit although nothing was in flight: no smaller call behind it gets through."""
        self._queue: deque[_Waiting] = deque()
        self._pumping = False

    @property
    def committed(self) -> int:
        """Picodollars that are taken, and kept for calls under way."""
        return self.used[2] + self._reserved[2]

    def free(self, index: int) -> int | None:
        """What nobody has of a ceiling; None where there is no such ceiling."""
        ceiling = self.ceilings[index]
        return None if ceiling is None else ceiling - self.used[index] - self._reserved[index] - self.held[index]

    def over(self, amounts: Amounts) -> Ceiling | None:
        """The first ceiling that has no room for so much."""
        for index in self._limited:
            if amounts[index] > (self.free(index) or 0):
                return CEILINGS[index]
        return None

    def fits(self, amounts: Amounts) -> bool:
        """Whether a call gets in at once; False if it has to wait for those in flight.

        Raises:
            BudgetExceeded: if it never will.
        """
        if self._refused is None and not self._queue:
            over = self.over(amounts)
            if over is None:
                self._ask(amounts)
                return True
            if not self.in_flight:
                self._refused = (over, amounts)
        if self._refused is not None:
            raise self.exceeded(*self._refused)
        return False

    def take(self, amounts: Amounts) -> None:
        """Keep room for a call."""
        self._reserved = add(self._reserved, amounts)
        self.in_flight += 1

    def settle(self, reserved: Amounts, actual: Amounts) -> None:
        """Give a call's room back and count what it took."""
        self._reserved = _subtract(self._reserved, reserved)
        self.in_flight -= 1
        self.used = add(self.used, actual)

    def set_aside(self, amounts: Amounts) -> None:
        """Keep so much for later; negative amounts give it back."""
        self.held = add(self.held, amounts)
        self._refused = None

    def join(self, waiting: _Waiting) -> None:
        """Wait for room behind those who wait already."""
        self._queue.append(waiting)
        self.pump()

    def pump(self) -> None:
        """Let in, or refuse, those who wait, in order, as far as that is decided."""
        if not self._queue or self._pumping:  # a refusal gave room back here: whoever is at it goes on with the next
            return
        self._pumping = True
        while self._queue:
            first = self._queue[0]
            if not first.future.done():
                over = self.over(first.amounts)
                if self._refused is None and over is not None and not self.in_flight:
                    self._refused = (over, first.amounts)
                if self._refused is None and over is not None:
                    break
            self._queue.popleft()
            if first.future.done():
                continue
            try:
                if self._refused is not None:
                    raise self.exceeded(*self._refused)
                self._ask(first.amounts)
            except BudgetExceeded as error:
                first.refuse(error)
            else:
                self.take(first.amounts)
                first.inside += 1
                first.go_on()
        self._pumping = False

    def _ask(self, amounts: Amounts) -> None:
        if self.admit is not None:
            self.admit(self.committed + amounts[2])

    def exceeded(self, over: Ceiling, amounts: Amounts) -> BudgetExceeded:
        """The error for a step that may take so much."""
        index = CEILINGS.index(over)
        used, held, ceiling = self.used[index], self.held[index], self.ceilings[index] or 0
        if over == "usd":
            text = f"{used / PICO:.4f} USD of {ceiling / PICO:g} are used, {held / PICO:.4f} set aside"
            text += f"; the next step may take {amounts[index] / PICO:.4f}"
        else:
            text = f"{used} of {ceiling} {over} are used, {held} set aside; the next step may take {amounts[index]}"
        return BudgetExceeded(f"{self._name}: {text}" if self._name else text, ceiling=over, budget=self._budget)


Path = tuple[Level, ...]


class Reservation:
    """Room that is kept for one call until it is settled. Settling or cancelling a second time does nothing."""

    __slots__ = ("_path", "amounts", "open")

    def __init__(self, path: Path, amounts: Amounts) -> None:
        self._path = path
        self.amounts = amounts
        self.open = True

    def settle(self, actual: Usage) -> None:
        """Give the room back and count what the call really took."""
        self._end(amounts_of(actual))

    def cancel(self) -> None:
        """Give the room back; nothing was called."""
        self._end(NOTHING)

    def _end(self, actual: Amounts) -> None:
        if self.open:
            self.open = False
            _settle(self._path, self.amounts, actual)


class Hold:
    """Room set aside for later calls (the closing test): a context manager, or `release` it when its turn comes."""

    def __init__(self, path: Path, amounts: Amounts) -> None:
        self._path = path
        self.amounts = amounts
        self._open = True
        for each in path:
            each.set_aside(amounts)

    def release(self) -> None:
        """Give the room back. A second time does nothing."""
        if self._open:
            self._open = False
            for each in self._path:
                each.set_aside(_subtract(NOTHING, self.amounts))
            _pump(self._path)

    def exchanged(self, hold: Callable[[], Hold]) -> Hold:
        """Another in its place. `hold` makes it and finds this room free; nobody who waits gets it in between."""
        self._open = False
        for each in self._path:
            each.set_aside(_subtract(NOTHING, self.amounts))
        try:
            return hold()
        finally:
            _pump(self._path)

    def __enter__(self) -> Hold:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class _Waiting:
    """A call on its way inwards: `inside` of the levels of its path, the outermost first, keep room for it already."""

    __slots__ = ("_path", "amounts", "future", "inside")

    def __init__(self, path: Path, amounts: Amounts, future: asyncio.Future[Reservation]) -> None:
        self._path = path
        self.amounts = amounts
        self.future = future
        self.inside = 0

    def go_on(self) -> None:
        """As far inwards as it is let in, without a pause: nobody who asks later gets before it."""
        if self.inside < len(self._path):
            self._path[self.inside].join(self)
        else:
            self.future.set_result(Reservation(self._path, self.amounts))

    def refuse(self, error: BudgetExceeded) -> None:
        """There will be no room."""
        self.future.set_exception(error)
        self.give_up()

    def give_up(self) -> None:
        """Give back what was kept so far."""
        held, self.inside = self._path[: self.inside], 0
        _settle(held, self.amounts, NOTHING)


def try_reserve(path: Path, amounts: Amounts) -> Reservation | None:
    """Reserve at once; None if that must wait for calls in flight.

    Raises:
        BudgetExceeded: if it will never fit.
    """
    for each in path:
        if not each.fits(amounts):
            return None
    for each in path:
        each.take(amounts)
    return Reservation(path, amounts)


async def reserve(path: Path, amounts: Amounts) -> Reservation:
    """Reserve; waits, in order, while calls in flight may still give room back.

    Raises:
        BudgetExceeded: if it does not fit although nothing is in flight.
    """
    import asyncio

    future: asyncio.Future[Reservation] = asyncio.get_running_loop().create_future()
    waiting = _Waiting(path, amounts, future)
    waiting.go_on()
    try:
        return await future
    except asyncio.CancelledError:
        if future.done() and not future.cancelled() and future.exception() is None:
            future.result().cancel()
        else:
            future.cancel()
            waiting.give_up()
            _pump(path)
        raise


def amounts_of(usage: Usage) -> Amounts:
    """A usage as amounts; a price that is not known counts nothing."""
    return (usage.calls, usage.tokens, math.ceil((usage.usd or 0.0) * PICO))


def _settle(path: Path, reserved: Amounts, actual: Amounts) -> None:
    """Give room back in all of them and count what was taken, then let in who waits."""
    for each in path:
        each.settle(reserved, actual)
    _pump(path)


def _pump(path: Path) -> None:
    for each in reversed(path):  # further in wait those who came first
        each.pump()


def add(one: Amounts, other: Amounts) -> Amounts:
    """The sums of two."""
    return (one[0] + other[0], one[1] + other[1], one[2] + other[2])


def _subtract(one: Amounts, other: Amounts) -> Amounts:
    return (one[0] - other[0], one[1] - other[1], one[2] - other[2])
