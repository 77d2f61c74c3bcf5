"""The type of a column, found from its values, and its values as that type."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from flowbot.fields import Type, TypeSyntaxError, UserError
from flowbot.fields.forms import look_alike
from flowbot.fields.words import as_text
from flowbot.task.delimited import cell_value

FEW_LABELS, MOST_LABELS = 30, 100
LABEL_RULE = (
    f"at most {FEW_LABELS} different short texts that all stand twice or more, or at most {MOST_LABELS} that stand four "
    "times on average, hardly any of them once"
)
"""When texts are labels, in words."""
_LABEL_LENGTH = 60
_LONGEST_TYPE = 240
"""Characters of an input's type; beyond, an object's members are not spelt out."""
_MOST_MEMBERS = 24
_MEMBER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17}|[1-9][0-9]{0,2}(?:,[0-9]{3})+)\Z")
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17}|[1-9][0-9]{0,2}(?:,[0-9]{3})+)(?:\.[0-9]{1,17})?\Z")
DATE = re.compile(
    r"\s*(?:\d{4}-\d\d?-\d\d?|\d\d?[./-]\d\d?[./-]\d{2,4}|\d\d?:\d\d|\d\d?[ -][A-Za-z]{3,9}[ -,]\d{2,4})(?![\w])"
)
"""How a date or a time of day begins."""
_MONEY, _DIGITS = (
    r"(?:[$€£¥₹]|\b(?:EUR|USD|GBP|CHF|JPY|CNY|INR|AUD|CAD|SEK|NOK|DKK|PLN|BRL)\b)",
    r"[-+]?[0-9][0-9.,' ]*",
)
_DECIMALS = r"[-+]?[0-9]{1,3}(?:[.,' ]?[0-9]{3})*[.,][0-9]+"
_AMOUNT = re.compile(rf"\s*(?:[-+]?{_MONEY}\s*{_DIGITS}|{_DIGITS}\s*(?:{_MONEY}|%)|{_DECIMALS})\s*\Z")
_NO_NUMBER = frozenset(("nan", "na", "n/a", "null", "none", "-"))
_EXACT = 2**53
"""Integers up to here are floats without loss."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a column holds.

    Args:
        type: of its values.
        why: how that was found, in words.
        fit: turns a value of the column (None where it has none) into one of the type.
    """

    type: Type
    why: str
    fit: Callable[[Any], Any]


def kind_of(values: Sequence[Any], *, cells: bool, output: bool, closed: bool | None = None) -> Kind:
    """The type that all values of a column have.

    A value of None is none at all: it becomes an empty text or list, and numbers become texts where some are missing.
    Texts of an output that hold JSON or numbers are read as such, and few that repeat are labels (`LABEL_RULE`); cells
    of a table are read so for inputs too, but for labels, which another row may not have.

    Args:
        values: JSON values.
        cells: True where all values are texts because the file can hold nothing else.
        output: True where a model is to give the value.
        closed: whether the texts of an output are all that there can be; None: by `LABEL_RULE`.
    """
    present = [value for value in values if value is not None]
    spelt = output and closed is not False
    if output and closed and present and all(isinstance(value, str) for value in present):
        literal = _literal(sorted(set(present)))
    else:
        literal = None
    if literal:
        found = _as(literal)
    elif present:
        found = _kind(present, cells=cells, output=output, spelt=spelt)
    else:
        found = Kind(Type("str"), "no values", as_text)
    return _with_gaps(found) if len(present) < len(values) else found


def _as(found: Type, why: str = "") -> Kind:
    """A column whose values are of a type as they are, or become so by its own reading."""
    return Kind(found, why or _says(found), found.coerce)


def _literal(options: Sequence[str] | None) -> Type | None:
    """The type of these labels; None for none, and for labels that no notation says."""
    return _parsable(Type("literal", options=tuple(options))) if options else None


def without_gaps(cells: Sequence[Any]) -> list[Any]:
    """The cells of a table's column, None where one is empty, or says `n/a` among numbers."""
    held = [None if cell is None or not cell.strip() else cell for cell in cells]
    told = [cell for cell in held if cell is not None and cell.strip().casefold() not in _NO_NUMBER]
    if told and all(_DECIMAL.match(cell.strip()) for cell in told):
        return [None if cell is None or cell.strip().casefold() in _NO_NUMBER else cell for cell in held]
    return held


