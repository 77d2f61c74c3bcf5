"""Changes that most LLM calls allow: another call or step around them, or other outputs.

Sources: review, Madaan et al. 2023 (Self-Refine), and for texts, lists and objects verify, Dhuliawala et al. 2023 (chain of verification);
plan, Wang et al. 2023 (plan and solve); think, Wei et al. 2022 (chain of thought).
"""

from __future__ import annotations

from collections.abc import Iterator

from flowbot.workflow.edits.basic import ReplaceNode
from flowbot.workflow.edits.edit import Edit
from flowbot.workflow.edits.inserts import InsertRetrieval, InsertStep
from flowbot.workflow.edits.patterns import Split
from flowbot.workflow.graph import free_name
from flowbot.workflow.nodes import LLMNode
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.starts import REASONING, reasoning_hint

from .change import Call, Change, Place

REVIEW = "Review the draft and correct any mistake."
REVIEWED = "Add a second LLM call that reads the first answer and writes the answer again."
VERIFY = "Check the draft against the source, part by part, and correct what the source does not support."
VERIFY_HINT = f"In {REASONING}, name each part of the draft that the source does not support, or say none. Then give {{}}, corrected."
VERIFIED = (
    "Add a second LLM call that checks the answer against the input, says which part is not supported, and corrects it."
)


def review(place: Place) -> Iterator[Change]:
    """A second call that reads the first answer and writes it again; where that is more than a number or a label, it first says which
    part the source does not support."""
    if not isinstance(place, Call):
        return
    kind, said, hint, title = "review", REVIEW, reasoning_hint(place.answers), REVIEWED
    if place.gives_parts():
        kind, said, hint, title = "verify", VERIFY, VERIFY_HINT.format(", ".join(place.answers)), VERIFIED
    name = place.fresh(kind)

    def build(_: str) -> list[Edit]:
        drafts = {f"draft_{output}": f"{place.name}.{output}" for output in place.node.out}
        parameters = LLMParameters(
            instruction=f"{place.told.instruction_text} {said}",
            format_hint=hint,
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

    yield Change(kind, place.path, title, build)


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
