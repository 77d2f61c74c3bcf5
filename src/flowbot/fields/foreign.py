"""pydantic's findings as FlowBot's, and the types of what comes from outside: files that others can write, and stores.

A value of a wrong type or out of its range is found where it comes in, and told in one line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from .errors import UserError
from .yaml_core import MOST_BITS, TOO_LONG

_MOST = 1e15
MOST_FINDINGS = 200
"""Findings that are told at once."""

Count = Annotated[int, Field(ge=0, le=int(_MOST))]
"""A number of calls, tokens or examples."""
Amount = Annotated[float, Field(ge=0, le=_MOST)]
"""Seconds or US dollars."""
Share = Annotated[float, Field(ge=0, le=1)]
"""A score or a probability."""
Gain = Annotated[float, Field(ge=-1, le=1)]
"""A difference of scores."""


class Record(BaseModel):
    """Data from outside. Types are strict: `"1"` and `true` are no numbers. Members that are not named are let be."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False, defer_build=True)


class Closed(BaseModel):
    """Data of a user's file: immutable, and a key that is not named is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Tokens(Record):
    """A `Usage` as it is stored."""

    calls: Count = 0
    input_tokens: Count = 0
    output_tokens: Count = 0
    cached_tokens: Count = 0
    usd: Amount | None = 0.0
    seconds: Amount = 0.0


_Record = TypeVar("_Record", bound=BaseModel)
Place = tuple[int | str, ...]


def checked(kind: type[_Record], data: Any, where: str, expected: str = "") -> _Record:
    """Data from outside as a record.

    Args:
        kind: what it is to be.
        data: plain data, as JSON holds it.
        where: how to name it in an error, such as the file and line.
        expected: what else is to be said of what should stand there, as how to come by it.

    Raises:
        UserError: naming the member, what was found and what was expected.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        member, found, wanted = explain(error)
        place = f"{where}: {member}" if member else where
        raise UserError(place, found, f"{wanted}; {expected}" if expected else wanted) from None


def place_text(place: Place, kind: str) -> str:
    """A place in data as text: `steps[2].usage.calls`."""
    text = ""
    for step in place[:-1] if kind in ("missing", "extra_forbidden") else place:
        text += f"[{step}]" if isinstance(step, int) else f".{_shown(step)}" if text else _shown(step)
    return text


def _shown(text: str) -> str:
    """A name from outside in at most eighty characters that can be printed."""
    return text[:80] if text.isprintable() else text[:80].encode("unicode_escape").decode()


PlaceText = Callable[[Place, str], str]


def findings(error: ValidationError, where: PlaceText = place_text) -> list[tuple[str, str, str]]:
    """What pydantic found as (place, found, expected), at most `MOST_FINDINGS`."""
    return [_finding(each, where) for each in error.errors(include_url=False)[:MOST_FINDINGS]]


def explain(error: ValidationError, where: PlaceText = place_text) -> tuple[str, str, str]:
    """The first finding as (place, found, expected), and how many more there are."""
    place, found, expected = _finding(error.errors(include_url=False)[0], where)
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return place, found, expected + more


def short(value: Any) -> str:
    """A value in at most sixty characters."""
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        return TOO_LONG
    text = repr(value[:80]) if isinstance(value, str) else json.dumps(value, ensure_ascii=True, default=repr)
    return text if len(text) <= 60 else text[:57] + "…"


def _finding(finding: ErrorDetails, where: PlaceText) -> tuple[str, str, str]:
    context = finding.get("ctx", {})
    if finding["type"] == "explained":
        return str(context["place"]), str(context["found"]), str(context["expected"])
    found, expected = _words(finding["type"], context, finding["input"], finding["msg"], finding["loc"])
    return where(finding["loc"], finding["type"]), found, expected


def _words(kind: str, context: dict[str, Any], given: Any, message: str, place: Place) -> tuple[str, str]:
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
        case "string_type" if place[-1:] == ("<text>",):
            return short(given), "a text, or a place as {ref: question}"
        case "string_too_short" if place[-1:] == ("<text>",):
            return "an empty text", "some text: leave the part out"
        case "too_short":
            return short(given), f"at least {context['min_length']} of them"
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
            return short(given), _expected(message)


def _expected(message: str) -> str:
    """What pydantic would have, as what is expected."""
    said = re.fullmatch(r"(?:Input|[A-Z]\w+) should (?:(be|have|match) )?(.+)", message)
    if said is None:
        return f"another value ({message})"
    return {"have": "one with ", "match": "one that matches "}.get(said[1] or "", "") + said[2]
