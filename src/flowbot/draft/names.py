"""Names of columns as names of fields, and the words in them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from flowbot.fields import is_name

_LONGEST = 60
"""Characters that are kept of a name; a field's name has at most 64, and a number may be added."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_A-Za-z]+")


def words(column: str) -> tuple[str, ...]:
    """The words of a column's name in small letters: `orderID` and `Order id` are (order, id)."""
    return tuple(word.casefold() for word in _WORD.findall(_plain(column)))


def field_names(columns: Sequence[str]) -> dict[str, str]:
    """A field's name for each column, each once: the column's own wherever it can be one.

    What is no letter or digit becomes `_`, accents go, and a keyword of Python gets a `_` after it.
    """
    names = {column: column for column in columns if is_name(column)}
    for number, column in enumerate(columns, 1):
        if column not in names:
            names[column] = _free(_identifier(column) or f"column_{number}", set(names.values()))
    return {column: names[column] for column in columns}


def _identifier(column: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_]+", "_", _plain(column)).strip("_")[:_LONGEST]
    if not name or not any(each.isalpha() for each in name):
        return f"column_{name}" if name else ""
    if name[0].isdigit():
        name = f"_{name}"
    return name if is_name(name) else f"{name}_"


def _free(wish: str, taken: set[str]) -> str:
    name, number = wish, 1
    while name in taken:
        number += 1
        name = f"{wish}_{number}"
    return name


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    return "".join(each for each in folded if not unicodedata.combining(each))