def labels(texts: Iterable[str]) -> tuple[str, ...] | None:
    """The different texts in order of the alphabet, if they are few and repeat; see `LABEL_RULE`."""
    times = Counter(texts)
    if all(DATE.match(text) or _AMOUNT.match(text) for text in times):
        return None  # another row will have another one, however often these repeat
    if not 2 <= len(times) <= MOST_LABELS or any(not text.strip() or len(text) > _LABEL_LENGTH for text in times):
        return None
    once = list(times.values()).count(1)
    few = len(times) <= FEW_LABELS and not once
    if not few and (sum(times.values()) < 4 * len(times) or once > max(1, len(times) // 10)):
        return None
    return tuple(sorted(times))


def _kind(present: list[Any], *, cells: bool, output: bool, spelt: bool) -> Kind:
    if all(isinstance(value, str) for value in present):
        return _of_texts(cast("list[str]", present), cells=cells, output=output, spelt=spelt)
    found = _type_of(present, spelt=spelt)
    if found is None:
        scalars = all(not isinstance(value, list | dict) for value in present)
        why = "mixed types, written as texts" if scalars else "lists or objects of mixed types, written as JSON texts"
        return Kind(Type("str"), why, as_text)
    if not output and len(str(found)) > _LONGEST_TYPE:
        found = _unspelt(found)
    return _as(found)


def _of_texts(present: list[str], *, cells: bool, output: bool, spelt: bool) -> Kind:
    if output or cells:
        parsed = parsed_cells(present)
        if parsed is not None and _type_of(parsed, spelt=spelt) is not None:
            inner = _kind(parsed, cells=False, output=output, spelt=spelt)
            return Kind(
                inner.type,
                f"texts that hold lists or objects: {inner.why}",
                lambda value: inner.fit(cell_value(value, "")),
            )
        if all(text.strip().casefold() in ("true", "false") for text in present):
            return _as(Type("bool"))
        commas = ", commas between thousands" * any("," in text for text in present)
        if all(_INT.match(text.strip()) for text in present):
            return _as(Type("int"), f"texts that are whole numbers{commas}")
        if all(_DECIMAL.match(text.strip()) for text in present):
            return _as(Type("float"), f"texts that are numbers{commas}")
    literal = _literal(labels(present)) if spelt else None
    return Kind(Type("str"), "texts", as_text) if literal is None else _as(literal)


def _type_of(values: Sequence[Any], *, spelt: bool) -> Type | None:
    """The type of JSON values that are not None; None if no type has them all without change.

    Args:
        values: at least one.
        spelt: True: texts may be labels.
    """
    kinds: set[type[Any]] = {type(value) for value in values}
    if kinds == {bool}:
        return Type("bool")
    if kinds == {int}:
        return Type("int")
    if kinds <= {int, float}:
        return Type("float") if all(isinstance(each, float) or abs(each) <= _EXACT for each in values) else None
    if kinds == {str}:
        return (_literal(labels(values)) if spelt else None) or Type("str")
    if kinds == {list}:
        items = [item for value in values for item in cast("list[Any]", value)]
        # Lists of labels are compared in any order; where one has a label twice, such as a tag for each word, it counts.
        texts = all(isinstance(item, str) for item in items)
        ordered = texts and any(len(set(value)) < len(value) for value in values)
        item = _type_of(items, spelt=spelt and not ordered) if items else Type("str")
        return _parsable(Type("list", item=item)) if item else None
    if kinds == {dict}:
        return _object(values, spelt=spelt)
    return None


def _object(values: Sequence[dict[str, Any]], *, spelt: bool) -> Type:
    """An object with its members where all have the same ones, each of one type; else any object."""
    names = list(values[0])
    if not 1 <= len(names) <= _MOST_MEMBERS or any(value.keys() != values[0].keys() for value in values):
        return Type("object")
    members: list[tuple[str, Type]] = []
    for name in names:
        member = _type_of([value[name] for value in values], spelt=spelt)
        if member is None or not _MEMBER.match(name):
            return Type("object")
        members.append((name, member))
    return _parsable(Type("object", members=tuple(members))) or Type("object")


def _parsable(found: Type) -> Type | None:
    """The type, if its notation says it: not too deep, no odd characters."""
    try:
        return found if Type.parse(str(found)) == found else None
    except TypeSyntaxError:
        return None


def _unspelt(found: Type) -> Type:
    """The type without the members of its objects."""
    if found.kind == "list" and found.item:
        return Type("list", item=_unspelt(found.item))
    return Type("object") if found.kind == "object" else found


def _with_gaps(found: Kind) -> Kind:
    """The same column where values may be missing: there is no type for nothing."""
    empty: Any = ""
    match found.type.kind:
        case "str":
            kind = found
        case "list":
            empty, kind = [], found
        case "literal":
            kind = _as(Type("literal", options=("", *found.type.options)), f"{found.why}; '' where there is none")
        case _:
            kind = Kind(Type("str"), f"{found.why}, some missing: texts, '' where there is none", as_text)
    return Kind(kind.type, kind.why, lambda value: empty if value is None else kind.fit(value))


def parsed_cells(texts: Sequence[str]) -> list[Any] | None:
    """The lists or objects that texts hold; None if one holds none."""
    parsed: list[Any] = []
    for text in texts:
        if text.lstrip()[:1] not in ("[", "{"):
            return None
        try:
            parsed.append(cell_value(text, ""))
        except UserError:
            return None
    return parsed


def _says(found: Type) -> str:
    match found.kind:
        case "list":
            return "lists of labels" if found.item and found.item.kind == "literal" else "lists"
        case "object":
            return "objects with the same members" if found.members else "objects with members that differ"
        case "literal":
            return _label_words(found.options)
        case "str":
            return "texts"
        case "bool":
            return "true and false"
        case _:
            return "numbers"


def _label_words(options: Sequence[str]) -> str:
    words = f"{len(options)} labels that repeat"
    alike = len(options) - len(set(map(look_alike, options)))
    return f"{words}; {alike} differ from another in case, blanks or form alone" if alike else words
