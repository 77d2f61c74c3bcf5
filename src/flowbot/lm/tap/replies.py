"""What a model answered to a program, read from the bytes that its client gets: text, calls, and what it took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flowbot.fields import InfrastructureError, Usage
from flowbot.fields.bounds import MESSAGE_BYTES
from flowbot.fields.secrets import known
from flowbot.lm.client import Finish, Raw, Reply
from flowbot.lm.counted import as_count, as_list, as_object, count_thought, count_usage
from flowbot.lm.http_faults import (
    ErrorDetails,
    HttpFault,
    classify,
    fault_in,
    json_object,
    read_error,
    retry_after_seconds,
    status_of,
)
from flowbot.lm.refusals import is_policy, is_too_long
from flowbot.lm.tiers import Tier

from .asked import Answer, Asked, calls_of, text_of
from .google import STREAM, WHOLE, added_up, answered_as_chat

VECTORS_BYTES = 64_000_000
"""Of an answer with embeddings: some thousand vectors in decimals."""
DESERVED = (400, 413, 422)
"""Statuses by which an endpoint refuses a request for what stands in it: the program is told, and told the same again."""
_CUT = ("length", "max_tokens", "max_output_tokens", "model_context_window_exceeded")
_GROWING = ("content", "refusal", "text", "name", "arguments", "input")
"""Members that a stream's events bring in pieces."""
_FILTERED = ("content_filter", "refusal", "safety")


def read_reply(asked: Asked, answer: Answer, seconds: float) -> Reply:
    """The reply that an answer holds, with the answer itself; or the error that the request deserved.

    Args:
        asked: the request.
        answer: as the client brought it.
        seconds: latency of the call.

    Raises:
        HttpFault: if the endpoint answers with an error that says nothing about the request.
        InfrastructureError: if the answer is too long, broke off, or is something else.
    """
    shown = asked.identity.base_url
    most = VECTORS_BYTES if asked.dialect == "embeddings" else MESSAGE_BYTES
    if len(answer.body) > most:
        text = f"{shown}: an answer of more than {most:,} bytes"
        raise InfrastructureError(text, kind="garbage", fatal=True, took=_served())
    try:
        text = answer.body.decode()
    except UnicodeDecodeError:
        raise InfrastructureError(f"{shown}: an answer that is no text", kind="garbage", took=_served()) from None
    # A program's reply is left as it is, but for keys that an endpoint quotes back.
    raw = Raw(answer.status, answer.headers.get("content-type", ""), known().text(text))
    if not 200 <= answer.status < 300:
        return _refused(_fault(shown, answer, read_error(text), answer.status), raw, seconds)
    events = _events(text) if "event-stream" in raw.type or text.startswith(("data:", "event:")) else None
    if asked.dialect == STREAM and text.startswith("["):  # as it comes to who does not ask for events
        events = as_list(as_object(json_object(f'{{"events": {text}}}')).get("events"))
    found = json_object(text) if events is None else _whole(asked, events)
    if found is None:
        what = "the answer broke off" if events else "answered with something that is no JSON object"
        raise InfrastructureError(f"{shown}: {what}", kind="garbage", took=_served())
    if (details := fault_in(found)) is not None:
        return _refused(_fault(shown, answer, details, status_of(details)), raw, seconds)
    found = found if raw.body == text else known().data(found)
    return _reply(asked, answered_as_chat(found) if asked.dialect in (WHOLE, STREAM) else found, raw, seconds)


def _fault(shown: str, answer: Answer, details: ErrorDetails, status: int) -> HttpFault:
    kind, fatal = classify(status, details.code)
    after = retry_after_seconds(answer.headers)
    message = f"{shown}: {status}: {details.shown}"
    return HttpFault(message, kind=kind, fatal=fatal, retry_after=after, status=status, details=details)


def _refused(fault: HttpFault, raw: Raw, seconds: float) -> Reply:
    """The error that the request deserved, also where its status alone would say something else, as 403 of what is moderated.

    Raises:
        HttpFault: if it says nothing about the request.
    """
    deserved = fault.status in DESERVED and fault.kind == "other"
    if not (deserved or is_policy(fault) or is_too_long(fault)):
        raise fault
    return Reply(fault.details.shown, "refusal", Usage(calls=1), seconds, raw=raw)


def _served() -> Usage:
    return Usage(calls=1)


