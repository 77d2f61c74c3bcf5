"""Where the code of `code` nodes runs: nowhere near this process, its files, its clock or the network.

The seam is `Sandbox`. `MontySandbox` is the default: pydantic-monty, a Python interpreter in worker processes that has
no access to the system at all. Its clock stands still and its random numbers start at one seed, so that equal code with
equal inputs gives equal results.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Protocol

from flowbot.fields import InfrastructureError, StepError, UserError

from .jsonlike import to_json

if TYPE_CHECKING:
    from pydantic_monty import AsyncMonty, MontyError

SECONDS = 2.0
"""Time that one run of code may take."""
MEMORY_MB = 64
"""Memory that one run of code may take."""
_PRINTED_BYTES = 100_000
_STACK = 200
_CALL = "\nrun(**_inputs)"


class Sandbox(Protocol):
    """Runs model-written Python without trusting it.

    `run` calls the `run(...)` that `code` defines with `inputs` by keyword and returns what it returns as JSON values.
    Failure policy: whatever the code does wrong is a `StepError` with the Python error; a sandbox that cannot be
    started is an `InfrastructureError`, one that is not installed a `UserError`. What the code prints is not shown.
    """

    @property
    def identity(self) -> str:
        """What runs the code: part of the key under which results are stored."""
        ...

    async def run(
        self, code: str, inputs: Mapping[str, Any], *, seconds: float = SECONDS, memory_mb: int = MEMORY_MB
    ) -> Any:
        """What `run(**inputs)` returns, as JSON values."""
        ...

    async def close(self) -> None:
        """End the workers. May be called twice."""
        ...


class MontySandbox:
    """The sandbox on pydantic-monty. Workers start with the first run; as many run at once as there are processors."""

    def __init__(self) -> None:
        self._pool: AsyncMonty | None = None
        self._opening = asyncio.Lock()

    @property
    def identity(self) -> str:
        """`monty` and its version.

        Raises:
            UserError: if pydantic-monty is not installed.
        """
        try:
            return f"monty {version('pydantic-monty')}"
        except PackageNotFoundError:
            expected = "pydantic-monty, installed with: pip install 'flowbot[local]'"
            raise UserError("code nodes", "no sandbox to run them in", expected) from None

    async def run(
        self, code: str, inputs: Mapping[str, Any], *, seconds: float = SECONDS, memory_mb: int = MEMORY_MB
    ) -> Any:
        """What `run(**inputs)` returns, as JSON values.

        Raises:
            StepError: if the code raises, runs out of time or memory, or returns what JSON cannot hold.
            InfrastructureError: if the workers cannot be started.
            UserError: if pydantic-monty is not installed.
        """
        pool = await self._opened()
        from pydantic_monty import CollectString, MontyCrashedError, MontyError

        session = pool.checkout(
            script_name="code",
            limits={
                "max_feed_duration_secs": seconds,
                "max_memory": memory_mb << 20,
                "max_recursion_depth": _STACK,
            },
            os_policy={
                "datetime": datetime(2000, 1, 1, tzinfo=UTC),
                "timezone": "utc",
                "sleep": "zero",
                "random_start": {"seed": 0},
            },
        )
        try:
            async with session as worker:
                result = await worker.feed_run(
                    code + _CALL, inputs={"_inputs": dict(inputs)}, print_callback=CollectString(_PRINTED_BYTES)
                )
        except MontyCrashedError as error:
            why = f"ran longer than {seconds:g} s" if error.timed_out else "the interpreter broke off"
            raise StepError(f"run: {why}") from None
        except MontyError as error:
            raise StepError(_explain(error, code, seconds, memory_mb)) from None
        except (ValueError, TypeError, OverflowError, RecursionError) as error:  # a value that cannot cross the border
            raise StepError(f"run: {type(error).__name__}: {error}") from None
        return to_json(result)

    async def close(self) -> None:
        """End the workers. May be called twice."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.__aexit__(None, None, None)

    async def _opened(self) -> AsyncMonty:
        async with self._opening:
            if self._pool is None:
                _ = self.identity
                from pydantic_monty import AsyncMonty

                pool = AsyncMonty()
                try:
                    await pool.__aenter__()
                except Exception as error:
                    raise InfrastructureError(f"the sandbox for code nodes did not start: {error}") from error
                self._pool = pool
            return self._pool


def _explain(error: MontyError, code: str, seconds: float, memory_mb: int) -> str:
    """The Python error in one or two lines, equal for equal faults: without byte counts and measured times."""
    from pydantic_monty import MontyRuntimeError, MontySyntaxError

    text = str(error)
    if "feed time limit exceeded" in text:
        return f"run: ran longer than {seconds:g} s"
    if "memory limit exceeded" in text:
        return f"run: needed more than {memory_mb} MB, or printed too much"
    if not isinstance(error, MontyRuntimeError | MontySyntaxError):
        return f"run: {text}"
    message = error.display("type-msg")
    lines = code.splitlines()
    inside = [frame for frame in error.traceback() if 0 < frame.line <= len(lines)]
    if not inside:
        return message
    line = inside[-1].line
    return f"{message} (line {line}: {lines[line - 1].strip()[:120]})"
