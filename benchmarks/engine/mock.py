"""The mock endpoint: OpenAI's chat completions and responses, with a set latency and set faults. One process.

    python mock.py [PORT]

Prints its port, then serves on the loopback address until its standard input ends. GET /_stats tells its counters, POST
/_ctl sets them (see `Mock.control`). Each answer is the text TEXT, in the form the request asks for: plain, between DSPy's
field markers, or as a JSON object that fits the request's schema. Whether a request meets a fault depends on the seed, its
body and how often that body came before, so that the order of arrival decides nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import socket
import struct
import sys
from collections import Counter
from contextlib import suppress
from hashlib import blake2b
from typing import Any

import httptools
import uvloop

TEXT = "step result 42"
READ, WRITTEN = 120, 20
"""Tokens that every answer claims."""
FAULTS = ("429", "500", "reset", "hang", "garbage", "truncated", "429 at once", "500 at once")
"""Faults come after the latency, as an answer does, but for those that say otherwise."""
_MARKERS = re.compile(r"\[\[ ## (\w+) ## \]\]")
_ASKED = "Respond with the corresponding output fields"


class Mock:
    """What all connections share: the settings and the counters."""

    def __init__(self) -> None:
        self.latency = 0.0
        self.seed = 0
        self.shares: dict[str, float] = {}
        self.in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Set the counters to nothing."""
        self.peak = self.in_flight
        self.connections = 0
        self.told = 0
        self.faults: Counter[str] = Counter()
        self.seen: Counter[bytes] = Counter()
        self._cpu = _cpu_seconds()

    def stats(self) -> dict[str, Any]:
        """The counters.

        `requests` and `repeats` (requests whose body came before), `answered` (good answers written to a client that was
        still there) and their `usage`, `faults` by name, `in_flight` now and its `peak`, `connections` that began to ask
        since the reset, `cpu_s` of this process since the reset.
        """
        requests = self.seen.total()
        return {
            "requests": requests,
            "repeats": requests - len(self.seen),
            "most_of_one_body": max(self.seen.values(), default=0),
            "answered": self.told,
            "usage": {"input_tokens": self.told * READ, "output_tokens": self.told * WRITTEN},
            "faults": dict(self.faults),
            "in_flight": self.in_flight,
            "peak": self.peak,
            "connections": self.connections,
            "cpu_s": round(_cpu_seconds() - self._cpu, 4),
        }

    def control(self, wanted: dict[str, Any]) -> None:
        """Set `latency` (seconds), `seed`, `faults` (share of the requests by a name of FAULTS); `reset` the counters."""
        self.latency = float(wanted.get("latency", self.latency))
        self.seed = int(wanted.get("seed", self.seed))
        shares = wanted.get("faults", self.shares)
        if unknown := set(shares) - set(FAULTS):
            raise ValueError(f"unknown faults: {', '.join(sorted(unknown))}; known are {', '.join(FAULTS)}")
        self.shares = shares
        if wanted.get("reset"):
            self.reset()

    def fault(self, body: bytes) -> str:
        """Count a request; the name of the fault that it meets, or ""."""
        digest = blake2b(body, digest_size=16).digest()
        before = self.seen[digest]
        self.seen[digest] = before + 1
        if not self.shares:
            return ""
        drawn = blake2b(digest, digest_size=8, key=f"{self.seed} {before}".encode()).digest()
        point = int.from_bytes(drawn) / 2**64
        for name, share in self.shares.items():
            if point < share:
                self.faults[name] += 1
                return name
            point -= share
        return ""


