"""A store as one run sees it: what the run looks for and keeps is noted, so that it can be told later which responses are the run's."""

from __future__ import annotations

from typing import Any

from .rows import Kind
from .store import Store


class NotedStore(Store):
    """The responses of another store.

    Args:
        store: that store, which is closed by whoever opened it.
        keys: gets the keys of all that is found and kept.
    """

    def __init__(self, store: Store, keys: set[str]) -> None:
        super().__init__(store.path, None, None)
        self._store = store
        self._noted = keys

    def peek(self, key: str) -> dict[str, Any] | None:
        """As of the store."""
        return self._found(key, self._store.peek(key))

    async def get(self, key: str) -> dict[str, Any] | None:
        """As of the store."""
        return self._found(key, await self._store.get(key))

    async def claim(self, key: str) -> dict[str, Any] | None:
        """As of the store."""
        return self._found(key, await self._store.claim(key))

    def unclaim(self, key: str) -> None:
        """As of the store."""
        self._store.unclaim(key)

    async def put(self, key: str, value: dict[str, Any], *, kind: Kind = "lm", replace: bool = False) -> dict[str, Any]:
        """As of the store."""
        self._noted.add(key)
        return await self._store.put(key, value, kind=kind, replace=replace)

    async def items(self, kind: Kind) -> dict[str, dict[str, Any]]:
        """As of the store."""
        return await self._store.items(kind)

    async def close(self) -> None:
        """Nothing: the store is another's."""

    def _found(self, key: str, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is not None:
            self._noted.add(key)
        return value
