"""What a user's metric returned, read as a score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, SupportsFloat, cast

from flowbot.fields import Score
from flowbot.fields.bounds import NAME, bounded
from flowbot.fields.words import kind_of

EXPECTED = "a number from 0 to 1, a bool, a Score, (number, feedback) or {score, feedback, parts}"


class NotAScore(Exception):
    """What was returned is no score; the text says what it is."""


def score_of(returned: Any) -> Score:
    """The score of what a metric returned: a number, a bool, a `Score`, `(number, feedback)`, or a mapping with `score`
    (or `value`) and perhaps `feedback` and `parts`, or an object with such attributes, as `dspy.Prediction`. Feedback that is
    None is none.

    Raises:
        NotAScore: for anything else.
        ValueError: for a number outside of [0, 1].
    """
    match returned:
        case Score():
            return returned
        case Mapping():
            return _of_mapping(cast("Mapping[Any, Any]", returned))
        case _ if (named := _attributes(returned)) is not None:
            return _of_mapping(named)
        case (value, feedback):
            return Score(_number(value, "a tuple with"), _text(feedback))
        case _:
            return Score(_number(returned, ""))


def _attributes(value: Any) -> dict[str, Any] | None:
    """`score`, `feedback` and `parts` of an object that has a score, as other libraries' metrics return one."""
    if isinstance(value, type) or (score := getattr(value, "score", None)) is None or callable(score):
        return None
    parts = getattr(value, "parts", None)
    return {
        "score": score,
        "feedback": getattr(value, "feedback", None),
        "parts": parts if isinstance(parts, Mapping) else {},
    }


def _of_mapping(mapping: Mapping[Any, Any]) -> Score:
    unknown = [key for key in mapping if key not in ("score", "value", "feedback", "parts")]
    if unknown or ("score" in mapping) == ("value" in mapping):
        found = (
            f"the key {bounded(repr(unknown[0]), NAME)}"
            if unknown
            else "no score"
            if "score" not in mapping
            else "score and value"
        )
        raise NotAScore(f"it returned a mapping with {found}; expected {EXPECTED}")
    parts: Any = mapping.get("parts") or {}
    if not isinstance(parts, Mapping):
        raise NotAScore(f"it returned parts that are {kind_of(parts)}; expected {{name: number}}")
    named = cast("Mapping[Any, Any]", parts)
    return Score(
        _number(mapping.get("score", mapping.get("value")), "a score that is"),
        _text(mapping.get("feedback")),
        {str(name): _number(each, f"a part {bounded(repr(name), NAME)} that is") for name, each in named.items()},
    )


def _number(value: Any, what: str) -> float:
    if isinstance(value, SupportsFloat):
        return float(value)
    if hasattr(value, "close") and hasattr(value, "send"):
        value.close()  # a coroutine: not awaited, and not to be complained about a second time
    found = "None" if value is None else kind_of(value)
    raise NotAScore(f"it returned {f'{what} {found}' if what else found}; expected {EXPECTED}")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise NotAScore(f"it returned feedback that is {kind_of(value)}; expected a text")
    return value
