"""The transport to an MCP server that is a program here: a message a line, on its standard input and output.

The SDK's own keeps whatever a program writes until a line ends. Here bytes are counted first. An answer that is too large, or
is no JSON that can be read, is replaced by an error to whoever asked; a program that sends what nobody asked for without end
has broken the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbot.fields.bounds import MESSAGE_BYTES, TOOL_BYTES
from flowbot.fields.secrets import hide_text

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.shared.message import SessionMessage

    Streams = tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]

TOO_LARGE = f"an answer of more than {MESSAGE_BYTES:,} bytes, or of too many values: ask for less"
_UNREADABLE = "an answer that is no JSON in valid Unicode"
_MOST_UNASKED = 16 * MESSAGE_BYTES
"""Bytes between two answers to what was asked. Each line counts as at least `_LEAST`, one that is too long as a message."""
_LEAST = 256
_MOST_LINE = 256 * MESSAGE_BYTES
"""Bytes of a line. One that is longer than a message is told to whoever asked, when it ends."""
_MOST_ID = 200
"""Bytes of a request's identifier, which an answer repeats."""
_MOST_UNREAD = MESSAGE_BYTES
"""Bytes that wait for a program to read them, beyond which it is answered nothing more."""
MOST_MARKS = 2 * TOOL_BYTES
"""Of a message: marks between values. One that is no picture holds a result twice at most, as text and as data; to check
values one by one takes longer than to read them."""
_KEPT = 400
"""Of a line that is too long, the bytes at each end that are kept to see whose answer it is."""
_CHUNK = 1 << 16
_END_SECONDS = 2.0
"""Time to end by itself when its input is closed, and again when it is told to."""
_LOOK_SECONDS = 0.01
_LAST_WORDS_SECONDS = 1.0
"""Time to read the last of its standard error, which a child of its own may hold open."""
_MOST_ERRORS = 4000
# What a program writes first or last in its object; what stands between may hold members of that name too.
_FIRST = re.compile(rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(\d{1,15})\s*,')
_LAST = re.compile(rb',\s*"id"\s*:\s*(\d{1,15})\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*\Z')


class Broken(Exception):
    """The program sent what ends the connection; the text says what."""


@dataclass
class Ending:
    """What a program has to say about its end.

    Args:
        fault: what it sent that ended the connection; "" where it was nothing of that kind.
        errors: the end of what it wrote on its standard error.
    """

    fault: str = ""
    errors: bytes = b""

    def last_line(self) -> str:
        """The last line of `errors`; values that were passed on to the program are not shown."""
        text = hide_text(self.errors.decode("utf-8", "replace"))
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1][:300] if lines else ""


class Lines:
    """Lines out of pieces of bytes; of one that is longer than a message, its two ends."""

    def __init__(self, most: int = MESSAGE_BYTES) -> None:
        self._most = most
        self._line = bytearray()
        self._size = 0
        self._long = False

    def feed(self, piece: bytes) -> Iterator[tuple[bytes, bool]]:
        """The lines that end in this piece, and whether each was too long.

        Raises:
            Broken: for a line that seems to have no end.
        """
        *ended, rest = piece.split(b"\n")
        for part in ended:
            self._add(part)
            yield bytes(self._line), self._long
            self._line.clear()
            self._size = 0
            self._long = False
        self._add(rest)

    def _add(self, part: bytes) -> None:
        self._line += part
        self._size += len(part)
        if self._size > _MOST_LINE:
            raise Broken("it sends a line without end")
        if len(self._line) > self._most or (self._long and len(self._line) > 2 * _KEPT):
            self._long = True
            del self._line[_KEPT:-_KEPT]


