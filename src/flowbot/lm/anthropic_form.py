"""Chat completions as messages of Anthropic's own protocol, and the other way round."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .counted import as_count, as_object, as_objects
from .http_faults import json_object


def message_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a message that ask for the same as the body of a chat completion."""
    messages: list[dict[str, Any]] = []
    for each in body["messages"]:
        if each["role"] in ("system", "developer"):
            continue
        blocks: list[dict[str, Any]] = [{"type": "text", "text": each["content"]}] if each.get("content") else []
        if each["role"] == "tool":
            blocks = [{"type": "tool_result", "tool_use_id": each["tool_call_id"], "content": each["content"]}]
        for call in each.get("tool_calls") or ():
            given = json_object(call["function"]["arguments"]) or {}
            blocks.append({"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": given})
        role = "assistant" if each["role"] == "assistant" else "user"
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += blocks
        else:
            messages.append({"role": role, "content": blocks})
    params: dict[str, Any] = {
        "model": body["model"],
        "messages": messages,
        "max_tokens": body.get("max_tokens") or body.get("max_completion_tokens"),
    }
    system = "\n\n".join(each["content"] for each in body["messages"] if each["role"] in ("system", "developer"))
    params |= {"system": system} if system else {}
    params |= {name: body[name] for name in ("top_p", "top_k", "thinking") if name in body}
    if "temperature" in body:
        params["temperature"] = min(
            1.0, body["temperature"]
        )  # the highest that there is; chat completions are cut there, too
    if stop := body.get("stop"):
        params["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if tools := [each["function"] for each in body.get("tools") or ()]:
        params["tools"] = [
            {"name": each["name"], "description": each.get("description", ""), "input_schema": each["parameters"]}
            for each in tools
        ]
    choice, one = body.get("tool_choice"), body.get("parallel_tool_calls") is False
    if choice is not None or one:
        named = as_object(as_object(choice).get("function")).get("name")
        kind = (
            {"type": "tool", "name": named} if named else {"type": "any" if choice == "required" else choice or "auto"}
        )
        params["tool_choice"] = kind | ({"disable_parallel_tool_use": True} if one else {})
    return params


def completion_of(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message in the form of a chat completion."""
    blocks = as_objects(message.get("content"))
    calls = [
        {
            "id": each.get("id"),
            "type": "function",
            "function": {"name": each.get("name"), "arguments": json.dumps(each.get("input"))},
        }
        for each in blocks
        if each.get("type") == "tool_use"
    ]
    said: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(str(each.get("text") or "") for each in blocks if each.get("type") == "text"),
    }
    usage = as_object(message.get("usage"))
    read = [
        as_count(usage.get(name)) or 0
        for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    ]
    return {
        "model": message.get("model"),
        "choices": [
            {"message": said | ({"tool_calls": calls} if calls else {}), "finish_reason": message.get("stop_reason")}
        ],
        "usage": {
            "prompt_tokens": sum(read),
            "completion_tokens": usage.get("output_tokens"),
            "prompt_tokens_details": {"cached_tokens": read[1]},
        },
    }
