"""An endpoint that thinks before it answers, as today's models do: its thoughts count within the reply limit.

How long it thinks about a request follows from a seed and the request's messages, from `least` to `most` tokens. What does not
fit into the limit is cut: thoughts first, so that a limit that they fill leaves an empty reply with `finish_reason: length`.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from flowbot.fields import stable_hash
from flowbot.lm.client import Message, Request
from flowbot.testing.fake_behaviours import counter

Body = dict[str, Any]
Shown = Literal["counted", "content", "tags", "nowhere"]
"""Where the thoughts are seen: in the usage alone, in `reasoning_content`, in the text, or nowhere at all."""
_TOKEN = 4


class ThinkingEndpoint(ThreadingHTTPServer):
    """Answers by `answer(body)` once it has thought; as `fake/counter` would if none is given.

    Args:
        answer: a text for a request's body.
        least, most: tokens of thoughts.
        seed: of how long it thinks about what.
        shown: where the thoughts are seen.
    """

    daemon_threads = True

    def __init__(
        self,
        answer: Callable[[Body], str] | None = None,
        *,
        least: int = 300,
        most: int = 1500,
        seed: int = 0,
        shown: Shown = "counted",
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer or _count
        self.shown: Shown = shown
        self._range = (least, most)
        self._seed = seed
        self._lock = threading.Lock()
        self.bodies: list[Body] = []
        self.empty = 0
        """Replies that the limit left empty."""

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def thoughts(self, body: Body) -> int:
        """Tokens that it thinks about a request."""
        least, most = self._range
        said = json.dumps([self._seed, body["messages"]])
        return least + int.from_bytes(hashlib.sha256(said.encode()).digest()[:6], "big") % (most - least + 1)

    def reply(self, body: Body) -> Body:
        """The answer to a request's body, and a note of it."""
        limit = int(body.get("max_completion_tokens") or body.get("max_tokens") or 1_000_000)
        thought = min(self.thoughts(body), limit)
        whole = self.answer(body)
        text = whole[: _TOKEN * (limit - thought)]
        cut = len(text) < len(whole)
        with self._lock:
            self.bodies.append(body)
            self.empty += not text
        message: Body = {"role": "assistant", "content": text}
        if self.shown == "content":
            message["reasoning_content"] = "hmm " * thought
        elif self.shown == "tags":
            message["content"] = f"<think>{'hmm ' * thought}{f'</think>{text}' if text else ''}"
        usage: Body = {
            "prompt_tokens": len(json.dumps(body["messages"])) // _TOKEN,
            "completion_tokens": thought + -(-len(text) // _TOKEN),
        }
        if self.shown == "counted":
            usage["completion_tokens_details"] = {"reasoning_tokens": thought}
        return {"choices": [{"message": message, "finish_reason": "length" if cut else "stop"}], "usage": usage}


class _Handler(BaseHTTPRequestHandler):
    server: ThinkingEndpoint
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        data = json.dumps(self.server.reply(body)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _count(body: Body) -> str:
    schema: Mapping[str, Any] | None = body.get("response_format", {}).get("json_schema", {}).get("schema")
    messages = tuple(Message(each["role"], each["content"]) for each in body["messages"])
    said = counter(Request(messages, 400, schema=schema), stable_hash(body["messages"]))
    return said if isinstance(said, str) else json.dumps(said)


@contextmanager
def thinking(answer: Callable[[Body], str] | None = None, **more: Any) -> Generator[ThinkingEndpoint]:
    """An endpoint that thinks while the block runs."""
    endpoint = ThinkingEndpoint(answer, **more)
    thread = threading.Thread(target=endpoint.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.shutdown()
        thread.join()
        endpoint.server_close()
