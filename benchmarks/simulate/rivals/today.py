"""The search of FlowBot 0.1.0: fixed rounds, races in blocks on the first training rows, the highest validation mean at the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from random import Random

from simulate.rivals.env import BudgetSpent, Env
from simulate.world import Program, Task

_BLOCK_ENDS_RACE = 0.2  # P(better) at which a race is lost
_KEPT = 0.8  # P(better) from which the winner of a race is kept
_BLAME = 3  # calls that find the step to blame


@dataclass(frozen=True)
class Effort:
    """How much is tried, as `--effort` set it."""

    rounds: int
    candidates: int  # structural changes raced a round
    inner_steps: int  # changes of texts tried a round
    block: int  # rows between two looks at a race
    race: int  # rows of a whole race
    ballots: int
    finalists: int


EFFORTS = {
    "low": Effort(1, 3, 1, 8, 16, 2, 2),
    "medium": Effort(2, 2, 2, 8, 24, 3, 2),
    "high": Effort(5, 3, 3, 10, 60, 3, 4),
}


@cache
def p_better(wins: int, losses: int) -> float:
    """P(better) of 0.1.0 on 0/1 scores: ties weigh nothing, and one pseudo-pair of half a point stands on each side."""
    rng = Random(1)
    total = 0.0
    draws = 1500
    for _ in range(draws):
        up = (rng.gammavariate(wins, 1) if wins else 0) + 0.5 * rng.expovariate(1)
        down = (rng.gammavariate(losses, 1) if losses else 0) + 0.5 * rng.expovariate(1)
        total += up > down
    return total / draws


class _Search:
    def __init__(self, task: Task, budget: int, seed: int, effort: Effort, by_chance: bool) -> None:
        self.task, self.effort, self.by_chance = task, effort, by_chance
        self.env = Env(task, budget, seed)
        self.likely_better: list[tuple[float, Program]] = []  # mean over the race, program
        self.tried: set[tuple[frozenset[str] | str, str]] = set()

    def run(self) -> tuple[Program, int]:
        env, task = self.env, self.task
        best, best_mean, held = task.start, -1.0, 0
        try:
            best_mean = env.mean(task.start, env.validation)
            held = self.held_for_finalists()
            env.budget -= held
            program = task.start
            for _ in range(self.effort.rounds):
                program = self.structural_round(program)
                for _ in range(self.effort.inner_steps):
                    program = self.inner_step(program)
        except BudgetSpent:
            pass
        env.budget += held
        ranked = sorted(self.likely_better, key=lambda each: -each[0])
        for program in list({each.hash: each for _, each in ranked}.values())[: self.effort.finalists]:
            try:
                mean = env.mean(program, env.validation)
            except BudgetSpent:
                continue
            if mean > best_mean:
                best, best_mean = program, mean
        return best, env.spent

    def held_for_finalists(self) -> int:
        """Calls put by for validating as many finalists as a third of what is left allows, one at least."""
        for finalists in range(self.effort.finalists, 0, -1):
            held = finalists * 2 * self.task.n
            if held <= self.env.left and not (finalists > 1 and held > self.env.left / 3):
                return held
        return 0

    def structural_round(self, program: Program) -> Program:
        env, task, structure = self.env, self.task, program.structure
        if 0 not in env.scores(program, env.training[: self.effort.race]):
            return program
        if program.cost > 1:
            env.pay(_BLAME)
        options = [k for k in task.kinds if k not in structure and (structure, k) not in self.tried]
        options += ["-" + k for k in sorted(structure) if (structure, "-" + k) not in self.tried]
        best, best_gain = program, 0.0
        for change in self.ranked(program, options)[: self.effort.candidates]:
            self.tried.add((structure, change))
            candidate = task.apply(program, change)
            if change == "compute":
                env.pay(1)  # the code is written
            kept, gain = self.race(candidate, program)
            if kept and gain > best_gain:
                best, best_gain = candidate, gain
        return best

    def ranked(self, program: Program, options: list[str]) -> list[str]:
        if not options:
            return []
        if self.by_chance:
            return self.env.rng.sample(options, min(len(options), self.effort.candidates))
        votes: Counter[str] = Counter()
        for _ in range(self.effort.ballots):
            self.env.pay(1)
            votes[self.task.ballot(program, options, self.env.rng)] += 1
        return sorted(options, key=lambda option: -votes[option])

    def inner_step(self, program: Program) -> Program:
        """Demonstrations if this program has not been tried with any, else a rewrite if it has not had one."""
        env = self.env
        rows = env.training[: self.effort.race]
        scores = env.scores(program, rows)
        if 0 not in scores:
            return program
        if program.cost > 1:
            env.pay(_BLAME)
        wrong = [i for i, score in zip(rows, scores, strict=True) if not score][:3]
        for operator in ("demonstrate", "instruct"):
            if (program.hash, operator) in self.tried:
                continue
            self.tried.add((program.hash, operator))
            if operator == "demonstrate":
                candidate = self.task.demos(program, env.rng)
            else:
                env.pay(len(wrong) * program.cost + 1)
                candidate = self.task.instruct(program, env.rng, wrong)
            return candidate if self.race(candidate, program)[0] else program
        return program

    def race(self, candidate: Program, incumbent: Program) -> tuple[bool, float]:
        """Whether the candidate is kept, and its mean gain over the rows run."""
        rows = self.env.training[: self.effort.race]
        end, p, mine, theirs = 0, 0.5, [0], [0]
        while end < len(rows) and p > _BLOCK_ENDS_RACE:
            end = min(end + self.effort.block, len(rows))
            theirs, mine = self.env.scores(incumbent, rows[:end]), self.env.scores(candidate, rows[:end])
            pairs = list(zip(mine, theirs, strict=True))
            p = p_better(sum(a > b for a, b in pairs), sum(a < b for a, b in pairs))
        mean = sum(mine) / len(mine)
        if p > 0.5:
            self.likely_better.append((mean, candidate))
        return p >= _KEPT, mean - sum(theirs) / len(theirs)


def today(task: Task, budget: int, seed: int, effort: str, by_chance: bool = False) -> tuple[Program, int]:
    """FlowBot 0.1.0 at this effort; by chance: structural changes drawn instead of voted for (`--outer random`)."""
    return _Search(task, budget, seed, EFFORTS[effort], by_chance).run()
