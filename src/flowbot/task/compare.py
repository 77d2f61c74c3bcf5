"""Comparing one output with what was expected: the ways that the built-in metrics know."""

from __future__ import annotations

import json
import math
import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, cast

from flowbot.fields import Type
from flowbot.fields.forms import plain_form
from flowbot.fields.words import cut

from .numerals import Numeral, Quantity, folded, numerals

_MARKS = re.compile(
    r"(?<=\w)([#+]+)(?!\w)"  # C# and C++ are not C
    r"|(?<=(?<![\w*])[^\W\d_])([-*])(?![\w*-])"  # nor are the marks A- and A* an A; *A* is, in bold type
    rf"|[{re.escape(string.punctuation)}]"
)
_LISTED = re.compile(r"[\s,;:()\[\]-]*\Z")
_ARTICLES = ("a", "an", "the")
_MISSING = object()
"""Unlike any value, null included."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How well one value fits, in [0, 1], and what is wrong with it ("" when nothing is)."""

    value: float
    fault: str = ""


Comparison = Callable[[Any, Any], Verdict]
"""(found, expected) to a verdict. Both are JSON values; found is None when there is no such output."""


def exact(found: Any, expected: Any, kind: Type | None = None) -> Verdict:
    """Equal values; 1 and 1.0 are equal, 1 and true are not. Texts may differ in what is not seen (`plain_form`).

    Args:
        found: what was given.
        expected: what is right.
        kind: its type, where that is known: labels that differ in what is not seen alone are compared as written.
    """
    return _verdict(_same(found, expected, _form(kind)), found, expected)


def normalised(found: Any, expected: Any) -> Verdict:
    """Equal texts apart from case, punctuation, articles and blanks; numbers and dates by value; lists item by item.

    The normalisation of SQuAD's evaluation script (Rajpurkar et al. 2016), but that marks which are part of a number
    or a name stay: see `_words`.
    """
    return _verdict(_same(found, expected, _words), found, expected)


def numeric(found: Any, expected: Any) -> Verdict:
    """Equal numbers: a number, or the last one in a text. Places beyond 1 part in 10^6 need not be told.

    Currency, percent and `<` count where both have one. An expected range, or a text of nothing but numbers, is compared
    with as many of the last numbers found. What digits and marks say otherwise (a date, a time, a ratio) is compared as
    a whole. Where the expected value holds no number, texts are compared as by `normalised`.
    """
    wanted = _wanted(expected)
    if not wanted:
        return normalised(found, expected)
    given = [each for numeral in _numbers(found) for each in numeral.quantities][-len(wanted) :]
    if not given:
        return Verdict(0.0, f"found no number in {_short(found)}, expected {_listed(wanted)}")
    if len(given) == len(wanted) and all(map(Quantity.equals, given, wanted)):
        return Verdict(1.0)
    return Verdict(0.0, f"found {_listed(given)}, expected {_listed(wanted)}")


def f1(found: Any, expected: Any) -> Verdict:
    """Token F1 as in SQuAD's evaluation script, over the words of `normalised` (which keep numbers whole).

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
        kind: its type, where that is known: it tells which lists are lists of labels (`list[Literal[...]]`), and labels
            apart as for `exact`.
    """
    given, wanted = _from_json(found), _from_json(expected)
    right, total, faults = _members(given, wanted, "", kind)
    return Verdict(right / total, "; ".join(faults[:5]) + (f"; {len(faults) - 5} more" if len(faults) > 5 else ""))


def _numbers(value: Any) -> list[Numeral]:
    """The numbers in a text; a number is its own."""
    if isinstance(value, str):
        return list(numerals(folded(value)))
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        return []
    return [Numeral(0, 0, (Quantity(value),))]


def number_in(text: str) -> int | float | None:
    """The last number in a text (`$1,234.50` is 1234.5); None if there is none, or what stands last is a date or a time."""
    found = _numbers(text)
    value = found[-1].quantities[-1].value if found else ""
    if isinstance(value, str):
        return None
    return int(value) if value == value.to_integral_value() else float(value)


def _wanted(expected: Any) -> Sequence[Quantity]:
    """What of the expected value must be found: its last number, or all where it is nothing but numbers."""
    found = _numbers(expected)
    if not found or not isinstance(expected, str):
        return found[0].quantities if found else ()
    text, ends = folded(expected), [0, *(numeral.end for numeral in found)]
    starts = [*(numeral.start for numeral in found), len(text)]
    only = all(_LISTED.match(text[end:start]) for end, start in zip(ends, starts, strict=True))
    return [each for numeral in found for each in numeral.quantities] if only else found[-1].quantities


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an int beyond the floats
        return False


def _same(found: Any, expected: Any, form: Callable[[str], Any] = plain_form) -> bool:
    """Whether two values are equal, their texts in this form."""
    if isinstance(found, str) and isinstance(expected, str):
        return form(found) == form(expected)
    if isinstance(found, list) and isinstance(expected, list):
        given, wanted = cast("list[Any]", found), cast("list[Any]", expected)
        return len(given) == len(wanted) and all(_same(*pair, form) for pair in zip(given, wanted, strict=True))
    if isinstance(found, dict) and isinstance(expected, dict):
        given, wanted = cast("dict[str, Any]", found), cast("dict[str, Any]", expected)
        return given.keys() == wanted.keys() and all(_same(given[key], wanted[key], form) for key in wanted)
    if isinstance(found, bool) or isinstance(expected, bool):
        return found is expected
    simple = int | float | None
    return isinstance(found, simple) and isinstance(expected, simple) and found == expected


