"""A limit on how much is sent in a minute."""

from __future__ import annotations

import math

_BURST_SECONDS = 2.0
_DUST = 1e-6


class Rate:
    """So much a minute, spread evenly but for a burst of two seconds' worth.

    A token bucket: it fills steadily, and a call may go when it is not empty. A call may take more than is in it; what it
    owes is waited for by the next one, so that one call larger than the burst is still possible.

    Args:
        per_minute: None: no limit.
    """

    def __init__(self, per_minute: float | None) -> None:
        self._per_second = math.inf if per_minute is None else per_minute / 60.0
        self._most = max(1.0, self._per_second * _BURST_SECONDS)
        self._left = self._most
        self._at = 0.0

    @property
    def limited(self) -> bool:
        """Whether there is a limit."""
        return self._per_second != math.inf

    def wait(self, now: float) -> float:
        """Seconds until the next call may go; 0 when it may go now."""
        if not self.limited:
            return 0.0
        self._fill(now)
        lacks = 1.0 - self._left
        # Less than a clock can show is no lack: whoever waited for it would find it still there.
        return lacks / self._per_second if lacks > _DUST else 0.0

    def take(self, amount: float, now: float) -> None:
        """Count what is sent; a negative amount gives back what was estimated too high."""
        if self.limited:
            self._fill(now)
            self._left = min(self._most, self._left - amount)

    def _fill(self, now: float) -> None:
        self._left = min(self._most, self._left + max(0.0, now - self._at) * self._per_second)
        self._at = now
