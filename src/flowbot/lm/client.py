"""The seam to a model: what is asked, what comes back, who answers, and the `Client` that every endpoint implements.

A client sends one request once. It never retries, stores, counts or waits for a limit: `LM` does that for all of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from operator import attrgetter
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from flowbot.fields import ToolSignature, Usage

T = TypeVar("T")
TOO_LONG = "the request is longer than the model's context"
"""How the text of the `ModelError` for such a request begins."""
Role = Literal["system", "user", "assistant", "tool"]
Finish = Literal["stop", "length", "refusal"]
ToolChoice = Literal["auto", "none", "required"]
Draw = tuple[int | str, ...]
"""Which of several samples of the same request: () at temperature 0."""
_ALWAYS = ("text", "finish", "usage", "seconds", "model")
"""What every stored reply names."""


def members(value: Any) -> dict[str, Any]:
    """The members of a dataclass with slots by name, in order: `asdict` without its copying, which every call would pay for."""
    names, read = _members_of(value.__class__)
    return dict(zip(names, read(value), strict=True))


def altered(value: T, **changes: Any) -> T:
    """`dataclasses.replace` for a class with slots, at a third of its cost."""
    return value.__class__(**(members(value) | changes))


@cache
def _members_of(kind: Any) -> tuple[tuple[str, ...], attrgetter[Any]]:
    return kind.__slots__, attrgetter(*kind.__slots__)


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool call that a model asks for.

    Args:
        name: the tool's, as the model wrote it; "" when the model meant a call that cannot be read.
        arguments: the text it wrote, JSON if all is well; the whole reply where the name is "".
    """

    name: str
    arguments: str


@dataclass(frozen=True)
class ForeignTool(ToolSignature):
    """A tool of a program that is none of ours: its arguments are told by whatever JSON schema it gives, and not by `inputs`.

    Args:
        parameters: that schema.
        strict: whether the endpoint is asked to keep to it.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat.

    Args:
        role: who speaks; `tool` gives the result of a call.
        content: the text.
        calls: the tool calls that an assistant asks for. As many `tool` messages follow, in the same order.
    """

    role: Role
    content: str
    calls: tuple[ToolUse, ...] = ()

    def dump(self) -> dict[str, Any]:
        """As JSON; `calls` only where there are some."""
        data: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.calls:
            data["calls"] = [members(each) for each in self.calls]
        return data

    @staticmethod
    def load(data: Mapping[str, Any]) -> Message:
        """A message from what `dump` gave."""
        return Message(data["role"], data["content"], tuple(ToolUse(**each) for each in data.get("calls", ())))


