"""One worker process, as its owner sees it; the program that it runs is `worker.py`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, cast

from flowbot.fields.bounds import MESSAGE_BYTES

from .address import Unsendable
from .job import Job, rebuilt
from .protocol import Outcome

START_SECONDS = 60.0
"""Time that a worker may take until it is ready for jobs, and again to import the module of a job's function."""
_END_SECONDS = 5.0
_PROGRAM = Path(__file__).with_name("worker.py")


class Lost(Exception):
    """The worker ended, or made no sense; the text says how."""


class NotStarted(Lost):
    """The worker ended before it was ready for jobs."""


class Worker:
    """A worker process. It has the environment and folder of this one, and a session of its own, so that what ends it
    ends what its functions started, and Ctrl-C in a terminal does not reach it.

    Attributes:
        free: it can be given a job. False for ever after a job that it did not answer.
        pid: number of the process.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._input, self._output = process, process.stdin, process.stdout
        self.pid = process.pid
        self.free = False
        self._killed = False

    @staticmethod
    async def start() -> Worker:
        """A worker that is ready for jobs.

        Raises:
            NotStarted: if it does not come to that.
            OSError: if there can be no process.
        """
        process = await asyncio.create_subprocess_exec(
            *_command(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=MESSAGE_BYTES,
        )
        worker = Worker(process)
        try:
            await worker._send({"path": [each for each in sys.path if isinstance(cast("object", each), str)]})
            async with asyncio.timeout(START_SECONDS):
                await worker._receive()
        except TimeoutError:
            await worker.end(kill=True)
            raise NotStarted(f"was not ready in {START_SECONDS:g} s") from None
        except Lost as lost:
            raise NotStarted(str(lost)) from None
        except BaseException:
            await worker.end(kill=True)
            raise
        worker.free = True
        return worker

    @property
    def alive(self) -> bool:
        """Whether it is not known to have ended."""
        return not self._killed and self._process.returncode is None and not self._output.at_eof()

    @property
    def gone(self) -> bool:
        """Whether it has ended, and that is known."""
        return self._process.returncode is not None

    async def do(self, job: Job) -> Outcome:
        """Run a job to its end. Ended in between, by an error or by being cancelled, the worker is of no more use.

        Raises:
            Unsendable: if the worker cannot find the function; it is free again, unless finding took too long.
            TimeoutError: when the job's time has passed.
            Lost: if the worker ended.
        """
        self.free = False
        await self._send(job.dump())
        try:
            # Not `wait_for`, which before Python 3.12 loses a cancellation that comes together with the line.
            async with asyncio.timeout(START_SECONDS):
                begun = await self._receive()
        except TimeoutError:
            raise Unsendable(f"its module was not imported in {START_SECONDS:g} s") from None
        if "cannot" in begun:
            self.free = True
            raise Unsendable(begun["cannot"])
        try:
            async with asyncio.timeout(job.seconds):
                reply = await self._receive()
        except TimeoutError:
            if _is_stopped(self.pid):  # it had no time of its own: another one shall try
                await self.end(kill=True)
                raise Lost("was stopped") from None
            raise
        self.free = True
        error = rebuilt(reply["error"]) if "error" in reply else None
        return Outcome(reply.get("value"), error, reply["seconds"])

    def kill(self) -> None:
        """End the process at once, with what its functions started."""
        self.free, self._killed = False, True
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
        self.free = False
        self._input.close()
        try:
            await asyncio.wait_for(self._process.wait(), _END_SECONDS)
        except TimeoutError:
            self.kill()
            await self._process.wait()

    async def _send(self, message: dict[str, Any]) -> None:
        self._input.write(json.dumps(message).encode() + b"\n")
        try:
            await self._input.drain()
        except ConnectionError:
            raise await self._lost() from None

    async def _receive(self) -> dict[str, Any]:
        try:
            line = await self._output.readline()
            return json.loads(line)  # of a worker that ended there is none
        except (ConnectionError, ValueError):  # also where the line is too long
            raise await self._lost() from None

    async def _lost(self) -> Lost:
        await self.end(kill=True)
        status = self._process.returncode
        if status is not None and status < 0:
            with contextlib.suppress(ValueError):
                return Lost(f"was killed by {signal.Signals(-status).name}")
        return Lost(f"ended with status {status}")


def _is_stopped(pid: int) -> bool:
    """Whether a signal has stopped the process. Only known on Linux."""
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return status[status.rfind(b")") + 1 :].split()[0] in (b"T", b"t")


def _command() -> list[str]:
    """This interpreter with those of its options that change what a function gives, and the worker's program."""
    optimised = ["-" + "O" * sys.flags.optimize] if sys.flags.optimize else []
    options = ["-P", "-u", "-X", f"utf8={sys.flags.utf8_mode}", *optimised, *(f"-W{each}" for each in sys.warnoptions)]
    return [sys.executable, *options, str(_PROGRAM)]
