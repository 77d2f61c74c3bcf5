"""Rules on single nodes, one method a kind. Each yields defects; none raises, none executes anything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from flowbot.fields import ToolSignature, Type

from .conditions import tests_of
from .defects import Defect, choices, name_defects, type_defects
from .graph import split_reference
from .kinds import MAX_CALLS
from .nodes import (
    MAX_STEPS,
    BodyNode,
    BranchNode,
    CoreNode,
    LLMNode,
    LoopNode,
    MapNode,
    MergeNode,
    Node,
    ProgramNode,
    ToolNode,
)
from .rules_conditions import condition_defects
from .rules_references import References, clashes, hidden
from .scope import Scope, parsed

CALL = re.compile(r"(?:[^:\s][^:]*\.py:)?[A-Za-z_]\w*")
"""How a `program` node names its callable."""


class NodeRules(References):
    """The rules on single nodes.

    Args:
        tools: signatures by name; None: not known.
        allow_writes: True: tools that write may be called for real.
    """

    def __init__(self, tools: Mapping[str, ToolSignature] | None, *, allow_writes: bool) -> None:
        super().__init__()
        self.tools = tools
        self.allow_writes = allow_writes

    def node(self, where: str, name: str, node: Node, scope: Scope) -> Iterator[Defect]:
        """One node: names, types, references, and what its kind demands."""
        yield from name_defects(where, name)
        yield from clashes(where, name, scope)
        for other in node.feedback_from:
            if other not in scope.nodes:
                mend = f"name {choices(other, scope.nodes)}"
                yield Defect(f"{where}.feedback_from", f"there is no node {other!r} in this body", mend)
        if not isinstance(node, BranchNode | BodyNode):
            if not node.out:
                yield Defect(f"{where}.out", "the node gives nothing", "declare an output, as `answer: str`")
            for output, text in node.out.items():
                yield from name_defects(f"{where}.out.{output}", output)
                yield from type_defects(f"{where}.out.{output}", text)
        match node:
            case MergeNode():
                yield from self._merge(where, node, scope)
            case LoopNode():
                yield from self._loop(where, node, scope, scope.inner(name))
            case MapNode():
                yield from self._map(where, node, scope, scope.inner(name))
            case _:
                carried = yield from self.bound(f"{where}.in", node.inputs, scope)
                if isinstance(node, ToolNode):
                    yield from self._tool(where, node, carried, scope)
                elif isinstance(node, BranchNode):
                    yield from self._branch(where, node, carried)
                elif isinstance(node, ProgramNode):
                    if not CALL.fullmatch(node.call):
                        mend = "name it, as `call: app.py:answer`"
                        yield Defect(f"{where}.call", f"{node.call!r:.80} names no callable", mend)
                    yield from _number(f"{where}.max_calls", "max_calls", node.max_calls, MAX_CALLS)
                elif isinstance(node, CoreNode):
                    if not node.inputs:
                        yield Defect(f"{where}.in", "the program is handed nothing", "bind an input")
                    yield from _number(f"{where}.max_steps", "max_steps", node.max_steps, MAX_STEPS)
                elif isinstance(node, LLMNode):
                    if not node.inputs:
                        mend = "bind an input, or use a code node for a constant"
                        yield Defect(f"{where}.in", "the node reads nothing", mend)
                    yield from _number(f"{where}.rounds", "rounds", node.rounds, MAX_STEPS)

    def tool(self, where: str, name: str) -> Iterator[Defect]:
        """A tool that is named: it exists, and calling it changes nothing that it may not."""
        if self.tools is None:
            return
        if name not in self.tools:
            mend = f"use {choices(name, self.tools)}" if self.tools else "there are no tools, so remove it"
            yield Defect(where, f"there is no tool {name!r}", mend)
        elif self.tools[name].effects == "writes" and not self.tools[name].simulated and not self.allow_writes:
            mend = "give the tool a stand-in (`simulate:`), or allow writing (--allow-writes)"
            yield Defect(where, f"tool {name} writes and has no stand-in", mend)

    def _branch(self, where: str, node: BranchNode, carried: Mapping[str, Type | None]) -> Iterator[Defect]:
        """At least two ways, chosen by conditions with an `else`, or all by a model."""
        for label in node.ways:
            yield from name_defects(f"{where}.ways.{label}", label)
        if len(node.ways) < 2:
            what = f"the branch has {'only one way' if node.ways else 'no ways'}"
            yield Defect(f"{where}.ways", what, "give at least two ways, or remove the branch")
        if node.asks:
            if not node.inputs:
                mend = "bind an input that the choice depends on"
                yield Defect(f"{where}.in", "the model is shown nothing to choose by", mend)
            return
        for number, (label, condition) in enumerate(node.ways.items(), start=1):
            place = f"{where}.ways.{label}"
            if condition is None:
                mend = "give one, or write `ways` as a plain list of labels"
                yield Defect(place, "has no condition where others have one", mend)
            elif isinstance(condition, str):
                if number < len(node.ways):
                    yield Defect(place, "`else` stands before other ways, which are never taken", "put it last")
            else:
                yield from condition_defects(place, condition, carried, closed=True)
        if "else" not in node.ways.values():
            yield Defect(f"{where}.ways", "when no condition holds no way is taken", "make the last way `else`")

    def _loop(self, where: str, node: LoopNode, scope: Scope, inside: Scope) -> Iterator[Defect]:
        """It ends; what it carries starts and goes on with values of one type; its condition can be told."""
        yield from _bound(where, node, "3")
        if not node.carry:
            mend = "carry a value, as `carry: {draft: {type: str, start: first.draft, next: revise.draft}}`"
            yield Defect(f"{where}.carry", "the loop carries nothing, so it gives nothing", mend)
        for name, carry in node.carry.items():
            place = f"{where}.carry.{name}"
            yield from name_defects(place, name)
            yield from hidden(place, name, scope)
            wanted = yield from type_defects(f"{place}.type", carry.type)
            for key, reference, seen in (("start", carry.start, scope), ("next", carry.next, inside)):
                kind = yield from self.reference(f"{place}.{key}", reference, seen)
                if kind is not None and wanted is not None and not wanted.accepts(kind):
                    what = f"{reference} is {kind}, and {name} is {wanted}"
                    yield Defect(f"{place}.{key}", what, f"name {self.of_type(wanted, seen)}")
        if node.until is not None:
            known: dict[str, Type | None] = {}
            for test in tests_of(node.until):
                if test.ref not in known:
                    known[test.ref] = yield from self.reference(f"{where}.until", test.ref, inside)
            yield from condition_defects(f"{where}.until", node.until, known, closed=False)

    def _map(self, where: str, node: MapNode, scope: Scope, inside: Scope) -> Iterator[Defect]:
        """It goes over a bounded list, and collects what its body produces."""
        yield from _bound(where, node, "20")
        kind = yield from self.reference(f"{where}.over", node.over, scope)
        if kind is not None and kind.kind != "list":
            yield Defect(f"{where}.over", f"{node.over} is {kind}", "go over something of type list[T]")
        yield from name_defects(f"{where}.as", node.item)
        yield from hidden(f"{where}.as", node.item, scope)
        if not node.out:
            yield Defect(
                f"{where}.out", "the map gives nothing", "collect an output of its body, as `prices: price.price`"
            )
        for output, reference in node.out.items():
            place = f"{where}.out.{output}"
            yield from name_defects(place, output)
            if split_reference(reference)[0] in node.nodes:
                yield from self.reference(place, reference, inside)
            else:
                mend = (
                    f"name an output of its body: {choices(reference, (r for r in inside.local_names() if '.' in r))}"
                )
                yield Defect(place, f"{reference!r} does not come from the map's body", mend)

    def _merge(self, where: str, node: MergeNode, scope: Scope) -> Iterator[Defect]:
        """One output, and inputs that fit it."""
        out = parsed(next(iter(node.out.values()))) if len(node.out) == 1 else None
        if len(node.out) > 1:
            yield Defect(f"{where}.out", f"a merge gives one output, not {len(node.out)}", "declare one")
        if node.how == "concat" and out is not None and out.kind not in ("list", "str"):
            yield Defect(f"{where}.out", f"a concatenation is not {out}", "declare the output as list[T] or str")
        if not node.inputs:
            yield Defect(f"{where}.in", "the merge joins nothing", "list what it joins, as `in: [a.answer, b.answer]`")
        for index, reference in enumerate(node.inputs):
            place = f"{where}.in[{index}]"
            carried = yield from self.reference(place, reference, scope)
            if carried is not None and out is not None and not out.accepts(carried):
                mend = f"join {self.of_type(out, scope)}, or change the output's type"
                yield Defect(place, f"{reference} is {carried}, and the merge gives {out}", mend)
        if node.given and node.how != "judge":
            mend = "remove `given`, or write `how: judge`"
            yield Defect(f"{where}.given", f"a merge by {node.how} asks no model", mend)
        yield from self.bound(f"{where}.given", node.given, scope)

    def _tool(self, where: str, node: ToolNode, carried: Mapping[str, Type | None], scope: Scope) -> Iterator[Defect]:
        """The tool exists, its arguments are bound and fit, its outputs are those it gives."""
        yield from self.tool(f"{where}.tool", node.tool)
        signature = (self.tools or {}).get(node.tool)
        if signature is None:
            return
        wanted = {field.name: field.type for field in signature.inputs}
        for argument, kind in carried.items():
            place = f"{where}.in.{argument}"
            if argument not in wanted:
                mend = f"bind {choices(argument, wanted)}" if wanted else "remove it: the tool takes none"
                yield Defect(place, f"tool {node.tool} takes no such argument", mend)
            elif kind is not None and not wanted[argument].accepts(kind):
                what = f"{node.inputs[argument]} is {kind}, and {node.tool} wants {wanted[argument]}"
                yield Defect(place, what, f"bind {self.of_type(wanted[argument], scope)}")
        for argument, kind in wanted.items():
            if argument not in carried and argument not in signature.optional:
                mend = f"bind it to {self.of_type(kind, scope)}"
                yield Defect(f"{where}.in", f"the argument {argument} is not bound", mend)
        gives = {field.name: field.type for field in signature.outputs}
        for output, text in node.out.items():
            place, declared = f"{where}.out.{output}", parsed(text)
            if output not in gives:
                yield Defect(place, f"tool {node.tool} gives no such output", f"declare {choices(output, gives)}")
            elif declared is not None and not declared.accepts(gives[output]):
                yield Defect(place, f"is {declared}, and {node.tool} gives {gives[output]}", f"declare {gives[output]}")


def _bound(where: str, node: LoopNode | MapNode, such: str) -> Iterator[Defect]:
    key, most = node.bounded_by
    given: int | None = getattr(node, key)
    if given is None:
        yield Defect(f"{where}.{key}", f"the {node.kind} has no bound", f"give one, as `{key}: {such}`")
    else:
        yield from _number(f"{where}.{key}", key, given, most)


def _number(where: str, key: str, given: int, most: int) -> Iterator[Defect]:
    if not 1 <= given <= most:
        yield Defect(where, f"{key} is {given}", f"give a number from 1 to {most}")
