"""Which recorded runs to look at: those that went wrong, those that went well, and a varied order of either."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from statistics import median_low
from typing import TypeVar

from flowbot.optimizer.rendering import values_text
from flowbot.runtime.evaluation import Row
from flowbot.runtime.trace import Step

T = TypeVar("T")
PERFECT = 1.0
GOOD = 0.8
"""Quantile of a program's scores from which on a run is good: a graded metric gives few that are perfect."""
_WORD = re.compile(r"\w+")


def failing(rows: Sequence[Row]) -> list[Row]:
    """The runs with a mistake to learn from: those below the best score, of graded ones the worse half."""
    wrong = [row for row in rows if row.score.value < PERFECT]
    middle = median_low(row.score.value for row in wrong) if wrong else 0.0
    return [row for row in wrong if row.score.value <= middle]


def good(rows: Sequence[Row]) -> list[Row]:
    """The runs to imitate: those from the 80th percentile of the scores on, unless that is nothing."""
    scores = sorted(row.score.value for row in rows)
    least = scores[int(GOOD * len(scores))] if scores else 0.0
    return [row for row in rows if row.score.value >= least and row.score.value > 0]


def calls_of(row: Row, path: str) -> list[Step]:
    """The calls of one step in a run, or those that used one text of a program, in the order in which they were made."""
    return [step for step in row.trace.steps if path in step.slots]


def typical(calls: Sequence[Step]) -> Step:
    """Of one node's calls in a run the last, since what stands after a loop reads its last step; of several samples one that
    gave what most of them gave."""
    place = calls[-1].address.partition("#")[0]
    samples = [step for step in reversed(calls) if step.address.partition("#")[0] == place]
    counts = Counter(values_text(step.outputs) for step in samples)
    return max(samples, key=lambda step: counts[values_text(step.outputs)])


def alternated(items: Sequence[T], label: Callable[[T], str]) -> list[T]:
    """The items in an order in which the first of every label come first, then the second of each, and so on."""
    seen: Counter[str] = Counter()
    ranks: list[int] = []
    for each in items:
        ranks.append(seen[label(each)])
        seen[label(each)] += 1
    return [items[place] for place in sorted(range(len(items)), key=lambda place: ranks[place])]


def varied(rows: Sequence[Row], rng: Random) -> list[Row]:
    """The rows in an order of chance, stratified by what is expected of them."""
    return alternated(rng.sample(rows, k=len(rows)), lambda row: values_text(row.example.expected))


def alike(one: str, other: str) -> float:
    """Share of the words of two texts that both have, in [0, 1] (Jaccard index)."""
    mine, theirs = set(_WORD.findall(one.casefold())), set(_WORD.findall(other.casefold()))
    return len(mine & theirs) / max(1, len(mine | theirs))
