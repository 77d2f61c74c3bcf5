"""What a column shows by its name and its values, each by itself: a record, a number of a row, what tells the answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from flowbot.task.leaks import key

from .kinds import DATE, labels
from .names import words
from .table import Table
from .vocabulary import AFTER, ANSWERS, CODES, FACTS, MACHINES, PEOPLE, RECORDS, TELLING, TIMES

SQL = re.compile(r"\s*(?:select|with|insert|update|delete)\s", re.IGNORECASE)
"""How a query begins."""
_ADDRESS = re.compile(r"\s*[^\s@]+@[^\s@]+\.[^\s@]+\s*\Z")
_CODE = re.compile(r"\s*[^\s\d]{0,12}\d[^\s]{0,20}\s*\Z")


def varies(table: Table, name: str) -> bool:
    """Whether a column has anything to say: neither empty nor the same in every row."""
    values = {key(value) for value in table.values(name) if value is not None and value != ""}
    return len(values) > 1 or (len(values) == 1 == len(table.rows))


def is_record(table: Table, name: str) -> bool:
    """Whether a column only says where a row comes from: an id, a date of change, a spreadsheet's own numbering."""
    spoken = words(name)
    numbered = len(spoken) == 2 and spoken[0] in ("column", "unnamed")
    dated = bool(TIMES.intersection(spoken)) and _are_times(table.values(name))
    return not spoken or numbered or dated or bool(RECORDS.intersection(spoken))


def is_code(table: Table, name: str) -> bool:
    """Whether a column numbers the rows, as `Ticket` or `Issue key` do, or has addresses: what nobody judges by."""
    values = [value for value in table.values(name) if value is not None]
    if values and all(isinstance(value, str) and _ADDRESS.match(value) for value in values):
        return True
    told = [value for value in values if isinstance(value, int) or (isinstance(value, str) and _CODE.match(value))]
    numbers = words(name)[-1:] and words(name)[-1] in CODES
    return bool(numbers) and len(values) > 1 and len(set(map(str, told))) == len(values)


def is_late(table: Table, name: str) -> bool:
    """Whether a column has who dealt with the row, or what is known when all is over."""
    spoken = frozenset(words(name))
    return bool(PEOPLE & spoken or AFTER & spoken) or words(name) == ("assigned", "to")


def _are_times(values: Sequence[Any]) -> bool:
    told = [value for value in values if value is not None]
    return bool(told) and all(isinstance(value, str) and DATE.match(value) for value in told)


def leads(table: Table, name: str) -> bool:
    """Whether a column is the first that holds texts of its own: a title, where a later one would tell what is before it."""
    for column in table.columns:
        if column == name or not (is_record(table, column) or different(table.values(column))):
            return column == name and not different(table.values(column))
    return False


def tells(name: str) -> bool:
    """Whether a column tells the answer, by its name: why it is right, or what a model said."""
    spoken = words(name)
    return bool(TELLING.intersection(spoken)) or (bool(MACHINES.intersection(spoken)) and is_answer(name))


def is_answer(name: str) -> bool:
    """Whether a name of several words is that of an answer of some kind: `GPT-4 label`."""
    return len(words(name)) > 1 and (words(name)[-1] in ANSWERS or words(name)[-1] in FACTS)


def is_sql(table: Table, name: str) -> bool:
    """Whether a column has queries: it is so called, and they begin so."""
    if not {"sql", "query"} & set(words(name)):
        return False
    return all(SQL.match(value) for value in table.values(name) if isinstance(value, str))


def different(values: Sequence[Any]) -> tuple[Any, ...]:
    """A column's different values if they are few and repeat, as labels do; else none."""
    present = [value for value in values if value is not None]
    if not present or any(isinstance(value, list | dict) for value in present):
        return ()
    if all(isinstance(value, bool) for value in present):
        return (False, True)
    return labels(map(key, present)) or ()
