"""The wire to the local server: every request gets the bounds that small models need."""

from __future__ import annotations

from typing import Any

from flowbot.lm.client import Patience
from flowbot.lm.wire import Wire

from .fitting import Fitting


class FittedWire(Wire):
    """A `Wire` whose bodies are fitted before they are sent.

    Args:
        base_url: of the server.
        fitting: the bounds.
        key: the server's.
        seconds: of a call whose caller names no patience.
    """

    def __init__(self, base_url: str, fitting: Fitting, *, key: str, seconds: float) -> None:
        super().__init__(base_url, key=key, seconds=seconds)
        self._fitting = fitting

    async def post(self, path: str, body: dict[str, Any], patience: Patience | None = None) -> dict[str, Any]:
        """As `Wire.post`."""
        return await super().post(path, self._fitting.body(body), patience)
