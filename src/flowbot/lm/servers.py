"""One model on several servers: which of them a call goes to, so that each one's prefix cache stays warm."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Sequence
from typing import Any

from flowbot.fields import InfrastructureError

from .breaker import Breaker
from .client import Patience
from .wire import Wire

BEGINNING = 512
"""Characters of the first message that decide: what is constant stands first."""
SPREAD = 1.25
"""No server has more than so many times its share of the calls in flight; what is beyond goes to the next one."""


class Servers:
    """In place of one `Wire`: a call goes to the server that the hash of its beginning names first, unless that rests or is full.

    Failure policy: what cannot be reached is passed over at once, and rested while it keeps failing (see `Breaker`); an answer, an error
    among them, is the answer. The fault is raised where no server can be reached.

    Args:
        wires: to each of them.
    """

    def __init__(self, wires: Sequence[Wire]) -> None:
        self._wires = list(wires)
        self._breakers = [Breaker() for _ in wires]
        self._busy = [0 for _ in wires]

    async def post(self, path: str, body: dict[str, Any], patience: Patience | None = None) -> dict[str, Any]:
        """As of `Wire`."""
        order = self._order(str(body["messages"][0].get("content"))[:BEGINNING])
        fault: InfrastructureError | None = None
        for number in order:
            breaker, now = self._breakers[number], asyncio.get_running_loop().time
            breaker.sent(now())
            self._busy[number] += 1
            try:
                answer = await self._wires[number].post(path, body, patience)
            except InfrastructureError as error:
                if error.kind not in ("connection", "timeout", "server"):
                    breaker.answered()
                    raise
                breaker.failed(now(), self._busy[number])
                if error.kind != "connection" or error.fatal:  # it may be at work
                    raise
                fault = error
            else:
                breaker.answered()
                return answer
            finally:
                self._busy[number] -= 1
        raise fault or InfrastructureError("no server", kind="connection")

    async def close(self) -> None:
        """Close all connections. May be called twice."""
        for each in self._wires:
            await each.close()

    def _order(self, beginning: str) -> list[int]:
        """The servers by the hash (highest random weight), those that rest or are full last."""
        most = math.ceil(SPREAD * (sum(self._busy) + 1) / len(self._wires))
        now = asyncio.get_running_loop().time()

        def rank(number: int) -> tuple[bool, bool, bytes]:
            rests, full = self._breakers[number].wait(now) > 0, self._busy[number] >= most
            return rests, full, hashlib.sha256(f"{number} {beginning}".encode(errors="replace")).digest()

        return sorted(range(len(self._wires)), key=rank)
