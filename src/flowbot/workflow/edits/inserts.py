"""The compound edits that put steps around a node: a map, a branch, a tool call, any other step."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from flowbot.workflow.conditions import Condition, Guard, say
from flowbot.workflow.nodes import MAX_ITEMS, BranchNode, CodeNode, LLMNode, MapNode, Node, ProgramNode, ToolNode
from flowbot.workflow.parameters import ChoiceParameters, CodeParameters, LLMParameters, Parameters

from .derived import beside, in_stead, like, lines, merge_each
from .draft import Draft, split
from .edit import Call, Edit, NewCall, NewNode, Path, Text, WithNode, as_parameters, listed, node_text
from .written import CONDITION, PYTHON, TEXT, Written, always, one_of, rows

DIVIDE = "Divide the task into parts that can be done one by one."
COMBINE = "Answer from the answers to the parts."
ASK = "Write the arguments of the tool {name}{about}."


class Decompose(Edit):
    """An `llm` node works on each item of a list, side by side, and a new step `name` combines what it gives.

    The list is that which the node reads as its input `over`; left out: a new `llm` node divides the task into parts.
    The combining step is Python where `code` is given, else an `llm` node. Least-to-most and map-reduce prompting.
    """

    op = "decompose"
    needs = frozenset({"llm", "map"})
    id: Call
    name: Text = ""
    over: Text = ""
    limit: int = Field(default=10, ge=1, le=MAX_ITEMS)
    divide: NewCall = None
    combine: NewCall = None
    code: Annotated[str, Written(lambda offer: PYTHON if "code" in offer.kinds else None)] = ""

    def __str__(self) -> str:
        parts = f"each item of {self.over}" if self.over else "each part that a new call divides the task into"
        how = "Python" if self.code else "another call"
        return f"run {self.id} on {parts} (at most {self.limit}), and combine the results by {how}"

    def make(self, draft: Draft) -> None:
        """Put the node into a map; a step before it makes the list, if need be, and one after it combines."""
        node, parameters = draft.one_answer(self.id)
        prefix, name = split(self.id)
        out = draft.read(self.id, node.out)
        combine = self.name or draft.fresh("combine")
        each, item = draft.fresh("each"), draft.fresh("part")
        inputs = {key: item if key == self.over else reference for key, reference in node.inputs.items()}
        if self.over:
            if self.over not in node.inputs:
                draft.refuse(f"{self.id} reads {', '.join(node.inputs)}, not {self.over}: go over one of these")
            over = node.inputs[self.over]
        else:
            parts = draft.fresh("parts")
            divided = LLMNode(when=node.when, inputs=node.inputs, out={"parts": "list[str]"}, model=node.model)
            divide = self.divide or lines(DIVIDE, parameters.instruction_text)
            draft.add_beside(prefix, parts, divided, like(node, parameters, divide))
            over = f"{parts}.parts"
            inputs = beside(inputs, {item: item})
        inner = node.model_copy(update={"inputs": inputs, "when": None, "feedback_from": ()})
        ends = {output: f"{name}.{output}" for output in out}
        draft.move_parameters(self.id, f"{prefix}{each}/{name}")
        around = MapNode(when=node.when, over=over, limit=self.limit, item=item, out=ends, nodes={name: inner})
        draft.add_beside(prefix, each, around)
        results = {output: f"{each}.{output}" for output in out}
        fields: dict[str, Any] = {"when": node.when, "out": out, "feedback_from": node.feedback_from}
        if self.code.strip():
            draft.add_beside(prefix, combine, CodeNode(inputs=results, **fields), CodeParameters(code=self.code))
        else:
            shown = beside(node.inputs, results)
            answer = LLMNode(inputs=shown, model=node.model, rounds=node.rounds, **fields)
            instruction = self.combine or lines(parameters.instruction_text, COMBINE)
            draft.add_beside(prefix, combine, answer, in_stead(node, parameters, instruction))
        draft.relink(prefix, name, combine)
        taken = {f"{name}.{output}": f"{combine}.{output}" for output in out}
        draft.take_over(prefix, taken, but=[name, each, combine])
        draft.set_nodes(prefix, {other: kept for other, kept in draft.nodes(prefix).items() if other != name})


def _call_or_code(written: Any) -> Any:
    """Parameters as those of the kind that they look like; a plain text is an instruction."""
    if isinstance(written, dict) and "code" in written:
        return CodeParameters.model_validate(written)
    return as_parameters(written)


class InsertBranch(Edit, populate_by_name=True):
    """A node runs on one way only, and a new one, `name`, on the other; merges join what both give.

    The ways are called as the nodes. The new node's is taken where `condition` holds over `inputs` (name to reference;
    left out: what the node reads); without a condition a model chooses by `instruction`. The new node is `node`; left
    out: like the old one, to be tuned apart from it.
    """

    op = "insert_branch"
    needs = frozenset({"branch", "merge"})
    id: Path
    name: Text
    inputs: Annotated[dict[str, str], rows("name", "from")] = Field(
        default_factory=dict, validation_alias="in", serialization_alias="in"
    )
    condition: Annotated[Condition | None, always(CONDITION)] = None
    instruction: Text = ""
    node: NewNode | None = None
    parameters: Annotated[LLMParameters | CodeParameters | None, BeforeValidator(_call_or_code), always(TEXT)] = None

    def __str__(self) -> str:
        when = f"when {say(self.condition)}" if self.condition is not None else "when a model so chooses"
        what = node_text(self.name, self.node) if self.node is not None else f"{self.name}, a copy of {self.id}"
        return f"run {what} instead of {self.id} {when}"

    def make(self, draft: Draft) -> None:
        """Put a branch before both nodes, and merges after them."""
        node = draft.node(self.id)
        if not isinstance(node, LLMNode | ToolNode | CodeNode | ProgramNode):
            draft.refuse(f"{self.id} is of kind {node.kind}: name an llm, tool, code or program node")
        parameters = draft.parameters.get(self.id)
        if isinstance(parameters, LLMParameters):
            draft.one_answer(self.id)
        prefix, name = split(self.id)
        out = draft.read(self.id, node.out)
        other, own = self._alternative(draft, node, parameters)
        if missing := ", ".join(output for output in out if output not in other.gives):
            draft.refuse(f"{missing} of {self.id} is read: the new node must give it too")
        route = draft.fresh("route")
        asks = self.condition is None
        ways: dict[str, Guard | None] = {self.name: self.condition, name: None if asks else "else"}
        pinned = node.model if asks and isinstance(node, LLMNode) else None
        branch = BranchNode(when=node.when, inputs=self.inputs or node.inputs, ways=ways, model=pinned)
        model = parameters.model if isinstance(parameters, LLMParameters) else None
        choice = ChoiceParameters(instruction=self.instruction, model=model) if asks else None
        draft.add_beside(prefix, route, branch, choice)
        draft.add_beside(prefix, self.name, other.model_copy(update={"when": f"{route}.{self.name}"}), own)
        draft.put(self.id, node.model_copy(update={"when": f"{route}.{name}"}))
        merge_each(draft, prefix, [self.name, name], out, "either", how="first", when=node.when)

    def _alternative(
        self, draft: Draft, node: LLMNode | ToolNode | CodeNode | ProgramNode, parameters: Parameters | None
    ) -> tuple[Node, Parameters | None]:
        """The node of the other way and its parameters: those of the edit, else those of the node that is there."""
        if isinstance(self.node, BranchNode):
            draft.refuse("a branch gives nothing: name a node that gives what is read")
        if self.node is not None:
            return self.node, self.parameters
        new = self.parameters or parameters
        if isinstance(node, LLMNode) and isinstance(parameters, LLMParameters) and isinstance(new, LLMParameters):
            new = in_stead(node, parameters, new)
        return node.model_copy(update={"feedback_from": ()}), new


class InsertRetrieval(Edit):
    """A tool is called before an `llm` node, which then reads what it gives.

    `bind` gives arguments their references; a new `llm` node writes the others that the tool needs.
    """

    op = "insert_retrieval"
    needs = frozenset({"llm", "tool"})
    id: Call
    tool: Annotated[str, Written(lambda offer: offer.tools)]
    name: Text = ""
    bind: Annotated[dict[str, str], rows("name", "from")] = Field(default_factory=dict)
    ask: NewCall = None

    def __str__(self) -> str:
        bound = f" with {listed(self.bind)}" if self.bind else ""
        return f"call the tool {self.tool}{bound} before {self.id}, which reads what it gives"

    def make(self, draft: Draft) -> None:
        """Add the tool call, and a call that writes its arguments where they are not bound."""
        node, parameters = draft.llm(self.id)
        prefix, _ = split(self.id)
        if draft.tools is None or self.tool not in draft.tools:
            draft.refuse(f"there is no tool {self.tool}; there are {', '.join(draft.tools or ()) or 'none'}")
        signature = draft.tools[self.tool]
        types = {field.name: str(field.type) for field in signature.inputs}
        if unknown := [argument for argument in self.bind if argument not in types]:
            draft.refuse(f"{self.tool} takes no {unknown[0]}: bind {', '.join(types) or 'nothing'}")
        unbound = {name: text for name, text in types.items() if name not in {*signature.optional, *self.bind}}
        bound = dict(self.bind)
        if unbound:
            ask = draft.fresh(f"ask_{self.tool}")
            about = f" ({signature.about})" if signature.about else ""
            instruction = self.ask or lines(parameters.instruction_text, ASK.format(name=self.tool, about=about))
            asking = LLMNode(when=node.when, inputs=node.inputs, out=unbound, model=node.model)
            draft.add_beside(prefix, ask, asking, like(node, parameters, instruction))
            bound |= {argument: f"{ask}.{argument}" for argument in unbound}
        call = self.name or draft.fresh(self.tool)
        out = {field.name: str(field.type) for field in signature.outputs}
        draft.add_beside(prefix, call, ToolNode(when=node.when, tool=self.tool, inputs=bound, out=out))
        inputs = beside(node.inputs, {f"{call}_{output}": f"{call}.{output}" for output in out})
        draft.put(self.id, node.model_copy(update={"inputs": inputs}))


class InsertStep(WithNode):
    """A new node `name` beside another: a computing step, mostly.

    `before`: the other reads all that it gives, under the same names. `after`: whoever read an output of the other that
    the new node gives too reads it from there.
    """

    op = "insert"
    id: Path
    where: Annotated[Literal["before", "after"], always(one_of(["before", "after"]))]
    name: Text

    def __str__(self) -> str:
        return f"insert {self.where} {self.id}: {node_text(self.name, self.node)}"

    def make(self, draft: Draft) -> None:
        """Add the new node, and let it be read."""
        node = draft.node(self.id, whole=False)
        prefix, name = split(self.id)
        new = self.node if self.node.when is not None else self.node.model_copy(update={"when": node.when})
        path = draft.add_beside(prefix, self.name, new)
        draft.assign(path, self.parameters)
        if self.where == "after":
            read = {reference for reader, reference in draft.readers(prefix, name) if reader != path}
            taken = {f"{name}.{output}": f"{self.name}.{output}" for output in new.gives if f"{name}.{output}" in read}
            if not taken:
                known = " or ".join(f"{name}.{output}" for output in new.gives)
                draft.refuse(f"nothing reads {known}: give the new node an output that is read of {self.id}")
            draft.take_over(prefix, taken, but=[self.name])
            return
        if not isinstance(node, LLMNode | ToolNode | CodeNode | BranchNode):
            draft.refuse(f"{self.id} is of kind {node.kind}: add the node, and rewire {self.id}")
        if clash := [output for output in new.gives if output in node.inputs]:
            draft.refuse(f"{self.id} reads an input {clash[0]} already: call the new output otherwise")
        inputs = {**node.inputs, **{output: f"{self.name}.{output}" for output in new.gives}}
        draft.put(self.id, node.model_copy(update={"inputs": inputs}))
