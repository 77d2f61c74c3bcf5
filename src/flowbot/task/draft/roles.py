"""What each column is for: an input, an output, the rows' group, their id, or nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from flowbot.fields import UserError, canonical_json

from .kinds import labels
from .names import words
from .table import Table
from .vocabulary import ANSWERS, FACTS, GIVEN, GROUPS, MARKS, RECORDS, TELLING

SQL = re.compile(r"\s*(?:select|with|insert|update|delete)\s", re.IGNORECASE)
"""How a query begins."""
_FEWEST_GROUPS = 6
_LONG = 200
"""Characters on average from which an input that repeats is a text that several rows are about."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user says of the columns, in place of guesses: names of columns, None where nothing is said."""

    inputs: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None
    group: str | None = None
    """"" for none."""


@dataclass(frozen=True, slots=True)
class Roles:
    """What the columns are for, and why.

    Args:
        inputs: columns that are given.
        outputs: columns that are wanted, or names of fields to come where `labelled` is False.
        labelled: whether the rows say what is expected.
        group: the column of what rows belong to, "" for none.
        id: the column that tells the rows apart, "" for none.
        why: reasons by role.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    labelled: bool
    group: str
    id: str
    why: dict[str, str]


def roles_of(table: Table, wishes: Wishes) -> Roles:
    """The columns' roles: as the user wishes, else by their names, their place and how their values repeat.

    Raises:
        UserError: for a wish that names no column, or where no column is left to be given.
    """
    for option, named in (("--inputs", wishes.inputs), ("--group", (wishes.group,) if wishes.group else None)):
        for name in named or ():
            _known(name, table, option)
    why: dict[str, str] = {}
    row_id = _id(table, why)
    usable = [name for name in table.columns if name not in (row_id, table.split_column)]
    outputs, labelled = _outputs(table, usable, wishes, why)
    given = [name for name in usable if name not in outputs]
    inputs = _inputs(table, given, outputs if labelled else ()) if wishes.inputs is None else list(wishes.inputs)
    why["inputs"] = (
        "as you say" if wishes.inputs is not None else "by name and place" if labelled else "all that may be given"
    )
    group = _group(table, given, inputs, why) if wishes.group is None else wishes.group
    if wishes.group is not None:
        why["group"] = "as you say"
    if wishes.inputs is None and len(inputs) > 1 and group in inputs and not _is_read(table, group):
        inputs.remove(group)
    both = [name for name in inputs if name in outputs]
    if both:
        raise UserError("--inputs", f"{', '.join(both)}, which is an output too", "other columns than the outputs")
    if not inputs:
        found = f"no column that could be an input (there is {', '.join(table.columns)})"
        raise UserError(str(table.files[0]), found, "one beside the output; or --inputs and --outputs")
    return Roles(tuple(inputs), outputs, labelled, group, row_id, why)


def _known(name: str, table: Table, option: str) -> None:
    if name not in table.columns:
        raise UserError(option, repr(name), f"a column, one of {', '.join(table.columns)}")


def _outputs(table: Table, usable: Sequence[str], wishes: Wishes, why: dict[str, str]) -> tuple[tuple[str, ...], bool]:
    """The output columns, and whether there are any; if not, the names of the outputs that shall be."""
    if wishes.outputs is not None:
        unknown = [name for name in wishes.outputs if name not in table.columns]
        near = any(get_close_matches(name, table.columns) for name in unknown)
        if unknown and (near or len(unknown) < len(wishes.outputs)):
            _known(unknown[0], table, "--outputs")
        why["outputs"] = "as you say" if not unknown else "as you say; no column has it, so there are no labels"
        return wishes.outputs, not unknown
    free = [name for name in usable if name not in (wishes.inputs or ())]
    found, why["outputs"] = _wanted(table, free)
    return (tuple(found), True) if found else (("answer",), False)


def _wanted(table: Table, free: Sequence[str]) -> tuple[list[str], str]:
    spoken = {name: " ".join(words(name)) for name in free}
    for wish in ANSWERS:
        found = [name for name in free if spoken[name] == wish]
        if found:
            return found[:1], "by its name"
    marked = [name for name in free if len(words(name)) > 1 and words(name)[0] in MARKS]
    if marked:
        return marked, "by their names"
    found = [name for name in free if spoken[name] in FACTS or _is_sql(table, name)]
    others = [name for name in free if name not in found and not _is_record(name)]
    if found and others:
        return found, "by name" if len(found) > 1 else "by its name"
    open_ = [name for name in free if spoken[name] not in GIVEN and not _is_record(name) and not _tells(name)]
    if len([name for name in free if not _is_record(name)]) > 1:
        few = [name for name in open_ if _few(table.values(name))]
        if few:
            return few[-1:], "the last column whose values are few and repeat"
        if open_ and open_[-1] == free[-1]:
            return open_[-1:], "the last column"
    return [], "no column looks like an answer, so there are no labels"


def _inputs(table: Table, given: Sequence[str], outputs: Sequence[str]) -> list[str]:
    """What is given before an answer, or has the name of something that is given; not what would tell the answer."""
    last = max((table.columns.index(name) for name in outputs), default=len(table.columns))
    first = min((table.columns.index(name) for name in outputs), default=len(table.columns))
    found: list[str] = []
    for name in given:
        spoken = " ".join(words(name))
        if spoken not in GIVEN:
            late = table.columns.index(name) > last and first > 0
            told = _is_record(name) or _tells(name) or (bool(outputs) and (spoken in FACTS or spoken in ANSWERS))
            if late or told:
                continue
        if len(set(map(_key, table.values(name)))) > 1 or (spoken in GIVEN and len(table.rows) == 1):
            found.append(name)
    return found or [name for name in given if not (_is_record(name) or _tells(name))] or list(given)


def _id(table: Table, why: dict[str, str]) -> str:
    """The column that tells rows apart: `id`, or one so called in other words, a text or whole number once each."""
    named = [name for name in table.columns if name == "id"]
    named += [name for name in table.columns if name != "id" and (words(name)[-1:] in (("id",), ("uid",), ("uuid",)))]
    for name in named:
        values = table.values(name)
        told = [str(value).strip() for value in values if isinstance(value, str | int) and not isinstance(value, bool)]
        if all(told) and len(told) == len(values) == len(set(told)):
            why["id"] = "different in every row"
            return name
    if "id" in named:
        why["id"] = (
            "the column id has gaps or stands twice: kept as a column, and rows are told apart by what they hold"
        )
    return ""


def _group(table: Table, given: Sequence[str], inputs: Sequence[str], why: dict[str, str]) -> str:
    """The column of what several rows belong to or are about, if keeping it together leaves enough to split."""
    for name in given:
        keys = [_key(value) for value in table.values(name) if value is not None]
        times = Counter(keys)
        named = words(name)[-1:] == ("id",) or any(word in GROUPS for word in words(name))
        if len(times) == len(keys) or _tells(name) or not (named or (name in inputs and _is_long(times))):
            continue
        if len(times) >= _FEWEST_GROUPS and max(times.values()) * 3 <= len(table.rows):
            why["group"] = f"{len(times):,} different in {len(keys):,} rows: rows with the same one stay in one split"
            return name
    why["group"] = "no column names what rows belong to; rows with equal inputs stay together all the same"
    return ""


def _is_read(table: Table, name: str) -> bool:
    """Whether a group is also something to read: a passage that rows are about, not the user who wrote them."""
    return " ".join(words(name)) in GIVEN or _is_long(set(map(_key, table.values(name))))


def _is_long(texts: Collection[str]) -> bool:
    return sum(map(len, texts)) > _LONG * len(texts)


def _is_record(name: str) -> bool:
    """Whether a column only says where a row comes from: an id, a date of change, a spreadsheet's own numbering."""
    spoken = words(name)
    numbered = len(spoken) == 2 and spoken[0] in ("column", "unnamed")
    return not spoken or numbered or bool(RECORDS.intersection(spoken))


def _tells(name: str) -> bool:
    return bool(TELLING.intersection(words(name)))


def _is_sql(table: Table, name: str) -> bool:
    if not {"sql", "query"} & set(words(name)):
        return False
    return all(SQL.match(value) for value in table.values(name) if isinstance(value, str))


def _few(values: Sequence[Any]) -> bool:
    present = [value for value in values if value is not None]
    if not present:
        return False
    if all(isinstance(value, bool) for value in present):
        return True
    return labels(_key(value) for value in present if not isinstance(value, list | dict)) is not None and not any(
        isinstance(value, list | dict) for value in present
    )


def _key(value: Any) -> str:
    return value if isinstance(value, str) else canonical_json(value)
