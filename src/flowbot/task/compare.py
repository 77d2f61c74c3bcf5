"""Comparing one output with what was expected: the ways that the built-in metrics know."""

from __future__ import annotations

import json
import math
import re
import string
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from flowbot.fields import Type

_NUMBER = re.compile(
    r"(?:(?<![\w.)])[-+\u2212])?"  # a sign, not the dash of a range
    r"(?:(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|(?<![0-9])\.[0-9]+)"
    r"(?:[eE][-+]?[0-9]+)?"
)
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = ("a", "an", "the")


@dataclass(frozen=True, slots=True)
class Verdict:
    """How well one value fits, in [0, 1], and what is wrong with it ("" when nothing is)."""

    value: float
    fault: str = ""


Comparison = Callable[[Any, Any], Verdict]
"""(found, expected) to a verdict. Both are JSON values; found is None when there is no such output."""


def exact(found: Any, expected: Any) -> Verdict:
    """Equal values; blanks around a text do not count, 1 and 1.0 are equal, 1 and true are not."""
    return _verdict(_same(found, expected), found, expected)


def normalised(found: Any, expected: Any) -> Verdict:
    """Equal texts apart from case, punctuation, articles and blanks (SQuAD's normalisation); lists item by item."""
    return _verdict(_same(found, expected, words=True), found, expected)


def numeric(found: Any, expected: Any) -> Verdict:
    """Equal numbers: a number, or the last one in a text. Whole numbers must be equal, others within 1 part in 10^6.

    Where the expected value holds no number, texts are compared as by `normalised`.
    """
    wanted = number_in(expected)
    if wanted is None:
        return normalised(found, expected)
    given = number_in(found)
    if given is None:
        return Verdict(0.0, f"found no number in {_short(found)}, expected {_shown(wanted)}")
    whole = float(given).is_integer() and float(wanted).is_integer()
    equal = given == wanted if whole else math.isclose(given, wanted, rel_tol=1e-6, abs_tol=1e-9)
    return Verdict(1.0) if equal else Verdict(0.0, f"found {_shown(given)}, expected {_shown(wanted)}")


def f1(found: Any, expected: Any) -> Verdict:
    """Token F1 of SQuAD (Rajpurkar et al. 2016, its evaluation script): overlap of normalised words.

    A list of expected texts gives the best F1 of them.
    """
    if isinstance(expected, list) and expected and not isinstance(found, list):
        return max((f1(found, each) for each in cast("list[Any]", expected)), key=lambda verdict: verdict.value)
    given, wanted = _words(_text(found)), _words(_text(expected))
    common = sum((Counter(given) & Counter(wanted)).values())
    value = 2 * common / (len(given) + len(wanted)) if given and wanted else float(given == wanted)
    if value == 1.0:
        return Verdict(1.0)
    return Verdict(value, f"found {_short(found)}, expected {_short(expected)} (token F1 {value:.2f})")


def contains(found: Any, expected: Any) -> Verdict:
    """The expected text occurs in what was found, as whole words, normalised; of a list, the share that occurs."""
    wanted = cast("list[Any]", expected) if isinstance(expected, list) else [expected]
    text = _text(found)
    missing = [each for each in wanted if found is None or not _occurs(_text(each), text)]
    if not missing:
        return Verdict(1.0)
    share = 1 - len(missing) / len(wanted)
    return Verdict(share, f"{', '.join(map(_short, missing))} is not in what was found, {_short(found)}")


def json_fields(found: Any, expected: Any, kind: Type | None = None) -> Verdict:
    """The share of an expected object's members that are right, at all depths; a text is read as JSON first.

    Lists are compared item by item, lists of labels in any order; items too many or missing count as wrong, so that of
    labels it is the share of those found or expected that are both (Jaccard). Texts as by `exact`.

    Args:
        found: what was given.
        expected: what is right.
        kind: its type, where that is known: it tells which lists are lists of labels (`list[Literal[...]]`).
    """
    given, wanted = _from_json(found), _from_json(expected)
    right, total, faults = _members(given, wanted, "", kind)
    return Verdict(right / total, "; ".join(faults[:5]) + (f"; {len(faults) - 5} more" if len(faults) > 5 else ""))


