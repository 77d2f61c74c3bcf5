"""The kinds of node without a body, and what every kind has: typed data as it stands in a file, no prompt text.

An input names where its value comes from: `plan.query` (output `query` of node `plan`) or `question` (an input of the
workflow). Edges are not listed; wiring and data flow are one thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, Self, TypeVar, cast

from pydantic import BaseModel, Field, field_validator

from flowbot.fields.foreign import Closed

from .conditions import Guard

MAX_STEPS = 100
"""Most steps of a loop or a program in words, and rounds of tool calls, that a workflow may ask for."""
MAX_CALLS = 1000
"""Most model calls of one run of a program that a workflow may allow."""

Swap = Mapping[str, str]
"""What is read instead of a reference: old to new."""
NOTHING: Swap = MappingProxyType({})
_M = TypeVar("_M", bound=BaseModel)


def changed(model: _M, /, **fields: Any) -> _M:
    """A copy with other values of fields; the same object where they are what it has."""
    new = {name: value for name, value in fields.items() if getattr(model, name) != value}
    return model.model_copy(update=new) if new else model


def rewired_inputs(references: Mapping[str, str], swap: Swap) -> dict[str, str]:
    """The same inputs, which read what `swap` says."""
    return {name: swap.get(reference, reference) for name, reference in references.items()}


class AnyNode(Closed, populate_by_name=True):
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
        return changed(self, inputs=rewired_inputs(cast("dict[str, str]", getattr(self, "inputs", {})), swap))


class LLMNode(AnyNode):
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


class ToolNode(AnyNode):
    """A registered function, called with bound arguments."""

    kind: Literal["tool"] = "tool"
    tool: str
    inputs: dict[str, str] = Field(validation_alias="in", serialization_alias="in")
    out: dict[str, str]


class CodeNode(AnyNode):
    """A small function in a sandbox, for a deterministic step. Its text is a parameter."""

    kind: Literal["code"] = "code"
    inputs: dict[str, str] = Field(validation_alias="in", serialization_alias="in")
    out: dict[str, str]


class ProgramNode(AnyNode):
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


class CoreNode(AnyNode):
    """A program in words, whose steps a model carries out one after another. Its text is a parameter; see `workflow.core`."""

    kind: Literal["core"] = "core"
    inputs: dict[str, str] = Field(validation_alias="in", serialization_alias="in")
    out: dict[str, str]
    """What a terminal step gives: name to type."""
    max_steps: int = 20
    """Most steps of a run, each visit of a step counted, `MAX_STEPS` at most."""
    interpreter: Literal["compact", "faithful"] = "compact"
    """`compact`: a call a step; `faithful`: the calls of the published interpreter."""
    model: Literal["pinned"] | None = None

    @property
    def asks(self) -> bool:
        """A model is asked."""
        return True


class BranchNode(AnyNode):
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


class MergeNode(AnyNode):
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
        return changed(self, inputs=joined, given=rewired_inputs(self.given, swap))
