"""A world in which a task needs a structure: verify, vote, decompose, retrieve twice, compute, loop until right; some need two of them
in order, some none.

What may be changed is what the product's own catalogue offers on a workflow of one call or of three, and on the steps that its changes
add. Most of it does nothing or harms; what is needed brings 10 to 40 points, a part of it at once and the rest when the new step is
tuned. Accuracies, rows and pairs are as in `world`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from random import Random
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

from flowbot import task as tasks
from flowbot.optimizer.catalogue.change import NO_CHOICE
from flowbot.optimizer.population import Population
from flowbot.optimizer.structure.catalogue_changes import CatalogueChanges, stand_in
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.calls import usual_calls
from flowbot.workflow.edits.applying import applied
from flowbot.workflow.workflow import Workflow
from simulate.world import BLIND, REMOVE, Offer, Phi, PhiInv, Program, Task, Text

NEEDS = {
    "verify": ("verify",),
    "vote": ("vote",),
    "decompose": ("plan",),
    "retrieve twice": ("tool", "tool"),
    "extract": ("quote",),
    "loop until right": ("refine",),
}
"""What a task may need, and the kinds of changes of the catalogue that bring it, in order; the second one is about the new step."""
HOW_MANY = (0, 1, 2), (0.2, 0.45, 0.35)
"""Of them a task needs so many, so often."""
GAIN = 0.10, 0.40
FIRST_HALF = 0.0, 0.3
"""Of what retrieving twice brings, retrieving once brings that share."""
BORN = 0.2, 0.8
"""Of what is needed, that share shows before the new step is tuned."""
HARMFUL = 0.4
"""So often what is not needed harms; what takes away a step of the start more often."""
TUNED = 0.5
"""So often worked examples tune a new step."""
HIGHEST = 0.95
"""Accuracy with all that is needed."""


class Place(NamedTuple):
    """A step of the start, or one of those that a change adds: the changes that are offered about it."""

    name: str
    offers: tuple[Offer, ...]


class Shape(NamedTuple):
    """A start: its model calls an example, its steps, and for each kind of change what is offered about each step that it adds."""

    calls: int
    places: tuple[Place, ...]
    added: Mapping[str, tuple[tuple[Offer, ...], ...]]


@cache
def shape(steps: int) -> Shape:
    """A line of so many calls, as the product's catalogue sees it."""
    start, last = start_of(steps)
    here = offered(start)
    added: dict[str, tuple[tuple[Offer, ...], ...]] = {}
    for kind, after in changed(start, last).items():
        new = {path: offers for path, offers in offered(after).items() if path not in here}
        added[kind] = tuple(offers for offers in new.values() if any(each.kind == "vote" for each in offers))
    return Shape(
        max(1, int(usual_calls(start.workflow))), tuple(Place(name, offers) for name, offers in here.items()), added
    )


def start_of(steps: int) -> tuple[WorkflowProgram, str]:
    """The product's workflow of so many calls, each of which reads and writes text, and the name of the last."""
    nodes: dict[str, Any] = {}
    last = ""
    for number in range(1, steps + 1):
        reads = {"question": "question"} | ({"before": f"{last}.y"} if last else {})
        last = f"s{number}"
        nodes[last] = {"kind": "llm", "in": reads, "out": {"y": "str"}}
    data = {"flowbot": 1, "inputs": {"question": "str"}, "outputs": {"answer": f"{last}.y"}, "nodes": nodes}
    told = {name: {"instruction": "Answer."} for name in nodes}
    return WorkflowProgram(Workflow.from_data(data | {"parameters": told})), last


def _lookup(query: str) -> str:
    """What is known of it."""
    return query


def _not_run(program: WorkflowProgram, rows: Iterable[str]) -> Sequence[Row]:
    """No row was."""
    return ()


_ROW = {"question": "long " * 200, "answer": "!"}
_TASK = tasks.Task(
    goal="Answer.",
    inputs={"question": "str"},
    outputs={"answer": "str"},
    metric="exact",
    tools=[_lookup],
    **{split: [_ROW | {"question": _ROW["question"] + split}] for split in ("train", "val", "test")},  # pyright: ignore[reportArgumentType]
)


def offered(program: WorkflowProgram) -> dict[str, tuple[Offer, ...]]:
    """The options that the product's catalogue has for it, by step; a tool is at hand, and a sandbox."""
    population = Population(program)
    context = SimpleNamespace(
        task=_TASK, can_compute=True, signatures=_TASK.signatures, models=NO_CHOICE, training=(), recorded=_not_run,
        population=population,
    )  # fmt: skip
    found: dict[str, list[Offer]] = {}
    unasked = CatalogueChanges(asks=False).options(population.start, cast("Any", context))
    plain = {each.arm for each in unasked}
    for each in CatalogueChanges().options(population.start, cast("Any", context)):
        place, kind = each.arm.place, each.arm.kind
        of_place = found.setdefault(place, [])
        same = sum(offer.kind == kind for offer in of_place)
        change, calls = f"{kind}{same or ''}@{place}", round(each.extra)
        of_place.append(Offer(change, kind, place, calls, each.prior.mean, min(1, each.cost), plain=each.arm in plain))
    return {place: tuple(offers) for place, offers in found.items()}


