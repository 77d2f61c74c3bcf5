"""A workflow for LangGraph: a node for each step, conditional edges for ways, a cycle for a loop, `Send` for the items of a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from flowbot.fields import Type
from flowbot.workflow.graph import free_name, predecessors, split_reference, topological
from flowbot.workflow.nodes import LLMNode, LoopNode, MapNode, MergeNode
from flowbot.workflow.scope import Scope

from .exported import Exported
from .framework import Framework, annotation
from .python_text import STEP, condition_source, indented, members_source, quoted
from .python_wiring import Body, Names, inner_names


class LangGraph(Framework):
    """One file for langgraph 1."""

    name = "langgraph"
    about = "a StateGraph with a node a step, for LangGraph"
    needs = ("langgraph>=1.2,<2", "langchain-openai>=1.7,<2")
    modules = ("langgraph", "langchain_openai")
    own = frozenset(("State", "says", "says_after_calls", "done", "steps"))

    def context(self, exported: Exported, names: Names) -> dict[str, Any]:
        """The state, the functions of the nodes, and the graphs, the inner ones first."""
        graphs = _Graphs(exported, names)
        top = graphs.body(Scope.of(exported.workflow.sketch))
        graphs.write(top, "graph", "END")
        inputs = exported.workflow.sketch.inputs
        return {
            "state": {name: annotation(Type.parse(kind)) for name, kind in inputs.items()} | graphs.state,
            "sources": graphs.sources,
            "given_inputs": members_source({name: name for name in inputs}),
            "outputs": members_source(
                {name: top.needed(each) for name, each in exported.workflow.sketch.outputs.items()}
            ),
        }


@dataclass(frozen=True, slots=True)
class _StateBody(Body):
    """Reads from the state, where what a step gives stands under its key."""

    keys: dict[str, str] = field(default_factory=dict[str, str])

    def key(self, name: str) -> str:
        """The key of a step that the body can read."""
        scope = self._owner(f"{name}.")
        return self.keys[f"{scope.path}{name}"]

    def variable(self, name: str) -> str:
        """The expression of what a step gave."""
        return f"state.get({quoted(self.key(name))})"

    def read(self, reference: str) -> str:
        """The expression of what a reference carries, where it is there."""
        name, output = split_reference(reference)
        if name is not None:
            return f"state[{quoted(self.key(name))}]{'[0]' if self._sampled(name) else ''}[{quoted(output)}]"
        scope = self._owner(reference)
        if scope.outer is None:
            return f"state[{quoted(output)}]"
        key = self.keys[scope.path[:-1]]
        return f'state["{key}"][{quoted(output)}]' if isinstance(scope.holder, LoopNode) else f'state["{key}_item"]'

    def _owner(self, reference: str) -> Scope:
        """The scope of the body that has what a reference names."""
        scope, (head, dot, _) = self.scope, reference.partition(".")
        while scope.outer is not None and head not in (scope.nodes if dot else scope.inputs()):
            scope = scope.outer
        return scope


class _Graphs:
    """Writes the functions of nodes and edges, and the graphs, in the order in which they can stand in a file."""

    def __init__(self, exported: Exported, names: Names) -> None:
        self.exported, self.names = exported, names
        self.keys: dict[str, str] = {}
        for step in exported.steps:
            taken = {*exported.workflow.sketch.inputs, *self.keys.values()}
            self.keys[step.path] = free_name(step.path.replace("/", "_"), taken)
        self.state: dict[str, str] = {}
        self.sources: list[str] = []

    def body(self, scope: Scope) -> _StateBody:
        """A body. Steps on a way, and models whose failure a merge does without, may not be there."""
        nodes = scope.nodes
        joined = {
            split_reference(each)[0] for node in nodes.values() if isinstance(node, MergeNode) for each in node.inputs
        }
        maybe = [name for name, node in nodes.items() if node.when or (name in joined and isinstance(node, LLMNode))]
        return _StateBody(self.exported, self.names, scope, dict.fromkeys(maybe, frozenset({"it"})), self.keys)

    def write(self, body: _StateBody, name: str, last: str) -> None:
        """Writes the graph of a body, behind whose steps `last` stands, and all that it needs before."""
        built, holder = f"{name}_builder", body.scope.holder
        nodes = [f'{built}.add_node("{body.key(step)}", {self._node(body, step)})' for step in body.scope.nodes]
        stages = _stages(body.scope)
        edges: list[str] = []
        before, joint = ["START"], False
        for number, stage in enumerate(stages):
            here = [f'"{body.key(step)}"' for step in stage]
            if optional := any(body.scope.nodes[step].when for step in stage):
                route, targets = self._route(body, stages[number:], last)
                edges += [f"{built}.add_conditional_edges({each}, {route}, [{', '.join(targets)}])" for each in before]
            else:
                edges += _edges(built, before, here, joint=joint)
            before, joint = here, not optional
        edges += _edges(built, before, [last], joint=joint and last != "END")
        if isinstance(holder, LoopNode):
            nodes.append(f"{built}.add_node({last}, {self._next(body, holder)})")
            first = ", ".join(f'"{body.key(step)}"' for step in stages[0])
            edges.append(f"{built}.add_conditional_edges({last}, {self._again(body, holder, first)}, [{first}, END])")
        self.sources.append("\n".join([f"{built} = StateGraph(State)", *nodes, *edges, f"{name} = {built}.compile()"]))

    def _route(self, body: _StateBody, stages: Sequence[Sequence[str]], last: str) -> tuple[str, list[str]]:
        """Writes the function that says which steps are next where ways are taken; its name, and the steps that it may name."""
        name, targets = self._free(f"to_{body.key(stages[0][0])}"), list[str]()
        lines = ["steps: list[str] = []"]
        for stage in stages:
            for when, steps in groupby(stage, key=lambda step: body.scope.nodes[step].when):
                here = [f'"{body.key(step)}"' for step in steps]
                targets += here
                branch, label = split_reference(when or "")
                lines += [f"if {body.variable(branch)} == {quoted(label)}:"] if branch else []
                lines.append(f"{STEP if branch else ''}steps += [{', '.join(here)}]")
            if not all(body.scope.nodes[step].when for step in stage):
                self.sources.append(_function(f"def {name}(state: State) -> list[str]", [*lines, "return steps"]))
                return name, targets
            lines += ["if steps:", f"{STEP}return steps"]
        self.sources.append(_function(f"def {name}(state: State) -> list[str]", [*lines, f"return [{last}]"]))
        return name, [*targets, last]

    def _again(self, body: _StateBody, node: LoopNode, first: str) -> str:
        """Writes the function that says whether a loop goes on; its name."""
        key = self.keys[body.scope.path[:-1]]
        ended = [f'state["{key}_count"] >= {node.bound}']
        ended += [] if node.until is None else [condition_source(node.until, body.needed)]
        lines = [f"if {' or '.join(ended)}:", f"{STEP}return [END]", f"return [{first}]"]
        self.sources.append(_function(f"def {key}_again(state: State) -> list[str]", lines))
        return f"{key}_again"

    def _next(self, body: _StateBody, node: LoopNode) -> str:
        """Writes the node at the end of a loop's body: what is carried on, the count, and that ways are still to be taken."""
        key = self.keys[body.scope.path[:-1]]
        carried = {name: body.needed_as(each.next, each.type) for name, each in node.carry.items()}
        given = {key: members_source(carried), f"{key}_count": f'state["{key}_count"] + 1'}
        given |= {body.key(name): "None" for name, each in node.nodes.items() if each.when}
        return self._run(f"{key}_next", [f"return {members_source(given)}"])

    def _node(self, body: _StateBody, name: str) -> str:
        """Writes the function of a node; its name."""
        node, key, kind = body.scope.nodes[name], body.key(name), "dict[str, Any]"
        lines: list[str] = []
        if isinstance(node, LoopNode):
            self.state[f"{key}_count"] = "int"
            self.write(self.body(body.scope.inner(name)), f"{key}_graph", f'"{key}_next"')
            start = members_source(
                {each: body.needed_as(carry.start, carry.type) for each, carry in node.carry.items()}
            )
            lines = [f'done = await {key}_graph.ainvoke({{**state, "{key}": {start}, "{key}_count": 0}})']
            value = f'done["{key}"]'
        elif isinstance(node, MapNode):
            self._map(body, name, node)
            lines = [f"done = await {key}_graph.ainvoke(state)"]
            value = members_source({each: f'[row[{quoted(each)}] for row in done["{key}_rows"]]' for each in node.out})
        elif not body.waits(name):
            value = body.value(name)
        else:
            call = body.call(name)
            value = f"await {f'or_none({call})' if body.reasons.get(name) and not node.when else call}"
        if node.kind == "branch":
            kind = "str"
        elif value.startswith("await samples_of") or value.startswith("await or_none(samples_of"):
            kind = "list[dict[str, Any]]"
        self.state[key] = kind
        return self._run(self._free(f"run_{key}"), [*lines, f"return {members_source({key: value})}"])

    def _map(self, body: _StateBody, name: str, node: MapNode) -> None:
        """Writes the graphs of a map: of one item, and the one that sends each item there."""
        key, inner = body.key(name), self.body(body.scope.inner(name))
        self.state |= {f"{key}_item": "Any", f"{key}_rows": "Annotated[list[Any], operator.add]"}
        self.write(inner, f"{key}_item_graph", "END")
        row = members_source({each: inner.needed(reference) for each, reference in node.out.items()})
        one = self._run(
            f"{key}_one", [f"state = await {key}_item_graph.ainvoke(state)", f'return {{"{key}_rows": [{row}]}}']
        )
        sent = f'Send("{one}", {{**state, "{key}_item": item}}) for item in {body.needed(node.over)}[:{node.bound}]'
        self.sources.append(_function(f"def {key}_items(state: State) -> list[Send]", [f"return [{sent}]"]))
        built = f"{key}_graph_builder"
        lines = [f"{built} = StateGraph(State)", f'{built}.add_node("{one}", {one})']
        lines += [f'{built}.add_conditional_edges(START, {key}_items, ["{one}"])', f'{built}.add_edge("{one}", END)']
        self.sources.append("\n".join([*lines, f"{key}_graph = {built}.compile()"]))

    def _run(self, name: str, lines: Sequence[str]) -> str:
        self.sources.append(_function(f"async def {name}(state: State) -> dict[str, Any]", lines))
        return name

    def _free(self, wish: str) -> str:
        return free_name(wish, self.names.taken - inner_names(self.exported))


def _stages(scope: Scope) -> list[list[str]]:
    """The steps of a body by the superstep in which they run: each waits for steps of stages before its own alone."""
    level: dict[str, int] = {}
    for name in topological(scope.holder):
        level[name] = 1 + max((level[each] for each in predecessors(scope.holder, name)), default=-1)
    return [list(steps) for _, steps in groupby(sorted(level, key=level.__getitem__), key=level.__getitem__)]


def _edges(built: str, before: Sequence[str], here: Sequence[str], *, joint: bool) -> list[str]:
    """Edges to steps from those of the stage before. Where all of these run, one edge waits for them."""
    if joint and len(before) > 1:
        return [f"{built}.add_edge([{', '.join(before)}], {each})" for each in here]
    return [f"{built}.add_edge({one}, {each})" for one in before for each in here]


def _function(head: str, lines: Sequence[str]) -> str:
    return "\n".join([f"{head}:", *(f"{STEP}{indented(line)}" for line in lines)])
