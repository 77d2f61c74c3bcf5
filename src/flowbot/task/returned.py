"""What a user's metric returned, read as a score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, SupportsFloat, cast

from flowbot.fields import Score
from flowbot.fields.bounds import NAME, bounded

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


def _attributes(given: Any) -> dict[str, Any] | None:
    """`score`, `feedback` and `parts` of an object that has a score, as other libraries' metrics return one."""
    if isinstance(given, type) or (score := getattr(given, "score", None)) is None or callable(score):
        return None
    parts = getattr(given, "parts", None)
    return {
        "score": score,
        "feedback": getattr(given, "feedback", None),
        "parts": parts if isinstance(parts, Mapping) else {},
    }


def _of_mapping(given: Mapping[Any, Any]) -> Score:
    unknown = [key for key in given if key not in ("score", "value", "feedback", "parts")]
    if unknown or ("score" in given) == ("value" in given):
        found = (
            f"the key {bounded(repr(unknown[0]), NAME)}"
            if unknown
            else "no score"
            if "score" not in given
            else "score and value"
        )
        raise NotAScore(f"it returned a mapping with {found}; expected {EXPECTED}")
    parts: Any = given.get("parts") or {}
    if not isinstance(parts, Mapping):
        raise NotAScore(f"it returned parts that are a {type(parts).__name__}; expected {{name: number}}")
    named = cast("Mapping[Any, Any]", parts)
    return Score(
        _number(given.get("score", given.get("value")), "a score that is"),
        _text(given.get("feedback")),
        {str(name): _number(each, f"a part {bounded(repr(name), NAME)} that is") for name, each in named.items()},
    )


def _number(given: Any, what: str) -> float:
    if isinstance(given, SupportsFloat):
        return float(given)
    if hasattr(given, "close") and hasattr(given, "send"):
        given.close()  # a coroutine: not awaited, and not to be complained about a second time
    found = "None" if given is None else f"a {type(given).__name__}"
    raise NotAScore(f"it returned {f'{what} {found}' if what else found}; expected {EXPECTED}")


def _text(given: Any) -> str:
    if given is None:
        return ""
    if not isinstance(given, str):
        raise NotAScore(f"it returned feedback that is a {type(given).__name__}; expected a text")
    return given
