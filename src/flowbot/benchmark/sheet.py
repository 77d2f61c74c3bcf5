"""A comparison as text: Markdown for people, CSV for programs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flowbot.fields.words import printable

from .cell import CellResult, Cost
from .figures import COLUMNS, column_source, columns, how_to_read, number, percent, points, texts, without_scores
from .published import Published
from .ranks import Ranking
from .rows import Key, Row


def markdown(
    rows: Mapping[Key, Row],
    baseline: str | None,
    ranks: Sequence[Ranking],
    published: Sequence[Published],
) -> str:
    """The comparison as GitHub's Markdown."""
    parts = ["## Test scores", "", *_matrix(rows, published)]
    for each in ranks:
        effort = f", {number(each.effort)} calls" if each.effort else ""
        parts += ["", f"### Ranks: {_safe(each.models)}{effort}", "", *_ranks(each)]
    every = list(rows.values())
    for task in dict.fromkeys(key.task for key in rows):
        parts += ["", f"## {_safe(task)}", "", *_details([row for row in every if row.key.task == task], baseline)]
    if missing := without_scores(every):
        parts += ["", "## Without scores", "", *(f"- {_safe(name)}: {_safe(why)}" for name, why in missing)]
    parts += ["", "## How to read this", "", *(f"- {_safe(each)}" for each in how_to_read(every, baseline))]
    return "\n".join([*parts, *(f"- {_safe(each.name)}: {_safe(column_source(each))}" for each in published), ""])


def rows_csv(rows: Mapping[Key, Row], ranks: Sequence[Ranking]) -> str:
    """A line a row, numbers in full."""
    ranked = {(each.models, each.effort): each.ranks for each in ranks}
    ranked |= {
        (each.models, 0): each.ranks for each in ranks if sum(each.models == other.models for other in ranks) == 1
    }
    lines: list[dict[str, Any]] = []
    for key, row in rows.items():
        own = ranked.get((key.models, key.effort), {})
        facts = row.dump()
        flat: dict[str, Any] = {**key._asdict(), "seeds": len(row.scored), "seeds_planned": len(row.cells)}
        flat |= _flat("test", facts["test"], ("mean", "low", "high", "n")) | {"test_deviation": row.deviation}
        flat |= _flat("difference", facts["difference"], ("mean", "low", "high", "n", "p", "p_corrected"))
        flat |= {"baseline_effort": row.difference.baseline.effort if row.difference else None}
        flat |= {"val_mean": row.val, "val_test_gap": row.gap, "nodes": row.nodes}
        flat |= {"rank": own.get(key.task, {}).get(key.method)}
        for name in ("search", "example"):
            flat |= _flat(name, facts[name], ("calls", "requests", "tokens", "usd", "seconds"))
        lines.append({**flat, "remarks": "; ".join(row.remarks)})
    return _csv(lines)


def cells_csv(cells: Iterable[CellResult]) -> str:
    """A line a cell, numbers in full; its scores are in its own file."""
    lines: list[dict[str, Any]] = []
    for cell in cells:
        facts = cell.model_dump(include={"task", "models", "effort", "method", "seed", "status"})
        mean = sum(cell.scores) / len(cell.scores) if cell.scores else None
        facts |= {"n": len(cell.scores), "test_mean": mean, "val_mean": cell.val, "nodes": cell.nodes}
        for name, cost in (("search", cell.search), ("test", cell.test)):
            facts |= _flat(name, cost.model_dump(), tuple(Cost.model_fields))
        texts = {name: printable(getattr(cell, name)) for name in ("error", "found", "page", "metric", "identity")}
        lines.append(facts | texts)
    return _csv(lines)


def _flat(prefix: str, part: Mapping[str, Any] | None, names: Sequence[str]) -> dict[str, Any]:
    return {f"{prefix}_{name}": None if part is None else part[name] for name in names}


def _csv(lines: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(lines[0]) if lines else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _matrix(rows: Mapping[Key, Row], published: Sequence[Published]) -> list[str]:
    """A line a task: the means of ours, then the published figures."""
    ours = columns(rows)
    tasks = dict.fromkeys([*(key.task for key in rows), *(task for each in published for task in each.scores)])
    lines: list[list[str]] = []
    for task in tasks:
        found = [rows.get(Key(task, *column)) for column in ours]
        stars = ["*" if row and row.difference and row.difference.clear else "" for row in found]
        scores = [
            percent(row.test.mean) + star if row and row.test else "" for row, star in zip(found, stars, strict=True)
        ]
        lines.append([task, *scores, *(points(each.scores.get(task)) for each in published)])
    return _table(["Task", *ours.values(), *(f"{each.name}, {each.model}" for each in published)], lines)


def _ranks(ranking: Ranking) -> list[str]:
    methods = list(ranking.average) or list(dict.fromkeys(each for ranks in ranking.ranks.values() for each in ranks))
    lines = [
        [task, *(f"{ranks[each]:g}" if each in ranks else "" for each in methods)]
        for task, ranks in ranking.ranks.items()
    ]
    if ranking.average:
        of = f"average over {len(ranking.tasks)} of {len(ranking.ranks)}"
        lines.append([of, *(f"{ranking.average[each]:.2f}" for each in methods)])
    return _table(["Task", *methods], lines)


def _details(rows: Sequence[Row], baseline: str | None) -> list[str]:
    said = [texts(row, baseline=baseline) for row in rows]
    names = [name for name in COLUMNS if any(each[name] for each in said)]
    return _table([COLUMNS[name] for name in names], [[each[name] for name in names] for each in said])


def _table(heading: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    return [_line(heading), "|---|" + "---:|" * (len(heading) - 1), *map(_line, lines)]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(_safe, cells))} |"


def _safe(text: str) -> str:
    """A text of anybody's as plain text within a line of Markdown."""
    return re.sub(r"([\\`*\[\]<>|&])", r"\\\1", printable(text))
