"""The basic edits: typed changes to a sketch, as data. Nodes are named by their paths: `refine/critic` stands in the body of `refine`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from flowbot.fields import FlowBotError
from flowbot.workflow.defects import Defect
from flowbot.workflow.messages import explained
from flowbot.workflow.nodes import HasNodes, LoopNode, MapNode, Node, node_at
from flowbot.workflow.parameters import PARAMETERS, CodeParameters, LLMParameters, Parameters


class EditError(FlowBotError):
    """Edits that cannot be made. The text says what to change in them.

    `defects` are those of the workflow that would have resulted, if the edits got that far.
    """

    def __init__(self, message: str, defects: tuple[Defect, ...] = ()) -> None:
        super().__init__(message)
        self.defects = defects


def told(given: Any) -> Any:
    """A plain text as the parameters whose instruction it is; a blank one as none."""
    return ({"instruction": given} if given.strip() else None) if isinstance(given, str) else given


def told_or_code(given: Any) -> Any:
    """Parameters as those of the kind that they look like; a plain text is an instruction."""
    if isinstance(given, dict) and "code" in given:
        return CodeParameters.model_validate(given)
    return told(given)


Told = Annotated[LLMParameters | None, BeforeValidator(told)]
"""Parameters of a new `llm` node; a plain text is its instruction, an empty one leaves them to the edit."""

Given = Parameters | dict[str, Parameters]
"""Parameters of a node; of a `loop` or `map` those of the nodes of its body, by their paths in it."""


class AnEdit(BaseModel):
    """What every edit has."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class WithNode(AnEdit):
    """An edit that brings a node, with its first parameters."""

    node: Node
    parameters: Given | None = None

    @field_validator("parameters", mode="before")
    @classmethod
    def _of_their_kind(cls, given: Any, info: ValidationInfo) -> Any:
        """Reads parameters as those of their node's kind: which class they are does not show in them."""
        node = cast("Node | None", info.data.get("node"))
        if node is None or not isinstance(given, dict):
            return given
        data = cast("dict[str, Any]", given)
        return _by_path(node, data) if isinstance(node, LoopNode | MapNode) else parameters_of(node, data)


class AddNode(WithNode):
    """A new node, with its first parameters."""

    op: Literal["add"] = "add"
    id: str


class ReplaceNode(WithNode):
    """Another node under the same id. Parameters that are not given stay, where kinds do; so does its model."""

    op: Literal["replace"] = "replace"
    id: str


class RemoveNode(AnEdit):
    """A node goes; `bypass` says what is read instead of each of its outputs that is read: old to new reference.

    Where a branch goes, the nodes of its ways run whenever it did.
    """

    op: Literal["remove"] = "remove"
    id: str
    bypass: dict[str, str] = Field(default_factory=dict)


class Rewire(AnEdit):
    """An input of a node reads something else, or the node gets one more input.

    For a merge, whose inputs have no names, `input` is the reference that is replaced. For a loop it is the name of what
    is carried (where it starts), or that name and `.next`; for a map it is `over`, or the name of an output.
    """

    op: Literal["rewire"] = "rewire"
    id: str
    input: str
    to: str


class RenameNode(AnEdit):
    """A node gets another name in its body; all that refers to it follows, and so do its parameters."""

    op: Literal["rename"] = "rename"
    id: str
    to: str


class SetOutput(AnEdit):
    """An output of the workflow is taken from elsewhere."""

    op: Literal["output"] = "output"
    output: str
    to: str


class Rewrite(AnEdit):
    """The whole sketch anew, but for the workflow's inputs and the names of its outputs.

    Nodes that keep path and kind keep their parameters; `parameters` has those of new nodes, by path.
    """

    op: Literal["rewrite"] = "rewrite"
    outputs: dict[str, str]
    nodes: dict[str, Node] = Field(min_length=1)
    parameters: dict[str, Parameters] = Field(default_factory=dict)

    @field_validator("parameters", mode="before")
    @classmethod
    def _of_their_kinds(cls, given: Any, info: ValidationInfo) -> Any:
        nodes = cast("dict[str, Node] | None", info.data.get("nodes"))
        if nodes is None or not isinstance(given, dict):
            return given
        return _by_path(Nodes(nodes), cast("dict[str, Any]", given))


class Nodes:
    """Nodes by name, as something that holds nodes."""

    def __init__(self, nodes: dict[str, Node]) -> None:
        self._nodes = nodes

    @property
    def nodes(self) -> dict[str, Node]:
        """The nodes by name."""
        return self._nodes


def parameters_of(node: Node, data: dict[str, Any], place: str = "parameters") -> Parameters:
    """Parameters of a node's kind from JSON data; a validator's error names the place."""
    try:
        return PARAMETERS[node.kind].model_validate(data)
    except ValidationError as error:
        raise explained(error, place) from error


def _by_path(holder: HasNodes, given: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for path, data in given.items():
        try:
            node = node_at(holder, path)
        except KeyError as error:
            context = {"place": f"parameters.{path}", "found": "parameters of no node", "expected": "a node's path"}
            raise PydanticCustomError("explained", "{place}: found {found}; expected {expected}", context) from error
        place = f"parameters.{path}"
        read[path] = parameters_of(node, cast("dict[str, Any]", data), place) if isinstance(data, dict) else data
    return read
