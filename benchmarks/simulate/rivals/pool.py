"""The pool that is to replace today's search, in its first synchronous form.

A few challengers of the incumbent are open at once. Which kind of change is proposed next is Thompson sampling over arms, whose
beliefs come from priors, votes and what the run has learned; which challenger runs on the next rows is Thompson sampling over
posteriors of their gain. They are adopted or dropped by P(better).
"""

from __future__ import annotations

import math
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from simulate.rivals.arms import (
    BALLOTS,
    BLOCK,
    CALL,
    DRAWS,
    FIRST,
    SD,
    VARIANCE,
    VOTE,
    Arm,
    Belief,
    both,
    made,
    mistakes,
    paired,
    posterior,
    shrunk_variance,
    worth_its_calls,
)
from simulate.rivals.env import BudgetSpent, Env
from simulate.world import ADD, KINDS, REMOVE, Program, Task

_OPEN = 5  # challengers at once
_DROP = 0.30  # P(better) at which a challenger is dropped
_CARRIED = 0.8, 0.05  # a challenger's belief on the next incumbent: factor on the mean, sd added
_DEMOS, _INSTRUCT = 0.03, 0.02  # shipped mean gains of a new text


@dataclass(eq=False)
class Challenger:
    """A candidate and its paired differences to the incumbent that it was born from, in the order of the rows."""

    program: Program
    parent: Program
    arm: Arm
    prior: Belief
    differences: list[int] = field(default_factory=list)
    parent_scores: list[int] = field(default_factory=list)
    closed: bool = False
    out_of_rows: bool = False


@dataclass(frozen=True)
class Settings:
    """A variant of the pool."""

    adopt: float = 0.90  # P(better) that is enough after two blocks
    final: float = 0.80  # P(better) that is enough when rows or calls end
    learned_spread: bool = False  # the spread of true gains is learned, empirical Bayes
    strata: bool = False  # estimates are post-stratified by "parent right" and "parent wrong"
    gate: float = 0.0  # P(better than the start) asked for on validation, which the search then never sees; 0: no gate


VARIANTS = {
    "pool": Settings(),
    "pool-safe": Settings(adopt=0.95, final=0.90),
    "final-open": Settings(adopt=0.95, final=0.90, learned_spread=True, strata=True),
    "final-gate": Settings(learned_spread=True, strata=True, gate=0.80),
}


