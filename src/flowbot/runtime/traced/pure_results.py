"""What pure steps of programs gave, kept in the run's store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowbot.fields import stable_hash
from flowbot.store import Store

Pure = Mapping[str, str]
"""A call of a pure step, by `step`, the function, and `arguments`, as JSON."""


class PureResults:
    """Where the results of pure steps are kept.

    Args:
        store: the run's.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def peek(self, pure: Pure) -> Mapping[str, Any] | None:
        """What is stored, if it is in memory: `{"outputs": {"result": …}}`."""
        return self._store.peek(stable_hash(dict(pure)))

    async def get(self, pure: Pure) -> Mapping[str, Any] | None:
        """What is stored."""
        return await self._store.get(stable_hash(dict(pure)))

    async def put(self, pure: Pure, result: Any) -> None:
        """Keep what it gave."""
        await self._store.put(stable_hash(dict(pure)), {"outputs": {"result": result}, "seconds": 0.0}, kind="tool")
