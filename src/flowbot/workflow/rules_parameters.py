"""Rules on parameters: they are of nodes that there are, of their kind, and sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from flowbot.fields import ValueMismatch

from .code import code_faults
from .core import read_core, shortest_way
from .defects import Defect, choices
from .graph import split_reference
from .nodes import BranchNode, CodeNode, CoreNode, LLMNode, MergeNode, ProgramNode, walk
from .parameters import (
    PARAMETERS,
    ChoiceParameters,
    CodeParameters,
    CoreParameters,
    Demonstration,
    LLMParameters,
    ProgramParameters,
)
from .scope import Scope, parsed
from .workflow import Workflow

ToolRule = Callable[[str, str], Iterator[Defect]]
"""From a place and a tool's name to what is wrong with calling it."""
MOST_VALUE = 1000
"""Letters of a value that is a text."""
FillingRule = Callable[[str, dict[str, Any]], Iterator[Defect]]
"""From a place and the data of a workflow to what is wrong with it."""


def demonstration_fault(node: LLMNode, scope: Scope, shown: Demonstration) -> str:
    """Why a demonstration does not fit a node, or an empty text.

    It shows every input of the node and at least one of its outputs, nothing else, with values of the declared types.

    Args:
        node: the node.
        scope: that in which the node stands.
        shown: the demonstration.
    """
    if set(shown.inputs) != set(node.inputs):
        reads = ", ".join(node.inputs) or "none"
        return f"shows the inputs {', '.join(shown.inputs) or 'none'}, and the node reads {reads}"
    if not shown.outputs or not set(shown.outputs) <= set(node.out):
        return f"shows the outputs {', '.join(shown.outputs) or 'none'}, and the node gives {', '.join(node.out) or 'none'}"
    types = {name: scope.type_text(reference) or "" for name, reference in node.inputs.items()}
    for texts, values in ((types, shown.inputs), (node.out, shown.outputs)):
        for name, value in values.items():
            kind = parsed(texts[name])
            try:
                if kind is not None:
                    kind.coerce(value, name)
            except ValueMismatch as error:
                return str(error)
    return ""


def parameter_defects(
    workflow: Workflow, scope: Scope, tool_rule: ToolRule, filling_rule: FillingRule
) -> Iterator[Defect]:
    """What is wrong with the parameters of a workflow's nodes.

    Args:
        workflow: the workflow.
        scope: its outermost scope.
        tool_rule: what is wrong with calling a tool.
        filling_rule: what is wrong with what fills a place of a program.
    """
    paths = {path for path, _ in walk(workflow.sketch)}
    for path, given in workflow.parameters.items():
        if path not in paths and given.model_dump(exclude_defaults=True):  # what says nothing is not saved either
            mend = f"name {choices(path, (each for each, _ in walk(workflow.sketch)))}, or remove them"
            yield Defect(f"parameters.{path}", "these are parameters of no node", mend)
    for body in scope.all():
        joined = {
            split_reference(reference)[0]
            for node in body.nodes.values()
            if isinstance(node, MergeNode)
            for reference in node.inputs
        }
        for name, node in body.nodes.items():
            path = f"{body.path}{name}"
            where, given = f"parameters.{path}", workflow.parameters.get(path)
            if given is not None and not isinstance(given, PARAMETERS[node.kind]):
                yield Defect(where, f"these are no parameters of a node of kind {node.kind}", "give those of its kind")
            elif isinstance(node, CodeNode):
                code = given.code if isinstance(given, CodeParameters) else ""
                yield from (Defect(f"{where}.code", what, mend) for what, mend in code_faults(code, node.inputs))
            elif isinstance(node, LLMNode):
                told = given if isinstance(given, LLMParameters) else LLMParameters()
                for tool in told.tools:
                    yield from tool_rule(f"{where}.tools", tool)
                yield from _llm(where, node, told, body, joined=name in joined)
            elif isinstance(node, ProgramNode):
                told = given if isinstance(given, ProgramParameters) else ProgramParameters()
                yield from _program(where, told, filling_rule)
            elif isinstance(node, CoreNode):
                core = given if isinstance(given, CoreParameters) else CoreParameters()
                for tool in core.tools:
                    yield from tool_rule(f"{where}.tools", tool)
                yield from _core(f"{where}.program", core.program, node.max_steps)
            elif isinstance(node, BranchNode | MergeNode):
                choice = given if isinstance(given, ChoiceParameters) else ChoiceParameters()
                yield from _choice(where, choice, asks=node.asks)


