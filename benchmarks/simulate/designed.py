"""What pays: what was designed for the search but is no part of it, and what is part of it and could be left out, each as a variant
of the product's own search beside it on the same tasks.

    python benchmarks/simulate/designed.py [VARIANT,VARIANT] [--budgets 200,500,1000] [--seeds 200] --out FILE.jsonl

One line a variant and budget is appended to FILE: the gain over the search as it is, in points, with the standard error of that
paired difference. A line that is in FILE is not computed again.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import combinations, product
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from rich.console import Console
from rich.table import Table

from flowbot.optimizer.allocator import BLOCK, FIRST
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.confirm import Confirm
from flowbot.optimizer.judge import PRIOR_SPREAD, PosteriorJudge
from flowbot.optimizer.planner import CARRIED, CARRIED_SPREAD, PATIENCE, VoteWeight
from flowbot.optimizer.pool import affordable
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.seams import Focus, Option, Proposal
from flowbot.run.events import Arm
from simulate.product import MISTAKES, Settings, Simulated, Structures, Voters, search
from simulate.world import KINDS, Program, Task, Text

REMOVAL = Belief(-0.03, PRIOR_SPREAD)
"""What is believed of a change that is taken back."""
WORST = -0.15
"""A structure that looks worse than that is given up without being tuned."""
LIBRARY = 3
"""Starts that are tried where the search does not get on."""


@dataclass
class Ablation(Confirm[Program]):
    """Before validation each adopted change that adds calls is taken back once from the winner, by the rule for cheaper programs.

    Args:
        ablated: share of the planned calls that is set aside for it, besides what the search leaves over.
    """

    ablated: float = 0.0

    def room(self, calls: float, rows: int, start_calls: float) -> float:
        """Of both."""
        return Confirm.room(self, calls, rows, start_calls) + int(self.ablated * calls)

    async def choose(self, context: Simulated) -> Candidate[Program]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take back, with what validation does not need for sure; then confirm, and where calls are left go on."""
        planned, population = context.planned, context.population
        context.planned -= Confirm.room(self, planned, context.task.n, 1)
        await self._all_taken_back(context)
        context.planned = planned
        chosen = await Confirm.choose(self, context)
        if chosen is population.start:
            return chosen
        await self._all_taken_back(context)
        return population.incumbent

    async def _all_taken_back(self, context: Simulated) -> None:
        for change in context.population.incumbent.history[1:]:
            await self._taken_back(change, context)

    async def _taken_back(self, change: Candidate[Program], context: Simulated) -> None:
        population, judge = context.population, PosteriorJudge[Program]()
        winner, before = population.incumbent, (change.origin or change.parent)
        assert before is not None
        added = (change.program.structure - before.program.structure) & winner.program.structure
        if change.level != "structure" or not sum(KINDS[kind].calls for kind in added):
            return
        bare = winner.program
        for kind in sorted(added):
            bare = context.task.apply(bare, f"-{kind}")
        trial = Candidate(f"-{change.id}", bare, winner, Arm(kind=f"-{change.arm.kind}"), REMOVAL)
        population.add(trial)
        while True:
            missing = [
                row
                for row in context.rows
                if population.missing(bare, [row]) or population.missing(winner.program, [row])
            ]
            ruling = judge.ruling(trial, population, context.rows, bare.cost - winner.program.cost)
            if ruling.decision is not None:
                break
            blocks = affordable(context, [(trial, missing[:BLOCK])])
            if not blocks:
                break
            for program in (bare, winner.program):
                await context.run(program, population.missing(program, blocks[0][1]), "train")
        population.close(trial, "adopted" if ruling.decision == "adopt" else "set aside")
        if ruling.decision == "adopt":
            trial.belief = ruling.belief
            population.incumbent = trial


