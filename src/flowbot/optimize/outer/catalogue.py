"""The catalogue: concrete changes to a structure, built from the kinds of nodes and the task's tools.

A small model cannot write a list of edits, but it can choose among changes in plain words. Each change is neutral about
the task: it knows types and wiring, never what the task is about. Sources of the patterns: review, Madaan et al. 2023
(Self-Refine); vote, Wang et al. 2023 (self-consistency); plan, Wang et al. 2023 (plan and solve); compute, Gao et al.
2023 (PAL); think, Wei et al. 2022 (chain of thought).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flowbot.fields import Type
from flowbot.task import Task
from flowbot.workflow import (
    AddNode,
    CodeNode,
    CodeParameters,
    Edit,
    EditError,
    LLMNode,
    LLMParameters,
    MergeNode,
    NoParameters,
    RemoveNode,
    ReplaceNode,
    Rewire,
    SetOutput,
    ToolNode,
    Workflow,
    apply,
    reference_type,
)
from flowbot.workflow.starts import REASONING, reasoning_hint

SAMPLING_TEMPERATURE = 0.7


@dataclass(frozen=True, slots=True)
class Change:
    """A concrete change of one structure.

    Args:
        key: stable name, with the node that it is about.
        title: what it does, in a neutral sentence.
        build: the edits, given the code of the new computing step where there is one (else "").
        computes: the inputs and outputs (name to type text) of a new computing step, or None.
    """

    key: str
    title: str
    build: Callable[[str], list[Edit]]
    computes: tuple[dict[str, str], dict[str, str]] | None = None


def changes(workflow: Workflow, task: Task, node: str) -> list[Change]:
    """All changes about `node` (an `llm` node that is not frozen), in a fixed order."""
    focus = workflow.sketch.nodes[node]
    if not isinstance(focus, LLMNode) or focus.frozen:
        return []
    found = [_review(workflow, task, node, focus), _vote(workflow, node, focus)]
    if all(Type.parse(type_).kind not in ("list", "object") for type_ in _answers(focus).values()):
        found.insert(0, _compute(workflow, task, node, focus))
    if REASONING in focus.out:
        found.append(_answer_only(workflow, node, focus))
    else:
        found.append(_think(workflow, node, focus))
    if all(Type.parse(reference_type_text(workflow, ref)).kind == "str" for ref in focus.inputs.values()):
        found.append(_rewrite(workflow, task, node, focus))
    found.append(_plan(workflow, task, node, focus))
    found += [_tool(workflow, task, node, focus, index) for index in range(len(task.tools))]
    found += [change for name in workflow.sketch.nodes if (change := _remove(workflow, name)) is not None]
    return [change for change in found if _is_valid(workflow, task, change)]


def _is_valid(workflow: Workflow, task: Task, change: Change) -> bool:
    """Whether the change can be made here; its code, where it has some, is written later."""
    tools = {tool.signature.name: tool.signature for tool in task.tools}
    try:
        apply(workflow, change.build(prior_code(*change.computes) if change.computes else ""), tools=tools)
    except EditError:
        return False
    return True


def prior_code(inputs: dict[str, str], outputs: dict[str, str]) -> str:
    """What a computing step does while nobody has said better: sum the numbers of the list, or join its values."""
    name, type_ = next(iter(inputs.items()))
    item = Type.parse(type_).item
    numbers = item is not None and "number" in dict(item.members)
    value = f"sum(each['number'] for each in {name})" if numbers else f"', '.join(each['value'] for each in {name})"
    returned = ", ".join(f"{output!r}: {value}" for output in outputs)
    return f"def run({', '.join(inputs)}):\n    return {{{returned}}}"


def reference_type_text(workflow: Workflow, reference: str) -> str:
    """The type of what `reference` names, as text."""
    return str(reference_type(workflow.sketch, reference))


def _fresh(workflow: Workflow, name: str) -> str:
    taken = {*workflow.sketch.nodes, *workflow.sketch.inputs}
    return next(each for each in (name, *(f"{name}_{n}" for n in range(2, 100))) if each not in taken)


def _answers(focus: LLMNode) -> dict[str, str]:
    return {name: type_ for name, type_ in focus.out.items() if name != REASONING}


def _move_readers(
    workflow: Workflow, old: str, new: str, names: Sequence[str], *, but: Sequence[str] = ()
) -> list[Edit]:
    """Edits that make everyone who reads `old.name` read `new.name`."""
    moved = {f"{old}.{name}": f"{new}.{name}" for name in names}
    edits: list[Edit] = [
        SetOutput(output=output, to=moved[reference])
        for output, reference in workflow.sketch.outputs.items()
        if reference in moved
    ]
    for name, node in workflow.sketch.nodes.items():
        if name in but:
            continue
        if isinstance(node, MergeNode):
            if any(reference in moved for reference in node.inputs):
                inputs = tuple(moved.get(reference, reference) for reference in node.inputs)
                edits.append(ReplaceNode(id=name, node=node.model_copy(update={"inputs": inputs})))
            continue
        edits += [Rewire(id=name, input=i, to=moved[ref]) for i, ref in node.inputs.items() if ref in moved]
    return edits


def _unread(workflow: Workflow, node: str, names: Sequence[str]) -> list[Edit]:
    """Edits that make the LLM steps that read `node.name` go on without it."""
    gone = {f"{node}.{name}" for name in names}
    edits: list[Edit] = []
    for name, reader in workflow.sketch.nodes.items():
        if isinstance(reader, LLMNode) and gone & set(reader.inputs.values()):
            left = {key: ref for key, ref in reader.inputs.items() if ref not in gone}
            edits.append(ReplaceNode(id=name, node=reader.model_copy(update={"inputs": left})))
    return edits


def _given(workflow: Workflow, node: str) -> LLMParameters:
    given = workflow.parameter(node)
    return given if isinstance(given, LLMParameters) else LLMParameters()


def _compute(workflow: Workflow, task: Task, node: str, focus: LLMNode) -> Change:
    answers = _answers(focus)
    kinds = {Type.parse(text).kind for text in answers.values()}
    number = "int" if kinds == {"int"} else "float"
    member = f"number: {number}" if kinds <= {"int", "float"} else "value: str"
    items = f"list[{{what: str, {member}}}]"
    code = _fresh(workflow, "compute")
    noun = "numbers" if member.startswith("number") else "values"

    def build(text: str) -> list[Edit]:
        told = _given(workflow, node)
        instruction = f"{told.instruction} List the items with their {noun}."
        parameters = told.model_copy(update={"instruction": instruction, "format_hint": "", "demonstrations": ()})
        return [
            *_unread(workflow, node, [name for name in focus.out if name not in answers]),
            ReplaceNode(id=node, node=focus.model_copy(update={"out": {"items": items}}), parameters=parameters),
            AddNode(
                id=code,
                node=CodeNode(inputs={"items": f"{node}.items"}, out=answers),
                parameters=CodeParameters(code=text),
            ),
            *_move_readers(workflow, node, code, list(answers)),
        ]

    title = "Make the LLM call return the parts as a typed list, and compute the answer in Python."
    return Change(f"compute:{node}", title, build, ({"items": items}, answers))


def _review(workflow: Workflow, task: Task, node: str, focus: LLMNode) -> Change:
    answers = _answers(focus)
    review = _fresh(workflow, "review")

    def build(_: str) -> list[Edit]:
        inputs = {**focus.inputs, **{f"draft_{name}": f"{node}.{name}" for name in focus.out}}
        parameters = LLMParameters(
            instruction=f"{_given(workflow, node).instruction} Review the draft and correct any mistake.",
            format_hint=reasoning_hint(answers),
        )
        added = LLMNode(inputs=inputs, out={REASONING: "str", **answers})
        return [
            AddNode(id=review, node=added, parameters=parameters),
            *_move_readers(workflow, node, review, list(answers), but=[review]),
        ]

    return Change(
        f"review:{node}", "Add a second LLM call that reads the first answer and writes the answer again.", build
    )


def _vote(workflow: Workflow, node: str, focus: LLMNode) -> Change:
    answers = _answers(focus)

    def build(_: str) -> list[Edit]:
        told = _given(workflow, node).model_copy(update={"temperature": SAMPLING_TEMPERATURE})
        copies = [_fresh(workflow, f"{node}_{letter}") for letter in "bc"]
        edits: list[Edit] = [ReplaceNode(id=node, node=focus, parameters=told)]
        edits += [AddNode(id=copy, node=focus, parameters=told) for copy in copies]
        for name, type_ in answers.items():
            merge = _fresh(workflow, f"vote_{name}")
            ways = tuple(f"{each}.{name}" for each in (node, *copies))
            edits.append(
                AddNode(id=merge, node=MergeNode(how="vote", inputs=ways, out={name: type_}), parameters=NoParameters())
            )
            edits += _move_readers(workflow, node, merge, [name])
        return edits

    title = "Run the same LLM call three times and return the answer that occurs most often."
    return Change(f"vote:{node}", title, build)


def _think(workflow: Workflow, node: str, focus: LLMNode) -> Change:
    hint = _given(workflow, node).format_hint

    def build(_: str) -> list[Edit]:
        told = _given(workflow, node).model_copy(
            update={"format_hint": f"{reasoning_hint(focus.out)}\n{hint}".strip(), "demonstrations": ()}
        )
        thinking = focus.model_copy(update={"out": {REASONING: "str", **focus.out}})
        return [ReplaceNode(id=node, node=thinking, parameters=told)]

    return Change(f"think:{node}", "Make the LLM call write its reasoning before the answer.", build)


def _answer_only(workflow: Workflow, node: str, focus: LLMNode) -> Change:
    def build(_: str) -> list[Edit]:
        given = _given(workflow, node)
        hint = given.format_hint.replace(reasoning_hint(_answers(focus)), "").strip()
        told = given.model_copy(update={"format_hint": hint, "demonstrations": ()})
        return [
            *_unread(workflow, node, [REASONING]),
            ReplaceNode(id=node, node=focus.model_copy(update={"out": _answers(focus)}), parameters=told),
        ]

    return Change(f"answer:{node}", "Make the LLM call write the answer at once, without reasoning.", build)


def _rewrite(workflow: Workflow, task: Task, node: str, focus: LLMNode) -> Change:
    rewrite = _fresh(workflow, "rewrite")

    def build(_: str) -> list[Edit]:
        parameters = LLMParameters(instruction=f"Rewrite the text in plain words for this task: {task.goal}")
        told = _given(workflow, node).model_copy(update={"demonstrations": ()})
        reads = focus.model_copy(update={"inputs": {"text": f"{rewrite}.text"}})
        return [
            AddNode(id=rewrite, node=LLMNode(inputs=focus.inputs, out={"text": "str"}), parameters=parameters),
            ReplaceNode(id=node, node=reads, parameters=told),
        ]

    title = "Add an LLM call that first rewrites the input in plain words, then answer from that."
    return Change(f"rewrite:{node}", title, build)


def _plan(workflow: Workflow, task: Task, node: str, focus: LLMNode) -> Change:
    plan = _fresh(workflow, "plan")

    def build(_: str) -> list[Edit]:
        parameters = LLMParameters(instruction=f"Write a short plan, one line a step, for this task: {task.goal}")
        told = _given(workflow, node).model_copy(update={"demonstrations": ()})
        reads = focus.model_copy(update={"inputs": {**focus.inputs, plan: f"{plan}.{plan}"}})
        return [
            AddNode(id=plan, node=LLMNode(inputs=focus.inputs, out={plan: "str"}), parameters=parameters),
            ReplaceNode(id=node, node=reads, parameters=told),
        ]

    title = "Split the LLM call into two calls: one writes a plan, the other answers by the plan."
    return Change(f"plan:{node}", title, build)


def _tool(workflow: Workflow, task: Task, node: str, focus: LLMNode, index: int) -> Change:
    signature = task.tools[index].signature
    ask, call = _fresh(workflow, f"ask_{signature.name}"), _fresh(workflow, signature.name)

    def build(_: str) -> list[Edit]:
        arguments = {field.name: str(field.type) for field in signature.inputs if field.name not in signature.optional}
        results = {field.name: str(field.type) for field in signature.outputs}
        told = _given(workflow, node).model_copy(update={"demonstrations": ()})
        instruction = f"Write the arguments of the tool {signature.name} ({signature.about}) for this task: {task.goal}"
        reads = {**focus.inputs, **{f"{call}_{name}": f"{call}.{name}" for name in results}}
        return [
            AddNode(
                id=ask,
                node=LLMNode(inputs=focus.inputs, out=arguments),
                parameters=LLMParameters(instruction=instruction),
            ),
            AddNode(
                id=call,
                node=ToolNode(tool=signature.name, inputs={name: f"{ask}.{name}" for name in arguments}, out=results),
                parameters=NoParameters(),
            ),
            ReplaceNode(id=node, node=focus.model_copy(update={"inputs": reads}), parameters=told),
        ]

    title = f"Call the tool {signature.name} before the LLM call, which then reads what the tool gave."
    return Change(f"tool:{signature.name}:{node}", title, build)


def _remove(workflow: Workflow, name: str) -> Change | None:
    """Leave a step out, where what it gives can be had from what it read (same type), or is an extra input of an LLM."""
    sketch = workflow.sketch
    node = sketch.nodes[name]
    if node.frozen or len(sketch.nodes) == 1:
        return None
    bypass: dict[str, str] = {}
    drops: list[Edit] = []
    for output, type_ in node.out.items():
        reference = f"{name}.{output}"
        readers = [other for other in sketch.nodes.values() if reference in other.references()]
        if reference not in sketch.outputs.values() and all(
            isinstance(r, LLMNode) and len(r.inputs) > 1 for r in readers
        ):
            drops += _unread(workflow, name, [output])
            continue
        same = [ref for ref in node.references() if reference_type_text(workflow, ref) == type_]
        if not same:
            return None
        bypass[reference] = same[0]
    return Change(
        f"remove:{name}",
        f"Remove the step `{name}` and go on without it.",
        lambda _: [*drops, RemoveNode(id=name, bypass=bypass)],
    )
