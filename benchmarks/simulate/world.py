"""A task with a planted truth: what every change to a workflow is worth, and what a critic says of it.

A task has a start of known accuracy, a catalogue of 6-10 structural changes, an instruction with headroom and demonstrations that
help or harm. Effects add up in probit units to m. Row i is right when m + e_i > 0, where e_i is standard normal and shared between
programs but for what each change adds: accuracy is exactly Phi(m), scores are fixed for (program, row), as at temperature 0 with a
store, and the scores of two programs correlate. The world is assumed: trust the order of methods in it, not the points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from random import Random
from statistics import NormalDist
from typing import NamedTuple

Phi = NormalDist().cdf
PhiInv = NormalDist().inv_cdf


class Kind(NamedTuple):
    """A kind of structural change: what it costs and how often it helps."""

    calls: int  # further model calls an example
    good: float  # probability that its effect is good
    low: float  # range of a good effect, in probits
    high: float
    harmful: float  # probability that its effect is harmful


KINDS = {
    "compute": Kind(0, 0.14, 0.5, 1.3, 0.45),
    "think": Kind(0, 0.16, 0.2, 0.9, 0.30),
    "answer": Kind(0, 0.05, 0.1, 0.4, 0.50),
    "review": Kind(1, 0.06, 0.1, 0.5, 0.40),
    "vote": Kind(2, 0.25, 0.08, 0.35, 0.05),
    "plan": Kind(1, 0.10, 0.2, 0.7, 0.35),
    "rewrite": Kind(1, 0.04, 0.1, 0.5, 0.45),
    "refine": Kind(3, 0.05, 0.2, 0.6, 0.30),
    "tool": Kind(1, 0.12, 0.4, 1.2, 0.30),
    "each": Kind(2, 0.07, 0.3, 1.0, 0.40),
    "apart": Kind(1, 0.06, 0.1, 0.5, 0.25),
    "use": Kind(1, 0.06, 0.3, 1.0, 0.40),
}

ADD = {k: (v.good * (v.low + v.high) / 2 - v.harmful * 0.35) * 0.35 for k, v in KINDS.items()}
"""Rough mean gain in score of adding a kind: the world's own base rates, as a shipped prior would have learned them."""
REMOVE = -0.03
"""The same of taking one away."""
BLIND = 0.15
"""How often a rewrite without any insight helps."""
_MENDED = 0.8  # probits that a rewrite adds on a row that it was written from


class Offer(NamedTuple):
    """A change of the structure that may be made.

    Args:
        change: as `Task.apply` takes it.
        kind, place: what is changed where; what is believed goes by the kind.
        calls: further model calls an example.
        believed: gain in score that is believed of it before a run.
        cost: model calls of making it.
        plain: whether it is made at no call where there is no meta model; else it is then not made.
    """

    change: str
    kind: str
    place: str = ""
    calls: int = 0
    believed: float = 0.0
    cost: int = 0
    plain: bool = False


@dataclass(frozen=True)
class World:
    """How a world bends the effects that a task is born with."""

    change: Callable[[float], float] = float  # effect of a structural change
    prompts: float = 1.0  # factor on the instruction's headroom and on the tuning gaps
    demonstrations: Callable[[float], float] = float  # mean effect of a set of demonstrations
    texts_matter: bool = True  # False: a new text reshuffles which rows are right and nothing else


WORLDS = {
    "base": World(),
    "flat": World(lambda _: 0.0, 0.0, lambda _: 0.0, texts_matter=False),  # nothing changes accuracy
    "null": World(lambda x: min(0.0, x), 0.0, lambda x: min(-0.15, -abs(x))),  # nothing helps, much harms
    "half": World(lambda x: 0.5 * x, 0.5, lambda x: 0.5 * x),
    "prompts": World(lambda x: min(0.0, x)),  # only instructions and demonstrations help
    "structure": World(prompts=0.0, demonstrations=lambda x: min(x, -0.1)),  # only structural changes help
}


