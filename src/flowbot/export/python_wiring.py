"""The wiring of a workflow as Python: a body after the other, the steps of one in the order in which they can run.

What a step gives is a dict by output name, of a branch the label, of one that draws samples a list of dicts. Where a step may not be
there, since its way was not taken or since it failed and others do without it, it is None, and what needs it stands under an `if`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flowbot.fields import Type
from flowbot.workflow.graph import predecessors, split_reference, topological
from flowbot.workflow.nodes import (
    BranchNode,
    CodeNode,
    CoreNode,
    LLMNode,
    LoopNode,
    MapNode,
    MergeNode,
    Node,
    ProgramNode,
    ToolNode,
    walk,
)
from flowbot.workflow.scope import Scope

from .exported import Exported
from .python_text import (
    STEP,
    Names,
    call_source,
    condition_source,
    function_lines,
    kind_source,
    members_source,
    moved,
    quoted,
)

JOINED = {"first": "first_filled", "vote": "majority_vote", "concat": "join_values"}


@dataclass(frozen=True, slots=True)
class Body:
    """Writes the steps of one body."""

    exported: Exported
    names: Names
    scope: Scope
    reasons: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """Why a step of this body may be None; nothing where it cannot."""

    def lines(self) -> list[str]:
        """The statements that run its steps."""
        order = topological(self.scope.holder)
        before = {name: predecessors(self.scope.holder, name) for name in order}
        depth: dict[str, int] = {}
        for name in order:
            depth[name] = max((depth[each] + self.waits(each) for each in before[name]), default=0)
        spared, found = frozenset[str](), None
        while (
            spared != found
        ):  # what is spared may be None, which puts others under conditions: these are run one after the other
            found = spared
            for name in order:
                self.reasons[name] = self._why_none(name, before[name], spared)
            stages = {name: (depth[name], self._guard(name, before[name])) for name in order}
            spared |= self._spared(order, before, stages)
        written: list[str] = []
        for level in range(max(depth.values(), default=0) + 1):
            here = [name for name in order if depth[name] == level]
            for name in (each for each in here if not self.waits(each)):
                written += self._under(self._guard(name, before[name]), [name], self.value(name))
            groups: dict[str, list[str]] = {}
            for name in (each for each in here if self.waits(each)):
                written += self._inner(name)
                groups.setdefault(self._guard(name, before[name]), []).append(name)
            for guard, names in groups.items():
                calls = [self.call(each) for each in names]
                calls = [
                    f"or_none({call})" if each in spared else call for each, call in zip(names, calls, strict=True)
                ]
                value = calls[0] if len(calls) == 1 else call_source("side_by_side", calls)
                written += self._under(guard, names, f"await {value}")
        return written

    def read(self, reference: str) -> str:
        """The expression of what a reference carries, where it is there."""
        name, output = split_reference(reference)
        if name is None:
            return self.names.variable(output)
        return f"{self.variable(name)}{'[0]' if self._sampled(name) else ''}[{quoted(output)}]"

    def variable(self, name: str) -> str:
        """The expression of what a step gave, None where it may not be there."""
        return self.names.variable(name)

    def needed(self, reference: str) -> str:
        """The same where the step may not be there, and nothing can do without it."""
        name, output = split_reference(reference)
        if name is None or not self.reasons.get(name):
            return self.read(reference)
        variable = self.variable(name)
        return f"required({f'{variable} and {variable}[0]' if self._sampled(name) else variable}, {quoted(output)})"

    def needed_as(self, reference: str, wanted: str) -> str:
        """The same as a value of a type: a whole number where any is wanted becomes one."""
        source = self.needed(reference)
        return f"float({source})" if wanted == "float" and self.scope.type_text(reference) != "float" else source

    def value(self, name: str) -> str:
        """The expression of a step that needs no waiting for: a branch by conditions, a merge by a rule."""
        node = self.scope.nodes[name]
        if isinstance(node, MergeNode):
            (output, kind) = next(iter(node.out.items()))
            joined = f"{JOINED[node.how]}({self._candidates(node)})"
            return members_source({output: f"float({joined})" if kind == "float" else joined})
        assert isinstance(node, BranchNode)
        source = ""
        for label, guard in node.ways.items():
            if guard == "else" or guard is None or isinstance(guard, str):
                return source + quoted(label)
            source += f"{quoted(label)} if {condition_source(guard, lambda ref: self.read(node.inputs[ref]))} else "
        return source.removesuffix(" else ")

    def call(self, name: str) -> str:
        """The call of a step that is waited for."""
        node, path = self.scope.nodes[name], f"{self.scope.path}{name}"
        match node:
            case LoopNode():
                starts = [
                    f"{self.names.variable(key)}={self._start(each.start, each.type)}"
                    for key, each in node.carry.items()
                ]
                return call_source(f"run_{name}", starts)
            case MapNode():
                return f"run_{name}()"
            case ToolNode() | CodeNode():
                gives = members_source({key: kind_source(Type.parse(text)) for key, text in node.out.items()})
                given = members_source({key: self.read(each) for key, each in node.inputs.items()})
                if isinstance(node, CodeNode):
                    return call_source("call_function", [self.names.functions[path], gives, given])
                plain = ["plain=True"] if self.exported.tools[node.tool].plain else []
                return call_source("call_function", [self.names.tools[node.tool], gives, given, *plain])
            case MergeNode():
                given = [f"{self.names.variable(key)}={self.read(each)}" for key, each in node.given.items()]
                return call_source(self.names.functions[path], [self._candidates(node), *given])
            case ProgramNode() | CoreNode():
                raise AssertionError("a program is refused before")
            case BranchNode() | LLMNode():
                given = [f"{self.names.variable(key)}={self.read(each)}" for key, each in node.inputs.items()]
                if not self._sampled(name):
                    return call_source(self.names.functions[path], given)
                asked = self.exported.step(path).asked
                drawn = call_source(self.names.functions[path], [*given, "seed=seed"])
                return call_source("samples_of", [str(asked.samples if asked else 1), f"lambda seed: {drawn}"])

    def _start(self, reference: str, wanted: str) -> str:
        source = self.read(reference)
        return f"float({source})" if wanted == "float" and self.scope.type_text(reference) != "float" else source

    def _inner(self, name: str) -> list[str]:
        """The function of a step with a body; nothing for others."""
        node = self.scope.nodes[name]
        if not isinstance(node, LoopNode | MapNode):
            return []
        body = Body(self.exported, self.names, self.scope.inner(name))
        lines = body.lines()
        if isinstance(node, MapNode):
            row = members_source({key: body.needed(each) for key, each in node.out.items()})
            item = self.names.variable(node.item)
            rows = f"*(one_item({item}) for {item} in {self.read(node.over)}[:{node.bound}])"
            columns = members_source({key: f"[row[{quoted(key)}] for row in rows]" for key in node.out})
            inner = [f"async def one_item({item}: Any) -> dict[str, Any]:", *moved([*lines, f"return {row}"]), ""]
            return function_lines(
                f"run_{name}", "", [*inner, f"rows = await side_by_side({rows})", f"return {columns}"]
            )
        carried = [self.names.variable(key) for key in node.carry]
        nexts = [body.needed_as(each.next, each.type) for each in node.carry.values()]
        lines = [*lines, f"{', '.join(carried)} = {', '.join(nexts)}"]
        if node.until is not None:
            lines += [f"if {condition_source(node.until, body.needed)}:", f"{STEP}break"]
        result = members_source({key: self.names.variable(key) for key in node.carry})
        steps = [f"for _ in range({node.bound}):", *moved(lines), f"return {result}"]
        return function_lines(f"run_{name}", ", ".join(f"{each}: Any" for each in carried), steps)

    def _candidates(self, node: MergeNode) -> str:
        """The list of what a merge joins."""
        listed: list[str] = []
        absent = False
        for reference in node.inputs:
            name, output = split_reference(reference)
            variable = self.variable(name) if name is not None else ""
            maybe = name is not None and bool(self.reasons.get(name))
            absent = absent or maybe
            if name is not None and self._sampled(name):
                listed.append(f"*(each[{quoted(output)}] for each in {variable}{' or ()' if maybe else ''})")
            else:
                listed.append(f"{variable} and {self.read(reference)}" if maybe else self.read(reference))
        return call_source("arrived", listed) if absent else f"[{', '.join(listed)}]"

    def _under(self, guard: str, names: Sequence[str], value: str) -> list[str]:
        """The assignment, under its condition."""
        variables = [self.names.variable(name) for name in names]
        assigned = f"{', '.join(variables)} = {value}"
        if not guard:
            return assigned.split("\n")
        return [f"{' = '.join(variables)} = None", f"if {guard}:", *moved(assigned.split("\n"))]

    def _guard(self, name: str, before: Sequence[str]) -> str:
        """What has to hold for a step to run; "" where it always runs."""
        node = self.scope.nodes[name]
        branch, label = split_reference(node.when) if node.when else ("", "")
        known = self.reasons.get(branch or "", frozenset[str]()) | frozenset(each for each in (node.when,) if each)
        tests = [f"{self.names.variable(branch or '')} == {quoted(label)}"] if branch else []
        hard, soft = self._read_by(node, before)
        tests += [self.names.variable(each) for each in hard if self.reasons[each] - known]
        for each in self._parts(node):
            when = self.scope.nodes[each].when
            way, taken = split_reference(when) if when else ("", "")
            absent = f" or {self.names.variable(way)} not in ({quoted(taken)}, None)" if way else ""
            tests.append(f"({self.names.variable(each)}{absent})" if absent else self.names.variable(each))
        if soft and self.reasons[name] - known and all(self.reasons[each] - known for each in soft):
            either = " or ".join(map(self.names.variable, soft))
            tests.append(f"({either})" if tests and len(soft) > 1 else either)
        return " and ".join(tests)

    def _why_none(self, name: str, before: Sequence[str], spared: frozenset[str]) -> frozenset[str]:
        """Why a step may be None: the way it is on, what it needs, or that it may fail."""
        node = self.scope.nodes[name]
        hard, soft = self._read_by(node, before)
        found = {node.when} if node.when else set[str]()
        found |= {name} if name in spared else set()
        for each in (*hard, *(split_reference(node.when)[:1] if node.when else ())):
            found |= self.reasons.get(each or "", frozenset())
        if soft and all(self.reasons[each] - found for each in soft):
            found |= {f"{name} joins nothing"}
        found |= {f"{name} lacks {each}" for each in self._parts(node)}
        return frozenset(each for each in found if each)

    def _read_by(self, node: Node, before: Sequence[str]) -> tuple[list[str], list[str]]:
        """The steps of this body that a step cannot do without, and, where all that it joins are such, those that it joins."""
        branch = split_reference(node.when)[0] if node.when else None
        if not isinstance(node, MergeNode):
            return [each for each in before if each != branch], []
        given = {split_reference(each)[0] for each in node.given.values()}
        joined = [split_reference(each)[0] for each in node.inputs]
        soft = list(dict.fromkeys(each for each in joined if each is not None and each in self.scope.nodes))
        every = all(each in self.scope.nodes for each in joined)
        return [each for each in before if each in given], soft if every else []

    def _parts(self, node: Node) -> list[str]:
        """The steps that a concatenation cannot do without, but for those whose way was not taken: of them all may fail."""
        if not isinstance(node, MergeNode) or node.how != "concat":
            return []
        joined = dict.fromkeys(split_reference(each)[0] or "" for each in node.inputs)
        return [
            each
            for each in joined
            if self.reasons.get(each, frozenset()) - {self.scope.nodes[each].when if each in self.scope.nodes else ""}
        ]

    def _spared(
        self, order: Sequence[str], before: Mapping[str, tuple[str, ...]], stages: Mapping[str, tuple[int, str]]
    ) -> frozenset[str]:
        """The steps that others do without where they fail: a merge that joins what there is, or a model that is asked later all the same."""
        needs: dict[str, set[str]] = {}
        for name in order:
            node = self.scope.nodes[name]
            hard = set(before[name])
            if isinstance(node, MergeNode) and node.how != "concat":
                hard -= {split_reference(each)[0] or "" for each in node.inputs} - {
                    split_reference(each)[0] or "" for each in node.given.values()
                }
                hard |= set(before[name]) if len(node.inputs) == 1 else set()
            needs[name] = hard | {each for other in hard for each in needs[other]}
        later = {
            name: [
                other
                for other in order
                if name not in needs[other]
                and stages[other][0] >= stages[name][0]
                and stages[other] != stages[name]
                and (self._asks(other) or self._joins(other, name, needs))
            ]
            for name in order
        }
        return frozenset(name for name in order if later[name] and self.waits(name))

    def _joins(self, name: str, other: str, needs: Mapping[str, set[str]]) -> bool:
        """Whether a step is a merge that joins another, or what cannot do without it."""
        node = self.scope.nodes[name]
        joined = [split_reference(each)[0] for each in node.inputs] if isinstance(node, MergeNode) else []
        return any(each == other or other in needs.get(each or "", ()) for each in joined)

    def _asks(self, name: str) -> bool:
        node = self.scope.nodes[name]
        return node.asks or (isinstance(node, LoopNode | MapNode) and any(each.asks for _, each in walk(node)))

    def waits(self, name: str) -> bool:
        """Whether a step is to be waited for."""
        node = self.scope.nodes[name]
        return node.asks if isinstance(node, MergeNode | BranchNode) else True

    def _sampled(self, name: str) -> bool:
        scope: Scope | None = self.scope
        while scope is not None and name not in scope.nodes:
            scope = scope.outer
        if scope is None:
            return False
        asked = self.exported.step(f"{scope.path}{name}").asked
        return asked is not None and asked.samples > 1


def inner_names(exported: Exported) -> frozenset[str]:
    """What the functions of loops and maps are called."""
    holders = (step.path for step in exported.steps if isinstance(step.node, LoopNode | MapNode))
    return frozenset(f"run_{path.rpartition('/')[2]}" for path in holders)


def flow_source(exported: Exported, names: Names) -> str:
    """The function that runs the workflow."""
    sketch = exported.workflow.sketch
    body = Body(exported, names, Scope.of(sketch))
    floats = [names.variable(name) for name, text in sketch.inputs.items() if text == "float"]
    lines = [*(f"{name} = float({name})" for name in floats), *body.lines()]
    result = members_source({name: body.needed(reference) for name, reference in sketch.outputs.items()})
    return "\n".join(line.rstrip() for line in [*lines, f"return {result}"])
