"""What an endpoint can do, found out by what it refuses: a refusal that names a parameter gives up that parameter."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, cast

from .client import Message

ReplyFormat = Literal["schema", "tool", "json", "prompt"]
_FORMATS: tuple[ReplyFormat, ...] = ("schema", "tool", "json", "prompt")
_FORMAT_WORDS = (
    "response_format",
    "json_schema",
    "json_object",
    "response format",
    "structured output",
    "structured_output",
    "json mode",
    "json schema",
    "response_schema",
    "responseschema",
    "response_mime_type",
    "additionalproperties",
    "grammar",
    "guided",
    "outlines",
)
_STRICT_WORDS = frozenset(
    ("type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "$defs")
) | {"title", "description", "pattern", "format", "minimum", "maximum", "minItems", "maxItems"}
LEAST_TOKENS = 64
"""Tokens of a reply that every endpoint allows; a lower number in its refusal is another number."""
REPLY_TOOL = "reply"
"""The function whose forced call is a reply by schema."""
_TOOL_WORDS = ("tool_choice", "tools", "tool use", "function call")
_CALL_WORDS = (
    *_TOOL_WORDS,
    "tool_call",
    "tool choice",
    "tool call",
    "tool-call",
    "tool_use",
    "functions",
    "role 'tool'",
)
_NO = r"(?:\b(?:not|cannot|no|only|un(?:supported|expected|known))\b|n't\b)"
_SYSTEM_WORDS = r"\bsystem\b['\"]? (?:role|messages?|prompts?|instructions?)\b"
_NO_SYSTEM = re.compile(
    rf"{_SYSTEM_WORDS}.{{0,60}}{_NO}|{_NO}.{{0,60}}{_SYSTEM_WORDS}|\broles?\b.{{0,60}}{_NO}.{{0,40}}\bsystem\b"
    r"|un\w+ role\b\W{0,4}system|developer instruction is not|roles must alternate|only user(?:,| and) assistant"
)
"""How a chat template or an endpoint says that it knows no system message."""
_UNKNOWN = re.compile(r"support|unknown|unrecogni|permit|allow|cannot|unexpected|extra")
"""Words of a refusal that is of a member itself."""
_VALUES = re.compile(r"(?:supported|allowed|permitted|possible|valid) values")
"""Words of one that is of its value, although it may say as well that this is not supported."""
CALL_EXTRAS = ("thought_signature", "reasoning_content")
"""What some endpoints want back with a call, and we do not keep of their replies."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """How an endpoint is to be asked.

    Args:
        reply_format: JSON schema, forced tool call, JSON object, or the prompt alone; the first it takes.
        temperature: whether a temperature may be sent.
        seed: whether a seed may be sent.
        max_tokens: what it calls the ceiling of a reply.
        tools: whether tool calls are its own (`native`) or asked for as JSON.
        system: whether there may be a system message; where not, what it says stands before the first user message.
        most_tokens: the highest ceiling of a reply that may be asked for; None while none was refused.
        refused: of a request's `extra`, what may not be sent.
    """

    reply_format: ReplyFormat = "schema"
    temperature: bool = True
    seed: bool = True
    max_tokens: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    tools: Literal["native", "json"] = "native"
    system: bool = True
    most_tokens: int | None = None
    refused: tuple[str, ...] = ()

    def without(
        self,
        message: str,
        *,
        calls: bool = False,
        system: bool = False,
        ceiling: int = 0,
        extra: Sequence[str] = (),
    ) -> Capabilities | None:
        """What is left after a refusal with this text; None if it names nothing that could be given up.

        Args:
            message: what the endpoint said.
            calls: whether the request offered tools or told of calls.
            system: whether it had a system message.
            ceiling: of the reply, as it was asked for.
            extra: the members of its `extra`.
        """
        said = message.casefold()
        # Of a value that is wrong the caller is to hear.
        for name in extra if _UNKNOWN.search(said) and not _VALUES.search(said) else ():
            if name not in self.refused and re.search(rf"\b{name}\b", said):
                return replace(self, refused=(*self.refused, name))
        if system and self.system and names_system(said):
            return replace(self, system=False)
        if calls and self.tools == "native" and any(word in said for word in (*_CALL_WORDS, *CALL_EXTRAS)):
            return replace(self, tools="json")
        other = "max_completion_tokens" if self.max_tokens == "max_tokens" else "max_tokens"
        # `max_tokens is not supported, use max_completion_tokens` names both; a refusal of the value names one.
        if other in said and self.max_tokens in said.replace(other, ""):
            return replace(self, max_tokens=other)
        if self.max_tokens in said and (most := _highest(said, below=ceiling)):
            return replace(self, most_tokens=most)
        format_words = _TOOL_WORDS if self.reply_format == "tool" else _FORMAT_WORDS
        if self.reply_format != "prompt" and any(word in said for word in format_words):
            return self._plainer()
        if self.temperature and "temperature" in said:
            return replace(self, temperature=False)
        if self.seed and re.search(r"\bseed\b", said):
            return replace(self, seed=False)
        if self.max_tokens == "max_completion_tokens" and "max_completion_tokens" in said:
            return replace(self, max_tokens="max_tokens")
        return None

    def without_unnamed(self, *, calls: bool, schema: bool, system: bool) -> Capabilities | None:
        """What to try after a refusal that names nothing: without a schema, tool calls, a system message; None if nothing is left.

        Args:
            calls: whether the request offered tools or told of calls.
            schema: whether it had a schema.
            system: whether it had a system message.
        """
        if schema and self.reply_format != "prompt":
            return self._plainer()
        if calls and self.tools == "native":
            return replace(self, tools="json")
        return replace(self, system=False) if system and self.system else None

    def _plainer(self) -> Capabilities:
        return replace(self, reply_format=_FORMATS[_FORMATS.index(self.reply_format) + 1])

    def dump(self) -> dict[str, Any]:
        """As JSON, for the store."""
        return asdict(self)

    @staticmethod
    def load(data: Mapping[str, Any]) -> Capabilities | None:
        """From what `dump` gave; None if it is of another version, or nonsense."""
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(Capabilities).validate_json(json.dumps(data), strict=True, extra="forbid")
        except ValidationError:
            return None

    def dropped(self) -> tuple[str, ...]:
        """In words, what the endpoint does not take."""
        said: list[str] = []
        if self.reply_format != "schema":
            instead = {"tool": "a forced tool call", "json": "a JSON object", "prompt": "the prompt alone"}
            said.append(f"no JSON schema ({instead[self.reply_format]} instead)")
        if not self.temperature:
            said.append("no temperature")
        if not self.seed:
            said.append("no seed")
        if self.tools == "json":
            said.append("no tool calls of its own (JSON instead)")
        if not self.system:
            said.append("no system message (before the first user message instead)")
        if self.most_tokens is not None:
            said.append(f"replies of at most {self.most_tokens:,} tokens")
        said += [f"no {name}" for name in self.refused]
        return tuple(said)


def names_system(said: str) -> bool:
    """Whether a refusal, in small letters, says that there may be no system message."""
    return _NO_SYSTEM.search(said) is not None


def without_system(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages with what system messages say before the first user message's own text."""
    said = "\n\n".join(each.content for each in messages if each.role == "system")
    others = [each for each in messages if each.role != "system"]
    first = next((place for place, each in enumerate(others) if each.role == "user"), None)
    if not said:
        return tuple(others)
    if first is None:
        return (Message("user", said), *others)
    others[first] = replace(others[first], content=f"{said}\n\n{others[first].content}")
    return tuple(others)