class Text(NamedTuple):
    """An instruction or a set of demonstrations: which draw it is, its effect in probits, the rows it was written from and mends, and
    how much of what new steps lack it gives them, by change."""

    draw: int = 0
    effect: float = 0.0
    mends: tuple[int, ...] = ()
    tunes: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Program:
    """A workflow of a task: its structural changes, its texts, m, its accuracy in probits, and the model calls an example."""

    structure: frozenset[str]
    instruction: Text
    demonstrations: Text
    m: float
    cost: int

    @cached_property
    def hash(self) -> str:
        """The key of its scores."""
        return f"{'+'.join(sorted(self.structure))}/{self.instruction.draw}/{self.demonstrations.draw}"

    def dump(self) -> dict[str, object]:
        """It as data."""
        return {
            "structure": sorted(self.structure),
            "instruction": self.instruction.draw,
            "demonstrations": self.demonstrations.draw,
        }

    @cached_property
    def p(self) -> float:
        """True accuracy."""
        return Phi(self.m)


class Task:
    """A task: planted effects, the scores of every program, and a critic that is right with probability q.

    Rows 0..n-1 are training, n..2n-1 validation. Texts are numbered as they are written, so each run needs a task of its own.

    Args:
        seed: The task; the same seed is the same task, whatever n and q.
        n: Rows of training, and as many of validation.
        q: How often the critic names the best change, and how often a rewrite lands on the fault.
        world: A name in `WORLDS`.
    """

    def __init__(self, seed: int, n: int, q: float, world: str = "base") -> None:
        bent = WORLDS[world]
        r = Random(f"task/{seed}")
        theta = PhiInv(r.uniform(0.12, 0.75))
        self.kinds = r.sample(sorted(KINDS), r.randint(6, 10))
        self.effects: dict[str, float] = {}  # in probits, once the instruction is tuned to the change
        self.gaps: dict[str, float] = {}  # what of it only a better instruction opens
        self._spread: dict[str, float] = {}
        for kind in self.kinds:
            of = KINDS[kind]
            u = r.random()
            if u < of.good:
                effect = r.uniform(of.low, of.high)
            elif u < of.good + of.harmful:
                effect = -r.uniform(0.1, 0.9)
            else:
                effect = r.gauss(0, 0.07)
            self.effects[kind] = bent.change(effect)
            self._spread[kind] = r.uniform(0.3, 0.8)
            self.gaps[kind] = bent.prompts * r.uniform(0, 0.35)
        self._overlaps = {(a, b): r.uniform(0, 1) for a in self.kinds for b in self.kinds if a < b}
        self._common(seed, n, q, world, theta, r)

    def _common(self, seed: int, n: int, q: float, world: str, theta: float, r: Random) -> None:
        """What all tasks have: texts, rows, a start."""
        bent = WORLDS.get(world, WORLDS["base"])
        self.seed, self.n, self.q, self.world, self.theta = seed, n, q, world, theta
        self._head = bent.prompts * r.uniform(0, 0.45)
        self._demonstrations = bent.demonstrations(r.gauss(0.06, 0.25))
        self._texts_matter = bent.texts_matter
        self._draws = count(1)
        self._noises: dict[str, list[float]] = {}
        self._rows: dict[str, list[int]] = {}
        self.start = self.program(frozenset(), Text(), Text())

    def program(self, structure: frozenset[str], instruction: Text, demonstrations: Text) -> Program:
        """The program of these parts."""
        m = self.theta + self.structure_effect(structure) + instruction.effect + demonstrations.effect
        return Program(structure, instruction, demonstrations, m, 1 + sum(KINDS[kind].calls for kind in structure))

    def offers(self, program: Program) -> list[Offer]:
        """All structural changes that may be made of it."""
        return [
            Offer(f"-{kind}", f"-{kind}", "", -KINDS[kind].calls, REMOVE)
            if kind in program.structure
            else Offer(kind, kind, "", KINDS[kind].calls, ADD[kind], int(kind == "compute"))
            for kind in self.kinds
        ]

    def additions(self, program: Program) -> list[str]:
        """Those that take nothing back."""
        return [each.change for each in self.offers(program) if each.change[0] != "-"]

    def structure_effect(self, structure: frozenset[str]) -> float:
        """Probits that these changes are worth with the start's instruction; good ones overlap."""
        total = sum(self.effects[kind] - self.gaps[kind] for kind in sorted(structure))
        for (a, b), overlap in self._overlaps.items():
            if a in structure and b in structure and self.effects[a] > 0 and self.effects[b] > 0:
                total -= overlap * min(self.effects[a], self.effects[b])
        return total

    def headroom(self, structure: frozenset[str]) -> float:
        """Probits that a perfect instruction adds to this structure."""
        return self._head + sum(self.gaps[kind] for kind in sorted(structure))

    def rows(self, program: Program) -> list[int]:
        """The 0/1 scores of a program by row; the caller pays for those that it looks at."""
        if program.hash not in self._rows:
            parts = [(1.0, self._noise("b"))]
            parts += [(self.spread(kind), self._noise(kind)) for kind in sorted(program.structure)]
            if program.instruction.draw:
                parts.append((0.35, self._noise(f"i{program.instruction.draw}")))
            if program.demonstrations.draw:
                parts.append((0.45, self._noise(f"d{program.demonstrations.draw}")))
            scale = 1 / math.sqrt(sum(t * t for t, _ in parts))
            margins = [program.m + scale * sum(t * z[i] for t, z in parts) for i in range(2 * self.n)]
            for i in program.instruction.mends:
                margins[i] += _MENDED
            self._rows[program.hash] = [int(margin > 0) for margin in margins]
        return self._rows[program.hash]

    def spread(self, kind: str) -> float:
        """By how much a change reshuffles which rows are right."""
        return self._spread[kind]

    def _noise(self, label: str) -> list[float]:
        if label not in self._noises:
            r = Random(f"{self.seed}/{label}")
            self._noises[label] = [r.gauss(0, 1) for _ in range(2 * self.n)]
        return self._noises[label]

    def apply(self, program: Program, change: str) -> Program:
        """The program with a structural change: "kind" adds it, "-kind" takes it away."""
        structure = program.structure - {change[1:]} if change[0] == "-" else program.structure | {change}
        return self.program(structure, program.instruction, program.demonstrations)

    def best_change(self, program: Program) -> str | None:
        """The addition that is worth most, if one is worth more than 0.1 probits."""
        now = self.structure_effect(program.structure)
        gains = {
            kind: self.structure_effect(program.structure | {kind}) - now
            for kind in self.kinds
            if kind not in program.structure
        }
        best = max(gains, key=lambda kind: gains[kind], default=None)
        return best if best is not None and gains[best] > 0.1 else None

    def ballot(self, program: Program, options: Sequence[str], rng: Random) -> str:
        """The critic's vote: the best change with probability q, else its favourite for this structure or any option."""
        best = self.best_change(program)
        if best is not None and best in options and rng.random() < self.q:
            return best
        return self._guess(program, options, rng)

    def blind_ballot(self, program: Program, options: Sequence[str]) -> str:
        """What the critic names for a structure when it is shown no mistake."""
        return self._guess(program, options, Random(f"{self.seed}/blind/{sorted(program.structure)}"))

    def _guess(self, program: Program, options: Sequence[str], rng: Random) -> str:
        favourite = Random(f"{self.seed}/fav/{sorted(program.structure)}").choice(sorted(options))
        return favourite if rng.random() < 0.5 else rng.choice(sorted(options))

    def instruct(self, program: Program, rng: Random, shown: Sequence[int] = ()) -> Program:
        """The program with its instruction rewritten from the mistakes on the rows shown.

        Towards the headroom when the critic is right, else a random step of mean -0.12 probits; half of the rows shown are mended
        whatever it is worth elsewhere (overfitting).
        """
        draw, effect = next(self._draws), 0.0
        if self._texts_matter:
            now, headroom = program.instruction.effect, self.headroom(program.structure)
            if rng.random() < max(self.q, BLIND):
                effect = now + rng.uniform(0.3, 1) * max(0.0, headroom - now)
            else:
                effect = min(headroom, now + rng.gauss(-0.12, 0.2))
        mends = tuple(i for i in shown if rng.random() < 0.5)
        return self.program(program.structure, Text(draw, effect, mends), program.demonstrations)

    def reworded(self, program: Program, more: float) -> Program:
        """The program with a text that adds so many probits to what its instruction adds."""
        draw, effect = next(self._draws), program.instruction.effect + (more if self._texts_matter else 0.0)
        return self.program(program.structure, Text(draw, effect), program.demonstrations)

    def demos(self, program: Program, rng: Random) -> Program:
        """The program with a new set of demonstrations, good or bad about the task's and the structure's own mean."""
        draw, effect = next(self._draws), 0.0
        if self._texts_matter:
            of_structure = Random(f"{self.seed}/ds/{sorted(program.structure)}").gauss(0, 0.12)
            effect = rng.gauss(self._demonstrations + of_structure, 0.15)
        return self.program(program.structure, program.instruction, Text(draw, effect))
