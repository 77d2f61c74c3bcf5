"""The program of a worker process: runs one job after the other, and ends when its owner does.

Started by its path, so that it needs no module before its owner has told it where modules are. It speaks lines of JSON over
what were standard input and output:

    owner   {"path": [folders]}, then {"id": 1, "job": …}
    worker  {"id": 0, "ready": true}, and from the first program on {"id": 0} each second; for each job {"id": 1, "cannot": why}, or {"id": 1, "begun": true} and then {"id": 1, …} as `job.reply_of`

Tools and metrics run one after the other in the main thread, programs each in a thread of its own.

Told of a cluster (`{"path": …, "cluster": "ray"}`) it is no worker and speaks with that; see `bridge.py`.

The user's functions do not reach that channel: their standard input is empty, and what they print goes to standard error.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import IO, Any

_PR_SET_PDEATHSIG = 1
_lock = threading.Lock()
GRACE_SECONDS = 1.0
"""Time for a worker to end by itself when its owner is gone; one that is at work is ended."""


def main() -> None:
    """Run jobs until the owner is gone."""
    _die_with_owner()
    reading, writing = _channel()
    hello = _read(reading)
    if hello is None:
        return None
    sys.path[:] = hello["path"]
    if "cluster" in hello:
        from flowbot.runtime.executors.bridge import serve

        return serve(hello["cluster"], partial(_read, reading), writing)
    jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(reading, jobs), daemon=True).start()
    return _work(jobs, writing)


def _channel() -> tuple[IO[bytes], IO[bytes]]:
    """What were standard input and output, which are then others. Not inherited by what functions start."""
    ours, theirs = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    if sys.platform != "win32":  # a fork that outlives the worker would hide its end from the owner
        open_here = [ours, theirs]
        os.register_at_fork(after_in_child=lambda: [os.close(open_here.pop()) for _ in tuple(open_here)])
    return os.fdopen(ours, "rb"), os.fdopen(theirs, "wb")


def _read(reading: IO[bytes]) -> Any:
    """The next message; None at the end."""
    line = reading.readline()
    return json.loads(line) if line.endswith(b"\n") else None


def _send(writing: IO[bytes], number: int, told: dict[str, Any]) -> None:
    line = json.dumps({"id": number, **told}).encode() + b"\n"
    with _lock:
        writing.write(line)
        writing.flush()


def _die_with_owner() -> None:
    """Have the system end this process with its owner: a function that never lets the interpreter go (a regular expression
    that backtracks) keeps `_listen` from seeing that the owner is gone. Linux; elsewhere `_listen` is all there is."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _listen(reading: IO[bytes], jobs: queue.SimpleQueue[Any]) -> None:
    """Pass jobs on; when the owner is gone, end this process and what it started, whatever it is at."""
    while (job := _read(reading)) is not None:
        jobs.put(job)
    jobs.put(None)
    time.sleep(GRACE_SECONDS)
    if sys.platform != "win32" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _work(jobs: queue.SimpleQueue[Any], writing: IO[bytes]) -> None:
    from flowbot.runtime.executors.address import Functions
    from flowbot.runtime.executors.job import Job
    from flowbot.runtime.executors.loop import result_of
    from flowbot.runtime.executors.protocol import Unsendable

    functions, beating = Functions(), False
    _send(writing, 0, {"ready": True})
    while (message := jobs.get()) is not None:
        job, send = Job.load(message["job"]), partial(_send, writing, message["id"])
        try:
            call = job.call(functions.find(job.function))
        except Unsendable as reason:
            send({"cannot": str(reason)})
            continue
        if job.kind == "program":
            from flowbot.runtime.traced.worker import ran

            if not beating:
                beating = True
                threading.Thread(target=_beat, args=(writing,), daemon=True).start()
            send({"begun": True})
            work = partial(ran, call.function, **call.arguments)
            threading.Thread(target=_made, args=(work, send), daemon=True).start()
        else:
            send({"begun": True})
            _made(partial(result_of, call), send)


def _beat(writing: IO[bytes]) -> None:
    """Say that this process is alive, for its programs watch their time themselves."""
    from flowbot.runtime.executors.protocol import BEAT_SECONDS

    while True:
        time.sleep(BEAT_SECONDS)
        _send(writing, 0, {})


def _made(work: Callable[[], Any], send: Callable[[dict[str, Any]], None]) -> None:
    """Make a call, and tell what came of it."""
    from flowbot.runtime.executors.job import reply_of
    from flowbot.runtime.executors.protocol import FunctionError, Outcome, Unsendable
    from flowbot.runtime.threads import as_exception

    began = time.monotonic()
    try:
        reply = reply_of(Outcome(work()))
    except Unsendable as reason:
        reply = {"cannot": str(reason)}
    except BaseException as error:  # its sys.exit() is not ours
        reply = reply_of(Outcome(error=as_exception(error)))
    seconds = time.monotonic() - began
    try:
        send({**reply, "seconds": seconds})
    except (TypeError, ValueError) as error:  # an exception that holds what JSON cannot
        fault = FunctionError(type(error).__name__, f"an error that cannot be told: {error}")
        send(reply_of(Outcome(error=fault, seconds=seconds)))


if __name__ == "__main__":
    main()
