"""Ceilings in calls, tokens, USD and seconds. Each sending reserves its worst case first: a ceiling is passed by no more
than what an endpoint reports beyond the limits it was given, on the calls in flight. Then nothing more fits.

What is counted is logical: a stored response takes what it took when it was first paid, every request that was served for
it. The order in which reservations are asked for decides who gets one; how fast replies come does not. So once a call did not
fit no smaller one behind it gets through, until room that was set aside is given back.

Budgets nest as a tree: what is reserved, held and counted in one counts in all around it. A call asks the outermost first and
holds its room there while it waits further in. So each budget is asked in the order in which the calls came, and what it
decides follows from that order alone, as in a lone budget.
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

    __slots__ = ("_path", "amounts", "open")

    def __init__(self, path: tuple[Budget, ...], amounts: Amounts) -> None:
        self._path = path
        self.amounts = amounts
        self.open = True

    def settle(self, actual: Usage) -> None:
        """Give the room back and count what the call really took."""
        self._end(_amounts(actual))

    def cancel(self) -> None:
        """Give the room back; nothing was called."""
        self._end(_NOTHING)

    def _end(self, actual: Amounts) -> None:
        if self.open:
            self.open = False
            _settle(self._path, self.amounts, actual)


class Hold:
    """Room set aside for later calls (the closing test): a context manager, or `release` it when its turn comes."""

    def __init__(self, path: tuple[Budget, ...], amounts: Amounts) -> None:
        self._path = path
        self.amounts = amounts
        self._open = True

    def release(self) -> None:
        """Give the room back. A second time does nothing."""
        if self._open:
            self._open = False
            for each in self._path:
                each._let_go(self.amounts)  # pyright: ignore[reportPrivateUsage]
            _pump(self._path)

    def exchanged(self, hold: Callable[[], Hold]) -> Hold:
        """Another in its place. `hold` makes it and finds this room free; nobody who waits gets it in between."""
        self._open = False
        for each in self._path:
            each._let_go(self.amounts)  # pyright: ignore[reportPrivateUsage]
        try:
            return hold()
        finally:
            _pump(self._path)

    def __enter__(self) -> Hold:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class _Waiting:
    """A call on its way inwards: `inside` of the budgets of its path, the outermost first, keep room for it already."""

    __slots__ = ("amounts", "future", "inside", "path")

    def __init__(self, path: tuple[Budget, ...], amounts: Amounts, future: asyncio.Future[Reservation]) -> None:
        self.path = path
        self.amounts = amounts
        self.future = future
        self.inside = 0

    def go_on(self) -> None:
        """As far inwards as it is let in, without a pause: nobody who asks later gets before it."""
        if self.inside < len(self.path):
            self.path[self.inside]._join(self)  # pyright: ignore[reportPrivateUsage]
        else:
            self.future.set_result(Reservation(self.path, self.amounts))

    def refuse(self, error: BudgetExceeded) -> None:
        """There will be no room."""
        self.future.set_exception(error)
        self.give_up()

    def give_up(self) -> None:
        """Give back what was kept so far."""
        held, self.inside = self.path[: self.inside], 0
        _settle(held, self.amounts, _NOTHING)


class Budget:
    """Ceilings of a run; None is no ceiling. One `Budget` counts one run.

    Args:
        calls: requests to models that are served: one a call, and one for each answer that was of no use.
        tokens: input and output tokens together.
        usd: dollars.
        seconds: wall-clock time from `begin` on; it pauses the run instead of ending it.
        name: whose ceilings they are, for what is said when one is reached; "" for the run's.
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
        name: str = "",
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        for kind, value in (("calls", calls), ("tokens", tokens), ("usd", usd), ("seconds", seconds)):
            require_above_0(value, f"budget: {kind}", whole=kind in ("calls", "tokens"))
        self.calls = calls
        self.tokens = tokens
        self.usd = usd
        self.seconds = seconds
        self.name = name
        self._now = now
        self._parent: Budget | None = None
        self._began: float | None = None
        self._ceilings = (calls, tokens, None if usd is None else math.floor(usd * _PICO))
        self._used = _NOTHING
        self._reserved = _NOTHING
        self._held = _NOTHING
        self._largest = _NOTHING
        self._open = 0
        self._ended: tuple[Ceiling, Amounts] | None = None
        self._queue: deque[_Waiting] = deque()
        self._pumping = False

    def child(
        self, calls: int | None = None, tokens: int | None = None, usd: float | None = None, *, name: str = ""
    ) -> Budget:
        """A budget of its own within this one: what is counted there counts here too, and in all around.

            >>> part = budget.child(calls=20, name="structure")
            >>> try:
            ...     await lm.within(part).ask(request, purpose="proposals")
            ... except BudgetExceeded as error:
            ...     if error.budget is not part:                # the run's own ceiling
            ...         raise

        Args:
            calls, tokens, usd: as of `Budget`.
            name: whose they are, for what is said.

        Raises:
            UserError: if a ceiling is not a positive number.
        """
        return Budget(calls, tokens, usd, name=name, now=self._now).within(self)

    def within(self, parent: Budget) -> Budget:
        """This budget, from now on within `parent`.

        Raises:
            UserError: if it is within another already, or has counted something.
        """
        if parent not in self._path:
            if self._parent is not None or self in parent._path or self._open or self._used != _NOTHING:
                raise UserError("budget", "one that is in use elsewhere", "a Budget of its own for each run")
            self._parent = parent
        return self

    @property
    def _path(self) -> tuple[Budget, ...]:
        """The budgets that a call here is counted in, the outermost first."""
        path: list[Budget] = [self]
        while (parent := path[-1]._parent) is not None:
            path.append(parent)
        return tuple(reversed(path))

    def limits(self, ceiling: Ceiling) -> bool:
        """Whether there is a ceiling of that kind, here or around."""
        return any(each._ceilings[_NAMES.index(ceiling)] is not None for each in self._path)

    @property
    def needs_worst_case(self) -> bool:
        """Whether tokens or dollars are limited, so that a worst case is worth computing."""
        return self.limits("tokens") or self.limits("usd")

    @property
    def limited(self) -> bool:
        """Whether there is a ceiling in calls, tokens or dollars."""
        return any(self.limits(name) for name in _NAMES)

    @property
    def used(self) -> dict[Ceiling, float]:
        """What has been counted so far: calls, tokens and usd."""
        return {"calls": self._used[0], "tokens": self._used[1], "usd": self._used[2] / _PICO}

    @property
    def left(self) -> dict[Ceiling, float]:
        """What neither calls nor holds have taken yet, here and around, of each ceiling that there is."""
        found: dict[Ceiling, float] = {}
        for index, name in enumerate(_NAMES):
            free = [room for each in self._path if (room := each._free(index)) is not None]
            if free:
                found[name] = min(free) / _PICO if name == "usd" else min(free)
        return found

    @property
    def largest(self) -> dict[Ceiling, float]:
        """The largest worst case of a single call so far, here or further in: what must be free for another one to be sent."""
        calls, tokens, usd = self._largest
        return {"calls": calls, "tokens": tokens, "usd": usd / _PICO}

    def forget_largest(self) -> None:
        """From now on: what was asked so far was not of the kind of what comes."""
        self._largest = _NOTHING

    @property
    def passed(self) -> str:
        """Which ceilings endpoints have made us pass, in a line; "" where none is."""
        told = [
            f"{_shown(index, each._used[index])} where the ceiling is {_shown(index, ceiling)}"
            for each in self._path
            for index, ceiling in enumerate(each._ceilings)
            if ceiling is not None and each._used[index] > ceiling
        ]
        if not told:
            return ""
        return (
            f"a ceiling was passed: {' and '.join(told)}; an endpoint took more than it was allowed, on calls in flight"
        )

    @property
    def sound(self) -> bool:
        """Whether all that is reserved and held still fits: no endpoint has taken what was kept for others."""
        return all(each._over(_NOTHING) is None for each in self._path)

    def add(self, actual: Usage) -> None:
        """Count what was taken without room of its own."""
        for each in self._path:
            each._used = _add(each._used, _amounts(actual))

    def try_reserve(self, worst: Usage) -> Reservation | None:
        """Reserve at once; None if that must wait for calls in flight.

        Raises:
            BudgetExceeded: if it will never fit.
        """
        amounts, path = self._worst(worst), self._path
        for each in path:
            if each._ended is not None:
                raise each._exceeded(*each._ended)
            if each._queue:
                return None
            if (over := each._over(amounts)) is not None:
                if each._open:
                    return None
                each._ended = (over, amounts)
                raise each._exceeded(over, amounts)
        for each in path:
            each._take(amounts)
        return Reservation(path, amounts)

    async def reserve(self, worst: Usage) -> Reservation:
        """Reserve a call's worst case; waits, in order, while calls in flight may still give room back.

        Raises:
            BudgetExceeded: if it does not fit although nothing is in flight; its `budget` is the one whose ceiling it is.
        """
        if (taken := self.try_reserve(worst)) is not None:
            return taken
        import asyncio

        future: asyncio.Future[Reservation] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(self._path, self._worst(worst), future)
        waiting.go_on()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                future.result().cancel()
            else:
                future.cancel()
                waiting.give_up()
                _pump(waiting.path)
            raise

    def hold(self, calls: int = 0, tokens: int = 0, usd: float = 0.0) -> Hold:
        """Set room aside; use as a context manager or call `release`.

        Raises:
            BudgetExceeded: if the ceilings leave no such room.
        """
        amounts, path = (calls, tokens, math.ceil(usd * _PICO)), self._path
        for each in path:
            if (over := each._over(amounts)) is not None:
                raise each._exceeded(over, amounts)
        for each in path:
            each._held = _add(each._held, amounts)
            each._ended = None
        return Hold(path, amounts)

    def hold_rest(self) -> Hold:
        """Set aside what is left here, and here alone: of the budgets around it is for whoever else is within them."""
        calls, tokens, usd = (max(0, self._free(index) or 0) for index in range(len(_NAMES)))
        self._held, self._ended = _add(self._held, (calls, tokens, usd)), None
        return Hold((self,), (calls, tokens, usd))

    def begin(self) -> None:
        """Start counting seconds; only the first time."""
        for each in self._path:
            if each._began is None:
                each._began = each._now()

    @property
    def seconds_left(self) -> float | None:
        """Seconds until `check_time` raises, at least 0; None where there is no such ceiling."""
        self.begin()
        return min((left for each in self._path if (left := each._own_seconds_left()) is not None), default=None)

    def check_time(self) -> None:
        """Whether a call may still be sent.

        Raises:
            Paused: if the seconds are over.
        """
        self.begin()
        for each in self._path:
            if each._own_seconds_left() == 0.0:
                raise Paused(f"the ceiling of {each.seconds:g} seconds is reached", stopped_by="seconds")

    def _own_seconds_left(self) -> float | None:
        return None if self.seconds is None else max(0.0, self.seconds - (self._now() - (self._began or 0.0)))

    def _worst(self, worst: Usage) -> Amounts:
        if worst.usd is None and self.limits("usd"):
            raise UserError("budget: usd", "a model of unknown price", mend="give its price with --price IN,OUT")
        amounts = _amounts(worst)
        for each in self._path:
            each._largest = _most(each._largest, amounts)
        return amounts

    def _take(self, amounts: Amounts) -> None:
        self._reserved = _add(self._reserved, amounts)
        self._open += 1

    def _free(self, index: int) -> int | None:
        """What nobody has of a ceiling; None where there is no such ceiling."""
        ceiling = self._ceilings[index]
        return None if ceiling is None else ceiling - self._used[index] - self._reserved[index] - self._held[index]

    def _over(self, amounts: Amounts) -> Ceiling | None:
        for index, name in enumerate(_NAMES):
            free = self._free(index)
            if free is not None and amounts[index] > free:
                return name
        return None

    def _settle(self, reserved: Amounts, actual: Amounts) -> None:
        self._reserved = _subtract(self._reserved, reserved)
        self._open -= 1
        self._used = _add(self._used, actual)

    def _let_go(self, amounts: Amounts) -> None:
        self._held = _subtract(self._held, amounts)
        self._ended = None

    def _join(self, waiting: _Waiting) -> None:
        """Wait for room behind those who wait already."""
        self._queue.append(waiting)
        self._pump()

    def _pump(self) -> None:
        """Let in, or refuse, those who wait, in order, as far as that is decided."""
        if self._pumping:  # a refusal gave room back here: whoever is at it goes on with the next
            return
        self._pumping = True
        while self._queue:
            first = self._queue[0]
            if not first.future.done():
                over = self._over(first.amounts)
                if self._ended is None and over is not None and not self._open:
                    self._ended = (over, first.amounts)
                if self._ended is None and over is not None:
                    break
            self._queue.popleft()
            if first.future.done():
                continue
            if self._ended is not None:
                first.refuse(self._exceeded(*self._ended))
            else:
                self._take(first.amounts)
                first.inside += 1
                first.go_on()
        self._pumping = False

    def _exceeded(self, over: Ceiling, amounts: Amounts) -> BudgetExceeded:
        index = _NAMES.index(over)
        used, held, ceiling = self._used[index], self._held[index], self._ceilings[index] or 0
        if over == "usd":
            text = f"{used / _PICO:.4f} USD of {ceiling / _PICO:g} are used, {held / _PICO:.4f} set aside"
            text += f"; the next step may take {amounts[index] / _PICO:.4f}"
        else:
            text = f"{used} of {ceiling} {over} are used, {held} set aside; the next step may take {amounts[index]}"
        return BudgetExceeded(f"{self.name}: {text}" if self.name else text, ceiling=over, budget=self)


def _settle(path: tuple[Budget, ...], reserved: Amounts, actual: Amounts) -> None:
    """Give room back in all of them and count what was taken, then let in who waits."""
    for each in path:
        each._settle(reserved, actual)  # pyright: ignore[reportPrivateUsage]
    _pump(path)


def _pump(path: tuple[Budget, ...]) -> None:
    for each in reversed(path):  # further in wait those who came first
        each._pump()  # pyright: ignore[reportPrivateUsage]


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