def _highest(said: str, *, below: int) -> int | None:
    """The ceiling that a refusal of a higher one names."""
    numbers = (int(each.replace(",", "")) for each in re.findall(r"\d[\d,]{1,9}(?!\d)", said))
    return max((each for each in numbers if LEAST_TOKENS <= each < below), default=None)


def format_parameters(capabilities: Capabilities, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a request's body that asks for JSON by this schema."""
    match capabilities.reply_format:
        case "schema":
            named = {"name": "reply", "schema": schema, "strict": is_strict(schema)}
            return {"response_format": {"type": "json_schema", "json_schema": named}}
        case "tool":
            function = {"name": REPLY_TOOL, "description": "Give the reply.", "parameters": schema}
            return {
                "tools": [{"type": "function", "function": function}],
                "tool_choice": {"type": "function", "function": {"name": REPLY_TOOL}},
            }
        case "json":
            return {"response_format": {"type": "json_object"}}
        case "prompt":
            return {}


def format_hint(capabilities: Capabilities, schema: Mapping[str, Any]) -> str:
    """What has to be said in the prompt because the endpoint takes no schema; "" otherwise."""
    if capabilities.reply_format in ("schema", "tool"):
        return ""
    return f"Reply with JSON alone, by this JSON schema: {json.dumps(schema, ensure_ascii=False)}"


def is_strict(schema: Any) -> bool:
    """Whether a schema keeps to what strict modes demand: every object closed, all its members required."""
    if isinstance(schema, list):
        return all(is_strict(each) for each in cast("list[Any]", schema))
    if not isinstance(schema, dict):
        return True
    given = cast("dict[str, Any]", schema)
    members = cast("dict[str, Any]", given.get("properties", {}))
    if given.get("type") == "object":
        closed = given.get("additionalProperties") is False and "properties" in given
        if not closed or set(given.get("required", ())) != set(members):
            return False
    if not given or not given.keys() <= _STRICT_WORDS:
        return False
    inner = [value for name, value in given.items() if name in ("items", "anyOf")]
    definitions = list(cast("dict[str, Any]", given.get("$defs", {})).values())
    return all(is_strict(each) for each in [*inner, *members.values(), *definitions])
