"""The seam to a model: what is asked, what comes back, who answers, and the `Client` that every endpoint implements.

A client sends one request once. It never retries, stores, counts or waits for a limit: `LM` does that for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from flowbot.fields import Usage

Role = Literal["system", "user", "assistant"]
Finish = Literal["stop", "length", "refusal"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat."""

    role: Role
    content: str

    def dump(self) -> dict[str, str]:
        """As JSON, in the shape of the chat-completions protocol."""
        return {"role": self.role, "content": self.content}


@dataclass(frozen=True, slots=True)
class Request:
    """One chat completion, whole: everything that may change the reply stands here.

    Args:
        messages: the chat so far; what is constant first, so that endpoints can reuse a prefix.
        max_tokens: ceiling of the reply.
        temperature: 0 asks for the most likely reply.
        schema: JSON schema that the reply must fit; None for plain text.
        seed: sampling seed where the endpoint knows one.
    """

    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float = 0.0
    schema: Mapping[str, Any] | None = None
    seed: int | None = None

    def dump(self) -> dict[str, Any]:
        """As JSON. What is not set is left out, so that a field added later changes no key."""
        data: dict[str, Any] = {
            "messages": [message.dump() for message in self.messages],
            "max_tokens": self.max_tokens,
            "temperature": float(self.temperature),
        }
        if self.schema is not None:
            data["schema"] = dict(self.schema)
        if self.seed is not None:
            data["seed"] = self.seed
        return data


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
    """

    text: str
    finish: Finish
    usage: Usage
    seconds: float
    model: str = ""
    estimated: bool = False

    def dump(self) -> dict[str, Any]:
        """As JSON, for the store."""
        usage = self.usage
        data: dict[str, Any] = {
            "text": self.text,
            "finish": self.finish,
            "usage": {
                "calls": usage.calls,
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "cached_tokens": usage.cached_tokens,
                "usd": usage.usd,
                "seconds": usage.seconds,
            },
            "seconds": self.seconds,
            "model": self.model,
        }
        if self.estimated:
            data["estimated"] = True
        return data

    @staticmethod
    def load(data: Mapping[str, Any]) -> Reply:
        """A reply from what `dump` gave.

        Raises:
            KeyError: if a member is missing.
            ValueError: if `finish` is not one of the three.
        """
        finish = data["finish"]
        if finish not in ("stop", "length", "refusal"):
            raise ValueError(f"reply: found finish {finish!r}; expected stop, length or refusal")
        return Reply(
            text=data["text"],
            finish=finish,
            usage=Usage(**data["usage"]),
            seconds=data["seconds"],
            model=data.get("model", ""),
            estimated=data.get("estimated", False),
        )


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
        return {
            "provider": self.provider,
            "base_url": self.base_url,
            "name": self.name,
            "extra": dict(self.extra),
        }


@runtime_checkable
class Client(Protocol):
    """An endpoint that completes chats.

    Failure policy: `complete` raises `InfrastructureError` (`fatal` when trying again cannot help, `retry_after` when
    the endpoint said so), `RefusedError`, or `ModelError` for a request longer than the model's context; a bad reply of
    the model is still a `Reply`. It never retries itself.
    A client may carry an attribute `clock: Clock`; waiting between tries then happens on that clock.
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

    async def complete(self, request: Request) -> Reply:
        """Send one request once and return its reply."""
        ...

    async def close(self) -> None:
        """Release connections and processes. May be called twice."""
        ...
