"""Spider: questions to databases, to be answered in SQL (Yu et al. 2018)."""

from __future__ import annotations

import re
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

from flowbot.fields import StepError, UserError, stable_hash
from flowbot.fields.files import sha256
from flowbot.task import Task
from flowbot.task.row import Row

from .benchmark_set import BenchmarkSet, SetRows
from .read import task_rows, text_column, with_id
from .scorers.execution import executed, rows_of, schema
from .scorers.official import official

_PLACES = ("databases/{0}.sql", "database/{0}/{0}.sqlite", "test_database/{0}/{0}.sqlite")
"""Where a database stands beside the rows: as a dump, or as the publisher has it."""
_NAME = re.compile(r"[\w-]{1,100}\Z")


def _fields(row: Row, folder: Path) -> dict[str, Any]:
    file, tables = _database(folder, text_column(row, "database", "db_id"), row.place)
    query = text_column(row, "answer", "query")
    try:
        rows_of(folder / file, query)
    except StepError as error:
        raise UserError(f"{row.place}: query", f"one that cannot be run ({error})", "one that gives rows") from None
    ordered = row.values.get("order_matters")
    if not isinstance(ordered, bool):  # the publisher's evaluation goes by these words
        ordered = "order by" in query.lower()
    more = {"database": file, "order_matters": ordered}
    return with_id(row, {"question": text_column(row, "question"), "schema": tables, "query": query, **more})


def _make(rows: SetRows, variant: str) -> Task:
    folder = rows.folder
    if folder is None:
        raise UserError(
            "data", "rows of the hub, without their databases", f"a folder with {', '.join(_PLACES).format('NAME')}"
        )
    splits = task_rows(rows, lambda row: _fields(row, folder))
    # Of the folder only its content is part of what the metric is.
    used = sorted({row.values["database"] for each in splits.values() for row in each})
    content = stable_hash([(file, sha256(folder / file)) for file in used])
    run = partial(executed, folder=folder)
    return Task(
        goal="Write the SQLite query that answers the question.",
        inputs={
            "question": "str",
            "schema": {"type": "str", "about": "the statements that made the database's tables"},
        },
        outputs={"query": {"type": "str", "about": "one SELECT of SQLite's dialect"}},
        metric=official("execution", run, rule=2, pure=False, of=content),
        splits=splits,
    )


def _database(folder: Path, name: str, place: str) -> tuple[str, str]:
    """A database's file, relative to the folder, and its schema."""
    files = [each.format(name) for each in _PLACES] if _NAME.match(name) else []
    file = next((each for each in files if (folder / each).is_file()), None)
    if file is None:
        expected = f"one that stands in {folder}, as {', '.join(_PLACES).format('NAME')}"
        raise UserError(f"{place}: database", repr(name)[:80], expected)
    try:
        return file, schema(folder / file)
    except sqlite3.Error as error:
        raise UserError(str(folder / file), f"no database ({error})", "a dump of SQLite's, or a file of its") from None


SET = BenchmarkSet(
    name="text2sql_spider",
    about="Questions to databases that no other split has, answered in SQL.",
    source="Yu et al. 2018, Spider: train_spider.json, train_others.json and dev.json, with database/",
    licence="CC BY-SA 4.0",
    make=_make,
    files={"train": ("train_spider.json", "train_others.json"), "test": ("dev.json",)},
    metric="execution accuracy: the query gives the rows that the reference gives, in its order where it orders them",
    split="the publisher's dev is test; half of the databases of train, by a seed, are val",
    together=("database", "db_id"),
)
