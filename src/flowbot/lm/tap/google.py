"""Google's `generateContent`, told as chat completions: so what is asked and what is answered are read as these are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from flowbot.lm.counted import as_list, as_object

WHOLE, STREAM = "generateContent", "streamGenerateContent"
"""How the path of a request ends, behind the model's name and a colon."""
_ENDED = {"MAX_TOKENS": "length", "STOP": "stop"}


def asked_as_chat(data: Mapping[str, Any], model: str) -> dict[str, Any]:
    """A request's body; its members may be in either spelling, as the endpoint takes both."""
    config = as_object(_member(data, "generationConfig"))
    system = _member(data, "systemInstruction")
    turns = as_list(data.get("contents"))
    return {
        "model": model,
        "messages": [*([{**_message(system), "role": "system"}] if system else []), *map(_message, turns)],
        "max_tokens": _member(config, "maxOutputTokens"),
        "n": _member(config, "candidateCount"),
        "temperature": config.get("temperature"),
        "seed": config.get("seed"),
    }


def answered_as_chat(found: Mapping[str, Any]) -> dict[str, Any]:
    """An answer's body. What is refused outright has no candidates."""
    candidates = [as_object(each) for each in as_list(found.get("candidates"))] or [{"finishReason": "BLOCKED"}]
    used = as_object(found.get("usageMetadata"))
    return {
        "model": found.get("modelVersion"),
        "choices": [
            {
                "message": _message(each.get("content")),
                "finish_reason": _ENDED.get(str(each.get("finishReason")), "content_filter"),
            }
            for each in candidates
        ],
        "usage": {
            "prompt_tokens": used.get("promptTokenCount"),
            "completion_tokens": used.get("candidatesTokenCount", 0),
            "total_tokens": used.get("totalTokenCount"),
            "prompt_tokens_details": {"cached_tokens": used.get("cachedContentTokenCount")},
            "completion_tokens_details": {"reasoning_tokens": used.get("thoughtsTokenCount")},
        },
    }


def added_up(events: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The answer that a stream's events add up to; None where they do not come to an end."""
    whole: dict[str, Any] = {}
    parts: list[Any] = []
    for each in events:
        whole |= each
        parts += [part for one in as_list(each.get("candidates")) for part in _parts(as_object(one).get("content"))]
    ended = [as_object(each) for each in as_list(whole.get("candidates"))]
    if whole.get("promptFeedback") and not ended:
        return whole
    reason = next((each.get("finishReason") for each in ended if each.get("finishReason")), None)
    return {**whole, "candidates": [{"content": {"parts": parts}, "finishReason": reason}]} if reason else None


def _message(content: Any) -> dict[str, Any]:
    held, parts = as_object(content), [as_object(each) for each in _parts(content)]
    calls = [as_object(_member(each, "functionCall")) for each in parts if _member(each, "functionCall")]
    given = [json.dumps(_member(each, "functionResponse")) for each in parts if _member(each, "functionResponse")]
    said = [str(each["text"]) for each in parts if isinstance(each.get("text"), str) and not each.get("thought")]
    role = "tool" if given else {"model": "assistant"}.get(str(held.get("role")), "user")
    used = [{"function": {"name": each.get("name"), "arguments": each.get("args")}} for each in calls]
    return {"role": role, "content": "".join([*said, *given]), **({"tool_calls": used} if used else {})}


def _parts(content: Any) -> list[Any]:
    return as_list(as_object(content).get("parts"))


def _member(held: Mapping[str, Any], name: str) -> Any:
    return held.get(name, held.get("".join(f"_{each.lower()}" if each.isupper() else each for each in name)))
