"""A program's own request to a model, read from what its HTTP client is about to send."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast, get_args
from urllib.parse import urlsplit

from flowbot.fields import UserError
from flowbot.fields.secrets import public_url
from flowbot.fields.yaml_core import MAX_DEPTH, deeper
from flowbot.lm.client import Identity, Message, Request, Role, ToolUse
from flowbot.lm.counted import as_count, as_list, as_object
from flowbot.lm.providers import providers
from flowbot.lm.tiers import USUAL

from .google import STREAM, WHOLE, asked_as_chat

Dialect: TypeAlias = Literal[
    "chat/completions", "completions", "responses", "embeddings", "messages", "generateContent", "streamGenerateContent"
]
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)
"""How a request's path ends, and so what its body means; the longer one first."""
IDLE = (
    *("user", "metadata", "service_tier", "safety_identifier"),
    *("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"),
)
"""Members that change no reply, but who is told of it, or its price."""
TELLING = ("anthropic-version", "anthropic-beta", "openai-beta")
"""Headers that change replies; all others are left alone."""
MOST_REPLY = 128_000
"""Tokens that a model's reply has at most, where neither the request nor the price list sets a bound."""
MOST_BODY = 8_000_000
"""Bytes of a request's body."""
_IMAGE, _IMAGE_OF = 6_000, {"gpt-4o-mini": 50_000}
"""Tokens of an image at most, whatever its bytes; more of models that count it so."""
_IMAGES = re.compile(rb'"type"\s*:\s*"(?:image_url|input_image|image)"')
_FILES = re.compile(
    rb'"type"\s*:\s*"(?:file|input_file|document|input_audio|container_upload)"'
    rb'|"(?:previous_response_id|conversation|inlineData|inline_data|fileData|file_data)"\s*:\s*["{]'
)
"""What is no text of the request, and of any length."""
_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_ROLES: dict[str, Role] = {
    **{"system": "system", "developer": "system", "assistant": "assistant", "function_call": "assistant"},
    **{"tool": "tool", "function": "tool", "function_call_output": "tool"},
}
_SILENT = ("reasoning", "reasoning_text", "thinking", "redacted_thinking")
"""Kinds of parts that are no part of what is said."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an HTTP client brought back.

    Args:
        status, headers, body: as they came; the headers by names in any case.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


Send: TypeAlias = Callable[[], Awaitable[Answer]]
"""Sends a request once, by the program's own client."""


async def _nowhere() -> Answer:
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Asked(Request):
    """A request as a program makes it. `body` is its canonical text, which stands for it in the key.

    Args:
        dialect: what the path ends with.
        identity: who is asked.
        data: the body.
        send: sends it.
    """

    dialect: Dialect = "chat/completions"
    identity: Identity = field(default_factory=lambda: Identity("", "", ""))
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    send: Send = field(default=_nowhere, compare=False)

    @property
    def streamed(self) -> bool:
        """Whether the reply comes as events."""
        return self.data.get("stream") is True or self.dialect == STREAM

    @property
    def drawn(self) -> bool:
        """Whether an equal request may have another reply."""
        settled = self.temperature == 0 or self.seed is not None
        return not settled and self.dialect != "embeddings"


def dialect_of(path: str) -> Dialect | None:
    """What the body that is posted to a path means; None where it is no request to a model."""
    return next((each for each in DIALECTS if path.rstrip("/").endswith((f"/{each}", f":{each}"))), None)


def read_asked(
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    max_reply: Callable[[Identity], int],
    context: Callable[[Identity], int] = lambda who: MOST_REPLY,
) -> Asked | None:
    """A request to a model; None where it is none, and goes its way.

    Args:
        url: that it is posted to.
        headers: by name in small letters.
        body: as it is sent.
        max_reply: tokens of a reply that names no limit, by who is asked.
        context: tokens that a request takes at most, by who is asked.

    Raises:
        UserError: if it is one, but longer than any that is counted, or packed in a way that is not read: it must not go its way
            unpaid for.
    """
    path, mark, query = url.partition("?")
    path = path.rstrip("/")
    dialect = dialect_of(path)
    if dialect is not None and (packed := headers.get("content-encoding", "identity").casefold()) != "identity":
        body = _unpacked(body, packed)
    data = None if dialect is None else _json(body)
    if dialect is None or data is None:
        return None
    base, sent = path[: -len(dialect) - 1], data
    if dialect in (WHOLE, STREAM):
        base, _, name = base.rpartition("/models/")
        data = asked_as_chat(sent, name)
    model = data.get("model")
    if not isinstance(model, str) and "/deployments/" not in path:  # as Azure's older addresses name it
        return None
    if len(body) > MOST_BODY:
        raise UserError("program", f"a request of {len(body):,} bytes to a model", f"at most {MOST_BODY:,} bytes")
    base_url = public_url(base + mark + query)
    identity = Identity(provider_of(base_url, dialect), base_url, model if isinstance(model, str) else "")
    kept = {name: value for name, value in sorted(sent.items()) if name not in IDLE}
    told = {name: value for name in TELLING if (value := headers.get(name))}
    limit = max((limit for name in _LIMITS if (limit := as_count(data.get(name)))), default=0) or max_reply(identity)
    choices = max(as_count(data.get(name)) or 1 for name in ("n", "best_of")) * _prompts(data)
    temperature, seed = data.get("temperature"), data.get("seed")
    named = context(identity) if _FILES.search(body) else 0
    if not named and (images := len(_IMAGES.findall(body))):
        named = images * next((most for name, most in _IMAGE_OF.items() if name in identity.name), _IMAGE)
    tier = data.get("service_tier")
    return Asked(
        messages=tuple(messages_of(data)) or (Message("user", ""),),
        max_tokens=0 if dialect == "embeddings" else limit * choices,
        temperature=float(temperature) if isinstance(temperature, int | float) else 1.0,
        seed=seed if isinstance(seed, int) else None,
        # Within a member the order stays as it is: that of a schema's properties changes what a model writes.
        body=json.dumps([dialect, told, kept], separators=(",", ":"), ensure_ascii=False),
        named=named,
        tier=tier if isinstance(tier, str) and tier not in USUAL else "",
        dialect=dialect,
        identity=identity,
        data=sent,
    )


