"""Everything that can go wrong between us and an endpoint, sent byte by byte; and how long the wire waits for it."""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import socket
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any

import pytest
from endpoint_help import KEY, Peer, RawEndpoint, raw
from lm_helpers import request, until

from flowbot.fields import InfrastructureError
from flowbot.lm import wire as wire_module
from flowbot.lm.client import Identity, Patience
from flowbot.lm.http_faults import HttpFault, retry_after_seconds
from flowbot.lm.openai import OpenAIClient
from flowbot.lm.waits import Deadline, Waits
from flowbot.lm.wire import Wire

GOOD = b'{"choices": [{"message": {"content": "hi"}}]}'
HEAD = b"HTTP/1.1 200 OK\r\n"
SHORT = Patience(0.3)


def answer(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"", body])


def playing(data: bytes) -> Callable[[Peer], Awaitable[None]]:
    """Answers one request with `data` and hangs up."""

    async def play(peer: Peer) -> None:
        await peer.asked()
        await peer.send(data)

    return play


async def post(wire: Wire, patience: Patience | None = None) -> dict[str, Any]:
    try:
        return await wire.post("chat/completions", {"model": "x"}, patience)
    finally:
        await wire.close()


async def fault(wire: Wire, patience: Patience | None = None) -> InfrastructureError:
    with pytest.raises(InfrastructureError) as caught:
        await post(wire, patience)
    assert KEY not in str(caught.value)
    return caught.value


