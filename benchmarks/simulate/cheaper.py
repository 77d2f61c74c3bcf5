"""How often a workflow of a third of the calls replaces a dearer one, where it is as good and where it is worse: the frontier of
the rule for cheaper programs, by the product's judge.

    python benchmarks/simulate/cheaper.py [--pairs 40,300] [--discordant 0.15] [--runs 200]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from rich.console import Console
from rich.table import Table

from flowbot.optimizer import judge, objective
from flowbot.optimizer.allocator import BLOCK
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.population import Candidate, Outcome, Population
from flowbot.run.events import Arm
from simulate.world import Program, Text

DEAR = Program(frozenset({"vote"}), Text(), Text(), 0.0)
CHEAP = Program(frozenset(), Text(), Text(), 0.0)


def taken(seed: int, rows: int, loss: float, discordant: float, prior: Belief) -> bool:
    """Whether the cheap program, worse by `loss`, replaces the dear one, with the pairs in blocks as in the search."""
    rng = Random(f"{seed}/{rows}")
    population = Population(DEAR)
    cheap = Candidate("cheap", CHEAP, population.start, Arm(kind="-vote"), prior)
    population.add(cheap)
    order = [str(row) for row in range(rows)]
    for place, row in enumerate(order, 1):
        draw, tie = rng.random(), float(rng.random() < 0.5)
        lost, won = draw < (discordant + loss) / 2, draw < discordant
        population.record(DEAR.hash, row, Outcome(1.0 if lost else 0.0 if won else tie, DEAR.cost))
        population.record(CHEAP.hash, row, Outcome(0.0 if lost else 1.0 if won else tie, CHEAP.cost))
        if place % BLOCK == 0 or place == rows:
            ruling = judge.PosteriorJudge[Program]().ruling(cheap, population, order, CHEAP.cost - DEAR.cost)
            if ruling.decision:
                return ruling.decision == "adopt"
    raise AssertionError("no verdict at the end of the rows")


def frontier(pairs: Sequence[int], discordant: float, runs: int) -> Table:
    """Shares in percent, by what is tolerated and by the prior of a removal."""
    table = Table(box=None, pad_edge=False)
    for name in ("pairs", "tolerated", "prior", "equal", "-5 points", "-10 points"):
        table.add_column(name, justify="right")
    shipped = objective.TOLERATED
    for rows in pairs:
        for objective.TOLERATED in (0.02, 0.03, 0.04, 0.05):
            for prior in (Belief(0.0, 0.03), Belief(0.0, 0.06), Belief(-0.03, 0.06), Belief(0.0, 0.12)):
                shares = [
                    sum(taken(seed, rows, loss, discordant, prior) for seed in range(runs)) / runs
                    for loss in (0.0, 0.05, 0.1)
                ]
                named = f"{prior.mean:g} ± {prior.spread:g}"
                table.add_row(str(rows), f"{objective.TOLERATED:g}", named, *(f"{100 * share:.0f}" for share in shares))
    objective.TOLERATED = shipped
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="benchmarks/simulate/cheaper.py", description=(__doc__ or "").partition("\n\n")[0]
    )
    parser.add_argument("--pairs", default="40,300")
    parser.add_argument("--discordant", type=float, default=0.15, help="share of rows that the two differ on")
    parser.add_argument("--runs", type=int, default=200)
    asked = parser.parse_args()
    Console().print(frontier([int(each) for each in asked.pairs.split(",")], asked.discordant, asked.runs))
