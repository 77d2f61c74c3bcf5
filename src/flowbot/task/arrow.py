"""Tables of Arrow as rows: Parquet files and data sets of the Hugging Face hub. Reading one needs the extra `[hf]`."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias, cast

from flowbot.fields import UserError
from flowbot.fields.files import read_bytes

from .decode import MOST_DATA
from .row import Row

INSTALL = "`pip install 'flowbot[hf]'`"
_UNKNOWN: Mapping[str, Any] = {}
_FEATURES = b"huggingface"
"""Where the library `datasets` keeps what it knows of a table's columns: labels are stored as numbers, their names here."""


ArrowTable: TypeAlias = Any
"""A table of pyarrow, which has no types of its own."""


def parquet_rows(path: Path) -> list[Row]:
    """The rows of a Parquet file, by the names of its columns.

    Raises:
        UserError: naming the file, if it cannot be read, is none, unpacks to more than `MOST_DATA` bytes, or pyarrow is not
            installed.
    """
    raw = read_bytes(path, limit=MOST_DATA)
    try:
        pa: Any = import_module("pyarrow")
        pq: Any = import_module("pyarrow.parquet")
    except ImportError:
        raise UserError(str(path), "a Parquet file and no pyarrow", mend=f"install it: {INSTALL}") from None
    try:
        file = pq.ParquetFile(pa.BufferReader(raw))
        size = sum(file.metadata.row_group(each).total_byte_size for each in range(file.metadata.num_row_groups))
        if size > MOST_DATA:
            expected = f"at most {MOST_DATA:,}: take a part of the rows"
            raise UserError(str(path), f"{size:,} bytes when unpacked", expected)
        table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise UserError(str(path), f"a broken Parquet file ({str(error).splitlines()[0][:120]})", "Parquet") from None
    return arrow_rows(table, str(path))


def arrow_rows(table: ArrowTable, where: str) -> list[Row]:
    """The rows of a table, each at `WHERE[NUMBER]`.

    Labels that are stored as numbers become their names, dates ISO texts; columns of bytes, such as pictures, are left out.

    Args:
        table: with plain names of columns, each once.
        where: how errors name it.

    Raises:
        UserError: if two columns have one name, there are no rows, or a value is none that JSON has.
    """
    names = table.column_names
    if len(set(names)) < len(names):
        raise UserError(where, "two columns of one name", "each name once")
    features = _features(table.schema.metadata)
    kept = [name for name in names if not _has_bytes(table.schema.field(name).type)]
    if not kept or not table.num_rows:
        raise UserError(where, "no rows", "at least one row of data")
    return [
        Row(place, {name: _plain(row[name], features.get(name), f"{place}: {name}") for name in kept})
        for number, row in enumerate(table.select(kept).to_pylist())
        for place in (f"{where}[{number}]",)
    ]


def _features(metadata: Mapping[bytes, bytes] | None) -> Mapping[str, Any]:
    """What is known of the columns, if `datasets` wrote the table."""
    try:
        found: Any = json.loads((metadata or {}).get(_FEATURES, b"{}"))
        features: Any = found.get("info", {}).get("features", {})
    except (ValueError, AttributeError):
        return {}
    return cast("Mapping[str, Any]", features) if isinstance(features, Mapping) else {}


def _has_bytes(kind: Any) -> bool:
    types: Any = import_module("pyarrow").types
    inner = [kind.field(number).type for number in range(kind.num_fields)]
    binary: Sequence[Callable[[Any], bool]] = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary)
    return any(check(kind) for check in binary) or any(map(_has_bytes, inner))


def _plain(value: Any, feature: Any, place: str) -> Any:
    """A value as JSON has it; None for NaN, as data frames write it."""
    of: Mapping[str, Any] = cast("Mapping[str, Any]", feature) if isinstance(feature, Mapping) else _UNKNOWN
    if isinstance(value, int) and not isinstance(value, bool) and of.get("_type") == "ClassLabel":
        names = cast("list[Any]", of.get("names") or [])
        return str(names[value]) if 0 <= value < len(names) else None  # -1: of a test set that keeps its labels secret
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            return None
        raise UserError(place, repr(value), "a finite number")
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list):
        items = cast("list[Any]", value)
        inner: Any = cast("list[Any]", feature)[0] if isinstance(feature, list) and feature else of.get("feature")
        return [_plain(each, inner, place) for each in items]
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {name: _plain(each, of.get(name), place) for name, each in members.items()}
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)  # a decimal number, which a float would change; a span of time
