"""The wiring of a body as a graph: what a reference names, who reads whom, and in which order.

A reference is `node.output` or the name of an input. What a `loop` or `map` reads from outside its body counts as read by the node.
Orders follow the sketch, never a set or a clock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from heapq import heappop, heappush
from itertools import chain, count

from flowbot.fields import UserError

from .nodes import BodyNode, HasNodes, Sketch, walk

MOST_CIRCLES = 200
"""Circles that are looked for at once."""


def split_reference(reference: str) -> tuple[str | None, str]:
    """The node and the output that a reference names; the node is None for an input of the workflow."""
    node, dot, output = reference.partition(".")
    return (node, output) if dot else (None, reference)


def predecessors(holder: HasNodes, node: str) -> tuple[str, ...]:
    """The nodes of the same body that `node` waits for, each once: the branch of its `when`, then those that it reads."""
    nodes = holder.nodes
    waiting = nodes[node]
    read = waiting.references()
    found: dict[str, None] = {}
    for reference in (waiting.when, *read) if waiting.when else read:
        name, dot, _ = reference.partition(".")
        if dot and name in nodes:
            found[name] = None
    return tuple(found)


def successors(holder: HasNodes, node: str) -> tuple[str, ...]:
    """The nodes that wait for `node`, in sketch order. Skip connections (`feedback_from`) are not counted."""
    return tuple(other for other in holder.nodes if node in predecessors(holder, other))


def topological(holder: HasNodes) -> tuple[str, ...]:
    """All nodes of a body, each after those that it waits for; among those that could come next, sketch order decides.

    A node also comes before the nodes named in its `feedback_from`, so that the reverse of this order is that
    of the backward pass.

    Raises:
        UserError: if nodes read each other in a circle.
    """
    ordered, circles = _sorted(_before(holder), 1)
    if circles:
        raise UserError("workflow", f"a circle: {' → '.join(circles[0])}", "nodes that do not read each other")
    return ordered


def paths(holder: HasNodes, path: str = "") -> Iterator[str]:
    """The paths of all nodes, bodies included, each body in the order of `topological` and after the node that has it.

    Raises:
        UserError: if nodes read each other in a circle.
    """
    for name in topological(holder):
        node = holder.nodes[name]
        yield f"{path}{name}"
        if isinstance(node, BodyNode):
            yield from paths(node, f"{path}{name}/")


def cycles(holder: HasNodes) -> list[tuple[str, ...]]:
    """Circles in the wiring, skip connections included: each a path that ends where it starts. No node is in two.

    Of more than `MOST_CIRCLES` the rest is not looked for.
    """
    return _sorted(_before(holder), MOST_CIRCLES)[1]


def unused(holder: HasNodes) -> tuple[str, ...]:
    """Nodes of a body on which nothing that leaves it depends, in sketch order."""
    used: set[str] = set()
    waiting = [split_reference(reference)[0] for reference in holder.ends()]
    while waiting:
        name = waiting.pop()
        if name is not None and name in holder.nodes and name not in used:
            used.add(name)
            waiting.extend(predecessors(holder, name))
    return tuple(name for name in holder.nodes if name not in used)


def _before(holder: HasNodes) -> dict[str, dict[str, None]]:
    """For each node the nodes that must come before it, in order."""
    before = {name: dict.fromkeys(predecessors(holder, name)) for name in holder.nodes}
    for name, node in holder.nodes.items():
        for later in node.feedback_from:
            if later in before:
                before[later][name] = None
    return before


def _sorted(before: Mapping[str, Mapping[str, None]], most: int) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The order and the circles. What a circle holds is ordered as if it waited for nothing, so each is found once; after
    `most` of them the rest is left alone."""
    names = list(before)
    if _in_order(before):
        return tuple(names), []
    rank = {name: place for place, name in enumerate(names)}
    after: dict[str, list[str]] = {name: [] for name in names}
    for name, waited in before.items():
        for other in waited:
            after[other].append(name)
    waiting_for = {name: len(waited) for name, waited in before.items()}
    ready = [place for name, place in rank.items() if not waiting_for[name]]
    ordered: dict[str, None] = {}
    circles: list[tuple[str, ...]] = []
    while len(ordered) < len(names) and len(circles) < most:
        if ready:
            done = (names[heappop(ready)],)
        else:
            circles.append(_circle(before, ordered))
            done = circles[-1][:-1]
        ordered.update(dict.fromkeys(done))
        for later in (each for name in done for each in after[name]):
            waiting_for[later] -= 1
            if not waiting_for[later] and later not in ordered:
                heappush(ready, rank[later])
    return tuple(ordered), circles


def _in_order(before: Mapping[str, Mapping[str, None]]) -> bool:
    """Whether each stands after those that must come before it: mostly they do."""
    seen: set[str] = set()
    for name, waited in before.items():
        if not waited.keys() <= seen:
            return False
        seen.add(name)
    return True


def _circle(before: Mapping[str, Mapping[str, None]], ordered: Mapping[str, None]) -> tuple[str, ...]:
    """A circle among the nodes that are not ordered and all wait for one another, written in the direction of the data."""
    path: dict[str, int] = {}
    name = next(each for each in before if each not in ordered)
    while name not in path:
        path[name] = len(path)
        name = next(each for each in before[name] if each not in ordered)
    return (name, *reversed(list(path)[path[name] :]))


def all_names(sketch: Sketch) -> set[str]:
    """The names of all inputs, nodes, and what bodies are handed."""
    names = set(sketch.inputs)
    for path, node in walk(sketch):
        names.add(path.rpartition("/")[2])
        names.update(node.input_names() if isinstance(node, BodyNode) else ())
    return names


def free_name(wish: str, taken: Collection[str]) -> str:
    """The wished name, or it with the lowest number from 2 on, that is not taken."""
    return next(name for name in chain([wish], (f"{wish}_{number}" for number in count(2))) if name not in taken)