async def fault_of(data: bytes) -> InfrastructureError:
    async with raw(playing(data)) as endpoint:
        found = await fault(endpoint.wire())
        assert endpoint.connections == 1
        return found


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
GARBAGE = {
    "no status line": b"hello there\r\n\r\n",
    "an unknown version": b"HTTP/9 200 OK\r\n\r\n",
    "a status that is no number": b"HTTP/1.1 abc OK\r\n\r\n",
    "a head that breaks off": b"HTTP/1.1 200 OK\r\nContent-Le",
    "a header without end": HEAD + b"X: " + b"a" * 100_000 + b"\r\n\r\n",
    "headers without end": HEAD + b"".join(b"X%d: a\r\n" % n for n in range(3000)),
    "less than it announced": HEAD + b"Content-Length: 1000\r\n\r\n" + GOOD,
    "a length that is none": HEAD + b"Content-Length: ten\r\n\r\n" + GOOD,
    "two lengths": HEAD + b"Content-Length: 5\r\nContent-Length: 45\r\n\r\n" + GOOD,
    "chunks without end": CHUNKED + b"%x\r\n" % len(GOOD) + GOOD + b"\r\n",
    "a chunk's size that is none": CHUNKED + b"zz\r\n" + GOOD + b"\r\n",
    "no chunks": CHUNKED + b"0\r\n\r\n",
    "bad gzip": answer(GOOD, b"Content-Encoding: gzip"),
    "a packing that nobody asked for": answer(GOOD, b"Content-Encoding: br"),
    "another protocol": b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nabc",
    "nothing": answer(b""),
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "HTML": answer(b"<html>Log in</html>", b"Content-Type: text/html"),
    "half an object": answer(GOOD[:-5], b"Content-Type: application/json"),
    "a list": answer(b"[1]"),
    "UTF-16": answer(GOOD.decode().encode("utf-16")),
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_is_tried_again(data: bytes) -> None:
    found = await fault_of(data)
    assert (found.kind, found.fatal) == ("garbage", False)
    assert "\n" not in str(found)


ACCEPTED = {
    "an unknown content type": answer(GOOD, b"Content-Type: text/html; charset=klingon"),
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n" + GOOD,
    "another success": answer(GOOD, status=b"201 Created"),
    "a status without a reason": answer(GOOD, status=b"200"),
    "gzip": answer(gzip.compress(GOOD), b"Content-Encoding: gzip"),
    "chunks": CHUNKED + b"5\r\n" + GOOD[:5] + b"\r\n%x\r\n" % (len(GOOD) - 5) + GOOD[5:] + b"\r\n0\r\n\r\n",
    "answers before the answer": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n"
    + answer(GOOD),
    "a byte order mark": answer(b"\xef\xbb\xbf" + GOOD),
}


@pytest.mark.parametrize("data", ACCEPTED.values(), ids=ACCEPTED.keys())
async def test_what_is_odd_but_clear_is_accepted(data: bytes) -> None:
    async with raw(playing(data)) as endpoint:
        assert await post(endpoint.wire()) == json.loads(GOOD)


async def test_a_number_of_endless_digits_costs_that_number_and_not_the_answer() -> None:
    async with raw(playing(answer(b'{"choices": [1], "usage": {"a": ' + b"1" * 10_000 + b"}}"))) as endpoint:
        assert await post(endpoint.wire()) == {"choices": [1], "usage": {"a": math.inf}}


async def test_a_byte_that_is_no_utf8_costs_that_character() -> None:
    async with raw(playing(answer('{"choices": ["é"]}'.encode("latin-1")))) as endpoint:
        assert await post(endpoint.wire()) == {"choices": ["\ufffd"]}


@pytest.mark.parametrize(
    ("status", "body", "kind", "fatal", "said"),
    [
        (b"500 Oops", b"", "server", False, "500: no text"),
        (b"503 Busy", b"<html><body>Please\n <b>wait</b></body></html>", "server", False, "503: Please wait"),
        (b"502 Bad", b'{"error": "upstream"}', "server", False, "502: upstream"),
        (b"500 Oops", b'{"error": {"message": null, "innererror": "x"}}', "server", False, "500:"),
        (b"999 Odd", b"[]", "server", False, "999"),
        (b"429 Slow", b"\xff\xfe", "rate_limit", False, "429"),
        (b"401 No", b'{"error": {"message": "the key has expired"}}', "auth", True, "the key has expired"),
        (b"404 No", b'{"detail": "no such model"}', "not_found", True, "no such model"),
        (b"413 Large", b"too much", "other", True, "too much"),
    ],
)
async def test_error_statuses_with_whatever_body(status: bytes, body: bytes, kind: str, fatal: bool, said: str) -> None:
    found = await fault_of(answer(body, status=status))
    assert isinstance(found, HttpFault)
    assert (found.kind, found.fatal) == (kind, fatal)
    assert said in str(found)


@pytest.mark.parametrize("code", [429, "429"])
async def test_an_error_that_is_sent_as_a_success(code: int | str) -> None:
    found = await fault_of(answer(json.dumps({"error": {"message": "busy", "code": code}}).encode()))
    assert (found.kind, found.fatal) == ("rate_limit", False)


async def test_a_redirect_is_named_and_not_followed() -> None:
    data = answer(b"", b"Location: https://elsewhere.example/?key=" + KEY.encode(), status=b"307 Moved")
    found = await fault_of(data)
    assert (found.kind, found.fatal) == ("other", True)
    assert "redirects to https://elsewhere.example/?key=[secret], which is not followed" in str(found)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After": "1e9"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 -0000"}, 0.0),
        ({"Retry-After": "Wed, 21 Oct 9999 07:28:00 GMT"}, None),
        ({"Retry-After": "Wed, 99 Oct 99999999999999999999 07:28:00 GMT"}, None),
        ({"Retry-After-Ms": "1500", "Retry-After": "9"}, 1.5),
        ({"Retry-After-Ms": "soon", "Retry-After": "9"}, 9.0),
    ],
)
def test_how_long_an_endpoint_asks_to_wait(headers: dict[str, str], expected: float | None) -> None:
    assert retry_after_seconds(headers) == expected


def test_a_date_to_retry_after() -> None:
    asked = retry_after_seconds({"Retry-After": formatdate(usegmt=True)})
    assert asked == 0.0
    from_now = retry_after_seconds({"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"})
    assert from_now is None  # further away than any wait that is meant


async def test_an_endless_body_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_module, "MESSAGE_BYTES", 1_000_000)

    async def play(peer: Peer) -> None:
        await peer.asked()
        await peer.send(HEAD + b"\r\n")
        while True:
            await peer.send(b" " * 65536)

    async with raw(play) as endpoint:
        found = await fault(endpoint.wire())
    assert (found.kind, found.fatal) == ("garbage", False)
    assert "more than 1,000,000 bytes" in str(found)


