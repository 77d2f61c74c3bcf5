"""Edits: typed changes to a sketch, as data. Models propose them, the journal keeps them, `edits.apply` makes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from flowbot.fields import FlowBotError

from .messages import explain, explained
from .nodes import MergeNode, Node, ToolNode
from .parameters import PARAMETERS, Parameters
from .rules import Defect


class EditError(FlowBotError):
    """Edits that cannot be made. The text says what to change in them.

    `defects` are those of the workflow that would have resulted, if the edits got that far.
    """

    def __init__(self, message: str, defects: tuple[Defect, ...] = ()) -> None:
        super().__init__(message)
        self.defects = defects


class _Edit(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class _WithNode(_Edit):
    id: str
    node: Node
    parameters: Parameters | None = None

    @model_validator(mode="before")
    @classmethod
    def _parameters_of_the_kind(cls, data: Any) -> Any:
        """Reads the parameters as those of the node's kind: which class they are does not show in them."""
        if not isinstance(data, dict):
            return data
        given = cast("dict[str, Any]", data)
        node, parameters = given.get("node"), given.get("parameters")
        kind = cast("dict[str, Any]", node).get("kind") if isinstance(node, dict) else getattr(node, "kind", None)
        if isinstance(parameters, dict) and isinstance(kind, str) and kind in PARAMETERS:
            try:
                return {**given, "parameters": PARAMETERS[kind].model_validate(parameters)}
            except ValidationError as error:
                raise explained(error, "parameters") from error
        return given


class AddNode(_WithNode):
    """A new node, with its first parameters."""

    op: Literal["add"] = "add"


class ReplaceNode(_WithNode):
    """Another node under the same id. Parameters that are not given stay, if the kind does."""

    op: Literal["replace"] = "replace"


class RemoveNode(_Edit):
    """A node goes; `bypass` says what is read instead of each of its outputs that is read: old to new reference."""

    op: Literal["remove"] = "remove"
    id: str
    bypass: dict[str, str] = Field(default_factory=dict)


class Rewire(_Edit):
    """An input of a node reads something else, or the node gets one more input.

    For a merge, whose inputs have no names, `input` is the reference that is replaced.
    """

    op: Literal["rewire"] = "rewire"
    id: str
    input: str
    to: str


class SetOutput(_Edit):
    """An output of the workflow is taken from elsewhere."""

    op: Literal["output"] = "output"
    output: str
    to: str


Edit = Annotated[AddNode | RemoveNode | ReplaceNode | Rewire | SetOutput, Field(discriminator="op")]

_EDIT: TypeAdapter[AddNode | RemoveNode | ReplaceNode | Rewire | SetOutput] = TypeAdapter(Edit)


def describe(edit: Edit) -> str:
    """An edit in one line, for people and for prompts."""
    match edit:
        case AddNode():
            return f"add {_described(edit.id, edit.node)}"
        case ReplaceNode():
            return f"replace {edit.id} by {_described(edit.id, edit.node)}"
        case RemoveNode():
            instead = ", ".join(f"{new} for {old}" for old, new in edit.bypass.items())
            return f"remove {edit.id}" + (f", reading {instead}" if instead else "")
        case Rewire():
            return f"{edit.id} reads {edit.to} as {edit.input}"
        case SetOutput():
            return f"take the output {edit.output} from {edit.to}"


def dump_edits(edits: Iterable[Edit]) -> list[dict[str, Any]]:
    """Edits as JSON data, which `parse_edits` reads back."""
    return [_dumped(edit) for edit in edits]


def parse_edits(data: Any) -> tuple[Edit, ...]:
    """Edits from JSON data: a list, or an object with a list `edits`.

    Besides the form of `dump_edits` it reads that of `edits_schema`, which models write: `in`, `out` and `bypass` as
    lists of closed objects, and an instruction or code inside the node.

    Raises:
        EditError: which edit is malformed, and how.
    """
    listed = cast("dict[str, Any]", data).get("edits") if isinstance(data, dict) else data
    if not isinstance(listed, list | tuple):
        raise EditError("the edits: expected a list of edits, each an object with `op`")
    edits: list[Edit] = []
    for number, each in enumerate(cast("list[Any]", listed), start=1):
        where = f"edit {number}"
        try:
            edits.append(_EDIT.validate_python(_plain(each, where)))
        except ValidationError as error:
            place, found, expected = explain(error)
            raise EditError(f"{where}{f', {place}' if place else ''}: found {found}; expected {expected}") from error
    return tuple(edits)


def _dumped(edit: Edit) -> dict[str, Any]:
    data = {"op": edit.op, **edit.model_dump(mode="json", by_alias=True, exclude_defaults=True)}
    return {**data, "node": edit.node.dump()} if isinstance(edit, AddNode | ReplaceNode) else data


def _described(name: str, node: Node) -> str:
    what = f"tool {node.tool}" if isinstance(node, ToolNode) else node.kind
    how = f" ({node.how})" if isinstance(node, MergeNode) else ""
    gives = ", ".join(f"{output}: {kind}" for output, kind in node.out.items())
    return f"{what} {name}{how}: {', '.join(node.references())} → {gives}"


def _plain(edit: Any, where: str) -> Any:
    """The written form of an edit in the form of the file format."""
    if not isinstance(edit, dict):
        return edit
    plain = dict(cast("dict[str, Any]", edit))
    if "bypass" in plain:
        plain["bypass"] = _pairs(plain["bypass"], "from", "to", f"{where}, bypass")
    if isinstance(plain.get("node"), dict):
        node = dict(cast("dict[str, Any]", plain["node"]))
        inside = {key: node.pop(key) for key in ("instruction", "format_hint", "code") if key in node}
        if inside and plain.get("parameters") is None:
            plain["parameters"] = inside
        for key, value in (("in", "from"), ("out", "type")):
            if key in node:
                node[key] = _pairs(node[key], "name", value, f"{where}, node.{key}")
        plain["node"] = node
    return plain


def _pairs(listed: Any, key: str, value: str, where: str) -> Any:
    """A list of closed objects as a mapping; anything else as it is."""
    if not isinstance(listed, list):
        return listed
    entries = cast("list[Any]", listed)
    if not all(isinstance(each, dict) and set(cast("dict[str, Any]", each)) == {key, value} for each in entries):
        return entries
    pairs = [(each[key], each[value]) for each in cast("list[dict[str, Any]]", entries)]
    names = [name for name, _ in pairs]
    if not all(isinstance(name, str) for name in names):
        return entries
    twice = [name for index, name in enumerate(names) if name in names[:index]]
    if twice:
        raise EditError(f"{where}: {twice[0]} stands twice")
    return dict(pairs)
