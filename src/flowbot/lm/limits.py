"""How fast an endpoint is called: how many at once, how long to wait after a fault, when to give up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowbot.fields import InfrastructureError, RefusedError

from .clock import Clock

if TYPE_CHECKING:
    from tenacity import AsyncRetrying, RetryCallState


LONGEST_WAIT = 120.0
"""Seconds that are ever waited for an endpoint; one that asks for more is given up."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a call is sent again.

    Args:
        tries: sendings in all for a fault of the infrastructure.
        refusals: sendings in all for a refusal; one that repeats is believed.
        base: seconds before the second try; doubled each time, of which half is random.
        longest: seconds of one wait at most; an endpoint that asks for more is given up at once.
    """

    tries: int = 6
    refusals: int = 2
    base: float = 1.0
    longest: float = LONGEST_WAIT

    def retrying(
        self, seed: int, sleep: Callable[[float], Awaitable[None]], tell: Callable[[int, float, BaseException], None]
    ) -> AsyncRetrying:
        """The policy as a tenacity loop that raises the last error itself.

        Args:
            seed: of the random part of the waits.
            sleep: waits that many seconds.
            tell: called before each wait with the number of tries so far, the wait and the error.
        """
        from tenacity import AsyncRetrying

        chance = random.Random(seed)

        def wait(state: RetryCallState) -> float:
            error = _error(state)
            if isinstance(error, RefusedError):
                return 0.0
            grown = min(self.longest, self.base * 2.0 ** (state.attempt_number - 1))
            asked = error.retry_after if isinstance(error, InfrastructureError) else None
            # What the endpoint asks for is the least; the random part keeps many callers from coming back together.
            return max(asked or 0.0, grown * 0.5) + chance.random() * grown * 0.5

        def again(state: RetryCallState) -> bool:
            error = _error(state)
            if isinstance(error, InfrastructureError):
                return not error.fatal and (error.retry_after or 0.0) <= self.longest
            return isinstance(error, RefusedError)

        def stop(state: RetryCallState) -> bool:
            limit = self.refusals if isinstance(_error(state), RefusedError) else self.tries
            return state.attempt_number >= limit

        def before_sleep(state: RetryCallState) -> None:
            error = _error(state)
            if error is not None:
                tell(state.attempt_number, state.next_action.sleep if state.next_action else 0.0, error)

        return AsyncRetrying(stop=stop, wait=wait, retry=again, before_sleep=before_sleep, sleep=sleep, reraise=True)


class Limit:
    """The gate before an endpoint: so many calls at once, first come first served, and a pause when the endpoint asks.

    A wrong key or an unknown model shuts the gate, so that hundreds of waiting calls do not each find it out.
    """

    def __init__(self, concurrency: int) -> None:
        self.concurrency = max(1, concurrency)
        self._slots = asyncio.Semaphore(self.concurrency)
        self._not_before = 0.0
        self._shut: InfrastructureError | None = None

    @asynccontextmanager
    async def slot(self, clock: Clock, sleep: Callable[[float], Awaitable[None]]) -> AsyncGenerator[None]:
        """Hold one of the places; entered when one is free and the endpoint's pause is over.

        Raises:
            InfrastructureError: if the gate is shut.
        """
        async with self._slots:
            while (wait := self._not_before - clock.now()) > 0:
                await sleep(wait)
            if self._shut is not None:
                raise InfrastructureError(str(self._shut), kind=self._shut.kind, fatal=True)
            yield

    def learn(self, error: InfrastructureError, clock: Clock) -> None:
        """Take a fault into account: a wait that the endpoint asked for holds for all; a wrong key shuts the gate."""
        if error.fatal and error.kind in ("auth", "not_found"):
            self._shut = error
        elif error.retry_after is not None and error.retry_after <= LONGEST_WAIT:
            self._not_before = max(self._not_before, clock.now() + error.retry_after)


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None
