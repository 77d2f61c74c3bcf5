"""The rows of a file as people and tools leave it: mended where a person would know at once what is meant, and said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from flowbot.fields import UserError
from flowbot.fields.yaml import parse_data, parse_json
from flowbot.task.arrow import arrow_rows, parquet_rows
from flowbot.task.data import KINDS, PARQUET, TABLES, is_one_value, listed_rows, parse_rows, refuse_other_kinds
from flowbot.task.decode import WINDOWS, decoded
from flowbot.task.hub import hub_data, hub_name
from flowbot.task.row import Row

from .guess import Guess
from .wrappers import rows_within, unwrapped

MOST_TAKEN = 20_000
"""Rows that are read of a split of a data set of the hub."""
_YAML = (".yaml", ".yml")
MORE_KINDS = (*KINDS, ".txt", *_YAML)
"""The endings of files that are read when they are named: tables saved as text, and tests in YAML."""


def read_file(path: Path, notes: list[Guess]) -> Sequence[Row]:
    """The rows of a file, whatever stands around them.

    Args:
        path: the file.
        notes: what had to be done is added.

    Raises:
        UserError: naming file and line, if it cannot be read, is malformed or holds no rows.
    """
    refuse_other_kinds(path, MORE_KINDS)
    if path.suffix.lower() == PARQUET:
        return parquet_rows(path)
    text, encoding = decoded(path, windows=True)
    if encoding not in ("utf-8", "utf-8-sig"):
        why = "no byte order mark, and no UTF-8" if encoding == WINDOWS else "by its byte order mark"
        told = f"{path.name} read as {encoding} and written as UTF-8"
        notes.append(Guess("encoding", told, why, "save the file as UTF-8"))
    mended: list[str] = []
    rows = _rows(text, str(path), path.suffix.lower(), mended)
    if not rows:
        raise UserError(str(path), "no rows", "at least one row of data")
    notes += [Guess("read", each, f"as {path.name} has it", "mend the file") for each in mended]
    return rows


def read_hub(text: str, notes: list[Guess]) -> tuple[dict[str, Sequence[Row]], str]:
    """The rows of a data set of the hub by its own names of its splits, and what was read, with its revision.

    Of a split of more than `MOST_TAKEN` rows as many are taken, evenly from all of it.

    Args:
        text: see `flowbot.task.hub`.
        notes: what was left out is added.

    Raises:
        UserError: as `hub_data`.
    """
    source, tables = hub_data(hub_name(text, "FILE"), text)
    found: dict[str, Sequence[Row]] = {}
    for name, table in tables.items():
        size: int = table.num_rows
        if size > MOST_TAKEN:
            table = table.take([number * size // MOST_TAKEN for number in range(MOST_TAKEN)])
            told = f"{MOST_TAKEN:,} of the {size:,} rows of {name}"
            notes.append(Guess("rows read", told, "evenly from all of it", "a file of your own with the rows you want"))
        if size:
            found[name] = arrow_rows(table, str(replace(source, split=name)))
    return found, str(source)


def _rows(text: str, where: str, ending: str, mended: list[str]) -> Sequence[Row]:
    if ending in _YAML:
        return listed_rows(rows_within(parse_data(text, where), where, mended), where)
    if ending not in TABLES and is_one_value(text, lines=ending != ".json"):
        return listed_rows(rows_within(parse_json(text, where), where, mended), where)
    rows = parse_rows(text, where, ending, mended=mended)
    if ending == ".txt" and len(rows[0].values) < 2:
        raise UserError(where, "a text that is no table", "a table with a line of column names, or JSON Lines")
    if ending in TABLES:
        return rows
    values = unwrapped([row.values for row in rows], mended)
    return [replace(row, values=each) for row, each in zip(rows, values, strict=True)]
