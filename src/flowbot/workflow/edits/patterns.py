"""How the compound edits that reshape nodes are made on a draft: split, fuse, review, ensemble, decompose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowbot.workflow.conditions import Test
from flowbot.workflow.graph import split_reference
from flowbot.workflow.nodes import BranchNode, Carry, CodeNode, LLMNode, LoopNode, MapNode, MergeNode, Node
from flowbot.workflow.parameters import MOST_LETTERS, ChoiceParameters, CodeParameters, LLMParameters

from .compound import Decompose, Ensemble, Fuse, Review, Split
from .draft import Draft, free, split

CRITIC = "Review the draft. Say in feedback what is wrong and how to mend it, and set ok to true if nothing is."
REVISER = "Write the answer again, mended as the feedback says."
JUDGE = "Choose the best answer."
DIVIDE = "Divide the task into parts that can be done one by one."
COMBINE = "Answer from the answers to the parts."


def split_in_two(draft: Draft, edit: Split) -> None:
    """A new `llm` node gives first what the old one then reads."""
    node, told = draft.llm(edit.id)
    body, name = split(edit.id)
    unknown = [key for key in edit.keep or () if key not in node.inputs]
    if unknown:
        draft.refuse(f"{edit.id} reads {', '.join(node.inputs)}, not {unknown[0]}: keep some of these")
    kept = {key: ref for key, ref in node.inputs.items() if edit.keep is None or key in edit.keep}
    clash = next((output for output in edit.out if output in kept), None)
    if clash is not None:
        draft.refuse(f"{edit.id} reads an input {clash} already: call the new output otherwise")
    rest = {output: text for output, text in node.out.items() if output not in edit.out}
    if not rest:
        draft.refuse(f"{edit.id} would give nothing: leave it one of {', '.join(node.out)}")
    first = LLMNode(when=node.when, inputs=node.inputs, out=edit.out, model=node.model)
    draft.add_beside(body, edit.name, first, like(node, told, edit.parameters))
    moved = {output: f"{edit.name}.{output}" for output in edit.out}
    draft.put(edit.id, node.model_copy(update={"inputs": {**kept, **moved}, "out": rest}))
    draft.parameters[edit.id] = told.model_copy(update={"demonstrations": ()})
    taken = {f"{name}.{output}": reference for output, reference in moved.items()}
    draft.take_over(body, taken, but=[name, edit.name])


def fuse(draft: Draft, edit: Fuse) -> None:
    """Two calls become one under the id of the second, which gives first what the first gave."""
    (one, told_one), (two, told_two) = draft.one_answer(edit.first), draft.one_answer(edit.second)
    (body, first), (other, second) = split(edit.first), split(edit.second)
    if body != other or first == second:
        draft.refuse("name two nodes of the same body")
    if any(split_reference(reference)[0] == second for reference in one.inputs.values()):
        draft.refuse(f"{first} reads {second}: name them the other way round")
    if (one.model or two.model) and (one.model, told_one.model) != (two.model, told_two.model):
        draft.refuse("their models differ, and one is pinned: leave them apart")
    gives: dict[str, str] = {}
    for output in one.out:
        gives[output] = free(output, {*two.out, *gives.values()} if output in two.out else gives.values())
    inputs = dict(one.inputs)
    for key, reference in two.inputs.items():
        if split_reference(reference)[0] != first and reference not in inputs.values():
            inputs = _beside(inputs, {key: reference})
    out = {**{gives[output]: text for output, text in one.out.items()}, **two.out}
    linked = tuple(dict.fromkeys(n for n in (*two.feedback_from, *one.feedback_from) if n not in (first, second)))
    draft.put(edit.second, two.model_copy(update={"inputs": inputs, "out": out, "feedback_from": linked}))
    draft.take_over(body, {f"{first}.{old}": f"{second}.{new}" for old, new in gives.items()}, but=[first, second])
    draft.relink(body, first, second)
    draft.drop(edit.first)
    both = {
        "instruction": joined_text(told_one.said, told_two.said),
        "messages": (),
        "format_hint": joined_text(told_one.format_hint, told_two.format_hint),
        "tools": tuple(dict.fromkeys((*told_one.tools, *told_two.tools))),
        "demonstrations": (),
    }
    merged = told_two.model_copy(update=both)
    draft.parameters[edit.second] = merged if edit.parameters is None else in_stead(two, merged, edit.parameters)


def review(draft: Draft, edit: Review) -> None:
    """A loop of critic and reviser after an `llm` node; the reviser runs only where the critic finds fault."""
    node, told = draft.one_answer(edit.id)
    body, name = split(edit.id)
    read = draft.read(edit.id)
    loop = edit.name or draft.fresh("review")
    critic, route, reviser = draft.fresh("critic"), draft.fresh("route"), draft.fresh("revise")
    carried = {output: draft.fresh(f"draft_{output}" if output == name else output) for output in read}
    kept = {output: draft.fresh(f"kept_{output}") for output in read}
    shown = _beside(node.inputs, {f"draft_{output}": carried[output] for output in read})
    feedback = free("feedback", shown)
    fine, done = Test(ref=f"{critic}.ok", op="==", value=True), Test(ref="ok", op="==", value=True)
    nodes: dict[str, Node] = {
        critic: LLMNode(inputs=shown, out={"feedback": "str", "ok": "bool"}, model=node.model),
        route: BranchNode(inputs={"ok": f"{critic}.ok"}, ways={"done": done, "mend": "else"}),
        reviser: LLMNode(
            when=f"{route}.mend",
            inputs={**shown, feedback: f"{critic}.feedback"},
            out={output: node.out[output] for output in read},
            model=node.model,
            rounds=node.rounds,
        ),
        **{
            kept[output]: MergeNode(
                how="first", inputs=(f"{reviser}.{output}", carried[output]), out={output: node.out[output]}
            )
            for output in read
        },
    }
    carry = {
        carried[output]: Carry(type=node.out[output], start=f"{name}.{output}", next=f"{kept[output]}.{output}")
        for output in read
    }
    path = draft.add_beside(body, loop, LoopNode(when=node.when, max=edit.rounds, until=fine, carry=carry, nodes=nodes))
    draft.parameters[f"{path}/{critic}"] = like(node, told, edit.critic or _call(joined_text(told.said, CRITIC)))
    draft.parameters[f"{path}/{reviser}"] = in_stead(node, told, edit.reviser or _call(joined_text(told.said, REVISER)))
    draft.take_over(body, {f"{name}.{output}": f"{loop}.{carried[output]}" for output in read}, but=[loop])


def ensemble(draft: Draft, edit: Ensemble) -> None:
    """An `llm` node draws samples, and a merge for each output joins them."""
    node, told = draft.one_answer(edit.id)
    body, name = split(edit.id)
    draft.parameters[edit.id] = told.model_copy(update={"samples": edit.samples, "temperature": edit.temperature})
    judged: dict[str, Any] = {"given": node.inputs, "model": node.model} if edit.how == "judge" else {}
    choice = ChoiceParameters(instruction=edit.instruction.strip() or JUDGE, model=told.model) if judged else None
    taken: dict[str, str] = {}
    for output in draft.read(edit.id):
        merge = draft.fresh(f"{edit.how}_{output}")
        reference = f"{name}.{output}"
        joined = MergeNode(how=edit.how, when=node.when, inputs=(reference,), out={output: node.out[output]}, **judged)
        draft.add_beside(body, merge, joined, choice)
        taken[reference] = f"{merge}.{output}"
    draft.take_over(body, taken, but=[reference.partition(".")[0] for reference in taken.values()])


def decompose(draft: Draft, edit: Decompose) -> None:
    """An `llm` node works on the items of a list; a step before it makes the list, if need be, and one after it combines."""
    node, told = draft.one_answer(edit.id)
    body, name = split(edit.id)
    read = draft.read(edit.id)
    combine = edit.name or draft.fresh("combine")
    each, item = draft.fresh("each"), draft.fresh("part")
    inputs = {key: item if key == edit.over else reference for key, reference in node.inputs.items()}
    if edit.over:
        if edit.over not in node.inputs:
            draft.refuse(f"{edit.id} reads {', '.join(node.inputs)}, not {edit.over}: go over one of these")
        over = node.inputs[edit.over]
    else:
        parts = draft.fresh("parts")
        divided = LLMNode(when=node.when, inputs=node.inputs, out={"parts": "list[str]"}, model=node.model)
        draft.add_beside(body, parts, divided, like(node, told, edit.divide or _call(joined_text(DIVIDE, told.said))))
        over = f"{parts}.parts"
        inputs = _beside(inputs, {item: item})
    inner = node.model_copy(update={"inputs": inputs, "when": None, "feedback_from": ()})
    draft.move_parameters(edit.id, f"{body}{each}/{name}")
    draft.add_beside(
        body,
        each,
        MapNode(
            when=node.when,
            over=over,
            limit=edit.limit,
            item=item,
            out={output: f"{name}.{output}" for output in read},
            nodes={name: inner},
        ),
    )
    results = {output: f"{each}.{output}" for output in read}
    out = {output: node.out[output] for output in read}
    if edit.code.strip():
        computed = CodeNode(when=node.when, inputs=results, out=out, feedback_from=node.feedback_from)
        draft.add_beside(body, combine, computed, CodeParameters(code=edit.code))
    else:
        shown = _beside(node.inputs, results)
        joined = LLMNode(
            when=node.when,
            inputs=shown,
            out=out,
            model=node.model,
            rounds=node.rounds,
            feedback_from=node.feedback_from,
        )
        said = edit.combine or _call(joined_text(told.said, COMBINE))
        draft.add_beside(body, combine, joined, in_stead(node, told, said))
    draft.relink(body, name, combine)
    taken = {f"{name}.{output}": f"{combine}.{output}" for output in read}
    draft.take_over(body, taken, but=[name, each, combine])
    draft.set_nodes(body, {other: kept for other, kept in draft.nodes(body).items() if other != name})


def _beside(inputs: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Inputs and more of them, which get other names where theirs are taken."""
    found = dict(inputs)
    for key, reference in more.items():
        found[free(key, found)] = reference
    return found


def _call(instruction: str) -> LLMParameters:
    return LLMParameters(instruction=instruction)


def like(node: LLMNode, told: LLMParameters, new: LLMParameters) -> LLMParameters:
    """Parameters of a node that is derived from another.

    It asks the same model, unless they name one and may, and writes as much at most, unless they say otherwise.
    """
    model = told.model if node.model == "pinned" or new.model is None else new.model
    most = told.max_tokens if new.max_tokens is None else new.max_tokens
    return new.model_copy(update={"model": model, "max_tokens": most})


def in_stead(node: LLMNode, told: LLMParameters, new: LLMParameters) -> LLMParameters:
    """As `like`, of a node that gives what the other gave: it may call the same tools, unless they name some."""
    return like(node, told, new).model_copy(update={"tools": new.tools or told.tools})


def joined_text(first: str, second: str) -> str:
    """Two texts as one instruction, each on lines of its own."""
    return "\n".join(part for part in (first.strip(), second.strip()) if part)[:MOST_LETTERS]
