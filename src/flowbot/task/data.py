"""Reading rows of data from JSON Lines, JSON, CSV, TSV and Parquet files, each with the place where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from flowbot.fields import UserError
from flowbot.fields.words import kind_of
from flowbot.fields.yaml import parse_json

from .amended import amended
from .arrow import parquet_rows
from .decode import decoded
from .delimited import table_rows
from .faults import RAISED, Faults
from .row import Row

KINDS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
"""The endings of data files."""
PARQUET = ".parquet"
TABLES = (".csv", ".tsv", ".txt")
"""The endings of tables as text; `.txt` where a person names the file for one."""
_SHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers", ".gsheet")


def read_rows(path: Path, faults: Faults = RAISED) -> list[Row]:
    """The rows of a data file: a Parquet file, or text in UTF-8, or UTF-16 with its mark. See `parse_rows`.

    Args:
        path: the file.
        faults: where the faults of single rows go; the rows that have one are left out.

    Raises:
        UserError: naming file and line, if the file cannot be read, is malformed or holds no rows.
    """
    refuse_other_kinds(path)
    if path.suffix.lower() == PARQUET:
        return parquet_rows(path)
    return parse_rows(decoded(path)[0], str(path), path.suffix.lower(), faults)


def refuse_other_kinds(path: Path, kinds: Sequence[str] = KINDS) -> None:
    """Refuse a file that does not end in one of `kinds`.

    Raises:
        UserError: naming it.
    """
    ending = path.suffix.lower()
    if ending not in kinds:
        expected = "a file that ends in " + ", ".join(kinds)
        if ending in _SHEETS:
            expected = "a table saved as CSV (UTF-8), as every spreadsheet can"
        raise UserError(str(path), f"a data file that ends in {path.suffix or 'nothing'!r}", expected)


def parse_rows(
    text: str, where: str, ending: str, faults: Faults = RAISED, *, alone: bool = False, mended: list[str] | None = None
) -> list[Row]:
    """The rows of a data file's text.

    A `.csv` file may have commas, semicolons, tabs or bars between its cells. A JSON file is a list of objects, or an
    object that holds one such list and nothing else, or in truth JSON Lines. A line may say more of an earlier row, see `amended`.

    Args:
        text: what the file holds.
        where: how errors name it.
        ending: of the file's name, one of `KINDS`: how to read it.
        faults: where the faults of single rows go; the rows that have one are left out.
        alone: True: a JSON object that holds no list of objects is a row.
        mended: see `table_rows`.

    Raises:
        UserError: naming file and line, if it is malformed or holds no rows.
    """
    if ending in TABLES:
        rows = table_rows(text, where, "\t" if ending == ".tsv" else "", faults, mended=mended)
    elif is_one_value(text, lines=ending != ".json"):
        rows = _json_list(text, where, faults, alone=alone)
    else:
        rows = amended(_json_lines(text, where, faults))
    if not rows and not faults.met:
        raise UserError(where, "no rows", "at least one row of data")
    return rows


def _json_lines(text: str, where: str, faults: Faults) -> list[Row]:
    rows: list[Row] = []
    # Only line feeds end a line: U+2028 and its like may stand inside a JSON text.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        with faults:
            try:
                value = parse_json(line.strip(), where, line=number)
            except UserError as error:
                if error.mend != "expected JSON":
                    raise
                raise UserError(error.where, error.found, "a JSON object on each line, and nothing else") from None
            if not isinstance(value, dict):
                raise UserError(f"{where}:{number}", kind_of(value), "a JSON object on each line")
            rows.append(Row(f"{where}:{number}", cast("dict[str, Any]", value)))
    return rows


def _json_list(text: str, where: str, faults: Faults, *, alone: bool) -> list[Row]:
    value = parse_json(text, where)
    if isinstance(value, dict):
        whole = cast("dict[str, Any]", value)
        value = next(iter(whole.values())) if len(whole) == 1 else None
        if alone and not (isinstance(value, list) and any(isinstance(each, dict) for each in cast("list[Any]", value))):
            return [Row(where, whole)]
    if not isinstance(value, list):
        raise UserError(where, "JSON that is no list", "a list of objects, or JSON Lines: an object on each line")
    return listed_rows(cast("list[Any]", value), where, faults)


def listed_rows(value: Sequence[Any], where: str, faults: Faults = RAISED) -> list[Row]:
    """The rows of a list of objects.

    Raises:
        UserError: naming an item that is no object, or if there are none.
    """
    rows: list[Row] = []
    for index, each in enumerate(value):
        with faults:
            if not isinstance(each, dict):
                raise UserError(f"{where}[{index}]", kind_of(each), "a JSON object for each row")
            rows.append(Row(f"{where}[{index}]", cast("dict[str, Any]", each)))
    return rows


def is_one_value(text: str, *, lines: bool) -> bool:
    """Whether a text is one JSON value rather than JSON Lines.

    Args:
        text: what the file holds.
        lines: what its name promises; a list over several lines is one value all the same.
    """
    first, _, rest = text.strip().partition("\n")
    if lines:
        return first.strip() == "[" or first.lstrip().startswith("[{")
    # A `.json` file that begins with a whole object on the first line, and goes on, is JSON Lines.
    return not (rest and first.startswith("{") and first.rstrip().endswith("}"))
