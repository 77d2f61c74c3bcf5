"""The catalogue: concrete changes to a structure, built from the kinds of nodes and the task's tools.

A small model cannot write a list of edits, but it can choose among changes in plain words. Each change is neutral about
the task: it knows types and wiring, never what the task is about. Sources of the patterns: review, Madaan et al. 2023
(Self-Refine); vote, Wang et al. 2023 (self-consistency); plan, Wang et al. 2023 (plan and solve); compute, Gao et al.
2023 (PAL); think, Wei et al. 2022 (chain of thought).
"""

from __future__ import annotations

from collections.abc import Iterable

from flowbot.fields import Type
from flowbot.task import Task
from flowbot.workflow.edits import (
    Edit,
    EditError,
    Ensemble,
    InsertRetrieval,
    InsertStep,
    RemoveNode,
    ReplaceNode,
    Split,
    apply,
)
from flowbot.workflow.nodes import (
    BranchNode,
    CodeNode,
    LLMNode,
    LoopNode,
    MapNode,
    MergeNode,
    Node,
    is_frozen,
    node_at,
    walk,
)
from flowbot.workflow.parameters import CodeParameters, LLMParameters
from flowbot.workflow.scope import Scope
from flowbot.workflow.starts import REASONING, reasoning_hint
from flowbot.workflow.workflow import Workflow

from .change import Change, Focus, ends, free
from .patterns import SAMPLES, SAMPLING_TEMPERATURE, patterns


def changes(workflow: Workflow, task: Task, node: str) -> list[Change]:
    """All changes about the step at the path `node` (an `llm` node that is not frozen), in a fixed order."""
    step = node_at(workflow.sketch, node)
    if not isinstance(step, LLMNode) or is_frozen(workflow.sketch, node):
        return []
    focus = Focus(workflow, task, node, step, Scope.of(workflow.sketch).at(node))
    found = [_review(focus), _vote(focus)]
    if not focus.kinds() & {"list", "object"}:
        found.insert(0, _compute(focus))
    found.append(_answer_only(focus) if REASONING in step.out else _think(focus))
    if all(type_.kind == "str" for type_ in focus.input_types().values()):
        found.append(_rewrite(focus))
    found.append(_plan(focus))
    found += [_tool(focus, index) for index in range(len(task.tools))]
    found += [change for path, _ in walk(workflow.sketch) if (change := _remove(workflow, path)) is not None]
    found += patterns(focus)
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


def _unread(workflow: Workflow, path: str, names: Iterable[str]) -> list[Edit]:
    """Edits that make the LLM steps of the same body that read an output of a step go on without it."""
    body, _, step = path.rpartition("/")
    gone = {f"{step}.{name}" for name in names}
    edits: list[Edit] = []
    for other, reader in walk(workflow.sketch):
        beside = other.rpartition("/")[0] == body
        if beside and isinstance(reader, LLMNode) and gone & set(reader.inputs.values()):
            left = {key: ref for key, ref in reader.inputs.items() if ref not in gone}
            edits.append(ReplaceNode(id=other, node=reader.model_copy(update={"inputs": left})))
    return edits


def _compute(focus: Focus) -> Change:
    answers, kinds = focus.answers, focus.kinds()
    number = "int" if kinds == {"int"} else "float"
    member = f"number: {number}" if kinds <= {"int", "float"} else "value: str"
    items = f"list[{{what: str, {member}}}]"
    noun = "numbers" if member.startswith("number") else "values"

    def build(text: str) -> list[Edit]:
        told = focus.told.model_copy(update={"format_hint": "", "demonstrations": ()})
        parameters = told.told_also(f"List the items with their {noun}.")
        listing = focus.node.model_copy(update={"out": {"items": items}})
        return [
            *_unread(focus.workflow, focus.path, [name for name in focus.node.out if name not in answers]),
            ReplaceNode(id=focus.path, node=listing, parameters=parameters),
            InsertStep(
                id=focus.path,
                where="after",
                name=focus.fresh("compute"),
                node=CodeNode(inputs={"items": f"{focus.name}.items"}, out=answers),
                parameters=CodeParameters(code=text),
            ),
        ]

    title = "Make the LLM call return the parts as a typed list, and compute the answer in Python."
    return Change(f"compute:{focus.path}", title, build, ({"items": items}, answers))


def _review(focus: Focus) -> Change:
    def build(_: str) -> list[Edit]:
        drafts = {f"draft_{name}": f"{focus.name}.{name}" for name in focus.node.out}
        parameters = LLMParameters(
            instruction=f"{focus.told.said} Review the draft and correct any mistake.",
            format_hint=reasoning_hint(focus.answers),
            model=focus.told.model,
            max_tokens=focus.told.max_tokens,
            tools=focus.told.tools,
        )
        second = LLMNode(
            inputs={**focus.node.inputs, **drafts},
            out={REASONING: "str", **focus.answers},
            model=focus.node.model,
            rounds=focus.node.rounds,
        )
        name = focus.fresh("review")
        return [InsertStep(id=focus.path, where="after", name=name, node=second, parameters=parameters)]

    title = "Add a second LLM call that reads the first answer and writes the answer again."
    return Change(f"review:{focus.path}", title, build)