@dataclass
class Merge:
    """The incumbent with what another candidate, that looked better than its own parent, changed.

    Args:
        levels: of the changes that are merged.
    """

    levels: tuple[str, ...] = ("structure", "parameters")

    def options(self, parent: Candidate[Program], context: Simulated) -> list[Option]:
        """One for every such candidate."""
        found: list[Option] = []
        for each in context.population.members[1:]:
            merged = self._merged(parent.program, each, context)
            if each.level not in self.levels or each.program.hash == parent.program.hash:
                continue
            if each.state in ("adopted", "set aside") and each.belief.mean > 0 and merged.hash != parent.program.hash:
                found.append(
                    Option(
                        Arm(kind="merge"),
                        key=f"{parent.program.hash}*{each.id}",
                        title=f"merge {each.id}",
                        prior=Belief(CARRIED * each.belief.mean, math.hypot(each.belief.spread, CARRIED_SPREAD)),
                        extra=merged.cost - parent.program.cost,
                        level="parameters",  # there is no vote on it
                    )
                )
        return found

    async def propose(
        self, parent: Candidate[Program], focus: Focus, want: int, context: Simulated
    ) -> list[Proposal[Program]]:
        """It."""
        name = focus.option.title.removeprefix("merge ")
        other = next(each for each in context.population.members if each.id == name)
        made = self._merged(parent.program, other, context)
        return [Proposal(made, focus.option.title, "prior", shown=tuple(other.shown))]

    def _merged(self, program: Program, other: Candidate[Program], context: Simulated) -> Program:
        """As it is where both changed the same text, as in a three-way merge."""
        assert other.parent is not None
        before, after = (other.origin or other.parent).program, other.program
        structure = (program.structure | (after.structure - before.structure)) - (before.structure - after.structure)
        texts = [
            (getattr(before, name), getattr(after, name), getattr(program, name))
            for name in ("instruction", "demonstrations")
        ]
        if any(was not in (mine, here) for was, mine, here in texts):
            return program
        return context.task.program(structure, *(here if mine == was else mine for was, mine, here in texts))


@dataclass
class Both:
    """Two changes of one parent at once, of other kinds, that both looked better and were not adopted: their gains are believed to add up.

    Args:
        most: pairs that are offered at once.
    """

    most: int = 3
    states: tuple[str, ...] = ("open", "set aside", "dropped")

    def options(self, parent: Candidate[Program], context: Simulated) -> list[Option]:
        """Those whose gains sum up to most."""
        members = context.population.members
        good = [
            each
            for each in members
            if each.parent is parent and each.origin is None and each.state in self.states
            and each.belief.mean > 0 and sum(context.population.pairs(each, context.rows).differences) > 0
        ]  # fmt: skip
        pairs = sorted(combinations(good, 2), key=lambda pair: -sum(each.belief.mean for each in pair))
        found: list[Option] = []
        for one, other in pairs:
            made = self._made(parent.program, one.program, other.program, context)
            if one.arm.kind == other.arm.kind or made is None or any(made.hash == m.program.hash for m in members):
                continue
            both = Belief(one.belief.mean + other.belief.mean, math.hypot(one.belief.spread, other.belief.spread))
            found.append(
                Option(
                    Arm(kind="combine"), key=f"{one.id}&{other.id}", title=f"{one.id}&{other.id}", prior=both,
                    extra=made.cost - parent.program.cost, level="parameters", measured=True,
                )
            )  # fmt: skip
        return found[: self.most]

    async def propose(
        self, parent: Candidate[Program], focus: Focus, want: int, context: Simulated
    ) -> list[Proposal[Program]]:
        """It."""
        names = focus.option.title.split("&")
        one, other = (each for each in context.population.members if each.id in names)
        made = self._made(parent.program, one.program, other.program, context)
        ran = context.population.outcomes  # what they were picked by is no evidence for both
        picked_by = {*one.shown, *other.shown, *ran(one.program), *ran(other.program)}
        return [Proposal(made, focus.option.title, "prior", shown=tuple(sorted(picked_by)))]

    def _made(self, base: Program, one: Program, other: Program, context: Simulated) -> Program | None:
        structure = (base.structure | one.structure | other.structure) - (base.structure - one.structure)
        structure -= base.structure - other.structure
        texts: list[Text] = []
        for name in ("instruction", "demonstrations"):
            was, mine, theirs = (getattr(each, name) for each in (base, one, other))
            if was not in (mine, theirs):
                return None
            texts.append(theirs if mine == was else mine)
        return context.task.program(structure, *texts)


