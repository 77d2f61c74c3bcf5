"""What a call took, as an endpoint counts it: counts that make no sense are guessed from the texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from flowbot.fields import Usage

from .client import Request

MOST_TOKENS = 1_000_000_000
"""Of one call: what is said to be more is a mistake."""
_LONGEST_TOKEN = 16
"""Characters of ordinary text that one token holds at most; fewer tokens than that cannot be what a text took."""


def count_usage(answer: Mapping[str, Any], request: Request, text: str) -> tuple[Usage, bool]:
    """Tokens as the endpoint counts them, thoughts included; guessed at four characters each where it does not say.

    Thoughts are charged as output. Some endpoints count them within `completion_tokens`, some only in the total, and some
    only among the details. A count far below what the texts must take is none.
    """
    counted = as_object(answer.get("usage"))
    read, total = as_count(counted.get("prompt_tokens")), as_count(counted.get("total_tokens"))
    written = as_count(counted.get("completion_tokens"))
    thought = count_thought(answer)
    asked = sum([len(message.content) for message in request.messages])
    if read is not None and read < asked // _LONGEST_TOKEN:
        read = None
    if written is not None:
        # Thoughts that are part of the count are no more than it.
        beside = 0 if total is None or read is None else total - read
        written = max(written + (thought if thought > written else 0), beside)
        if written < len(text) // _LONGEST_TOKEN or (text and not written):
            written = None
    estimated = read is None or written is None
    if read is None:
        read = asked // 4 + 4 * len(request.messages)
    if written is None:
        guess = min(len(text) // 4 + 1, request.max_tokens)
        written = max(guess, thought, len(text) // _LONGEST_TOKEN, (total or 0) - read)
    details: Any = counted.get("prompt_tokens_details")
    cached = (as_count(as_object(details).get("cached_tokens")) or 0) if details else 0
    return Usage(1, read, written, min(cached, read)), estimated


def count_thought(answer: Mapping[str, Any]) -> int:
    """Tokens that the endpoint counts as thoughts."""
    details: Any = as_object(answer.get("usage")).get("completion_tokens_details")
    return (as_count(as_object(details).get("reasoning_tokens")) or 0) if details else 0


def as_object(value: Any) -> dict[str, Any]:
    """The value where it is an object; an empty one otherwise."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def as_objects(value: Any) -> list[dict[str, Any]]:
    """The values of a list, as objects; none where it is no list."""
    return [as_object(each) for each in as_list(value)]


def as_list(value: Any) -> list[Any]:
    """The value where it is a list; an empty one otherwise."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def as_count(value: Any) -> int | None:
    """A number of tokens; None for what cannot be one."""
    return value if value.__class__ is int and 0 <= value <= MOST_TOKENS else None
