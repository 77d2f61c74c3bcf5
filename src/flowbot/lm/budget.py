"""Ceilings in calls, tokens, USD and seconds. Each sending reserves its worst case first: a ceiling is passed by no more
than what an endpoint reports beyond the limits it was given, on the calls in flight. Then nothing more fits.

What is counted is logical: a stored response takes what it took when it was first paid, every request that was served for
it. The order in which reservations are asked for decides who gets one; how fast replies come does not. So once a call did not
fit no smaller one behind it gets through, until room that was set aside is given back.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from flowbot.fields import BudgetExceeded, Paused, Usage, UserError
from flowbot.fields.numbers import require_above_0

if TYPE_CHECKING:
    import asyncio

Ceiling = Literal["calls", "tokens", "usd"]
Amounts = tuple[int, int, int]
"""Calls, tokens, and USD in units of 10^-12: whole numbers, so that sums are exact."""

_NAMES: tuple[Ceiling, ...] = ("calls", "tokens", "usd")
_PICO = 1_000_000_000_000
_NOTHING: Amounts = (0, 0, 0)


class Reservation:
    """Room that is kept for one call until it is settled. Settling or cancelling a second time does nothing."""

    __slots__ = ("_budget", "amounts", "open")

    def __init__(self, budget: Budget, amounts: Amounts) -> None:
        self._budget = budget
        self.amounts = amounts
        self.open = True

    def settle(self, actual: Usage) -> None:
        """Give the room back and count what the call really took."""
        if self.open:
            self.open = False
            self._budget._settle(self.amounts, _amounts(actual))  # pyright: ignore[reportPrivateUsage]

    def cancel(self) -> None:
        """Give the room back; nothing was called."""
        if self.open:
            self.open = False
            self._budget._settle(self.amounts, _NOTHING)  # pyright: ignore[reportPrivateUsage]


class Hold:
    """Room set aside for later calls (the closing test): a context manager, or `release` it when its turn comes."""

    def __init__(self, budget: Budget, amounts: Amounts) -> None:
        self._budget = budget
        self.amounts = amounts
        self._open = True

    def release(self) -> None:
        """Give the room back. A second time does nothing."""
        if self._open:
            self._open = False
            self._budget._let_go(self.amounts)  # pyright: ignore[reportPrivateUsage]

    def __enter__(self) -> Hold:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Budget:
    """Ceilings of a run; None is no ceiling. One `Budget` counts one run.

    Args:
        calls: requests to models that are served: one a call, and one for each answer that was of no use.
        tokens: input and output tokens together.
        usd: dollars.
        seconds: wall-clock time from `begin` on; it pauses the run instead of ending it.
        now: the clock that `seconds` is read from.

    Raises:
        UserError: if a ceiling is not a positive number.
    """

    def __init__(
        self,
        calls: int | None = None,
        tokens: int | None = None,
        usd: float | None = None,
        seconds: float | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, value in (("calls", calls), ("tokens", tokens), ("usd", usd), ("seconds", seconds)):
            require_above_0(value, f"budget: {name}", whole=name in ("calls", "tokens"))
        self.calls = calls
        self.tokens = tokens
        self.usd = usd
        self.seconds = seconds
        self._now = now
        self._began: float | None = None
        self._ceilings = (calls, tokens, None if usd is None else math.floor(usd * _PICO))
        self._used = _NOTHING
        self._reserved = _NOTHING
        self._held = _NOTHING
        self._largest = _NOTHING
        self._open = 0
        self._ended: tuple[Ceiling, Amounts] | None = None
        self._queue: deque[tuple[Amounts, asyncio.Future[Reservation]]] = deque()

    @property
    def needs_worst_case(self) -> bool:
        """Whether tokens or dollars are limited, so that a worst case is worth computing."""
        return self.tokens is not None or self.usd is not None

    @property
    def limited(self) -> bool:
        """Whether there is a ceiling in calls, tokens or dollars."""
        return any(ceiling is not None for ceiling in self._ceilings)

    @property
    def used(self) -> dict[Ceiling, float]:
        """What has been counted so far: calls, tokens and usd."""
        return {"calls": self._used[0], "tokens": self._used[1], "usd": self._used[2] / _PICO}

    @property
    def left(self) -> dict[Ceiling, float]:
        """What neither calls nor holds have taken yet, of each ceiling that there is."""
        found: dict[Ceiling, float] = {}
        for name, ceiling, *taken in zip(_NAMES, self._ceilings, self._used, self._reserved, self._held, strict=True):
            if ceiling is not None:
                free = ceiling - sum(taken)
                found[name] = free / _PICO if name == "usd" else free
        return found

    @property
    def largest(self) -> dict[Ceiling, float]:
        """The largest worst case of a single call so far: what must be free for another one to be sent."""
        calls, tokens, usd = self._largest
        return {"calls": calls, "tokens": tokens, "usd": usd / _PICO}

    def forget_largest(self) -> None:
        """From now on: what was asked so far was not of the kind of what comes."""
        self._largest = _NOTHING

    @property
    def passed(self) -> str:
        """Which ceilings endpoints have made us pass, in a line; "" where none is."""
        told: list[str] = []
        for index, ceiling in enumerate(self._ceilings):
            if ceiling is not None and self._used[index] > ceiling:
                told.append(f"{_shown(index, self._used[index])} where the ceiling is {_shown(index, ceiling)}")
        if not told:
            return ""
        return (
            f"a ceiling was passed: {' and '.join(told)}; an endpoint took more than it was allowed, on calls in flight"
        )

    @property
    def sound(self) -> bool:
        """Whether all that is reserved and held still fits: no endpoint has taken what was kept for others."""
        return self._over(_NOTHING) is None

    def add(self, actual: Usage) -> None:
        """Count what was taken without room of its own."""
        self._used = _add(self._used, _amounts(actual))

    def try_reserve(self, worst: Usage) -> Reservation | None:
        """Reserve at once; None if that must wait for calls in flight.

        Raises:
            BudgetExceeded: if it will never fit.
        """
        amounts = self._worst(worst)
        if self._ended is not None:
            raise self._exceeded(*self._ended)
        if self._queue:
            return None
        if (over := self._over(amounts)) is None:
            return self._take(amounts)
        if self._open:
            return None
        self._ended = (over, amounts)
        raise self._exceeded(over, amounts)

    async def reserve(self, worst: Usage) -> Reservation:
        """Reserve a call's worst case; waits, in order, while calls in flight may still give room back.

        Raises:
            BudgetExceeded: if it does not fit although nothing is in flight.
        """
        if (taken := self.try_reserve(worst)) is not None:
            return taken
        import asyncio

        waiting: asyncio.Future[Reservation] = asyncio.get_running_loop().create_future()
        self._queue.append((self._worst(worst), waiting))
        try:
            return await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled() and waiting.exception() is None:
                waiting.result().cancel()
            else:
                waiting.cancel()
                self._pump()
            raise

    def hold(self, calls: int = 0, tokens: int = 0, usd: float = 0.0) -> Hold:
        """Set room aside; use as a context manager or call `release`.

        Raises:
            BudgetExceeded: if the ceilings leave no such room.
        """
        amounts = (calls, tokens, math.ceil(usd * _PICO))
        if (over := self._over(amounts)) is not None:
            raise self._exceeded(over, amounts)
        self._held = _add(self._held, amounts)
        self._ended = None
        return Hold(self, amounts)

    def begin(self) -> None:
        """Start counting seconds; only the first time."""
        if self._began is None:
            self._began = self._now()

    @property
    def seconds_left(self) -> float | None:
        """Seconds until `check_time` raises, at least 0; None where there is no such ceiling."""
        if self.seconds is None:
            return None
        self.begin()
        return max(0.0, self.seconds - (self._now() - (self._began or 0.0)))

    def check_time(self) -> None:
        """Whether a call may still be sent.

        Raises:
            Paused: if the seconds are over.
        """
        self.begin()
        if self.seconds is not None and self.seconds_left == 0.0:
            raise Paused(f"the ceiling of {self.seconds:g} seconds is reached", stopped_by="seconds")

    def _worst(self, worst: Usage) -> Amounts:
        if worst.usd is None and self.usd is not None:
            raise UserError("budget: usd", "a model of unknown price", mend="give its price with --price IN,OUT")
        amounts = _amounts(worst)
        self._largest = _most(self._largest, amounts)
        return amounts

    def _take(self, amounts: Amounts) -> Reservation:
        self._reserved = _add(self._reserved, amounts)
        self._open += 1
        return Reservation(self, amounts)

    def _over(self, amounts: Amounts) -> Ceiling | None:
        for index, ceiling in enumerate(self._ceilings):
            if ceiling is not None:
                taken = self._used[index] + self._reserved[index] + self._held[index]
                if taken + amounts[index] > ceiling:
                    return _NAMES[index]
        return None

    def _settle(self, reserved: Amounts, actual: Amounts) -> None:
        self._reserved = _subtract(self._reserved, reserved)
        self._open -= 1
        self._used = _add(self._used, actual)
        self._pump()

    def _let_go(self, amounts: Amounts) -> None:
        self._held = _subtract(self._held, amounts)
        self._ended = None
        self._pump()

    def _pump(self) -> None:
        while self._queue:
            amounts, waiting = self._queue[0]
            if not waiting.done():
                over = self._over(amounts)
                if self._ended is None and over is not None and not self._open:
                    self._ended = (over, amounts)
                if self._ended is not None:
                    waiting.set_exception(self._exceeded(*self._ended))
                elif over is None:
                    waiting.set_result(self._take(amounts))
                else:
                    return
            self._queue.popleft()

    def _exceeded(self, over: Ceiling, amounts: Amounts) -> BudgetExceeded:
        index = _NAMES.index(over)
        used, held, ceiling = self._used[index], self._held[index], self._ceilings[index] or 0
        if over == "usd":
            text = f"{used / _PICO:.4f} USD of {ceiling / _PICO:g} are used, {held / _PICO:.4f} set aside"
            text += f"; the next step may take {amounts[index] / _PICO:.4f}"
        else:
            text = f"{used} of {ceiling} {over} are used, {held} set aside; the next step may take {amounts[index]}"
        return BudgetExceeded(text, ceiling=over)


def _shown(index: int, amount: int) -> str:
    return f"{amount / _PICO:.4f} USD" if _NAMES[index] == "usd" else f"{amount:,} {_NAMES[index]}"


def _amounts(usage: Usage) -> Amounts:
    return (usage.calls, usage.tokens, math.ceil((usage.usd or 0.0) * _PICO))


def _add(one: Amounts, other: Amounts) -> Amounts:
    return (one[0] + other[0], one[1] + other[1], one[2] + other[2])


def _most(one: Amounts, other: Amounts) -> Amounts:
    return (max(one[0], other[0]), max(one[1], other[1]), max(one[2], other[2]))


def _subtract(one: Amounts, other: Amounts) -> Amounts:
    return (one[0] - other[0], one[1] - other[1], one[2] - other[2])
