"""Ceilings in calls, tokens, USD and seconds, nested as a tree: what is reserved, held and counted in one counts in all around it.

Each sending reserves its worst case first: a ceiling is passed by no more than what an endpoint reports beyond the limits it was
given, on the calls in flight. Then nothing more fits. What is counted is logical: a stored response takes what it took when it
was first paid, every request that was served for it. How room is given out stands in `reservations.py`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from flowbot.fields import Paused, Usage, UserError
from flowbot.fields.numbers import require_above_0

from .reservations import (
    CEILINGS,
    NOTHING,
    PICO,
    Amounts,
    Ceiling,
    Hold,
    Level,
    Reservation,
    add,
    amounts_of,
    reserve,
    try_reserve,
)

__all__ = ["Budget", "Ceiling", "Hold", "Reservation"]


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
        self._began: float | None = None
        self._parent: Budget | None = None
        self._level = Level((calls, tokens, None if usd is None else math.floor(usd * PICO)), name, self)
        self._alone = (self._level,)

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
        if parent not in self.path:
            in_use = self._level.in_flight or self._level.used != NOTHING
            if self._parent is not None or self in parent.path or in_use:
                raise UserError("budget", "one that is in use elsewhere", "a Budget of its own for each run")
            self._parent = parent
        return self

    @property
    def path(self) -> tuple[Budget, ...]:
        """The budgets that a call here is counted in, the outermost first."""
        return (self,) if self._parent is None else (*self._parent.path, self)

    def limits(self, ceiling: Ceiling) -> bool:
        """Whether there is a ceiling of that kind, here or around."""
        index = CEILINGS.index(ceiling)
        return self._level.ceilings[index] is not None or (self._parent is not None and self._parent.limits(ceiling))

    @property
    def needs_worst_case(self) -> bool:
        """Whether tokens or dollars are limited, so that a worst case is worth computing."""
        _, tokens, usd = self._level.ceilings
        around = self._parent is not None and self._parent.needs_worst_case
        return around or tokens is not None or usd is not None

    @property
    def limited(self) -> bool:
        """Whether there is a ceiling in calls, tokens or dollars."""
        return any(self.limits(name) for name in CEILINGS)

    @property
    def used(self) -> dict[Ceiling, float]:
        """What has been counted so far: calls, tokens and usd."""
        return _by_name(self._level.used)

    @property
    def left(self) -> dict[Ceiling, float]:
        """What neither calls nor holds have taken yet, here and around, of each ceiling that there is."""
        found: dict[Ceiling, float] = {}
        for index, name in enumerate(CEILINGS):
            free = [room for each in self._levels if (room := each.free(index)) is not None]
            if free:
                found[name] = min(free) / PICO if name == "usd" else min(free)
        return found

    @property
    def largest(self) -> dict[Ceiling, float]:
        """The largest worst case of a single call so far, here or further in: what must be free for another one to be sent."""
        return _by_name(self._level.largest)

    def forget_largest(self) -> None:
        """From now on: what was asked so far was not of the kind of what comes."""
        self._level.largest = NOTHING

    @property
    def passed(self) -> str:
        """Which ceilings endpoints have made us pass, in a line; "" where none is."""
        passed = [
            f"{_shown(index, each.used[index])} where the ceiling is {_shown(index, ceiling)}"
            for each in self._levels
            for index, ceiling in enumerate(each.ceilings)
            if ceiling is not None and each.used[index] > ceiling
        ]
        if not passed:
            return ""
        return f"a ceiling was passed: {' and '.join(passed)}; an endpoint took more than it was allowed, on calls in flight"

    @property
    def sound(self) -> bool:
        """Whether all that is reserved and held still fits: no endpoint has taken what was kept for others."""
        return not [each for each in self._levels if each.over(NOTHING) is not None]

    def add(self, actual: Usage) -> None:
        """Count what was taken without room of its own."""
        for each in self._levels:
            each.used = add(each.used, amounts_of(actual))

    def taken_elsewhere(self, usd: float) -> None:
        """Count, here alone and not around, what others have taken of the same ceiling."""
        self._level.used = add(self._level.used, (0, 0, math.ceil(usd * PICO)))

    def try_reserve(self, worst: Usage) -> Reservation | None:
        """Reserve at once; None if that must wait for calls in flight.

        Raises:
            BudgetExceeded: if it will never fit.
        """
        return try_reserve(self._levels, self._worst(worst))

    async def reserve(self, worst: Usage) -> Reservation:
        """Reserve a call's worst case; waits, in order, while calls in flight may still give room back.

        Raises:
            BudgetExceeded: if it does not fit although nothing is in flight; its `budget` is the one whose ceiling it is.
        """
        levels, amounts = self._levels, self._worst(worst)
        return try_reserve(levels, amounts) or await reserve(levels, amounts)

    def hold(self, calls: int = 0, tokens: int = 0, usd: float = 0.0) -> Hold:
        """Set room aside; use as a context manager or call `release`.

        Raises:
            BudgetExceeded: if the ceilings leave no such room.
        """
        amounts = (calls, tokens, math.ceil(usd * PICO))
        for each in self._levels:
            if (over := each.over(amounts)) is not None:
                raise each.exceeded(over, amounts)
        return Hold(self._levels, amounts)

    def hold_rest(self) -> Hold:
        """Set aside what is left here, and here alone: of the budgets around it is for whoever else is within them."""
        calls, tokens, usd = (max(0, self._level.free(index) or 0) for index in range(len(CEILINGS)))
        return Hold((self._level,), (calls, tokens, usd))

    def begin(self) -> None:
        """Start counting seconds; only the first time."""
        for each in self.path:
            if each._began is None:
                each._began = each._now()

    @property
    def seconds_left(self) -> float | None:
        """Seconds until `check_time` raises, at least 0; None where there is no such ceiling."""
        self.begin()
        return min((left for each in self.path if (left := each._seconds_left_here()) is not None), default=None)

    def check_time(self) -> None:
        """Whether a call may still be sent.

        Raises:
            Paused: if the seconds are over.
        """
        for each in self.path:
            if each.seconds is not None and each._seconds_left_here() == 0.0:
                raise Paused(f"the ceiling of {each.seconds:g} seconds is reached", stopped_by="seconds")

    def _seconds_left_here(self) -> float | None:
        if self.seconds is None:
            return None
        if self._began is None:
            self._began = self._now()
        return max(0.0, self.seconds - (self._now() - self._began))

    @property
    def _levels(self) -> tuple[Level, ...]:
        return self._alone if self._parent is None else (*self._parent._levels, self._level)

    def _worst(self, worst: Usage) -> Amounts:
        if worst.usd is None and self.limits("usd"):
            raise UserError("budget: usd", "a model of unknown price", mend="give its price with --price IN,OUT")
        amounts = amounts_of(worst)
        for each in self._levels:
            calls, tokens, usd = map(max, each.largest, amounts)
            each.largest = (calls, tokens, usd)
        return amounts


def _by_name(amounts: Amounts) -> dict[Ceiling, float]:
    calls, tokens, usd = amounts
    return {"calls": calls, "tokens": tokens, "usd": usd / PICO}


def _shown(index: int, amount: int) -> str:
    return f"{amount / PICO:.4f} USD" if CEILINGS[index] == "usd" else f"{amount:,} {CEILINGS[index]}"