@dataclass(frozen=True, slots=True)
class Request:
    """One chat completion, whole: everything that may change the reply stands here.

    Args:
        messages: the chat so far; what is constant first, so that endpoints can reuse a prefix.
        max_tokens: ceiling of the reply.
        temperature: 0 asks for the most likely reply.
        schema: JSON schema that the reply must fit; None for plain text.
        seed: sampling seed where the endpoint knows one.
        tools: what the model may call instead of answering.
        tool_choice: `none`: calls are over, the model must answer; the tools stand here for what was called before.
            `required`: it must call one.
        own_words: the messages are a prompt of the user's own: what must be said besides, as where an endpoint takes no
            schema, is one last part behind it.
        extra: other members of the request's body, as they are sent; what an endpoint does not know of them is left out.
        body: what stands for the whole in a key, where a program's own request is sent as it is; the other members then only
            tell of it.
        named: tokens at most that a program's request takes besides what stands in it, as for images and files.
        tier: the service tier that a program's request asks for.
    """

    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float = 0.0
    schema: Mapping[str, Any] | None = None
    seed: int | None = None
    tools: tuple[ToolSignature, ...] = ()
    tool_choice: ToolChoice = "auto"
    own_words: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    body: str = ""
    named: int = 0
    tier: str = ""

    @property
    def may_call(self) -> bool:
        """Whether the model may call a tool."""
        return bool(self.tools) and self.tool_choice != "none"

    def dump(self) -> dict[str, Any]:
        """As JSON. What is not set is left out, so that a field added later changes no key."""
        if self.body:
            return {"body": self.body}
        data: dict[str, Any] = {
            "messages": [message.dump() for message in self.messages],
            "max_tokens": self.max_tokens,
            "temperature": float(self.temperature),
        }
        if self.schema is not None:
            data["schema"] = dict(self.schema)
        if self.seed is not None:
            data["seed"] = self.seed
        if self.tools:
            data["tools"] = [_dump_tool(tool) for tool in self.tools]
        if self.tool_choice != "auto":
            data["tool_choice"] = self.tool_choice
        if self.own_words:
            data["own_words"] = True
        if self.extra:
            data["extra"] = dict(self.extra)
        return data


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer as it came over HTTP, for a program that is to get it as it is.

    Args:
        status: of HTTP.
        type: the content type.
        body: the text.
    """

    status: int
    type: str
    body: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What an endpoint answered to one request.

    Args:
        text: the reply's text ("" when there is none, for one because all tokens went into thinking).
        finish: why it ended.
        usage: tokens of this one call; `usd` and `seconds` are filled in by `LM`.
        seconds: latency of the call.
        model: the name the endpoint gave itself, if any.
        estimated: True when the endpoint did not count the tokens and they are guessed from the texts' lengths.
        calls: the tool calls that the model asks for.
        ready: the model says that it needs no more calls and is to be asked for the answer; only where calls are asked
            for as JSON. `text` is then what it thinks.
        besides: what the endpoint served to this call before and was of no use, an empty reply for one.
        thought: of the tokens written, those that went into thinking, as far as the endpoint shows it.
        tier: the service tier that the endpoint says it was served in, where a price depends on it.
        slip: what the endpoint says is wrong with what the model wrote, where it refuses that: the model's fault.
        raw: the answer itself, where a program asked that reads it on its own; an error that the request deserved among them.
    """

    text: str
    finish: Finish
    usage: Usage
    seconds: float
    model: str = ""
    estimated: bool = False
    calls: tuple[ToolUse, ...] = ()
    ready: bool = False
    besides: Usage | None = None
    thought: int = 0
    tier: str = ""
    slip: str = ""
    raw: Raw | None = None

    @property
    def took(self) -> Usage:
        """All that the call took to get it."""
        return self.usage if self.besides is None else self.usage + self.besides

    def dump(self) -> dict[str, Any]:
        """As JSON, for the store; `rows.read_reply` reads it. What is as usual is left out."""
        data = members(self) | {"usage": members(self.usage), "calls": [members(each) for each in self.calls]}
        for name in ("besides", "raw"):
            data[name] = None if data[name] is None else members(data[name])
        return {name: value for name, value in data.items() if value or name in _ALWAYS}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one try of a call may take.

    Args:
        seconds: of the whole try, above 0; None: as long as the client allows.
        stretch: by how much the client's own shorter waits (connecting, the first byte) are lengthened, because tries
            of this call were cut off before; at least 1.
    """

    seconds: float | None = None
    stretch: float = 1.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answers: part of every stored response's key. Never a port, never a key.

    Args:
        provider: `openai`, `local`, `fake`…
        base_url: where; "" for what has no place (local, fake).
        name: the model's name there; for a local file its SHA-256.
        extra: what else changes replies, by name (server version, context, slots, endpoint options).
    """

    provider: str
    base_url: str
    name: str
    extra: tuple[tuple[str, str], ...] = ()

    def dump(self) -> dict[str, Any]:
        """As JSON, for keys and for the journal."""
        return {**members(self), "extra": dict(self.extra)}


@runtime_checkable
class Client(Protocol):
    """An endpoint that completes chats.

    Failure policy: `complete` raises `InfrastructureError` (`fatal` when trying again cannot help, `retry_after` when
    the endpoint said so), `RefusedError`, or `ModelError` for a request longer than the model's context; a bad reply of
    the model is still a `Reply`. It never retries itself.
    A client may carry an attribute `clock: Clock`; waiting between tries then happens on that clock. One with
    `max_concurrency: int` lets more calls go at once than it begins with, as long as the endpoint keeps up. The calls of
    one with `patient = True` are never cut off for being slow, nor sent twice. `retry: RetryPolicy` says when a call is sent
    again, `account: str` tells who pays from others who ask the same model, `tier: Tier` what its service tier costs, and `thinking: int | None` how many tokens of room its thoughts need: 0
    where there is no such attribute, None where it is to be asked.
    """

    @property
    def identity(self) -> Identity:
        """Who answers."""
        ...

    @property
    def default_concurrency(self) -> int:
        """Calls at once when the user names no number."""
        ...

    @property
    def price_ref(self) -> str | None:
        """The model's name in the price table, `free` for what costs nothing, None when unknown."""
        ...

    async def complete(self, request: Request, patience: Patience | None = None) -> Reply:
        """Send one request once and return its reply; a try that outlasts `patience` is a fault of kind `timeout`."""
        ...

    async def close(self) -> None:
        """Release connections and processes. May be called twice."""
        ...


def request_bytes(request: Request) -> int:
    """Of a request without its tools, with room for what an endpoint puts around messages and calls."""
    if request.body:
        return 64 + len(request.body.encode()) + request.named
    read = 64
    for message in request.messages:
        read += 16 + len(message.content.encode(errors="replace"))
        for call in message.calls:
            read += 32 + len(call.name.encode(errors="replace")) + len(call.arguments.encode(errors="replace"))
    return read if request.schema is None else read + 64 + len(json.dumps(request.schema))


def _dump_tool(tool: ToolSignature) -> dict[str, Any]:
    """What a model is told of a tool, and so what may change its reply."""
    if isinstance(tool, ForeignTool):
        # As text: the order of a schema's properties changes what a model writes, and canonical JSON forgets it.
        schema = json.dumps(tool.parameters)
        return {"name": tool.name, "about": tool.about, "schema": schema, "strict": tool.strict}
    return {
        "name": tool.name,
        "about": tool.about,
        "inputs": [[field.name, str(field.type), field.about] for field in tool.inputs],
        "optional": sorted(tool.optional),
    }
