"""Batch endpoints of providers: submitting one, finding one that was submitted, and its results. Each knows one protocol and no more."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, cast

from flowbot.fields import InfrastructureError

from .counted import as_count, as_object
from .http_faults import json_object

if TYPE_CHECKING:
    from .wire import Wire

Body = dict[str, Any]
Results = Mapping[str, "Body | None"]
"""Answers in the form of a chat completion by key; None for what failed or expired, and is to be asked anew."""
_ID = re.compile(r"[\w.:-]{1,200}")
_PAGES = 20


class Batches(Protocol):
    """A batch endpoint.

    Failure policy: raises `InfrastructureError` as `Wire` does. After one of `submit` nobody knows whether it was submitted: `find` tells.
    """

    most: int
    """Entries of one batch."""
    close: Callable[[], Awaitable[None]]
    """Releases connections. May be called twice."""

    async def submit(self, token: str, bodies: Mapping[str, Body]) -> str:
        """Submit bodies of chat completions by key, as the batch `token`; gives the provider's id."""
        ...

    async def find(self, token: str, since: float, size: int, known: Collection[str]) -> str | None:
        """The id of the batch `token`, of so many entries and submitted after `since`; `known` are ids of others."""
        ...

    async def results(self, id: str) -> Results | None:
        """What has come of it; None while it is at work."""
        ...


class OpenAIBatches:
    """Files and batches, as of OpenAI; a batch's metadata hold our token."""

    most = 10_000

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.close: Callable[[], Awaitable[None]] = wire.close

    async def submit(self, token: str, bodies: Mapping[str, Body]) -> str:
        """As of `Batches`."""
        url = "/v1/chat/completions"
        lines = (
            json.dumps({"custom_id": key, "method": "POST", "url": url, "body": body}) for key, body in bodies.items()
        )
        from aiohttp import FormData

        form = FormData()
        form.add_field("purpose", "batch")
        form.add_field(
            "file", "\n".join(lines).encode(), filename=f"flowbot-{token}.jsonl", content_type="application/jsonl"
        )
        file = _id(await self._wire.fetch("POST", "files", form))
        made = {"input_file_id": file, "endpoint": url, "completion_window": "24h", "metadata": {"flowbot": token}}
        return _id(await self._wire.fetch("POST", "batches", made))

    async def find(self, token: str, since: float, size: int, known: Collection[str]) -> str | None:
        """As of `Batches`."""
        after: dict[str, str] = {}
        for _ in range(_PAGES):
            page = _object(await self._wire.fetch("GET", "batches", query={"limit": "100", **after}))
            listed = _objects(page.get("data"))
            for each in listed:
                if as_object(each.get("metadata")).get("flowbot") == token:
                    return _id(each)
            # Newest first: what is older than the record is none of it.
            if not listed or not page.get("has_more") or (as_count(listed[-1].get("created_at")) or 0) < since - 86_400:
                break
            after = {"after": _id(listed[-1])}
        return None

    async def results(self, id: str) -> Results | None:
        """As of `Batches`."""
        state = _object(await self._wire.fetch("GET", f"batches/{id}"))
        if state.get("status") not in ("completed", "failed", "expired", "cancelled"):
            return None
        found: dict[str, Body | None] = {}
        for file in filter(None, (state.get("output_file_id"), state.get("error_file_id"))):
            for line in _lines(await self._wire.fetch("GET", f"files/{_id({'id': file})}/content")):
                response = as_object(line.get("response"))
                answer = response.get("body") if response.get("status_code") == 200 else None
                found[str(line.get("custom_id"))] = as_object(answer) or None
        return found


