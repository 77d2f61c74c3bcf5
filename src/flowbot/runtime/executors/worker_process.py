"""One worker process, as its owner sees it; the program that it runs is `worker.py`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Self

from .address import Unsendable
from .child import START_SECONDS, Child, Lost
from .job import Job, rebuilt
from .protocol import Outcome


class Worker(Child):
    """A worker process.

    Attributes:
        free: it can be given a job. False for ever after a job that it did not answer.
    """

    free = False

    @classmethod
    async def begin(cls) -> Self:
        """A worker that is ready for jobs; raises as `start`."""
        worker = await cls.start()
        worker.free = True
        return worker

    async def do(self, job: Job) -> Outcome:
        """Run a job to its end. Ended in between, by an error or by being cancelled, the worker is of no more use.

        Raises:
            Unsendable: if the worker cannot find the function; it is free again, unless finding took too long.
            TimeoutError: when the job's time has passed.
            Lost: if the worker ended.
        """
        self.free = False
        await self.send(job.dump())
        try:
            # Not `wait_for`, which before Python 3.12 loses a cancellation that comes together with the line.
            async with asyncio.timeout(START_SECONDS):
                begun = await self.receive()
        except TimeoutError:
            raise Unsendable(f"its module was not imported in {START_SECONDS:g} s") from None
        if "cannot" in begun:
            self.free = True
            raise Unsendable(begun["cannot"])
        try:
            async with asyncio.timeout(job.seconds):
                reply = await self.receive()
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
        self.free = False
        super().kill()

    async def end(self, *, kill: bool = False) -> None:
        """End the process and wait for that. Without `kill` it may take a few seconds to end by itself."""
        self.free = False
        await super().end(kill=kill)


def _is_stopped(pid: int) -> bool:
    """Whether a signal has stopped the process. Only known on Linux."""
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return status[status.rfind(b")") + 1 :].split()[0] in (b"T", b"t")
