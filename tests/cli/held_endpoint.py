"""An endpoint that keeps its answers back until a test lets go, so that a signal comes at a moment that is known."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from flowbot.fields import stable_hash
from flowbot.lm.client import Message, Request
from flowbot.testing.fake_behaviours import counter

LONG = 60.0
"""Seconds after which waiting for something that should come ends the test."""
RETRY_AFTER = 110
"""Seconds: longer than `LONG`, and not so long that the endpoint is given up."""
Body = dict[str, Any]


class HeldEndpoint(ThreadingHTTPServer):
    """Answers as `fake/counter` would.

    `holds(body)` says which requests are kept back, `limited` answers all with 429 and a long Retry-After.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.holds: Callable[[Body], bool] = lambda body: False
        self.limited = False
        self.bodies: list[str] = []
        self._held = 0
        self._changed = threading.Condition()

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def seen(self) -> list[str]:
        """What was asked since the last look, as text, in order."""
        with self._changed:
            bodies, self.bodies = self.bodies, []
            return bodies

    def wait_for(self, *, held: int = 0, asked: int = 0) -> None:
        """Wait until so many requests are kept back, or have come in all."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._held >= held and len(self.bodies) >= asked, LONG)

    def is_holding(self, number: int) -> bool:
        """Whether so many requests are kept back now."""
        with self._changed:
            return self._held >= number

    def let_go(self) -> None:
        """Answer what is kept back, and from now on everything."""
        with self._changed:
            self.holds = lambda body: False
            self._held = 0
            self._changed.notify_all()

    def asked(self, body: Body) -> None:
        """Note a request, and keep it back if it is to be."""
        with self._changed:
            self.bodies.append(json.dumps(body, sort_keys=True))
            if self.holds(body):
                self._held += 1
                self._changed.notify_all()
                if not self._changed.wait_for(lambda: not self.holds(body), LONG):
                    self._held -= 1
            self._changed.notify_all()


class _Handler(BaseHTTPRequestHandler):
    server: HeldEndpoint
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked(body)
        try:
            if self.server.limited:
                self._send(429, {"error": {"message": "slower, please"}}, retry_after=str(RETRY_AFTER))
            else:
                self._send(200, _answer(body))
        except OSError:
            self.close_connection = True  # the client was killed

    def _send(self, status: int, answer: Body, *, retry_after: str = "") -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _answer(body: Body) -> Body:
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
    messages = tuple(Message(each["role"], each["content"]) for each in body["messages"])
    said = counter(Request(messages, 400, schema=schema), stable_hash(body))
    text = said if isinstance(said, str) else json.dumps(said)
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    return {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}], "usage": usage}


@contextmanager
def holding() -> Generator[HeldEndpoint]:
    """An endpoint that answers while the block runs."""
    endpoint = HeldEndpoint()
    thread = threading.Thread(target=endpoint.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.let_go()
        endpoint.shutdown()
        thread.join()
        endpoint.server_close()
