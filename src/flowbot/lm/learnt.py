"""What an endpoint takes, learnt from what went through after something had been refused, and kept in the store."""

from __future__ import annotations

import logging
from collections.abc import Set as AbstractSet
from dataclasses import replace

from flowbot.fields import stable_hash
from flowbot.store import Store

from .capabilities import Capabilities
from .client import Identity
from .refusals import Refusals

_log = logging.getLogger(__name__)
_PROBE = "probe/1"


class Learnt:
    """The capabilities of one endpoint.

    Args:
        identity: who answers.
        first: what is tried first, where the store knows nothing.
        store: where capabilities are remembered (kind `probe`); None forgets them.
    """

    def __init__(self, identity: Identity, first: Capabilities, store: Store | None) -> None:
        self._identity = identity
        self._first = first
        self._store = store
        self._capabilities: Capabilities | None = None
        self._taken: set[str] = set()
        self._doubted = False

    @property
    def capabilities(self) -> Capabilities:
        """What the endpoint is known to take so far."""
        return self._capabilities or self._first

    async def recall(self) -> Capabilities:
        """The same, from the store where nothing was learnt yet."""
        if self._capabilities is None:
            known = await self._store.get(self._key()) if self._store is not None else None
            found = Capabilities.load(known.get("capabilities") or {}) if known else None
            # Another call may have learnt something while this one read.
            self._capabilities = self._capabilities or found or self._first
        return self._capabilities

    async def went_through(
        self, used: AbstractSet[str], known: Capabilities, found: Capabilities, refusals: Refusals
    ) -> None:
        """Learn from a request that went through; what had to be given up for it is remembered.

        What the endpoint has taken before it can take: then the refusal was of this one request. A schema that it cannot read says
        nothing about the next one. And tool calls are not given up for good after one refusal that may be of what the model wrote.

        Args:
            used: what the request had at last: names of `Capabilities`.
            known: what it was first sent with.
            found: what it was last sent with.
            refusals: what became of it between.
        """
        if found != known:
            await self._learn(known, found, refusals)
        self._taken |= used

    async def _learn(self, known: Capabilities, found: Capabilities, refusals: Refusals) -> None:
        before, now = known.dump(), self.capabilities.dump()
        changed = {name: value for name, value in found.dump().items() if value != before[name] == now[name]}
        passed = self._taken - refusals.of_endpoint
        if refusals.of_schema:
            passed |= {"reply_format", "tools"}
        if refusals.doubtful and not self._doubted:
            self._doubted = True
            passed |= {"tools"}
        left = replace(self.capabilities, **{name: value for name, value in changed.items() if name not in passed})
        if left == self.capabilities:
            return
        self._capabilities = left
        model = f"{self._identity.provider}/{self._identity.name}"
        dropped = "; ".join(left.dropped()) or left.max_tokens
        _log.warning("%s: %s", model, dropped, extra={"event": "parameter.dropped", "model": model})
        if self._store is not None:
            value = {"model": self._identity.dump(), "capabilities": left.dump()}
            await self._store.put(self._key(), value, kind="probe", replace=True)

    def _key(self) -> str:
        return stable_hash([_PROBE, self._identity.dump()])