def provider_of(base_url: str, dialect: Dialect) -> str:
    """The provider at an address; where it is nobody's known, the one whose protocol is spoken."""
    host = urlsplit(base_url).netloc
    if host.endswith((".openai.azure.com", ".cognitiveservices.azure.com")):
        return "azure"
    known = (name for name, row in providers().items() if row.base_url and urlsplit(row.base_url).netloc == host)
    speaks = {"messages": "anthropic", WHOLE: "gemini", STREAM: "gemini"}
    return next(known, speaks.get(dialect, "openai"))


def messages_of(data: Mapping[str, Any]) -> list[Message]:
    """The messages of a request's body, as texts."""
    said = [Message("system", text) for name in ("system", "instructions") if (text := text_of(data.get(name)))]
    turns: Any = next((data[name] for name in ("messages", "input", "prompt") if data.get(name)), None)
    for turn in cast("list[Any]", turns if isinstance(turns, list) else [turns]):
        if isinstance(turn, str):
            said.append(Message("user", turn))
        elif isinstance(turn, dict):
            each = cast("dict[str, Any]", turn)
            role = _ROLES.get(str(each.get("role") or each.get("type")), "user")
            text = text_of(each.get("content", each.get("output")))
            said.append(Message(role, text, tuple(calls_of(each))))
    return said


def text_of(content: Any) -> str:
    """The text of a content: a text, or parts of which some hold text or further parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        part = cast("dict[str, Any]", content)
        if part.get("type") in _SILENT:
            return ""
        return text_of(next((part[name] for name in ("text", "content", "refusal") if part.get(name)), None))
    return "".join(map(text_of, cast("list[Any]", content))) if isinstance(content, list) else ""


def calls_of(message: Mapping[str, Any]) -> list[ToolUse]:
    """The tool calls of a message in any dialect: beside its content, among its parts, or an item of its own."""
    content: Any = message.get("content")
    items: list[Any] = [message, *as_list(message.get("tool_calls")), *as_list(content)]
    found: list[ToolUse] = []
    for item in map(as_object, items):
        called = as_object(item.get("function")) or (item if item.get("type") in ("tool_use", "function_call") else {})
        name, given = called.get("name"), called.get("arguments", called.get("input"))
        if isinstance(name, str):
            found.append(ToolUse(name, given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)))
    return found


def _unpacked(body: bytes, packed: str) -> bytes:
    """A body that a client has packed.

    Raises:
        UserError: if it is in another way, or is not.
    """
    try:
        if packed not in ("gzip", "x-gzip", "deflate"):
            raise zlib.error
        plain = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body, MOST_BODY + 1)
        if len(plain) <= MOST_BODY:
            return plain
        packed = f"{packed}, of more than {MOST_BODY:,} bytes"
        raise zlib.error
    except zlib.error:
        raise UserError("program", f"a request to a model packed as {packed[:60]!r}", "plain or gzip") from None


def _prompts(data: Mapping[str, Any]) -> int:
    """Each of several prompts is answered; a list of numbers is the tokens of one."""
    prompts = as_list(data.get("prompt"))
    return max(1, sum(not isinstance(each, int) for each in prompts))


def _json(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
        if b"\\ud" in body or b"\\uD" in body:  # half a surrogate pair, which no file and no hash can hold
            found = json.loads(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or (body.count(b"[") + body.count(b"{") > MAX_DEPTH and deeper(found, MAX_DEPTH)):
        return None
    return cast("dict[str, Any]", found)
