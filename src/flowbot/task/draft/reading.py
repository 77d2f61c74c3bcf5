"""The rows of a file as people and tools leave it: mended where a person would know at once what is meant, and said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flowbot.fields import UserError
from flowbot.fields.yaml import parse_data, parse_json
from flowbot.task.data import KINDS, Row, is_one_value, listed_rows, parse_rows, refuse_other_kinds
from flowbot.task.decode import WINDOWS, decoded
from flowbot.task.delimited import Delimited

from .guess import Guess
from .shells import rows_within

_TABLES = (".csv", ".tsv", ".txt")
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
    text, encoding = decoded(path, windows=True)
    if encoding not in ("utf-8", "utf-8-sig"):
        why = "no byte order mark, and no UTF-8" if encoding == WINDOWS else "by its byte order mark"
        told = f"{path.name} read as {encoding} and written as UTF-8"
        notes.append(Guess("encoding", told, why, "save the file as UTF-8"))
    mended: list[str] = []
    rows = _rows(text, str(path), path.suffix.lower(), mended)
    notes += [Guess("read", each, f"as {path.name} has it", "mend the file") for each in mended]
    return rows


def _rows(text: str, where: str, ending: str, mended: list[str]) -> Sequence[Row]:
    if ending in _TABLES:
        table = Delimited.read(text, where, "\t" if ending == ".tsv" else "", mended=mended)
        if ending == ".txt" and len(table.header) < 2:
            raise UserError(where, "a text that is no table", "a table with a line of column names, or JSON Lines")
        if not table.rows:
            below = " below the line of column names" * bool(table.header)
            raise UserError(where, f"no rows{below}", "at least one row of data")
        return [Row(place, cells, texts=True) for place, cells in table.rows]
    if ending in _YAML:
        return listed_rows(rows_within(parse_data(text, where), where, mended), where)
    if is_one_value(text, lines=ending != ".json"):
        return listed_rows(rows_within(parse_json(text, where), where, mended), where)
    return parse_rows(text, where, ending)