@asynccontextmanager
async def stdio_transport(
    command: Sequence[str], env: Mapping[str, str], folder: Path, ending: Ending, broke: Callable[[], None]
) -> AsyncGenerator[Streams]:
    """The streams of messages to and from a program, which is ended with the context.

    Args:
        command: the program and its arguments.
        env: its environment.
        folder: its working directory.
        ending: is told what the program has to say about its end.
        broke: called when the connection has ended.

    Raises:
        OSError: if it cannot be started.
        ValueError: if the command cannot be one.
    """
    import anyio
    from mcp.shared.dispatcher import coerce_request_id
    from mcp.shared.message import SessionMessage
    from mcp.types import JSONRPCError, JSONRPCRequest, JSONRPCResponse

    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(env),
        cwd=folder,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    writing, reading, erring = process.stdin, process.stdout, process.stderr
    came, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, sent = anyio.create_memory_object_stream[SessionMessage](0)
    asked: set[str | int] = set()

    async def read() -> None:
        lines, unasked = Lines(), 0
        async with came:
            while piece := await reading.read(_CHUNK):
                for line, long in lines.feed(piece):
                    message = _message(line, long)
                    unasked += MESSAGE_BYTES if long else max(len(line), _LEAST)
                    match message:
                        case JSONRPCResponse() | JSONRPCError() if message.id is not None:
                            own = coerce_request_id(message.id)
                            if own in asked:
                                asked.remove(own)
                                unasked = 0
                                await came.send(SessionMessage(message))
                        case JSONRPCRequest() if len(str(message.id).encode()) <= _MOST_ID:
                            if writing.transport.get_write_buffer_size() <= _MOST_UNREAD:
                                tell(_reply(message))  # here, for the SDK has a task for each
                        case _:
                            pass
                    if unasked > _MOST_UNASKED:
                        raise Broken("it sends without end what nobody asked for")

    def tell(message: Any) -> None:
        writing.write(message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")

    async def write() -> None:
        async with sent:
            async for each in sent:
                if isinstance(each.message, JSONRPCRequest):
                    asked.add(each.message.id)
                tell(each.message)
                await writing.drain()

    async def guarded(work: Callable[[], Any]) -> None:
        try:
            await work()
        except Broken as fault:
            ending.fault = ending.fault or str(fault)
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # the program, or the session, has ended
        broke()
        came.close()  # whoever waits for an answer learns that none will come

    async def listen() -> None:
        """Read what it writes on its standard error, so that it never has to wait, and keep the end."""
        while chunk := await erring.read(_CHUNK):
            ending.errors = (ending.errors + chunk)[-_MOST_ERRORS:]

    work = (guarded(read), guarded(write), listen())
    tasks = [asyncio.create_task(each, name="flowbot-mcp-stdio") for each in work]
    try:
        yield incoming, outgoing
    finally:
        for stream in (incoming, outgoing, came, sent):
            stream.close()
        ended = asyncio.ensure_future(_end(process, tasks))
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError:
            await asyncio.wait([ended])
            raise


def marks(piece: bytes | bytearray) -> int:
    """How many marks between values there are in a piece of JSON, and of its texts."""
    return piece.count(b"[") + piece.count(b"{") + piece.count(b",")


def _message(line: bytes, long: bool) -> Any:
    """The message in a line; None for what is printed where it should not be.

    Raises:
        Broken: for an answer that cannot be read nor told whose it is.
    """
    from mcp import types

    if not long and not line.lstrip().startswith(b"{"):
        return None
    fault = TOO_LARGE
    if not long and marks(line) <= MOST_MARKS:
        try:
            return types.jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError:
            fault = _UNREADABLE
    found = _FIRST.match(line) or _LAST.search(line[-_KEPT:])
    if found is None:
        raise Broken(fault)
    error = types.ErrorData(code=types.PARSE_ERROR, message=fault)
    return types.JSONRPCError(jsonrpc="2.0", id=int(found[1]), error=error)


def _reply(request: Any) -> Any:
    """What a server is told that asks something: that we are here, or that we do nothing for it."""
    from mcp import types

    if request.method == "ping":
        return types.JSONRPCResponse(jsonrpc="2.0", id=request.id, result={})
    error = types.ErrorData(code=types.METHOD_NOT_FOUND, message="Method not found")
    return types.JSONRPCError(jsonrpc="2.0", id=request.id, error=error)


async def _end(process: asyncio.subprocess.Process, tasks: Sequence[asyncio.Task[None]]) -> None:
    """End the program and what it started, in bounded time: it may heed nothing, and hold its output open."""
    assert process.stdin is not None
    process.stdin.close()
    for number in (None, signal.SIGTERM, signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM):
        if process.returncode is None and number is not None:
            _signal(process, number)
        if await _ended(process):
            break
    if sys.platform != "win32":  # it may have ended before what it started
        _signal(process, signal.SIGKILL)
    *_, listening = tasks
    await asyncio.wait([listening], timeout=_LAST_WORDS_SECONDS)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    transport: Any = getattr(process, "_transport", None)  # a child of its own may hold the pipes open for ever
    if transport is not None:
        transport.close()


async def _ended(process: asyncio.subprocess.Process) -> bool:
    """Whether it ends soon. Looked at, because waiting for it waits for its pipes too."""
    until = asyncio.get_running_loop().time() + _END_SECONDS
    while process.returncode is None and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(_LOOK_SECONDS)
    return process.returncode is not None


def _signal(process: asyncio.subprocess.Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, number)
