"""Whether a hostile program is held: it is run beside things to steal, spoil and reach, and these are looked at afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowbot.fields import StepError
from flowbot.runtime.sandbox.protocol import Sandbox
from hostile import ESCAPED, Hostile

SECONDS = 0.6
"""Time-out of one hostile program."""
MARGIN = 30.0
"""Wall-clock seconds after which a run that should have ended counts as endless; large, as machines may be busy."""
MEMORY_MB = 64
GROWTH_MB = 96
"""What the parent's resident memory may grow by in a run of all programs."""
VARIABLE = "FLOWBOT_CANARY_TOKEN"
_SPOILABLE = "as it was"


@dataclass(frozen=True)
class Verdict:
    """What came of one program: its reply or error, and every breach that was found."""

    program: Hostile
    reply: str
    breaches: tuple[str, ...]
    milliseconds: float


class Ground:
    """What lies outside during one program: a secret, a file to spoil, sockets that listen. A context manager."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.mark = secrets.token_hex(4)
        self.folder = Path(tempfile.mkdtemp(prefix="flowbot-ground-"))
        self.secret = self.folder / "secret.py"
        self.target = self.folder / "target.txt"
        self.unlisted = self.folder / f"secret-{self.mark}-{token}"
        self.sockets: dict[str, socket.socket] = {}

    def __enter__(self) -> Ground:
        self.secret.write_text(f"leaked = {self.token!r}\n", encoding="utf-8")
        self.target.write_text(_SPOILABLE, encoding="utf-8")
        self.unlisted.touch()
        for name, family, kind, address in (
            ("port", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            ("udp_port", socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            ("unix", socket.AF_UNIX, socket.SOCK_STREAM, str(self.folder / "socket")),
            ("abstract", socket.AF_UNIX, socket.SOCK_STREAM, f"\0flowbot-{self.mark}"),
        ):
            made = self.sockets[name] = socket.socket(family, kind)
            made.bind(address)
            made.setblocking(False)
            if kind == socket.SOCK_STREAM:
                made.listen()
        return self

    def __exit__(self, *_: object) -> None:
        for each in self.sockets.values():
            each.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def named(self) -> dict[str, Any]:
        """What a program is told: `at`."""
        return {
            "secret": str(self.secret),
            "target": str(self.target),
            "folder": str(self.folder),
            "home": str(Path.home()),
            "mark": self.mark,
            "variable": VARIABLE,
            "parent": os.getpid(),
            "port": self.sockets["port"].getsockname()[1],
            "udp_port": self.sockets["udp_port"].getsockname()[1],
            "unix": str(self.folder / "socket"),
            "abstract": f"flowbot-{self.mark}",
        }

    def breaches(self, reply: str) -> Iterator[str]:
        """What went through, in words."""
        if self.token in reply:
            yield "the secret is in the reply"
        if ESCAPED in reply and not reply.startswith(_ERROR):
            yield "the program says so"
        if not self.target.exists() or self.target.read_text(encoding="utf-8") != _SPOILABLE:
            yield "the file outside has changed"
        expected = {self.secret.name, self.target.name, self.unlisted.name, "socket"}
        if not self.folder.exists() or {each.name for each in self.folder.iterdir()} != expected:
            yield "the folder outside has changed"
        elif self.target.stat().st_mode & 0o600 != 0o600:
            yield "the file outside has other permissions"
        for name, each in self.sockets.items():
            with contextlib.suppress(BlockingIOError):
                if each.type == socket.SOCK_STREAM:
                    each.accept()[0].close()
                else:
                    each.recv(1)
                yield f"the socket {name} was reached"


_ERROR = "error: "


async def contain(sandbox: Sandbox, program: Hostile, token: str) -> Verdict:
    """Run one program and look at what came of it."""
    with Ground(token) as ground:
        start = time.perf_counter()
        late = False
        try:
            run = sandbox.run(program.code, {"at": ground.named()}, seconds=SECONDS, memory_mb=MEMORY_MB)
            reply = json.dumps(await asyncio.wait_for(run, SECONDS + MARGIN), ensure_ascii=False)
        except StepError as error:
            reply = f"{_ERROR}{error}"
        except TimeoutError:
            reply, late = "", True
        spent = (time.perf_counter() - start) * 1000
        found = [*ground.breaches(reply), *(["it did not end"] if late else [])]
    return Verdict(program, reply, tuple(found), spent)


async def contain_all(
    sandbox: Sandbox, programs: Sequence[Hostile], *, together: int
) -> tuple[list[Verdict], list[str]]:
    """Run all programs, so many at once, then close the sandbox.

    Returns:
        a verdict a program, in order, and what was found wrong at the end: signals, processes left, memory grown.
    """
    slots = asyncio.Semaphore(together)

    async def one(program: Hostile) -> Verdict:
        async with slots:
            return await contain(sandbox, program, token)

    with _watched() as (token, signals):
        before = processes()
        _forget_peak()
        memory = _peak_mb()
        try:
            verdicts = list(await asyncio.gather(*(one(program) for program in programs)))
        finally:
            await sandbox.close()
        wrong = [f"signal {number} reached the parent" for number in signals]
        if _peak_mb() - memory > GROWTH_MB:
            wrong.append(f"the parent grew by {_peak_mb() - memory:.0f} MB")
        wrong += [f"process {number} is left" for number in await left_since(before)]
    return verdicts, wrong


@contextmanager
def _watched() -> Iterator[tuple[str, list[int]]]:
    """A token in the environment and in the name of a file at home; and a list of the signals that come."""
    token = f"token{secrets.token_hex(16)}"
    signals: list[int] = []
    at_home = Path.home() / f".flowbot-canary-{token}"
    with contextlib.suppress(OSError):
        at_home.touch()
    os.environ[VARIABLE] = token
    former = signal.signal(signal.SIGUSR1, lambda number, _: signals.append(number))
    try:
        yield token, signals
    finally:
        signal.signal(signal.SIGUSR1, former)
        del os.environ[VARIABLE]
        at_home.unlink(missing_ok=True)


def processes() -> set[int]:
    """All descendants of this process, and all processes in other namespaces of process ids."""
    parents: dict[int, int] = {}
    elsewhere: set[int] = set()
    own = os.readlink("/proc/self/ns/pid")
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry)] = int(Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[1])
                if os.readlink(f"/proc/{entry}/ns/pid") != own:
                    elsewhere.add(int(entry))
    ours = {os.getpid()}
    for _ in parents:
        more = {child for child, parent in parents.items() if parent in ours} | ours
        if more == ours:
            break
        ours = more
    return (ours | elsewhere) - {os.getpid()}


async def left_since(before: set[int]) -> list[int]:
    """The processes that are new and do not go away."""
    left = processes() - before
    for _ in range(100):
        if not left:
            break
        await asyncio.sleep(0.05)
        left &= processes()
    return sorted(left)


def _forget_peak() -> None:
    """Let the kernel count this process's peak memory from now on."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
