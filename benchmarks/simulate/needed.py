"""What a search gains where tasks need structures (`structures`), by how often the meta model names the right change.

    python benchmarks/simulate/needed.py critic   # flowbot against random, and against itself without votes, by p
    python benchmarks/simulate/needed.py calls    # what paper and aflow need for the score that flowbot has
    python benchmarks/simulate/needed.py parts    # what could be part of the search, or left out of it, beside it

with [--seeds 400] [--p 0,0.5] [--budgets 200,500] [--methods NAME,NAME] [--world structures] [--processes 1] --out FILE.jsonl. One line
a method, p, budget and hundred tasks is appended to FILE, with the gain of each; a line that is in FILE is not computed again.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise, product
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from rich.console import Console
from rich.table import Table

from flowbot.optimizer.confirm import Confirm
from flowbot.optimizer.planner import Bandit
from inner.kept import beliefs
from simulate.designed import Again, BornRewrittenUnseen, BornShown, Both, Fixed, Merge
from simulate.fair import EarlyJudge, FairBandit, FairJudge, FrontBandit
from simulate.product import BY_CHANCE, Settings, Voters, search
from simulate.protocols import aflow, paper
from simulate.rivals import peers
from simulate.structures import catalogue_size, planted
from simulate.world import WORLDS, Program, Task

N = 40
BLOCK = 100
"""Tasks of a line."""
RIVALS = ["paper", "aflow", "aflow without end"]
UNBELIEVING = (*RIVALS, "aflow+texts")
WIDE = 1000, 2000, 4000, 8000
"""Budgets that the rivals get besides."""

AS_IT_IS = Settings(more=(Both,))
FAIR = replace(AS_IT_IS, planner=FairBandit, judge=FairJudge)
PARTS = {
    "judged fairly": FAIR,
    "born with demonstrations": replace(AS_IT_IS, structures=BornShown),
    "both": replace(FAIR, structures=BornShown),
    "tuned again": replace(AS_IT_IS, more=(Both, Again)),
    "rewritten unseen": replace(AS_IT_IS, structures=BornRewrittenUnseen),
    "merge": replace(AS_IT_IS, more=(Both, Merge)),
    "given up early": replace(AS_IT_IS, judge=EarlyJudge),
    "dear at any time": replace(AS_IT_IS, planner=partial(Bandit, dear=math.inf)),
    "parents from the front": replace(AS_IT_IS, planner=FrontBandit),
    "without other parents": replace(AS_IT_IS, wanders=False),
    "critic reads all": replace(AS_IT_IS, voters=partial(Voters, reads_all=True)),
    "without votes": replace(AS_IT_IS, voters=None),
    "votes of a fixed weight": replace(AS_IT_IS, weight=Fixed),
    "votes count whatever is named": replace(AS_IT_IS, voters=partial(Voters, contrast=False)),
    "without two at once": Settings(),
    "validation joins": replace(AS_IT_IS, joined=True),
    "confirmed at 0.80": replace(AS_IT_IS, closing=partial(Confirm, bar=0.8)),
}
"""Variants of the search by name."""
METHODS: Mapping[str, Callable[[Task, int, int], tuple[Program, int]]] = {
    "flowbot": partial(search, settings=AS_IT_IS),
    "random": partial(search, settings=BY_CHANCE),
    "paper": paper,
    "aflow": aflow,
    "aflow+texts": partial(aflow, tuned=True),
    "aflow without end": peers.aflow,
    **{name: partial(search, settings=settings) for name, settings in PARTS.items()},
}


@dataclass(frozen=True)
class Cell:
    """What a line is about: `BLOCK` tasks from `first` on, in a world with so many changes on offer at first (a call/three). `beliefs`
    is the hash of what is believed of kinds of changes, "" where a method asks no such thing."""

    world: str
    offered: str
    method: str
    p: float
    budget: int
    first: int
    beliefs: str = ""

    def line(self) -> dict[str, Any]:
        """Run it."""
        gains: list[float] = []
        dearer: list[float] = []
        spent: list[int] = []
        for seed in range(self.first, self.first + BLOCK):
            task = planted(seed, N, self.p, self.world)
            program, calls = METHODS[self.method](task, self.budget, seed)
            gains.append(round(100 * (program.p - task.start.p), 1))
            dearer.append(program.cost / task.start.cost)
            spent.append(calls)
        sums = {"calls": round(statistics.fmean(dearer), 3), "spent": round(statistics.fmean(spent))}
        return vars(self) | sums | {"gains": gains}


@dataclass
class Lines:
    """The lines of FILE, and those that are missing there."""

    file: Path
    world: str
    seeds: int
    processes: int

    def __post_init__(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        written = self.file.read_text(encoding="utf-8").splitlines() if self.file.exists() else []
        lines = map(json.loads, written)
        self._have = {
            Cell(**{name: line[name] for name in Cell.__dataclass_fields__ if name in line}): line for line in lines
        }

    def _cells(self, method: str, p: float, budget: int) -> list[Cell]:
        p = 0.0 if method == "random" else p  # it asks no meta model
        offered = "/".join(f"{catalogue_size(steps)}" for steps in (1, 3)) if self.world == "structures" else ""
        believed = "" if method in UNBELIEVING else beliefs()
        return [Cell(self.world, offered, method, p, budget, first, believed) for first in range(0, self.seeds, BLOCK)]

    def compute(self, wanted: Sequence[tuple[str, float, int]]) -> None:
        """What is missing."""
        cells = dict.fromkeys(cell for each in wanted for cell in self._cells(*each) if cell not in self._have)
        with self.file.open("a", encoding="utf-8") as stream, ProcessPoolExecutor(self.processes) as workers:
            for cell, line in zip(cells, workers.map(Cell.line, cells), strict=True):
                self._have[cell] = line
                stream.write(json.dumps(line, separators=(",", ":")) + "\n")
                stream.flush()

    def gains(self, method: str, p: float, budget: int) -> list[float]:
        """Of every task, in points."""
        return [gain for cell in self._cells(method, p, budget) for gain in self._have[cell]["gains"]]

    def calls(self, method: str, p: float, budget: int) -> float:
        """Of what is found, for each call of the start, on average."""
        return statistics.fmean(self._have[cell]["calls"] for cell in self._cells(method, p, budget))


def _more(mine: Sequence[float], others: Sequence[float]) -> tuple[float, float]:
    """Mean of the paired differences and half of its 95 % interval."""
    more = [a - b for a, b in zip(mine, others, strict=True)]
    return statistics.fmean(more), 1.96 * statistics.stdev(more) / len(more) ** 0.5


def _below(gains: Sequence[float]) -> str:
    return f"{100 * sum(gain < -0.5 for gain in gains) / len(gains):.1f}"


def critic(lines: Lines, asked: argparse.Namespace) -> Table:
    """`flowbot` against `random`, and against itself without votes."""
    lines.compute(list(product(("random", "flowbot", "without votes"), asked.p, asked.budgets)))
    table = _table("p", "calls", "flowbot", "random", "more, 95 %", "than without votes", "below the start, %", "calls")
    for p, budget in product(asked.p, asked.budgets):
        mine, others = lines.gains("flowbot", p, budget), lines.gains("random", p, budget)
        more = [_more(mine, each) for each in (others, lines.gains("without votes", p, budget))]
        means = f"{statistics.fmean(mine):.1f}", f"{statistics.fmean(others):.1f}"
        shown = (f"{mean:+.1f} ± {half:.1f}" for mean, half in more)
        table.add_row(f"{p}", f"{budget}", *means, *shown, _below(mine), f"{lines.calls('flowbot', p, budget):.2f}")
    return table


def rivals(lines: Lines, asked: argparse.Namespace) -> Table:
    """Calls for the score that `flowbot` has; in brackets what a rival has at as many calls."""
    names, wide = asked.methods or RIVALS, sorted({*asked.budgets, *WIDE})
    lines.compute([*product(["flowbot"], asked.p, asked.budgets), *product(names, asked.p, wide)])
    table = _table("p", "calls", "flowbot", *(f"{name} needs" for name in names))
    for p, budget in product(asked.p, asked.budgets):
        score = statistics.fmean(lines.gains("flowbot", p, budget))
        curves = (
            [(0, 0.0), *((each, statistics.fmean(lines.gains(name, p, each))) for each in wide)] for name in names
        )
        needs = (f"{needed_calls(curve, score)} ({dict(curve)[budget]:.1f})" for curve in curves)
        table.add_row(f"{p}", f"{budget}", f"{score:.1f}", *needs)
    return table


def needed_calls(curve: Sequence[tuple[float, float]], score: float) -> str:
    """Where a curve of (calls, gain) first reaches a score, straight between its points."""
    for (calls, gain), (then, more) in pairwise(curve):
        if more >= score:
            return f"{calls + (then - calls) * (score - gain) / (more - gain):.0f}"
    return f"never, {max(gain for _, gain in curve):.1f}"


def parts(lines: Lines, asked: argparse.Namespace) -> Table:
    """Variants beside the search as it is."""
    names = asked.methods or list(PARTS)
    lines.compute(list(product(["flowbot", *names], asked.p, asked.budgets)))
    table = _table("variant", "p", "calls", "gain", "more, 95 %", "below the start, %")
    for name, p, budget in product(names, asked.p, asked.budgets):
        mine = lines.gains(name, p, budget)
        mean, half = _more(mine, lines.gains("flowbot", p, budget))
        shown = f"{statistics.fmean(mine):.1f}", f"{mean:+.1f} ± {half:.1f}"
        table.add_row(name, f"{p}", f"{budget}", *shown, _below(mine))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="left" if name == "variant" else "right", no_wrap=True)
    return table


QUESTIONS = {"critic": critic, "calls": rivals, "parts": parts}
P = {"critic": "0,0.1,0.2,0.3,0.5,0.7,0.9", "calls": "0.3,0.5,0.7,0.9", "parts": "0.2,0.7"}


def main(arguments: list[str] | None = None) -> None:
    """Compute what is missing, show what was asked for."""
    first, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="benchmarks/simulate/needed.py", description=first, epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("question", choices=QUESTIONS)
    parser.add_argument("--seeds", type=int, default=400, help=f"tasks, in hundreds (a line is of {BLOCK})")
    parser.add_argument("--p", help="how often the meta model is right")
    parser.add_argument("--budgets", default="200,500", help="calls")
    parser.add_argument("--methods", default="", help=", ".join(METHODS))
    parser.add_argument("--world", choices=["structures", *WORLDS], default="structures")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.jsonl")
    asked = parser.parse_args(arguments)
    asked.p = [float(each) for each in (asked.p or P[asked.question]).split(",")]
    asked.budgets = [int(each) for each in asked.budgets.split(",")]
    asked.methods = list(filter(None, asked.methods.split(",")))
    if unknown := [each for each in asked.methods if each not in METHODS]:
        parser.error(f"{', '.join(unknown)}: no such method; there are {', '.join(METHODS)}")
    lines = Lines(asked.out, asked.world, asked.seeds, asked.processes)
    Console(width=130).print(QUESTIONS[asked.question](lines, asked))


if __name__ == "__main__":
    main()
