"""Types from the JSON schemas by which MCP servers describe their tools, and values as these take and give them.

What our types cannot say becomes a wider type: an input then is a text or any object, and the server itself checks it;
an output is an object as it comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

from flowbot.fields import Field, Type, is_name
from flowbot.fields.bounds import ABOUT, bounded

Schema = Mapping[str, Any]
Taken = Literal["members", "whole", "text"]
"""Outputs are the members of the structured result, the output `result` is the whole of it, or it is the text."""

_SCALARS = {"string": Type("str"), "integer": Type("int"), "number": Type("float"), "boolean": Type("bool")}
_OBJECT = Type("object")
_EXACT = 2**53
"""Whole numbers up to here are exact as floats."""
_MOST_DEPTH = 6
_MOST_PARTS = 20_000


def input_fields(schema: Schema) -> tuple[dict[str, Field], frozenset[str]]:
    """Parameters by the server's names, and the field names of those that may be left out.

    Raises:
        ValueError: if the schema is not that of an object with named members.
    """
    whole = _Root(schema)
    root = _resolved(schema, whole)
    if root.get("type", "object") != "object" or any(key in root for key in ("anyOf", "oneOf", "allOf")):
        raise ValueError("inputs that are not an object with named members")
    members = _members(root)
    fields = {name: Field(_own(name), _wide(member, whole), _about(member, whole)) for name, member in members.items()}
    if len({field.name for field in fields.values()}) < len(fields):
        raise ValueError(f"inputs whose names are too alike: {', '.join(fields)}")
    required = _texts(root.get("required"))
    return fields, frozenset(field.name for name, field in fields.items() if name not in required)


def output_fields(schema: Schema | None) -> tuple[tuple[Field, ...], Taken]:
    """Outputs, and how they are taken from what a tool gives."""
    if schema is None:
        return (Field("result", Type("str")),), "text"
    whole = _Root(schema)
    root, kind = _resolved(schema, whole), _exact(schema, whole, 0)
    if kind is None:
        # Any object is a value of ours; another thing of no type, as a list of mixed things, is shown as text.
        whole = root.get("type") == "object"
        return (Field("result", _OBJECT if whole else Type("str")),), "whole" if whole else "text"
    if not kind.members or not all(is_name(name) for name, _ in kind.members):
        return (Field("result", kind),), "whole"
    members = _members(root)
    return tuple(Field(name, each, _about(members[name], whole)) for name, each in kind.members), "members"


def whole_numbers(value: Any) -> Any:
    """Arguments with whole numbers as such: `3.0` is a number to our types, and to many a server no `3`."""
    match value:
        case float() if value.is_integer() and abs(value) <= _EXACT:
            return int(value)
        case list():
            return [whole_numbers(each) for each in cast("list[Any]", value)]
        case dict():
            return {name: whole_numbers(each) for name, each in cast("dict[str, Any]", value).items()}
        case _:
            return value


def without_pictures(value: Any) -> Any:
    """A structured result whose pictures, sounds and files are only named."""
    match value:
        case {"type": "image" | "audio" as kind, "data": str(), **rest}:
            return {**rest, "type": kind, "data": f"[{kind}]"}
        case {"blob": str(), "uri": str(uri), **rest}:
            return {**rest, "uri": uri, "blob": f"[{uri}]"}
        case dict():
            return {name: without_pictures(each) for name, each in cast("dict[str, Any]", value).items()}
        case list():
            return [without_pictures(each) for each in cast("list[Any]", value)]
        case _:
            return value


def _exact(schema: Any, root: _Root, depth: int) -> Type | None:
    """The type of exactly the schema's values; None where there is none."""
    if not isinstance(schema, Mapping) or depth > _MOST_DEPTH:
        return None
    found = _resolved(cast("Schema", schema), root)
    if any(key in found for key in ("anyOf", "oneOf", "allOf", "$ref")):
        return None
    if "enum" in found or "const" in found:
        options = cast("list[Any]", found["enum"] if "enum" in found else [found["const"]])
        texts = _texts(options)
        return Type("literal", options=texts) if texts and len(texts) == len(options) else None
    match found.get("type"):
        case str(name) if name in _SCALARS:
            return _SCALARS[name]
        case "array":
            item = _exact(found.get("items"), root, depth + 1)
            return Type("list", item=item) if item else None
        case "object":
            return _exact_object(found, root, depth)
        case _:
            return None


