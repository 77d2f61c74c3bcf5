"""The sketch of a start, rewritten for a task's inputs and outputs.

A start's *question* is its first input, and stands for all inputs of the task. Its *answer* is whatever is called like its
first output, where a model gives that: an output of a step, a merge of such, or a value that a loop carries. It stands for all
outputs of the task but those that the start has by name, such as what a step was asked. Everything else keeps its name, with underscores after it where the task has the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from flowbot.fields import Field
from flowbot.workflow.conditions import rewired_condition
from flowbot.workflow.graph import split_reference
from flowbot.workflow.nodes import (
    Carry,
    CodeNode,
    LLMNode,
    LoopNode,
    MapNode,
    MergeNode,
    Node,
    Sketch,
    ToolNode,
    walk,
)
from flowbot.workflow.scope import Scope

from .library import Start
from .names import free, types_of


class Rewriting:
    """One start's sketch on its way to one task.

    Args:
        start: the start.
        task_inputs: the task's inputs.
        task_outputs: the task's outputs; exactly one where the start wants a type.
    """

    def __init__(self, start: Start, task_inputs: Sequence[Field], task_outputs: Sequence[Field]) -> None:
        self._sketch = start.workflow.sketch
        self._question = start.input
        self._needed = start.inputs
        self._answer = start.output if start.wants is None else None
        self._inputs = types_of(task_inputs)
        self._outputs = types_of(task_outputs)
        self._ends = dict(self._outputs)
        """All outputs of the task."""
        scope, others = Scope.of(self._sketch), list(self._sketch.outputs.items())[1:]
        self._told = {name: end for name, end in others if self._outputs.get(name) == str(scope.type_of(end))}
        """Outputs that are none of the answer, with what they are in the start; none where nothing else would be wanted."""
        if len(self._told) == len(self._outputs):
            self._told = {}
        for name in self._told:
            del self._outputs[name]
        self._fields = [*self._inputs, *(self._outputs if self._answer else ())]
        """What a model's step reads and gives by the names of the task."""
        self._nodes = {path.rpartition("/")[2]: node for path, node in walk(self._sketch)}
        carries = [name for node in self._nodes.values() if isinstance(node, LoopNode) for name in node.carry]
        own = [*self._nodes, *(name for name in carries if name != self._answer)]
        # What stands around a body is visible in it, so nodes and carried values share one space of names with the inputs.
        self._names = {name: free(name, self._inputs) for name in own}
        taken = [*self._inputs, *self._names.values()]
        self._carried = _named({name: name for name in self._outputs}, taken)
        taken += self._carried.values()
        self._merges: dict[str, dict[str, str]] = {}
        for name, node in self._nodes.items():
            if isinstance(node, MergeNode) and self._answer in node.out:
                first, *others = self._outputs
                rest = _named({output: f"{name}_{output}" for output in others}, taken)
                self._merges[name] = {first: self._names[name], **rest}
                taken += rest.values()
        readers = (node for node in self._nodes.values() if isinstance(node, ToolNode | CodeNode))
        one_text = list(self._inputs.values()) == ["str"]
        asked = not one_text and any(self._question in node.inputs.values() for node in readers)
        self.joined = free("given", taken) if asked else ""
        """Name of a code node that makes one text of all inputs; "" where no step needs it."""

    def sketch(self) -> Sketch:
        """The sketch for the task."""
        nodes = self._body(self._sketch.nodes)
        if self.joined:
            inputs = {name: name for name in self._inputs}
            nodes = {self.joined: CodeNode(inputs=inputs, out={"text": "str"}), **nodes}
        answers = self._spread(next(iter(self._sketch.outputs.values())))
        ends = dict(zip(self._outputs, answers, strict=True)) | {n: self._one(end) for n, end in self._told.items()}
        return Sketch(inputs=self._inputs, outputs={name: ends[name] for name in self._ends}, nodes=nodes)

    @property
    def answered(self) -> Collection[str]:
        """Outputs of the task that the start's answer stands for."""
        return self._outputs

    def path(self, path: str) -> str:
        """The path of a node of the start as it is now."""
        return "/".join(self._names[name] for name in path.split("/"))

    def answers(self, node: Node) -> bool:
        """Whether a node of the start gives the answer."""
        return isinstance(node, LLMNode) and self._answer in node.out

    def node(self, node: Node) -> Node:
        """A node of the start as it is now. A merge of answers becomes several, see `_body`."""
        when = node.when
        if when is not None:
            branch, _, way = when.partition(".")
            when = f"{self._names[branch]}.{way}"
        match node:
            case LLMNode():
                change = {"inputs": self._shown(node.inputs), "out": self._out(node.out)}
            case LoopNode():
                change = self._loop(node)
            case MapNode():
                raise AssertionError("no start goes over a list")
            case _:
                now = self._as_text if isinstance(node, ToolNode | CodeNode) else self._one
                change = dict(node.rewired({each: now(each) for each in node.references()}))
        return node.model_copy(update={**change, "when": when})

    def _body(self, nodes: Mapping[str, Node]) -> dict[str, Node]:
        made: dict[str, Node] = {}
        for name, node in nodes.items():
            if name in self._merges:
                assert isinstance(node, MergeNode)  # `_merges` has no others
                joined = zip(*(self._spread(reference) for reference in node.inputs), strict=True)
                for (output, kind), inputs in zip(self._outputs.items(), joined, strict=True):
                    update = {"inputs": inputs, "out": {output: kind}}
                    made[self._merges[name][output]] = node.model_copy(update=update)
            else:
                made[self._names[name]] = self.node(node)
        return made

    def _loop(self, node: LoopNode) -> dict[str, object]:
        carry: dict[str, Carry] = {}
        for name, each in node.carry.items():
            if name == self._answer:
                ends = zip(self._spread(each.start), self._spread(each.next), strict=True)
                for (output, kind), (begin, then) in zip(self._outputs.items(), ends, strict=True):
                    carry[self._carried[output]] = Carry(type=kind, start=begin, next=then)
            else:
                carry[self._names[name]] = Carry(type=each.type, start=self._one(each.start), next=self._one(each.next))
        now = {each: self._one(each) for each in node.ends()}
        until = node.until and rewired_condition(node.until, now)
        return {"carry": carry, "until": until, "nodes": self._body(node.nodes)}

    def _shown(self, inputs: Mapping[str, str]) -> dict[str, str]:
        """What a model's step reads. The names of the task's fields are kept, since the goal may speak of them."""
        made: dict[str, str] = {}
        for name, reference in inputs.items():
            if reference == self._question:
                made |= {each: each for each in self._inputs}
            elif reference in self._needed:
                made[reference] = reference
            elif name == self._answer:
                made |= dict(zip(self._outputs, self._spread(reference), strict=True))
            else:
                bound = self._spread(reference)
                for output, each in zip(self._outputs, bound, strict=len(bound) > 1):
                    wish = f"{name}_{output}" if len(bound) > 1 else name
                    made[free(wish, [*self._fields, *made])] = each
        return made

    def _out(self, out: Mapping[str, str]) -> dict[str, str]:
        made: dict[str, str] = {}
        for name, kind in out.items():
            made |= self._outputs if name == self._answer else {self._output_name(name): kind}
        return made

    def _output_name(self, output: str) -> str:
        """The name of an output that a model's step has beside the answer."""
        return free(output, self._fields)

    def _as_text(self, reference: str) -> str:
        """What a step that is no model reads."""
        if reference != self._question:
            return self._one(reference)
        return f"{self.joined}.text" if self.joined else next(iter(self._inputs))

    def _one(self, reference: str) -> str:
        return self._spread(reference)[0]

    def _spread(self, reference: str) -> list[str]:
        """The references that now stand for one: for the answer one an output of the task, else a single one."""
        name, output = split_reference(reference)
        if name is None:
            if output == self._answer:
                return list(self._carried.values())
            return [self._names.get(output, output)]  # a carried value, or an input that the task has too
        node = self._nodes[name]
        if output != self._answer:
            now = self._output_name(output) if isinstance(node, LLMNode) else output
            return [f"{self._names[name]}.{self._names[output] if isinstance(node, LoopNode) else now}"]
        if isinstance(node, MergeNode):
            return [f"{self._merges[name][each]}.{each}" for each in self._outputs]
        given = self._carried.values() if isinstance(node, LoopNode) else self._outputs
        return [f"{self._names[name]}.{each}" for each in given]


def _named(wishes: Mapping[str, str], taken: Iterable[str]) -> dict[str, str]:
    """A name for each, different from one another and from those taken."""
    found: dict[str, str] = {}
    for key, wish in wishes.items():
        found[key] = free(wish, [*taken, *found.values()])
    return found
