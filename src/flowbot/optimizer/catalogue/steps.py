"""Changes that most LLM calls allow: another call or step around them, or other outputs.

Sources: review, Madaan et al. 2023 (Self-Refine); plan, Wang et al. 2023 (plan and solve); compute, Gao et al. 2023 (PAL); think,
Wei et al. 2022 (chain of thought).
"""

from __future__ import annotations

from collections.abc import Iterator

from flowbot.workflow.edits.basic import ReplaceNode
from flowbot.workflow.edits.edit import Edit
from flowbot.workflow.edits.inserts import InsertRetrieval, InsertStep
from flowbot.workflow.edits.patterns import Split
from flowbot.workflow.graph import free_name
from flowbot.workflow.nodes import CodeNode, LLMNode
from flowbot.workflow.parameters import CodeParameters, LLMParameters
from flowbot.workflow.starts import REASONING, reasoning_hint

from .change import Call, Change, Place


def compute(place: Place) -> Iterator[Change]:
    """Let the call list the parts, and compute the answer from them in Python."""
    if not isinstance(place, Call) or place.kinds() & {"list", "object"}:
        return
    answers, kinds = place.answers, place.kinds()
    number = "int" if kinds == {"int"} else "float"
    member = f"number: {number}" if kinds <= {"int", "float"} else "value: str"
    items = f"list[{{what: str, {member}}}]"
    noun = "numbers" if member.startswith("number") else "values"

    def build(text: str) -> list[Edit]:
        told = place.told.model_copy(update={"format_hint": "", "demonstrations": ()})
        parameters = told.with_added_text(f"List the items with their {noun}.")
        listing = place.node.model_copy(update={"out": {"items": items}})
        return [
            *place.unread(name for name in place.node.out if name not in answers),
            ReplaceNode(id=place.path, node=listing, parameters=parameters),
            InsertStep(
                id=place.path,
                where="after",
                name=place.fresh("compute"),
                node=CodeNode(inputs={"items": f"{place.name}.items"}, out=answers),
                parameters=CodeParameters(code=text),
            ),
        ]

    title = "Make the LLM call return the parts as a typed list, and compute the answer in Python."
    yield Change("compute", place.path, title, build, computes=({"items": items}, answers))


def review(place: Place) -> Iterator[Change]:
    """A second call that reads the first answer and writes it again."""
    if not isinstance(place, Call):
        return
    name = place.fresh("review")

    def build(_: str) -> list[Edit]:
        drafts = {f"draft_{output}": f"{place.name}.{output}" for output in place.node.out}
        parameters = LLMParameters(
            instruction=f"{place.told.instruction_text} Review the draft and correct any mistake.",
            format_hint=reasoning_hint(place.answers),
            model=place.told.model,
            max_tokens=place.told.max_tokens,
            tools=place.told.tools,
        )
        second = LLMNode(
            inputs={**place.node.inputs, **drafts},
            out={REASONING: "str", **place.answers},
            model=place.node.model,
            rounds=place.node.rounds,
        )
        return [InsertStep(id=place.path, where="after", name=name, node=second, parameters=parameters)]

    title = "Add a second LLM call that reads the first answer and writes the answer again."
    yield Change("review", place.path, title, build)


def think(place: Place) -> Iterator[Change]:
    """Reasoning before the answer."""
    if not isinstance(place, Call) or REASONING in place.node.out:
        return
    hint = f"{reasoning_hint(place.node.out)}\n{place.told.format_hint}".strip()
    told = place.told.model_copy(update={"format_hint": hint, "demonstrations": ()})
    thinking = place.node.model_copy(update={"out": {REASONING: "str", **place.node.out}})
    edit = ReplaceNode(id=place.path, node=thinking, parameters=told)
    yield Change("think", place.path, "Make the LLM call write its reasoning before the answer.", lambda _: [edit])


def answer_only(place: Place) -> Iterator[Change]:
    """The answer without reasoning."""
    if not isinstance(place, Call) or REASONING not in place.node.out:
        return
    hint = place.told.format_hint.replace(reasoning_hint(place.answers), "").strip()
    told = place.told.model_copy(update={"format_hint": hint, "demonstrations": ()})
    short = place.node.model_copy(update={"out": place.answers})
    edits = [*place.unread([REASONING]), ReplaceNode(id=place.path, node=short, parameters=told)]
    title = "Make the LLM call write the answer at once, without reasoning."
    yield Change("answer", place.path, title, lambda _: edits)


def rewrite(place: Place) -> Iterator[Change]:
    """A call before it that rewrites its input, where that is text alone."""
    if not isinstance(place, Call) or any(type_.kind != "str" for type_ in place.input_types().values()):
        return
    told = LLMParameters(instruction=f"Rewrite the text in plain words for this task: {place.task.goal}")
    out = {free_name("text", place.node.out): "str"}
    edit = Split(id=place.path, name=place.fresh("rewrite"), out=out, keep=(), parameters=told)
    title = "Add an LLM call that first rewrites the input in plain words, then answer from that."
    yield Change("rewrite", place.path, title, lambda _: [edit])


def plan(place: Place) -> Iterator[Change]:
    """A call before it that writes a plan."""
    if not isinstance(place, Call):
        return
    told = LLMParameters(instruction=f"Write a short plan, one line a step, for this task: {place.task.goal}")
    name = place.fresh("plan")
    out = {free_name(name, (*place.node.out, *place.node.inputs)): "str"}
    edit = Split(id=place.path, name=name, out=out, parameters=told)
    title = "Split the LLM call into two calls: one writes a plan, the other answers by the plan."
    yield Change("plan", place.path, title, lambda _: [edit])


def call_tool(place: Place) -> Iterator[Change]:
    """A call of one of the task's tools before it."""
    if not isinstance(place, Call):
        return
    for tool in place.task.tools:
        name = tool.signature.name
        told = f"Write the arguments of the tool {name} ({tool.signature.about}) for this task: {place.task.goal}"
        edit = InsertRetrieval(id=place.path, tool=name, ask=LLMParameters(instruction=told))
        title = f"Call the tool {name} before the LLM call, which then reads what the tool gave."
        yield Change("tool", place.path, title, lambda _, edit=edit: [edit], variant=name)
