"""The nodes of a workflow: the kinds without a body, those with one, and the sketch that holds them.

The body of a `loop` or `map` is a workflow itself: its nodes read what stands outside, what the loop carries or the map's
item, and each other.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import Field

from flowbot.fields import UserError
from flowbot.fields.foreign import Closed

from .conditions import Condition, rewired_condition, tests_of
from .kinds import (
    MAX_STEPS,
    NOTHING,
    AnyNode,
    BranchNode,
    CodeNode,
    CoreNode,
    LLMNode,
    MergeNode,
    ProgramNode,
    Swap,
    ToolNode,
    changed,
    rewired_inputs,
)

MAX_ITEMS = 10_000
"""Most items of a map."""


class BodyNode(AnyNode):
    """A node with a body: its nodes, what they are handed, what is read of them, and what is read before they run."""

    bounded_by: ClassVar[tuple[str, int]]
    """The field that says how often the body runs at most, and the most that it may say."""

    nodes: dict[str, Node]

    @property
    def bound(self) -> int:
        """How often the body runs at most.

        Raises:
            UserError: if there is no bound, or one beyond what it may be.
        """
        key, most = self.bounded_by
        given: int | None = getattr(self, key)
        if given is None or not 1 <= given <= most:
            raise UserError("workflow", f"a {self.kind_name()} with `{key}: {given}`", f"a number from 1 to {most}")
        return given

    @abstractmethod
    def input_names(self) -> tuple[str, ...]:
        """Names that only the body knows, besides its nodes."""

    @abstractmethod
    def ends(self) -> tuple[str, ...]:
        """What is read of the body once its nodes have run."""

    @abstractmethod
    def entries(self) -> tuple[str, ...]:
        """What is read from outside before the body runs."""

    @abstractmethod
    def reading(self, ends: Swap, entries: Swap = NOTHING) -> Self:
        """The same with other ends and entries; the same object where that changes nothing."""

    def body_references(self) -> tuple[str, ...]:
        """What the nodes of the body and its ends read, whether it stands in the body or outside."""
        return (*(each for node in self.nodes.values() for each in node.references()), *self.ends())

    def references(self) -> tuple[str, ...]:
        """What the node and its body read from the body that it stands in."""
        known = {*self.nodes, *self.input_names()}
        free = (each for each in self.body_references() if each.partition(".")[0] not in known)
        return tuple(dict.fromkeys((*self.entries(), *free)))

    def rewired(self, swap: Swap) -> Self:
        """Names that only the body knows hide those of the same name outside."""
        known = {*self.nodes, *self.input_names()}
        inside = {old: new for old, new in swap.items() if old.partition(".")[0] not in known}
        nodes = {name: each.rewired(inside) for name, each in self.nodes.items()}
        return changed(self, nodes=nodes).reading(inside, swap)

    def dump(self) -> dict[str, Any]:
        """The node as it stands in a file, its body last."""
        data = super().dump()
        del data["nodes"]
        return {**data, "nodes": {name: node.dump() for name, node in self.nodes.items()}}


class Carry(Closed):
    """A value that a loop carries from step to step; after the last step it is an output of the loop."""

    type: str
    start: str
    """Reference outside the loop: the value in the first step."""
    next: str
    """Reference in the body: the value in the step after."""


class LoopNode(BodyNode):
    """Repeats a body until a condition holds after a step, at most `max` times. Its outputs are what it carries."""

    bounded_by = ("max", MAX_STEPS)

    kind: Literal["loop"] = "loop"
    max: int | None = None
    """Most steps, `MAX_STEPS` at most. None only in a workflow that does not pass the checker."""
    until: Condition | None = None
    """Over references of the body, read after each step; none: always `max` steps."""
    carry: dict[str, Carry]

    @property
    def gives(self) -> tuple[str, ...]:
        """Names of what the loop carries."""
        return tuple(self.carry)

    def input_names(self) -> tuple[str, ...]:
        """The names of what is carried."""
        return tuple(self.carry)

    def ends(self) -> tuple[str, ...]:
        """The next values, and what the condition reads."""
        tested = () if self.until is None else tuple(test.ref for test in tests_of(self.until))
        return (*(each.next for each in self.carry.values()), *tested)

    def entries(self) -> tuple[str, ...]:
        """The first values."""
        return tuple(each.start for each in self.carry.values())

    def reading(self, ends: Swap, entries: Swap = NOTHING) -> Self:
        """The same with other next and first values and another condition."""
        carry = {
            name: changed(each, start=entries.get(each.start, each.start), next=ends.get(each.next, each.next))
            for name, each in self.carry.items()
        }
        return changed(self, carry=carry, until=self.until and rewired_condition(self.until, ends))


class MapNode(BodyNode):
    """Runs a body for each item of a list, side by side, for at most the first `limit` items."""

    bounded_by = ("limit", MAX_ITEMS)

    kind: Literal["map"] = "map"
    over: str
    limit: int | None = None
    """Most items, `MAX_ITEMS` at most. None only in a workflow that does not pass the checker."""
    item: str = Field(default="item", validation_alias="as", serialization_alias="as")
    """How the body calls the item."""
    out: dict[str, str]
    """Output to reference in the body: a list of what it was for each item, in order."""

    def input_names(self) -> tuple[str, ...]:
        """The item's name."""
        return (self.item,)

    def ends(self) -> tuple[str, ...]:
        """What is collected."""
        return tuple(self.out.values())

    def entries(self) -> tuple[str, ...]:
        """The list."""
        return (self.over,)

    def reading(self, ends: Swap, entries: Swap = NOTHING) -> Self:
        """The same with other values to collect and another list."""
        return changed(self, over=entries.get(self.over, self.over), out=rewired_inputs(self.out, ends))


