"""A published optimiser, whose code is not async, in a thread of its own beside the event loop that our calls are made on.

Such packages take exceptions for wrong answers: they score them 0, or log them and go on. So whatever a call of ours raises is kept
here, the package is left by an exception that is none to it, and what was raised is raised again outside, as it came.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class Left(BaseException):
    """Leaves a package from within. No `Exception`, since packages catch those."""


class Bridge:
    """From a package's thread to the event loop that it was made on."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._fault: BaseException | None = None
        self._closed = False
        self._under_way: Future[Any] | None = None

    async def run(self, package: Callable[[], T]) -> T | None:
        """What a package returns that is run in a thread; None where it was left.

        Where this is cancelled the package is left first, so that no thread of it outlives the search.

        Raises:
            BaseException: what a call over the bridge raised, as it came; else what the package raised of itself.
        """
        pool = ThreadPoolExecutor(1, thread_name_prefix="flowbot-package")
        variables = contextvars.copy_context()
        running = self._loop.run_in_executor(pool, lambda: variables.run(_outcome, package))
        try:
            result, error = await asyncio.shield(running)
        except asyncio.CancelledError:
            self._leave()
            await asyncio.wait([running])
            raise
        finally:
            pool.shutdown(wait=False)
        if (fault := self._fault or error) is not None:
            raise fault
        return result

    def wait(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of what is run on the loop; called from the package's thread.

        Raises:
            Left: if that raises, or the search no longer waits for the package.
        """
        if self._closed:
            raise Left
        self._under_way = future = asyncio.run_coroutine_threadsafe(work(), self._loop)
        if self._closed:  # it was left in between
            future.cancel()
        try:
            return future.result()
        except BaseException as error:
            if not isinstance(error, Left | CancelledError):
                self._fault = error
            self._leave()
            raise Left from None

    @contextmanager
    def ours(self) -> Generator[None]:
        """Around code of ours that a package calls: what it raises is kept, too.

        Raises:
            Left: if it raises.
        """
        try:
            yield
        except Exception as error:
            self._fault = error
            self._leave()
            raise Left from None

    def _leave(self) -> None:
        """Cancel what is under way and let nothing more begin."""
        self._closed = True
        if self._under_way is not None:
            self._under_way.cancel()


def _outcome(package: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    try:
        return package(), None
    except Left:
        return None, None
    except BaseException as error:
        return None, error