class _Pool:
    def __init__(self, task: Task, budget: int, seed: int, settings: Settings) -> None:
        self.task, self.settings = task, settings
        self.env = Env(task, budget, seed)
        self.rows = self.env.training if settings.gate else both(self.env)
        self.incumbent = task.start
        self.challengers: list[Challenger] = []  # the open ones
        self.born: list[Challenger] = []
        self.adopted: list[Challenger] = []
        self.learned: dict[Arm, list[float]] = {}
        self.carried: dict[Arm, Belief] = {}
        self.tried: set[tuple[frozenset[str], str]] = set()
        self.votes: dict[str, Counter[str]] = {}  # by incumbent
        self.draws: Counter[tuple[str, str]] = Counter()  # texts tried, by incumbent and operator

    def run(self) -> tuple[Program, int]:
        env, budget = self.env, self.env.budget
        if self.settings.gate:
            env.budget = max(0, budget - min(int(2.5 * self.task.n), int(budget * 0.25)))
        with suppress(BudgetSpent):
            self.search()
        self.adopt_unfinished()
        env.budget = budget
        if self.settings.gate and self.incumbent is not self.task.start and not self.passes_gate():
            self.incumbent = self.task.start
        return self.incumbent, env.spent

    def search(self) -> None:
        self.env.scores(self.incumbent, self.rows[:FIRST])
        right = self.task.rows(self.incumbent)
        if all(right[i] for i in self.rows):
            return
        while True:
            while len(self.challengers) < _OPEN and (born := self.propose()):
                self.challengers.append(born)
                self.born.append(born)
            if not self.challengers:
                return
            unfinished = [each for each in self.challengers if not each.out_of_rows]
            if unfinished:
                self.extend(max(unfinished, key=self.drawn_gain))
            self.decide()

    # ---- what is proposed ----

    def propose(self) -> Challenger | None:
        """A challenger by the arm of the highest draw, if any arm is left."""
        beliefs = self.beliefs()
        if not beliefs:
            return None
        arm = max(beliefs, key=lambda arm: self.env.rng.gauss(*beliefs[arm]))
        mean, sd = beliefs[arm]
        if arm.kind:
            self.tried.add((self.incumbent.structure, arm.change))
        else:
            self.draws[self.incumbent.hash, arm.operator] += 1
        seen = self.env.seen(self.incumbent)
        wrong = [i for i in mistakes(self.env, self.incumbent, self.rows[:FIRST]) if i in seen]
        program = made(self.env, self.incumbent, arm, wrong)
        return Challenger(program, self.incumbent, arm, Belief(mean, max(sd, 0.06)))

    def beliefs(self) -> dict[Arm, Belief]:
        """The arms that may be tried on the incumbent, and what is believed of them."""
        structure = self.incumbent.structure
        options = [k for k in self.task.kinds if k not in structure and (structure, k) not in self.tried]
        if options and self.incumbent.hash not in self.votes:
            votes = self.votes[self.incumbent.hash] = Counter()
            for _ in range(BALLOTS):
                self.env.pay(1)
                votes[self.task.ballot(self.incumbent, options, self.env.rng)] += 1
        votes = self.votes.get(self.incumbent.hash, Counter())
        beliefs: dict[Arm, Belief] = {}
        for kind in options:
            mean, sd = self.carried.get(Arm("add", kind)) or self.prior(Arm("add", kind), ADD[kind])
            vote = VOTE * votes[kind] / BALLOTS
            beliefs[Arm("add", kind)] = Belief(mean + vote - CALL * KINDS[kind].calls, sd)
        for kind in sorted(structure):
            if (structure, f"-{kind}") not in self.tried:
                mean, sd = self.prior(Arm("remove", kind), REMOVE)
                beliefs[Arm("remove", kind)] = Belief(mean + CALL * KINDS[kind].calls, sd)
        for operator, mean in (("demos", _DEMOS), ("instruct", _INSTRUCT)):
            if self.draws[self.incumbent.hash, operator] < DRAWS:
                beliefs[Arm(operator)] = self.prior(Arm(operator), mean)
        return beliefs

    def prior(self, arm: Arm, mean: float) -> Belief:
        """The shipped mean, with the weight of two gains, and the gains that this run saw of the arm."""
        gains = self.learned.get(arm, [])
        n = len(gains)
        return Belief((mean * 2 + sum(gains)) / (2 + n), SD / math.sqrt(1 + n / 2))

    # ---- who runs on the next rows, and what is decided ----

    def drawn_gain(self, each: Challenger) -> float:
        """A draw from the posterior; who has not run at all goes first."""
        return self.env.rng.gauss(*self.belief(each)) + (not each.differences)

    def extend(self, each: Challenger) -> None:
        """Run a challenger and its parent on the next block; rows shown to its author are left out."""
        rows = [i for i in self.rows if i not in each.program.instruction.mends]
        block = rows[len(each.differences) : len(each.differences) + BLOCK]
        theirs = self.env.scores(each.parent, block)
        mine = self.env.scores(each.program, block)
        each.differences += paired(mine, theirs)
        each.parent_scores += theirs
        each.out_of_rows = len(each.differences) >= len(rows)

    def decide(self) -> None:
        """Adopt the first challenger that is good enough, and start anew from it, or drop those that are not."""
        settings = self.settings
        for each in self.challengers:
            if not each.differences:
                continue
            belief = self.belief(each)
            p = belief.p_better
            enough = (p >= settings.adopt and len(each.differences) >= 2 * BLOCK) or (
                each.out_of_rows and p >= settings.final
            )
            if enough and worth_its_calls(belief.mean, each.program, self.incumbent):
                self.learned.setdefault(each.arm, []).append(belief.mean)
                self.adopt(each)
                return
            if p <= _DROP or each.out_of_rows:
                self.learned.setdefault(each.arm, []).append(belief.mean)
                each.closed = True
        self.challengers = [each for each in self.challengers if not each.closed]

    def adopt(self, winner: Challenger) -> None:
        """The winner is the incumbent; what is known of the others' changes is their arms' prior on it."""
        factor, added = _CARRIED
        for each in self.challengers:
            if each is not winner and each.differences and each.arm.operator == "add":
                mean, sd = posterior(each.prior, each.differences)
                self.carried[each.arm] = Belief(factor * mean, math.sqrt(sd * sd + added**2))
        self.incumbent, self.challengers = winner.program, []
        self.adopted.append(winner)

    def adopt_unfinished(self) -> None:
        """When calls end, the likeliest open challenger is taken if it is good enough."""
        started = [each for each in self.challengers if each.differences]
        if started:
            best = max(started, key=lambda each: self.belief(each).mean)
            belief = self.belief(best)
            if belief.p_better >= self.settings.final and worth_its_calls(belief.mean, best.program, self.incumbent):
                self.incumbent = best.program

    # ---- what is believed of a challenger ----

    def belief(self, each: Challenger) -> Belief:
        factor = min(1.0, self.spread() / SD)
        prior = Belief(each.prior.mean * factor, max(0.025, each.prior.sd * factor))
        stratified = self.stratified(each) if self.settings.strata else None
        return prior.updated(*stratified) if stratified else posterior(prior, each.differences)

    def spread(self) -> float:
        """Standard deviation of true gains by the challengers so far, `SD` with the weight of four of them."""
        if not self.settings.learned_spread:
            return SD
        total, weight = 4 * SD * SD, 4.0
        for each in self.born:
            n = len(each.differences)
            if n >= 2 * BLOCK or each.closed:
                mean = sum(each.differences) / n
                if mean > 0:
                    total += mean * mean - shrunk_variance(each.differences, VARIANCE, 4) / n
                weight += 1 if mean > 0 else 0.5
        return max(0.025, math.sqrt(max(0.0, total) / weight))

    def stratified(self, each: Challenger) -> tuple[float, float] | None:
        """Mean and variance of the gain, post-stratified with the shares of all rows that the parent ran on; None with too few."""
        seen = self.env.seen(each.parent)
        pairs = list(zip(each.differences, each.parent_scores, strict=True))
        right, wrong = [d for d, score in pairs if score], [d for d, score in pairs if not score]
        if len(right) < 2 or len(wrong) < 2 or len(seen) <= len(pairs):
            return None
        scores = self.task.rows(each.parent)
        share = sum(scores[i] for i in seen) / len(seen)
        mean = variance = 0.0
        for stratum, weight in ((right, share), (wrong, 1 - share)):
            n = len(stratum)
            mean += weight * (sum(stratum) / n)
            variance += weight * weight * shrunk_variance(stratum, 0.2, 2) / n
        return mean, variance

    def passes_gate(self) -> bool:
        """Whether validation confirms the incumbent against the start, in blocks of 10 until it is clear either way.

        The prior's mean is half of the gains that the search believes in.
        """
        env, start = self.env, self.task.start
        belief = prior = Belief(0.5 * sum(self.belief(each).mean for each in self.adopted), SD)
        differences: list[int] = []
        try:
            for begin in range(0, self.task.n, 10):
                block = env.validation[begin : begin + 10]
                mine = env.scores(self.incumbent, block)
                differences += paired(mine, env.scores(start, block))
                belief = posterior(prior, differences)
                if not 0.05 < belief.p_better < 0.97:
                    break
        except BudgetSpent:
            pass
        return belief.p_better >= self.settings.gate and belief.mean >= CALL * max(0, self.incumbent.cost - start.cost)


def pool(task: Task, budget: int, seed: int, settings: Settings) -> tuple[Program, int]:
    """A variant of the pool."""
    return _Pool(task, budget, seed, settings).run()