def changed(program: WorkflowProgram, place: str) -> dict[str, WorkflowProgram]:
    """What the catalogue's changes about a step make of a workflow, by kind."""
    changes = CatalogueChanges().catalogue.changes(program.workflow, _TASK)
    return {
        each.kind: WorkflowProgram(applied(program.workflow, each.build(stand_in(each)), tools=_TASK.signatures).after)
        for each in changes
        if each.place == place and each.kind != "remove"
    }


class Structured(Task):
    """A task that needs a structure. Arguments as of `Task`; q is also how often a critic, and a writer of edits, names what is needed."""

    def __init__(self, seed: int, n: int, q: float, world: str = "structures") -> None:
        r = Random(f"structures/{seed}")
        self.shape = shape(r.choice((1, 3)))
        self.needs = r.sample(sorted(NEEDS), r.choices(*HOW_MANY)[0])
        accuracy = r.uniform(0.10, 0.55 if len(self.needs) < 2 else 0.45)
        self.needed: dict[
            str, float
        ] = {}  # changes in the order in which they are needed, and what they add in probits
        self._open: dict[str, float] = {}  # of it only tuning brings that much
        self._reshuffled: dict[str, float] = {}
        self._others: dict[str, tuple[float, float]] = {}
        self._offers: dict[frozenset[str], list[Offer]] = {}
        gains = [r.uniform(*GAIN) for _ in self.needs]
        most = min(1.0, (HIGHEST - accuracy) / sum(gains)) if gains else 1.0
        now = accuracy
        for need, gain in zip(self.needs, gains, strict=True):
            for change, share in self._changes(need, r):
                then = now + share * gain * most
                self.needed[change] = PhiInv(then) - PhiInv(now)
                self._open[change] = (1 - r.uniform(*BORN)) * self.needed[change]
                now = then
        self._common(seed, n, q, world, PhiInv(accuracy), r)

    def _changes(self, need: str, r: Random) -> list[tuple[str, float]]:
        """Changes that bring what is needed, each with its share of the gain."""
        kinds = NEEDS[need]
        at = [each for place in self.shape.places for each in place.offers if each.kind == kinds[0]]
        first = r.choice([each.change for each in at if each.change not in self.needed])
        if len(kinds) == 1:
            return [(first, 1.0)]
        share = r.uniform(*FIRST_HALF)
        new = _places(self.shape, first)[0]
        return [(first, share), (next(each.change for each in new.offers if each.kind == kinds[1]), 1 - share)]

    def offers(self, program: Program) -> list[Offer]:
        """About each step that is there; what was changed may be taken back, unless something was changed about what it added."""
        structure = program.structure
        if structure not in self._offers:
            places = [each for each in self.shape.places if f"remove@{each.name}" not in structure]
            found: list[Offer] = []
            while places:
                here = places.pop(0)
                for each in here.offers:
                    if each.change not in structure:
                        found.append(each)
                        continue
                    new = _places(self.shape, each.change)
                    places += new
                    if not any(more.change in structure for place in new for more in place.offers):
                        found.append(Offer(f"-{each.change}", "remove", each.place, -each.calls, REMOVE))
            self._offers[structure] = found
        return self._offers[structure]

    def program(self, structure: frozenset[str], instruction: Text, demonstrations: Text) -> Program:
        """As of `Task`; what new steps lack is made up for by the better of both texts."""
        tuned = _tuned(instruction, demonstrations)
        lacking = sum(self._gap(change, structure) * (1 - tuned.get(change, 0)) for change in sorted(structure))
        m = self.theta + self.structure_effect(structure) + instruction.effect + demonstrations.effect - lacking
        calls = self.shape.calls + sum(_calls(self.shape, change) for change in structure)
        return Program(structure, instruction, demonstrations, m, calls)

    def structure_effect(self, structure: frozenset[str]) -> float:
        """Probits that these changes add where all steps are tuned; what is needed does little before what is needed first is there."""
        active = self._active(structure)
        return sum(self.needed[change] if change in active else self._other(change)[0] for change in sorted(structure))

    def headroom(self, structure: frozenset[str]) -> float:
        """Probits that a perfect instruction adds, beside what it tunes."""
        return self._head

    def _active(self, structure: frozenset[str]) -> list[str]:
        """What is needed and there, as far as all that is needed before is."""
        there = [change in structure for change in self.needed]
        first = there.index(False) if False in there else len(there)
        return list(self.needed)[:first]

    def _gap(self, change: str, structure: frozenset[str]) -> float:
        return self._open[change] if change in self._active(structure) else self._other(change)[1]

    def _other(self, change: str) -> tuple[float, float]:
        """Effect of what is not needed, and what of it a tuned step would lose less."""
        if change not in self._others:
            r = Random(f"{self.seed}/other/{change}")
            removes = change.startswith("remove")
            harms = change not in self.needed and r.random() < (0.6 if removes else HARMFUL)
            effect = -r.uniform(0.1, 0.9) if harms else r.gauss(0, 0.05)
            self._others[change] = effect, 0.0 if removes else r.uniform(0, 0.2)
        return self._others[change]

    def spread(self, kind: str) -> float:
        """As of `Task`."""
        if kind not in self._reshuffled:
            self._reshuffled[kind] = Random(f"{self.seed}/spread/{kind}").uniform(0.3, 0.8)
        return self._reshuffled[kind]

    def best_change(self, program: Program) -> str | None:
        """What is needed next."""
        offered = self.additions(program)
        return next((each for each in self.needed if each not in program.structure and each in offered), None)

    def _gaps(self, program: Program) -> dict[str, float]:
        """What each new step still lacks."""
        tuned = _tuned(program.instruction, program.demonstrations)
        gaps = {each: self._gap(each, program.structure) * (1 - tuned.get(each, 0)) for each in program.structure}
        return {change: gap for change, gap in sorted(gaps.items()) if gap > 0}

    def instruct(self, program: Program, rng: Random, shown: Sequence[int] = ()) -> Program:
        """As of `Task`: a rewrite that lands on a fault does so on the gravest, a new step that lacks most or the instruction."""
        draw, old = next(self._draws), program.instruction
        effect, tunes, gaps = old.effect, dict(old.tunes), self._gaps(program)
        worst, left = max(gaps, key=lambda change: gaps[change], default=""), max(0.0, self._head - effect)
        if rng.random() >= max(self.q, BLIND):
            effect = min(self._head, effect + rng.gauss(-0.12, 0.2))
        elif worst and gaps[worst] > left:
            tunes[worst] = max(tunes.get(worst, 0.0), rng.uniform(0.5, 1))
        else:
            effect += rng.uniform(0.3, 1) * left
        mends = tuple(i for i in shown if rng.random() < 0.5)
        return self.program(program.structure, Text(draw, effect, mends, tuple(tunes.items())), program.demonstrations)

    def reworded(self, program: Program, more: float) -> Program:
        """As of `Task`."""
        made = super().reworded(program, more)
        text = made.instruction._replace(tunes=program.instruction.tunes)
        return self.program(made.structure, text, made.demonstrations)

    def demos(self, program: Program, rng: Random) -> Program:
        """As of `Task`; they tune each new step half of the time, whatever a meta model knows."""
        made = super().demos(program, rng)
        tunes = tuple((each, rng.uniform(0.5, 1)) for each in self._gaps(made) if rng.random() < TUNED)
        return self.program(made.structure, made.instruction, made.demonstrations._replace(tunes=tunes))


