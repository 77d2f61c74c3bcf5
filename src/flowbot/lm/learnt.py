"""What an endpoint takes, learnt from what it refuses and what then goes through, and kept in the store."""

from __future__ import annotations

import logging
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
        self.taken: set[str] = set()
        """What requests that went through had: names of `Capabilities`."""
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

    async def given_up(self, known: Capabilities, found: Capabilities, refusals: Refusals) -> None:
        """Remember what had to be given up.

        What the endpoint has taken before it can take: then the refusal was of this one request. A schema that it cannot read says
        nothing about the next one, nor does the room that one request leaves. And tool calls are not given up for good after one
        refusal that may be of what the model wrote.

        Args:
            known: what the request was sent with.
            found: what it was, or is to be, sent with instead.
            refusals: what became of it between.
        """
        if found == known:
            return
        before, now = known.dump(), self.capabilities.dump()
        changed = {name: value for name, value in found.dump().items() if value != before[name] == now[name]}
        passed = self.taken - refusals.of_endpoint
        if refusals.of_schema:
            passed |= {"reply_format", "tools"}
        if refusals.of_length:
            passed |= {"most_tokens"}
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
