"""One row of data, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .splits import Split


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a data file.

    Args:
        place: `FILE:LINE`, or `FILE[INDEX]` where there are no lines.
        values: its columns; JSON values, or texts from a CSV file.
        texts: True for CSV, where a list or object stands as JSON text and an empty cell is no value.
        split: the split that its file or a column of its own names, if any.
    """

    place: str
    values: Mapping[str, Any]
    texts: bool = False
    split: Split | None = None
