"""The basic edits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from flowbot.fields import canonical_json
from flowbot.workflow.nodes import (
    BodyNode,
    BranchNode,
    LLMNode,
    LoopNode,
    MapNode,
    MergeNode,
    Node,
    changed,
    is_frozen,
    walk,
)
from flowbot.workflow.parameters import PARAMETERS, ChoiceParameters, LLMParameters, Parameters

from .draft import AnyParameters, Draft, split
from .edit import Edit, NewNode, Output, Path, Text, WithNode, by_path, node_text
from .written import NAMED, always, rows


class AddNode(WithNode):
    """A new node, with its first parameters."""

    op = "add"
    id: Text

    def __str__(self) -> str:
        return f"add {node_text(self.id, self.node)}"

    def make(self, draft: Draft) -> None:
        """Add it, last of its body."""
        draft.add(self.id, self.node)
        draft.assign(self.id, self.parameters)


class RemoveNode(Edit):
    """A node goes; `bypass` says what is read instead of each of its outputs that is read: old to new reference.

    Where a branch goes, the nodes of its ways run whenever it did.
    """

    op = "remove"
    id: Path
    bypass: Annotated[dict[str, str], rows("from", "to")] = Field(default_factory=dict)

    def __str__(self) -> str:
        bypass = ", ".join(f"{new} for {old}" for old, new in self.bypass.items())
        return f"remove {self.id}" + f", reading {bypass}" * bool(bypass)

    def make(self, draft: Draft) -> None:
        """Remove it, once every reader has something else to read."""
        gone = draft.node(self.id)
        prefix, name = split(self.id)
        outputs = [f"{name}.{output}" for output in gone.gives]
        if foreign := [reference for reference in self.bypass if reference not in outputs]:
            known = " or ".join(outputs) or "which is nothing"
            draft.refuse(f"bypass names {foreign[0]}: name what is read of the node, {known}")
        if isinstance(gone, BranchNode):
            draft.reroute(prefix, {f"{name}.{way}": gone.when for way in gone.ways})
        for reader, reference in draft.readers(prefix, name):
            if reference not in self.bypass:
                draft.refuse(f"{reader} reads {reference}: say in bypass what it reads instead")
        draft.take_over(prefix, self.bypass, but=[name])
        draft.drop(self.id)
        if isinstance(gone, MergeNode):
            _draw_once(draft, prefix, gone)


class ReplaceNode(WithNode):
    """Another node under the same id. Parameters that are not given stay, where kinds do; so does its model."""

    op = "replace"
    id: Path

    def __str__(self) -> str:
        return f"replace {self.id} by {node_text(self.id, self.node)}"

    def make(self, draft: Draft) -> None:
        """Put it in the place of the other."""
        draft.node(self.id)
        before = dict(walk(draft.sketch))
        draft.put(self.id, self.node)
        _renew(draft, before, self.id, self.parameters)


class Rewire(Edit):
    """An input of a node reads something else, or the node gets one more input.

    For a merge, whose inputs have no names, `input` is the reference that is replaced. For a loop it is the name of what
    is carried (where it starts), or that name and `.next`; for a map it is `over`, or the name of an output.
    """

    op = "rewire"
    id: Text
    input: Text
    to: Text

    def __str__(self) -> str:
        return f"{self.id} reads {self.to} as {self.input}"

    def make(self, draft: Draft) -> None:
        """Change the reference, wherever a node of this kind keeps it."""
        node = draft.node(self.id, whole=False)
        change: dict[str, Any]
        match node:
            case MergeNode() if self.input in node.given:
                change = {"given": {**node.given, self.input: self.to}}
            case MergeNode():
                if self.input not in node.inputs:
                    draft.refuse(f"the merge joins {', '.join(node.inputs)}: name the one to replace as input")
                change = {"inputs": node.rewired({self.input: self.to}).inputs}
            case LoopNode():
                name, dot, end = self.input.partition(".")
                if name not in node.carry or (dot and end != "next"):
                    known = ", ".join(f"{each}, {each}.next" for each in node.carry)
                    draft.refuse(f"the loop carries {', '.join(node.carry)}: name as input one of {known}")
                carried = node.carry[name].model_copy(update={end or "start": self.to})
                change = {"carry": {**node.carry, name: carried}}
            case MapNode():
                if self.input != "over" and self.input not in node.out:
                    draft.refuse(f"name as input `over` or an output of the map: {', '.join(node.out)}")
                change = {"over": self.to} if self.input == "over" else {"out": {**node.out, self.input: self.to}}
            case _:
                change = {"inputs": {**node.inputs, self.input: self.to}}
        draft.put(self.id, node.model_copy(update=change))


class RenameNode(Edit):
    """A node gets another name in its body; all that refers to it follows, and so do its parameters."""

    op = "rename"
    id: Path
    to: Text

    def __str__(self) -> str:
        return f"rename {self.id} to {self.to}"

    def make(self, draft: Draft) -> None:
        """Rename it, and all that refers to it."""
        node = draft.node(self.id)
        prefix, old = split(self.id)
        holder, new = draft.holder(prefix), self.to
        if "/" in new:
            draft.refuse("a node is renamed where it stands: give the new name alone")
        if new in holder.nodes or new in holder.input_names():
            draft.refuse(f"{new} is there already: choose another name")
        draft.take_over(prefix, {f"{old}.{output}": f"{new}.{output}" for output in node.gives})
        if isinstance(node, BranchNode):
            draft.reroute(prefix, {f"{old}.{way}": f"{new}.{way}" for way in node.ways})
        draft.set_nodes(prefix, {(new if name == old else name): each for name, each in draft.nodes(prefix).items()})
        draft.relink(prefix, old, new)
        draft.move_parameters(self.id, f"{prefix}{new}")


class SetOutput(Edit):
    """An output of the workflow is taken from elsewhere."""

    op = "output"
    output: Output
    to: Text

    def __str__(self) -> str:
        return f"take the output {self.output} from {self.to}"

    def make(self, draft: Draft) -> None:
        """Change its reference."""
        outputs = draft.sketch.outputs
        if self.output not in outputs:
            draft.refuse(f"the workflow's outputs are {', '.join(outputs)}, and they stay")
        draft.sketch = draft.sketch.model_copy(update={"outputs": {**outputs, self.output: self.to}})


class Rewrite(Edit):
    """The whole sketch anew, but for the workflow's inputs and the names of its outputs.

    Nodes that keep path and kind keep their parameters; `parameters` has those of new nodes, by path.
    """

    op = "rewrite"
    outputs: Annotated[dict[str, str], rows("name", "from", lambda offer: offer.outputs)]
    nodes: Annotated[dict[str, NewNode], always(NAMED)] = Field(min_length=1)
    parameters: dict[str, Parameters] = Field(default_factory=dict)

    @field_validator("parameters", mode="before")
    @classmethod
    def _of_their_kinds(cls, data: Any, info: ValidationInfo) -> Any:
        nodes: dict[str, Node] | None = info.data.get("nodes")
        return data if nodes is None else by_path(nodes, data)

    def __str__(self) -> str:
        nodes = "; ".join(node_text(name, node) for name, node in self.nodes.items())
        ends = ", ".join(f"{output} from {reference}" for output, reference in self.outputs.items())
        return f"rewrite the workflow: {nodes}; {ends}"

    def make(self, draft: Draft) -> None:
        """Write it anew; what is frozen must be in it as it is."""
        old, before = draft.sketch, dict(walk(draft.sketch))
        if set(self.outputs) != set(old.outputs):
            known = ", ".join(old.outputs)
            draft.refuse(f"the workflow's outputs are {known}, and they stay: bind each of them, no other")
        if clash := [name for name in self.nodes if name in old.inputs]:
            draft.refuse(f"{clash[0]} is an input of the workflow: choose another name")
        nodes = _with_frozen(draft, "", old.nodes, self.nodes)
        outputs = {name: self.outputs[name] for name in old.outputs}
        draft.sketch = old.model_copy(update={"nodes": nodes, "outputs": outputs})
        if frozen := [path for path in self.parameters if is_frozen(draft.sketch, path)]:
            draft.refuse(f"{frozen[0]} is frozen: give no parameters for it")
        _renew(draft, before, "", self.parameters)


def _draw_once(draft: Draft, prefix: str, gone: MergeNode) -> None:
    """What drew samples for a merge alone that has gone gives one answer again."""
    nodes = draft.nodes(prefix)
    joined = {ref.partition(".")[0] for node in nodes.values() if isinstance(node, MergeNode) for ref in node.inputs}
    for name in {reference.partition(".")[0] for reference in gone.inputs} - joined:
        parameters = draft.parameters.get(f"{prefix}{name}")
        if name in nodes and not nodes[name].frozen and isinstance(parameters, LLMParameters):
            draft.parameters[f"{prefix}{name}"] = parameters.model_copy(update={"samples": 1})


def _renew(draft: Draft, old: Mapping[str, Node], path: str, parameters: AnyParameters | None) -> None:
    """Parameters where nodes were replaced: they stay with nodes that keep path and kind, and have a use for them.

    A step that is replaced by another that asks a model asks the same, and writes as much at most, unless the edit says
    otherwise; a pinned model stays whatever it says.
    """
    new, all_were = dict(walk(draft.sketch)), draft.parameters
    draft.parameters = {
        each: was for each, was in all_were.items() if each in new and each in old and _fits(old[each], new[each])
    }
    draft.assign(path, parameters)
    for each in old:
        node, was = new.get(each), all_were.get(each)
        if not isinstance(node, LLMNode | BranchNode | MergeNode):
            continue
        pinned = getattr(old[each], "model", None) is not None
        if pinned:
            draft.put(each, node.model_copy(update={"model": "pinned"}))
        now = draft.parameters.get(each) or PARAMETERS[node.kind]()
        if not isinstance(now, LLMParameters | ChoiceParameters) or not (pinned or node.asks):
            continue
        kept: dict[str, Any] = {}
        if pinned or now.model is None:
            kept["model"] = was.model if isinstance(was, LLMParameters | ChoiceParameters) else None
        if isinstance(now, LLMParameters) and isinstance(was, LLMParameters) and now.max_tokens is None:
            kept["max_tokens"] = was.max_tokens
        if (renewed := changed(now, **kept)) is not now:
            draft.parameters[each] = renewed


def _fits(old: Node, new: Node) -> bool:
    """Whether a node can have the parameters of another: one of its kind; a branch or a merge only where it asks a model."""
    return old.kind == new.kind and (new.asks or not isinstance(new, BranchNode | MergeNode))


def _with_frozen(draft: Draft, prefix: str, old: Mapping[str, Node], new: Mapping[str, Node]) -> dict[str, Node]:
    """The nodes of a body as they are rewritten, with the frozen ones as they were."""
    nodes = dict(new)
    for name, was in old.items():
        path, now = f"{prefix}{name}", nodes.get(name)
        if was.frozen:
            if now is None or not _same(was, now):
                draft.refuse(f"{path} is frozen: write it as it is: {canonical_json(was.dump())}")
            nodes[name] = was
        elif isinstance(was, BodyNode):
            inside = now.nodes if isinstance(now, BodyNode) else {}
            kept = _with_frozen(draft, f"{path}/", was.nodes, inside)
            if now is not None and kept:
                nodes[name] = now.model_copy(update={"nodes": kept})
    return nodes


def _same(old: Node, new: Node) -> bool:
    """Whether a node is written as it is; what goes without saying need not be written."""
    unsaid = {key: getattr(old, key) for key in ("frozen", "feedback_from", "model", "rounds") if hasattr(old, key)}
    return type(new) is type(old) and new.model_copy(update=unsaid) == old
