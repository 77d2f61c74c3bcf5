"""The rows of a comparison: the cells of one task, models, effort and method, their seeds taken together.

An example's score is averaged over the seeds first, so that a seed is no example more. Intervals and p values allow for other
examples, and of two seeds or more for other seeds (`stats.difference_over_seeds`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any, NamedTuple

from flowbot.fields import UserError
from flowbot.fields.words import count
from flowbot.stats import Estimate, difference_over_seeds, holm, mean_over_seeds

from .cell import CellResult, Cost

LEVEL = 0.05
"""A corrected p value below this is no chance."""


class Key(NamedTuple):
    """What a row is of."""

    task: str
    models: str
    effort: int
    method: str


class Took(NamedTuple):
    """A mean of what calls took: of the searches of a row, or of an example. `usd` is None where a price is unknown."""

    calls: float
    requests: float
    tokens: float
    usd: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Difference:
    """The row minus the baseline, on the examples that both have.

    Args:
        baseline: the row that it is compared with.
        estimate: the mean and its 95 % interval, which is for this comparison alone.
        p: two-sided; see `stats.difference_over_seeds`.
        p_corrected: for the number of comparisons in the table (Holm).
    """

    baseline: Key
    estimate: Estimate
    p: float
    p_corrected: float

    @property
    def clear(self) -> bool:
        """Whether it is no chance, the number of comparisons taken into account."""
        return self.p_corrected < LEVEL

    def dump(self) -> dict[str, Any]:
        """As JSON data."""
        sides = {"baseline": self.baseline._asdict(), **self.estimate.dump()}
        return {**sides, "p": self.p, "p_corrected": self.p_corrected, "clear": self.clear}


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one method at one effort, on one task, with one pair of models.

    Args:
        key: what it is of.
        cells: one a seed, those that failed too, by seed.
        by_example: test scores by seed, of the examples that all of those with scores have.
        test: their mean with its 95 % interval; None where no seed has scores.
        deviation: standard deviation of the seeds' means; None of fewer than two.
        val: mean on the validation rows, over the seeds that have one.
        gap: `val` less the test mean of the same seeds: what choosing by validation flatters.
        search: mean of what a search took.
        example: mean of what one test example took.
        nodes: mean of the workflows' nodes.
        difference: to the baseline; None of the baseline itself, and where there is none to compare with.
        remarks: what a reader has to know of the row, as seeds that failed.
    """

    key: Key
    cells: tuple[CellResult, ...]
    by_example: Mapping[str, tuple[float, ...]]
    test: Estimate | None
    deviation: float | None
    val: float | None
    gap: float | None
    search: Took | None
    example: Took | None
    nodes: float | None
    difference: Difference | None = None
    remarks: tuple[str, ...] = ()

    @property
    def scored(self) -> tuple[CellResult, ...]:
        """The cells that have test scores."""
        return tuple(cell for cell in self.cells if has_scores(cell))

    def dump(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            **self.key._asdict(),
            "seeds": [cell.seed for cell in self.scored],
            "seeds_without_scores": [cell.seed for cell in self.cells if not has_scores(cell)],
            "test": self.test and self.test.dump(),
            "difference": self.difference and self.difference.dump(),
            "search": self.search and self.search._asdict(),
            "example": self.example and self.example._asdict(),
            **{name: getattr(self, name) for name in ("deviation", "val", "gap", "nodes")},
            "remarks": list(self.remarks),
        }


def has_scores(cell: CellResult) -> bool:
    """Whether it was tested."""
    return cell.status == "done" and bool(cell.scores)


def row_of(key: Key, cells: Sequence[CellResult], of_task: int) -> Row:
    """A row without its comparison.

    Args:
        key: what it is of.
        cells: its cells.
        of_task: test examples of its task.
    """
    cells = sorted(cells, key=lambda cell: cell.seed)
    scored = [cell for cell in cells if has_scores(cell)]
    scores = [dict(zip(cell.examples, cell.scores, strict=True)) for cell in scored]
    names = [name for name in scores[0] if all(name in each for each in scores)] if scores else []
    by_example = {name: tuple(each[name] for each in scores) for name in names}
    seeds = _seeds(by_example, names)
    validated = [cell for cell in scored if cell.val is not None]
    sizes = [cell.nodes for cell in scored if cell.nodes is not None]
    val = fmean(cell.val or 0.0 for cell in validated) if validated else None
    return Row(
        key=key,
        cells=tuple(cells),
        by_example=by_example,
        test=mean_over_seeds(seeds) if seeds else None,
        deviation=stdev(map(fmean, seeds)) if len(seeds) > 1 else None,
        val=val,
        gap=None if val is None else val - fmean(fmean(cell.scores) for cell in validated),
        search=_took([cell.search for cell in scored]),
        example=_took([cell.test for cell in scored], [len(cell.scores) for cell in scored]),
        nodes=fmean(sizes) if sizes else None,
        remarks=tuple(_remarks(cells, len(scored), len(names), of_task)),
    )


