# pyright: basic
"""What exported Python files are made of: each takes over the functions that it needs, as they stand here.

They need the standard library and the `openai` package alone, and do what FlowBot does with a reply, a tool and a value. A type
is `str`, `int`, `float`, `bool`, `dict`, a list of one, a tuple of labels, or a dict of the members of an object.
"""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import inspect
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

client: Any = None
"""The file that takes over a function has one of its own."""


class StepFailed(Exception):
    """A step gave nothing of use, so that what needs it cannot run."""


async def ask(
    messages: list[dict[str, Any]], fields: dict[str, Any], *, own_words: bool = False, **settings: Any
) -> dict[str, Any]:
    """What the model says for `fields`. A reply that cannot be read is asked for once more, with what is wrong with it."""
    limit = "max_completion_tokens" if "max_completion_tokens" in settings else "max_tokens"
    form = reply_format(fields, own_words=own_words)
    room_left, tries_left = True, 0 if own_words else 1
    while True:
        answer = await client.chat.completions.create(messages=messages, **settings, **form)
        choice = answer.choices[0]
        said = choice.message.content or choice.message.refusal or ""
        text = without_thoughts(said)
        used = answer.usage.completion_tokens if answer.usage else 0
        cut = choice.finish_reason == "length" or used >= settings[limit]
        if not text and cut and room_left:  # all of it went into thinking
            room_left, settings[limit] = False, 4 * settings[limit]
            continue
        try:
            return read(text, fields, own_words=own_words)
        except ValueError as error:
            fault = str(error)
        if choice.message.refusal or choice.finish_reason == "content_filter" or cut or not tries_left:
            raise StepFailed(fault)
        tries_left -= 1
        again = f"Reply with one JSON object with {named(fields)} and nothing else." if form else "Reply again."
        messages = [
            *messages,
            {"role": "assistant", "content": said[:2000]},
            {"role": "user", "content": f"That reply is of no use: {fault}. {again}"},
        ]


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


def reply_format(fields: dict[str, Any], *, own_words: bool = False) -> dict[str, Any]:
    """What a request asks of the form of its reply: nothing where it is plain text."""
    wanted: Any = fields
    if len(fields) == 1 and (own_words or str in fields.values()):
        (wanted,) = fields.values()
        if not (own_words and (wanted is dict or isinstance(wanted, dict))):
            return {}
    schema = schema_of(wanted)
    strict = '{"type": "object"}' not in json.dumps(schema)
    return {
        "response_format": {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema, "strict": strict}}
    }