@dataclass
class Small:
    """A kind of change to a text that gains little if anything: what it costs to have it beside the others.

    Args:
        kind: its name.
        prior, spread_of_prior: what is believed of it.
        good: how often it gains something.
        least, best: how much of the headroom a good one takes.
        spread: in probits, of the others.
        cost: meta calls of a draw.
        draws: of it on one parent.
    """

    kind: str
    prior: float = 0.02
    spread_of_prior: float = 0.06
    good: float = 0.15
    least: float = 0.1
    best: float = 0.5
    spread: float = 0.1
    cost: int = 0
    draws: int = 4

    def options(self, parent: Candidate[Program], context: Simulated) -> list[Option]:
        """One."""
        key, prior = f"{parent.program.hash}/{self.kind}", Belief(self.prior, self.spread_of_prior)
        return [Option(Arm(kind=self.kind), key, self.kind, prior, cost=self.cost, most=self.draws, level="parameters")]

    async def propose(
        self, parent: Candidate[Program], focus: Focus, want: int, context: Simulated
    ) -> list[Proposal[Program]]:
        """One."""
        context.pay(self.cost)
        program, rng = parent.program, context.rng(f"propose/{focus.option.key}/{focus.draw}")
        headroom = max(0.0, context.task.headroom(program.structure) - program.instruction.effect)
        gain = (
            rng.uniform(self.least, self.best) * headroom if rng.random() < self.good else rng.gauss(-0.03, self.spread)
        )
        made = context.task.reworded(program, min(headroom, gain))
        return [Proposal(made, self.kind, "prior")]


RULES = partial(Small, "rule")
MINOR = (
    partial(Small, "hint", 0.01, draws=2), partial(Small, "code", cost=1, draws=2),
    partial(Small, "samples", 0.0, draws=2), partial(Small, "tools", 0.0, draws=2),
)  # fmt: skip
WIDE = {"spread_of_prior": PRIOR_SPREAD}


@dataclass
class Library:
    """Starts of another kind, once the search does not get on: two changes of the catalogue on the start's own texts."""

    def options(self, parent: Candidate[Program], context: Simulated) -> list[Option]:
        """A few, on a plateau."""
        closed = [each.state for each in context.population.members[1:] if each.state != "open"]
        if len(closed) < PATIENCE or "adopted" in closed[-PATIENCE:]:
            return []
        return [
            Option(
                Arm(kind="library"),
                key=f"library/{number}",
                title=f"library {number}",
                prior=Belief(0.0, PRIOR_SPREAD),
                level="parameters",
            )
            for number in range(LIBRARY)
        ]

    async def propose(
        self, parent: Candidate[Program], focus: Focus, want: int, context: Simulated
    ) -> list[Proposal[Program]]:
        """One."""
        start = context.task.start
        kinds = context.rng(focus.option.key).sample(sorted(context.task.kinds), 2)
        return [
            Proposal(
                context.task.program(frozenset(kinds), start.instruction, start.demonstrations),
                focus.option.title,
                "prior",
            )
        ]


@dataclass
class Again:
    """A structure that was not adopted gets its one rewrite, unless it looked far worse: fair inner effort, once a structure."""

    def options(self, parent: Candidate[Program], context: Simulated) -> list[Option]:
        """One for every such structure."""
        return [
            Option(
                Arm(kind="again"),
                key=f"again/{each.id}",
                title=f"tune {each.id}",
                prior=Belief(each.belief.mean + 0.02, each.belief.spread),
                extra=each.program.cost - parent.program.cost,
                cost=1 + MISTAKES,
                level="parameters",
            )
            for each in context.population.members[1:]
            if each.level == "structure"
            and each.state in ("dropped", "set aside")
            and each.belief.mean > WORST
            and each.parent is parent
        ]

    async def propose(
        self, parent: Candidate[Program], focus: Focus, want: int, context: Simulated
    ) -> list[Proposal[Program]]:
        """The structure with a rewrite from its mistakes."""
        name = focus.option.title.removeprefix("tune ")
        structure = next(each for each in context.population.members if each.id == name).program
        return [_rewritten(structure, focus, context)]


