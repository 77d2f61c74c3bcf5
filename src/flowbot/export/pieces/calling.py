# pyright: basic
"""A model that calls functions, and functions that are called."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import inspect
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from .asking import answered, ask, without_thoughts
from .joining import StepFailed
from .reading import fit, named, read, text_of


@dataclasses.dataclass
class Tool:
    """A function that a model may call: what the model is told of it, and the types of its arguments and results."""

    function: Callable[..., Any]
    about: dict[str, Any]
    takes: dict[str, Any]
    gives: dict[str, Any]
    plain: bool
    writes: bool


async def ask_with_tools(
    messages: list[dict[str, Any]],
    fields: dict[str, Any],
    tools: Sequence[Tool],
    *,
    rounds: int,
    own_words: bool = False,
    **settings: Any,
) -> dict[str, Any]:
    """The same of a model that may call tools first, in at most so many rounds. Equal calls are made once."""
    limit = "max_completion_tokens" if "max_completion_tokens" in settings else "max_tokens"
    offered = {"tools": [{"type": "function", "function": tool.about} for tool in tools]}
    made: set[str] = set()
    room_left = True
    for left in reversed(range(rounds)):
        answer = await answered(messages=messages, **settings, **offered)
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


async def results_of(calls: Sequence[Any], tools: Sequence[Tool], made: set[str]) -> list[str]:
    """What the model is told of each of its calls, which are made side by side, those that only read once."""
    planned = [
        planned_call(call, tools) if number < 8 else "not made: at most 8 calls at once"
        for number, call in enumerate(calls)
    ]
    keys: list[str] = []
    asked: dict[str, Awaitable[str]] = {}
    for number, each in enumerate(planned):
        keys.append("")
        if not isinstance(each, str):
            tool, given = each
            key = json.dumps([tool.about["name"], given], sort_keys=True)
            keys[-1] = f"{key} {number}" if tool.writes else key
            if key not in made and keys[-1] not in asked:
                asked[keys[-1]] = called(tool, given)
    found = dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))
    made.update(asked)
    if any(not isinstance(each, str) and each[0].writes for each in planned):
        made.clear()  # what was read before may have changed
    again = "You have made this very call before; its result has not changed, and stands above."
    return [
        f"Error: {each}" if isinstance(each, str) else found.pop(key, again)
        for key, each in zip(keys, planned, strict=True)
    ]


def planned_call(call: Any, tools: Sequence[Tool]) -> tuple[Tool, dict[str, Any]] | str:
    """The tool and the arguments that a call means; what is wrong with it where it cannot be made."""
    names = [tool.about["name"] for tool in tools]
    said, text = call.function.name, call.function.arguments or "{}"
    last = said.rpartition(".")[2].strip().casefold()
    meant = [tool for tool in tools if tool.about["name"] == said] or [
        tool for tool in tools if tool.about["name"].casefold() == last
    ]
    if len(meant) != 1:
        return f"there is no tool {said[:64]!r}; the tools are {', '.join(names)}"
    (tool,) = meant
    try:
        given = json.loads(text)
        given = json.loads(given or "{}") if isinstance(given, str) else given
    except ValueError:
        given = None
    if not isinstance(given, dict):
        takes = named(tool.takes) or "nothing"
        return f"tool {tool.about['name']}: found {text[:60]}; expected a JSON object of arguments; it takes {takes}"
    required = tool.about["parameters"]["required"]
    return tool, {key: value for key, value in given.items() if value is not None or key in required}


async def called(tool: Tool, given: dict[str, Any]) -> str:
    """What the model is told of a call that is made."""
    name, required = tool.about["name"], tool.about["parameters"]["required"]
    wrong = [f"{key} is missing" for key in tool.takes if key not in given and key in required]
    wrong += [f"{key} is unknown" for key in given if key not in tool.takes]
    try:
        if wrong:
            raise StepFailed(f"{', '.join(wrong)}; it takes {', '.join(tool.takes) or 'nothing'}")
        fitting = {key: fit(given[key], kind, key) for key, kind in tool.takes.items() if key in given}
        found = await call_function(tool.function, tool.gives, fitting, plain=tool.plain)
    except (StepFailed, ValueError) as error:
        return f"Error: tool {name}: {error}"
    text = text_of(found["result"] if list(found) == ["result"] else found)
    left = len(text) - 4000
    return text if left <= 0 else f"{text[:4000]} … (cut: {left} more characters)"


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
