"""pydantic's findings as FlowBot's: the place in the file, what was found, what was expected."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from flowbot.fields import UserError

from .defects import Defect

_KINDS = frozenset({"llm", "tool", "code", "branch", "merge", "loop", "map"})
_HIDDEN = _KINDS | {"add", "remove", "replace", "rewire", "output"}
"""Tags that pydantic puts into the place of an error in a union: they do not stand in the file."""
_FORMS = frozenset({"<test>", "<all>", "<any>", "<not>", "<else>"})
"""The same for the forms of a condition."""
MOST_FINDINGS = 200
"""Findings that are told at once."""
WHOLE = "workflow"
"""How a defect names the whole as its place."""


class FormatError(UserError):
    """Data is not in the format: names the first thing that is wrong and how many more there are.

    Args:
        where: the file, or what else the data is.
        defects: all that is wrong, each `where` a place in it; at least one, at most `MOST_FINDINGS`.
    """

    def __init__(self, where: str, defects: Sequence[Defect]) -> None:
        first = defects[0]
        capped = "at least " if len(defects) >= MOST_FINDINGS else ""
        more = f" (and {capped}{len(defects) - 1} more)" if len(defects) > 1 else ""
        place = where if first.where == WHOLE else f"{where}: {first.where}"
        super().__init__(place, first.what.removeprefix("found "), first.mend.removeprefix("expected ") + more)
        self.defects = tuple(defects)


def findings(error: ValidationError) -> list[tuple[str, str, str]]:
    """What pydantic found as (place, found, expected), at most `MOST_FINDINGS`."""
    return [_finding(each) for each in error.errors(include_url=False)[:MOST_FINDINGS]]


def explain(error: ValidationError) -> tuple[str, str, str]:
    """The first finding as (place, found, expected), and how many more there are."""
    place, found, expected = _finding(error.errors(include_url=False)[0])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return place, found, expected + more


def explained(error: ValidationError, place: str) -> PydanticCustomError:
    """A finding inside `place`, to be raised by a validator; `explain` reads it back."""
    within, found, expected = explain(error)
    context = {"place": f"{place}.{within}".rstrip("."), "found": found, "expected": expected}
    return PydanticCustomError("explained", "{place}: found {found}; expected {expected}", context)


def misfit(place: str, found: str, expected: str) -> Defect:
    """A finding as a defect; "" is the place of the whole."""
    return Defect(place or WHOLE, f"found {found}", f"expected {expected}")


def short(value: Any) -> str:
    """A value in at most sixty characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=True, default=repr)
    text = repr(text) if isinstance(value, str) else text
    return text if len(text) <= 60 else text[:57] + "…"


_Place = tuple[int | str, ...]


def _finding(finding: ErrorDetails) -> tuple[str, str, str]:
    context = finding.get("ctx", {})
    if finding["type"] == "explained":
        return str(context["place"]), str(context["found"]), str(context["expected"])
    found, expected = _words(finding["type"], context, finding["input"], finding["msg"], finding["loc"])
    return _place(finding["loc"], finding["type"]), found, expected


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
        case "model_type" if place[-1:] == ("<test>",):
            return short(given), "a condition, as {ref: n, op: '>', value: 20}"
        case "string_too_long" | "too_long":
            return (
                f"{len(given):,} {'characters' if isinstance(given, str) else 'items'}",
                f"at most {context['max_length']:,}",
            )
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
        after_node = index >= 2 and steps[index - 2] == "nodes"
        if step in _HIDDEN and (index == 0 or steps[index - 1] == "node" or after_node):
            continue
        if step in _FORMS:
            continue
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text
