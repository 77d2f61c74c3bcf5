"""When a call that met a fault is sent again, and when it is given up."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowbot.fields import InfrastructureError, RefusedError

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

    tries: int = 10
    refusals: int = 2
    base: float = 0.2
    longest: float = LONGEST_WAIT

    def retrying(
        self,
        seed: int,
        sleep: Callable[[float], Awaitable[None]],
        tell: Callable[[int, float, BaseException], None],
        hopeless: Callable[[], bool] = lambda: False,
    ) -> AsyncRetrying:
        """The policy as a tenacity loop that raises the last error itself.

        Args:
            seed: of the random part of the waits.
            sleep: waits that many seconds.
            tell: called before each wait with the number of tries so far, the wait and the error.
            hopeless: asked after a fault of the infrastructure: True gives up at once.
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
            refused = isinstance(_error(state), RefusedError)
            return state.attempt_number >= (self.refusals if refused else self.tries) or (not refused and hopeless())

        def before_sleep(state: RetryCallState) -> None:
            error = _error(state)
            if error is not None:
                tell(state.attempt_number, state.next_action.sleep if state.next_action else 0.0, error)

        return AsyncRetrying(stop=stop, wait=wait, retry=again, before_sleep=before_sleep, sleep=sleep, reraise=True)


PATIENT = RetryPolicy(tries=60)
"""Where capacity comes and goes, as in a flex tier: about an hour of refusals is waited for."""


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None
