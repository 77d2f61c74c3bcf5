"""Runs somebody's command: in a process group of its own, with a clean environment, in bounded time, its output bounded."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from flowbot.fields import FlowBotError
from flowbot.fields.secrets import hide_text
from flowbot.lm.stop import StopSignal

_CHILD = Path(__file__).with_name("peer_child.py")
_END_SECONDS = 20.0
"""How long the process that holds a command may take to end it."""


class PeerError(FlowBotError):
    """A peer cannot be run, or what it gives is of no use: its own fault, in one line."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    Args:
        status: its exit status, 128 and more where a signal ended it; None where it was ended for its time.
        log: the last 64 KB of what it printed, without secrets.
    """

    status: int | None
    log: str

    @property
    def last_words(self) -> str:
        """The last line of what it printed that says something."""
        lines = [line.strip() for line in self.log.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR:")]  # as pip begins them, with hints after the last
        return (errors or lines or ["it printed nothing"])[-1]


async def run_command(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    folder: Path,
    seconds: float,
    stop: StopSignal,
    fault: asyncio.Future[Exception] | None = None,
) -> Ended:
    """Run a command to its end. It is ended with its process group, and that waited for, however this is left.

    What leaves the group (`setsid`) is not followed.

    Args:
        command: the program and its arguments.
        env: all of its environment.
        folder: its working directory.
        seconds: that it may take.
        stop: ends it.
        fault: ends it when it has a result, which is raised.

    Raises:
        PeerError: if there can be no such process.
        Paused: if somebody asked to stop.
        Exception: the fault.
    """
    stop.check()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            str(_CHILD),
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=dict(env),
            cwd=folder,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise PeerError(f"no process can be started in {folder}: {error}") from None
    assert process.stdout is not None
    reading = asyncio.create_task(process.stdout.read())
    waits: set[asyncio.Future[bytes] | asyncio.Future[Exception]] = {reading}
    if fault is not None:
        waits.add(fault)
    late = False
    try:
        await stop.unless(_first(waits, seconds))
        late = not reading.done()
    finally:
        ending = asyncio.ensure_future(_end(process, reading))
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await asyncio.wait([ending])
            raise
    if fault is not None and fault.done():
        raise fault.result()
    log = hide_text(reading.result().decode("utf-8", "replace")) if not reading.cancelled() else ""
    return Ended(None if late else process.returncode, log)


async def _first(waits: set[asyncio.Future[bytes] | asyncio.Future[Exception]], seconds: float) -> None:
    await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)


async def _end(process: asyncio.subprocess.Process, reading: asyncio.Task[bytes]) -> None:
    """End the command, and take the last that it printed."""
    assert process.stdin is not None
    process.stdin.close()
    await asyncio.wait([reading], timeout=_END_SECONDS)
    if not reading.done():
        reading.cancel()
        with suppress(ProcessLookupError):
            process.kill()
    await process.wait()


def plain_environment(*more: str) -> dict[str, str]:
    """What a command is given of the user's environment: the path and the language, no key.

    Args:
        more: names of other variables that it may have.
    """
    names = ("PATH", "LANG", "LC_ALL", *more)
    return {"LANG": "C.UTF-8"} | {name: os.environ[name] for name in names if name in os.environ}