def _form(kind: Type | None) -> Callable[[str], str]:
    """How the texts of a type are compared: in plain form, unless that makes two of its labels equal."""
    if kind is None:
        return plain_form
    inner = [kind.item, *dict(kind.members).values()]
    alike = len({plain_form(option) for option in kind.options}) < len(kind.options)
    return str if alike or any(_form(each) is str for each in inner) else plain_form


def _words(text: str, *, apart: bool = False, ends: bool = False) -> list[str]:
    """The words of a text without case, articles and punctuation; numbers in one notation (see `numerals`).

    As SQuAD's normalisation, but for what it would make equal that is not: numbers keep the marks within and before
    them, with currency and percent as words of their own (`$5` is `5 usd`), and names the ones that end them (`C#`).
    Articles or punctuation that are all there is stay: "A" is an answer.

    Args:
        text: the text.
        apart: punctuation parts words, and articles stay; otherwise it goes without a trace, as in SQuAD's.
        ends: the two ends of a range are words.
    """
    text = folded(text)
    cuts = [(each.start, 0, each.end, _written(each, " " if ends else each.joint)) for each in numerals(text)]
    cuts += [(each.start(), 1, each.end(), each[1] or each[2] or " " * apart) for each in _MARKS.finditer(text)]
    made, at, number = list[str](), 0, False  # number: whether a numeral stands last
    for start, is_mark, end, told in sorted(cuts):
        if start < at:
            continue  # a mark within a numeral
        between = text[at:start] or " " * (number and not is_mark)
        made += [between, told]
        number, at = (not is_mark or (number and not between and not told)), end
    words = "".join([*made, text[at:]]).split() or text.split()
    return words if apart else [word for word in words if word not in _ARTICLES] or words


def _written(numeral: Numeral, joint: str) -> str:
    first = numeral.quantities[0]
    told = first.mark + joint.join(each.key for each in numeral.quantities)
    told = f" {told} " if " " in told else told
    return f"{told} {first.unit} " if first.unit else told


def _occurs(wanted: str, found: str) -> bool:
    if not any(map(str.isalnum, wanted)):
        return " ".join(wanted.split()) in " ".join(found.split())
    # Glued as `normalised` has it, and parted: "Paris,France" holds Paris, and 3-7 holds 7 (but not 3+7).
    glued, words = _words(wanted), _words(wanted, apart=True)
    return (
        _stands(glued, _words(found))
        or _stands(words, _words(found, apart=True))
        or (len(words) == 1 and words[0] in _words(found, apart=True, ends=True))
    )


def _stands(wanted: Sequence[str], found: Sequence[str]) -> bool:
    return f" {' '.join(wanted)} " in f" {' '.join(found)} "


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return " ; ".join(map(_text, cast("list[Any]", value)))  # a number of one item is not the next one's
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _from_json(value: Any) -> Any:
    if isinstance(value, str):
        with suppress(ValueError, RecursionError):
            return json.loads(value)
    return cast("object", value)


def _members(found: Any, expected: Any, place: str, kind: Type | None) -> tuple[int, int, list[str]]:
    """Scalars that are right, scalars in all, and what is wrong, each with its place."""
    inside: Iterable[tuple[str, Any, Any, Type | None]]  # the place, what is found and expected there, and its type
    if isinstance(expected, dict) and expected:
        wanted = cast("dict[str, Any]", expected)
        given = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
        kinds = dict(kind.members) if kind else {}
        inside = [
            (f"{place}.{key}".lstrip("."), given.get(key, _MISSING), each, kinds.get(key))
            for key, each in wanted.items()
        ]
    elif isinstance(expected, list) and expected:
        listed, item = cast("list[Any]", expected), kind.item if kind else None
        items = cast("list[Any]", found) if isinstance(found, list) else []
        if item and item.kind == "literal":
            return _labels(items, listed, place, _form(item))
        both = zip_longest(items, listed, fillvalue=_MISSING)
        inside = [(f"{place}[{index}]", one, other, item) for index, (one, other) in enumerate(both)]
    elif _same(found, expected, _form(kind)):
        return 1, 1, []
    else:
        return 0, 1, [f"{place} " * bool(place) + f"found {_short(found)}, expected {_short(expected)}"]
    right, total, faults = 0, 0, list[str]()
    for spot, one, other, inner in inside:
        if one is _MISSING:
            part = 0, _scalars(other), [f"{spot} is missing"]
        elif other is _MISSING:
            part = 0, 1, [f"{spot} is one too many"]
        else:
            part = _members(one, other, spot, inner)
        right, total, faults = right + part[0], total + part[1], faults + part[2]
    return right, total, faults


def _labels(
    found: list[Any], expected: list[Any], place: str, form: Callable[[str], str]
) -> tuple[int, int, list[str]]:
    """As `_members`, for lists whose order does not count; a label that stands twice counts twice."""
    given, wanted = (Counter(form(_text(each)) for each in each_list) for each_list in (found, expected))
    where = f"{place} " * bool(place)
    faults = [f"{where}{_short(each)} is missing" for each in (wanted - given).elements()]
    faults += [f"{where}{_short(each)} is one too many" for each in (given - wanted).elements()]
    return (given & wanted).total(), (given | wanted).total(), faults


def _scalars(value: Any) -> int:
    """How many scalars a value holds, an empty list or object as one."""
    if isinstance(value, dict):
        value = list(cast("dict[str, Any]", value).values())
    return (sum(map(_scalars, cast("list[Any]", value))) if isinstance(value, list) else 0) or 1


def _verdict(equal: bool, found: Any, expected: Any) -> Verdict:
    return Verdict(1.0) if equal else Verdict(0.0, f"found {_short(found)}, expected {_short(expected)}")


def _short(value: Any) -> str:
    return cut("nothing" if value is None else json.dumps(value, ensure_ascii=False), 200)


def _listed(quantities: Sequence[Quantity]) -> str:
    return ", ".join(map(str, quantities))
