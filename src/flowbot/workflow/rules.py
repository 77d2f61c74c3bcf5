"""The checker's rules, one method a part of the file. Each yields defects; none raises, none executes anything."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from flowbot.fields import Field, ToolSignature, Type, TypeSyntaxError, ValueMismatch, is_name

from .code import code_faults
from .graph import cycles, references, split_reference, unused
from .nodes import CodeNode, LLMNode, MergeNode, Node, Sketch, ToolNode
from .parameters import PARAMETERS, CodeParameters, Demonstration, LLMParameters
from .workflow import Workflow

NAME_RULE = "use letters, digits and _, not starting with a digit, no Python keyword"


@dataclass(frozen=True, slots=True)
class Defect:
    """One thing that is wrong.

    Args:
        where: the place in the file, as `nodes.count.in.items`.
        what: what is wrong there.
        mend: what would mend it.
    """

    where: str
    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.mend}"


def demonstration_fault(node: LLMNode, sketch: Sketch, shown: Demonstration) -> str:
    """Why a demonstration does not fit a node, or an empty text.

    It shows every input of the node and at least one of its outputs, nothing else, with values of the declared types.
    """
    if set(shown.inputs) != set(node.inputs):
        return f"shows the inputs {', '.join(shown.inputs) or 'none'}, and the node reads {', '.join(node.inputs)}"
    if not shown.outputs or not set(shown.outputs) <= set(node.out):
        return f"shows the outputs {', '.join(shown.outputs) or 'none'}, and the node gives {', '.join(node.out)}"
    known = references(sketch)
    types = {name: known.get(reference, "") for name, reference in node.inputs.items()}
    for texts, values in ((types, shown.inputs), (node.out, shown.outputs)):
        for name, value in values.items():
            parsed = _parsed(texts[name])
            try:
                if parsed is not None:
                    parsed.coerce(value, name)
            except ValueMismatch as error:
                return str(error)
    return ""


class Checker:
    """The rules over one workflow."""

    def __init__(self, workflow: Workflow, tools: Mapping[str, ToolSignature] | None) -> None:
        self.workflow = workflow
        self.sketch = workflow.sketch
        self.tools = tools
        self.known = references(workflow.sketch)

    def inputs(self, task_inputs: tuple[Field, ...] | None) -> Iterator[Defect]:
        """The workflow's inputs: names, types, and whether the task gives them."""
        given = {field.name: field.type for field in task_inputs or ()}
        for name, text in self.sketch.inputs.items():
            where = f"inputs.{name}"
            yield from _name(where, name)
            wanted = yield from _type(where, text)
            if task_inputs is None:
                continue
            if name not in given:
                yield Defect(where, "the task has no such input", f"read {_choices(name, given)}")
            elif wanted is not None and not wanted.accepts(given[name]):
                yield Defect(where, f"is {wanted}, and the task gives {given[name]}", f"declare it as {given[name]}")

    def outputs(self, task_outputs: tuple[Field, ...] | None) -> Iterator[Defect]:
        """The workflow's outputs: names, what they are bound to, and whether the task wants that."""
        if not self.sketch.outputs:
            yield Defect("outputs", "the workflow gives nothing", "bind an output, as `answer: node.output`")
        wanted = {field.name: field.type for field in task_outputs or ()}
        for name, reference in self.sketch.outputs.items():
            where = f"outputs.{name}"
            yield from _name(where, name)
            carried = yield from self.reference(where, reference)
            if carried is not None and name in wanted and not wanted[name].accepts(carried):
                mend = f"bind it to something of type {wanted[name]}{self.of_type(wanted[name])}"
                yield Defect(where, f"{reference} is {carried}, and the task wants {wanted[name]}", mend)
        for name, kind in wanted.items():
            if name not in self.sketch.outputs:
                yield Defect("outputs", f"the task's output {name} is missing", f"bind it to something of type {kind}")

    def node(self, name: str, node: Node) -> Iterator[Defect]:
        """One node: names, types, references, and what its kind demands."""
        where = f"nodes.{name}"
        yield from _name(where, name)
        if name in self.sketch.inputs:
            yield Defect(where, f"the node has the name of the input {name}", "give the node another name")
        if not node.out:
            yield Defect(f"{where}.out", "the node gives nothing", "declare an output, as `answer: str`")
        for output, text in node.out.items():
            yield from _name(f"{where}.out.{output}", output)
            yield from _type(f"{where}.out.{output}", text)
        for other in node.feedback_from:
            if other not in self.sketch.nodes:
                mend = f"name {_choices(other, self.sketch.nodes)}"
                yield Defect(f"{where}.feedback_from", f"there is no node {other!r}", mend)
        if isinstance(node, MergeNode):
            yield from self.merge(where, node)
            return
        carried: dict[str, Type | None] = {}
        for argument, reference in node.inputs.items():
            yield from _name(f"{where}.in.{argument}", argument)
            carried[argument] = yield from self.reference(f"{where}.in.{argument}", reference)
        if isinstance(node, ToolNode):
            yield from self.tool(where, node, carried)
        elif isinstance(node, LLMNode) and not node.inputs:
            yield Defect(f"{where}.in", "the node reads nothing", "bind an input, or use a code node for a constant")

    def merge(self, where: str, node: MergeNode) -> Iterator[Defect]:
        """A merge: one output, and inputs that fit it."""
        out = _parsed(next(iter(node.out.values()))) if len(node.out) == 1 else None
        if len(node.out) > 1:
            yield Defect(f"{where}.out", f"a merge gives one output, not {len(node.out)}", "declare one")
        if node.how == "concat" and out is not None and out.kind not in ("list", "str"):
            yield Defect(f"{where}.out", f"a concatenation is not {out}", "declare the output as list[T] or str")
        for index, reference in enumerate(node.inputs):
            place = f"{where}.in[{index}]"
            carried = yield from self.reference(place, reference)
            if carried is not None and out is not None and not out.accepts(carried):
                mend = f"join values of one type{self.of_type(out)}, or change the output's type"
                yield Defect(place, f"{reference} is {carried}, and the merge gives {out}", mend)

    def tool(self, where: str, node: ToolNode, carried: Mapping[str, Type | None]) -> Iterator[Defect]:
        """A tool call: the tool exists, its arguments are bound and fit, its outputs are those it gives."""
        if self.tools is None:
            return
        signature = self.tools.get(node.tool)
        if signature is None:
            mend = f"use {_choices(node.tool, self.tools)}" if self.tools else "the task has no tools: remove the node"
            yield Defect(f"{where}.tool", f"there is no tool {node.tool!r}", mend)
            return
        wanted = {field.name: field.type for field in signature.inputs}
        for argument, kind in carried.items():
            place = f"{where}.in.{argument}"
            if argument not in wanted:
                yield Defect(place, f"tool {node.tool} takes no such argument", f"bind {_choices(argument, wanted)}")
            elif kind is not None and not wanted[argument].accepts(kind):
                mend = f"bind something of type {wanted[argument]}{self.of_type(wanted[argument])}"
                yield Defect(
                    place, f"{node.inputs[argument]} is {kind}, and {node.tool} wants {wanted[argument]}", mend
                )
        for argument, kind in wanted.items():
            if argument not in carried and argument not in signature.optional:
                yield Defect(
                    f"{where}.in", f"the argument {argument} is not bound", f"bind it to something of type {kind}"
                )
        gives = {field.name: field.type for field in signature.outputs}
        for output, text in node.out.items():
            place, declared = f"{where}.out.{output}", _parsed(text)
            if output not in gives:
                yield Defect(place, f"tool {node.tool} gives no such output", f"declare {_choices(output, gives)}")
            elif declared is not None and not declared.accepts(gives[output]):
                yield Defect(place, f"is {declared}, and {node.tool} gives {gives[output]}", f"declare {gives[output]}")

    def graph(self) -> Iterator[Defect]:
        """The whole: no circles, nothing unused."""
        for circle in cycles(self.sketch):
            yield Defect(
                f"nodes.{circle[0]}", f"a circle: {' → '.join(circle)}", "wire one of them to something earlier"
            )
        for name in unused(self.sketch):
            mend = "use one of its outputs, or remove the node"
            yield Defect(f"nodes.{name}", "no output of the workflow depends on this node", mend)

    def parameters(self) -> Iterator[Defect]:
        """The parameters: of nodes that there are, of their kind, and sound."""
        for name in self.workflow.parameters:
            if name not in self.sketch.nodes:
                mend = f"name {_choices(name, self.sketch.nodes)}, or remove them"
                yield Defect(f"parameters.{name}", "these are parameters of no node", mend)
        for name, node in self.sketch.nodes.items():
            where, given = f"parameters.{name}", self.workflow.parameters.get(name)
            if given is not None and not isinstance(given, PARAMETERS[node.kind]):
                yield Defect(where, f"these are no parameters of a node of kind {node.kind}", "give those of its kind")
            elif isinstance(node, CodeNode):
                code = given.code if isinstance(given, CodeParameters) else ""
                yield from (Defect(f"{where}.code", what, mend) for what, mend in code_faults(code, node.inputs))
            elif isinstance(node, LLMNode):
                yield from self.llm(where, node, given if isinstance(given, LLMParameters) else LLMParameters())

    def llm(self, where: str, node: LLMNode, given: LLMParameters) -> Iterator[Defect]:
        """The parameters of an `llm` node: an instruction, and demonstrations that fit."""
        if not given.instruction.strip():
            yield Defect(f"{where}.instruction", "the instruction is missing", "say what this step is to do")
        for index, shown in enumerate(given.demonstrations):
            fault = demonstration_fault(node, self.sketch, shown)
            if fault:
                mend = "give each input and at least one output, with values of their types, or remove it"
                yield Defect(f"{where}.demonstrations[{index}]", fault, mend)

    def reference(self, where: str, reference: str) -> Generator[Defect, None, Type | None]:
        """Yields what is wrong with a reference; returns its type where it has one."""
        if reference not in self.known:
            node, output = split_reference(reference)
            if node is not None and node in self.sketch.nodes:
                mend = f"use {_choices(f'{node}.{output}', [f'{node}.{each}' for each in self.sketch.nodes[node].out])}"
                what = f"node {node} gives no output {output!r}"
            else:
                mend, what = f"use {_choices(reference, self.known)}", f"nothing produces {reference!r}"
            if reference in self.sketch.nodes:
                what = f"{reference!r} is a node, not one of its outputs"
                mend = f"use {' or '.join(f'{reference}.{each}' for each in self.sketch.nodes[reference].out)}"
            yield Defect(where, what, mend)
            return None
        return _parsed(self.known[reference])

    def of_type(self, wanted: Type) -> str:
        """References that carry the wanted type, in brackets, for an advice."""
        fitting = [
            reference
            for reference, text in self.known.items()
            if (parsed := _parsed(text)) is not None and wanted.accepts(parsed)
        ]
        return f" ({', '.join(fitting[:6])})" if fitting else ""


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Type | None:
    try:
        return Type.parse(text)
    except TypeSyntaxError:
        return None


def _type(where: str, text: str) -> Generator[Defect, None, Type | None]:
    """Yields what is wrong with a type's text; returns the type where it is one."""
    try:
        return Type.parse(text)
    except TypeSyntaxError as error:
        yield Defect(where, str(error), "write a type, as str, int, float, bool or list[str]")
        return None


def _name(where: str, name: str) -> Iterator[Defect]:
    if not is_name(name):
        yield Defect(where, f"{name!r} is no name", NAME_RULE)


def _choices(wrong: str, known: Iterable[str]) -> str:
    """What could stand instead: the nearest first, at most eight."""
    names = list(known)
    near = get_close_matches(wrong, names, n=2)
    listed = [*near, *(name for name in names if name not in near)]
    more = ", …" if len(listed) > 8 else ""
    return " or ".join(listed[:8]) + more if listed else "something that there is"
