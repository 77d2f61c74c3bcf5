"""The sandbox that the user chose, opened when code is first run: most workflows run none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .opening import open_sandbox
from .protocol import MEMORY_MB, SECONDS, Sandbox


class ChosenSandbox:
    """A sandbox by name, opened at first need.

    Args:
        name: as for `open_sandbox`.
    """

    def __init__(self, name: str | None = None) -> None:
        self.name = name
        self._opened: Sandbox | None = None

    @property
    def identity(self) -> str:
        """What runs the code.

        Raises:
            UserError: if the sandbox cannot be had, with the reason.
        """
        return self._open().identity

    async def run(
        self, code: str, inputs: Mapping[str, Any], *, seconds: float = SECONDS, memory_mb: int = MEMORY_MB
    ) -> Any:
        """As `Sandbox.run`.

        Raises:
            UserError: if the sandbox cannot be had; else what the sandbox raises.
        """
        return await self._open().run(code, inputs, seconds=seconds, memory_mb=memory_mb)

    async def script(self, code: str, *, seconds: float = SECONDS, memory_mb: int = MEMORY_MB) -> str:
        """As `Sandbox.script`.

        Raises:
            UserError: if the sandbox cannot be had; else what the sandbox raises.
        """
        return await self._open().script(code, seconds=seconds, memory_mb=memory_mb)

    async def close(self) -> None:
        """End the workers, if there are any. May be called twice."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close()

    def _open(self) -> Sandbox:
        if self._opened is None:
            self._opened = open_sandbox(self.name)
        return self._opened
