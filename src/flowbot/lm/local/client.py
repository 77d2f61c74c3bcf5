"""A model on this machine as a `Client`: its file is fetched and its server started by the first call that is sent.

Who answers is known without either: by the catalogue's SHA-256, or the file's own for a path.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flowbot.lm.capabilities import Capabilities
from flowbot.lm.client import Identity, Patience, Reply, Request

from .fitting import Fitting
from .server import Server, Settings, acquire, release
from .weights import Progress, Say, Weights, ensure

if TYPE_CHECKING:
    from flowbot.lm.openai import OpenAIClient

_CALL_SECONDS = 1800.0


class LocalClient:
    """A model file behind a server of our own.

    Failure policy: as `OpenAIClient`. A prompt that is too long for a slot's context is a `ModelError`. A server that
    does not start is a fatal `InfrastructureError`; one that dies breaks the calls in flight and is started anew by
    the next.

    Args:
        weights: the model of the catalogue, or the path of a file.
        settings: of the server, but for the path: called with it once the file is there.
        identity: who answers.
        slots: calls side by side.
        cache_dir: FlowBot's cache folder.
        say: told in one line of what takes long.
        name: the model's name in replies.
        fitting: bounds of replies.
    """

    price_ref: str | None = "free"

    def __init__(
        self,
        weights: Weights | Path,
        *,
        settings: Callable[[Path], Settings],
        identity: Identity,
        slots: int,
        cache_dir: Path,
        say: Say,
        name: str,
        fitting: Fitting,
    ) -> None:
        self.identity = identity
        self.thinking: int | None = 0
        self.default_concurrency = slots
        self.name = name
        self._fitting = fitting
        self._weights = weights
        self._settings = settings
        self._cache_dir = cache_dir
        self._say = say
        self._path: Path | None = None
        self._server: Server | None = None
        self._inner: OpenAIClient | None = None
        self._opening: asyncio.Lock | None = None
        self.fetch_seconds = 0.0

    async def prepare(self, progress: Progress | None = None) -> Path:
        """Fetch the model's file if it is not on disk, and return its path. Starts no server.

        Raises:
            UserError, InfrastructureError: as `weights.ensure`.
        """
        if isinstance(self._weights, Path):
            return self._weights
        if self._path is None:
            weights, stop = self._weights, threading.Event()
            report = progress or _unheard
            began = time.monotonic()
            try:
                self._path = await asyncio.to_thread(
                    lambda: ensure(weights, self._cache_dir, progress=report, say=self._say, stop=stop)
                )
            except asyncio.CancelledError:
                stop.set()
                raise
            finally:
                self.fetch_seconds += time.monotonic() - began
        return self._path

    patient = True
    """A busy machine is slow, and that is no fault."""

    async def complete(self, request: Request, patience: Patience | None = None) -> Reply:
        """Send one request to the server, which is started if it is not running."""
        if self._inner is None or self._server is None or not self._server.running:
            # One opens, the others wait: the lock belongs to the loop that calls.
            self._opening = self._opening or asyncio.Lock()
            async with self._opening:
                inner = await self._open()
        else:
            inner = self._inner
        reply = await inner.complete(request)
        return replace(reply, model=self.name)  # the server says the file's path, which is nobody's business

    async def close(self) -> None:
        """Give the server back; it ends with its last owner. May be called twice."""
        inner, server = self._inner, self._server
        self._inner = self._server = self._opening = None
        if inner is not None:
            await inner.close()
        if server is not None:
            release(server)

    async def _open(self) -> OpenAIClient:
        if self._inner is not None and self._server is not None and self._server.running:
            return self._inner
        from flowbot.lm.openai import OpenAIClient
        from flowbot.lm.wire import Wire

        path = await self.prepare()
        if self._server is None:
            self._server = acquire(self._settings(path))
        if self._inner is not None:  # of a server that has died
            await self._inner.close()
            self._inner = None
        base_url, key = await asyncio.to_thread(self._server.address)
        # Small models call tools by a schema better than by heart, and not every file has a template for calls.
        capabilities = Capabilities(tools="json")
        self._inner = OpenAIClient(
            replace(self.identity, name=self.name),
            Wire(base_url, key=key, seconds=_CALL_SECONDS, adapt=self._fitting.body),
            capabilities=capabilities,
            price_ref="free",
        )
        return self._inner


def _unheard(done: int, total: int) -> None:
    """Nobody wants to know."""
