"""The wiring of a sketch as a graph: what a reference names, what it carries, who reads whom, and in which order.

A reference is `node.output` or the name of an input of the workflow. Orders follow the sketch, never a set or a clock.
"""

from __future__ import annotations

from collections.abc import Mapping

from flowbot.fields import Type, TypeSyntaxError, UserError

from .nodes import Sketch


def split_reference(reference: str) -> tuple[str | None, str]:
    """The node and the output that a reference names; the node is None for an input of the workflow."""
    node, dot, output = reference.partition(".")
    return (node, output) if dot else (None, reference)


def references(sketch: Sketch) -> dict[str, str]:
    """Every reference that a node of this sketch could read, with its type's text: inputs first, then node by node."""
    known = dict(sketch.inputs)
    for name, node in sketch.nodes.items():
        known.update({f"{name}.{output}": text for output, text in node.out.items()})
    return known


def reference_type(sketch: Sketch, reference: str) -> Type:
    """The type of what a reference carries.

    Raises:
        UserError: if nothing produces it, or its type is not in the notation.
    """
    known = references(sketch)
    if reference not in known:
        raise UserError("workflow", f"a reference to {reference!r}", f"one of {', '.join(known)}")
    try:
        return Type.parse(known[reference])
    except TypeSyntaxError as error:
        raise UserError(f"workflow: type of {reference}", repr(known[reference]), str(error)) from error


def predecessors(sketch: Sketch, node: str) -> tuple[str, ...]:
    """The nodes that `node` reads, each once, in the order in which it reads them."""
    named = (split_reference(reference)[0] for reference in sketch.nodes[node].references())
    return tuple(dict.fromkeys(name for name in named if name is not None and name in sketch.nodes))


def successors(sketch: Sketch, node: str) -> tuple[str, ...]:
    """The nodes that read `node`, in sketch order. Skip connections (`feedback_from`) are not counted."""
    return tuple(other for other in sketch.nodes if node in predecessors(sketch, other))


def topological(sketch: Sketch) -> tuple[str, ...]:
    """All nodes, each after those that it reads; among those that could come next, sketch order decides.

    A node also comes before the nodes named in its `feedback_from`, so that the reverse of this order is that
    of the backward pass.

    Raises:
        UserError: if nodes read each other in a circle.
    """
    ordered, circles = _sorted(_before(sketch))
    if circles:
        raise UserError("workflow", f"a circle: {' → '.join(circles[0])}", "nodes that do not read each other")
    return ordered


def cycles(sketch: Sketch) -> list[tuple[str, ...]]:
    """Circles in the wiring, skip connections included: each a path that ends where it starts. No node is in two."""
    return _sorted(_before(sketch))[1]


def unused(sketch: Sketch) -> tuple[str, ...]:
    """Nodes on which no output of the workflow depends, in sketch order."""
    used: set[str] = set()
    waiting = [split_reference(reference)[0] for reference in sketch.outputs.values()]
    while waiting:
        name = waiting.pop()
        if name is not None and name in sketch.nodes and name not in used:
            used.add(name)
            waiting.extend(predecessors(sketch, name))
    return tuple(name for name in sketch.nodes if name not in used)


def _before(sketch: Sketch) -> dict[str, list[str]]:
    """For each node the nodes that must come before it."""
    before = {name: list(predecessors(sketch, name)) for name in sketch.nodes}
    for name, node in sketch.nodes.items():
        for later in node.feedback_from:
            if later in before and name not in before[later]:
                before[later].append(name)
    return before


def _sorted(before: Mapping[str, list[str]]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    ordered: dict[str, None] = {}
    circles: list[tuple[str, ...]] = []
    while len(ordered) < len(before):
        ready = next((n for n in before if n not in ordered and all(b in ordered for b in before[n])), None)
        if ready is None:
            waiting = [name for name in before if name not in ordered]
            circle = _circle({name: [b for b in before[name] if b not in ordered] for name in waiting})
            circles.append(circle)
            ordered.update(dict.fromkeys(circle))  # reported once, then out of the way
        else:
            ordered[ready] = None
    return tuple(ordered), circles


def _circle(before: Mapping[str, list[str]]) -> tuple[str, ...]:
    """A circle among nodes that all wait for one another, written in the direction of the data."""
    path: list[str] = []
    name = next(iter(before))
    while name not in path:
        path.append(name)
        name = before[name][0]
    circle = path[path.index(name) :]
    return (name, *reversed(circle))
