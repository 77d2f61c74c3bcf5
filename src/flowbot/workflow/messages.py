"""pydantic's findings as FlowBot's: the place in the file, what was found, what was expected."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

_HIDDEN = frozenset({"llm", "tool", "code", "merge", "add", "remove", "replace", "rewire", "output"})
"""Tags that pydantic puts into the place of an error in a union: they do not stand in the file."""


def explain(error: ValidationError) -> tuple[str, str, str]:
    """The first finding as (place, found, expected), and how many more there are."""
    findings = error.errors(include_url=False)
    first = findings[0]
    if first["type"] == "explained":
        context = first.get("ctx", {})
        return str(context["place"]), str(context["found"]), str(context["expected"])
    found, expected = _words(first["type"], first.get("ctx", {}), first["input"], first["msg"], first["loc"])
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return _place(first["loc"], first["type"]), found, expected + more


def explained(error: ValidationError, place: str) -> PydanticCustomError:
    """A finding inside `place`, to be raised by a validator; `explain` reads it back."""
    within, found, expected = explain(error)
    context = {"place": f"{place}.{within}".rstrip("."), "found": found, "expected": expected}
    return PydanticCustomError("explained", "{place}: found {found}; expected {expected}", context)


def short(value: Any) -> str:
    """A value in at most sixty characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=True, default=repr)
    text = repr(text) if isinstance(value, str) else text
    return text if len(text) <= 60 else text[:57] + "…"


_Place = tuple[int | str, ...]


def _words(kind: str, context: dict[str, Any], given: Any, message: str, place: _Place) -> tuple[str, str]:
    match kind:
        case "missing":
            return f"no {short(place[-1])}", "one: it is required"
        case "extra_forbidden":
            return f"the unknown key {short(place[-1])}", "only the keys of the format"
        case "union_tag_invalid":
            return short(context.get("tag")), f"one of {context.get('expected_tags')}"
        case "union_tag_not_found":
            return f"no {context.get('discriminator')}", "one: it is required"
        case "model_attributes_type" | "model_type" | "dict_type":
            return short(given), "a mapping"
        case "tuple_type" | "list_type":
            return short(given), "a list"
        case "string_type":
            return short(given), "a text"
        case "literal_error":
            return short(given), f"{context.get('expected')}"
        case _:
            return short(given), message.removeprefix("Input should be ").removeprefix("Input should ")


def _place(place: _Place, kind: str) -> str:
    steps = list(place[:-1] if kind in ("missing", "extra_forbidden") else place)
    text = ""
    for index, step in enumerate(steps):
        # A tag follows a node's name or an edit's start; a node may well be named `code`, so only such places count.
        if step in _HIDDEN and (index == 0 or steps[index - 1] == "node" or (steps[0] == "nodes" and index == 2)):
            continue
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text
