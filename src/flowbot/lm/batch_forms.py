"""Batch endpoints of providers: submitting one, finding one that was submitted, and its results. Each knows one protocol and no more."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from flowbot.fields import InfrastructureError, Paused
from flowbot.fields.bounds import MESSAGE_BYTES

from .anthropic_form import completion_of, message_of
from .counted import as_count, as_object, as_objects
from .http_faults import json_object

if TYPE_CHECKING:
    from aiohttp import FormData

    from .wire import Wire

Body = dict[str, Any]
REFUSED: Body = {}
"""In place of an answer: the request was not taken as it was put."""
Results = Mapping[str, "Body | None"]
"""Answers in the form of a chat completion by key; None for what failed or expired, and is to be asked anew."""
_ID = re.compile(r"[\w.:-]{1,200}")
_PAGES = 20
_Sent: TypeAlias = "Body | FormData | None"
_Query = Mapping[str, str]
_ALL: _Query = MappingProxyType({})
_BUSY = (408, 409, 425, 429)
"""Statuses of 400 to 499 that are not of what was asked."""


class Batches(Protocol):
    """A batch endpoint.

    Failure policy: raises `InfrastructureError` as `Wire` does. After one of `submit` nobody knows whether it was submitted: `find` tells.
    """

    async def close(self) -> None:
        """Release connections. May be called twice."""
        ...

    async def newest(self) -> str:
        """The id of the newest batch of the account; "" where there is none."""
        ...

    async def submit(self, token: str, bodies: Mapping[str, Body]) -> str:
        """Submit bodies of chat completions by key, as the batch `token`; gives the provider's id."""
        ...

    async def find(self, token: str, after: str, size: int, known: Collection[str]) -> str | None:
        """The id of the batch `token`, of so many entries, which came after the batch `after`; `known` are ids of others. No clock is
        asked: this machine's need not go with the provider's."""
        ...

    async def results(self, id: str) -> Results | None:
        """What has come of it; None while it is at work.

        Raises:
            Paused: if nothing of it was made, and why.
        """
        ...


class _Listing:
    """What both protocols have in common: a list of batches, the newest first."""

    _PATH, _AFTER = "batches", "after"
    _HEADERS: _Query = _ALL

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def close(self) -> None:
        """As of `Batches`."""
        await self._wire.close()

    async def newest(self) -> str:
        """As of `Batches`."""
        listed = as_objects((await self._asked("GET", self._PATH, query={"limit": "1"})).get("data"))
        return _id(listed[0]) if listed else ""

    async def _since(self, after: str) -> list[Body]:
        """The batches after one, the newest first."""
        found, query = list[Body](), {"limit": "100"}
        for _ in range(_PAGES):
            page = await self._asked("GET", self._PATH, query=query)
            for each in as_objects(page.get("data")):
                if each.get("id") == after:
                    return found
                found.append(each)
            if not found or not page.get("has_more"):
                break
            query[self._AFTER] = _id(found[-1])
        return found

    async def _asked(self, method: str, path: str, data: _Sent = None, query: _Query = _ALL) -> Body:
        return _object(await self._fetch(method, path, data, query))

    async def _fetch(self, method: str, path: str, data: _Sent = None, query: _Query = _ALL) -> bytes:
        return await self._wire.fetch(method, path, data, query=query, headers=self._HEADERS)


