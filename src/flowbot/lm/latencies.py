"""How long an endpoint took lately, by group of calls: what time-outs and second tries are derived from.

No clock is read here; whoever measured tells.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import OrderedDict, deque

ENOUGH = 20
"""Calls of a group before its own times speak for it."""
RECENT = 100
"""Calls of a group that are remembered."""
GROUPS = 256
"""Groups that are remembered; the one that was seen longest ago goes first."""


class Latencies:
    """The times of the last `RECENT` calls of each group. Of a group with fewer than `ENOUGH` nothing is known: to judge it
    by others would cut off what merely takes longer than they do.
    """

    def __init__(self) -> None:
        self._groups: OrderedDict[str, _Recent] = OrderedDict()

    def saw(self, group: str, seconds: float) -> None:
        """Remember that a call of the group took `seconds`, a number of at least 0."""
        own = self._groups.get(group)
        if own is None:
            own = self._groups[group] = _Recent()
            if len(self._groups) > GROUPS:
                self._groups.popitem(last=False)
        else:
            self._groups.move_to_end(group)
        own.add(seconds)

    def quantile(self, group: str, share: float) -> float | None:
        """Seconds within which at least `share` of the group's calls ended.

        Args:
            group: the calls' group.
            share: from 0 to 1.

        Returns:
            A time that was seen; None while fewer than `ENOUGH` calls of the group were.
        """
        own = self._groups.get(group)
        if own is None or len(own.ordered) < ENOUGH:
            return None
        ordered = own.ordered
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    def longest(self, group: str) -> float | None:
        """Seconds of the group's longest call; None as for `quantile`."""
        own = self._groups.get(group)
        return None if own is None or len(own.ordered) < ENOUGH else own.ordered[-1]


class _Recent:
    """The last times, in the order in which they came and in order of length."""

    __slots__ = ("_came", "ordered")

    def __init__(self) -> None:
        self.ordered: list[float] = []
        self._came: deque[float] = deque()

    def add(self, seconds: float) -> None:
        if len(self._came) == RECENT:
            del self.ordered[bisect_left(self.ordered, self._came.popleft())]
        self._came.append(seconds)
        insort(self.ordered, seconds)
