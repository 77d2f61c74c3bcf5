"""One confined process from start to end: read with bounds, stopped in time, and nothing of it left."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Self

from flowbot.fields.bounds import MESSAGE_BYTES

START_SECONDS = 30.0
"""Time to start in, besides the run's own: a machine may be busy."""
_READY = b"ready\n"
_TALK_BYTES = 4_000
_CHUNK = 1 << 16
_END_SECONDS = 5.0


@dataclass(frozen=True)
class Descriptors:
    """The numbers of the files that the process gets: where it replies, its filter, where its process id goes."""

    channel: int
    filter: int
    info: int


@dataclass
class Outcome:
    """What came of a run.

    Attributes:
        started: the program inside said that it was ready; else `talk` says why not.
        reply: its line; None if it gave none.
        printed: what was printed, up to the bound.
        too_late: it was stopped at its time-out.
        too_much: what it gave more of than it may: `printed` or `reply`.
    """

    started: bool = False
    reply: bytes | None = None
    printed: bytes = b""
    talk: str = ""
    too_late: bool = False
    too_much: str = ""


def confined(
    command: Callable[[Descriptors], list[str]],
    request: bytes,
    filter_program: bytes,
    *,
    seconds: float,
    printed_bytes: int,
    stop: int | None = None,
) -> Outcome:
    """Run one request to its end; blocks.

    Args:
        command: what to start, by the descriptors that it may name.
        request: what the process reads from standard input.
        filter_program: what it reads from the descriptor `filter`.
        seconds: time from when it is ready.
        printed_bytes: what it may print.
        stop: an eventfd; when it becomes readable the run is ended as if it were too late.

    Raises:
        OSError: if no process can be made.
    """
    with contextlib.ExitStack() as files:
        channel_out, channel_in = _pipe(files)
        info_out, info_in = _pipe(files)
        given = files.enter_context(_file(request))
        program = files.enter_context(_file(filter_program))
        passed = Descriptors(channel_in.fileno(), program.fileno(), info_in.fileno())
        process = subprocess.Popen(
            command(passed),
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(passed.channel, passed.filter, passed.info),
            env={},  # what a parent process was started with can be read in /proc
            start_new_session=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        files.enter_context(process.stdout)
        files.enter_context(process.stderr)
        for ours in (channel_in, info_in):
            ours.close()
        reader = files.enter_context(
            _Reader(process.stdout, process.stderr, channel_out, info_out, stop, printed_bytes)
        )
        try:
            reader.read(seconds)
        finally:
            reader.find_first()
            _end(process, reader.first)
        return reader.drained()


def _end(process: subprocess.Popen[bytes], first: int | None) -> None:
    """End the first process of the namespace, and so all others in it, whatever they have made of themselves.

    Its parent then ends by itself, having reaped it, so when it has ended nothing is left. The parent is killed only
    where no first process is known: killed while it sets one up, it would leave that waiting for ever.
    """
    if first is None:
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(first, signal.SIGKILL)
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass
class _Stream:
    """What came on one descriptor, up to a bound."""

    name: str
    file: IO[bytes]
    bound: int
    got: bytearray = field(default_factory=bytearray)

    def take(self) -> int | None:
        """Take what is there, at most a chunk: its size, 0 at the end, None if there is nothing now."""
        try:
            chunk = os.read(self.file.fileno(), _CHUNK)
        except BlockingIOError:
            return None
        self.got += chunk[: self.bound + 1 - len(self.got)]
        return len(chunk)

    @property
    def full(self) -> bool:
        return len(self.got) > self.bound


class _Reader:
    """Reads all streams of a process at once and decides when it is over."""

    def __init__(
        self,
        printed: IO[bytes],
        talk: IO[bytes],
        channel: IO[bytes],
        info: IO[bytes],
        stop: int | None,
        printed_bytes: int,
    ) -> None:
        self.printed = _Stream("printed", printed, printed_bytes)
        self.talk = _Stream("talk", talk, _TALK_BYTES)
        self.channel = _Stream("reply", channel, MESSAGE_BYTES)
        self.info = _Stream("info", info, _TALK_BYTES)
        self.outcome = Outcome()
        self.first: int | None = None
        self.selector = selectors.DefaultSelector()
        for stream in (self.printed, self.talk, self.channel, self.info):
            os.set_blocking(stream.file.fileno(), False)
            self.selector.register(stream.file, selectors.EVENT_READ, stream)
        if stop is not None:
            self.selector.register(stop, selectors.EVENT_READ, None)

    def read(self, seconds: float) -> None:
        """Read until there is nothing more to wait for."""
        deadline = time.monotonic() + START_SECONDS
        while not self.over():
            events = self.selector.select(max(0.0, deadline - time.monotonic()))
            if not events or any(key.data is None for key, _ in events):
                self.outcome.too_late = True
                return
            for key, _ in events:
                self.advance(key.data)
            if not self.outcome.started and self.channel.got.startswith(_READY):
                self.outcome.started = True
                deadline = time.monotonic() + seconds

    def find_first(self) -> None:
        """Wait for the id of the first process, if there is to be one: by it alone a run is ended for certain."""
        deadline = time.monotonic() + _END_SECONDS
        while self.first is None and not self.ended(self.talk) and time.monotonic() < deadline:
            for key, _ in self.selector.select(deadline - time.monotonic()):
                if key.data is None:
                    self.selector.unregister(key.fileobj)
                else:
                    self.advance(key.data)

    def advance(self, stream: _Stream) -> None:
        """Take what came on one stream."""
        if stream.take() == 0:
            self.selector.unregister(stream.file)
        if stream is self.info and self.first is None and stream.got.rstrip().endswith(b"}"):
            with contextlib.suppress(OSError):  # it has ended already
                self.first = os.pidfd_open(json.loads(stream.got)["child-pid"])

    def over(self) -> bool:
        """A reply, too much of something, or the end of the process, which alone closes its parent's own stream."""
        outcome = self.outcome
        for stream in (self.printed, self.channel):
            if stream.full:
                outcome.too_much = stream.name
        if outcome.started and outcome.reply is None:
            end = self.channel.got.find(b"\n", len(_READY))
            outcome.reply = bytes(self.channel.got[len(_READY) : end]) if end >= 0 else None
        return bool(outcome.too_much) or outcome.reply is not None or self.ended(self.talk)

    def ended(self, stream: _Stream) -> bool:
        """Whether the end of a stream has been read."""
        return all(key.data is not stream for key in self.selector.get_map().values())

    def drained(self) -> Outcome:
        """The outcome with what was written before the end and not read yet."""
        for stream in (self.printed, self.talk):
            while not stream.full and stream.take():
                pass
        outcome = self.outcome
        outcome.too_much = outcome.too_much or (self.printed.name if self.printed.full else "")
        outcome.printed = bytes(self.printed.got[: self.printed.bound])
        outcome.talk = self.talk.got.decode("utf-8", "replace").strip()
        return outcome

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.selector.close()
        if self.first is not None:
            os.close(self.first)


def _pipe(files: contextlib.ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    out, into = os.pipe()
    return (
        files.enter_context(os.fdopen(out, "rb", buffering=0)),
        files.enter_context(os.fdopen(into, "wb", buffering=0)),
    )


def _file(content: bytes) -> IO[bytes]:
    """A file in memory, open at its start: what is in a pipe would have to be written while the other side reads."""
    file = os.fdopen(os.memfd_create("flowbot"), "w+b", buffering=0)
    file.write(content)
    file.seek(0)
    return file
