"""The ways of a program in words as a flow graph: its loops, and whether it is structured enough to have some."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from flowbot.fields import is_name

from .core import CoreProgram, CoreStep, folded, reached
from .graph import free_name

END = "\n"
"""Begins what stands for the end of a round of a loop: alone another round, before a step's name the way out to it."""
Ways = Mapping[str, tuple[str, ...]]
"""By step the steps that it may go on to."""


@dataclass(frozen=True, slots=True)
class CoreLoop:
    """A natural loop.

    Args:
        header: the one step by which it is entered.
        body: all its steps, the header included.
    """

    header: str
    body: frozenset[str]


def loops_of(program: CoreProgram) -> list[CoreLoop] | None:
    """The natural loops of a program without a defect, the inner ones first; None where a circle can be entered in several places.

    A loop is what reaches the source of a back edge without passing its target, which dominates it (Allen 1970). Without the back edges
    no circle is left if and only if the graph is reducible.
    """
    ways = program.targets()
    above = dominators(ways, program.first.name)
    back = {(name, target) for name, targets in ways.items() for target in targets if target in above[name]}
    onward = {name: tuple(each for each in targets if (name, each) not in back) for name, targets in ways.items()}
    if any(name in reached(onward, targets) for name, targets in onward.items()):
        return None
    into: dict[str, list[str]] = {name: [] for name in ways}
    for name, targets in ways.items():
        for target in targets:
            into[target].append(name)
    found = list[CoreLoop]()
    for header in dict.fromkeys(target for name in ways for target in ways[name] if (name, target) in back):
        before = {name: [each for each in into[name] if name != header] for name in ways}
        found.append(CoreLoop(header, frozenset(reached(before, [*(n for n, t in back if t == header), header]))))
    return sorted(found, key=lambda loop: len(loop.body))


def dominators(ways: Ways, first: str) -> dict[str, set[str]]:
    """By step those that every way from the first to it passes, itself included. All are reached."""
    above = {name: set(ways) for name in ways} | {first: {first}}
    changed = True
    while changed:
        changed = False
        for name in ways:
            before = [above[each] for each, targets in ways.items() if name in targets]
            if name != first and (now := {name} | set[str].intersection(*before)) != above[name]:
                above[name], changed = now, True
    return above


def joins(ways: Ways) -> dict[str, str | None]:
    """By step of a graph without circles the first that every way from it passes; None where its ways have different ends.

    It is the nearest dominator of the graph with its ways turned round, which begins at an end of all ends, "".

    Args:
        ways: a target that has none of its own stands for an end.
    """
    back: dict[str, list[str]] = {"": []}
    for name, targets in ways.items():
        for target in targets or [""]:
            back.setdefault(target, []).append(name)
    back[""] += [target for target in back if target and target not in ways]
    above = dominators({each: tuple(back.get(each, ())) for each in {*back, *ways}}, "")
    return {name: max(above[name] - {name}, key=lambda each: len(above[each])) or None for name in ways}


class Way(NamedTuple):
    """A way on: what a branch calls it, and the texts of `next` by which it is taken."""

    label: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Level:
    """The steps of one loop, or of the program; a loop inside stands for all its steps, by its header.

    Args:
        ways: by step or loop the ways on from it, by target.
        meets: where all ways from it meet; None where they have ends of their own.
        inner: the loops inside, by header.
    """

    ways: Mapping[str, Mapping[str, Way]]
    meets: Mapping[str, str | None]
    inner: Mapping[str, CoreLoop]


class Structure:
    """What a reducible program is made of.

    Args:
        program: the program.
        loops: its loops.
    """

    def __init__(self, program: CoreProgram, loops: Sequence[CoreLoop]) -> None:
        self.steps, self.loops = program.by_name(), loops

    def level(self, loop: CoreLoop | None) -> Level:
        """The steps of a loop, or of the program."""
        members = frozenset(self.steps) if loop is None else loop.body
        within = [each for each in self.loops if each is not loop and each.body <= members]
        outer = [each for each in within if not any(each.body < other.body for other in within)]
        inner = {each.header: each for each in outer}
        hidden = frozenset[str]().union(*(each.body - {each.header} for each in outer))
        ways = {
            name: self.ways(self.steps[name], inner.get(name), loop) for name in self.steps if name in members - hidden
        }
        targets = {name: tuple(each) for name, each in ways.items()}
        return Level(ways, joins(targets), inner)

    def ways(self, step: CoreStep, inner: CoreLoop | None, loop: CoreLoop | None) -> dict[str, Way]:
        """The ways on from a step, or from a loop that it is the header of, within a loop around them."""
        own = [(key, self.value(step, key, target), target) for key, target in step.branches]
        left = [(target, value, target) for value, target in self.exits(inner)] if inner else own
        found: dict[str, Way] = {}
        labels: set[str] = set()
        for key, value, target in left:
            if loop is not None and (target == loop.header or target not in loop.body):
                target = END if target == loop.header else f"{END}{target}"
            if target not in found:
                label = free_name(name_of(key, "way"), labels)
                labels.add(label)
                found[target] = Way(label, ())
            found[target] = Way(found[target].label, (*found[target].values, value))
        return found

    def exits(self, loop: CoreLoop) -> list[tuple[str, str]]:
        """The ways out of a loop, each as the text of `next` that leads there, and the target. What decides is the last decision: from
        there on a way is a line of processes."""
        found = list[tuple[str, str]]()
        for step in (self.steps[name] for name in self.steps if name in loop.body):
            for key, target in step.branches if step.kind == "decision" else ():
                end = target
                while end in loop.body and end != loop.header and self.steps[end].kind == "process":
                    end = self.steps[end].branches[0][1]
                if end not in loop.body:
                    found.append((self.value(step, key, target), end))
        return found

    def value(self, step: CoreStep, key: str, target: str) -> str:
        """What `next` says of a branch; in a loop with its target, so that of several decisions it tells which was meant."""
        return f"{key} → {target}" if any(step.name in loop.body for loop in self.loops) else key

    def round(self, loop: CoreLoop) -> int:
        """Steps of the shortest round of a loop."""
        targets = {name: {target for _, target in self.steps[name].branches} & loop.body for name in loop.body}
        here, steps = targets[loop.header], 1
        while loop.header not in here:
            here, steps = {target for each in here for target in targets[each]}, steps + 1
        return steps


def name_of(text: str, otherwise: str) -> str:
    """A step's name or a key as the name of a node or way."""
    name = re.sub(r"[^a-z0-9]+", "_", folded(text)).strip("_")[:40]
    return name if is_name(name) else f"{otherwise}_{name}".rstrip("_")
