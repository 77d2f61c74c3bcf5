"""A process of our own that speaks lines of JSON with this one; the program that it runs is `worker.py`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Generator, Mapping
from itertools import count
from pathlib import Path
from typing import Any, Self, cast

from .protocol import TRACE_BYTES

START_SECONDS = 60.0
"""Time that a worker may take until it is ready for jobs, and again to import the module of a job's function."""
_PROGRAM = Path(__file__).with_name("worker.py")


class Lost(Exception):
    """The process ended, or made no sense; the text says how."""


class NotStarted(Lost):
    """The process ended before it was ready for jobs."""


class Child:
    """It has the folder of this process, and a session of its own, so that what ends it ends what its functions started, and
    Ctrl-C in a terminal does not reach it. It is told any number of jobs at once, each under a number.

    Attributes:
        hello: what it said when it was ready.
        pid: number of the process.
        why: it was lost; "" while it is not known to be.
    """

    end_seconds = 5.0
    """Time to end by itself."""
    most_bytes = TRACE_BYTES
    """Of a message that it may send."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._input, self._output = process, process.stdin, process.stdout
        self.pid = process.pid
        self.hello: dict[str, Any] = {}
        self.why = ""
        self._killed = False
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Queue[dict[str, Any]]] = {}
        self._listening: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls,
        *,
        seconds: float = START_SECONDS,
        silent: bool = False,
        environment: Mapping[str, str] | None = None,
        **told: str,
    ) -> Self:
        """A process that is ready.

        Args:
            seconds: that it may take for that.
            silent: nothing of what it prints is shown.
            environment: its variables; those of this process when None.
            told: what it is told beside where modules are.

        Raises:
            NotStarted: if it does not come to that.
            OSError: if there can be no process.
        """
        process = await asyncio.create_subprocess_exec(
            *_command(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL if silent else None,
            start_new_session=True,
            limit=cls.most_bytes,
            env=environment,
        )
        child = cls(process)
        try:
            await child.send({"path": [each for each in sys.path if isinstance(cast("object", each), str)], **told})
            async with asyncio.timeout(seconds):
                child.hello = await child.receive()
        except TimeoutError:
            await child.end(kill=True)
            raise NotStarted(f"was not ready in {seconds:g} s") from None
        except Lost as lost:
            raise NotStarted(str(lost)) from None
        except BaseException:
            await child.end(kill=True)
            raise
        child._listening = asyncio.create_task(child._listen())
        return child

    @property
    def alive(self) -> bool:
        """Whether it is not known to have ended."""
        return not (self._killed or self.why) and self._process.returncode is None and not self._output.at_eof()

    @property
    def gone(self) -> bool:
        """Whether it has ended, and that is known."""
        return self._process.returncode is not None

    def kill(self) -> None:
        """End the process at once, with what its functions started."""
        self._killed = True
        self._input.close()
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                if sys.platform == "win32":
                    self._process.kill()
                else:
                    os.killpg(self.pid, signal.SIGKILL)

    async def end(self, *, kill: bool = False) -> None:
        """End the process and wait for that. Without `kill` it may take a few seconds to end by itself."""
        if kill:
            self.kill()
        self._input.close()
        try:
            await asyncio.wait_for(self._process.wait(), self.end_seconds)
        except TimeoutError:
            self.kill()
            await self._process.wait()

    @contextlib.contextmanager
    def numbered(self) -> Generator[tuple[int, asyncio.Queue[dict[str, Any]]]]:
        """A number for a job, and what comes for it; `{}` when the process is lost."""
        number, answers = next(self._numbers), asyncio.Queue[dict[str, Any]]()
        self._waiting[number] = answers
        try:
            yield number, answers
        finally:
            del self._waiting[number]

    async def send(self, message: dict[str, Any]) -> None:
        """Tell it something.

        Raises:
            Lost: if it ended.
        """
        if self.why:
            raise Lost(self.why)
        self._input.write(json.dumps(message).encode() + b"\n")
        try:
            await self._input.drain()
        except ConnectionError:
            raise await self._lost() from None

    async def answer(self, answers: asyncio.Queue[dict[str, Any]]) -> dict[str, Any]:
        """What comes next for a job.

        Raises:
            Lost: if it ended.
        """
        if not (message := await answers.get()):
            raise Lost(self.why)
        return message

    async def receive(self) -> dict[str, Any]:
        """What it says next, until it is ready.

        Raises:
            Lost: if it ended.
        """
        try:
            line = await self._output.readline()
            return json.loads(line)  # of a worker that ended there is none
        except (ConnectionError, ValueError):  # also where the line is too long
            raise await self._lost() from None

    async def _listen(self) -> None:
        try:
            while True:
                self.heard(await self.receive())
        except Lost as lost:
            self.why = self.why or str(lost)
            for answers in self._waiting.values():
                answers.put_nowait({})

    def heard(self, message: dict[str, Any]) -> None:
        """It said something."""
        if (answers := self._waiting.get(message.get("id", 0))) is not None:
            answers.put_nowait(message)

    async def _lost(self) -> Lost:
        await self.end(kill=True)
        status = self._process.returncode
        if status is not None and status < 0:
            with contextlib.suppress(ValueError):
                return Lost(f"was killed by {signal.Signals(-status).name}")
        return Lost(f"ended with status {status}")


def _command() -> list[str]:
    """This interpreter with those of its options that change what a function gives, and the worker's program."""
    optimised = ["-" + "O" * sys.flags.optimize] if sys.flags.optimize else []
    options = ["-P", "-u", "-X", f"utf8={sys.flags.utf8_mode}", *optimised, *(f"-W{each}" for each in sys.warnoptions)]
    return [sys.executable, *options, str(_PROGRAM)]
