"""A workflow as a program in words, and what of it no program in words can say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from flowbot.fields import UserError
from flowbot.workflow.captions import reads_text, ways_text
from flowbot.workflow.conditions import say
from flowbot.workflow.core import CoreProgram, CoreStep, dump_core, read_core
from flowbot.workflow.graph import free_name, predecessors, split_reference, topological
from flowbot.workflow.nodes import (
    BodyNode,
    BranchNode,
    CodeNode,
    CoreNode,
    HasNodes,
    LLMNode,
    LoopNode,
    MergeNode,
    Node,
    ProgramNode,
    ToolNode,
)
from flowbot.workflow.parameters import ChoiceParameters, CoreParameters, LLMParameters
from flowbot.workflow.workflow import Workflow

FILE = "program.core.txt"
_HOW = {
    "first": "Take the first there is of",
    "vote": "Take what most say of",
    "concat": "Join",
    "judge": "Take the best of",
}


@dataclass(slots=True)
class CoreText:
    """A program in words.

    Args:
        text: the program.
        lost: what the workflow has and the text has not, a sentence each.
    """

    text: str = ""
    lost: list[str] = field(default_factory=list[str])


def core_text(workflow: Workflow, where: str = "workflow") -> CoreText:
    """A workflow as a program in words: a step a node, a decision a branch or a round of a loop, and a terminal for the outputs. One that
    is such a program alone is that.

    Raises:
        UserError: if it is too long for one.
    """
    (name, only), *others = workflow.sketch.nodes.items()
    told = workflow.parameter(name)
    if isinstance(only, CoreNode) and isinstance(told, CoreParameters) and not others:
        left = {
            "the types of what it gives": set(only.out.values()) - {"str"},
            "its tools": told.tools,
            "its model": told.model,
            "how it is carried out": only.interpreter != "compact",
        }
        return CoreText(told.program, [f"{name}: {what}." for what, there in left.items() if there])
    writer = _Writer(workflow)
    blocks = [*writer.body(workflow.sketch, "", None)]
    gives = ", ".join(f"{output} ({reference})" for output, reference in workflow.sketch.outputs.items())
    blocks.append(
        _Block(free_name("Outputs", {each.title() for each in workflow.sketch.nodes}), "terminal", f"Give {gives}")
    )
    text = dump_core(CoreProgram(tuple(_steps(blocks, ""))))
    if defects := read_core(text)[1]:
        raise UserError(
            where,
            f"a workflow that makes no program in words: {defects[0]}",
            "a smaller one, with short names that differ",
        )
    types = "the types of what its steps give, and how often loops go round at most"
    return CoreText(text, [f"Of all steps: {types}.", *writer.lost])


@dataclass(frozen=True, slots=True)
class _Block:
    """A step with the steps that its ways lead to before they meet again.

    Args:
        name: of the step.
        kind: of the step.
        instruction: of the step.
        ways: of a decision the keys, each with the blocks there.
        again: of a decision the name of the block that its first key goes back to.
    """

    name: str
    kind: str
    instruction: str
    ways: tuple[tuple[str, tuple[_Block, ...]], ...] = ()
    again: str = ""


def _steps(blocks: Sequence[_Block], then: str) -> Iterator[CoreStep]:
    """The steps of some blocks, the last of which goes on to `then`."""
    for block, after in zip(blocks, [*(each.name for each in blocks[1:]), then], strict=False):
        ways: tuple[tuple[str, str], ...] = () if block.kind == "terminal" else (("next", after),)
        if block.kind == "decision":
            ways = tuple((key, within[0].name if within else after) for key, within in block.ways)
            ways += (("Yes", after), ("No", block.again)) if block.again else ()
        yield CoreStep(block.name, block.kind, re.sub(r":{2,}|\s+", " ", block.instruction).strip(), ways)  # pyright: ignore[reportArgumentType]
        for _, within in block.ways:
            yield from _steps(within, after)


class _Writer:
    """Writes blocks, and notes what they leave out."""

    def __init__(self, workflow: Workflow) -> None:
        self.workflow, self.lost = workflow, list[str]()

    def body(self, holder: HasNodes, path: str, when: str | None) -> Iterator[_Block]:
        """The nodes of a body that stand on one way of it, each as soon as what it and the ways behind it wait for is there."""
        waiting = [name for name in topological(holder) if holder.nodes[name].when == when]
        inside = {name: {name, *_behind(holder, name)} for name in waiting}
        needs = {n: {b for each in inside[n] for b in predecessors(holder, each)} - inside[n] for n in waiting}
        while waiting:
            pending = set[str]().union(*(inside[each] for each in waiting))
            name = next((each for each in waiting if not needs[each] & pending), waiting[0])
            waiting.remove(name)
            yield from self.block(holder, path, name, holder.nodes[name])

    def block(self, holder: HasNodes, path: str, name: str, node: Node) -> Iterator[_Block]:
        """What one node becomes."""
        place = f"{path}{name}"
        if isinstance(node, BranchNode):
            ways = tuple((label, tuple(self.body(holder, path, f"{name}.{label}"))) for label in node.ways)
            yield _Block(place, "decision", self.said(place, node), ways)
        elif isinstance(node, BodyNode):
            inner = [*self.body(node, f"{place}/", None)]
            yield from inner
            if isinstance(node, LoopNode):
                ask = "Is this enough?" if node.until is None else f"Is it so that {say(node.until)}?"
            else:
                ask = f"Is this done for each {node.item} of {node.over}?"
                self.lost.append(f"{place}: that its items go side by side.")
            yield _Block(place, "decision", ask, again=inner[0].name)
        else:
            yield _Block(
                place, "process", f"{self.said(place, node)} (reads {reads_text(node)}; gives {', '.join(node.gives)})"
            )

    def said(self, place: str, node: Node) -> str:
        """What is to be done, in words."""
        told = self.workflow.parameter(place)
        match node:
            case LLMNode() if isinstance(told, LLMParameters):
                more = {
                    "worked examples": told.demonstrations,
                    "its tools": told.tools,
                    "that it is asked several times": told.samples > 1,
                }
                self.lost += [f"{place}: {what}." for what, there in more.items() if there]
                return f"{told.instruction_text} {told.format_hint}"
            case BranchNode() if not node.asks:
                return f"Which holds: {ways_text(node)}?"
            case BranchNode() if isinstance(told, ChoiceParameters):
                return told.instruction
            case MergeNode():
                return f"{_HOW[node.how]} {', '.join(node.inputs)}"
            case ToolNode():
                return f"Call the tool {node.tool}"
            case CodeNode() | ProgramNode() | CoreNode():
                self.lost.append(f"{place}: its {'code' if isinstance(node, CodeNode) else 'program'}.")
                return f"Work out {', '.join(node.gives)}"
            case _:
                return place


def _behind(holder: HasNodes, name: str) -> Iterator[str]:
    """The nodes on the ways of a branch, and on those of branches there."""
    for other, node in holder.nodes.items():
        if node.when is not None and split_reference(node.when)[0] == name:
            yield other
            yield from _behind(holder, other)
