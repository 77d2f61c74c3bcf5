"""Where the tap sits: the `send` of httpx's and httpx2's clients, sync and async, through which the SDKs of most providers talk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache, partial
from threading import Lock
from typing import Any

import wrapt

from flowbot.fields import InfrastructureError
from flowbot.fields.secrets import declare_headers, hide_text, is_secret_header
from flowbot.lm.client import Raw, Reply

from .asked import Answer, Asked, dialect_of
from .started import follow
from .tap import Tap, tapping

LIBRARIES = ("httpx", "httpx2")
_seen: set[tuple[bytes, ...]] = set()
"""What stood in headers that hold secrets, and is declared, so that this is done once."""
_PIECE = 16_384
"""Bytes of a streamed body that are handed out at once."""
_lock = Lock()
_installed = False


def install() -> None:
    """Put the tap in place, once in a process: into the libraries that are imported, and into others when they are.

    Where `tapping` is None all of it does what it did before.
    """
    global _installed
    with _lock:
        if not _installed:
            _installed = True
            follow()
            for name in LIBRARIES:
                wrapt.register_post_import_hook(_patch, name)


def _patch(library: Any) -> None:
    wrapt.wrap_function_wrapper(library, "Client.send", partial(_send, library))
    wrapt.wrap_function_wrapper(library, "AsyncClient.send", partial(_asend, library))


def _send(library: Any, wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    tap, request = tapping.get(), args[0] if args else kwargs.get("request")
    if tap is None or (asked := _asked(tap, request)) is None:
        return wrapped(*args, **kwargs)

    def once() -> Answer:
        with _faults(library, asked):
            return _answer(wrapped(*args, **{**kwargs, "stream": False}))

    return _response(library, request, tap.call(asked, once), streamed=bool(kwargs.get("stream")))


async def _asend(
    library: Any,
    wrapped: Callable[..., Coroutine[Any, Any, Any]],
    client: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    tap, request = tapping.get(), args[0] if args else kwargs.get("request")
    if tap is None or (asked := _asked(tap, request)) is None:
        return await wrapped(*args, **kwargs)

    async def once() -> Answer:
        with _faults(library, asked):
            try:
                return _answer(await wrapped(*args, **{**kwargs, "stream": False}))
            finally:
                if client.is_closed:  # by a program that waits no more: what was opened since then is closed as well
                    await client.__aexit__()

    return _response(library, request, await tap.acall(asked, once), streamed=bool(kwargs.get("stream")))


def _asked(tap: Tap, request: Any) -> Asked | None:
    """The request to a model that it is; None where it is none, or this is a fork, from where it goes to the tap's own proxy."""
    if request.method != "POST" or dialect_of(request.url.path) is None:
        return tap.let_pass(str(request.url), request.headers)
    if not tap.at_home:
        request.url = type(request.url)(tap.elsewhere(str(request.url)))
        request.headers["host"] = request.url.netloc.decode()
        return None
    try:
        body: bytes = request.content
    except RuntimeError:  # it is made while it is sent, as a file is: no request to a model
        return None
    # As bytes: httpx decodes them all for each name that is looked up.
    given: dict[bytes, bytes] = {name.lower(): value for name, value in request.headers.raw}
    keys = tuple(value for name, value in given.items() if _holds_secret(name))
    if keys not in _seen:
        _seen.add(keys)
        declare_headers(request.headers)
    told = {name.decode("latin-1"): value.decode("latin-1") for name, value in given.items()}
    return tap.read(str(request.url), told, body)


@cache
def _holds_secret(name: bytes) -> bool:
    return is_secret_header(name.decode("latin-1"))


def _answer(response: Any) -> Answer:
    return Answer(response.status_code, response.headers, response.content)


def _response(library: Any, request: Any, reply: Reply, *, streamed: bool) -> Any:
    """The answer as the program gets it: the same when it is replayed as at first."""
    raw = reply.raw or Raw(200, "", "")
    body = raw.body.encode()
    content: dict[str, Any] = {"stream": _body(library)(body)} if streamed else {"content": body}
    headers = {"content-type": raw.type}
    if raw.status >= 400:
        headers["x-should-retry"] = "false"  # as the SDKs of OpenAI and Anthropic read it: the same would come again
    response = library.Response(
        raw.status, headers=headers, request=request, extensions={"http_version": b"HTTP/1.1"}, **content
    )
    response.elapsed = timedelta(seconds=reply.seconds)
    return response


class _Body:
    """A body that is handed out bit by bit, to whoever reads it in either way."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._body), _PIECE):
            yield self._body[start : start + _PIECE]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece

    def close(self) -> None:
        """Nothing is open."""

    async def aclose(self) -> None:
        """Nothing is open."""


@cache
def _body(library: Any) -> Callable[[bytes], Any]:
    """That of a library, which looks at the classes of what it reads."""
    return type("Body", (_Body, library.SyncByteStream, library.AsyncByteStream), {})


@contextmanager
def _faults(library: Any, asked: Asked) -> Generator[None]:
    """What a library says of a request that met none or half an answer, as an infrastructure fault."""
    try:
        yield
    except library.RequestError as error:
        shown = f"{asked.identity.base_url}: {type(error).__name__}: {hide_text(str(error))[:200]}"
        late = isinstance(error, library.TimeoutException)
        never = isinstance(error, library.UnsupportedProtocol | library.TooManyRedirects)
        raise InfrastructureError(shown, kind="timeout" if late else "connection", fatal=never) from None