async def test_a_body_that_unpacks_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_module, "MESSAGE_BYTES", 1_000_000)
    found = await fault_of(answer(gzip.compress(b" " * 20_000_000), b"Content-Encoding: gzip"))
    assert (found.kind, found.fatal) == ("garbage", False)


@pytest.mark.parametrize(
    ("sent", "kind"),
    [(b"", "connection"), (b"HTTP/1.1 200", "connection"), (HEAD + b"Content-Length: 99\r\n\r\n{", "garbage")],
)
async def test_a_reset_before_while_and_after_the_headers(sent: bytes, kind: str) -> None:
    arrived = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.asked()
        await peer.send(sent)
        peer.reset()
        arrived.set()

    async with raw(play) as endpoint:
        found = await fault(endpoint.wire())
    assert arrived.is_set()
    # A reset throws away what was not read yet, so how far the answer came cannot be relied on.
    assert found.kind in (kind, "connection")
    assert not found.fatal


async def test_a_connection_that_is_closed_at_once() -> None:
    async def play(peer: Peer) -> None:
        peer.close()

    async with raw(play) as endpoint:
        found = await fault(endpoint.wire())
        assert endpoint.connections == 1
    assert (found.kind, found.fatal) == ("connection", False)


async def test_nobody_at_the_port_is_no_connection() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        found = await fault(Wire(f"http://127.0.0.1:{taken.getsockname()[1]}"))
    assert (found.kind, found.fatal) == ("connection", False)


async def test_an_unknown_host_is_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*given: Any, **more: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    monkeypatch.setattr(wire_module, "getproxies", dict)
    found = await fault(Wire("http://models.invalid/v1"))
    assert (found.kind, found.fatal) == ("connection", False)
    assert "models.invalid" in str(found)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_an_endpoint_that_speaks_no_tls(said: bytes) -> None:
    async def play(peer: Peer) -> None:
        await peer.send(said)

    async with raw(play) as endpoint:
        found = await fault(Wire(endpoint.base.replace("http:", "https:")))
    assert (found.kind, found.fatal) == ("connection", False)


async def _answers_once(peer: Peer) -> None:
    """Answers the first request of a connection, and hangs up when the next one comes."""
    await peer.asked()
    await peer.send(answer(GOOD))
    await peer.asked()


async def test_a_kept_connection_that_is_dead_is_replaced() -> None:
    async with raw(_answers_once) as endpoint:
        wire = endpoint.wire()
        for _ in range(3):
            assert await wire.post("x", {}) == json.loads(GOOD)
        await wire.close()
        assert endpoint.connections == 3


async def test_a_dead_connection_is_replaced_once() -> None:
    async def play(peer: Peer) -> None:
        await (_answers_once(peer) if peer.number == 1 else peer.asked())

    async with raw(play) as endpoint:
        wire = endpoint.wire()
        await wire.post("x", {})
        found = await fault(wire)
        assert (found.kind, endpoint.connections) == ("connection", 2)


@pytest.mark.parametrize("begun", [b"HTTP/1.1 200 OK\r\n", HEAD + b"Content-Length: 99\r\n\r\n"])
async def test_what_has_begun_to_answer_is_not_asked_again(begun: bytes) -> None:
    async def play(peer: Peer) -> None:
        await peer.asked()
        await peer.send(answer(GOOD))
        await peer.asked()
        await peer.send(begun)

    async with raw(play) as endpoint:
        wire = endpoint.wire()
        await wire.post("x", {})
        found = await fault(wire)
        assert (found.kind, endpoint.connections) == ("garbage", 1)


def _after_a_first(play: Callable[[Peer], Awaitable[None]]) -> Callable[[Peer], Awaitable[None]]:
    """Answers one request before it: on a busy machine opening a connection can outlast a short patience by itself."""

    async def both(peer: Peer) -> None:
        await peer.asked()
        await peer.send(answer(GOOD))
        await play(peer)

    return both


