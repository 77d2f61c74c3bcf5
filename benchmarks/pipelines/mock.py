"""An endpoint on this machine that says what a test writes down, in the forms of three providers, whole or streamed."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Said = str | list[tuple[str, dict[str, str]]]


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who asked is gone."""


class Mock:
    """Answers each request by a function of all that it says, after a wait that a seed gives."""

    def __init__(self, answer: Callable[[str], Said]) -> None:
        self.answer, self.requests = answer, 0
        self.most = 0.0
        """Seconds that an answer takes at most."""
        self.chance = random.Random(0)
        self.hold_after: int | None = None
        """Requests after which others wait until `release`; None: none does."""
        self.held, self._go = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer._lock:
                    outer.requests += 1
                    hold = outer.hold_after is not None and outer.requests > outer.hold_after
                if hold:
                    outer.held.set()
                    outer._go.wait()
                time.sleep(outer.chance.random() * outer.most)
                said = outer.answer("\n".join(texts(body)))
                kind, data = replied(self.path, body, said)
                if hold:
                    return  # who asked is gone
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Connection", "close")  # many clients are left open by their owners
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    def release(self) -> None:
        """Let go those that wait; from now on none does."""
        self.hold_after = None
        self._go.set()

    def __enter__(self) -> Mock:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def texts(value: Any) -> list[str]:
    """All texts in what is said to the model."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for name, each in value.items() if name not in ("tools", "model") for text in texts(each)]
    return [text for each in value for text in texts(each)] if isinstance(value, list) else []


def replied(path: str, body: dict[str, Any], said: Said) -> tuple[str, bytes]:
    """The media type and the body of an answer."""
    text = said if isinstance(said, str) else ""
    if path.endswith("/responses"):
        part = {"type": "output_text", "text": text, "annotations": []}
        output = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [part]}
        made: dict[str, Any] = {
            "id": "r", "object": "response", "created_at": 0, "model": body["model"], "status": "completed", "output": [output],
            "parallel_tool_calls": False, "tool_choice": "auto", "tools": [],
            "usage": {"input_tokens": 9, "output_tokens": 5, "total_tokens": 14},
        }  # fmt: skip
    elif path.endswith("/messages"):
        made = {
            "id": "m", "type": "message", "role": "assistant", "model": body["model"], "stop_reason": "end_turn",
            "content": [{"type": "text", "text": text}], "usage": {"input_tokens": 9, "output_tokens": 5},
        }  # fmt: skip
    else:
        calls = [
            {"id": f"c{n}", "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
            for n, (name, given) in enumerate([] if isinstance(said, str) else said)
        ]
        message = {"role": "assistant", "content": text or None, **({"tool_calls": calls} if calls else {})}
        usage = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
        head = {"id": "c", "created": 0, "model": body["model"]}
        if body.get("stream"):
            cuts = [text[at : at + 7] for at in range(0, len(text), 7)]
            deltas = [{"index": 0, "delta": {"content": cut}, "finish_reason": None} for cut in cuts]
            ends = {"index": 0, "delta": {}, "finish_reason": "stop"}
            events = [{**head, "object": "chat.completion.chunk", "choices": [each]} for each in (*deltas, ends)]
            lines = [f"data: {json.dumps(each)}\n\n" for each in events]
            return "text/event-stream", "".join([*lines, "data: [DONE]\n\n"]).encode()
        ended = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
        made = {**head, "object": "chat.completion", "choices": [ended], "usage": usage}
    return "application/json", json.dumps(made).encode()
