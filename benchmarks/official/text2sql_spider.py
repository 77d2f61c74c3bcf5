"""Spider: rows of the reference queries against the hash of them that comes with the data, made apart from FlowBot; and other rows' queries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from flowbot.benchmark.sets.registry import load_set
from flowbot.benchmark.sets.scorers.execution import rows_of
from scorers import Case, first_rows


def cases(folder: Path) -> Iterator[Case]:
    """Each reference, and the next row's query where it is on the same database."""
    rows = first_rows(folder)
    task = load_set("text2sql_spider", folder, rows=[1, 1, len(rows)])
    for row, example, other in zip(rows, task.test, [*rows[1:], rows[0]], strict=True):
        kinds = {"reference": row, **({"another question's": other} if other["database"] == row["database"] else {})}
        for kind, each in kinds.items():
            found = rows_of(folder / f"databases/{row['database']}.sql", each["answer"])
            told = hashlib.sha1(json.dumps(sorted(found, key=repr), default=str).encode()).hexdigest()
            ours = task.metric(example, {"query": each["answer"]}).value
            yield Case("text2sql_spider", row["id"], kind, ours, float(told == row["result_sha1"]))