async def _holds(peer: Peer) -> None:
    await peer.asked()
    await peer.hold()


async def test_a_hang_after_the_connection_is_cut() -> None:
    async with raw(_after_a_first(_holds)) as endpoint:
        wire = endpoint.wire()
        await wire.post("x", {})
        found = await fault(wire, SHORT)
    assert (found.kind, found.fatal) == ("timeout", False)
    assert "no answer within 0.3 s" in str(found)


@pytest.mark.parametrize(("stretch", "told"), [(1.0, "no answer within 0.3 s"), (2.0, "no answer within 0.6 s")])
async def test_without_patience_the_wires_own_holds_and_grows_with_the_stretch(stretch: float, told: str) -> None:
    async with raw(_after_a_first(_holds)) as endpoint:
        wire = endpoint.wire(seconds=0.3)
        await wire.post("x", {}, Patience(30.0))
        assert told in str(await fault(wire, Patience(stretch=stretch)))


async def _drip(peer: Peer, data: bytes) -> None:
    for byte in data:
        await peer.send(bytes([byte]))
        await asyncio.sleep(0.01)


async def _drips_headers(peer: Peer) -> None:
    await peer.asked()
    await _drip(peer, HEAD + b"X: " + b"a" * 1000)


async def _drips_body(peer: Peer) -> None:
    await peer.asked()
    await peer.send(HEAD + b"\r\n")
    await _drip(peer, b" " * 1000)


async def _stalls(peer: Peer) -> None:
    await peer.asked()
    await peer.send(HEAD + b"Content-Length: 1000\r\n\r\n{")
    await peer.hold()


@pytest.mark.parametrize(
    ("play", "said"),
    [(_drips_headers, "no answer"), (_drips_body, "the answer did not end"), (_stalls, "the answer did not end")],
)
async def test_a_slow_drip_and_a_stall_are_cut(play: Callable[[Peer], Awaitable[None]], said: str) -> None:
    async with raw(_after_a_first(play)) as endpoint:
        wire = endpoint.wire()
        await wire.post("x", {})
        found = await fault(wire, Patience(0.5))
    assert (found.kind, found.fatal) == ("timeout", False)
    assert f"{said} within 0.5 s" in str(found)


async def test_a_name_look_up_that_hangs_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*given: Any, **more: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", hang)
    monkeypatch.setattr(wire_module, "getproxies", dict)
    found = await fault(Wire("http://models.invalid/v1"), SHORT)
    assert (found.kind, found.fatal) == ("timeout", False)
    assert "no connection within 0.3 s" in str(found)


