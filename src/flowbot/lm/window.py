"""How many calls at once an endpoint can bear: felt out by additive increase and multiplicative decrease.

As TCP does (Chiu and Jain, 1989): a little more with every round of answers, less at once when the endpoint is
overloaded. Overload is seen in two ways: in refusals for too many calls, and in answers that take longer than they did.
Few refusals among many answers are no sign of it; the calls that meet them are sent again and nothing else changes.
"""

from __future__ import annotations

from collections import deque
from itertools import islice

SHARES = ((20, 0.5, 0.5), (64, 1.0, 0.3))
"""Fewest outcomes, as a number and in windows, and the share of refusals among them above which the endpoint is overloaded. With
every tenth call refused by chance a share is that large about twice in a million. Windows, because refusals come at once
and answers later: of a whole window sent at the same time the refusals are seen first."""
IN_A_ROW = (5, 0.25)
"""Refusals in a row that are overload whatever was before: as a number and in windows."""
SHRINK = 0.7
SLOWER = 2.5
"""An endpoint is overloaded when answers take so many times as long as they did."""
ROUND = 16
"""Answers of a kind whose median is compared."""
LEAST_BY_LATENCY = 8
"""Slow answers alone never take the window below that: so few calls do not slow a server, something else does."""
_FORGET = 1.05
_KINDS = 256


class Window:
    """Calls at once, at present at most `size`.

    Args:
        start: to begin with.
        most: never more.
    """

    def __init__(self, start: int, most: int) -> None:
        self.most = max(1, most)
        self._size = float(max(1, min(start, most)))
        self._step = max(1.0, self.most / 32)
        self._doubling = True
        self._refusals: deque[bool] = deque(maxlen=max(SHARES[-1][0], self.most))
        self._in_a_row = 0
        self._quiet = 0
        self._rounds: dict[str, list[float]] = {}
        self._usual: dict[str, float] = {}

    @property
    def size(self) -> int:
        """Calls at once."""
        return int(self._size)

    def answered(self, group: str, seconds: float, *, full: bool) -> None:
        """An answer came.

        Args:
            group: calls of one kind, whose times can be compared.
            seconds: how long it took.
            full: whether the window was full, so that a larger one would have been used.
        """
        self._in_a_row = 0
        self._quiet -= 1
        self._refusals.append(False)
        if self._took_longer(group, seconds):
            self._shrink(least=LEAST_BY_LATENCY)
        elif full and self._size < self.most:
            self._size = min(self.most, self._size + (1.0 if self._doubling else self._step / self._size))

    def refused(self) -> bool:
        """The endpoint said that there are too many calls. True if it is taken to be overloaded."""
        self._in_a_row += 1
        self._quiet -= 1
        self._refusals.append(True)
        many = any(self._share(max(fewest, int(windows * self._size))) > share for fewest, windows, share in SHARES)
        if not many and self._in_a_row < max(IN_A_ROW[0], IN_A_ROW[1] * self._size):
            return False
        self._shrink(least=1)
        return True

    def _share(self, last: int) -> float:
        """The share of refusals among the last outcomes; 0 while there are not so many."""
        if len(self._refusals) < last:
            return 0.0
        return sum(islice(reversed(self._refusals), last)) / last

    def _shrink(self, *, least: int) -> None:
        self._doubling = False
        self._in_a_row = 0
        self._refusals.clear()
        if self._quiet <= 0:  # once a round: what was sent before has nothing to say about the smaller window
            self._size = min(self._size, max(float(least), self._size * SHRINK))
            self._quiet = self.size

    def _took_longer(self, group: str, seconds: float) -> bool:
        if len(self._rounds) > _KINDS:  # of a long search, or of a workflow in use, whose prompts come and go
            self._rounds.clear()
            self._usual.clear()
        times = self._rounds.setdefault(group, [])
        times.append(seconds)
        if len(times) < ROUND:
            return False
        median = sorted(times)[ROUND // 2]
        times.clear()
        usual = self._usual.get(group)
        longer = usual is not None and median > SLOWER * usual
        # After a decrease the present is what is usual; without one it slowly becomes so, in case the endpoint has changed.
        self._usual[group] = median if usual is None or longer else min(median, usual * _FORGET)
        return longer
