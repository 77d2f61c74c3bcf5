"""How each basic edit is made on a draft."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowbot.fields import canonical_json
from flowbot.workflow.nodes import (
    BranchNode,
    LLMNode,
    LoopNode,
    MapNode,
    MergeNode,
    Node,
    Sketch,
    asks_model,
    is_frozen,
    walk,
)
from flowbot.workflow.parameters import PARAMETERS, ChoiceParameters, LLMParameters, Parameters
from flowbot.workflow.prompt import places

from .basic import AddNode, Given, RemoveNode, RenameNode, ReplaceNode, Rewire, Rewrite, SetOutput
from .draft import Draft, split
from .wiring import joined


def add(draft: Draft, edit: AddNode) -> None:
    """A new node, with its first parameters."""
    draft.add(edit.id, edit.node)
    give(draft, edit.id, edit.parameters)


def remove(draft: Draft, edit: RemoveNode) -> None:
    """A node goes, and what read it reads what the bypass says."""
    gone = draft.node(edit.id)
    body, name = split(edit.id)
    given = [f"{name}.{output}" for output in gone.gives]
    foreign = [reference for reference in edit.bypass if reference not in given]
    if foreign:
        draft.refuse(
            f"bypass names {foreign[0]}: name what is read of the node, {' or '.join(given) or 'which is nothing'}"
        )
    if isinstance(gone, BranchNode):
        draft.reroute(body, {f"{name}.{way}": gone.when for way in gone.ways})
    for reader, reference in draft.readers(body, name):
        if reference not in edit.bypass:
            draft.refuse(f"{reader} reads {reference}: say in bypass what it reads instead")
    draft.take_over(body, edit.bypass, but=[name])
    draft.drop(edit.id)
    if isinstance(gone, MergeNode):
        _draw_once(draft, body, gone)


def replace(draft: Draft, edit: ReplaceNode) -> None:
    """Another node in the place of one."""
    draft.node(edit.id)
    before, parameters = draft.sketch, dict(draft.parameters)
    draft.put(edit.id, edit.node)
    _follow(draft, before)
    give(draft, edit.id, edit.parameters)
    _keep_models(draft, before, parameters)


def rewire(draft: Draft, edit: Rewire) -> None:
    """An input of a node reads something else."""
    node = draft.node(edit.id, whole=False)
    change: dict[str, Any]
    match node:
        case MergeNode():
            if edit.input in node.given:
                change = {"given": {**node.given, edit.input: edit.to}}
            elif edit.input in node.inputs:
                change = {"inputs": joined(node.inputs, lambda each: edit.to if each == edit.input else each)}
            else:
                draft.refuse(f"the merge joins {', '.join(node.inputs)}: name the one to replace as input")
        case LoopNode():
            name, dot, end = edit.input.partition(".")
            if name not in node.carry or (dot and end != "next"):
                known = ", ".join(f"{each}, {each}.next" for each in node.carry)
                draft.refuse(f"the loop carries {', '.join(node.carry)}: name as input one of {known}")
            carried = node.carry[name].model_copy(update={end or "start": edit.to})
            change = {"carry": {**node.carry, name: carried}}
        case MapNode():
            if edit.input != "over" and edit.input not in node.out:
                draft.refuse(f"name as input `over` or an output of the map: {', '.join(node.out)}")
            change = {"over": edit.to} if edit.input == "over" else {"out": {**node.out, edit.input: edit.to}}
        case _:
            change = {"inputs": {**node.inputs, edit.input: edit.to}}
    draft.put(edit.id, node.model_copy(update=change))


def rename(draft: Draft, edit: RenameNode) -> None:
    """A node gets another name in its body."""
    node = draft.node(edit.id)
    body, old = split(edit.id)
    holder, new = draft.holder(body), edit.to
    if "/" in new:
        draft.refuse("a node is renamed where it stands: give the new name alone")
    own = tuple(holder.inputs) if isinstance(holder, Sketch) else holder.own()
    if new in holder.nodes or new in own:
        draft.refuse(f"{new} is there already: choose another name")
    draft.take_over(body, {f"{old}.{output}": f"{new}.{output}" for output in node.gives})
    if isinstance(node, BranchNode):
        draft.reroute(body, {f"{old}.{way}": f"{new}.{way}" for way in node.ways})
    draft.set_nodes(body, {(new if name == old else name): each for name, each in draft.nodes(body).items()})
    draft.relink(body, old, new)
    draft.move_parameters(edit.id, f"{body}{new}")


def set_output(draft: Draft, edit: SetOutput) -> None:
    """An output of the workflow is taken from elsewhere."""
    outputs = draft.sketch.outputs
    if edit.output not in outputs:
        draft.refuse(f"the workflow's outputs are {', '.join(outputs)}, and they stay")
    draft.sketch = draft.sketch.model_copy(update={"outputs": {**outputs, edit.output: edit.to}})


def rewrite(draft: Draft, edit: Rewrite) -> None:
    """The whole sketch anew; what is frozen must be in it as it is."""
    old = draft.sketch
    if set(edit.outputs) != set(old.outputs):
        draft.refuse(f"the workflow's outputs are {', '.join(old.outputs)}, and they stay: bind each of them, no other")
    clash = next((name for name in edit.nodes if name in old.inputs), None)
    if clash is not None:
        draft.refuse(f"{clash} is an input of the workflow: choose another name")
    before, parameters = draft.sketch, dict(draft.parameters)
    nodes = _with_frozen(draft, "", old.nodes, edit.nodes)
    outputs = {name: edit.outputs[name] for name in old.outputs}
    draft.sketch = old.model_copy(update={"nodes": nodes, "outputs": outputs})
    _follow(draft, before)
    frozen = next((path for path in edit.parameters if is_frozen(draft.sketch, path)), None)
    if frozen is not None:
        draft.refuse(f"{frozen} is frozen: give no parameters for it")
    give(draft, "", edit.parameters)
    _keep_models(draft, before, parameters)


def _draw_once(draft: Draft, body: str, gone: MergeNode) -> None:
    """What drew samples for a merge alone that has gone gives one answer again."""
    nodes = draft.nodes(body)
    joined = {ref.partition(".")[0] for node in nodes.values() if isinstance(node, MergeNode) for ref in node.inputs}
    for name in {reference.partition(".")[0]: None for reference in gone.inputs}:
        told = draft.parameters.get(f"{body}{name}")
        if name in nodes and name not in joined and not nodes[name].frozen and isinstance(told, LLMParameters):
            draft.parameters[f"{body}{name}"] = told.model_copy(update={"samples": 1})


def give(draft: Draft, path: str, given: Given | None) -> None:
    """First parameters of a node, or of the nodes of its body."""
    if isinstance(given, dict):
        for inner, each in given.items():
            give(draft, f"{path}/{inner}".lstrip("/"), each)
    elif given is not None:
        draft.parameters[path] = _with_places(draft, path, given)


def _with_places(draft: Draft, path: str, given: Parameters) -> Parameters:
    """Parameters that an edit brings, for a step whose prompt is messages: its places stay. An instruction is a new text of
    the prompt's longest part."""
    was = draft.parameters.get(path)
    if not isinstance(given, LLMParameters) or not isinstance(was, LLMParameters) or not was.messages:
        return given
    if not given.messages:
        told = was.told(given.instruction) if given.instruction.strip() else was
        return given.model_copy(update={"instruction": "", "messages": told.messages})
    if places(given.messages) != places(was.messages):
        draft.refuse(f"the places in the prompt of {path} stay: change its texts alone")
    return given