class AnthropicBatches:
    """Message batches, as of Anthropic. They have no metadata: one that nobody recorded is told by time and size."""

    most = 10_000
    _HEADERS: Mapping[str, str] = MappingProxyType({"anthropic-version": "2023-06-01"})

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.close: Callable[[], Awaitable[None]] = wire.close

    async def submit(self, token: str, bodies: Mapping[str, Body]) -> str:
        """As of `Batches`."""
        entries = [{"custom_id": key, "params": _params(body)} for key, body in bodies.items()]
        return _id(await self._wire.fetch("POST", "messages/batches", {"requests": entries}, headers=self._HEADERS))

    async def find(self, token: str, since: float, size: int, known: Collection[str]) -> str | None:
        """As of `Batches`: the earliest of those that can be it."""
        from datetime import datetime

        page = _object(await self._wire.fetch("GET", "messages/batches", query={"limit": "100"}, headers=self._HEADERS))
        for each in reversed(_objects(page.get("data"))):
            counts = as_object(each.get("request_counts")).values()
            try:
                made = datetime.fromisoformat(str(each.get("created_at"))).timestamp()
            except ValueError:
                continue
            if sum(as_count(count) or 0 for count in counts) == size and made >= since - 60 and _id(each) not in known:
                return _id(each)
        return None

    async def results(self, id: str) -> Results | None:
        """As of `Batches`."""
        state = _object(await self._wire.fetch("GET", f"messages/batches/{id}", headers=self._HEADERS))
        if state.get("processing_status") != "ended":
            return None
        found: dict[str, Body | None] = {}
        for line in _lines(await self._wire.fetch("GET", f"messages/batches/{id}/results", headers=self._HEADERS)):
            result = as_object(line.get("result"))
            message = as_object(result.get("message")) if result.get("type") == "succeeded" else {}
            found[str(line.get("custom_id"))] = _completion(message) if message else None
        return found


def _params(body: Mapping[str, Any]) -> Body:
    """The parameters of a message that ask for the same as the body of a chat completion."""
    messages: list[Body] = []
    for each in body["messages"]:
        if each["role"] in ("system", "developer"):
            continue
        blocks: list[Body] = [{"type": "text", "text": each["content"]}] if each.get("content") else []
        if each["role"] == "tool":
            blocks = [{"type": "tool_result", "tool_use_id": each["tool_call_id"], "content": each["content"]}]
        for call in each.get("tool_calls") or ():
            given = json_object(call["function"]["arguments"]) or {}
            blocks.append({"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": given})
        role = "assistant" if each["role"] == "assistant" else "user"
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += blocks
        else:
            messages.append({"role": role, "content": blocks})
    params: Body = {
        "model": body["model"],
        "messages": messages,
        "max_tokens": body.get("max_tokens") or body.get("max_completion_tokens"),
    }
    system = "\n\n".join(each["content"] for each in body["messages"] if each["role"] in ("system", "developer"))
    tools = [each["function"] for each in body.get("tools") or ()]
    choice = body.get("tool_choice")
    named = as_object(as_object(choice).get("function")).get("name")
    params |= {"system": system} if system else {}
    params |= {name: body[name] for name in ("temperature", "top_p", "top_k") if name in body}
    if tools:
        params["tools"] = [
            {"name": each["name"], "description": each.get("description", ""), "input_schema": each["parameters"]}
            for each in tools
        ]
    if choice is not None:
        params["tool_choice"] = (
            {"type": "tool", "name": named} if named else {"type": "any" if choice == "required" else choice}
        )
    return params


def _completion(message: Mapping[str, Any]) -> Body:
    """A message in the form of a chat completion."""
    blocks = _objects(message.get("content"))
    calls = [
        {
            "id": each.get("id"),
            "type": "function",
            "function": {"name": each.get("name"), "arguments": json.dumps(each.get("input"))},
        }
        for each in blocks
        if each.get("type") == "tool_use"
    ]
    said: Body = {
        "role": "assistant",
        "content": "".join(str(each.get("text") or "") for each in blocks if each.get("type") == "text"),
    }
    usage = as_object(message.get("usage"))
    read = [
        as_count(usage.get(name)) or 0
        for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    ]
    return {
        "model": message.get("model"),
        "choices": [
            {"message": said | ({"tool_calls": calls} if calls else {}), "finish_reason": message.get("stop_reason")}
        ],
        "usage": {
            "prompt_tokens": sum(read),
            "completion_tokens": usage.get("output_tokens"),
            "prompt_tokens_details": {"cached_tokens": read[1]},
        },
    }


def _lines(content: bytes) -> Iterator[Body]:
    for line in content.decode("utf-8", "replace").splitlines():
        if line.strip():
            yield json_object(line) or {}


def _object(content: bytes) -> Body:
    found = json_object(content.decode("utf-8", "replace"))
    if found is None:
        raise InfrastructureError("the batch endpoint answered with something that is no JSON object", kind="garbage")
    return found


def _objects(value: object) -> list[Body]:
    return [as_object(each) for each in cast("list[object]", value)] if isinstance(value, list) else []


def _id(answer: bytes | Mapping[str, Any]) -> str:
    found = (_object(answer) if isinstance(answer, bytes) else answer).get("id")
    if not isinstance(found, str) or not _ID.fullmatch(found):
        raise InfrastructureError("the batch endpoint gave no id", kind="garbage")
    return found
