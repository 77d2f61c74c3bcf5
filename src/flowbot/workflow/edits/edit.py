"""What every edit is: a change of a draft, as data that models and files write, and in words."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, cast

from pydantic import BeforeValidator, PlainSerializer, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from flowbot.fields.foreign import Closed
from flowbot.workflow.captions import kind_text
from flowbot.workflow.messages import explained
from flowbot.workflow.nodes import (
    BodyNode,
    BranchNode,
    LoopNode,
    MapNode,
    MergeNode,
    Node,
    ProgramNode,
    Sketch,
    ToolNode,
    node_at,
)
from flowbot.workflow.parameters import PARAMETERS, LLMParameters, Parameters

from .draft import AnyParameters, Draft
from .written import NODE, TEXT, Written, always


class Edit(Closed):
    """A typed change to a sketch. Nodes are named by their paths: `refine/critic` stands in the body of `refine`.

    A class has all that an edit is: its fields are what it is written with, those that are `Written` by models as well;
    `str` says in one line, for people and for prompts, what it does.
    """

    op: ClassVar[str]
    """What it is called in data."""
    needs: ClassVar[frozenset[str]] = frozenset()
    """Kinds of nodes that it adds."""

    @abstractmethod
    def make(self, draft: Draft) -> None:
        """Make the change, or refuse it."""

    @classmethod
    def written(cls) -> dict[str, Written]:
        """How models write the fields that they write, by the name that they use; a node, which is long, last."""
        fields = sorted(cls.model_fields.items(), key=lambda item: item[0] == "node")
        marks = ((name, field, mark) for name, field in fields for mark in field.metadata if isinstance(mark, Written))
        return {mark.name or field.serialization_alias or name: mark for name, field, mark in marks}


def dump_edits(edits: Iterable[Edit]) -> list[dict[str, Any]]:
    """Edits as JSON data, which `parse_edits` reads back."""
    return [{"op": edit.op, **edit.model_dump(mode="json", by_alias=True, exclude_defaults=True)} for edit in edits]


def as_parameters(written: Any) -> Any:
    """A plain text as the parameters whose instruction it is; a blank one as none."""
    return ({"instruction": written} if written.strip() else None) if isinstance(written, str) else written


def _node_data(node: Node) -> dict[str, Any]:
    return node.dump()


Text = Annotated[str, always(TEXT)]
Path = Annotated[str, Written(lambda offer: offer.paths)]
Call = Annotated[str, Written(lambda offer: offer.calls)]
Output = Annotated[str, Written(lambda offer: offer.outputs)]
NewNode = Annotated[Node, PlainSerializer(_node_data, when_used="json")]
NewCall = Annotated[LLMParameters | None, BeforeValidator(as_parameters), always(TEXT)]
"""Parameters of a new `llm` node; a plain text is its instruction, an empty one leaves them to the edit."""


class WithNode(Edit):
    """An edit that brings a node, with its first parameters."""

    node: Annotated[NewNode, always(NODE)]
    parameters: AnyParameters | None = None

    @field_validator("parameters", mode="before")
    @classmethod
    def _of_its_kind(cls, data: Any, info: ValidationInfo) -> Any:
        """Reads parameters as those of their node's kind: which class they are does not show in them."""
        node: Node | None = info.data.get("node")
        if isinstance(node, BodyNode):
            return by_path(node.nodes, data)
        return data if node is None or not isinstance(data, dict) else _of_kind(node, data, "parameters")


def by_path(nodes: Mapping[str, Node], written: Any) -> Any:
    """Parameters of nodes and of those inside them, by path, each of its node's kind."""
    if not isinstance(written, dict):
        return written
    parameters: dict[str, Any] = {}
    holder = Sketch(inputs={}, outputs={}, nodes=dict(nodes))
    for path, data in cast("dict[str, Any]", written).items():
        place = f"parameters.{path}"
        try:
            node = node_at(holder, path)
        except KeyError as error:
            context = {"place": place, "found": "parameters of no node", "expected": "a node's path"}
            raise PydanticCustomError("explained", "{place}: found {found}; expected {expected}", context) from error
        parameters[path] = _of_kind(node, data, place) if isinstance(data, dict) else data
    return parameters


def _of_kind(node: Node, data: Any, place: str) -> Parameters:
    try:
        return PARAMETERS[node.kind].model_validate(data)
    except ValidationError as error:
        raise explained(error, place) from error


def node_text(name: str, node: Node) -> str:
    """A node in words: what it is, reads and gives."""
    what = kind_text(node) if isinstance(node, ToolNode | ProgramNode) else node.kind
    how, gives = "", ", ".join(node.gives)
    match node:
        case BranchNode():
            gives = " or ".join(node.ways)
        case LoopNode():
            how = f" ({', '.join(node.nodes)}{_bound(node.max, 'steps')})"
        case MapNode():
            how = f" ({', '.join(node.nodes)}{_bound(node.limit, 'items')})"
        case _:
            how = f" ({node.how})" if isinstance(node, MergeNode) else ""
            gives = listed(node.out)
    when = f" when {node.when}" if node.when else ""
    return f"{what} {name}{how}{when}: {', '.join(node.references())} → {gives}"


def listed(pairs: Mapping[str, str]) -> str:
    """Pairs in words, as `name: text`."""
    return ", ".join(f"{name}: {text}" for name, text in pairs.items())


def _bound(most: int | None, what: str) -> str:
    return "" if most is None else f"; at most {most} {what}"
