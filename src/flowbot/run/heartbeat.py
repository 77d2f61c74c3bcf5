"""`live.json`: what was last heard of a run, and of the process that works on it; for whoever looks on from another process.

It is written anew once a second while the run works, and once more when it ends. It is no part of the run: nothing is decided by
it, and a run whose disk refuses it goes on.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, Strict

from flowbot.fields import UserError
from flowbot.fields.files import read_text, write_text
from flowbot.fields.foreign import Amount, Count, Record, Share, checked
from flowbot.fields.secrets import hide
from flowbot.fields.yaml import parse_json

from .lock import is_held

NAME = "live.json"
PAUSE = "pause"
"""A file in the run's folder by which whoever looks on asks it to pause."""
EVERY = 1.0
"""Seconds between two beats."""
LATE = 30.0
"""Seconds without a beat after which a process is taken for dead, where its lock cannot be asked."""
MOST_BYTES = 1_000_000
"""Bytes of the largest file that is read."""


MOST_PAIRS = 200
"""Of a comparison the last pairs are told."""
Pair = Annotated[tuple[Share, Share], Strict(False)]


class Ceiling(Record):
    """How much of a ceiling is used: calls, tokens, dollars or seconds."""

    used: Amount
    of: Amount


class Heartbeat(Record):
    """What a run told last, and who.

    Args:
        pid, host: the process, and its machine.
        began: when that process began to work on the run, in seconds since 1970.
        beat: when it told this.
        ended: whether it has stopped working on the run, done or paused; False where it is at work, or was killed.
        start: what the search began with, as it was given: a file, a start's name, a run; "" for the call that it begins with by itself.
        task: the task's file; "" where it has none.
        store: the file of the stored responses.
        phase, text, done, total, calls, planned, share, best, usd: as of a `ProgressEvent`.
        since, stored: when the first reply came that this process paid for, in seconds since 1970, and the share that was done by then,
            in no time, by a replay; the last beat and its share while there is none.
        races: of the changes that are being compared, by their ids: the scores of each pair so far, the change's and that of what it changes.
        ceilings: by name: `calls`, `tokens`, `usd`, `seconds`.
    """

    pid: Count
    host: str
    began: Amount
    beat: Amount
    ended: bool
    start: str = ""
    task: str = ""
    store: str = ""
    phase: str
    text: str
    done: Count
    total: Count
    calls: Count
    planned: Count
    share: Share
    best: Share | None
    usd: Amount | None
    since: Amount = 0.0
    stored: Share = 0.0
    races: Mapping[str, Annotated[list[Pair], Field(max_length=MOST_PAIRS)]] = {}
    ceilings: dict[str, Ceiling]


def read_heartbeat(run_dir: Path) -> Heartbeat | None:
    """What was last heard of a run; None where it has told nothing, as runs of older versions.

    Raises:
        UserError: if the file is damaged, or says what cannot be.
    """
    path = run_dir / NAME
    if not os.path.lexists(path):
        return None
    data = parse_json(read_text(path, limit=MOST_BYTES, links=False), str(path))
    return checked(Heartbeat, hide(data), str(path), "what a run tells while it works; it may be deleted")


def at_work(run_dir: Path, last: Heartbeat | None, now: float | None = None) -> bool:
    """Whether a process works on the run: by its lock, and where that cannot be asked by its heartbeat.

    Args:
        run_dir: the run's folder.
        last: what was last heard of it.
        now: seconds since 1970.
    """
    held = is_held(run_dir)
    if held or last is None or last.ended:
        return bool(held)
    if held is None or last.host != socket.gethostname():  # another machine's lock is not seen on every file system
        return (time.time() if now is None else now) - last.beat < LATE
    return False


def ask_pause(run_dir: Path) -> None:
    """Ask the process that works on a run to pause, as Ctrl-C does where it runs; it hears of it with its next beat.

    Raises:
        UserError: if none works on it, or its folder cannot be written.
    """
    if not at_work(run_dir, read_heartbeat(run_dir)):
        raise UserError(str(run_dir), "no process at work on it", "a run that works")
    try:
        write_text(run_dir / PAUSE, "", lasting=False)
    except OSError as error:
        raise UserError(
            str(run_dir), f"no way to write there ({error.strerror or error})", "a folder that can be written"
        ) from None


def pause_asked(run_dir: Path) -> bool:
    """Whether somebody asked the run to pause, which it has not done yet."""
    return os.path.lexists(run_dir / PAUSE)


@asynccontextmanager
async def beating(
    run_dir: Path,
    told: Callable[[], Mapping[str, Any]],
    pause: Callable[[str], None],
    beside: Callable[[], None] = lambda: None,
) -> AsyncGenerator[Callable[[], None]]:
    """Write `live.json` once a second while inside, and at the end; and hear of `ask_pause`. Gives what is to be called with every
    reply that is paid for.

    Args:
        run_dir: the run's folder, which this process holds.
        told: the members of a `Heartbeat` that only the run knows.
        pause: pauses the run, for the reason that it is given.
        beside: called each time; it must not raise.
    """
    who = {"pid": os.getpid(), "host": socket.gethostname(), "began": time.time()}
    fresh: dict[str, Any] = {}

    def write(*, ended: bool) -> None:
        beside()
        with suppress(OSError, UserError):
            heard, now = told(), time.time()
            beat = {**who, "since": now, "stored": heard["share"], **fresh, "beat": now, "ended": ended, **heard}
            write_text(run_dir / NAME, json.dumps(hide(beat), ensure_ascii=False), lasting=False, errors="replace")

    async def beat() -> None:
        while True:
            write(ended=False)
            if pause_asked(run_dir):
                pause("somebody who looked on asked for it")
            await asyncio.sleep(EVERY)

    def paid() -> None:
        if not fresh:
            fresh.update(since=time.time(), stored=told()["share"])

    def forget() -> None:
        with suppress(OSError):
            os.unlink(run_dir / PAUSE)

    forget()  # what was asked of an earlier process
    task = asyncio.create_task(beat())
    try:
        yield paid
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        write(ended=True)
        forget()
