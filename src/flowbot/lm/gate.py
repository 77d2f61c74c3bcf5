"""The gate before an endpoint: who may send the next call, and when.

The limit is on calls, not on examples: as soon as one ends the next goes, so that no slot idles while anything waits.
Calls of one kind (the same first message, for one of the same step) go one after another, so that servers can reuse
what they have read of the shared beginning; no kind waits for longer than a few rounds of another.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from heapq import heappop, heappush

from flowbot.fields import InfrastructureError

from .breaker import Breaker
from .client import Patience
from .clock import Clock
from .latencies import Latencies
from .open_ends import OpenEnds
from .pace import Pace
from .rates import Rate
from .retry import LONGEST_WAIT
from .window import Window

ROUNDS = 4
"""Rounds of one kind of calls before another kind that waits has its turn."""
SHORTEST = 2.0
"""Seconds that every try may take; one lost packet takes a second, as where many connect to a small server at once."""
LONGEST = 600.0
FACTOR = 2.5
"""A try is cut off when it takes so many times as long as the longest of its kind lately."""
HEDGE_FACTOR, HEDGE_QUANTILE = 2.0, 0.95

_AGAIN = "\0"
"""The kind of all calls that are sent again."""
_Place = tuple[int, int, float, "asyncio.Future[None]"]
TURN: ContextVar[int] = ContextVar("flowbot_turn", default=0)
"""Number of the example that is worked on: of calls of one kind those of the earliest go first, so that an example whose
earlier calls met faults does not fall further behind."""


class Gate:
    """Calls to one endpoint enter here before they are sent, and leave when they have ended.

    Failure policy: a wrong key or an unknown model shuts the gate, so that hundreds of waiting calls do not each find it
    out; an endpoint that keeps failing is rested (see `Breaker`), and given up after a while. Both are raised by `enter`.

    Args:
        pace: the user's limits.
        start: calls at once to begin with when the user names no number.
        most: calls at once that are felt for when the user names no number.
        clock: what is waited on.
    """

    def __init__(self, pace: Pace, *, start: int, most: int, clock: Clock) -> None:
        self.latencies = Latencies()
        self.open_ends = OpenEnds()
        self._clock = clock
        self._window = Window(pace.concurrency or start, pace.concurrency or max(start, most))
        self._breaker = Breaker()
        self._requests = Rate(pace.requests_per_minute)
        self._tokens = Rate(pace.tokens_per_minute)
        self._paced = self._requests.limited or self._tokens.limited
        self.busy = 0
        """Calls in flight."""
        self._waiting: dict[str, list[_Place]] = {}
        self._number = 0
        self._serving = ""
        self._served = 0
        self._not_before = 0.0
        self._fault: InfrastructureError | None = None
        self._doorman: asyncio.Task[None] | None = None

    @property
    def size(self) -> int:
        """Calls at once, at present."""
        return self._window.size

    @property
    def most(self) -> int:
        """Calls at once, if the endpoint bears it."""
        return self._window.most

    @property
    def spare(self) -> bool:
        """Whether a call could go at once."""
        return not self._waiting and self.busy < self._window.size and self._wait() <= 0

    @property
    def counts_tokens(self) -> bool:
        """Whether a call's tokens have to be estimated."""
        return self._tokens.limited

    def reopen(self) -> None:
        """Let calls in again where a fault has shut it."""
        self._fault = None

    async def enter(self, group: str, *, tokens: float = 0.0, first: bool = False) -> None:
        """Wait for one's turn. Whoever has entered must `leave`.

        Args:
            group: calls of one kind.
            tokens: estimate of what the call takes.
            first: True: before all others, because it was sent before and met a fault: whoever is unlucky several times is
                not to be the last.

        Raises:
            InfrastructureError: if the gate is shut, or the endpoint is given up.
        """
        self._check()
        if self.spare:
            self._admit(tokens)
            return
        self._number += 1
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = (TURN.get(), self._number, tokens, turn)
        heappush(self._waiting.setdefault(_AGAIN if first else group, []), place)
        self._dispatch()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.leave()
            raise

    def try_enter(self, tokens: float = 0.0) -> bool:
        """Enter if that is possible at once."""
        if self._fault is not None or not self.spare:
            return False
        self._admit(tokens)
        return True

    def leave(self) -> None:
        """A call has ended, whatever came of it: the next may go."""
        self.busy -= 1
        self._dispatch()

    def answered(self, group: str, seconds: float, *, like: str = "", tokens: float = 0.0) -> None:
        """Learn from an answer.

        Args:
            group: calls of one kind.
            seconds: how long it took.
            like: calls that should take about as long; a wider group, so that it is known sooner.
            tokens: by how much it took more than was estimated.
        """
        like = like or group
        self._breaker.answered()
        self.latencies.saw(like, seconds)
        if like in self.open_ends and (known := self.patience(like, 0).seconds) is not None:
            self.open_ends.known(like, known)
        self._window.answered(group, seconds, full=bool(self._waiting) or self.busy >= self._window.size)
        if self._paced:
            self._tokens.take(tokens, self._clock.now())

    def failed(self, error: InfrastructureError) -> None:
        """Learn from a fault: too many calls make the window smaller, other faults may rest the endpoint."""
        now = self._clock.now()
        if error.fatal:
            if error.kind in ("auth", "not_found"):
                self._fault = error
        elif error.kind == "rate_limit":
            asked = error.retry_after or 0.0
            if self._window.refused() and asked <= LONGEST_WAIT:
                self._not_before = max(self._not_before, now + asked)
        else:
            self._breaker.failed(now, self.busy)

    @property
    def hopeless(self) -> bool:
        """Whether the endpoint has failed for so long that it is given up."""
        return self._breaker.hopeless(self._clock.now())

    def patience(self, like: str, cuts: int) -> Patience:
        """How long a try may take: learnt from its like, and longer for a call that was cut off before.

        Args:
            like: as for `answered`.
            cuts: tries of this call that took too long.
        """
        stretch = 2.0**cuts
        longest = self.latencies.longest(like)
        return Patience(None if longest is None else min(LONGEST, max(SHORTEST, FACTOR * longest) * stretch), stretch)

    def straggles_after(self, like: str) -> float | None:
        """Seconds after which a call takes much longer than its like; None while too few are known."""
        usual = self.latencies.quantile(like, HEDGE_QUANTILE)
        return None if usual is None else HEDGE_FACTOR * usual

    def _check(self) -> None:
        if self._fault is not None:
            raise InfrastructureError(str(self._fault), kind=self._fault.kind, fatal=True)
        if self.hopeless and self._breaker.wait(self._clock.now()) > 0:
            raise InfrastructureError("it keeps failing, and is given up for now", kind="connection")

    def _wait(self) -> float:
        now = self._clock.now()
        wait = max(self._not_before - now, self._breaker.wait(now))
        return max(wait, self._requests.wait(now), self._tokens.wait(now)) if self._paced else wait

    def _admit(self, tokens: float) -> None:
        self.busy += 1
        self._breaker.sent(self._clock.now())
        if self._paced:
            now = self._clock.now()
            self._requests.take(1.0, now)
            self._tokens.take(tokens, now)

    def _dispatch(self) -> None:
        """Let in whoever may go now; see that somebody looks again when the next may."""
        while self._waiting:
            try:
                self._check()
            except InfrastructureError as error:
                self._send_away(error)
                return
            if self.busy >= self._window.size:
                return
            if (wait := self._wait()) > 0:
                if self._doorman is None or self._doorman.done():
                    self._doorman = asyncio.get_running_loop().create_task(self._open_in(wait))
                return
            tokens, turn = self._next()
            if not turn.done():
                self._admit(tokens)
                turn.set_result(None)

    def _next(self) -> tuple[float, asyncio.Future[None]]:
        """The next in turn: one that is sent again, else one of the kind that is being served, unless others have waited for
        some rounds of it."""
        again = self._waiting.get(_AGAIN)
        if again is not None:
            return self._taken(_AGAIN, again)
        waiting = self._waiting.get(self._serving)
        if waiting is None or (self._served >= ROUNDS * self._window.size and len(self._waiting) > 1):
            self._serving = min(
                (each for each in self._waiting if each != self._serving or waiting is None),
                key=lambda each: self._waiting[each][0][:2],
            )
            self._served = 0
            waiting = self._waiting[self._serving]
        self._served += 1
        return self._taken(self._serving, waiting)

    def _taken(self, group: str, waiting: list[_Place]) -> tuple[float, asyncio.Future[None]]:
        _, _, tokens, turn = heappop(waiting)
        if not waiting:
            del self._waiting[group]
        return tokens, turn

    async def _open_in(self, seconds: float) -> None:
        try:
            await self._clock.sleep(seconds)
        finally:
            self._doorman = None  # also when the loop ends under it
        self._dispatch()

    def _send_away(self, error: InfrastructureError) -> None:
        for waiting in self._waiting.values():
            for _, _, _, turn in waiting:
                if not turn.done():
                    turn.set_exception(_again(error))
        self._waiting.clear()


def _again(error: InfrastructureError) -> InfrastructureError:
    """The error once more: one that several raise collects all their tracebacks."""
    return InfrastructureError(str(error), kind=error.kind, fatal=error.fatal)
