"""Reading rows of data from JSONL and CSV files, each with the place where it stands."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from flowbot.fields import UserError
from flowbot.fields.yaml import parse_json, read_text


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a data file.

    Args:
        place: `FILE:LINE`.
        values: its columns; JSON values, or texts from a CSV file.
        texts: True for CSV, where a list or object stands as JSON text and an empty cell is no value.
    """

    place: str
    values: Mapping[str, Any]
    texts: bool = False


def read_rows(path: Path) -> list[Row]:
    """The rows of a `.jsonl` or `.csv` file (UTF-8; a byte order mark is dropped; blank lines are skipped).

    Raises:
        UserError: naming file and line, if the file cannot be read, is malformed or holds no rows.
    """
    readers = {".jsonl": _read_jsonl, ".ndjson": _read_jsonl, ".csv": _read_csv}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UserError(str(path), f"a data file that ends in {path.suffix or 'nothing'!r}", "a .jsonl or .csv file")
    rows = reader(read_text(path), str(path))
    if not rows:
        raise UserError(str(path), "no rows", "at least one row of data")
    return rows


def _read_jsonl(text: str, where: str) -> list[Row]:
    rows: list[Row] = []
    # Only line feeds end a line: U+2028 and its like may stand inside a JSON text.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        value = parse_json(line.strip(), where, line=number)
        if not isinstance(value, dict):
            raise UserError(f"{where}:{number}", f"a {type(value).__name__}", "a JSON object on each line")
        rows.append(Row(f"{where}:{number}", cast("dict[str, Any]", value)))
    return rows


def _read_csv(text: str, where: str) -> list[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    rows: list[Row] = []
    line = 1
    try:
        for cells in reader:
            place, line = f"{where}:{line}", reader.line_num + 1
            if not cells:
                continue
            if not header:
                header = [cell.strip() for cell in cells]
                twice = {cell or "(empty)" for cell in header if not cell or header.count(cell) > 1}
                if twice:
                    raise UserError(place, f"the column names {', '.join(sorted(twice))}", "a name a column, each once")
                continue
            if len(cells) != len(header):
                raise UserError(place, f"{len(cells)} cells", f"{len(header)}, one for each column of the first line")
            rows.append(Row(place, dict(zip(header, cells, strict=True)), texts=True))
    except csv.Error as error:
        raise UserError(f"{where}:{line}", f"broken CSV ({error})", "comma-separated values") from None
    return rows