def _reply(asked: Asked, found: Mapping[str, Any], raw: Raw, seconds: float) -> Reply:
    choices = [as_object(each) for each in as_list(found.get("choices"))]
    said = (
        [as_object(each.get("message")) or each for each in choices]
        or [as_object(each) for each in as_list(found.get("output"))]
        or [found]
    )
    text = "\n".join(filter(None, map(_said, said)))
    calls = tuple(call for each in said for call in calls_of(each))
    in_all = text + "".join(call.name + call.arguments for call in calls)
    counted = {"usage": _chat_usage(asked, as_object(found.get("usage")))}
    usage, estimated = count_usage(counted, asked, in_all)
    model = found.get("model")
    served = found.get("service_tier") or as_object(found.get("usage")).get("service_tier") or asked.tier
    return Reply(
        text=text,
        finish=_finish(found, choices),
        usage=usage,
        seconds=seconds,
        model=model if isinstance(model, str) else "",
        estimated=estimated,
        calls=calls,
        thought=min(count_thought(counted), usage.output_tokens),
        tier=Tier(asked.identity.provider, asked.identity.name).served_in(served),
        raw=raw,
    )


def _said(item: Mapping[str, Any]) -> str:
    return text_of(item) if item.get("type") not in ("function_call", "tool_use") else ""


def _finish(found: Mapping[str, Any], choices: list[dict[str, Any]]) -> Finish:
    details = as_object(found.get("incomplete_details"))
    ended = choices[0].get("finish_reason") if choices else details.get("reason") or found.get("stop_reason")
    return "length" if ended in _CUT else "refusal" if ended in _FILTERED else "stop"


def _chat_usage(asked: Asked, usage: Mapping[str, Any]) -> dict[str, Any]:
    """A usage in the names of chat completions. Anthropic counts what was cached beside what was read."""
    if "prompt_tokens" in usage:
        return {"completion_tokens": 0, **usage} if asked.dialect == "embeddings" else dict(usage)
    read, cached = usage.get("input_tokens"), usage.get("cache_read_input_tokens")
    beside = (as_count(each) or 0 for each in (cached, usage.get("cache_creation_input_tokens")))
    details = usage.get("input_tokens_details") or {"cached_tokens": cached}
    return {
        "prompt_tokens": None if (count := as_count(read)) is None else count + sum(beside),
        "completion_tokens": 0 if asked.dialect == "embeddings" else usage.get("output_tokens"),
        "prompt_tokens_details": details,
        "completion_tokens_details": usage.get("output_tokens_details"),
    }


def _events(text: str) -> list[dict[str, Any]]:
    """The JSON objects of a stream of events."""
    lines = (line[5:].strip() for line in text.splitlines() if line.startswith("data:"))
    return [found for line in lines if line[:1] == "{" and (found := json_object(line)) is not None]


def _whole(asked: Asked, events: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The answer that events add up to; None where they do not come to an end."""
    fault = next((each for each in events if each.get("error")), None)
    if fault is not None and fault.get("type", "error") == "error":
        return fault
    match asked.dialect:
        case "messages":
            return _message(events)
        case "responses":
            ends = ("response.completed", "response.incomplete", "response.failed")
            return next((as_object(each.get("response")) for each in events if each.get("type") in ends), None)
        case "generateContent" | "streamGenerateContent":
            return added_up(events)
        case _:
            return _chunks(events)


def _message(events: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Anthropic's."""
    whole: dict[str, Any] = {}
    for each in events:
        match each.get("type"):
            case "message_start":
                whole = dict(as_object(each.get("message")))
            case "content_block_start":
                block = {**as_object(each.get("content_block")), "index": each.get("index"), "input": ""}
                _grow(whole, {"content": [block]})
            case "content_block_delta":
                told = as_object(each.get("delta"))
                part = {"index": each.get("index"), "text": told.get("text"), "input": told.get("partial_json")}
                _grow(whole, {"content": [part]})
            case "message_delta":
                _grow(whole, {**as_object(each.get("delta")), "usage": as_object(each.get("usage"))})
            case "message_stop":
                return whole
            case _:
                pass
    return None


def _chunks(events: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Those of chat completions and of completions."""
    whole: dict[str, Any] = {}
    for each in events:
        _grow(whole, each)
    choices = [as_object(each) for each in as_list(whole.get("choices"))]
    if not choices or not all(each.get("finish_reason") for each in choices):
        return None
    return {**whole, "choices": [{**each, "message": each.get("delta")} for each in choices]}


def _grow(whole: dict[str, Any], part: Mapping[str, Any]) -> None:
    """Add what an event brings: texts go on, what has an index is what had it before, and else the last that is said holds."""
    for name, new in part.items():
        old = whole.get(name)
        if isinstance(new, dict):
            held = whole[name] = as_object(old)
            _grow(held, as_object(new))
        elif isinstance(new, list):
            items = whole[name] = as_list(old)
            for item in map(as_object, as_list(new)):
                there = next((each for each in items if each.get("index") == item.get("index")), None)
                if there is None:
                    items.append(there := {})
                _grow(there, item)
        elif name in _GROWING and isinstance(new, str):
            whole[name] = f"{old or ''}{new}"
        elif new or name == "index":
            whole[name] = new
