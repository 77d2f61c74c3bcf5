"""How much a run tries: every schedule is derived from the effort, never from a ceiling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EffortName = Literal["low", "medium", "high"]


@dataclass(frozen=True, slots=True)
class Effort:
    """The schedule of a run of `flowbot` and `random`.

    Args:
        rounds: outer steps.
        candidates: structures tried in each.
        inner_steps: parameter changes tried on the winner of each outer step.
        block: examples added to a race at a time.
        race: most examples in one race.
        ballots: times the meta model is asked to choose, each with the options in another order.
        finalists: workflows of the pool that are scored on validation, besides the start.
    """

    rounds: int
    candidates: int
    inner_steps: int
    block: int
    race: int
    ballots: int
    finalists: int


EFFORTS: dict[EffortName, Effort] = {
    "low": Effort(rounds=1, candidates=3, inner_steps=1, block=8, race=16, ballots=2, finalists=2),
    "medium": Effort(rounds=2, candidates=2, inner_steps=2, block=8, race=24, ballots=3, finalists=2),
    "high": Effort(rounds=5, candidates=3, inner_steps=3, block=10, race=60, ballots=3, finalists=4),
}
PLANNED: dict[EffortName, int] = {"low": 200, "medium": 500, "high": 2000}
"""Search calls that an effort plans."""