async def test_a_cancelled_call_is_cancelled_and_no_time_out() -> None:
    async with raw(Peer.hold) as endpoint:
        wire = endpoint.wire()
        call = asyncio.ensure_future(wire.post("x", {}))
        await until(lambda: endpoint.connections == 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await wire.close()


async def test_five_hundred_at_once_keep_their_connections() -> None:
    all_there = asyncio.Event()
    there = 0

    async def play(peer: Peer) -> None:
        nonlocal there
        await peer.asked()
        there += 1
        if there == 500:
            all_there.set()
        await all_there.wait()
        while True:
            await peer.send(answer(GOOD))
            await peer.asked()

    async with raw(play) as endpoint:
        wire = endpoint.wire(seconds=120.0)
        for _ in range(2):
            await asyncio.gather(*(wire.post("x", {}) for _ in range(500)))
        await wire.close()
        assert endpoint.connections == 500


@pytest.mark.parametrize(
    "body",
    [
        {"choices": []},
        {"choices": None},
        {"choices": [{"message": None}]},
        {"choices": [{"message": "hi"}]},
        {"choices": [{"message": {"content": 3}}]},
        {"choices": [{"message": {"content": {"text": "x"}}}]},
        {"choices": {"message": {"content": "x"}}},
        {"id": "x"},
    ],
    ids=json.dumps,
)
async def test_an_answer_without_a_message_is_garbage(body: dict[str, Any]) -> None:
    async with raw(playing(answer(json.dumps(body).encode()))) as endpoint:
        client = _client(endpoint)
        with pytest.raises(InfrastructureError) as caught:
            await client.complete(request())
        await client.close()
    assert (caught.value.kind, caught.value.fatal) == ("garbage", False)


@pytest.mark.parametrize("message", [{}, {"content": ""}, {"content": None}, {"content": []}], ids=json.dumps)
async def test_an_empty_reply_is_a_reply(message: dict[str, Any]) -> None:
    body = {"choices": [{"message": message, "finish_reason": "stop"}]}
    async with raw(playing(answer(json.dumps(body).encode()))) as endpoint:
        client = _client(endpoint)
        reply = await client.complete(request())
        await client.close()
    assert (reply.text, reply.finish, reply.calls) == ("", "stop", ())


async def test_a_key_that_expires_after_some_calls() -> None:
    async def play(peer: Peer) -> None:
        await peer.asked()
        await peer.send(answer(GOOD))
        await peer.asked()
        said = json.dumps({"error": {"message": f"The key {KEY} has expired"}}).encode()
        await peer.send(answer(said, status=b"401 Unauthorized"))

    async with raw(play) as endpoint:
        client = _client(endpoint)
        assert (await client.complete(request())).text == "hi"
        with pytest.raises(InfrastructureError, match=r"The key \[secret\] has expired") as caught:
            await client.complete(request())
        await client.close()
    assert (caught.value.kind, caught.value.fatal) == ("auth", True)


def _client(endpoint: RawEndpoint) -> OpenAIClient:
    return OpenAIClient(Identity("openai", endpoint.base, "gpt-x"), endpoint.wire())


def test_connections_are_waited_for_as_long_as_those_before_suggest() -> None:
    waits = Waits(300.0)
    assert (waits.connecting(1.0), waits.connecting(2.0)) == (15.0, 30.0)
    for _ in range(5):
        waits.connected(0.01)
    assert (waits.connecting(1.0), waits.connecting(4.0)) == (2.0, 8.0)
    waits.connected(1.0)
    assert waits.connecting(1.0) == 4.0
    waits.connected(10.0)
    assert waits.connecting(1.0) == 15.0
    for _ in range(20):
        waits.connected(0.01)
    assert waits.connecting(1.0) == 2.0


def test_headers_that_come_early_are_soon_missed() -> None:
    waits = Waits(300.0)
    for _ in range(20):
        assert waits.first_byte(1.0) == math.inf
        waits.answered(0.1, 8.0)
    assert (waits.first_byte(1.0), waits.first_byte(2.0)) == (2.0, 4.0)
    waits.answered(3.0, 8.0)
    assert waits.first_byte(1.0) == 9.0


def test_headers_that_come_with_the_answer_say_nothing_about_a_longer_one() -> None:
    waits = Waits(300.0)
    for _ in range(100):
        waits.answered(1.0, 1.01)
    assert waits.first_byte(1.0) == math.inf


async def test_a_deadline_moves_on_with_its_try() -> None:
    waits = Waits(300.0)
    for _ in range(20):
        waits.answered(1.0, 9.0)
    began = asyncio.get_running_loop().time() + 1000.0
    deadline = Deadline(waits, Patience(20.0), began)
    assert (deadline.when, deadline.struck) == (began + 3.0, "no answer within 3 s")
    deadline.connecting(began + 0.5)
    assert (deadline.when, deadline.struck) == (began + 15.5, "no connection within 15 s")
    deadline.connected(began + 6.0)
    assert (deadline.when, deadline.struck) == (began + 9.0, "no answer within 3 s")
    deadline.answering(began + 8.0, whole=False)
    assert (deadline.when, deadline.struck) == (began + 20.0, "the answer did not end within 20 s")


async def test_no_stage_outlasts_the_whole() -> None:
    began = asyncio.get_running_loop().time() + 1000.0
    deadline = Deadline(Waits(300.0), Patience(4.0, 8.0), began)
    assert (deadline.when, deadline.struck) == (began + 4.0, "no answer within 4 s")
    deadline.connecting(began)
    assert (deadline.when, deadline.struck) == (began + 4.0, "no connection within 4 s")
