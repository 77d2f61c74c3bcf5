"""How models write what an edit has, as metadata of its fields: closed JSON schemas, lists of small objects for mappings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NONE: Schema = {"type": "null"}
COUNT: Schema = {"type": "integer", "minimum": 1}
PYTHON: Schema = {"type": "string", "description": "Python: def run(<inputs>): ... returns a dict of the outputs"}
NODE: Schema = {"$ref": "#/$defs/node"}
NAMED: Schema = {"type": "array", "items": {"$ref": "#/$defs/named"}, "minItems": 1}
CONDITION: Schema = {"anyOf": [{"$ref": "#/$defs/condition"}, NONE]}


class Offer(NamedTuple):
    """What an edit may name: schemas of the paths of nodes and of `llm` nodes, outputs and tools, and the kinds of nodes."""

    paths: Schema
    calls: Schema
    outputs: Schema
    tools: Schema
    kinds: Collection[str]


@dataclass(frozen=True, slots=True)
class Written:
    """Marks a field of an edit that models write.

    Args:
        schema: its JSON schema; None where it is not offered.
        rows: key and value of the small objects that stand for a mapping.
        name: what models call it, where that is not the field's name in the file format.
    """

    schema: Callable[[Offer], Schema | None]
    rows: tuple[str, str] | None = None
    name: str = ""


def always(schema: Schema) -> Written:
    """A field that is written in the same way whatever there is."""
    return Written(lambda _: schema)


def rows(key: str, value: str, names: Callable[[Offer], Schema] = lambda _: TEXT) -> Written:
    """A mapping, written as a list of objects of a key and a value, both texts."""
    return Written(lambda offer: pairs(key, value, names(offer)), (key, value))


def array(items: Schema, least: int | None = None) -> Schema:
    """A list."""
    return {"type": "array", "items": items} | ({} if least is None else {"minItems": least})


def pairs(key: str, value: str, names: Schema = TEXT) -> Schema:
    """A mapping of texts as a list of objects, whose keys are as `names` says."""
    return array(closed({key: names, value: TEXT}))


def one_of(names: Iterable[str]) -> Schema:
    """One of the names; any text where there is none."""
    listed = list(names)
    return {"type": "string", "enum": listed} if listed else TEXT


def closed(properties: Schema) -> Schema:
    """An object with these members, all of them and no other."""
    required = list(properties)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