def _follow(draft: Draft, before: Sketch) -> None:
    """Parameters stay with the nodes that keep path and kind, but for the instruction of one that asks no model any more."""
    old, new = dict(walk(before)), dict(walk(draft.sketch))
    draft.parameters = {
        path: given
        for path, given in draft.parameters.items()
        if path in old and path in new and old[path].kind == new[path].kind and _uses(new[path])
    }


def _uses(node: Node) -> bool:
    """Whether a node has a use for parameters: a branch and a merge only where they ask a model."""
    return asks_model(node) or not isinstance(node, BranchNode | MergeNode)


def _keep_models(draft: Draft, before: Sketch, parameters: Mapping[str, Parameters]) -> None:
    """A step that is replaced by another that asks a model asks the same, and writes as much at most, unless the edit says
    otherwise; a pinned model stays whatever it says."""
    new = dict(walk(draft.sketch))
    for path, old in walk(before):
        node, was = new.get(path), parameters.get(path)
        if not isinstance(node, LLMNode | BranchNode | MergeNode):
            continue
        pinned = getattr(old, "model", None) is not None
        if pinned:
            draft.put(path, node.model_copy(update={"model": "pinned"}))
        told = draft.parameters.get(path) or PARAMETERS[node.kind]()
        if not isinstance(told, LLMParameters | ChoiceParameters) or not (pinned or asks_model(node)):
            continue
        kept: dict[str, Any] = {}
        if pinned or told.model is None:
            kept["model"] = was.model if isinstance(was, LLMParameters | ChoiceParameters) else None
        if isinstance(told, LLMParameters) and isinstance(was, LLMParameters) and told.max_tokens is None:
            kept["max_tokens"] = was.max_tokens
        if any(getattr(told, name) != value for name, value in kept.items()):
            draft.parameters[path] = told.model_copy(update=kept)


def _with_frozen(draft: Draft, body: str, old: Mapping[str, Node], new: Mapping[str, Node]) -> dict[str, Node]:
    """The nodes of a body as they are rewritten, with the frozen ones as they were."""
    nodes = dict(new)
    for name, was in old.items():
        path, now = f"{body}{name}", nodes.get(name)
        if was.frozen:
            if now is None or not _same(was, now):
                draft.refuse(f"{path} is frozen: write it as it is: {canonical_json(was.dump())}")
            nodes[name] = was
        elif isinstance(was, LoopNode | MapNode):
            inside = now.nodes if isinstance(now, LoopNode | MapNode) else {}
            kept = _with_frozen(draft, f"{path}/", was.nodes, inside)
            if now is not None and kept:
                nodes[name] = now.model_copy(update={"nodes": kept})
    return nodes


def _same(old: Node, new: Node) -> bool:
    """Whether a node is written as it is; what goes without saying need not be written."""
    unsaid = {key: getattr(old, key) for key in ("frozen", "feedback_from", "model", "rounds") if hasattr(old, key)}
    return type(new) is type(old) and new.model_copy(update=unsaid) == old
