"""Formulas that give one field of a record from the others: enumerated by type, kept where they hold on nearly all known records.

A formula is Python text that stands in a sandboxed step later. Nothing is executed here: what it gives for each record is worked out
along with its text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import combinations, permutations, repeat
from operator import add, eq, ge, gt, mul, sub
from typing import Any

from flowbot.fields import Type

Row = Mapping[str, Any]
LEAST_ROWS = 8
"""Records that a formula must be seen on."""
MOST_ROWS = 120
"""Records that it is looked at on."""
MISSES = 0.05
"""Share of the records that it may be wrong on."""
LEAST_OTHERS = 4
"""Records that have another value than the commonest: without them a constant would do."""
OTHERS_RIGHT = 0.9
"""Share of those that it must be right on."""
MOST_QUANTITIES = 60
"""Quantities that are put together in twos and threes."""
MOST_PLACES = 6
"""Decimal places that are rounded to; numbers of more are compared by their first six digits."""
NUMBERS = ("int", "float")
TEXTS = ("str", "literal")
TAKEN = frozenset({"all", "any", "dict", "each", "len", "list", "max", "min", "round", "sorted", "sum"})
"""Names that formulas have for other things: no field of such a name is read, and none is assigned."""
_SEPARATORS = (", ", "; ", " ", "\n", ",")


@dataclass(frozen=True, slots=True)
class Formula:
    """An expression over the fields of a record.

    Args:
        text: in Python, each field by its name.
        reads: names of the fields.
        values: what it gives for each record, None where it gives nothing; of two quantities, worked out as they are looked at, once.
            For a column, a list for each record.
        kind: the kind of type of what it gives, where that matters.
    """

    text: str
    reads: frozenset[str]
    values: Iterable[Any]
    kind: str = "float"


def formula_for(target: str, fields: Mapping[str, Type], rows: Iterable[Row]) -> Formula | None:
    """The simplest formula that gives a field from the others on nearly all records; None where there is none, or too few to tell.

    Args:
        target: the field.
        fields: all fields by name, the target among them.
        rows: records; one that lacks a field is left out.
    """
    known = [row for row in rows if all(row.get(name) is not None for name in fields)][:MOST_ROWS]
    wanted = _Wanted(fields[target], [row[target] for row in known])
    if len(known) < LEAST_ROWS or sum(wanted.others) < LEAST_OTHERS:
        return None
    others = {name: type_ for name, type_ in fields.items() if name != target and name not in TAKEN}
    best: tuple[int, Formula] | None = None
    with suppress(OverflowError):  # of whole numbers that no float holds
        for formula in _formulas(wanted, others, known):
            wrong = wanted.wrong(formula.values, wanted.misses if best is None else best[0] - 1)
            if wrong is not None:
                best = wrong, formula
                if not wrong:
                    break
    return None if best is None else wanted.rounded(best[1])


class _Wanted:
    """The values of the target, and whether a formula gives them."""

    def __init__(self, type_: Type, values: Sequence[Any]) -> None:
        self.type, self.values = type_, values
        told = [repr(value) for value in values]
        commonest = max(told, key=Counter(told).__getitem__, default="")
        self.others = [each != commonest for each in told]
        self.misses = int(MISSES * len(values))
        self.places = max(map(_places, values), default=0) if type_.kind == "float" else 0

    def wrong(self, values: Iterable[Any], most: int) -> int | None:
        """How often the values are wrong; None for more than `most`, or too often where a constant is wrong, too."""
        wrong = wrong_others = 0
        for value, right, other in zip(values, self.values, self.others, strict=True):
            if not self._same(value, right):
                wrong += 1
                wrong_others += other
                if wrong > most:
                    return None
        return wrong if wrong_others <= (1 - OTHERS_RIGHT) * sum(self.others) else None

    def rounded(self, formula: Formula) -> Formula:
        """The same, rounded as the known values are."""
        if self.type.kind not in NUMBERS or formula.kind == "int" or self.places > MOST_PLACES:
            return formula
        text = f"round({formula.text}, {self.places})" if self.places else f"round({formula.text})"
        return replace(formula, text=text)

    def _same(self, value: Any, right: Any) -> bool:
        if self.type.kind not in NUMBERS:
            return type(value) is type(right) and value == right
        if value is None:
            return False
        near = 0.5 * 10.0**-self.places if self.places <= MOST_PLACES else 1e-6 * abs(right)
        return abs(value - right) <= near * (1 + 1e-6) + 1e-12


def _formulas(wanted: _Wanted, fields: Mapping[str, Type], rows: Sequence[Row]) -> Iterator[Formula]:
    """Formulas of the target's kind, the simpler ones first."""
    plain = [
        Formula(name, frozenset({name}), tuple(row[name] for row in rows), type_.kind) for name, type_ in fields.items()
    ]
    columns = [each for name, type_ in fields.items() if type_.item for each in _columns(name, type_.item, rows)]
    kind = wanted.type.kind
    if kind in TEXTS:
        yield from (each for each in plain if each.kind in TEXTS)
        yield from _texts(columns, joined=kind == "str")
        return
    if kind == "list":
        for said in ("[{}]", "list(dict.fromkeys({}))", "sorted({})", "sorted({{{}}})"):
            yield from (_made(each, said, _LISTED[said]) for each in columns)
        return
    numbers = [each for each in plain if each.kind in NUMBERS]
    quantities = [*numbers, *_quantities(plain, columns)]
    if kind == "bool":
        yield from (
            _made(each, f"{word.__name__}({{}})", word)
            for each in columns
            if each.kind == "bool"
            for word in (all, any)
        )
        yield from _pairs(quantities, _COMPARISONS)
    elif kind in NUMBERS:
        yield from quantities
        few = quantities[:MOST_QUANTITIES]
        yield from _multiples(few, wanted.values)
        yield from _pairs(few, _ARITHMETIC)
        for pair in _pairs(few, {sign: _ARITHMETIC[sign] for sign in "+-"}):
            kept = replace(pair, values=tuple(pair.values))
            yield from _pairs([kept], {sign: _ARITHMETIC[sign] for sign in "+-"}, numbers)