def number_in(value: Any) -> int | float | None:
    """A number, or the last one in a text ("$1,234.50" is 1234.5); None if there is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value if math.isfinite(value) else None
    if not isinstance(value, str):
        return None
    found = _NUMBER.findall(value)
    if not found:
        return None
    text = str(found[-1]).replace(",", "").replace("\u2212", "-")
    number = float(text)
    if not math.isfinite(number):
        return None
    return int(text) if text.lstrip("+-").isdigit() else number


def _same(found: Any, expected: Any, *, words: bool = False) -> bool:
    if isinstance(found, str) and isinstance(expected, str):
        return _words(found) == _words(expected) if words else found.strip() == expected.strip()
    if isinstance(found, list) and isinstance(expected, list):
        given, wanted = cast("list[Any]", found), cast("list[Any]", expected)
        return len(given) == len(wanted) and all(_same(*pair, words=words) for pair in zip(given, wanted, strict=True))
    if isinstance(found, dict) and isinstance(expected, dict):
        given, wanted = cast("dict[str, Any]", found), cast("dict[str, Any]", expected)
        return given.keys() == wanted.keys() and all(_same(given[key], wanted[key], words=words) for key in wanted)
    if isinstance(found, bool) or isinstance(expected, bool):
        return found is expected
    return _is_simple(found) and _is_simple(expected) and found == expected


def _is_simple(value: Any) -> bool:
    return value is None or isinstance(value, int | float)


def _words(text: str) -> list[str]:
    """The words of a text, SQuAD-normalised. Articles or punctuation that are all there is stay: "A" is an answer."""
    folded = text.casefold()
    words = folded.translate(_NO_PUNCTUATION).split() or folded.split()
    return [word for word in words if word not in _ARTICLES] or words


def _occurs(wanted: str, found: str) -> bool:
    if f" {' '.join(_words(wanted))} " in f" {' '.join(_words(found))} ":
        return True
    # Normalising also glues words ("Paris,France"): look in the text itself, but not inside words and numbers.
    text, whole = " ".join(wanted.casefold().split()), " ".join(found.casefold().split())
    before = r"(?<!\w)(?<![0-9][.,])" if text[:1].isalnum() else ""
    after = r"(?!\w|[.,][0-9])" if text[-1:].isalnum() else ""
    return re.search(before + re.escape(text) + after, whole) is not None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return " ".join(map(_text, cast("list[Any]", value)))
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _from_json(value: Any) -> Any:
    if isinstance(value, str):
        with suppress(ValueError, RecursionError):
            return json.loads(value)
    return cast("object", value)


def _members(found: Any, expected: Any, place: str, kind: Type | None) -> tuple[int, int, list[str]]:
    """Leaves that are right, leaves in all, and what is wrong, each with its place."""
    missing = object()  # unlike any value, null included
    item = kind.item if kind else None
    if isinstance(expected, dict) and expected:
        wanted = cast("dict[str, Any]", expected)
        given = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
        pairs = [(f"{place}.{key}".lstrip("."), given.get(key, missing), each) for key, each in wanted.items()]
        kinds = [dict(kind.members).get(key) if kind else None for key in wanted]
    elif isinstance(expected, list) and expected:
        listed = cast("list[Any]", expected)
        items = cast("list[Any]", found) if isinstance(found, list) else []
        if item and item.kind == "literal":
            return _labels(items, listed, place)
        longest = max(len(items), len(listed))
        pairs = [(f"{place}[{i}]", *(x[i] if i < len(x) else missing for x in (items, listed))) for i in range(longest)]
        kinds = [item] * longest
    else:
        if found is not missing and _same(found, expected):
            return 1, 1, []
        return 0, 1, [f"{place} " * bool(place) + f"found {_short(found)}, expected {_short(expected)}"]
    right, total, faults = 0, 0, list[str]()
    for (spot, given_item, wanted_item), inner in zip(pairs, kinds, strict=True):
        if given_item is missing:
            ok, all_, wrong = 0, _leaves(wanted_item), [f"{spot} is missing"]
        elif wanted_item is missing:
            ok, all_, wrong = 0, 1, [f"{spot} is one too many"]
        else:
            ok, all_, wrong = _members(given_item, wanted_item, spot, inner)
        right, total, faults = right + ok, total + all_, faults + wrong
    return right, total, faults


def _labels(found: list[Any], expected: list[Any], place: str) -> tuple[int, int, list[str]]:
    """As `_members`, for lists whose order does not count; a label that stands twice counts twice."""
    given, wanted = (Counter(_text(each).strip() for each in each_list) for each_list in (found, expected))
    where = f"{place} " * bool(place)
    faults = [f"{where}{_short(each)} is missing" for each in (wanted - given).elements()]
    faults += [f"{where}{_short(each)} is one too many" for each in (given - wanted).elements()]
    return (given & wanted).total(), (given | wanted).total(), faults


def _leaves(value: Any) -> int:
    if isinstance(value, dict):
        value = list(cast("dict[str, Any]", value).values())
    return (sum(map(_leaves, cast("list[Any]", value))) if isinstance(value, list) else 0) or 1


def _verdict(equal: bool, found: Any, expected: Any) -> Verdict:
    return Verdict(1.0) if equal else Verdict(0.0, f"found {_short(found)}, expected {_short(expected)}")


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else text[:197] + "…"


def _shown(number: float) -> str:
    return str(int(number)) if float(number).is_integer() and abs(number) < 1e15 else repr(number)
