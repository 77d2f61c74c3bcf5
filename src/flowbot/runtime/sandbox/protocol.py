"""The seam between the engine and what runs code: the protocol, its default bounds and the form of a failure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from flowbot.fields import StepError

SECONDS = 2.0
"""Time that one run of code may take."""
MEMORY_MB = 64
"""Memory that one run of code may take."""
PRINTED_BYTES = 100_000
"""What one run of code may print."""
_SHOWN = 2_000


class Sandbox(Protocol):
    """Runs model-written Python without trusting it.

    `run` calls the `run(...)` that `code` defines with `inputs` by keyword and returns what it returns as JSON values;
    what the code prints is not shown. `script` runs a whole program and returns what it printed. Each starts afresh.
    Failure policy: whatever the code does wrong is a `StepError` with the Python error, the same text for the same
    fault; a sandbox that cannot be started is an `InfrastructureError`, one that is not installed a `UserError`.
    """

    @property
    def identity(self) -> str:
        """What runs the code: part of the key under which results are stored."""
        ...

    async def run(
        self, code: str, inputs: Mapping[str, Any], *, seconds: float = SECONDS, memory_mb: int = MEMORY_MB
    ) -> Any:
        """What `run(**inputs)` returns, as JSON values.

        Raises:
            StepError: if the code raises, runs out of time or memory, or returns what JSON cannot hold.
            InfrastructureError: if the sandbox cannot be started.
            UserError: if it is not installed.
        """
        ...

    async def script(self, code: str, *, seconds: float = SECONDS, memory_mb: int = MEMORY_MB) -> str:
        """What the program prints.

        Raises:
            StepError: if the program raises, runs out of time or memory, or prints more than `PRINTED_BYTES`; with the
                end of what it printed before.
            InfrastructureError, UserError: as `run`.
        """
        ...

    async def close(self) -> None:
        """End the workers. May be called twice."""
        ...


def script_error(error: str, printed: str) -> StepError:
    """A script's error with the end of what it printed before."""
    return StepError(f"{error}\nprinted before:\n{printed[-_SHOWN:]}" if printed else error)