def _columns(name: str, item: Type, rows: Sequence[Row]) -> Iterator[Formula]:
    """What the items of a list have: their members, or the items themselves; then products of two numbers."""
    reads, lists = frozenset({name}), [row[name] for row in rows]
    found: list[Formula] = []
    for member, type_ in item.members:
        values = tuple([each[member] for each in items] for items in lists)
        found.append(Formula(f"each[{member!r}]", reads, values, type_.kind))
    if not item.members:
        found.append(Formula("each", reads, tuple(map(list[Any], lists)), item.kind))
    yield from found
    for one, other in combinations([each for each in found if each.kind in NUMBERS], 2):
        values = tuple(
            [a * b for a, b in zip(*pair, strict=True)] for pair in zip(one.values, other.values, strict=True)
        )
        yield Formula(
            f"{one.text} * {other.text}", reads, values, "int" if one.kind == other.kind == "int" else "float"
        )


def _made(
    column: Formula, said: str, reduce: Callable[[list[Any]], Any], kind: str = "float", empty: Any = None
) -> Formula:
    """What is made of a column; `said` has a place for it, and `empty` stands where nothing can be made of no items."""
    (name,) = column.reads
    values = tuple(reduce(each) if each or empty is None else empty for each in column.values)
    return Formula(said.format(f"{column.text} for each in {name}"), column.reads, values, kind)


def _quantities(plain: Sequence[Formula], columns: Sequence[Formula]) -> Iterator[Formula]:
    """Counts, sums, extremes and means."""
    for each in plain:
        if each.kind == "list":
            yield Formula(f"len({each.text})", each.reads, tuple(map(len, each.values)), "int")
    for each in columns:
        if each.kind in ("int", "float", "bool"):
            yield _made(each, "sum({})", sum, "float" if each.kind == "float" else "int")
        elif each.kind in TEXTS:
            yield _made(each, "len({{{}}})", lambda found: len(set(found)), "int")
    for each in columns:
        if each.kind in NUMBERS:
            yield _made(each, "max(({}), default=0)", max, each.kind, empty=0)
            yield _made(each, "min(({}), default=0)", min, each.kind, empty=0)
            (name,) = each.reads
            yield _made(each, f"sum({{}}) / max(len({name}), 1)", lambda found: sum(found) / max(len(found), 1))


def _multiples(quantities: Sequence[Formula], wanted: Sequence[Any]) -> Iterator[Formula]:
    """A quantity times a factor of three digits that all records have in common, as a rate is; the largest tells it best."""
    for each in quantities:
        value, right = max(zip(each.values, wanted, strict=True), key=lambda pair: abs(pair[0]))
        factor = float(f"{right / value:.3g}") if value else 0.0
        if factor not in (0.0, 1.0):
            yield Formula(f"{each.text} * {factor:g}", each.reads, map(mul, each.values, repeat(factor)))


def _pairs(
    quantities: Sequence[Formula],
    signs: Mapping[str, Callable[[Any, Any], Any]],
    others: Sequence[Formula] | None = None,
) -> Iterator[Formula]:
    """Two quantities put together, the second one of `others`, else any."""
    for sign, apply in signs.items():
        ordered = combinations if sign in ("+", "*", "==") else permutations
        pairs = ordered(quantities, 2) if others is None else ((one, other) for one in quantities for other in others)
        for one, other in pairs:
            values = map(_applied, repeat(apply), one.values, other.values)
            right = f"({other.text})" if " / " in other.text else other.text
            whole = one.kind == other.kind == "int" and sign in ("+", "-", "*")
            yield Formula(f"{one.text} {sign} {right}", one.reads | other.reads, values, "int" if whole else "float")


def _applied(apply: Callable[[Any, Any], Any], one: Any, other: Any) -> Any:
    try:
        return None if one is None or other is None else apply(one, other)
    except ZeroDivisionError:
        return None


def _texts(columns: Sequence[Formula], *, joined: bool) -> Iterator[Formula]:
    """Texts: of the item that has the most or least of something, and all of them joined."""
    for text in (each for each in columns if each.kind in TEXTS):
        (name,) = text.reads
        for by in (each for each in columns if each.kind in NUMBERS and each.reads == text.reads):
            for pick in (max, min):
                chosen = text.text.replace("each", f"{pick.__name__}({name}, key=lambda each: {by.text})", 1)
                pairs = zip(by.values, text.values, strict=True)
                values = tuple(found[numbers.index(pick(numbers))] if found else None for numbers, found in pairs)
                yield Formula(chosen, text.reads, values)
        for mark in _SEPARATORS if joined else ():
            yield _made(text, f"{mark!r}.join({{}})", mark.join)


def _places(value: float) -> int:
    """Decimal places that a number is written with."""
    exponent = Decimal(repr(value)).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


_LISTED: Mapping[str, Callable[[list[Any]], Any]] = {
    "[{}]": list[Any],
    "list(dict.fromkeys({}))": lambda found: list(dict.fromkeys(found)),
    "sorted({})": sorted,
    "sorted({{{}}})": lambda found: sorted(set(found)),
}
_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": add,
    "-": sub,
    "*": mul,
    "/": lambda one, other: one / other,
    "/ 100 *": lambda one, other: one / 100 * other,
    "* 100 /": lambda one, other: one * 100 / other,
}
_COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {">": gt, ">=": ge, "==": eq}