Node = Annotated[
    LLMNode | ToolNode | CodeNode | ProgramNode | CoreNode | BranchNode | MergeNode | LoopNode | MapNode,
    Field(discriminator="kind"),
]


class Sketch(Closed):
    """The nodes and their wiring. Hashable by content, diffable, without prompt text."""

    inputs: dict[str, str]
    """Inputs of the workflow: name to type."""
    outputs: dict[str, str]
    """Outputs of the workflow: name to reference."""
    nodes: dict[str, Node]

    def dump(self) -> dict[str, Any]:
        """The sketch as JSON data, as it stands in a file."""
        nodes = {name: node.dump() for name, node in self.nodes.items()}
        return {"inputs": dict(self.inputs), "outputs": dict(self.outputs), "nodes": nodes}

    def input_names(self) -> tuple[str, ...]:
        """The names of the inputs."""
        return tuple(self.inputs)

    def ends(self) -> tuple[str, ...]:
        """What the outputs are."""
        return tuple(self.outputs.values())

    def reading(self, ends: Swap) -> Self:
        """The same with other outputs; the same object where that changes nothing."""
        return changed(self, outputs=rewired_inputs(self.outputs, ends))


HasNodes: TypeAlias = Sketch | LoopNode | MapNode
"""What holds nodes: a sketch, or a node with a body."""


def walk(holder: HasNodes, path: str = "") -> Iterator[tuple[str, Node]]:
    """Every node with its path (`refine/critic` for a node of a body), each body after its node, in sketch order."""
    for name, node in holder.nodes.items():
        yield f"{path}{name}", node
        if isinstance(node, BodyNode):
            yield from walk(node, f"{path}{name}/")


def node_at(holder: HasNodes, path: str) -> Node:
    """The node at a path such as `refine/critic`.

    Raises:
        KeyError: if there is none.
    """
    *outer, name = path.split("/")
    for each in outer:
        node = holder.nodes[each]
        if not isinstance(node, BodyNode):
            raise KeyError(path)
        holder = node
    return holder.nodes[name]


def is_frozen(holder: HasNodes, path: str) -> bool:
    """Whether the node at a path, or one around it, is frozen."""
    parts = path.split("/")
    return any(node_at(holder, "/".join(parts[: end + 1])).frozen for end in range(len(parts)))