class Connection(asyncio.Protocol):
    """One client's connection: requests one after the other, each answered by a timer."""

    def __init__(self, mock: Mock) -> None:
        self._mock = mock
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._body = b""
        self._new = True
        self._gone = False
        self._busy = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came."""
        self._transport: Any = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """The client went, or was sent away; what it still waited for is no longer in flight."""
        self._gone = True
        self._mock.in_flight -= self._busy
        self._busy = 0

    def data_received(self, data: bytes) -> None:
        """Some bytes of a request."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_message_begin(self) -> None:
        """The parser saw the start of a request."""
        self._body = b""

    def on_url(self, url: bytes) -> None:
        """The parser saw the address."""
        self._url = url

    def on_body(self, body: bytes) -> None:
        """The parser saw a part of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """The parser saw a whole request."""
        mock = self._mock
        if self._url.startswith(b"/_"):
            self._serve_control()
            return
        mock.connections += self._new
        self._new = False
        mock.in_flight += 1
        self._busy += 1
        mock.peak = max(mock.peak, mock.in_flight)
        name = mock.fault(self._body)
        if name == "hang":
            return
        responses = self._url.endswith(b"/responses")
        name, _, at_once = name.partition(" ")
        if mock.latency and not at_once:
            self._loop.call_later(mock.latency, self._answer, name, self._body, responses)
        else:
            self._answer(name, self._body, responses)

    def _serve_control(self) -> None:
        try:
            if self._url == b"/_ctl":
                self._mock.control(json.loads(self._body or b"{}"))
            self._transport.write(_http(200, json.dumps(self._mock.stats()).encode()))
        except ValueError as error:
            self._transport.write(_http(400, _error(str(error))))

    def _answer(self, fault: str, body: bytes, responses: bool) -> None:
        if self._gone:
            return
        self._busy -= 1
        self._mock.in_flight -= 1
        write = self._transport.write
        match fault:
            case "":
                self._mock.told += 1
                write(_response(body) if responses else _completion(body))
            case "429":
                write(_http(429, _error("Rate limit reached"), b"Retry-After: 1\r\n"))
            case "500":
                write(_http(500, _error("The server had an error")))
            case "garbage":
                write(_http(200, b"<html><body>Bad gateway</body></html>"))
            case "truncated":
                whole = _response(body) if responses else _completion(body)
                write(whole[: len(whole) - 60])
                self._transport.close()
            case _:
                self._cut()

    def _cut(self) -> None:
        """Reset the connection: a close that lingers for no time sends RST."""
        with socket.socket(fileno=os.dup(self._transport.get_extra_info("socket").fileno())) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


def _http(status: int, body: bytes, headers: bytes = b"") -> bytes:
    head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n"
    return head % (status, headers, len(body)) + body


def _error(said: str) -> bytes:
    return json.dumps({"error": {"message": said, "type": "mock", "code": None, "param": None}}).encode()


def _completion(body: bytes) -> bytes:
    if b"[[ ## " not in body and b"response_format" not in body:
        return _PLAIN_COMPLETION
    return _http(200, _completion_body(_text(json.loads(body))))


def _completion_body(text: str) -> bytes:
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": READ, "completion_tokens": WRITTEN, "total_tokens": READ + WRITTEN}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    whole = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "mock", "choices": [choice]}
    return json.dumps({**whole, "usage": usage}).encode()


def _response(body: bytes) -> bytes:
    if b"[[ ## " not in body and b"json_schema" not in body:
        return _PLAIN_RESPONSE
    return _http(200, _response_body(_text(json.loads(body))))


def _response_body(text: str) -> bytes:
    said = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [said]}
    usage = {
        "input_tokens": READ,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": WRITTEN,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": READ + WRITTEN,
    }
    whole = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "mock"}
    rest = {"error": None, "incomplete_details": None, "instructions": None, "metadata": {}}
    tools = {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True, "temperature": 0.0, "top_p": 1.0}
    return json.dumps({**whole, **rest, **tools, "output": [message], "usage": usage}).encode()


_PLAIN_COMPLETION = _http(200, _completion_body(TEXT))
_PLAIN_RESPONSE = _http(200, _response_body(TEXT))


def _text(request: dict[str, Any]) -> str:
    """The answer's text in the form that the request asks for."""
    wanted = (
        (request.get("response_format") or {}).get("json_schema") or (request.get("text") or {}).get("format") or {}
    )
    if isinstance(wanted.get("schema"), dict):
        return json.dumps(_fitting(wanted["schema"], wanted["schema"]))
    prompt = json.dumps(request.get("messages", request.get("input", "")), ensure_ascii=False)
    asked = prompt[prompt.rfind(_ASKED) :] if _ASKED in prompt else ""
    names = dict.fromkeys(_MARKERS.findall(asked))
    names.pop("completed", None)
    if not names:
        return TEXT
    return "".join(f"[[ ## {name} ## ]]\n{TEXT}\n\n" for name in names) + "[[ ## completed ## ]]"


def _fitting(schema: dict[str, Any], root: dict[str, Any]) -> Any:
    """The plainest value that fits a JSON schema."""
    if "$ref" in schema:
        return _fitting(root.get("$defs", {})[schema["$ref"].rpartition("/")[2]], root)
    if "const" in schema or "enum" in schema:
        return schema.get("const", next(iter(schema.get("enum", ())), None))
    if "anyOf" in schema:
        return _fitting(schema["anyOf"][0], root)
    match schema.get("type"):
        case "object":
            return {name: _fitting(each, root) for name, each in schema.get("properties", {}).items()}
        case "array":
            return [_fitting(schema.get("items", {}), root)]
        case "integer" | "number":
            return 42
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return TEXT


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def serve(port: int) -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    mock = Mock()
    server = await loop.create_server(lambda: Connection(mock), "127.0.0.1", port, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> None:
    """Raise the limit on open files as far as may be, then serve."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0))


if __name__ == "__main__":
    main()
