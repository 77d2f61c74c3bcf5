"""How long the wire waits for a connection, for the first byte and for the end of an answer: learnt from those seen.

The three are one that is moved on as a try gets further, so that waiting costs little.
"""

from __future__ import annotations

import math
from collections import deque
from contextvars import ContextVar
from typing import TYPE_CHECKING

import aiohttp

from flowbot.fields.later import Cut

from .client import Patience
from .latencies import Latencies

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.tracing import Trace

CONNECTING = 15.0
"""Seconds for a connection while few were seen, and the most that is ever learnt."""
SHORTEST = 2.0
"""Seconds that every stage may take; room for one lost packet."""
CONNECTING_FACTOR, FIRST_FACTOR = 4.0, 3.0
"""How many times as long as the slowest lately the next may take."""
FEW_CONNECTIONS, RECENT_CONNECTIONS = 5, 20
EARLY = 1.0
"""Seconds before an answer's end from which its headers count as early."""
LONGEST = 600.0
"""Seconds of a call whose earlier tries were cut off, at most."""
KEPT_SECONDS = 60.0
"""For which an idle connection is kept."""


class Waits:
    """What one endpoint's connections and first bytes took, and how long the next may take.

    Most endpoints send their headers only with the finished answer. How long that takes depends on what is asked, so it
    says nothing about another call, and the first byte may take as long as the whole. Where headers come early, as
    from endpoints that send them at once and then keep the connection alive, their absence is noticed early.

    Args:
        seconds: of a whole call whose caller names no patience.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._connections: deque[float] = deque(maxlen=RECENT_CONNECTIONS)
        self._headers = Latencies()

    def connected(self, seconds: float) -> None:
        """A new connection took `seconds`, name look-up and TLS included."""
        self._connections.append(seconds)

    def answered(self, headers: float, whole: float) -> None:
        """An answer's headers came after `headers` seconds, its end after `whole`."""
        if whole - headers >= EARLY:
            self._headers.saw("", headers)

    def connecting(self, stretch: float) -> float:
        """Seconds that the next connection may take."""
        if len(self._connections) < FEW_CONNECTIONS:
            return CONNECTING * stretch
        return min(CONNECTING, max(SHORTEST, CONNECTING_FACTOR * max(self._connections))) * stretch

    def first_byte(self, stretch: float) -> float:
        """Seconds that the next answer's headers may take; infinite while nothing is known."""
        longest = self._headers.longest("")
        return math.inf if longest is None else max(SHORTEST, FIRST_FACTOR * longest) * stretch

    def whole(self, patience: Patience) -> float:
        """Seconds that the next call may take."""
        if patience.seconds is not None:
            return patience.seconds
        return min(max(LONGEST, self._seconds), self._seconds * patience.stretch)


class Deadline:
    """When one try is cut off: what the task that makes it is at.

    Args:
        waits: what is known of the endpoint.
        patience: with this try.
        now: the event loop's time.
    """

    __slots__ = (
        "_began",
        "_ends",
        "_first",
        "_stage",
        "_stretch",
        "_waits",
        "_whole",
        "cut",
        "fresh",
        "headers",
        "when",
    )

    def __init__(self, waits: Waits, patience: Patience, now: float) -> None:
        self._waits = waits
        self._stretch = patience.stretch
        self._whole = waits.whole(patience)
        self._first = min(self._whole, waits.first_byte(patience.stretch))
        self._began = now
        self._ends = now + self._whole
        self._stage = ("no answer", self._first)
        self.when = now + self._first
        """When it strikes, as long as the try gets no further."""
        self.cut = Cut(self._first)
        self.fresh = False
        """Whether the last connection was opened for this try."""
        self.headers: float | None = None
        """Seconds until the answer's headers came."""

    @property
    def struck(self) -> str:
        """What was waited for in vain, and for how long."""
        what, seconds = self._stage
        return f"{what} within {round(seconds, 2):g} s"

    def connecting(self, now: float) -> None:
        """No kept connection is free: one is being opened."""
        self.fresh = True
        self._wait("no connection", self._waits.connecting(self._stretch), now)

    def connected(self, now: float) -> None:
        """The connection is there, and the request goes out. The first byte is waited for from here."""
        self._wait("no answer", self._first, now)

    def answering(self, now: float, *, whole: bool) -> None:
        """The headers are there; with `whole` the rest is too."""
        self.headers = now - self._began
        if not whole:
            self._wait("the answer did not end", math.inf, now)

    def ended(self, now: float) -> None:
        """The answer is of use: learn from it."""
        if self.headers is not None:
            self._waits.answered(self.headers, now - self._began)

    def _wait(self, what: str, seconds: float, now: float) -> None:
        # What strikes first is said with the whole time where the whole is what struck.
        ends = now + seconds
        self._stage = (what, seconds if ends < self._ends else self._whole)
        self.when = min(ends, self._ends)
        self.cut.after(self.when - now)


CURRENT: ContextVar[Deadline] = ContextVar("flowbot_deadline")
"""The deadline of the try that runs in this task."""


class Connector(aiohttp.TCPConnector):
    """Kept connections, as many as there are calls; those that are opened are timed.

    Args:
        waits: told how long each took.
    """

    def __init__(self, waits: Waits) -> None:
        super().__init__(limit=0, keepalive_timeout=KEPT_SECONDS)  # pyright: ignore[reportUnknownMemberType]
        self._waits_of_new = waits

    async def _create_connection(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        # What aiohttp's own connectors override as well; a kept connection does not come by here and costs nothing.
        deadline = CURRENT.get()
        began = self._loop.time()
        deadline.connecting(began)
        made = await super()._create_connection(req, traces, timeout)
        now = self._loop.time()
        self._waits_of_new.connected(now - began)
        deadline.connected(now)
        return made