def _seeds(by_example: Mapping[str, tuple[float, ...]], names: Sequence[str]) -> list[tuple[float, ...]]:
    """The scores of each seed on these examples."""
    return list(zip(*(by_example[name] for name in names), strict=True))


def _remarks(cells: Sequence[CellResult], scored: int, examples: int, of_task: int) -> list[str]:
    if not scored:
        return [f"no scores: {cells[0].status if len(cells) == 1 else f'none of {len(cells)} seeds is done'}"]
    found = [f"{scored} of {count(len(cells), 'seed')} only"] if scored < len(cells) else []
    return [*found, f"{examples} of {count(of_task, 'test example')} only"] if examples < of_task else found


def _took(costs: Sequence[Cost], examples: Sequence[int] | None = None) -> Took | None:
    """The mean cost: of a cell, or of an example where the numbers of examples are given."""
    if not costs:
        return None
    whole, over = sum(costs, Cost()), len(costs) if examples is None else sum(examples)
    values = (getattr(whole, name) for name in Took._fields)
    return Took(*(None if value is None else value / over for value in values))  # pyright: ignore[reportArgumentType]


def baseline_of(row: Row, rows: Mapping[Key, Row], baseline: str) -> tuple[Row | None, str]:
    """The row to compare with, and what has to be said of it, as why there is none.

    It is the baseline's row of the same task, models and effort; else its only one, as that of a start, which has effort 0.
    """
    efforts = [key.effort for key in rows if (key.task, key.models, key.method) == (*row.key[:2], baseline)]
    if row.key.effort in efforts:
        effort = row.key.effort
    elif len(efforts) == 1:
        effort = efforts[0]
    else:
        why = "has several efforts, none of them this one" if efforts else "was not run here"
        return None, f"not compared: {baseline} {why}"
    found = rows[Key(*row.key[:2], effort, baseline)]
    if found.test is None:
        return None, f"not compared: {baseline} has no scores here"
    return found, f"compared with {baseline} at {effort:,} calls" if effort and effort != row.key.effort else ""


def with_differences(rows: Mapping[Key, Row], baseline: str) -> dict[Key, Row]:
    """The rows with their differences to the baseline, p values corrected for all of the table."""
    found: dict[Key, tuple[Key, Estimate, float]] = {}
    remarks: dict[Key, list[str]] = {}
    for key, row in rows.items():
        if key.method == baseline or row.test is None:
            continue
        other, said = baseline_of(row, rows, baseline)
        remarks[key] = [said] if said else []
        if other is None:
            continue
        both = [name for name in row.by_example if name in other.by_example]
        if not both:
            remarks[key].append(f"not compared: no example in common with {baseline}")
            continue
        if len(both) < min(len(row.by_example), len(other.by_example)):
            remarks[key].append(f"compared on {count(len(both), 'example')} that both have")
        sides = (_seeds(each.by_example, both) for each in (row, other))
        found[key] = (other.key, *difference_over_seeds(*sides))
    corrected = dict(zip(found, holm([p for _, _, p in found.values()]), strict=True))
    return {
        key: replace(
            row,
            difference=Difference(*found[key], corrected[key]) if key in found else None,
            remarks=(*row.remarks, *remarks.get(key, ())),
        )
        for key, row in rows.items()
    }


def grouped(cells: Sequence[CellResult]) -> dict[Key, Row]:
    """The rows without comparisons, by task, models and effort, then method, each in the order of its first cell.

    Raises:
        UserError: if a cell stands there twice, its scores are not those of its examples, or the cells of a task have
            several metrics.
    """
    members: dict[Key, list[CellResult]] = {}
    metrics: dict[str, CellResult] = {}
    examples: dict[str, set[str]] = {}
    for cell in cells:
        place = f"cell {cell.cell.name}"
        if len(cell.examples) != len(cell.scores) or len(set(cell.examples)) < len(cell.examples):
            found = f"{count(len(cell.scores), 'score')} of {count(len(set(cell.examples)), 'example')}"
            raise UserError(place, found, "one score an example")
        if has_scores(cell):
            first = metrics.setdefault(cell.task, cell)
            if cell.metric != first.metric:
                found = f"the metric {cell.metric}"
                raise UserError(place, found, f"that of {first.cell.name}, {first.metric}; run the older cell anew")
            examples.setdefault(cell.task, set()).update(cell.examples)
        same = members.setdefault(Key(cell.task, cell.models, cell.effort, cell.method), [])
        if any(each.seed == cell.seed for each in same):
            raise UserError(place, "the same cell twice", "each cell once")
        same.append(cell)
    order = {name: _order([key[place] for key in members]) for place, name in enumerate(Key._fields)}
    order["effort"] = {effort: effort for effort in order["effort"]}
    keys = sorted(members, key=lambda key: [order[name][each] for name, each in zip(Key._fields, key, strict=True)])
    return {key: row_of(key, members[key], len(examples.get(key.task, ()))) for key in keys}


def _order(names: Sequence[Any]) -> dict[Any, int]:
    return {name: place for place, name in enumerate(dict.fromkeys(names))}
