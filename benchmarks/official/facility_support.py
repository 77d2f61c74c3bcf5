"""Facility support: the tutorial's three scores and their mean, on answers of other rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flowbot.benchmark.sets.registry import load_set
from flowbot.benchmark.sets.scorers.facility_support import CATEGORIES
from scorers import Case, first_rows


def official(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> float:
    """The mean of urgency, sentiment and the share of categories that are told rightly, each true or false."""
    alike = sum((name in found["categories"]) == (name in wanted["categories"]) for name in CATEGORIES)
    same = [float(found[name] == wanted[name]) for name in ("urgency", "sentiment")]
    return (sum(same) + alike / len(CATEGORIES)) / 3


def cases(folder: Path) -> Iterator[Case]:
    """Each reference, and the next row's."""
    rows = first_rows(folder)
    task = load_set("facility_support", folder)
    for row, example, other in zip(rows, task.test, [*rows[1:], rows[0]], strict=True):
        for kind, each in (("reference", row), ("another row's", other)):
            yield Case(
                "facility_support",
                row["id"],
                kind,
                task.metric(example, each["answer"]).value,
                official(each["answer"], row["answer"]),
            )