def schema_of(kind: Any) -> dict[str, Any]:
    """The JSON schema of a type."""
    if isinstance(kind, dict):
        members = {name: schema_of(each) for name, each in kind.items()}
        return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}
    if isinstance(kind, list):
        return {"type": "array", "items": schema_of(kind[0])}
    if isinstance(kind, tuple):
        return {"type": "string", "enum": list(kind)}
    return {"type": {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object"}[kind]}


def read(text: str, fields: dict[str, Any], *, own_words: bool = False) -> dict[str, Any]:
    """The values in a reply; a ValueError says what is wrong with it."""
    name, kind = next(iter(fields.items()))
    if len(fields) == 1 and (kind is str or own_words):
        if not text:
            raise ValueError("the reply is empty")
        if kind is str:
            return {name: text}
        if kind in (int, float) and (numbers := re.findall(r"-?\d[\d,]*(?:\.\d+)?", text)):
            return {name: fit(numbers[-1], kind, name)}
        if not isinstance(kind, list | dict) and kind is not dict:
            return {name: fit(text.strip(" \n*_`\"'.,:;!"), kind, name)}
    body = text.strip()
    if body.startswith("```") and body.endswith("```"):
        body = body.partition("\n")[2][:-3].strip()
    found: Any = ""
    for part in (body, body[body.find("{") : body.rfind("}") + 1], body[body.find("[") : body.rfind("]") + 1]):
        try:
            found = json.loads(part)
            break
        except ValueError:
            continue
    if found == "":
        raise ValueError(f"found {body[:60]!r}; expected JSON")
    if isinstance(found, list) and not (len(fields) == 1 and isinstance(kind, list)):
        found = next((each for each in reversed(found) if isinstance(each, dict)), found)
    if isinstance(found, dict):
        given = found
        missing = [each for each in fields if each not in given]
        if not missing:
            return {each: fit(given[each], wanted, each) for each, wanted in fields.items()}
        if len(fields) > 1 or not (kind is dict or isinstance(kind, dict)):
            raise ValueError(f"{', '.join(missing)} is missing; expected a JSON object with {named(fields)}")
    if len(fields) > 1:
        raise ValueError(f"found {json.dumps(found)[:60]}; expected a JSON object with {named(fields)}")
    return {name: fit(found, kind, name)}


def fit(value: Any, kind: Any, place: str) -> Any:
    """The value as this type, where it plainly is one; a ValueError says what is wrong with it."""
    shown = json.dumps(value, ensure_ascii=False, default=repr)
    shown = shown if len(shown) <= 60 else f"{shown[:59]}…"
    fault = ValueError(f"{place}: found {shown}; expected {type_name(kind)}")
    if isinstance(kind, list):
        if not isinstance(value, list):
            raise fault
        return [fit(each, kind[0], f"{place}[{number}]") for number, each in enumerate(value)]
    if kind is dict or isinstance(kind, dict):
        if not isinstance(value, dict):
            raise ValueError(f"{place}: found {shown}; expected an object") if kind is dict else fault
        members = kind if isinstance(kind, dict) else {}
        if missing := [name for name in members if name not in value]:
            raise ValueError(f"{place}: {', '.join(missing)} is missing; expected {type_name(kind)}")
        given = value
        return (
            given
            if kind is dict
            else {name: fit(given[name], each, f"{place}.{name}") for name, each in members.items()}
        )
    if kind is bool:
        said = {"true": True, "false": False}.get(value.strip().casefold()) if isinstance(value, str) else value
        if not isinstance(said, bool):
            raise fault
        return said
    if kind is str or isinstance(kind, tuple):
        if isinstance(value, bool | int | float):
            value = json.dumps(value)
        if not isinstance(value, str):
            raise ValueError(f"{place}: found {shown}; expected str")
        labels = kind if isinstance(kind, tuple) else (value,)
        if value in labels:
            return value
        alike = [label for label in labels if look_alike(label) == look_alike(value)]
        if len(alike) == 1:
            return alike[0]
        raise ValueError(f"{place}: found {shown}; expected one of {', '.join(map(repr, labels))}")
    try:
        number = float(value.strip().replace(",", "") if isinstance(value, str) else value)
        if isinstance(value, bool) or (kind is int and not number.is_integer()) or number - number != 0:
            raise fault
        return int(value) if kind is int and isinstance(value, int) else kind(number)
    except (TypeError, ValueError, OverflowError):
        raise fault from None


def type_name(kind: Any) -> str:
    """A type as people write it."""
    if isinstance(kind, list):
        return f"list[{type_name(kind[0])}]"
    if isinstance(kind, tuple):
        return f"Literal[{', '.join(map(repr, kind))}]"
    if isinstance(kind, dict):
        return "{" + ", ".join(f"{name}: {type_name(each)}" for name, each in kind.items()) + "}"
    return "object" if kind is dict else kind.__name__


def named(fields: dict[str, Any]) -> str:
    """Fields with their types, in a line."""
    return ", ".join(f"{name} ({type_name(kind)})" for name, kind in fields.items())


def without_thoughts(text: str) -> str:
    """A reply without the thoughts that some models write before it."""
    text = re.sub(r"\A\s*<(think|thinking|thought|reasoning)>.*?(</\1>|\Z)", "", text, flags=re.DOTALL | re.IGNORECASE)
    return text.strip()


def text_of(value: Any) -> str:
    """A value as it stands in a prompt: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def look_alike(text: str) -> str:
    """What texts have in common that differ in case, blanks or form alone."""
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold()).split())


def is_empty(value: Any) -> bool:
    """Whether a value says nothing: none, a blank text, an empty list or object."""
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], {})


async def side_by_side(*steps: Awaitable[Any]) -> list[Any]:
    """What several steps give. All of them end before one that failed is told of."""
    ended = await asyncio.gather(*steps, return_exceptions=True)
    failed = next((each for each in ended if isinstance(each, BaseException)), None)
    if failed is not None:
        raise failed
    return list(ended)


async def or_none(step: Awaitable[Any]) -> Any:
    """What a step gives; None where it failed: what can do without it goes on."""
    try:
        return await step
    except StepFailed:
        return None


async def samples_of(number: int, draw: Callable[[int], Awaitable[dict[str, Any]]]) -> list[dict[str, Any]]:
    """So many samples of one step; those that failed are left out."""
    drawn = await side_by_side(*(or_none(draw(seed)) for seed in range(number)))
    found = [each for each in drawn if each is not None]
    if not found:
        raise StepFailed("no sample is of use")
    return found


def required(step: Mapping[str, Any] | None, name: str) -> Any:
    """What a step gave under a name, which nothing can do without."""
    if step is None:
        raise StepFailed(f"{name} is missing")
    return step[name]


def arrived(*values: Any) -> list[Any]:
    """Those of the values that are there."""
    there = [each for each in values if each is not None]
    if not there:
        raise StepFailed("nothing arrived")
    return there


def first_filled(values: list[Any]) -> Any:
    """The first value that is not empty; the first of all where all are."""
    return next((each for each in values if not is_empty(each)), values[0])


def majority_vote(values: list[Any]) -> Any:
    """The most frequent value, the earlier one where two are as frequent."""
    ballots = [look_alike(each) if isinstance(each, str) else json.dumps(each, sort_keys=True) for each in values]
    counts = Counter(ballots)
    return values[ballots.index(max(counts, key=lambda ballot: counts[ballot]))]


def lettered(candidates: list[Any]) -> dict[str, Any]:
    """The candidates by the labels that a model may choose."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    several = len(candidates) > len(letters)
    return {str(number + 1) if several else letters[number]: each for number, each in enumerate(candidates)}


def join_values(values: list[Any]) -> Any:
    """Lists one after another, anything else as text, a line each."""
    if all(isinstance(each, list) for each in values):
        return [item for each in values for item in each]
    return "\n".join(text_of(each) for each in values)
