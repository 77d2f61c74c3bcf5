"""A model that thinks before it answers, behind an OpenAI-compatible endpoint on this machine.

It thinks 300 to 1,500 tokens about each request, by lot from the request's own text, half of that where it is asked for little
effort, and counts them as an endpoint counts them: within the reply's limit. Where thought and answer do not fit, the reply is empty
and ended by the limit, and is paid for all the same. So a caller that knows nothing of thinking pays for nothing.

What it answers comes from the request alone: it knows no right answers. Tasks give it a `Mind` that reads what stands in the prompt.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

from flowbot.testing.fake_behaviours import fill

THINKS = (300, 1500)
"""Tokens of thought, least and most."""
PRICE = (0.25, 2.0)
"""US dollars per million tokens read and written."""


@dataclass(frozen=True)
class Asked:
    """A request as the model reads it."""

    model: str
    system: str
    turns: tuple[tuple[str, str], ...]
    """(role, text) of what is no system message."""
    schema: Mapping[str, Any] | None
    tools: tuple[str, ...]

    @property
    def last(self) -> str:
        """The last message of the user."""
        return next((text for role, text in reversed(self.turns) if role == "user"), "")

    @property
    def shown(self) -> list[tuple[str, str]]:
        """Worked examples: what a user said and what was replied, before the last message."""
        pairs = zip(self.turns, self.turns[1:], strict=False)
        return [(asked, said) for (first, asked), (second, said) in pairs if (first, second) == ("user", "assistant")]

    @property
    def read(self) -> list[str]:
        """What tools gave."""
        return [text for role, text in self.turns if role == "tool"]

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join((self.system, *(text for _, text in self.turns)))

    @property
    def fields(self) -> Mapping[str, Any]:
        """The members that the reply shall have, by name; empty where plain text is asked for."""
        return (self.schema or {}).get("properties", {})


Mind = Callable[[Asked], Mapping[str, Any] | str]
"""From a request to the reply: the members of an object, or a text. `{"call": NAME, ...arguments}` calls a tool."""


def lot(*parts: object) -> float:
    """A number in [0, 1) from the parts."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def tokens(text: str) -> int:
    """Four letters a token."""
    return max(1, len(text) // 4)


@dataclass
class Count:
    """What the endpoint served, by its own count."""

    requests: int = 0
    empty: int = 0
    read: int = 0
    written: int = 0
    thought: int = 0
    models: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def usd(self) -> float:
        """What it takes for that."""
        return (self.read * PRICE[0] + self.written * PRICE[1]) / 1e6


def advice(asked: Asked) -> str:
    """What the model says when it is to improve a prompt or judge a run: it repeats what it was told was wrong."""
    if asked.schema is not None:
        filled = fill(asked.schema, asked.text, texts=lambda schema, place: _first_line(asked.last))
        # Of changes by letter it takes one that brings a tool, if any: what a question needs to be looked up for.
        tools = [letter for letter, title in re.findall(r"(?m)^([A-Z])\) (.*)$", asked.text) if " tool " in title]
        for name, member in asked.fields.items():
            if chosen := [letter for letter in tools if letter in member.get("enum", ())]:
                filled[name] = chosen[0]
        return json.dumps(filled)
    if found := re.search(r"\nNow:\n(.*?)\n\nFeedback:\n(.*)\Z", asked.text, re.DOTALL):
        lines = dict.fromkeys(line.removeprefix("- ") for line in found[2].splitlines() if line.startswith("- "))
        return "\n".join((found[1].strip(), *list(lines)[:3]))
    if found := re.search(r"It gave:\n(.*)\nExpected of the workflow:\n(.*)\nScore:", asked.text, re.DOTALL):
        return _remark(found[1], found[2])
    return "no change"


def _remark(given: str, wanted: str) -> str:
    """What a careful reader would say of an output beside the one that was expected."""
    if re.search(r"\d{4}-\d\d-\d\d", wanted) and not re.search(r"\d{4}-\d\d-\d\d", given):
        return "Write dates as YYYY-MM-DD."
    value = re.sub(r'^\{"\w+": "?|"?\}$', "", wanted.strip())
    if len(given) > 2 * len(wanted):
        return "Give the value alone and nothing else."
    return f"One of the names to answer with is: {value}" if value and not value.isdigit() else "no change"


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or ["nothing"])[0][:80]


class Thinker:
    """The endpoint. `count` holds what it served since it was made.

    Args:
        mind: answers the requests to the model `mini`; any other model's are answered by `advice`.
    """

    def __init__(self, mind: Mind) -> None:
        self.count = Count()
        self._mind = mind
        self._lock = Lock()
        thinker = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
                data = json.dumps(thinker.reply(body)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Thinker:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reply(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body of the answer to a request's body."""
        asked = read(body)
        answer: Mapping[str, Any] | str = self._mind(asked) if "mini" in asked.model else advice(asked)
        message: dict[str, Any] = {"role": "assistant", "content": answer if isinstance(answer, str) else ""}
        if isinstance(answer, Mapping):
            if called := answer.get("call"):
                arguments = json.dumps({key: value for key, value in answer.items() if key != "call"})
                function = {"name": called, "arguments": arguments}
                message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
            else:
                message["content"] = json.dumps(answer)
        thought = int(THINKS[0] + lot(asked.text, "thought") * (THINKS[1] - THINKS[0]))
        if body.get("reasoning_effort") in ("minimal", "low"):
            thought //= 2
        written = thought + tokens(message["content"] or json.dumps(message))
        limit = body.get("max_completion_tokens") or body.get("max_tokens") or 2**31
        finish = "tool_calls" if message.get("tool_calls") else "stop"
        if written > limit:
            message, finish = {"role": "assistant", "content": ""}, "length"
            thought, written = min(thought, limit), limit
        usage = {
            "prompt_tokens": tokens(asked.text),
            "completion_tokens": written,
            "total_tokens": tokens(asked.text) + written,
            "completion_tokens_details": {"reasoning_tokens": thought},
        }
        with self._lock:
            count = self.count
            count.requests += 1
            count.empty += finish == "length"
            count.read += usage["prompt_tokens"]
            count.written += written
            count.thought += thought
            count.models[asked.model] = count.models.get(asked.model, 0) + 1
        choice = {"index": 0, "finish_reason": finish, "message": message}
        return {"id": "1", "object": "chat.completion", "model": asked.model, "choices": [choice], "usage": usage}


def read(body: Mapping[str, Any]) -> Asked:
    """A request's body as the model reads it."""
    messages = [(str(each["role"]), _content(each)) for each in body.get("messages", ())]
    system = "\n".join(text for role, text in messages if role in ("system", "developer"))
    turns = tuple((role, text) for role, text in messages if role not in ("system", "developer"))
    form = body.get("response_format") or {}
    schema = (form.get("json_schema") or {}).get("schema") if form.get("type") == "json_schema" else None
    offered = tuple(each["function"]["name"] for each in body.get("tools") or ())
    return Asked(str(body.get("model")), system, turns, schema, () if body.get("tool_choice") == "none" else offered)


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content)
    return str(content or "")
