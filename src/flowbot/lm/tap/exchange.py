"""One model call of a program: while it is made, and as it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowbot.fields import Usage
from flowbot.lm.client import Draw, Message, Reply, ToolUse

from .asked import Asked


@dataclass(frozen=True, slots=True)
class Exchange:
    """One model call of a program.

    Args:
        scope: as the tap's `scope` gave it.
        began: as the tap's `began` gave it when the call was made.
        body: the request's body.
        model: the model string, `PROVIDER/NAME`, of who answers.
        messages: the request as texts.
        text: the reply's, "" where it has none.
        calls: tool calls that the model asks for.
        usage: what the reply took.
        seconds: latency of the call when it was sent.
        stored: whether nothing was sent for it.
        error: what the endpoint said where it refused the request; "" otherwise.
        streamed: whether the reply came as events.
        estimated: whether tokens are guessed, as of a stream that does not count them.
    """

    scope: str
    began: int
    body: Mapping[str, Any]
    model: str
    messages: Sequence[Message]
    text: str
    calls: Sequence[ToolUse]
    usage: Usage
    seconds: float
    stored: bool
    error: str
    streamed: bool
    estimated: bool

    @classmethod
    def of(cls, call: Call, reply: Reply) -> Exchange:
        """What a call and its reply tell."""
        asked = call.asked
        refused = reply.raw is not None and reply.raw.status >= 400
        text, error = ("", reply.text) if refused else (reply.text, "")
        model = call.model or f"{asked.identity.provider}/{asked.identity.name}"
        return cls(
            call.scope, call.began, asked.data, model, asked.messages, text, reply.calls, reply.usage, reply.seconds,
            stored=not call.sent, error=error, streamed=asked.streamed, estimated=reply.estimated,
        )  # fmt: skip


@dataclass(slots=True)
class Call:
    """A call from when it is made until it is answered."""

    asked: Asked
    scope: str
    number: int
    began: int
    draw: Draw
    sent: bool = False
    model: str = ""
    """Who answers in place of the model that is asked."""