@dataclass
class BornRewritten(Structures):
    """Every new structure is run on its first rows and then rewritten once, from its own mistakes, before it is compared.

    Args:
        besides: whether the structure as it is may be tried, too.
    """

    besides: bool = False

    def options(self, parent: Candidate[Program], context: Simulated) -> list[Option]:
        """Those of the catalogue, dearer by the rows and the rewrite."""
        plain = Structures.options(self, parent, context)
        tuned = [
            replace(
                each,
                key=f"{each.key}, rewritten",
                arm=Arm(kind=f"{each.arm.kind}, rewritten"),
                prior=Belief(each.prior.mean + 0.02, each.prior.spread),
                cost=each.cost + 1 + MISTAKES + FIRST * int(parent.program.cost + each.extra),
            )
            for each in plain
            if not each.title.startswith("-")
        ]
        return [*tuned, *(each for each in plain if self.besides or each.title.startswith("-"))]

    async def propose(
        self, parent: Candidate[Program], focus: Focus, want: int, context: Simulated
    ) -> list[Proposal[Program]]:
        """The structure, rewritten."""
        if not focus.option.key.endswith("rewritten"):
            return await Structures.propose(self, parent, focus, want, context)
        made = context.task.apply(parent.program, focus.option.title)
        context.pay(1 if made.structure - parent.program.structure == {"compute"} else 0)
        await context.run(made, context.population.missing(made, context.rows[:FIRST]), "train")
        return [_rewritten(made, focus, context)]


@dataclass
class BornRewrittenUnseen(Structures):
    """Every new structure is rewritten from the mistakes of its parent, before anybody ran it: that such a text fits it is assumed."""

    def options(self, parent: Candidate[Program], context: Simulated) -> list[Option]:
        """Those of the catalogue, dearer by the rewrite."""
        return [
            each if each.title.startswith("-") else replace(each, cost=each.cost + 1 + MISTAKES)
            for each in Structures.options(self, parent, context)
        ]

    async def propose(
        self, parent: Candidate[Program], focus: Focus, want: int, context: Simulated
    ) -> list[Proposal[Program]]:
        """The structure, rewritten."""
        made = context.task.apply(parent.program, focus.option.title)
        if focus.option.title.startswith("-"):
            return [Proposal(made, focus.option.title, "prior")]
        context.pay(focus.option.cost - 1 - MISTAKES)
        return [_rewritten(made, focus, context, parent.program)]


@dataclass
class BornShown(Structures):
    """Every new structure is born with demonstrations of its own, which cost no call."""

    async def propose(
        self, parent: Candidate[Program], focus: Focus, want: int, context: Simulated
    ) -> list[Proposal[Program]]:
        """The structure with a new set."""
        (made,) = await Structures.propose(self, parent, focus, want, context)
        if made.program is None or focus.option.title.startswith("-") or not parent.program.demonstrations.draw:
            return [made]
        program = context.task.demos(made.program, context.rng(f"born/{focus.option.key}"))
        return [Proposal(program, made.title, "prior")]


@dataclass(slots=True)
class Fixed(VoteWeight):
    """Votes are worth what they were at first, whatever is seen of them."""

    unused: int = field(default=0)

    def learn(self, *, better: bool) -> None:
        """Nothing."""


def _rewritten(program: Program, focus: Focus, context: Simulated, wrote: Program | None = None) -> Proposal[Program]:
    rng = context.rng(f"propose/{focus.option.key}/{focus.draw}")
    seen = context.population.outcomes(wrote or program)
    wrong = [row for row in context.rows if row in seen and not seen[row].score][:MISTAKES]
    context.pay(len(wrong) + 1)
    made = context.task.instruct(program, rng, [int(row) for row in wrong])
    return Proposal(made, focus.option.title, "meta", shown=tuple(wrong))


