"""The local model server as its owner sees it: one process a model file and settings, started late, stopped surely."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from flowbot.fields import InfrastructureError, UserError
from flowbot.fields.foreign import Record, checked

_CHILD = Path(__file__).with_name("child.py")
_SMALL = 700_000_000


@dataclass(frozen=True, slots=True)
class Settings:
    """What tells two servers apart.

    Args:
        path: the model file.
        slots: calls answered side by side.
        context: tokens of prompt and reply together, a slot.
        threads: of the processor.
    """

    path: Path
    slots: int
    context: int
    threads: int


def default_slots(size: int) -> int:
    """Calls side by side for a model file of so many bytes: a small model gains more from sharing a pass."""
    return 4 if size < _SMALL else 2


def usable_cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Server:
    """One server process. Thread-safe. Started by the first `address()`; started anew if it has died."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.owners = 0
        self._starting = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._address = ""
        self._key = ""
        self._end: weakref.finalize[..., Server] | None = None

    @property
    def running(self) -> bool:
        """Whether the process lives and answers."""
        return bool(self._address) and self._process is not None and self._process.poll() is None

    def address(self) -> tuple[str, str]:
        """Base URL and key of the running server; blocks while it loads.

        Raises:
            InfrastructureError: fatal, if it does not start.
        """
        with self._starting:
            if not self.running:
                self._start()
            return self._address, self._key

    def stop(self) -> None:
        """End the process, at once, calls in flight or not. May be called twice, and while it loads."""
        if self._end is not None:
            self._end()

    def leave(self) -> None:
        """In a process that was forked: leave the server to its owner. Its input must not stay open when the owner is gone."""
        if self._end is not None and self._end.detach() is not None and self._process is not None:
            with open(os.devnull, "r+b", buffering=0) as nothing:
                for pipe in (self._process.stdin, self._process.stdout):
                    if pipe is not None and not pipe.closed:
                        os.dup2(nothing.fileno(), pipe.fileno(), inheritable=False)

    def _start(self) -> None:
        self.stop()
        self._address = ""
        self._key = secrets.token_hex(16)
        with tempfile.TemporaryFile("w+") as complaints:
            process = subprocess.Popen(
                [sys.executable, "-P", str(_CHILD)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                env={**_PATIENT, **os.environ},
                text=True,
                start_new_session=True,  # Ctrl-C in a terminal goes to the owner alone
            )
            self._process = process
            self._end = weakref.finalize(self, _end, process)  # also at interpreter exit
            answer = _ask(process, self._order())
            if not answer.address:
                self.stop()
                complaints.seek(0)
                reason = answer.error or _last_line(complaints) or f"it ended with status {process.returncode}"
                raise InfrastructureError(
                    f"the server of the local model {self.settings.path} did not start: {reason}",
                    kind="server",
                    fatal=True,
                )
        self._address = answer.address.rstrip("/") + "/v1"

    def _order(self) -> str:
        settings = self.settings
        order = {"slots": settings.slots, "context": settings.context, "threads": settings.threads}
        return json.dumps({**order, "path": str(settings.path), "key": self._key})


_PATIENT = {"OMP_WAIT_POLICY": "passive"}
"""Threads of the library that wait for each other sleep instead of spinning. Where another process wants a core too, spinning
threads hold up the one that they wait for: on two shared cores that costs nine tenths of the speed
(`benchmarks/local_threads.py`)."""


class _Answer(Record):
    address: str = ""
    error: str = ""


def _ask(process: subprocess.Popen[str], order: str) -> _Answer:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(order + "\n")
        process.stdin.flush()
        return checked(_Answer, json.loads(process.stdout.readline() or "{}"), "the local model's server")
    except (OSError, ValueError, UserError):  # it died, or was stopped meanwhile
        return _Answer()


def _last_line(complaints: IO[str]) -> str:
    lines = [line.strip() for line in complaints.read()[-4000:].splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                continue  # what was still to be written has no reader


class _Registry:
    """The servers of this process."""

    def __init__(self) -> None:
        self.changing = threading.Lock()
        self.servers: dict[Settings, Server] = {}

    def forked(self) -> None:
        """Begin anew in a process that was forked."""
        inherited = self.servers.values()
        self.__init__()
        for server in inherited:
            server.leave()


_registry = _Registry()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_registry.forked)


def acquire(settings: Settings) -> Server:
    """The process's one server with these settings, not yet started perhaps. Give it back with `release`."""
    with _registry.changing:
        server = _registry.servers.setdefault(settings, Server(settings))
        server.owners += 1
        return server


def release(server: Server) -> None:
    """Give a server back; its last owner's release stops it."""
    with _registry.changing:
        server.owners -= 1
        if server.owners > 0:
            return
        _registry.servers.pop(server.settings, None)
    server.stop()
