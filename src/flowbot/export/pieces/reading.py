# pyright: basic
"""A reply as values: what is asked of its form, and what can be read of it."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any


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


def text_of(value: Any) -> str:
    """A value as it stands in a prompt: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def look_alike(text: str) -> str:
    """What texts have in common that differ in case, blanks or form alone."""
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold()).split())
