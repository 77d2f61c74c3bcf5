"""Who gets the next rows: those that may be the best, by Thompson sampling (Thompson 1933; Chapelle & Li 2011)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

from .population import Candidate, P, split_at
from .seams import Context

FIRST = 6
"""Pairs of a new candidate before anything is decided of it."""
BLOCK = 6
"""Pairs more at a time."""


@dataclass(slots=True)
class Thompson(Generic[P]):
    """New candidates first, each with `FIRST` rows, of which its parent has half wrong as far as is known, so that what mends
    mistakes and what breaks the rest both show at once; else one draw of each belief, and the highest `width` get a block.

    Args:
        width: candidates that are run side by side.
    """

    width: int = 2
    _drawn: int = 0

    def blocks(
        self, candidates: Sequence[Candidate[P]], context: Context[P]
    ) -> Sequence[tuple[Candidate[P], Sequence[str]]]:
        """As of `Allocator`."""
        population = context.population
        untried = [each for each in candidates if not population.outcomes(each.program)]
        if untried:
            return [(each, self._first(each, context)) for each in untried]
        self._drawn += 1
        rng = context.rng(f"allocate/{self._drawn}")
        draws = {each.id: each.belief.draw(rng) - population.charge(each) for each in candidates}
        ranked = sorted(candidates, key=lambda each: -draws[each.id])
        return [(each, self._next(each, context)[:BLOCK]) for each in ranked[: self.width]]

    def _first(self, candidate: Candidate[P], context: Context[P]) -> list[str]:
        assert candidate.parent is not None
        rows, theirs = self._next(candidate, context), context.population.outcomes(candidate.parent.program)
        middle = split_at([each.score for each in theirs.values()])
        wrong = [row for row in rows if row in theirs and theirs[row].score <= middle]
        right = [row for row in rows if row in theirs and theirs[row].score > middle]
        return list(dict.fromkeys((*wrong[: FIRST // 2], *right[: FIRST // 2], *rows)))[:FIRST]

    def _next(self, candidate: Candidate[P], context: Context[P]) -> list[str]:
        assert candidate.parent is not None
        both = [context.population.outcomes(each) for each in (candidate.program, candidate.parent.program)]
        return [row for row in context.rows if row not in candidate.shown and not all(row in seen for seen in both)]
