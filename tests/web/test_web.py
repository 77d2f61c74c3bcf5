"""Who may ask, how much, and how a server ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from web_help import on_port

from flowbot.fields import UserError
from flowbot.web.extra import require_extra
from flowbot.web.gone import ClientGone, Cut, while_there
from flowbot.web.guard import Guard
from flowbot.web.server import listening

KEY = "a key of many words"


async def echo(request: Request) -> Response:
    return PlainTextResponse(await request.body())


def guarded(**settings: Any) -> Guard:
    routes = [Route(path, echo, methods=["GET", "POST"]) for path in ("/", "/open")]
    return Guard(Starlette(routes=routes), **settings)


async def asked(url: str, method: str = "GET", **request: Any) -> tuple[int, str]:
    async with aiohttp.ClientSession() as http, http.request(method, url, **request) as answer:
        return answer.status, await answer.text()


async def test_small_writes_go_out_at_once() -> None:
    """The head and the body of an answer are two writes: held back until the first is acknowledged, the second comes 40 ms late."""
    at_once = asyncio.get_running_loop().create_future()

    def came(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        at_once.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with listening() as listener:
        async with await asyncio.start_server(came, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            assert await at_once
            writer.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "[::1]:80"}, 200),
        ({"Host": "flows.example.org:443"}, 200),
        ({"Host": "localhost.evil.org"}, 403),
        ({"Host": "me@localhost"}, 403),
        ({"Host": "[broken"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "localhost", "Origin": "http://localhost"}, 200),
        ({"Host": "localhost", "Origin": "http://localhost:3000"}, 403),
        ({"Origin": "https://evil.org"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
async def test_no_other_site_may_ask(headers: dict[str, str], status: int) -> None:
    async with on_port(guarded(names=["flows.example.org"])) as (url, _):
        assert (await asked(url, headers=headers))[0] == status


async def test_a_key_is_asked_for_but_on_public_paths_and_never_told() -> None:
    async with on_port(guarded(key=KEY, public=["/open"])) as (url, _):
        bearer, plain = {"Authorization": f"Bearer {KEY}"}, {"X-Api-Key": KEY}
        assert [(await asked(url, headers=each))[0] for each in (bearer, plain)] == [200, 200]
        assert (await asked(f"{url}/open"))[0] == 200
        status, text = await asked(url, headers={"Authorization": "Bearer another"})
        assert (status, KEY in text, "another" in text) == (401, False, False)


async def test_who_reads_no_answer_before_all_is_sent_is_told_too() -> None:
    async with on_port(guarded(most_bytes=100)) as (url, _):
        client = HTTPConnection(urlsplit(url).netloc, timeout=60)

        def told() -> int:
            client.request("POST", "/", b"x" * 20 * 2**20, {"Connection": "close"})
            return client.getresponse().status

        assert await asyncio.to_thread(told) == 413
        reader, writer = await asyncio.open_connection(client.host, client.port)
        head = f"POST / HTTP/1.1\r\nHost: {client.host}\r\nExpect: 100-continue\r\nContent-Length: 101\r\n\r\n"
        writer.write(head.encode())  # who asks first is told before anything is sent
        assert b"413" in await reader.readline()
        writer.close()
        client.close()


async def test_a_body_has_a_largest_size_said_or_not() -> None:
    async def slices() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"x" * 10

    async with on_port(guarded(most_bytes=100)) as (url, _):
        assert await asked(url, "POST", data=b"x" * 100) == (200, "x" * 100)
        for body in (b"x" * 101, slices()):
            status, text = await asked(url, "POST", data=body)
            assert status == 413
            assert "body: found more than 100 bytes" in text


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async with on_port(guarded(seconds=0.05)) as (url, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc")
        text = await reader.read()  # to its end: the connection is closed
        writer.close()
        assert text.startswith(b"HTTP/1.1 408")


async def test_however_many_requests_end_at_once_one_timer_looks_after_them(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, timers = asyncio.get_running_loop(), list[float]()
    call_later = loop.call_later

    def counted(after: float, *call: Any) -> asyncio.TimerHandle:
        timers.append(after)
        return call_later(after, *call)

    monkeypatch.setattr(loop, "call_later", counted)
    for _ in range(20):
        Cut(60).off()
    assert len(timers) == 1
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), 3 * timers[0])
    cut = Cut(0)  # there is one again, now that none is left
    with pytest.raises(asyncio.CancelledError):
        await asyncio.Event().wait()
    assert cut.owns()


async def test_work_for_a_client_that_has_gone_is_cancelled() -> None:
    began, ended = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def slow(request: Request) -> Response:
        _ = await request.body()
        try:
            with while_there(request.receive):
                began.set()
                await asyncio.sleep(60)
        except ClientGone as error:
            ended.set_result(error)
        return Response(status_code=499)

    async with on_port(Guard(Starlette(routes=[Route("/", slow, methods=["POST"])]))) as (url, _):
        asking = asyncio.create_task(asked(url, "POST", data=b"x"))
        await began.wait()
        asking.cancel()
        assert isinstance(await asyncio.wait_for(ended, 5), ClientGone)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
async def test_at_a_signal_what_is_under_way_is_answered_and_nothing_new_taken() -> None:
    began, go = asyncio.Event(), asyncio.Event()

    async def slow(_: Request) -> Response:
        began.set()
        await go.wait()
        return PlainTextResponse("done")

    async with on_port(Starlette(routes=[Route("/", slow)])) as (url, server):
        asking = asyncio.create_task(asked(url))
        await began.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        while server.servers[0].is_serving():  # noqa: ASYNC110 — uvicorn has no event for it
            await asyncio.sleep(0.01)
        with pytest.raises(aiohttp.ClientConnectionError):
            await asked(url)
        go.set()
        assert await asking == (200, "done")


def test_a_port_that_is_taken_or_none_is_told() -> None:
    with listening() as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"--port {port}: found Address already in use"):
            listening(port=port)
    with pytest.raises(UserError, match="--port: found 70000"):
        listening(port=70000)
    with pytest.raises(UserError, match="found Cannot assign"):
        listening("203.0.113.1", 1)


def test_what_is_not_installed_is_told_with_what_installs_it() -> None:
    with pytest.raises(UserError, match=r"flowbot serve: found no package nosuch; pip install -e '\.\[serve\]'"):
        require_extra("flowbot serve", "serve", "starlette", "nosuch")


async def test_what_is_due_is_done_on_its_own_loop_and_what_is_dropped_is_not() -> None:
    async def ended(cut: list[Cut], seconds: float) -> bool:
        cut.append(own := Cut(seconds))
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            return own.owns()
        return False

    cuts: list[Cut] = []
    assert await ended(cuts, 0.0)
    waiting = asyncio.create_task(ended(cuts, 3600.0))
    dropped = asyncio.create_task(ended(cuts, 0.05))
    await asyncio.sleep(0)
    cuts[-1].off()
    await asyncio.sleep(0.4)
    assert not waiting.done()
    assert not dropped.done()
    for each in (waiting, dropped):
        each.cancel()
        assert not await each  # somebody else wanted it to end
