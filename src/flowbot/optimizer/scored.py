"""How a program does on rows that it was run on, on every axis."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from flowbot.run.events import Measure, Measured, Split
from flowbot.stats import estimate_mean

from .population import P
from .seams import Context


def scored(context: Context[P], program: P, split: Split, rows: Sequence[str]) -> Measured:
    """How a program does on rows that it was run on, on every axis; of none (an endpoint may refuse all) every axis is 0."""
    seen = context.population.outcomes(program)
    outcomes = [seen[each] for each in rows if each in seen]
    prices = [each.usd for each in outcomes]
    known = [each for each in prices if each is not None]
    return Measured(
        program=program.hash,
        split=split,
        score=Measure.of(estimate_mean([each.score for each in outcomes])),
        calls=_mean([each.calls for each in outcomes]),
        tokens=_mean([each.tokens for each in outcomes]),
        usd=_mean(known) if len(known) == len(prices) else None,
        seconds=_mean([each.seconds for each in outcomes]),
        spent=context.spent,
    )


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else 0.0
