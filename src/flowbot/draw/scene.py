"""What a picture of a workflow shows, before anything has a place: items and the wires between them, body within body.

Both pictures, SVG and Mermaid, are drawn from this, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from flowbot.workflow.captions import (
    bound_text,
    carry_text,
    drawing_order,
    gives,
    kind_text,
    reads_text,
    remarks,
    way_text,
)
from flowbot.workflow.conditions import say
from flowbot.workflow.graph import split_reference
from flowbot.workflow.nodes import BodyNode, BranchNode, LoopNode, MapNode, Node
from flowbot.workflow.scope import Scope
from flowbot.workflow.workflow import Workflow

IN, OUT = "in", "out"
"""Keys of the items at which a body begins and ends; those of nodes and ways have a blank in them."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an item: a field, a note beside, or a fault."""

    text: str
    tone: Literal["field", "note", "fault"] = "field"


@dataclass(frozen=True, slots=True)
class Item:
    """Something to draw: a node, a way of a branch, or where a body begins or ends.

    Args:
        key: unique in its scene.
        kind: the node's kind, or `way`, `in`, `out`.
        title: its name.
        label: its kind in words.
        lines: what stands in it.
        about: the whole of it in a sentence, for a hint.
        path: the node's path; "" for what is no node.
        body: what is drawn inside, for a `loop` or `map`.
    """

    key: str
    kind: str
    title: str
    label: str = ""
    lines: tuple[Line, ...] = ()
    about: str = ""
    path: str = ""
    body: Scene | None = None


@dataclass(frozen=True, slots=True)
class Wire:
    """A link from one item to another.

    Args:
        names: what goes along it, in order; empty on a way.
        part: whether that is only a part of what the source gives.
        back: it leads back in the order of the items, as in a circle.
    """

    source: str
    target: str
    names: tuple[str, ...] = ()
    part: bool = False
    back: bool = False

    @property
    def label(self) -> str:
        """What is written beside it: what goes along it, where that does not go without saying."""
        return ", ".join(self.names) if self.part else ""


@dataclass(frozen=True, slots=True)
class Scene:
    """One body: its items in an order in which wires lead forward (but those marked `back`), and its wires.

    `again`: what is handed back from the end to the beginning, for the body of a loop.
    """

    items: dict[str, Item]
    wires: tuple[Wire, ...]
    again: tuple[str, ...] = ()


def scene_of(workflow: Workflow) -> Scene:
    """What a picture of the workflow shows. One with defects is shown as far as it can be."""
    sketch = workflow.sketch
    scope = Scope.of(sketch)
    begin = Item(IN, IN, "input", lines=_typed(scope, sketch.inputs), about="inputs of the workflow")
    ends = [
        Line(
            f"{name}: {kind}" if (kind := scope.type_text(reference)) else f"{name}: ? {reference}",
            _tone(scope, reference),
        )
        for name, reference in sketch.outputs.items()
    ]
    about = ", ".join(f"{name} from {reference}" for name, reference in sketch.outputs.items())
    return _Body(workflow, scope, begin, Item(OUT, OUT, "output", lines=tuple(ends), about=about)).scene()


