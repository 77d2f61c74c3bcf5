# pyright: basic
"""A model that calls functions, and functions that are called."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import inspect
import json
from collections.abc import Callable, Sequence
from typing import Any

from .asking import ask, client, without_thoughts
from .joining import StepFailed
from .reading import fit, named, read, text_of


async def ask_with_tools(
    messages: list[dict[str, Any]],
    fields: dict[str, Any],
    tools: Sequence[Any],
    *,
    rounds: int,
    own_words: bool = False,
    **settings: Any,
) -> dict[str, Any]:
    """The same of a model that may call tools first, in at most so many rounds. Equal calls are made once."""
    limit = "max_completion_tokens" if "max_completion_tokens" in settings else "max_tokens"
    offered = {"tools": [{"type": "function", "function": about} for _, about, *_ in tools]}
    made: dict[str, str] = {}
    room_left = True
    for left in reversed(range(rounds)):
        answer = await client.chat.completions.create(messages=messages, **settings, **offered)
        choice = answer.choices[0]
        text = without_thoughts(choice.message.content or choice.message.refusal or "")
        if choice.message.refusal or choice.finish_reason == "content_filter":
            raise StepFailed(f"the model refused: {text}")
        calls = choice.message.tool_calls or []
        if calls:
            results = await results_of(calls, tools, made)
            results[-1] += "" if left else "\n\nNo calls are left. Give the answer."
            asked = [
                {
                    "id": each.id,
                    "type": "function",
                    "function": {"name": each.function.name, "arguments": each.function.arguments},
                }
                for each in calls
            ]
            told = [
                {"role": "tool", "tool_call_id": each.id, "content": result}
                for each, result in zip(calls, results, strict=True)
            ]
            messages = [*messages, {"role": "assistant", "content": text or None, "tool_calls": asked}, *told]
            continue
        if not text and choice.finish_reason == "length" and room_left:
            room_left, settings[limit] = False, 4 * settings[limit]
            continue
        try:
            alone = own_words and len(fields) == 1
            if text and (text[0] in "{[`" or (next(iter(fields.values())) is str and len(fields) == 1) or alone):
                return read(text, fields, own_words=own_words)
        except ValueError:
            pass  # it speaks, and has not answered yet
        if text:
            messages = [
                *messages,
                {"role": "assistant", "content": text},
                {"role": "user", "content": "Give the answer."},
            ]
        break
    return await ask(messages, fields, own_words=own_words, **settings, **offered, tool_choice="none")


async def results_of(calls: Sequence[Any], tools: Sequence[Any], made: dict[str, str]) -> list[str]:
    """What the model is told of each of its calls, which are made side by side."""
    known = {about["name"]: (function, about, takes, gives, plain) for function, about, takes, gives, plain in tools}

    async def result(call: Any) -> str:
        name = call.function.name
        try:
            if name not in known:
                raise StepFailed(f"there is no tool {name[:64]!r}; the tools are {', '.join(known)}")
            function, about, takes, gives, plain = known[name]
            given = arguments_of(call.function.arguments, about, takes)
        except StepFailed as error:
            return f"Error: {error}"
        try:
            found = await call_function(function, gives, given, plain=plain)
        except StepFailed as error:
            return f"Error: tool {name}: {error}"
        return text_of(found["result"] if list(found) == ["result"] else found)

    keys = [json.dumps([each.function.name, each.function.arguments]) for each in calls]
    fresh = {key: call for key, call in zip(keys, calls, strict=True) if key not in made}
    found = dict(zip(fresh, await asyncio.gather(*map(result, fresh.values())), strict=True))
    told: list[str] = []
    for key in keys:
        text = found.pop(key, "You have made this very call before; its result has not changed, and stands above.")
        made[key] = ""
        left = len(text) - 4000
        told.append(text if left <= 0 else f"{text[:4000]} … (cut: {left} more characters)")
    return told


def arguments_of(text: str, about: dict[str, Any], takes: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call, each of its type."""
    name, required = about["name"], about["parameters"]["required"]
    try:
        given: Any = json.loads(text or "{}")
        if not isinstance(given, dict):
            raise ValueError(text)
    except ValueError:
        expected = named(takes) or "nothing"
        raise StepFailed(
            f"tool {name}: found {text[:60]}; expected a JSON object of arguments; it takes {expected}"
        ) from None
    found = {key: value for key, value in given.items() if value is not None or key in required}
    wrong = [f"{key} is missing" for key in takes if key not in found and key in required]
    wrong += [f"{key} is unknown" for key in found if key not in takes]
    if wrong:
        raise StepFailed(f"tool {name}: {', '.join(wrong)}; it takes {', '.join(takes) or 'nothing'}")
    try:
        return {key: fit(found[key], kind, key) for key, kind in takes.items() if key in found}
    except ValueError as error:
        raise StepFailed(f"tool {name}: {error}") from None


async def call_function(
    function: Callable[..., Any], gives: dict[str, Any], arguments: dict[str, Any], *, plain: bool = False
) -> dict[str, Any]:
    """What a function gives, by name and of its type; `plain`: all of it is `result`. One that raises is a step that failed."""
    try:
        found = await asyncio.to_thread(function, **copy.deepcopy(arguments))
        if inspect.isawaitable(found):
            found = await found
        found = json.loads(json.dumps(found, default=as_data))
        if plain or (len(gives) == 1 and not isinstance(found, dict)):
            found = {"result" if plain else next(iter(gives)): found}
        return {name: fit(found[name], kind, name) for name, kind in gives.items()}
    except Exception as error:
        raise StepFailed(f"{type(error).__name__}: {error}") from error


def as_data(value: Any) -> Any:
    """What JSON has no form of: a dataclass as its members, anything else as a list."""
    return vars(value) if dataclasses.is_dataclass(value) else list(value)
