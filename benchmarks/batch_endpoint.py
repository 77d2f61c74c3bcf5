"""A model behind the batch endpoints of OpenAI and Anthropic, and the ordinary one, on this machine. It counts what it is asked and what it takes."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import RLock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

Body = dict[str, Any]
READ, WRITTEN = 1_000, 100
"""Tokens of every answer."""


class BatchEndpoint:
    """The endpoint; a context manager.

    Args:
        answer: the text for the body of a request.

    Attributes:
        polls: how often a batch is looked at before it is done.
        expired: whether an entry expires, by its body.
        refused: why an entry, or a request by itself, is not taken as it is put; "" where it is.
        gone: whether it knows nothing of its batches any more.
        state: of OpenAI's batches that are done: `completed`, `cancelled`, `expired`; `failed`: nothing of them was made.
        edit: makes of the lines of results those that are sent.
        submitted: how often each key came in a batch that was taken.
        ordinary: how often each body came by itself.
        fails: the status with which a step (`METHOD PATH`) fails before anything is done; 0: it does not.
        made: the time at which a batch is made.
        cut: called with a step (`METHOD PATH`) once it is done; True: the answer is not sent, as where a connection breaks.
    """

    def __init__(self, answer: Callable[[Body], str] = lambda body: "hi") -> None:
        self.answer = answer
        self.polls = 1
        self.expired: Callable[[Body], bool] = lambda body: False
        self.refused: Callable[[Body], str] = lambda body: ""
        self.gone = False
        self.state = "completed"
        self.edit: Callable[[bytes], bytes] = lambda lines: lines
        self.submitted = Counter[str]()
        self.ordinary = Counter[str]()
        self.fails: Callable[[str], int] = lambda step: 0
        self.made: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.cut: Callable[[str], bool] = lambda step: False
        self.steps: list[str] = []
        self._files: dict[str, list[Body]] = {}
        self._batches: dict[str, Body] = {}
        self._lock = RLock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._serve(b"")

            def do_POST(self) -> None:
                self._serve(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

            def _serve(self, content: bytes) -> None:
                parts = urlsplit(self.path)
                path = parts.path.removeprefix("/v1/")
                with endpoint._lock:
                    step = f"{self.command} {re.sub('(file|batch|msgbatch)_[0-9]+', 'ID', path)}"
                    endpoint.steps.append(step)
                    status, said = endpoint.fails(step), {"error": {"message": "not now"}}
                    if not status:
                        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                        status, said = endpoint.serve(self.command, path, content, query)
                    if endpoint.cut(step):
                        self.close_connection = True
                        self.connection.close()
                        return
                data = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

            def handle(self) -> None:
                with suppress(OSError, ValueError):  # the other side is gone
                    super().handle()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> BatchEndpoint:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def serve(self, method: str, path: str, content: bytes, query: Mapping[str, str]) -> tuple[int, Any]:
        """Status and answer."""
        match method, path.split("/"):
            case "POST", ["chat", "completions"]:
                self.ordinary[content.decode()] += 1
                if why := self.refused(body := json.loads(content)):
                    return 400, {"error": {"message": why}}
                return 200, self.completion(body)
            case "POST", ["files"]:
                rows = [json.loads(line) for line in content.decode().splitlines() if line.startswith('{"custom_id"')]
                self._files[file := f"file_{len(self._files)}"] = rows
                return 200, {"id": file}
            case "POST", ["batches"]:
                asked = json.loads(content)
                rows = self._files[asked["input_file_id"]]
                return 200, self._taken("batch", {row["custom_id"]: row["body"] for row in rows}, asked["metadata"])
            case "POST", ["messages", "batches"]:
                rows = json.loads(content)["requests"]
                return 200, self._taken("msgbatch", {row["custom_id"]: row["params"] for row in rows}, {})
            case "GET", ["batches"] | ["messages", "batches"]:
                names = [
                    each for each in reversed(self._batches) if each.startswith("msg") is path.startswith("message")
                ]
                after = query.get("after") or query.get("after_id")
                start = names.index(after) + 1 if after else 0
                page = names[start : start + int(query["limit"])]
                return 200, {"data": list(map(self._state, page)), "has_more": start + len(page) < len(names)}
            case "GET", ["batches", batch] | ["messages", "batches", batch] if not self.gone:
                self._batches[batch]["polls"] += 1
                return 200, self._state(batch)
            case "GET", ["files", file, "content"]:
                return 200, self.edit(self._lines(file))
            case "GET", ["messages", "batches", batch, "results"]:
                return 200, self.edit(self._lines(batch))
            case _:
                return 404, {"error": {"message": f"no {path}"}}

    def completion(self, body: Body) -> Body:
        """A chat completion."""
        choice = {"message": {"role": "assistant", "content": self.answer(body)}, "finish_reason": "stop"}
        return {
            "model": body["model"],
            "choices": [choice],
            "usage": {"prompt_tokens": READ, "completion_tokens": WRITTEN},
        }

    @property
    def batched(self) -> int:
        """Entries of batches that were answered, and are paid for."""
        return sum(not self._why(body) for each in self._batches.values() for body in each["bodies"].values())

    def _why(self, body: Body) -> str:
        """Why an entry has no answer."""
        return self.refused(body) or ("too late" if self.expired(body) else "")

    def _taken(self, kind: str, bodies: dict[str, Body], metadata: Mapping[str, str]) -> Body:
        self.submitted.update(list(bodies))
        name = f"{kind}_{len(self._batches)}"
        self._batches[name] = {"bodies": bodies, "polls": 0, "metadata": metadata, "made": self.made()}
        return self._state(name)

    def _state(self, name: str) -> Body:
        batch = self._batches[name]
        done = batch["polls"] > self.polls
        if name.startswith("msgbatch"):
            counts = {
                "processing": 0 if done else len(batch["bodies"]),
                "succeeded": len(batch["bodies"]) if done else 0,
            }
            state = "ended" if done else "in_progress"
            return {
                "id": name,
                "created_at": batch["made"].isoformat(),
                "processing_status": state,
                "request_counts": counts,
            }
        files = (
            {"output_file_id": name.replace("batch", "file_9"), "error_file_id": name.replace("batch", "file_8")}
            if done
            else {}
        )
        if done and self.state == "failed":
            files = {"errors": {"data": [{"code": "token_limit_exceeded", "message": "too many tokens at once"}]}}
        return {
            "id": name,
            "created_at": int(batch["made"].timestamp()),
            "status": self.state if done else "in_progress",
            "metadata": batch["metadata"],
            **files,
        }

    def _lines(self, name: str) -> bytes:
        if name.startswith("msgbatch"):
            entries = self._batches[name]["bodies"].items()
            return "\n".join(
                json.dumps(self._result(key, body)) for key, body in sorted(entries, reverse=True)
            ).encode()
        failed, number = name.removeprefix("file_")[0] == "8", name.removeprefix("file_")[1:]
        lines: list[str] = []
        for key, body in sorted(self._batches[f"batch{number}"]["bodies"].items(), reverse=True):
            if bool(self._why(body)) is failed:
                error = {"code": "batch_expired", "message": "too late"} if failed else None
                response = None if failed else {"status_code": 200, "body": self.completion(body)}
                if why := self.refused(body):
                    response, error = {"status_code": 400, "body": {"error": {"message": why}}}, None
                lines.append(json.dumps({"custom_id": key, "response": response, "error": error}))
        return "\n".join(lines).encode()

    def _result(self, key: str, params: Body) -> Body:
        if why := self.refused(params):
            error = {"type": "error", "error": {"type": "invalid_request_error", "message": why}}
            return {"custom_id": key, "result": {"type": "errored", "error": error}}
        if self.expired(params):
            return {"custom_id": key, "result": {"type": "expired"}}
        usage = {"input_tokens": READ - 400, "cache_read_input_tokens": 400, "output_tokens": WRITTEN}
        message = {
            "model": params["model"],
            "content": [{"type": "text", "text": self.answer(params)}],
            "stop_reason": "end_turn",
            "usage": usage,
        }
        return {"custom_id": key, "result": {"type": "succeeded", "message": message}}