def _exact_object(found: Schema, root: _Root, depth: int) -> Type:
    """A typed object if all members are named, there and of exact types; else any object."""
    members = _members(found)
    kinds = {name: _exact(member, root, depth + 1) for name, member in members.items()}
    known = [(name, kind) for name, kind in kinds.items() if kind and name.isidentifier()]
    if not members or len(known) < len(members) or set(_texts(found.get("required"))) != set(members):
        return _OBJECT
    return Type("object", members=tuple(known))


def _wide(schema: Any, root: _Root, depth: int = 0) -> Type:
    """The narrowest type of ours that holds every value of the schema that a workflow would give."""
    exact = _exact(schema, root, 0)
    if exact is not None or depth > _MOST_DEPTH or not isinstance(schema, Mapping):
        return exact or Type("str")
    found = _resolved(cast("Schema", schema), root)
    if found.get("type") == "array":
        return Type("list", item=_wide(found.get("items"), root, depth + 1))
    choices = [each for key in ("anyOf", "oneOf") for each in cast("list[Any]", found.get(key) or [])]
    if isinstance(found.get("type"), list):
        choices = [{**found, "type": each} for each in cast("list[Any]", found["type"])]
    kinds = {_wide(each, root, depth + 1) for each in choices if not _is_null(each)}
    if len(kinds) == 1:
        return kinds.pop()
    if kinds and kinds <= {Type("int"), Type("float")}:
        return Type("float")
    return _OBJECT if kinds and all(kind.kind == "object" for kind in kinds) else Type("str")


def _is_null(schema: Any) -> bool:
    return isinstance(schema, Mapping) and cast("Schema", schema).get("type") == "null"


class _Root(dict[str, Any]):
    """A whole document. Counts what is read of it: a few references to one another unfold to more than can be read."""

    left = _MOST_PARTS


def _resolved(schema: Schema, root: _Root) -> Schema:
    """What a reference within the document points to, or the schema itself.

    Raises:
        ValueError: if too much of the document was read.
    """
    root.left -= 1
    if root.left < 0:
        raise ValueError(f"a schema that unfolds to more than {_MOST_PARTS:,} parts")
    for _ in range(_MOST_DEPTH):
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return schema
        found: Any = root
        for part in reference[2:].split("/"):
            found = cast("Schema", found).get(part) if isinstance(found, Mapping) else None
        if not isinstance(found, Mapping):
            return schema
        schema = cast("Schema", found)
    return schema


def _members(schema: Schema) -> dict[str, Any]:
    members = schema.get("properties")
    return cast("dict[str, Any]", members) if isinstance(members, dict) else {}


def _texts(given: Any) -> tuple[str, ...]:
    return tuple(each for each in cast("list[Any]", given or []) if isinstance(each, str))


def _about(schema: Any, root: _Root) -> str:
    if not isinstance(schema, Mapping):
        return ""
    text = cast("Schema", schema).get("description") or _resolved(cast("Schema", schema), root).get("description")
    return bounded(" ".join(text.split()), ABOUT) if isinstance(text, str) else ""


def _own(name: str) -> str:
    """A name that a workflow can use: other characters become `_`, and a Python keyword gets one at its end."""
    own = "".join(each if each.isascii() and (each.isalnum() or each == "_") else "_" for each in name)[:60]
    return own if is_name(own) else next((each for each in (f"{own}_", f"_{own}") if is_name(each)), "value")