def _vote(focus: Focus) -> Change:
    edit = Ensemble(id=focus.path, samples=SAMPLES, temperature=SAMPLING_TEMPERATURE)
    title = "Run the same LLM call three times and return the answer that occurs most often."
    return Change(f"vote:{focus.path}", title, lambda _: [edit])


def _think(focus: Focus) -> Change:
    def build(_: str) -> list[Edit]:
        hint = f"{reasoning_hint(focus.node.out)}\n{focus.told.format_hint}".strip()
        told = focus.told.model_copy(update={"format_hint": hint, "demonstrations": ()})
        thinking = focus.node.model_copy(update={"out": {REASONING: "str", **focus.node.out}})
        return [ReplaceNode(id=focus.path, node=thinking, parameters=told)]

    return Change(f"think:{focus.path}", "Make the LLM call write its reasoning before the answer.", build)


def _answer_only(focus: Focus) -> Change:
    def build(_: str) -> list[Edit]:
        hint = focus.told.format_hint.replace(reasoning_hint(focus.answers), "").strip()
        told = focus.told.model_copy(update={"format_hint": hint, "demonstrations": ()})
        short = focus.node.model_copy(update={"out": focus.answers})
        return [
            *_unread(focus.workflow, focus.path, [REASONING]),
            ReplaceNode(id=focus.path, node=short, parameters=told),
        ]

    return Change(f"answer:{focus.path}", "Make the LLM call write the answer at once, without reasoning.", build)


def _rewrite(focus: Focus) -> Change:
    told = LLMParameters(instruction=f"Rewrite the text in plain words for this task: {focus.task.goal}")
    out = {free("text", focus.node.out): "str"}
    edit = Split(id=focus.path, name=focus.fresh("rewrite"), out=out, keep=(), parameters=told)
    title = "Add an LLM call that first rewrites the input in plain words, then answer from that."
    return Change(f"rewrite:{focus.path}", title, lambda _: [edit])


def _plan(focus: Focus) -> Change:
    told = LLMParameters(instruction=f"Write a short plan, one line a step, for this task: {focus.task.goal}")
    name = focus.fresh("plan")
    out = {free(name, (*focus.node.out, *focus.node.inputs)): "str"}
    edit = Split(id=focus.path, name=name, out=out, parameters=told)
    title = "Split the LLM call into two calls: one writes a plan, the other answers by the plan."
    return Change(f"plan:{focus.path}", title, lambda _: [edit])


def _tool(focus: Focus, index: int) -> Change:
    signature = focus.task.tools[index].signature
    told = f"Write the arguments of the tool {signature.name} ({signature.about}) for this task: {focus.task.goal}"
    edit = InsertRetrieval(id=focus.path, tool=signature.name, ask=LLMParameters(instruction=told))
    title = f"Call the tool {signature.name} before the LLM call, which then reads what the tool gave."
    return Change(f"tool:{signature.name}:{focus.path}", title, lambda _: [edit])


def _remove(workflow: Workflow, path: str) -> Change | None:
    """Leave a step out, where what it gives can be had from what it read (same type), or is an extra input of an LLM.

    A step whose model is pinned stays, and what holds one: it may stand between a model and what that must not see.
    """
    scope = Scope.of(workflow.sketch).at(path)
    node, name = node_at(workflow.sketch, path), path.rpartition("/")[2]
    if is_frozen(workflow.sketch, path) or len(scope.nodes) == 1 or _holds_pin(node):
        return None
    bypass: dict[str, str] = {}
    extra: list[str] = []
    for output in node.gives:
        reference = f"{name}.{output}"
        readers = [other for other in scope.nodes.values() if reference in other.references()]
        if reference not in ends(scope) and all(isinstance(r, LLMNode) and len(r.inputs) > 1 for r in readers):
            extra.append(output)
            continue
        same = [ref for ref in node.references() if scope.type_of(ref) == scope.type_of(reference)]
        if not same:
            return None
        bypass[reference] = same[0]
    edits: list[Edit] = [*_unread(workflow, path, extra), RemoveNode(id=path, bypass=bypass)]
    return Change(f"remove:{path}", f"Remove the step `{path}` and go on without it.", lambda _: edits)


def _holds_pin(node: Node) -> bool:
    """Whether the model of a step, or of one in its body, is pinned."""
    inside = (each for _, each in walk(node)) if isinstance(node, LoopNode | MapNode) else ()
    return any(isinstance(each, LLMNode | BranchNode | MergeNode) and each.model for each in (node, *inside))
