"""The nodes of a workflow, as they stand in a file: typed data, no prompt text, one class a kind.

An input names where its value comes from: `plan.query` (output `query` of node `plan`) or `question` (an input of the
workflow). Edges are not listed; wiring and data flow are one thing.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Node(BaseModel):
    """What every kind has."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, populate_by_name=True)

    frozen: bool = False
    """True: the search leaves this node as it is."""
    feedback_from: tuple[str, ...] = ()
    """Nodes whose gradient also reaches this one: a skip connection, for the backward pass only."""
    out: dict[str, str]
    """Output fields: name to type, in the order in which they are produced."""

    def dump(self) -> dict[str, Any]:
        """The node as it stands in a file: the kind first, nothing that goes without saying."""
        data = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        kind = {"kind": type(self).model_fields["kind"].default}
        return kind | {key: data[key] for key in ("how", "tool", "in", "out") if key in data} | data

    def references(self) -> tuple[str, ...]:
        """The references that the node reads, in declared order."""
        raise AssertionError("every kind says what it reads")


class LLMNode(_Node):
    """A prompt and typed outputs: one call to a model."""

    kind: Literal["llm"] = "llm"
    inputs: dict[str, str] = Field(validation_alias="in", serialization_alias="in")
    model: Literal["pinned"] | None = None
    """`pinned`: the model in the parameters stays."""

    def references(self) -> tuple[str, ...]:
        """The references that the node reads, in declared order."""
        return tuple(self.inputs.values())


class ToolNode(_Node):
    """A registered function, called with bound arguments."""

    kind: Literal["tool"] = "tool"
    tool: str
    inputs: dict[str, str] = Field(validation_alias="in", serialization_alias="in")

    def references(self) -> tuple[str, ...]:
        """The references that the node reads, in declared order."""
        return tuple(self.inputs.values())


class CodeNode(_Node):
    """A small function in a sandbox, for a deterministic step. Its text is a parameter."""

    kind: Literal["code"] = "code"
    inputs: dict[str, str] = Field(validation_alias="in", serialization_alias="in")

    def references(self) -> tuple[str, ...]:
        """The references that the node reads, in declared order."""
        return tuple(self.inputs.values())


class MergeNode(_Node):
    """Joins values of one type: the first that is not empty, the majority's, or all of them one after another."""

    kind: Literal["merge"] = "merge"
    how: Literal["first", "vote", "concat"]
    inputs: tuple[str, ...] = Field(validation_alias="in", serialization_alias="in", min_length=1)

    def references(self) -> tuple[str, ...]:
        """The references that the node reads, in declared order."""
        return self.inputs


Node = Annotated[LLMNode | ToolNode | CodeNode | MergeNode, Field(discriminator="kind")]


class Sketch(BaseModel):
    """The nodes and their wiring. Hashable by content, diffable, without prompt text."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    inputs: dict[str, str]
    """Inputs of the workflow: name to type."""
    outputs: dict[str, str]
    """Outputs of the workflow: name to reference."""
    nodes: dict[str, Node] = Field(min_length=1)

    def dump(self) -> dict[str, Any]:
        """The sketch as JSON data, as it stands in a file."""
        nodes = {name: node.dump() for name, node in self.nodes.items()}
        return {"inputs": dict(self.inputs), "outputs": dict(self.outputs), "nodes": nodes}
