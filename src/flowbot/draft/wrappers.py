"""The rows inside of what an export wraps around them: a list under a name, columns side by side, objects by their keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from flowbot.fields import UserError

_USUAL = ("tests", "rows", "data", "examples", "records", "items", "results", "tickets", "issues")
"""Names under which rows stand; the first counts where a file has several lists."""
_FEWEST = 3
"""Objects under keys of their own that are taken for rows."""
_WRAPS = ("_source", "row", "record", "doc", "item", "node")
"""Names under which each row may stand alone."""


def rows_within(value: Any, where: str, notes: list[str]) -> list[Any]:
    """The rows of a JSON value.

    Args:
        value: what a file holds.
        where: how errors name it.
        notes: where the rows stood is added, in words, unless the value is their list.

    Raises:
        UserError: if there are none, or which list has them is not clear.
    """
    rows = cast("list[Any]", value) if isinstance(value, list) else _in_object(value, where, notes)
    return unwrapped(rows, notes)


def unwrapped(rows: list[Any], notes: list[str]) -> list[Any]:
    """The rows themselves, where each stands alone under one name in an object of its own.

    Args:
        rows: JSON values.
        notes: the name is added, in words, if there is one.
    """
    wraps = {next(iter(row)) if len(row) == 1 else "" for row in map(_mapping, rows)}
    wrap = next((name for name in _WRAPS if all(isinstance(_mapping(row).get(name), dict) for row in rows)), "")
    if not wrap and len(wraps) == 1 and all(isinstance(_mapping(row).get(next(iter(wraps))), dict) for row in rows):
        wrap = next(iter(wraps))
    if not (rows and wrap):
        return rows
    notes.append(f"each row is what stands under {wrap}")
    return [row[wrap] for row in rows]


def _in_object(value: Any, where: str, notes: list[str]) -> list[Any]:
    if not isinstance(value, dict):
        raise UserError(where, "JSON that is no list", "a list of objects, or JSON Lines: an object on each line")
    whole = cast("dict[str, Any]", value)
    for inside, before in ((whole, ""), *((_mapping(each), f"{name}.") for name, each in whole.items())):
        lists = {name: each for name, each in inside.items() if _are_objects(each)}
        if not lists and not before and (rows := _side_by_side(inside)) is not None:
            notes.append("the file has its columns, or its rows by their keys, side by side")
            return rows
        usual = next((name for name in _USUAL if name in lists), "")
        if len(lists) == 1 or usual:
            name = usual or next(iter(lists))
            notes.append(f"the rows are those under {before}{name}")
            return cast("list[Any]", lists[name])
        if lists:
            expected = f"one of them alone, such as: jq .{before}{next(iter(lists))} FILE > rows.json"
            raise UserError(where, f"the lists {', '.join(before + name for name in lists)}", expected)
    raise UserError(where, "an object without a list of rows", "a list of objects, or one under a name")


def _side_by_side(whole: Mapping[str, Any]) -> list[Any] | None:
    """Rows of data frames as they are saved by columns, by index or in parts, and of objects by their keys."""
    if {"columns", "data"} <= whole.keys():
        names, rows = whole["columns"], whole["data"]
        if _is_list(names) and _is_list(rows) and all(map(_is_list, rows)):
            return [dict(zip(map(str, names), row, strict=False)) for row in rows]
    values: list[Any] = list(whole.values())
    if (
        values
        and all(map(_is_list, values))
        and len({len(each) for each in values}) == 1 < len(cast("list[Any]", values[0]))
    ):
        return [dict(zip(whole, row, strict=True)) for row in zip(*values, strict=True)]
    if not values or not all(map(_mapping, values)):
        return None
    keys = list(_mapping(values[0]))
    if all(list(each) == keys for each in values) and all(key.isdigit() for key in keys):
        return [{name: each[key] for name, each in whole.items()} for key in keys]
    if len(values) >= _FEWEST and frozenset[str].intersection(*map(frozenset[str], values)):
        return [each if key.isdigit() or "id" in each else {"id": key, **each} for key, each in whole.items()]
    return None


def _are_objects(value: Any) -> bool:
    return _is_list(value) and bool(value) and all(isinstance(each, dict) for each in value)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
