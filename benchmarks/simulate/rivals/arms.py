"""What the pool and successive halving share: arms to propose by, beliefs of a gain, the rows, what pays for its calls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from simulate.rivals.env import Env
from simulate.world import Phi, Program

SD = 0.12  # spread of true gains, in score, before anything is known
VARIANCE = 0.25  # of a paired difference, before anything is known
VOTE = 0.10  # score that all ballots together promise
BALLOTS = 2
CALL = 0.01  # score that a further call an example must bring
BLOCK = 6  # rows between two verdicts
FIRST = 16  # rows of the start that are run before anything is proposed
DRAWS = 8  # texts of each operator for one incumbent


class Belief(NamedTuple):
    """What is believed of a gain in score: normal."""

    mean: float
    sd: float

    @property
    def p_better(self) -> float:
        """The probability that the gain is above 0."""
        return Phi(self.mean / self.sd)

    def updated(self, mean: float, variance: float) -> Belief:
        """The posterior after an estimate of this mean and variance."""
        weight = self.sd * self.sd / (self.sd * self.sd + variance)
        return Belief(self.mean + weight * (mean - self.mean), self.sd * math.sqrt(1 - weight))


def shrunk_variance(differences: Sequence[float], prior: float, weight: float) -> float:
    """Variance of paired differences, shrunk to the prior's with the weight of that many pairs."""
    mean = sum(differences) / len(differences)
    return (sum((x - mean) ** 2 for x in differences) + weight * prior) / (len(differences) + weight)


def posterior(prior: Belief, differences: Sequence[int]) -> Belief:
    """The belief after these paired differences of scores."""
    n = len(differences)
    return prior.updated(sum(differences) / n, shrunk_variance(differences, VARIANCE, 4) / n) if n else prior


def worth_its_calls(gain: float, program: Program, rival: Program) -> bool:
    """Whether a gain pays for the further calls an example."""
    return gain > CALL * max(0, program.cost - rival.cost)


class Arm(NamedTuple):
    """A kind of proposal: "add" or "remove" a kind of structural change, "demos" or "instruct"."""

    operator: str
    kind: str = ""

    @property
    def change(self) -> str:
        """The structural change, as `Task.apply` takes it."""
        return f"-{self.kind}" if self.operator == "remove" else self.kind


def made(env: Env, incumbent: Program, arm: Arm, wrong: Sequence[int]) -> Program:
    """A candidate by this arm, its author paid; a rewrite is shown three of the wrong rows."""
    if arm.kind:
        if arm == ("add", "compute"):
            env.pay(1)  # the code is written
        return env.task.apply(incumbent, arm.change)
    if arm.operator == "demos":
        return env.task.demos(incumbent, env.rng)
    env.pay(len(wrong[:3]) + 1)
    return env.task.instruct(incumbent, env.rng, wrong[:3])


def both(env: Env) -> list[int]:
    """Training and validation in turn, so that both are used from the first block on."""
    return [i for pair in zip(env.training, env.validation, strict=True) for i in pair]


def mistakes(env: Env, program: Program, rows: Sequence[int]) -> list[int]:
    """The training rows of these that are wrong."""
    scores = env.task.rows(program)
    return [i for i in rows if i < env.task.n and not scores[i]]


def paired(mine: Sequence[int], theirs: Sequence[int]) -> list[int]:
    """Differences of scores on the same rows."""
    return [a - b for a, b in zip(mine, theirs, strict=True)]