@dataclass(slots=True)
class _Body:
    """Collects the items and wires of one body."""

    workflow: Workflow
    scope: Scope
    begin: Item
    end: Item
    again: tuple[str, ...] = ()
    read: dict[tuple[str, str], list[str]] = field(default_factory=dict[tuple[str, str], list[str]])

    def scene(self) -> Scene:
        nodes = self.scope.nodes
        items = {IN: self.begin}
        for name in drawing_order(self.scope.holder):
            node = nodes[name]
            items[_key(name)] = self.item(name, node)
            if isinstance(node, BranchNode):
                items |= {each.key: each for each in _ways(name, node)}
        items[OUT] = self.end
        for name in drawing_order(self.scope.holder):
            self.wire(name, nodes[name])
        for reference in self.scope.holder.ends():
            self.link(self.source(reference), OUT, reference)
        rank = {key: index for index, key in enumerate(items)}
        wires = tuple(
            Wire(source, target, tuple(dict.fromkeys(names)), self.is_part(source, names), rank[source] > rank[target])
            for (source, target), names in self.read.items()
        )
        return Scene(items, wires, self.again)

    def item(self, name: str, node: Node) -> Item:
        """The item of a node."""
        path = f"{self.scope.path}{name}"
        fields = gives(name, node, self.scope)
        own = reads_text(node)
        bound = f", {bound_text(node)}" if isinstance(node, BodyNode) else ""
        about = f"{path}: {kind_text(node)}{bound}, reads {own or 'nothing'}; gives {', '.join(fields) or 'a way'}"
        lines = [Line(each) for each in fields]
        if isinstance(node, BodyNode):
            lines = [Line(bound_text(node), "note")]
        elif isinstance(node, BranchNode):
            lines = [Line(own)] if own else []
        lines += [Line(each, "note") for each in remarks(node, self.workflow.parameters.get(path))]
        lines += [Line(each, "fault") for each in self.faults(name, node)]
        body = _inner(self.workflow, self.scope.inner(name), node) if isinstance(node, BodyNode) else None
        return Item(_key(name), node.kind, name, kind_text(node), tuple(lines), about, path, body)

    def faults(self, name: str, node: Node) -> Iterator[str]:
        """What the node reads and nothing gives; what it reads of itself."""
        own = node.entries() if isinstance(node, BodyNode) else node.references()
        yield from (f"? {each}" for each in dict.fromkeys(own) if self.scope.type_text(each) is None)
        if any(split_reference(each)[0] == name for each in node.references()):
            yield "reads itself"
        if node.when is not None and self.way(node.when) is None:
            yield f"? when {node.when}"

    def wire(self, name: str, node: Node) -> None:
        """The wires that lead to a node, and those from a branch to its ways."""
        key = _key(name)
        way = self.way(node.when) if node.when is not None else None
        if way is not None:
            self.link(way, key)
        for reference in node.references():
            self.link(self.source(reference), key, reference)
        if isinstance(node, BranchNode):
            for item in _ways(name, node):
                self.link(key, item.key)

    def link(self, source: str | None, target: str, reference: str = "") -> None:
        if source is not None and source != target:
            names = self.read.setdefault((source, target), [])
            names += [split_reference(reference)[1] if source != IN else reference] if reference else []

    def source(self, reference: str) -> str | None:
        """The item that a reference leads from; None if nothing gives it."""
        head = split_reference(reference)[0]
        if head is not None and head in self.scope.nodes:
            return _key(head)
        return IN if self.scope.type_text(reference) is not None else None

    def way(self, when: str) -> str | None:
        """The item of the way that a `when` names, if there is one."""
        branch, label = split_reference(when)
        node = self.scope.nodes.get(branch or "")
        ways = list(node.ways) if isinstance(node, BranchNode) else []
        return _way_key(branch or "", ways.index(label)) if label in ways else None

    def is_part(self, source: str, names: Sequence[str]) -> bool:
        if source == IN:
            return 0 < len(set(names)) < len(self.begin.lines)
        node = self.scope.nodes.get(source.removeprefix(_key("")))
        return node is not None and 0 < len(set(names)) < len(node.gives)


def _inner(workflow: Workflow, scope: Scope, node: LoopNode | MapNode) -> Scene:
    """The scene of a body: it begins with what it is handed and what it reads from outside, and ends with what is taken out."""
    outside = [each for each in node.references() if each not in node.entries() or each in node.body_references()]
    read = _typed(scope, [each for each in outside if scope.type_text(each) is not None])
    if isinstance(node, MapNode):
        own = (Line(f"{node.item}: {scope.type_text(node.item) or '?'}"),)
        begin = Item(IN, IN, "each item", lines=(*own, *read), about=bound_text(node))
        texts = [f"{name} = {reference}" for name, reference in node.out.items()]
        ends = tuple(Line(text, _tone(scope, ref)) for text, ref in zip(texts, node.out.values(), strict=True))
        return _Body(workflow, scope, begin, Item(OUT, OUT, "collected", lines=ends, about=", ".join(texts))).scene()
    own = tuple(Line(f"{name}: {carry.type} = {carry.start}") for name, carry in node.carry.items())
    told = ", ".join(f"{name} = {carry_text(carry)}" for name, carry in node.carry.items())
    begin = Item(IN, IN, "each step", lines=(*own, *read), about=f"carries {told}")
    ends = tuple(Line(f"{name} = {carry.next}", _tone(scope, carry.next)) for name, carry in node.carry.items())
    if node.until is not None:
        ends += (Line(f"until {say(node.until)}", "note"),)
    end = Item(OUT, OUT, "after each step", lines=ends, about=bound_text(node))
    return _Body(workflow, scope, begin, end, tuple(node.carry)).scene()


def _ways(name: str, node: BranchNode) -> Iterator[Item]:
    for index, (label, guard) in enumerate(node.ways.items()):
        text = way_text(guard)
        line = (Line(text),) if text else ()
        yield Item(_way_key(name, index), "way", label, lines=line, about=f"{name} takes {label} {text}".strip())


def _typed(scope: Scope, references: Iterable[str]) -> tuple[Line, ...]:
    return tuple(Line(f"{reference}: {scope.type_text(reference) or '?'}") for reference in references)


def _tone(scope: Scope, reference: str) -> Literal["field", "fault"]:
    return "field" if scope.type_text(reference) is not None else "fault"


def _key(name: str) -> str:
    return f"node {name}"


def _way_key(branch: str, index: int) -> str:
    return f"way {index} {branch}"