DESIGNED = {
    "ablation-of-what-is-left": Settings(closing=Ablation),
    "ablation-of-10-%": Settings(closing=partial(Ablation, ablated=0.1)),
    "ablation-of-20-%": Settings(closing=partial(Ablation, ablated=0.2)),
    "merge": Settings(more=(Merge,)),
    "merge-texts": Settings(more=(partial(Merge, ("parameters",)),)),
    "both": Settings(more=(Both,)),
    "rules": Settings(more=(RULES,)),
    "minor": Settings(more=MINOR),
    "all-arms": Settings(more=(RULES, *MINOR, Both)),
    "all-arms-believed-in-widely": Settings(more=(*(partial(each, **WIDE) for each in (RULES, *MINOR)), Both)),
    "rules-for-rewrites": Settings(more=(RULES,), texts=("demonstrate",)),
    "all-arms-for-rewrites": Settings(more=(RULES, *MINOR, Both), texts=("demonstrate",)),
    "library": Settings(more=(Library,)),
    "tuned-again": Settings(more=(Again,)),
    "born-rewritten": Settings(structures=BornRewritten),
    "born-rewritten-or-not": Settings(structures=partial(BornRewritten, besides=True)),
    "born-rewritten-unseen": Settings(structures=BornRewrittenUnseen),
    "born-shown": Settings(structures=BornShown),
    "plain-votes": Settings(voters=partial(Voters, contrast=False)),
    "without-other-parents": Settings(wanders=False),
    "without-learned-votes": Settings(weight=Fixed),
    "without-votes": Settings(voters=None),
}
"""Variants by name: with something that is designed, or without something that is there."""

Result = tuple[float, int]
"""Gain over the start in points, and model calls an example of what was found."""


@cache
def runs(settings: Settings, n: int, q: float, budget: int, seeds: int) -> list[Result]:
    """A variant on the tasks of the seeds from 0."""
    found: list[Result] = []
    for seed in range(seeds):
        task = Task(seed, n, q)
        program, _ = search(task, budget, seed, settings)
        found.append((100 * (program.p - task.start.p), program.cost))
    return found


def line(cell: tuple[str, int, float, int, int]) -> dict[str, Any]:
    """The line of a variant: what it gains and costs, and how much more than the search as it is."""
    name, n, q, budget, seeds = cell
    mine, plain = (runs(each, n, q, budget, seeds) for each in (DESIGNED[name], Settings()))
    more = [a - b for (a, _), (b, _) in zip(mine, plain, strict=True)]
    return dict(zip(CELL, cell, strict=True)) | {
        "gain": round(statistics.fmean(gain for gain, _ in mine), 2),
        "more": round(statistics.fmean(more), 2),
        "se": round(statistics.stdev(more) / seeds**0.5, 2),
        "worse": round(100 * sum(gain < -0.5 for gain, _ in mine) / seeds, 1),
        "cost": round(statistics.fmean(cost for _, cost in mine), 2),
        "cost_as_it_is": round(statistics.fmean(cost for _, cost in plain), 2),
    }


CELL = ("variant", "n", "q", "budget", "seeds")


def main(arguments: list[str] | None = None) -> None:
    """Compute what is missing, show what was asked for."""
    parser = argparse.ArgumentParser(
        prog="benchmarks/simulate/designed.py", description=(__doc__ or "").partition("\n\n")[0]
    )
    parser.add_argument("variants", nargs="?", default=",".join(DESIGNED), help=", ".join(DESIGNED).replace("%", "%%"))
    parser.add_argument("--n", type=int, default=40)
    parser.add_argument("--q", type=float, default=0.5)
    parser.add_argument("--budgets", default="200,500,1000")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.jsonl")
    asked = parser.parse_args(arguments)
    names, budgets = asked.variants.split(","), [int(each) for each in asked.budgets.split(",")]
    if unknown := [each for each in names if each not in DESIGNED]:
        parser.error(f"{', '.join(unknown)}: no such variant; there are {', '.join(DESIGNED)}")
    cells = [(name, asked.n, asked.q, budget, asked.seeds) for name, budget in product(names, budgets)]
    written = asked.out.read_text(encoding="utf-8").splitlines() if asked.out.exists() else []
    have = {tuple(each[key] for key in CELL): each for each in map(json.loads, written)}
    with asked.out.open("a", encoding="utf-8") as stream, ProcessPoolExecutor(asked.processes) as workers:
        for found in workers.map(line, [cell for cell in cells if cell not in have]):
            have[tuple(found[key] for key in CELL)] = found
            stream.write(json.dumps(found) + "\n")
            stream.flush()
    table = Table(box=None, pad_edge=False)
    shown = ("variant", "q", "budget", "gain", "more", "se", "worse", "cost", "cost_as_it_is")
    for name in shown:
        table.add_column(name, justify="left" if name == "variant" else "right", no_wrap=True)
    for cell in cells:
        table.add_row(*(f"{have[cell][name]}" for name in shown))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
