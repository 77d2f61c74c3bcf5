"""What an endpoint can do, found out by what it refuses: a refusal that names a parameter gives up that parameter."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, cast

ReplyFormat = Literal["schema", "tool", "json", "prompt"]
_FORMATS: tuple[ReplyFormat, ...] = ("schema", "tool", "json", "prompt")
_FORMAT_WORDS = ("response_format", "json_schema", "json_object", "response format", "structured output", "json mode")
_STRICT_WORDS = frozenset(
    ("type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "$defs")
) | {"title", "description", "pattern", "format", "minimum", "maximum", "minItems", "maxItems"}
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
# Endpoints that want back, with a call, what we do not keep of their replies.
_CALL_EXTRAS = ("thought_signature", "reasoning_content")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """How an endpoint is to be asked.

    Args:
        reply_format: JSON schema, forced tool call, JSON object, or the prompt alone; the first it takes.
        temperature: whether a temperature may be sent.
        seed: whether a seed may be sent.
        max_tokens: what it calls the ceiling of a reply.
        tools: whether tool calls are its own (`native`) or asked for as JSON.
    """

    reply_format: ReplyFormat = "schema"
    temperature: bool = True
    seed: bool = True
    max_tokens: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    tools: Literal["native", "json"] = "native"

    def without(self, message: str, *, calls: bool = False) -> Capabilities | None:
        """What is left after a refusal with this text; None if it names nothing that could be given up.

        Args:
            message: what the endpoint said.
            calls: whether the request offered tools or told of calls.
        """
        said = message.casefold()
        if calls and self.tools == "native" and any(word in said for word in (*_CALL_WORDS, *_CALL_EXTRAS)):
            return replace(self, tools="json")
        other = "max_completion_tokens" if self.max_tokens == "max_tokens" else "max_tokens"
        # `max_tokens is not supported, use max_completion_tokens` names both; a refusal of the value names one.
        if other in said and self.max_tokens in said.replace(other, ""):
            return replace(self, max_tokens=other)
        format_words = _TOOL_WORDS if self.reply_format == "tool" else _FORMAT_WORDS
        if self.reply_format != "prompt" and any(word in said for word in format_words):
            return replace(self, reply_format=_FORMATS[_FORMATS.index(self.reply_format) + 1])
        if self.temperature and "temperature" in said:
            return replace(self, temperature=False)
        if self.seed and re.search(r"\bseed\b", said):
            return replace(self, seed=False)
        if self.max_tokens == "max_completion_tokens" and "max_completion_tokens" in said:
            return replace(self, max_tokens="max_tokens")
        return None

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
        return tuple(said)


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
