"""Rests an endpoint that keeps failing, and tries it with one call at a time until it is well again."""

from __future__ import annotations

IN_A_ROW = 8
"""Faults in a row after which an endpoint is rested; half of the calls under way, where that is more, because faults come
at once and answers later."""
FIRST_REST = 1.0
LONGEST_REST = 15.0
PATIENCE = 120.0
"""Seconds of nothing but faults after which an endpoint that has worked is given up."""
NEVER_WORKED = 20.0
"""The same for one that never did."""
_FEW = 3


class Breaker:
    """A circuit breaker. It reads no clock: the caller says what time it is, in seconds."""

    def __init__(self) -> None:
        self._worked = False
        self._faults = 0
        self._since = 0.0
        self._rest = 0.0
        self._until = 0.0
        self._trying = False

    def wait(self, now: float) -> float:
        """Seconds until a call may go; 0 when it may go now."""
        return max(0.0, self._until - now) if self._rest else 0.0

    def sent(self, now: float) -> None:
        """A call goes. Where it tries an endpoint that rests, the others wait for it, but no longer than for a rest."""
        if self._rest:
            self._trying = True
            self._until = now + self._rest

    def answered(self) -> None:
        """The endpoint answered: it is well."""
        self._worked = True
        self._faults = 0
        self._rest = 0.0
        self._trying = False

    def failed(self, now: float, under_way: int = 0) -> None:
        """A call met a fault of the endpoint.

        Args:
            now: the time.
            under_way: calls in flight.
        """
        if not self._faults:
            self._since = now
        self._faults += 1
        if self._trying or (self._faults >= max(IN_A_ROW, under_way // 2) and not self._rest):
            self._rest = min(LONGEST_REST, self._rest * 2 or FIRST_REST)
            self._until = now + self._rest
        self._trying = False

    def hopeless(self, now: float) -> bool:
        """Whether it has failed for so long that waiting for it is in vain."""
        return self._faults >= _FEW and now - self._since > (PATIENCE if self._worked else NEVER_WORKED)
