"""The sandbox on pydantic-monty, a Python interpreter in worker processes that has no access to the system at all.

Its clock stands still and its random numbers start at one seed, so that equal code with equal inputs gives equal
results.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbot.fields import InfrastructureError, StepError, UserError
from flowbot.fields.bounds import raised
from flowbot.fields.files import sha256
from flowbot.runtime.executors.address import Address
from flowbot.runtime.executors.child import Lost
from flowbot.runtime.executors.job import Job
from flowbot.runtime.executors.processes import ProcessExecutor
from flowbot.runtime.jsonlike import to_json

from .protocol import MEMORY_MB, PRINTED_BYTES, SECONDS, script_error

if TYPE_CHECKING:
    from pydantic_monty import AsyncMonty, CollectString, MontyError

_STACK = 200
_LETTING_GO = 0.05
"""Seconds after closing in which the library's own threads let go of Python's objects. Measured with 1.4: of programs that end at once
one in fifteen is aborted, of those that wait 0.02 s none."""
_CALL = "\nrun(**_inputs)"
_IN_WORKER = Path(__file__).resolve().with_name("in_worker.py")


class MontySandbox:
    """The sandbox on pydantic-monty. Workers start with the first run; as many run at once as there are processors."""

    def __init__(self) -> None:
        self._pool: AsyncMonty | None = None
        self._workers: ProcessExecutor | None = None
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
            mend = "install pydantic-monty: pip install 'flowbot[sandbox]'"
            raise UserError("code nodes", "no pydantic-monty to run them in", mend=mend) from None

    async def run(
        self, code: str, inputs: Mapping[str, Any], *, seconds: float = SECONDS, memory_mb: int = MEMORY_MB
    ) -> Any:
        """As `Sandbox.run`."""
        if _is_forked():
            limits = {"seconds": seconds, "memory_mb": memory_mb}
            return await self._in_worker("run", {"code": code, "inputs": dict(inputs), **limits})
        pool = await self._opened()
        from pydantic_monty import CollectString

        feed = _Feed("run", code, seconds, memory_mb)
        result = await feed.result(pool, code + _CALL, CollectString(PRINTED_BYTES), {"_inputs": dict(inputs)})
        return to_json(result)

    async def script(self, code: str, *, seconds: float = SECONDS, memory_mb: int = MEMORY_MB) -> str:
        """As `Sandbox.script`."""
        if _is_forked():
            return await self._in_worker("script", {"code": code, "seconds": seconds, "memory_mb": memory_mb})
        pool = await self._opened()
        from pydantic_monty import CollectString

        printed = CollectString(PRINTED_BYTES)
        try:
            await _Feed("script", code, seconds, memory_mb).result(pool, code, printed, {})
        except StepError as error:
            raise script_error(str(error), printed.output) from None
        return printed.output

    async def close(self) -> None:
        """End the workers. May be called twice."""
        pool, self._pool = self._pool, None
        workers, self._workers = self._workers, None
        if workers is not None:
            await workers.close()
        if pool is not None:
            await pool.__aexit__(None, None, None)
            await asyncio.sleep(_LETTING_GO)

    async def _in_worker(self, method: str, arguments: dict[str, Any]) -> Any:
        """What that method gives in a process that is started anew.

        The library's threads are the parent's and are not there after a fork: whatever waits for them waits for ever.
        """
        if self._workers is None:
            self._workers = ProcessExecutor()
        address = Address("call", f"{__package__}.in_worker", str(_IN_WORKER), sha256(_IN_WORKER))
        try:
            job = Job("tool", method, address, {"method": method, "arguments": arguments}, None)
            outcome = await self._workers.done(job)
        except Lost as lost:
            raise InfrastructureError(f"the sandbox for code nodes: its process {lost}") from lost
        if outcome.error is not None:
            raise outcome.error
        return outcome.value

    async def _opened(self) -> AsyncMonty:
        async with self._opening:
            if self._pool is None:
                _ = self.identity
                _threads_of[:] = [os.getpid()]
                from pydantic_monty import AsyncMonty

                pool = AsyncMonty()
                try:
                    await pool.__aenter__()
                except BaseException as error:
                    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                        raise
                    raise InfrastructureError(f"the sandbox for code nodes did not start: {error}") from error
                self._pool = pool
            return self._pool


_threads_of: list[int] = []
"""The process that first used the library: its threads, one set for all pools, are there and in no process forked from it."""


def _is_forked() -> bool:
    """Whether the library's threads are another process's."""
    return _threads_of not in ([], [os.getpid()])


class _Feed:
    """One run of one text in a fresh session, and the words for what goes wrong in it."""

    def __init__(self, what: str, code: str, seconds: float, memory_mb: int) -> None:
        self.what = what
        self.code = code
        self.seconds = seconds
        self.memory_mb = memory_mb

    async def result(self, pool: AsyncMonty, text: str, printed: CollectString, inputs: dict[str, Any]) -> Any:
        from pydantic_monty import MontyCrashedError, MontyError

        session = pool.checkout(
            script_name="code",
            limits={
                "max_feed_duration_secs": self.seconds,
                "max_memory": self.memory_mb << 20,
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
                return await worker.feed_run(text, inputs=inputs, print_callback=printed)
        except MontyCrashedError as error:
            why = f"ran longer than {self.seconds:g} s" if error.timed_out else "the interpreter broke off"
            raise StepError(f"{self.what}: {why}") from None
        except MontyError as error:
            raise StepError(self.explain(error)) from None
        except (ValueError, TypeError, OverflowError, RecursionError) as error:  # a value that cannot cross the border
            raise StepError(f"{self.what}: {raised(error)}") from None
        except (OSError, RuntimeError) as error:  # no further worker can be had
            raise InfrastructureError(f"the sandbox for code nodes did not start: {error}") from error

    def explain(self, error: MontyError) -> str:
        """The Python error in one or two lines, equal for equal faults: without byte counts and measured times."""
        from pydantic_monty import MontyRuntimeError, MontySyntaxError

        text = str(error)
        if "feed time limit exceeded" in text:
            return f"{self.what}: ran longer than {self.seconds:g} s"
        if "memory limit" in text:
            return f"{self.what}: needed more than {self.memory_mb} MB, or printed too much"
        if not isinstance(error, MontyRuntimeError | MontySyntaxError):
            return f"{self.what}: {text}"
        message = error.display("type-msg")
        lines = self.code.splitlines()
        inside = [frame for frame in error.traceback() if 0 < frame.line <= len(lines)]
        if not inside:
            return message
        line = inside[-1].line
        return f"{message} (line {line}: {lines[line - 1].strip()[:120]})"
