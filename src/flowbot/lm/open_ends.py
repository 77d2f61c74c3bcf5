"""Calls that were sent before anything was known of how long their like takes: bounded as soon as it is known."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from flowbot.fields import InfrastructureError

T = TypeVar("T")


class OpenEnds:
    """The calls of one endpoint that are under way without a bound of their own. Real time only."""

    def __init__(self) -> None:
        self._open: dict[str, dict[asyncio.Timeout, float]] = {}

    def __contains__(self, like: str) -> bool:
        return bool(self._open.get(like))

    async def run(self, like: str, call: Coroutine[Any, Any, T]) -> T:
        """What `call` gives.

        Args:
            like: calls that should take about as long.
            call: a try of a call.

        Raises:
            InfrastructureError: of kind `timeout`, if it became known that the call takes too long.
        """
        began = asyncio.get_running_loop().time()
        timer = asyncio.timeout(None)
        try:
            async with timer:
                self._open.setdefault(like, {})[timer] = began
                try:
                    return await call
                finally:
                    under_way = self._open.get(like, {})
                    under_way.pop(timer, None)
                    if not under_way:
                        self._open.pop(like, None)
        except TimeoutError:
            if not timer.expired():
                raise
            took = asyncio.get_running_loop().time() - began
            raise InfrastructureError(f"no answer within {took:.1f} s", kind="timeout") from None

    def known(self, like: str, seconds: float) -> None:
        """Such calls take `seconds` at most: those under way are cut off when they have taken that, or now."""
        now = asyncio.get_running_loop().time()
        for timer, began in self._open.pop(like, {}).items():
            timer.reschedule(max(now, began + seconds))
