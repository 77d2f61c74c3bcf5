"""A workflow in the making: what every edit is made of. Each method either makes its change or refuses the edit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Never

from flowbot.fields import FlowBotError, ToolSignature
from flowbot.workflow.defects import Defect
from flowbot.workflow.graph import all_names, free_name
from flowbot.workflow.nodes import (
    BodyNode,
    HasNodes,
    LLMNode,
    Node,
    Sketch,
    changed,
    is_frozen,
    walk,
)
from flowbot.workflow.parameters import LLMParameters, Parameters
from flowbot.workflow.prompt import places
from flowbot.workflow.workflow import Workflow

AnyParameters = Parameters | dict[str, Parameters]
"""Parameters of a node; of a `loop` or `map` those of the nodes of its body, by their paths in it."""


class EditError(FlowBotError):
    """Edits that cannot be made. The text says what to change in them.

    `defects` are those of the workflow that would have resulted, if the edits got that far.
    """

    def __init__(self, message: str, defects: tuple[Defect, ...] = ()) -> None:
        super().__init__(message)
        self.defects = defects


class Draft:
    """A sketch and its parameters while edits are made.

    A body is named by the prefix of the paths of its nodes: `refine/`; that of the workflow as "".

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
        self._edit = ""
        self._taken: set[str] | None = None

    def start(self, edit: str) -> None:
        """From here on it is this edit, in words, that is made, and refused."""
        self._number += 1
        self._edit = edit
        self._taken = None
        self.added = []

    def refuse(self, why: str) -> Never:
        """Refuse the edit that is being made."""
        raise EditError(f"edit {self._number}{f' ({self._edit})' if self._edit else ''}: {why}")

    # What there is

    def holder(self, prefix: str) -> HasNodes:
        """What holds the nodes of a body."""
        holder: HasNodes = self.sketch
        for number, name in enumerate(steps := prefix.split("/")[:-1], start=1):
            path, inner = "/".join(steps[:number]), holder.nodes.get(name)
            if inner is None:
                self.refuse(f"there is no node {path}; there are {_all(self.sketch)}")
            if not isinstance(inner, BodyNode):
                self.refuse(f"{path} is of kind {inner.kind}, which has no body")
            if inner.frozen:
                self.refuse(f"{path} is frozen, and its body with it: leave it as it is")
            holder = inner
        return holder

    def nodes(self, prefix: str) -> dict[str, Node]:
        """The nodes of a body."""
        return self.holder(prefix).nodes

    def node(self, path: str, *, whole: bool = True) -> Node:
        """The node at a path, if there is one and it may be changed; `whole`: its body, where it has one, as well."""
        prefix, name = split(path)
        node = self.nodes(prefix).get(name)
        if node is None:
            self.refuse(f"there is no node {path}; there are {_all(self.sketch)}")
        if node.frozen:
            self.refuse(f"{path} is frozen: leave it as it is")
        inside = walk(node, f"{path}/") if whole and isinstance(node, BodyNode) else ()
        if frozen := [inner for inner, each in inside if each.frozen]:
            self.refuse(f"{frozen[0]} is frozen: leave {path}, in which it stands, as it is")
        return node

    def llm(self, path: str) -> tuple[LLMNode, LLMParameters]:
        """An `llm` node, with its parameters."""
        node = self.node(path)
        if not isinstance(node, LLMNode):
            self.refuse(f"{path} is of kind {node.kind}; name an llm node: {_all(self.sketch, LLMNode)}")
        parameters = self.parameters.get(path)
        return node, parameters if isinstance(parameters, LLMParameters) else LLMParameters()

    def one_answer(self, path: str) -> tuple[LLMNode, LLMParameters]:
        """An `llm` node that draws no samples, with its parameters: a step that joins samples would lose them."""
        node, parameters = self.llm(path)
        if parameters.samples > 1:
            self.refuse(f"{path} draws {parameters.samples} samples already: name the step that reads them")
        return node, parameters

    def readers(self, prefix: str, name: str) -> list[tuple[str, str]]:
        """Who reads a node of a body, and which reference: nodes in sketch order, then what leaves the body."""
        holder = self.holder(prefix)
        reads = [(f"{prefix}{other}", node.references()) for other, node in holder.nodes.items() if other != name]
        if isinstance(holder, Sketch):
            reads += [(f"output {key}", (reference,)) for key, reference in holder.outputs.items()]
        else:
            reads.append((prefix.removesuffix("/"), holder.ends()))
        return [(reader, reference) for reader, all_ in reads for reference in all_ if reference.startswith(f"{name}.")]

    def read(self, path: str, out: Mapping[str, str]) -> dict[str, str]:
        """Those of the outputs of a node, with their types, that something reads."""
        prefix, name = split(path)
        read = {reference for _, reference in self.readers(prefix, name)}
        found = {output: type_ for output, type_ in out.items() if f"{name}.{output}" in read}
        if not found:
            self.refuse(f"nothing reads {path}: name a node whose outputs are read")
        return found

    def fresh(self, wish: str) -> str:
        """The wished name, or it with a number, that nothing in the workflow has; it is taken from now on."""
        if self._taken is None:
            self._taken = all_names(self.sketch)
        name = free_name(wish, self._taken)
        self._taken.add(name)
        return name

    def open_calls(self) -> Iterator[tuple[str, LLMNode, LLMParameters]]:
        """The `llm` nodes that have parameters and are not frozen, with their paths."""
        for path, node in walk(self.sketch):
            parameters = self.parameters.get(path)
            if isinstance(node, LLMNode) and isinstance(parameters, LLMParameters) and not is_frozen(self.sketch, path):
                yield path, node, parameters

    # What changes

    def add(self, path: str, node: Node, parameters: Parameters | None = None) -> None:
        """A new node, last of its body."""
        prefix, name = split(path)
        nodes = self.nodes(prefix)
        if name in nodes:
            self.refuse(f"there is a node {path} already: choose another name")
        if not prefix and name in self.sketch.inputs:
            self.refuse(f"{name} is an input of the workflow: choose another name")
        self.set_nodes(prefix, {**nodes, name: node})
        if parameters is not None:
            self.parameters[path] = parameters

    def add_beside(self, prefix: str, name: str, node: Node, parameters: Parameters | None = None) -> str:
        """A new node of a body, by its name alone; returns its path."""
        if "/" in name:
            self.refuse(f"the new node stands in the same body: name it {split(name)[1]}")
        self.add(f"{prefix}{name}", node, parameters)
        self.added.append(f"{prefix}{name}")
        return f"{prefix}{name}"

    def put(self, path: str, node: Node) -> None:
        """Another node in the place of one that there is."""
        prefix, name = split(path)
        self.set_nodes(prefix, {**self.nodes(prefix), name: node})

    def drop(self, path: str) -> None:
        """A node goes, with its parameters, and from `feedback_from` wherever it stands there."""
        prefix, name = split(path)
        self.set_nodes(prefix, {other: node for other, node in self.nodes(prefix).items() if other != name})
        self.parameters = {key: each for key, each in self.parameters.items() if not _within(key, path)}
        self.relink(prefix, name, None)

    def assign(self, path: str, parameters: AnyParameters | None) -> None:
        """First parameters of a node, or of the nodes of its body.

        Where a step's prompt is messages, its places stay; an instruction is a new text of the prompt's longest part.
        """
        if isinstance(parameters, dict):
            for inner, each in parameters.items():
                self.assign(f"{path}/{inner}".lstrip("/"), each)
            return
        was = self.parameters.get(path)
        if isinstance(parameters, LLMParameters) and isinstance(was, LLMParameters) and was.messages:
            if not parameters.messages:
                kept = was.with_text(parameters.instruction) if parameters.instruction.strip() else was
                parameters = parameters.model_copy(update={"instruction": "", "messages": kept.messages})
            elif places(parameters.messages) != places(was.messages):
                self.refuse(f"the places in the prompt of {path} stay: change its texts alone")
        if parameters is not None:
            self.parameters[path] = parameters

    def move_parameters(self, old: str, new: str) -> None:
        """Parameters follow a node, and the nodes of its body, to another path."""
        self.parameters = {
            f"{new}{key[len(old) :]}" if _within(key, old) else key: each for key, each in self.parameters.items()
        }

    def take_over(self, prefix: str, references: Mapping[str, str], *, but: Collection[str] = ()) -> None:
        """Whoever reads one of the references, a node or what leaves the body, reads the other; the nodes `but` do not."""
        self._change(prefix, lambda name, node: node if name in but else node.rewired(references))
        self._set_holder(prefix, self.holder(prefix).reading(references))

    def relink(self, prefix: str, old: str, new: str | None) -> None:
        """Skip connections of a body that name one node name another, or none."""

        def linked(name: str, node: Node) -> Node:
            if old not in node.feedback_from:
                return node
            named = (new if other == old else other for other in node.feedback_from)
            kept = tuple(dict.fromkeys(other for other in named if other is not None and other != name))
            return node.model_copy(update={"feedback_from": kept})

        self._change(prefix, linked)

    def reroute(self, prefix: str, ways: Mapping[str, str | None]) -> None:
        """The nodes of a body run on other ways: old `when` to new."""
        self._change(prefix, lambda _, node: changed(node, when=ways.get(node.when or "", node.when)))

    def set_nodes(self, prefix: str, nodes: Mapping[str, Node]) -> None:
        """The nodes of a body, all of them."""
        self._set_holder(prefix, self.holder(prefix).model_copy(update={"nodes": nodes}))

    def _set_holder(self, prefix: str, holder: HasNodes) -> None:
        if isinstance(holder, Sketch):
            self.sketch = holder
        else:
            self.put(prefix.removesuffix("/"), holder)

    def _change(self, prefix: str, change: Callable[[str, Node], Node]) -> None:
        """Changes the nodes of a body, by name; refuses what would change a frozen one that reads what the edit is about."""
        nodes = self.nodes(prefix)
        new = {name: change(name, node) for name, node in nodes.items()}
        for name, node in nodes.items():
            self._allow(f"{prefix}{name}", node, new[name])
        self.set_nodes(prefix, new)

    def _allow(self, path: str, old: Node, new: Node) -> None:
        if new is old:
            return
        if old.frozen:
            self.refuse(f"{path} reads it and is frozen")
        if isinstance(old, BodyNode) and isinstance(new, BodyNode):
            for name, node in old.nodes.items():
                self._allow(f"{path}/{name}", node, new.nodes[name])


def split(path: str) -> tuple[str, str]:
    """A path as the prefix of its body (`refine/`, or "" for the workflow's) and the name in it."""
    outer, slash, name = path.rpartition("/")
    return f"{outer}{slash}", name


def _within(path: str, outer: str) -> bool:
    return path == outer or path.startswith(f"{outer}/")


def _all(holder: HasNodes, kind: type[Node] | None = None) -> str:
    return ", ".join(path for path, node in walk(holder) if kind is None or isinstance(node, kind)) or "none"
