"""Rows as people have them in Python: dicts, pairs of inputs and outputs, examples, data frames, files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, cast

from flowbot.fields import Field, UserError
from flowbot.fields.words import kind_of
from flowbot.fields.yaml_core import MAX_DEPTH, MOST_BITS, TOO_LONG

from .data import read_rows
from .example import Example
from .examples import Checked, RowLike, checked_examples
from .hub import hub_rows, is_of_hub
from .row import Row
from .splits import SPLITS, Split, divide

Rows: TypeAlias = Iterable[RowLike | tuple[Any, Any]] | Path | str
"""Rows as they may be given: an iterable of flat dicts, of `Example`s or of pairs `(inputs, outputs)`; a data frame of
pandas or polars; the path of a .jsonl, .csv or .parquet file, or `hf:ORG/NAME`. In a pair a side that is one field may be its value alone."""

DEFAULT_SPLIT = (0.4, 0.2, 0.4)
_WANTED = "rows: dicts, pairs (inputs, outputs), a data frame, or the path of a .jsonl or .csv file"


def examples_by_split(
    splits: Mapping[Split, Rows],
    rows: Rows,
    split: Sequence[float],
    group: str,
    *,
    inputs: Sequence[Field],
    outputs: Sequence[Field],
) -> Mapping[Split, Sequence[Example]]:
    """Checked examples by split, from rows by split or from rows that are still to be divided.

    Args:
        splits: rows by split; nothing where `rows` are given.
        rows: rows of all splits.
        split: the parts of train, val and test in `rows`; they sum to 1.
        group: the column that names a row's group; "" for none.
        inputs: the task's inputs.
        outputs: the task's outputs.

    Raises:
        UserError: naming the row, for anything wrong in it; if both ways are used at once.
    """

    def checked(rows: Rows, where: str) -> Checked:
        each = _each(rows, where, inputs, outputs)
        return checked_examples(each, where=where, inputs=inputs, outputs=outputs, group=group)

    by_split: dict[Split, Checked] = {name: checked(splits.get(name, ()), name) for name in SPLITS}
    every = checked(rows, "rows")
    if not every:
        return by_split
    if any(by_split.values()):
        raise UserError("rows", "train, val or test as well", "either rows, which are divided, or rows by split")
    return divide(every, split, "split")


def _each(rows: object, where: str, inputs: Sequence[Field], outputs: Sequence[Field]) -> Iterable[RowLike]:
    """The rows, those that are pairs as flat dicts."""
    if isinstance(rows, Checked):
        return rows
    if is_of_hub(rows):
        return hub_rows(str(rows), where if where in SPLITS else "", where)[0]
    if isinstance(rows, str | Path):
        return read_rows(Path(rows))
    return [_flat(row, f"{where}[{index}]", inputs, outputs) for index, row in enumerate(_listed(rows, where))]


def _listed(rows: object, where: str) -> Iterable[object]:
    for method, arguments in (("to_dicts", ()), ("to_dict", ("records",))):  # polars, pandas
        call: Callable[..., Any] | None = getattr(rows, method, None)
        if call is not None and hasattr(rows, "columns"):
            filled = cast("Iterable[dict[Any, Any]]", call(*arguments))
            return [{name: value for name, value in row.items() if value is not None} for row in filled]
    if isinstance(rows, bytes | Mapping) or not isinstance(rows, Iterable):
        raise UserError(where, kind_of(cast("object", rows)), _WANTED)
    return cast("Iterable[object]", rows)


def _is_nan(value: object) -> bool:
    """Whether a cell holds nothing: NaN, or what pandas puts in its place among whole numbers, texts and dates."""
    return (isinstance(value, float) and value != value) or type(value).__name__ in ("NAType", "NaTType")


def _flat(row: object, where: str, inputs: Sequence[Field], outputs: Sequence[Field]) -> RowLike:
    if isinstance(row, Row):
        return row
    if isinstance(row, Example):
        parts = {name: _members(getattr(row, name), where, MAX_DEPTH) for name in ("inputs", "expected", "extra")}
        return replace(row, **parts)
    if isinstance(row, Mapping):
        return _plain_row(cast("Mapping[Any, Any]", row), where)
    if isinstance(row, tuple | list):
        sides = cast("Sequence[object]", row)
        if len(sides) == 2:
            pair = {**_side(sides[0], where, "inputs", inputs), **_side(sides[1], where, "outputs", outputs)}
            return _plain_row(pair, where)
    raise UserError(where, kind_of(cast("object", row)), "a dict, an Example, or a pair (inputs, outputs)")


def _plain_row(row: Mapping[Any, Any], where: str) -> dict[str, Any]:
    """A row as JSON data, without the cells that hold nothing, as data frames write it."""
    return _members({name: value for name, value in row.items() if not _is_nan(value)}, where, MAX_DEPTH)


def _members(row: Mapping[Any, Any], where: str, levels: int) -> dict[str, Any]:
    return {str(name): _plain(value, f"{where}: {str(name)[:80]}", levels) for name, value in row.items()}


def _plain(value: Any, where: str, levels: int) -> Any:
    """A value as JSON has it: dates as ISO texts, arrays and their items as lists and numbers, tuples as lists.

    Raises:
        UserError: if JSON has nothing like it, or it nests deeper than `levels`.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(where, repr(value), "a finite number")
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        raise UserError(where, TOO_LONG, "a number of at most 300 digits")
    if value is None or isinstance(value, str | int | float):
        return value
    if levels == 0:
        raise UserError(where, "a value nested too deeply", f"at most {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        return _members(cast("Mapping[Any, Any]", value), where, levels - 1)
    if isinstance(value, list | tuple):
        items = cast("Sequence[Any]", value)
        return [_plain(each, f"{where}[{index}]", levels - 1) for index, each in enumerate(items)]
    for method in ("isoformat", "tolist"):  # datetime and pandas, numpy
        call: Callable[[], Any] | None = getattr(value, method, None)
        if call is not None:
            return _plain(call(), where, levels - 1)
    raise UserError(where, kind_of(value), "a text, a number, true or false, a list or an object")


def _side(value: object, where: str, role: str, fields: Sequence[Field]) -> Mapping[str, Any]:
    names = [field.name for field in fields]
    named: Mapping[str, Any] = cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
    if any(name in named for name in names):
        return named
    if len(names) == 1 and (not named or fields[0].type.kind == "object"):
        return {names[0]: value}
    raise UserError(where, f"{value!r:.60} as {role}", f"a dict with {', '.join(names)}")
