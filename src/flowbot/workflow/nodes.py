"""The nodes of a workflow, as they stand in a file: typed data, no prompt text, one class a kind.

An input names where its value comes from: `plan.query` (output `query` of node `plan`) or `question` (an input of the
workflow). Edges are not listed; wiring and data flow are one thing. The body of a `loop` or `map` is a workflow itself: its
nodes read what stands outside, what the loop carries or the map's item, and each other.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias, TypeVar, cast

from pydantic import BaseModel, Field, field_validator

from flowbot.fields import UserError
from flowbot.fields.foreign import Closed

from .conditions import Condition, Guard, rewired_condition, tests_of

MAX_STEPS = 100
"""Most steps of a loop and rounds of tool calls that a workflow may ask for."""
MAX_ITEMS = 10_000
"""Most items of a map."""
MAX_CALLS = 1000
"""Most model calls of one run of a program that a workflow may allow."""

Swap = Mapping[str, str]
"""What is read instead of a reference: old to new."""
NOTHING: Swap = MappingProxyType({})
_M = TypeVar("_M", bound=BaseModel)


class _Node(Closed, populate_by_name=True):
    """What every kind has."""

    when: str | None = None
    """A way of a branch of the same body, as `route.many`: the node runs only if it was taken."""
    frozen: bool = False
    """True: the search leaves this node as it is."""
    feedback_from: tuple[str, ...] = ()
    """Nodes whose gradient also reaches this one: a skip connection, for the backward pass only."""

    @property
    def gives(self) -> tuple[str, ...]:
        """Names of what other nodes may read from this one."""
        return tuple(cast("dict[str, str]", getattr(self, "out", {})))

    @property
    def asks(self) -> bool:
        """Whether a model is asked in this node itself: an `llm`, a branch that a model chooses, a merge that a model judges."""
        return False

    @classmethod
    def kind_name(cls) -> str:
        """The kind, as it stands in a file."""
        return str(cls.model_fields["kind"].default)

    def dump(self) -> dict[str, Any]:
        """The node as it stands in a file: the kind first, nothing that goes without saying."""
        data = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        kind = {"kind": self.kind_name()}
        return kind | {key: data[key] for key in ("when", "how", "tool", "call", "in", "out") if key in data} | data

    def references(self) -> tuple[str, ...]:
        """What the node reads from the body that it stands in, in declared order, a body's own reading included."""
        inputs = cast("dict[str, str] | None", getattr(self, "inputs", None))
        return tuple(inputs.values()) if inputs else ()

    def rewired(self, swap: Swap) -> Self:
        """The node that, with its body, reads what `swap` says; the same object where that changes nothing."""
        return changed(self, inputs=_swapped(cast("dict[str, str]", getattr(self, "inputs", {})), swap))


class LLMNode(_Node):
    """A prompt and typed outputs: a call to a model, or, with tools in its parameters, a bounded loop of calls."""

    kind: Literal["llm"] = "llm"
    inputs: dict[str, str] = Field(validation_alias="in", serialization_alias="in")
    out: dict[str, str]
    """Output fields: name to type, in the order in which they are produced."""
    model: Literal["pinned"] | None = None
    """`pinned`: the model in the parameters stays."""
    rounds: int = 5
    """Most rounds of tool calls before the node must answer, `MAX_STEPS` at most."""

    @property
    def asks(self) -> bool:
        """A model is asked."""
        return True


class ToolNode(_Node):
    """A registered function, called with bound arguments."""

    kind: Literal["tool"] = "tool"
    tool: str
    inputs: dict[str, str] = Field(validation_alias="in", serialization_alias="in")
    out: dict[str, str]


class CodeNode(_Node):
    """A small function in a sandbox, for a deterministic step. Its text is a parameter."""

    kind: Literal["code"] = "code"
    inputs: dict[str, str] = Field(validation_alias="in", serialization_alias="in")
    out: dict[str, str]


class ProgramNode(_Node):
    """A user's own Python callable, watched as it runs. The texts and values that it declares are parameters.

    The file only names it: the task file says where it is, or it is handed over.
    """

    kind: Literal["program"] = "program"
    call: str
    """`FILE.py:NAME`, or `NAME` of one that is handed over."""
    inputs: dict[str, str] = Field(validation_alias="in", serialization_alias="in")
    out: dict[str, str]
    """One output is what it returns; of several it returns a mapping, or an object with fields of these names."""
    max_calls: int = 20
    """Most model calls of one run, `MAX_CALLS` at most."""


class BranchNode(_Node):
    """Picks one of several ways, by conditions on its inputs or by a model's choice among the labels.

    A node with `when: route.many` runs only if the branch `route` took the way `many`.
    """

    kind: Literal["branch"] = "branch"
    inputs: dict[str, str] = Field(validation_alias="in", serialization_alias="in")
    ways: dict[str, Guard | None]
    """Label to condition, tried in order, the last of them `else`; in a file a plain list of labels when a model chooses."""
    model: Literal["pinned"] | None = None

    @field_validator("ways", mode="before")
    @classmethod
    def _labels(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        labels = cast("list[Any]", value)
        if all(isinstance(label, str) for label in labels) and len(set(labels)) == len(labels):
            return dict.fromkeys(labels)
        return labels

    @property
    def asks(self) -> bool:
        """Whether a model chooses."""
        return all(condition is None for condition in self.ways.values())

    def dump(self) -> dict[str, Any]:
        """The node as it stands in a file."""
        data = super().dump()
        return {**data, "ways": list(self.ways)} if self.asks else data


class MergeNode(_Node):
    """Joins ways, samples or other values of one type.

    The first that is not empty, the majority's, all of them one after another, or the best by a model's judgement.
    Of an `llm` node that draws several samples it reads all of them, where any other node reads the first.
    """

    kind: Literal["merge"] = "merge"
    how: Literal["first", "vote", "concat", "judge"]
    inputs: tuple[str, ...] = Field(validation_alias="in", serialization_alias="in")
    given: dict[str, str] = Field(default_factory=dict)
    """What a judge is shown beside the candidates: name to reference."""
    out: dict[str, str]
    model: Literal["pinned"] | None = None

    def references(self) -> tuple[str, ...]:
        """What the node reads, in declared order."""
        return (*self.inputs, *self.given.values())

    @property
    def asks(self) -> bool:
        """Whether a model judges."""
        return self.how == "judge"

    def rewired(self, swap: Swap) -> Self:
        """What becomes the same is joined once; what was there twice stays so."""
        was: dict[str, str] = {}
        swapped = ((reference, swap.get(reference, reference)) for reference in self.inputs)
        joined = tuple(new for old, new in swapped if was.setdefault(new, old) == old)
        return changed(self, inputs=joined, given=_swapped(self.given, swap))


class BodyNode(_Node):
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
        return changed(self, over=entries.get(self.over, self.over), out=_swapped(self.out, ends))


Node = Annotated[
    LLMNode | ToolNode | CodeNode | ProgramNode | BranchNode | MergeNode | LoopNode | MapNode,
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
        return changed(self, outputs=_swapped(self.outputs, ends))


HasNodes: TypeAlias = Sketch | LoopNode | MapNode
"""What holds nodes: a sketch, or a node with a body."""


def changed(model: _M, /, **fields: Any) -> _M:
    """A copy with other values of fields; the same object where they are what it has."""
    new = {name: value for name, value in fields.items() if getattr(model, name) != value}
    return model.model_copy(update=new) if new else model


def _swapped(references: Mapping[str, str], swap: Swap) -> dict[str, str]:
    return {name: swap.get(reference, reference) for name, reference in references.items()}


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
