"""Which sandbox there is: the one that the user names, or the first that can be had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from flowbot.fields import UserError
from flowbot.fields.near import one_of

from .bubblewrap import BubblewrapSandbox
from .monty import MontySandbox
from .protocol import MEMORY_MB, SECONDS, Sandbox

SandboxName = Literal["monty", "bubblewrap"]


def open_sandbox(name: str | None = None) -> Sandbox:
    """The sandbox of that name, known to work here.

    Args:
        name: `monty` or `bubblewrap`; None for monty if it is installed, else bubblewrap if it works.

    Raises:
        UserError: if it cannot be had, with the reason and what to install.
    """
    match name:
        case "monty":
            sandbox = MontySandbox()
            _ = sandbox.identity
            return sandbox
        case "bubblewrap":
            return BubblewrapSandbox.checked()
        case None:
            faults: dict[str, UserError] = {}
            for each in ("monty", "bubblewrap"):
                try:
                    return open_sandbox(each)
                except UserError as error:
                    faults[each] = error
            reasons = "; ".join(f"{each}: {error.found}" for each, error in faults.items())
            mends = ", or ".join(error.mend for error in faults.values())
            raise UserError("running code", f"no sandbox ({reasons})", mend=mends)
        case _:
            raise UserError("sandbox", repr(name), one_of(name, ("monty", "bubblewrap")))


class ChosenSandbox:
    """A sandbox by name, opened when code is first run: most workflows run none.

    Each method raises what the sandbox raises, and `UserError`, with the reason, if it cannot be had.

    Args:
        name: as for `open_sandbox`.
    """

    def __init__(self, name: str | None = None) -> None:
        self.name = name
        self._opened: Sandbox | None = None

    @property
    def identity(self) -> str:
        """What runs the code."""
        return self._open().identity

    async def run(
        self, code: str, inputs: Mapping[str, Any], *, seconds: float = SECONDS, memory_mb: int = MEMORY_MB
    ) -> Any:
        """As `Sandbox.run`."""
        return await self._open().run(code, inputs, seconds=seconds, memory_mb=memory_mb)

    async def script(self, code: str, *, seconds: float = SECONDS, memory_mb: int = MEMORY_MB) -> str:
        """As `Sandbox.script`."""
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
