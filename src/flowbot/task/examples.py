"""Rows to examples: columns to fields, values to types, ids; each fault named with the row's place."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from flowbot.fields import Field, UserError, ValueMismatch, canonical_json, stable_hash
from flowbot.fields.words import kind_of, listed

from .delimited import cell_value
from .example import Example
from .faults import RAISED, Faults
from .row import Row

FEEDBACK = "feedback"
"""The column of people's words on a row, unless another one is named."""
RowLike = Mapping[str, Any] | Example | Row
"""What may be given as a row: a flat dict, an example, a row of a file."""


class Checked(tuple[Example, ...]):
    """Examples that were found to be of a task's fields."""

    __slots__ = ()


def checked_examples(
    rows: Iterable[RowLike],
    *,
    where: str,
    inputs: Sequence[Field],
    outputs: Sequence[Field],
    group: str = "",
    feedback: str = "",
    faults: Faults = RAISED,
) -> Checked:
    """Checked examples, in the order of the rows.

    Args:
        rows: what was given.
        where: how errors name rows that do not know their place.
        inputs: all are required.
        outputs: any may be missing.
        group: the column that names a row's group; "" for none.
        feedback: the column of people's words, texts in every row that has it; "" for `FEEDBACK` where there are texts.
        faults: where the faults of single rows go; the rows that have one are left out.

    Raises:
        UserError: naming the row, for a missing field, a value of a wrong type or an id that stands twice.
    """
    if isinstance(rows, Checked):
        return rows
    found: list[Example] = []
    for index, row in enumerate(rows):
        place = row.place if isinstance(row, Row) else f"{where}[{index}]"
        with faults:
            if isinstance(row, Example):
                found.append(_checked(row, place, inputs, outputs))
            elif isinstance(row, Row):
                found.append(_example(row, inputs, outputs, group, feedback))
            elif isinstance(cast("object", row), Mapping):
                found.append(_example(Row(place, row), inputs, outputs, group, feedback))
            else:
                raise UserError(place, kind_of(row), "a dict or an Example")
    return Checked(_with_ids(found, faults))


def _checked(example: Example, place: str, inputs: Sequence[Field], outputs: Sequence[Field]) -> Example:
    names = [field.name for field in outputs]
    unknown = [name for name in example.expected if name not in names]
    if unknown:
        expected = f"values of the task's outputs alone, {', '.join(names)}"
        raise UserError(place, f"an expected value of {', '.join(unknown)}", expected)
    row = Row(place, {**example.inputs, **example.expected})
    made = _example(row, inputs, outputs, "", "")
    extra = {**made.extra, **example.extra}
    return replace(made, id=example.id, group=example.group, extra=extra, feedback=example.feedback)


def _example(row: Row, inputs: Sequence[Field], outputs: Sequence[Field], group: str, feedback: str) -> Example:
    given = row.values
    fields = {field.name for field in (*inputs, *outputs)}
    found = input_values(row, inputs)
    if group and group not in given:
        raise UserError(row.place, f"no {group!r}{_columns(row)}", "the column that names the row's group")
    own = "id" in given and "id" not in fields
    return Example(
        id=_id(given["id"], row.place) if own else "",
        inputs=found,
        expected={field.name: _value(row, field) for field in outputs if _has(row, field)},
        group=group_of(given[group]) if group else "",
        extra={name: each for name, each in given.items() if name not in fields and not (own and name == "id")},
        feedback="" if (feedback or FEEDBACK) in fields else _feedback(row, feedback),
        place=row.place,
    )


def input_values(row: Row, inputs: Sequence[Field]) -> dict[str, Any]:
    """The inputs that a row gives, as values of their types; its other columns do not matter.

    Raises:
        UserError: naming the row, for one that is missing or of another type.
    """
    for field in inputs:
        if not _has(row, field):
            raise UserError(row.place, f"no {field.name!r}{_columns(row)}", f"a value for the input {field.name!r}")
    return {field.name: _value(row, field) for field in inputs}


def _has(row: Row, field: Field) -> bool:
    if field.name not in row.values:
        return False
    # An empty cell is an empty text, but no number.
    return not (row.texts and field.type.kind != "str" and not str(row.values[field.name]).strip())


def _value(row: Row, field: Field) -> Any:
    value = row.values[field.name]
    if row.texts and field.type.kind in ("list", "object"):
        try:
            value = cell_value(value, row.place)
        except UserError as error:
            raise UserError(f"{row.place}: {field.name}", error.found, f"{field.type} as JSON") from None
    try:
        return field.type.coerce(value, field.name)
    except ValueMismatch as error:
        said, _, expected = str(error).rpartition("; expected ")
        spot, _, found = said.partition(": ")
        raise UserError(f"{row.place}: {spot}", found.removeprefix("found "), expected) from None


def _id(value: Any, place: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise UserError(f"{place}: id", canonical_json(value)[:60], "a text or a whole number")
    return str(value).strip()


def group_of(value: Any) -> str:
    """The group's name; a row without one, null or an empty cell, belongs to none."""
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else canonical_json(value)


def _feedback(row: Row, column: str) -> str:
    """A person's words on the row; a column that nobody named is one only where it holds text."""
    value = row.values.get(column or FEEDBACK)
    if isinstance(value, str):
        return value.strip()
    if column and value is not None:
        raise UserError(f"{row.place}: {column}", canonical_json(value)[:60], "feedback in words")
    return ""


def _with_ids(found: Sequence[Example], faults: Faults) -> list[Example]:
    """The same examples, all with an id, each once. A hash where none is given, so that the order does not matter."""
    seen: dict[str, str] = {}
    for example in found:
        with faults:
            if example.id and example.id in seen:
                raise UserError(example.place, f"the id {example.id!r} of {seen[example.id]} again", "an id of its own")
        if example.id:
            seen.setdefault(example.id, example.place)
    hashes = [stable_hash(example.inputs)[:12] for example in found]
    times = Counter(hashes)
    numbers: defaultdict[str, int] = defaultdict(lambda: 1)
    done: list[Example] = []
    for example, name in zip(found, hashes, strict=True):
        if not example.id:
            if times[name] > 1:  # equal inputs: what is expected may still tell them apart
                name = stable_hash([example.inputs, example.expected, dict(example.extra), example.group])[:12]
            unique = name
            while unique in seen:
                numbers[name] += 1
                unique = f"{name}-{numbers[name]}"
            seen[unique] = example.place
            example = replace(example, id=unique)
        done.append(example)
    return done


def _columns(row: Row) -> str:
    return f" (there is {listed(list(row.values))})" if row.values else " (the row is empty)"
