"""Ranks of the methods, for each task and on average over the tasks that all of them have (Demšar 2006)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from .rows import Row

_EQUAL = 1e-9


@dataclass(frozen=True, slots=True)
class Ranking:
    """Methods that were run with one pair of models at one effort; those that search nothing stand beside every effort.

    Args:
        models: name of the pair.
        effort: planned search calls.
        ranks: by task, by method: 1 is best, and ties share the mean of their ranks.
        average: over `tasks`, by method, best first; empty where no task has them all.
        tasks: that all methods have.
        left_out: that some lack.
    """

    models: str
    effort: int
    ranks: Mapping[str, Mapping[str, float]]
    average: Mapping[str, float]
    tasks: tuple[str, ...]
    left_out: tuple[str, ...]

    def dump(self) -> dict[str, Any]:
        """As JSON data."""
        lists = {"tasks": list(self.tasks), "left_out": list(self.left_out)}
        ranks = {task: dict(each) for task, each in self.ranks.items()}
        return {"models": self.models, "effort": self.effort, "ranks": ranks, "average": dict(self.average), **lists}


def rankings(rows: Iterable[Row]) -> tuple[Ranking, ...]:
    """By models and effort; those with fewer than two methods are left out."""
    scored = [row for row in rows if row.test is not None]
    found: list[Ranking] = []
    for models in dict.fromkeys(row.key.models for row in scored):
        here = [row for row in scored if row.key.models == models]
        for effort in sorted({row.key.effort for row in here} - {0}) or [0]:
            scores: dict[str, dict[str, float]] = {}
            for row in here:
                if row.key.effort in (0, effort) and row.test is not None:
                    scores.setdefault(row.key.task, {})[row.key.method] = row.test.mean
            found.append(_ranking(models, effort, scores))
    return tuple(each for each in found if any(len(ranks) > 1 for ranks in each.ranks.values()))


def _ranking(models: str, effort: int, scores: Mapping[str, Mapping[str, float]]) -> Ranking:
    methods = {method for each in scores.values() for method in each}
    ranks = {task: _ranks(each) for task, each in scores.items()}
    common = tuple(task for task, each in ranks.items() if len(each) == len(methods))
    means = {method: fmean(ranks[task][method] for task in common) for method in methods} if common else {}
    average = dict(sorted(means.items(), key=lambda pair: (pair[1], pair[0])))
    left_out = tuple(task for task in ranks if task not in common)
    return Ranking(models, effort, ranks, average, common, left_out)


def _ranks(scores: Mapping[str, float]) -> dict[str, float]:
    """1 is best; equal scores share the mean of the ranks that they take up."""

    def rank(score: float) -> float:
        better = sum(other > score + _EQUAL for other in scores.values())
        return better + (1 + sum(abs(other - score) <= _EQUAL for other in scores.values())) / 2

    return {method: rank(score) for method, score in scores.items()}