class OpenAIBatches(_Listing):
    """Files and batches, as of OpenAI; a batch's metadata hold our token."""

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
        file = _id(await self._asked("POST", "files", form))
        made = {"input_file_id": file, "endpoint": url, "completion_window": "24h", "metadata": {"flowbot": token}}
        return _id(await self._asked("POST", "batches", made))

    async def find(self, token: str, after: str, size: int, known: Collection[str]) -> str | None:
        """As of `Batches`."""
        ours = (each for each in await self._since(after) if as_object(each.get("metadata")).get("flowbot") == token)
        return next(map(_id, ours), None)

    async def results(self, id: str) -> Results | None:
        """As of `Batches`."""
        state = await self._asked("GET", f"batches/{id}")
        match state.get("status"):
            case "completed" | "expired" | "cancelled":
                pass
            case "failed":
                errors = as_objects(as_object(state.get("errors")).get("data"))
                said = (
                    "; ".join(str(each.get("message") or each.get("code")) for each in errors[:3])
                    or "no reason is given"
                )
                raise Paused(f"batch {id} failed, and nothing of it was made: {said}", stopped_by="infrastructure")
            case "validating" | "in_progress" | "finalizing" | "cancelling":
                return None
            case other:
                raise _garbage(f"the state {str(other)[:40]!r} of a batch")
        found: dict[str, Body | None] = {}
        for file in filter(None, (state.get("output_file_id"), state.get("error_file_id"))):
            for line in _lines(await self._fetch("GET", f"files/{_id({'id': file})}/content")):
                response = as_object(line.get("response"))
                answer, status = as_object(response.get("body")), as_count(response.get("status_code")) or 0
                refused = 400 <= status < 500 and status not in _BUSY
                _take(found, line, answer if status == 200 and answer else REFUSED if refused else None)
        return found


class AnthropicBatches(_Listing):
    """Message batches, as of Anthropic. They have no metadata: one that nobody recorded is told by its place and size."""

    _PATH, _AFTER = "messages/batches", "after_id"
    _HEADERS = MappingProxyType({"anthropic-version": "2023-06-01"})

    async def submit(self, token: str, bodies: Mapping[str, Body]) -> str:
        """As of `Batches`."""
        entries = [{"custom_id": key, "params": message_of(body)} for key, body in bodies.items()]
        return _id(await self._asked("POST", self._PATH, {"requests": entries}))

    async def find(self, token: str, after: str, size: int, known: Collection[str]) -> str | None:
        """As of `Batches`: the earliest of those that can be it."""
        for each in reversed(await self._since(after)):
            counts = as_object(each.get("request_counts")).values()
            if sum(as_count(count) or 0 for count in counts) == size and _id(each) not in known:
                return _id(each)
        return None

    async def results(self, id: str) -> Results | None:
        """As of `Batches`."""
        match (await self._asked("GET", f"{self._PATH}/{id}")).get("processing_status"):
            case "ended":
                pass
            case "in_progress" | "canceling":
                return None
            case other:
                raise _garbage(f"the state {str(other)[:40]!r} of a batch")
        found: dict[str, Body | None] = {}
        for line in _lines(await self._fetch("GET", f"{self._PATH}/{id}/results")):
            result = as_object(line.get("result"))
            message = as_object(result.get("message")) if result.get("type") == "succeeded" else {}
            why = as_object(as_object(result.get("error")).get("error")).get("type")
            _take(
                found, line, completion_of(message) if message else REFUSED if why == "invalid_request_error" else None
            )
        return found


def _lines(content: bytes) -> Iterator[Body]:
    """The objects of a file's lines; what is none, or longer than an answer may be, is left out."""
    for line in content.split(b"\n"):
        if len(line) <= MESSAGE_BYTES and (found := json_object(line.decode("utf-8", "replace"))):
            yield found


def _take(found: dict[str, Body | None], line: Body, answer: Body | None) -> None:
    """Take a line's answer; of several lines with one key the first that holds an answer counts."""
    key = str(line.get("custom_id"))
    found[key] = found.get(key) or answer


def _object(content: bytes) -> Body:
    found = json_object(content.decode("utf-8", "replace"))
    if found is None:
        raise _garbage("something that is no JSON object")
    return found


def _id(answer: Mapping[str, Any]) -> str:
    found = answer.get("id")
    if not isinstance(found, str) or not _ID.fullmatch(found):
        raise _garbage("no id")
    return found


def _garbage(what: str) -> InfrastructureError:
    return InfrastructureError(f"the batch endpoint answered with {what}", kind="garbage")
