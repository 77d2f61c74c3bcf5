"""A workflow in the making: what every edit is made of. Each method either makes its change or refuses the edit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Never, TypeVar

from flowbot.fields import ToolSignature
from flowbot.workflow.nodes import HasNodes, LLMNode, LoopNode, MapNode, Node, Sketch, walk
from flowbot.workflow.parameters import LLMParameters, Parameters
from flowbot.workflow.workflow import Workflow

from .basic import EditError
from .text import Edit, describe
from .wiring import Swap, rewired, with_ends

_H = TypeVar("_H", bound=Sketch | LoopNode | MapNode)


class Draft:
    """A sketch and its parameters while edits are made. Bodies are named as `refine/`; that of the workflow as "".

    Args:
        workflow: where it starts; itself it stays as it is.
        tools: signatures by name; None: not known.
    """

    def __init__(self, workflow: Workflow, tools: Mapping[str, ToolSignature] | None) -> None:
        self.sketch = workflow.sketch
        self.parameters: dict[str, Parameters] = dict(workflow.parameters)
        self.tools = tools
        self.added: list[str] = []
        self._number = 0
        self._edit: Edit | None = None
        self._taken: set[str] | None = None

    def start(self, edit: Edit) -> None:
        """From here on it is this edit that is made, and refused."""
        self._number += 1
        self._edit = edit
        self._taken = None
        self.added = []

    def refuse(self, why: str) -> Never:
        """Refuse the edit that is being made."""
        said = f" ({describe(self._edit)})" if self._edit is not None else ""
        raise EditError(f"edit {self._number}{said}: {why}")

    # What there is

    def holder(self, body: str) -> Sketch | LoopNode | MapNode:
        """What holds the nodes of a body."""
        holder: Sketch | LoopNode | MapNode = self.sketch
        for number, name in enumerate(steps := body.split("/")[:-1], start=1):
            inner = holder.nodes.get(name)
            if inner is None:
                self.refuse(f"there is no node {'/'.join(steps[:number])}; there are {_all(self.sketch)}")
            if not isinstance(inner, LoopNode | MapNode):
                self.refuse(f"{'/'.join(steps[:number])} is of kind {inner.kind}, which has no body")
            if inner.frozen:
                self.refuse(f"{'/'.join(steps[:number])} is frozen, and its body with it: leave it as it is")
            holder = inner
        return holder

    def nodes(self, body: str) -> dict[str, Node]:
        """The nodes of a body."""
        return self.holder(body).nodes

    def node(self, path: str, *, whole: bool = True) -> Node:
        """The node at a path, if there is one and it may be changed; `whole`: its body, where it has one, as well."""
        body, name = split(path)
        node = self.nodes(body).get(name)
        if node is None:
            self.refuse(f"there is no node {path}; there are {_all(self.sketch)}")
        if node.frozen:
            self.refuse(f"{path} is frozen: leave it as it is")
        if whole and isinstance(node, LoopNode | MapNode):
            held = next((inner for inner, each in walk(node, f"{path}/") if each.frozen), None)
            if held is not None:
                self.refuse(f"{held} is frozen: leave {path}, in which it stands, as it is")
        return node

    def llm(self, path: str) -> tuple[LLMNode, LLMParameters]:
        """An `llm` node, with its parameters."""
        node = self.node(path)
        if not isinstance(node, LLMNode):
            self.refuse(f"{path} is of kind {node.kind}; name an llm node: {_all(self.sketch, LLMNode)}")
        given = self.parameters.get(path)
        return node, given if isinstance(given, LLMParameters) else LLMParameters()

    def one_answer(self, path: str) -> tuple[LLMNode, LLMParameters]:
        """An `llm` node that draws no samples, with its parameters: a step that joins samples would lose them."""
        node, told = self.llm(path)
        if told.samples > 1:
            self.refuse(f"{path} draws {told.samples} samples already: name the step that reads them")
        return node, told

    def readers(self, body: str, name: str) -> list[tuple[str, str]]:
        """Who reads a node of a body, and which reference: nodes in sketch order, then what leaves the body."""
        holder, head = self.holder(body), f"{name}."
        found = [
            (f"{body}{other}", reference)
            for other, node in holder.nodes.items()
            if other != name
            for reference in node.references()
            if reference.startswith(head)
        ]
        if isinstance(holder, Sketch):
            found += [(f"output {key}", ref) for key, ref in holder.outputs.items() if ref.startswith(head)]
        else:
            found += [(body.removesuffix("/"), ref) for ref in holder.ends() if ref.startswith(head)]
        return found

    def read(self, path: str) -> tuple[str, ...]:
        """The outputs of a node that something reads, in declared order."""
        body, name = split(path)
        read = {reference for _, reference in self.readers(body, name)}
        found = tuple(output for output in self.nodes(body)[name].gives if f"{name}.{output}" in read)
        if not found:
            self.refuse(f"nothing reads {path}: name a node whose outputs are read")
        return found

    def fresh(self, wish: str) -> str:
        """The wished name, or it with a number, that nothing in the workflow has; it is taken from now on."""
        if self._taken is None:
            self._taken = set(self.sketch.inputs)
            for path, node in walk(self.sketch):
                self._taken.add(split(path)[1])
                if isinstance(node, LoopNode | MapNode):
                    self._taken.update(node.own())
        name = free(wish, self._taken)
        self._taken.add(name)
        return name

    # What changes

    def add(self, path: str, node: Node, parameters: Parameters | None = None) -> None:
        """A new node, last of its body."""
        body, name = split(path)
        nodes = self.nodes(body)
        if name in nodes:
            self.refuse(f"there is a node {path} already: choose another name")
        if not body and name in self.sketch.inputs:
            self.refuse(f"{name} is an input of the workflow: choose another name")
        self.set_nodes(body, {**nodes, name: node})
        self.added.append(path)
        if parameters is not None:
            self.parameters[path] = parameters

    def add_beside(self, body: str, name: str, node: Node, parameters: Parameters | None = None) -> str:
        """A new node of a body, by its name alone; returns its path."""
        if "/" in name:
            self.refuse(f"the new node stands in the same body: name it {split(name)[1]}")
        self.add(f"{body}{name}", node, parameters)
        return f"{body}{name}"

    def put(self, path: str, node: Node) -> None:
        """Another node in the place of one that there is."""
        body, name = split(path)
        self.set_nodes(body, {**self.nodes(body), name: node})

    def drop(self, path: str) -> None:
        """A node goes, with its parameters, and from `feedback_from` wherever it stands there."""
        body, name = split(path)
        self.set_nodes(body, {other: node for other, node in self.nodes(body).items() if other != name})
        self.parameters = {
            key: each for key, each in self.parameters.items() if key != path and not key.startswith(f"{path}/")
        }
        self.relink(body, name, None)

    def move_parameters(self, old: str, new: str) -> None:
        """Parameters follow a node, and the nodes of its body, to another path."""
        self.parameters = {
            (f"{new}{key[len(old) :]}" if key == old or key.startswith(f"{old}/") else key): each
            for key, each in self.parameters.items()
        }

    def redirect(self, body: str, swap: Swap, *, but: Collection[str] = ()) -> None:
        """What the nodes of a body read, and what leaves the body, as `swap` says; the nodes `but` stay as they are."""
        holder = self.holder(body)
        nodes = {name: node if name in but else rewired(node, swap) for name, node in holder.nodes.items()}
        for name, node in nodes.items():
            self._allow(f"{body}{name}", holder.nodes[name], node)
        self.set_nodes(body, nodes)
        holder = self.holder(body)
        ended = with_ends(holder, swap)
        if ended is not holder:
            self.set_holder(body, ended)

    def take_over(self, body: str, references: Mapping[str, str], *, but: Collection[str] = ()) -> None:
        """Whoever reads one of the references reads the other instead."""
        self.redirect(body, lambda reference: references.get(reference, reference), but=but)

    def relink(self, body: str, old: str, new: str | None) -> None:
        """Skip connections of a body that name one node name another, or none."""
        nodes = dict(self.nodes(body))
        for name, node in nodes.items():
            if old in node.feedback_from:
                named = (new if other == old else other for other in node.feedback_from)
                linked = tuple(dict.fromkeys(other for other in named if other is not None and other != name))
                nodes[name] = node.model_copy(update={"feedback_from": linked})
                self._allow(f"{body}{name}", node, nodes[name])
        self.set_nodes(body, nodes)

    def reroute(self, body: str, ways: Mapping[str, str | None]) -> None:
        """The nodes of a body run on other ways: old `when` to new."""
        nodes = dict(self.nodes(body))
        for name, node in nodes.items():
            if node.when is not None and node.when in ways:
                nodes[name] = node.model_copy(update={"when": ways[node.when]})
                self._allow(f"{body}{name}", node, nodes[name])
        self.set_nodes(body, nodes)

    def set_nodes(self, body: str, nodes: dict[str, Node]) -> None:
        """The nodes of a body, all of them."""
        holder = self.holder(body)
        if len(nodes) != len(holder.nodes) or any(holder.nodes.get(name) is not node for name, node in nodes.items()):
            self.set_holder(body, holder.model_copy(update={"nodes": nodes}))

    def set_holder(self, body: str, holder: Sketch | LoopNode | MapNode) -> None:
        """What holds a body: the sketch, or the node."""
        if isinstance(holder, Sketch):
            self.sketch = holder
        else:
            self.sketch = _put(self.sketch, body.split("/")[:-1], holder)

    def _allow(self, path: str, old: Node, new: Node) -> None:
        """Refuses what would change a frozen node that reads what the edit is about."""
        if new is old:
            return
        if old.frozen:
            self.refuse(f"{path} reads it and is frozen")
        if isinstance(old, LoopNode | MapNode) and isinstance(new, LoopNode | MapNode):
            for name, node in old.nodes.items():
                self._allow(f"{path}/{name}", node, new.nodes[name])


def split(path: str) -> tuple[str, str]:
    """A path as the body (`refine/`, or "" for the workflow's) and the name in it."""
    outer, slash, name = path.rpartition("/")
    return f"{outer}{slash}", name


def free(wish: str, taken: Collection[str]) -> str:
    """The wished name, or it with the lowest number from 2 on, that is not taken."""
    name, number = wish, 1
    while name in taken:
        number += 1
        name = f"{wish}_{number}"
    return name


def _put(holder: _H, steps: list[str], node: LoopNode | MapNode) -> _H:
    name, *rest = steps
    inner = holder.nodes[name]
    if rest:
        assert isinstance(inner, LoopNode | MapNode)  # the path has been walked before
        node = _put(inner, rest, node)
    return holder.model_copy(update={"nodes": {**holder.nodes, name: node}})


def _all(holder: HasNodes, kind: type[Node] | None = None) -> str:
    return ", ".join(path for path, node in walk(holder) if kind is None or isinstance(node, kind)) or "none"