def _program(where: str, parameters: ProgramParameters, filling_rule: FillingRule) -> Iterator[Defect]:
    """Names that can be declared, texts that say something, fillings that are workflows and give back one of their inputs."""
    for key in ("texts", "values", "slots"):
        for name in getattr(parameters, key):
            if not (name.isidentifier() and name.isascii()):
                yield Defect(f"{where}.{key}", f"the name {name!r:.80}", "use letters, digits and `_`, no digit first")
    for name, value in parameters.values.items():
        if isinstance(value, str) and len(value) > MOST_VALUE:
            yield Defect(f"{where}.values.{name}", f"a text of {len(value):,} letters", f"use {MOST_VALUE} at most")
    for name, data in parameters.slots.items():
        yield from filling_rule(f"{where}.slots.{name}", data)


def _core(where: str, text: str, max_steps: int) -> Iterator[Defect]:
    """A program in words that may be run, and can come to its end."""
    program, defects = read_core(text)
    for each in defects:
        yield Defect(where if each.where == "program" else f"{where}, {each.where}", each.what, each.mend)
    if not defects and (steps := shortest_way(program)) > max_steps:
        yield Defect(where, f"its shortest way takes {steps} steps", f"shorten it, or raise max_steps from {max_steps}")


def _choice(where: str, parameters: ChoiceParameters, *, asks: bool) -> Iterator[Defect]:
    told = bool(parameters.instruction.strip())
    if asks and not told:
        yield Defect(f"{where}.instruction", "the instruction is missing", "say by what the model is to choose")
    elif told and not asks:
        yield Defect(f"{where}.instruction", "no model is asked in this node", "remove the instruction")


def _llm(where: str, node: LLMNode, parameters: LLMParameters, scope: Scope, *, joined: bool) -> Iterator[Defect]:
    """An instruction or messages, samples that differ and are joined, demonstrations that fit."""
    if parameters.messages:
        yield from _prompt(where, node, parameters)
    elif not parameters.instruction.strip():
        yield Defect(f"{where}.instruction", "the instruction is missing", "say what this step is to do")
    if parameters.samples > 1:
        if parameters.temperature == 0:
            mend = "set a temperature above 0, or samples to 1"
            yield Defect(f"{where}.samples", "at temperature 0 all samples are the same", mend)
        if not joined:
            mend = "join them in a merge (vote, concat or judge), or set samples to 1"
            yield Defect(f"{where}.samples", f"no merge reads the {parameters.samples} samples", mend)
    for index, shown in enumerate(parameters.demonstrations):
        fault = demonstration_fault(node, scope, shown)
        if fault:
            mend = "give each input and at least one output, with values of their types, or remove it"
            yield Defect(f"{where}.demonstrations[{index}]", fault, mend)


def _prompt(where: str, node: LLMNode, parameters: LLMParameters) -> Iterator[Defect]:
    """Messages in which each input has a place, and each place an input."""
    if parameters.instruction.strip():
        mend = "leave the instruction out, or the messages"
        yield Defect(f"{where}.instruction", "the messages stand in its place", mend)
    shown = {ref for message in parameters.messages for ref in message.refs}
    for number, message in enumerate(parameters.messages):
        for ref in dict.fromkeys(message.refs):
            if ref not in node.inputs:
                what, mend = f"{ref} is no input of the node", f"name {choices(ref, node.inputs)}, or remove it"
                yield Defect(f"{where}.messages[{number}]", what, mend)
    for name in node.inputs:
        if name not in shown:
            mend = f"give it a place, as {{ref: {name}}}, or take it from the node's inputs"
            yield Defect(f"{where}.messages", f"the input {name} is shown nowhere", mend)
