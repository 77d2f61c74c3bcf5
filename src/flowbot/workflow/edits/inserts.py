"""How the compound edits that insert nodes are made on a draft: a branch, a retrieval step, any other step."""

from __future__ import annotations

from flowbot.fields import ToolSignature
from flowbot.workflow.nodes import BranchNode, CodeNode, LLMNode, LoopNode, MapNode, MergeNode, Node, ToolNode
from flowbot.workflow.parameters import ChoiceParameters, LLMParameters, Parameters

from .changes import give
from .compound import InsertBranch, InsertRetrieval, InsertStep
from .draft import Draft, free, split
from .patterns import in_stead, joined_text, like

ASK = "Write the arguments of the tool {name}{about}."


def insert_branch(draft: Draft, edit: InsertBranch) -> None:
    """A node on one way, a new one on the other, merges after both."""
    node = draft.node(edit.id)
    if not isinstance(node, LLMNode | ToolNode | CodeNode):
        draft.refuse(f"{edit.id} is of kind {node.kind}: name an llm, tool or code node")
    given = draft.parameters.get(edit.id)
    if isinstance(given, LLMParameters):
        draft.one_answer(edit.id)
    body, name = split(edit.id)
    read = draft.read(edit.id)
    other, parameters = _alternative(draft, edit, node, given)
    missing = [output for output in read if output not in other.gives]
    if missing:
        draft.refuse(f"{', '.join(missing)} of {edit.id} is read: the new node must give it too")
    route = draft.fresh("route")
    model = node.model if isinstance(node, LLMNode) else None
    asks = edit.condition is None
    branch = BranchNode(
        when=node.when,
        inputs=edit.inputs or node.inputs,
        ways={edit.name: edit.condition, name: None if asks else "else"},
        model=model if asks else None,
    )
    chooser = given.model if isinstance(given, LLMParameters) else None
    choice = ChoiceParameters(instruction=edit.instruction, model=chooser) if asks else None
    draft.add_beside(body, route, branch, choice)
    draft.add_beside(body, edit.name, other.model_copy(update={"when": f"{route}.{edit.name}"}), parameters)
    draft.put(edit.id, node.model_copy(update={"when": f"{route}.{name}"}))
    taken: dict[str, str] = {}
    for output in read:
        merge = draft.fresh(f"either_{output}")
        inputs = (f"{edit.name}.{output}", f"{name}.{output}")
        draft.add_beside(
            body, merge, MergeNode(how="first", when=node.when, inputs=inputs, out={output: node.out[output]})
        )
        taken[f"{name}.{output}"] = f"{merge}.{output}"
    merges = [reference.partition(".")[0] for reference in taken.values()]
    draft.take_over(body, taken, but=[name, edit.name, *merges])


def insert_retrieval(draft: Draft, edit: InsertRetrieval) -> None:
    """A tool call before an `llm` node, with another call that writes its arguments where they are not bound."""
    node, told = draft.llm(edit.id)
    body, _ = split(edit.id)
    signature = _signature(draft, edit.tool)
    types = {field.name: str(field.type) for field in signature.inputs}
    unknown = next((argument for argument in edit.bind if argument not in types), None)
    if unknown is not None:
        draft.refuse(f"{edit.tool} takes no {unknown}: bind {', '.join(types) or 'nothing'}")
    written = {name: text for name, text in types.items() if name not in signature.optional and name not in edit.bind}
    bound = dict(edit.bind)
    if written:
        ask = draft.fresh(f"ask_{edit.tool}")
        about = f" ({signature.about})" if signature.about else ""
        said = joined_text(told.said, ASK.format(name=edit.tool, about=about))
        asking = LLMNode(when=node.when, inputs=node.inputs, out=written, model=node.model)
        draft.add_beside(body, ask, asking, like(node, told, edit.ask or LLMParameters(instruction=said)))
        bound |= {argument: f"{ask}.{argument}" for argument in written}
    call = edit.name or draft.fresh(edit.tool)
    gives = {field.name: str(field.type) for field in signature.outputs}
    draft.add_beside(body, call, ToolNode(when=node.when, tool=edit.tool, inputs=bound, out=gives))
    inputs = dict(node.inputs)
    for output in gives:
        inputs[free(f"{call}_{output}", inputs)] = f"{call}.{output}"
    draft.put(edit.id, node.model_copy(update={"inputs": inputs}))


def insert_step(draft: Draft, edit: InsertStep) -> None:
    """A new node before another, which reads it, or after it, where it gives in its stead."""
    node = draft.node(edit.id, whole=False)
    body, name = split(edit.id)
    new = edit.node if edit.node.when is not None else edit.node.model_copy(update={"when": node.when})
    path = draft.add_beside(body, edit.name, new)
    give(draft, path, edit.parameters)
    if edit.where == "after":
        read = {reference for reader, reference in draft.readers(body, name) if reader != path}
        taken = {f"{name}.{output}": f"{edit.name}.{output}" for output in new.gives if f"{name}.{output}" in read}
        if not taken:
            listed = " or ".join(f"{name}.{output}" for output in new.gives)
            draft.refuse(f"nothing reads {listed}: give the new node an output that is read of {edit.id}")
        draft.take_over(body, taken, but=[edit.name])
        return
    if isinstance(node, MergeNode | LoopNode | MapNode):
        draft.refuse(f"{edit.id} is of kind {node.kind}: add the node, and rewire {edit.id}")
    clash = next((output for output in new.gives if output in node.inputs), None)
    if clash is not None:
        draft.refuse(f"{edit.id} reads an input {clash} already: call the new output otherwise")
    inputs = {**node.inputs, **{output: f"{edit.name}.{output}" for output in new.gives}}
    draft.put(edit.id, node.model_copy(update={"inputs": inputs}))


def _alternative(
    draft: Draft, edit: InsertBranch, node: LLMNode | ToolNode | CodeNode, given: Parameters | None
) -> tuple[Node, Parameters | None]:
    """The node of the other way and its parameters: those of the edit, else those of the node that is there."""
    if edit.node is None:
        new = edit.parameters or given
        if isinstance(node, LLMNode) and isinstance(given, LLMParameters) and isinstance(new, LLMParameters):
            new = in_stead(node, given, new)
        return node.model_copy(update={"feedback_from": ()}), new
    if isinstance(edit.node, BranchNode):
        draft.refuse("a branch gives nothing: name a node that gives what is read")
    return edit.node, edit.parameters


def _signature(draft: Draft, tool: str) -> ToolSignature:
    if draft.tools is None or tool not in draft.tools:
        draft.refuse(f"there is no tool {tool}; there are {', '.join(draft.tools or ()) or 'none'}")
    return draft.tools[tool]