def planted(seed: int, n: int, q: float, world: str = "base") -> Task:
    """The task of a seed in a world."""
    return Structured(seed, n, q) if world == "structures" else Task(seed, n, q, world)


def catalogue_size(steps: int) -> int:
    """Changes that the catalogue offers on a start of so many calls."""
    return sum(len(place.offers) for place in shape(steps).places)


def accuracy_of_all(task: Structured) -> float:
    """With all that is needed, tuned, and nothing else."""
    return Phi(task.theta + sum(task.needed.values()))


@cache
def _places_of(steps: int, change: str) -> tuple[Place, ...]:
    kind, _, place = change.partition("@")
    names = [f"{place}.{kind}{number or ''}" for number in range(len(shape(steps).added.get(kind, ())))]
    return tuple(
        Place(name, tuple(_at(each, name) for each in offers if each.kind != "remove"))
        for name, offers in zip(names, shape(steps).added.get(kind, ()), strict=True)
    )


def _at(offer: Offer, place: str) -> Offer:
    return offer._replace(change=f"{offer.change.partition('@')[0]}@{place}", place=place)


def _places(of: Shape, change: str) -> tuple[Place, ...]:
    """The steps that a change adds."""
    return _places_of(len(of.places), change)


@cache
def _calls_of(steps: int, change: str) -> int:
    kind = change.partition("@")[0]
    every = [each for place in shape(steps).places for each in place.offers]
    every += [each for places in shape(steps).added.values() for offers in places for each in offers]
    return next(each.calls for each in every if each.change.partition("@")[0] == kind)


def _calls(of: Shape, change: str) -> int:
    return _calls_of(len(of.places), change)


def _tuned(*texts: Text) -> dict[str, float]:
    found: dict[str, float] = {}
    for text in texts:
        for change, share in text.tunes:
            found[change] = max(share, found.get(change, 0.0))
    return found
