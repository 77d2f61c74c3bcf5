"""A program in words as typed nodes: a step becomes an `llm` node, a decision one with a `branch` behind it, ways that meet a `merge`,
a loop a `loop`. The path of a run stays what it was; what stands in the prompts does not.

A step reads what every step before it on its way said, as it does when the program is carried out: each under its name, and of ways
that have met all as one text. A loop carries what was said in it, and which way was taken last. A step that ways lead to which have
not met before it is made once for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from flowbot.fields import Type

from .check import check
from .conditions import Guard, Test
from .core import CoreProgram, read_core
from .core_loops import END, CoreLoop, Level, Structure, Way, loops_of, name_of
from .graph import all_names, free_name
from .nodes import MAX_STEPS, BranchNode, Carry, CodeNode, CoreNode, LLMNode, LoopNode, MergeNode, Node
from .parameters import CodeParameters, CoreParameters, LLMParameters, Parameters
from .scope import Scope
from .workflow import Workflow

MOST_NODES = 200
"""Of the lifted form: steps that are made once for each way may be many."""
_ANSWER, _NEXT = "answer", "next"
_EMPTY = "def run():\n    return {'text': ''}\n"


class _TooManyError(Exception):
    pass


def lift_core(workflow: Workflow, path: str) -> tuple[Workflow | None, str]:
    """The workflow with typed nodes in place of a program in words, or None with the reason, a sentence.

    Args:
        workflow: a valid one.
        path: of a `core` node that stands in no body.
    """
    node, told = workflow.sketch.nodes.get(path), workflow.parameters.get(path)
    if not isinstance(node, CoreNode) or not isinstance(told, CoreParameters):
        return None, f"{path} is no program in words that stands in the workflow itself."
    program = read_core(told.program)[0]
    loops = loops_of(program)
    if loops is None:
        return None, "One of its circles can be entered at more than one step, so that it is no loop."
    writer = _Writer(workflow, path, node, told, program, loops)
    try:
        lifted = writer.lifted()
    except _TooManyError:
        return None, f"It would take more than {MOST_NODES} nodes: too many of its ways do not meet."
    defects = check(lifted)
    return (None, f"{defects[0]}.") if defects else (lifted, "")


class _Put(NamedTuple):
    """What was written of a step or loop: its name, what is read of it, and of what its ways depend.

    `instead` is what later steps then read no more.
    """

    name: str
    said: str = ""
    turn: str = ""
    instead: str = ""


@dataclass(slots=True)
class _Body:
    """The nodes of one body as they are written.

    Args:
        path: of the body, as `again/`.
        nodes: so far.
        said: references of what its steps said, in the order of a run.
        turns: references of the ways that were taken, likewise.
        ends: names of the nodes of terminals.
    """

    path: str = ""
    nodes: dict[str, Node] = field(default_factory=dict[str, Node])
    said: list[str] = field(default_factory=list[str])
    turns: list[str] = field(default_factory=list[str])
    ends: list[str] = field(default_factory=list[str])


class _Writer:
    """Writes the nodes of one program."""

    def __init__(
        self,
        workflow: Workflow,
        path: str,
        node: CoreNode,
        told: CoreParameters,
        program: CoreProgram,
        loops: Sequence[CoreLoop],
    ) -> None:
        self.workflow, self.path, self.node, self.told = workflow, path, node, told
        self.steps, self.first, self.shape = program.by_name(), program.first.name, Structure(program, loops)
        self.taken = {*all_names(workflow.sketch), *node.inputs}
        self.parameters: dict[str, Parameters] = {}

    def lifted(self) -> Workflow:
        """The workflow with the nodes in its place."""
        body, sketch = _Body(), self.workflow.sketch
        self.chain(body, self.shape.level(None), self.first, None, self.node.when, {})
        swap = {f"{self.path}.{name}": self.output(body, name, kind) for name, kind in self.node.out.items()}
        nodes: dict[str, Node] = {}
        for name, each in sketch.nodes.items():
            nodes |= body.nodes if name == self.path else {name: each.rewired(swap)}
        kept = {name: each for name, each in self.workflow.parameters.items() if name != self.path}
        changed = sketch.reading(swap).model_copy(update={"nodes": nodes})
        return Workflow(sketch=changed, parameters={**kept, **self.parameters})

    def output(self, body: _Body, name: str, kind: str) -> str:
        """An output of the program: that of its terminal, or of the one that was come to."""
        given = [f"{end}.{name}" for end in body.ends]
        return given[0] if len(given) == 1 else self.merge(body, name, "first", given, {name: kind}, self.node.when)

    def chain(
        self, body: _Body, level: Level, here: str, stop: str | None, when: str | None, known: Mapping[str, str]
    ) -> list[str]:
        """Write what stands from a step on, up to where ways meet, and return what is said there.

        Args:
            body: what is written to.
            level: whose steps they are.
            here: the first.
            stop: where to stop; None: at the end.
            when: the way on which they stand.
            known: what they read besides the inputs, by name.
        """
        began = len(body.said)
        while here != stop and not here.startswith(END):
            put = (self.loop if here in level.inner else self.step)(body, level, here, when, known)
            ways, meet, first = level.ways[here], level.meets[here], len(body.said)
            if put.said:
                known = {key: each for key, each in known.items() if each != put.instead} | {put.name: put.said}
                body.said.append(put.said)
            if put.turn:
                body.turns.append(put.turn)
            apart = [target for target in ways if target != meet and not target.startswith(END)]
            if len(ways) > 1 and apart:
                branch = self.branch(body, here, put.turn, list(ways.values()), when)
                for target in apart:
                    self.chain(body, level, target, meet, f"{branch}.{ways[target].label}", known)
            if meet is None:
                break
            more = body.said[first + 1 :]
            if more and meet != stop and not meet.startswith(END):
                joined = self.merge(
                    body, f"after_{name_of(here, 'step')}", "concat", [put.said, *more], {"text": "str"}, when
                )
                known = {key: each for key, each in known.items() if each != put.said} | {
                    joined.partition(".")[0]: joined
                }
            here = meet
        return body.said[began:]

    def step(self, body: _Body, level: Level, here: str, when: str | None, known: Mapping[str, str]) -> _Put:
        """The node of a step."""
        step, decides = self.steps[here], len(level.ways[here]) > 1
        if step.kind == "terminal":
            out = dict(self.node.out)
        elif decides:
            values = tuple(value for way in level.ways[here].values() for value in way.values)
            out = {_NEXT: str(Type("literal", options=values))}
        else:
            out = {_ANSWER: "str"}
        node = LLMNode(when=when, inputs={**self.node.inputs, **known}, out=out, model=self.node.model)
        told = LLMParameters(
            instruction=step.instruction,
            model=self.told.model,
            max_tokens=self.told.max_tokens,
            tools=() if step.kind == "terminal" else self.told.tools,
        )
        name = self.put(body, here, node, told)
        if step.kind == "terminal":
            body.ends.append(name)
            return _Put(name)
        return _Put(name, f"{name}.{_NEXT}", f"{name}.{_NEXT}") if decides else _Put(name, f"{name}.{_ANSWER}")

    def loop(self, body: _Body, level: Level, here: str, when: str | None, known: Mapping[str, str]) -> _Put:
        """The node of a loop, with its body. It carries what was said, from what was said last before it, and the way taken last."""
        loop = level.inner[here]
        inside = self.shape.level(loop)
        start = list(known.values())[-1] if known else self.text(body, when)
        name, notes, where = self.free(f"{name_of(here, 'step')}_again"), self.free("notes"), self.free("where")
        within = _Body(f"{body.path}{name}/")
        seen = {key: each for key, each in known.items() if each != start}
        self.chain(within, inside, here, None, None, {**seen, notes: notes})
        turns = within.turns[::-1]
        turn = turns[0] if len(turns) == 1 else self.merge(within, "turn", "first", turns, {_NEXT: "str"}, None)
        said = self.merge(within, "so_far", "concat", [notes, *within.said], {"text": "str"}, None)
        node = LoopNode(
            when=when,
            max=max(1, min(MAX_STEPS, self.node.max_steps // self.shape.round(loop))),
            until=Test(ref=turn, op="in", value=[value for value, _ in self.shape.exits(loop)]),
            carry={notes: Carry(type="str", start=start, next=said), where: Carry(type="str", start=start, next=turn)},
            nodes=within.nodes,
        )
        body.nodes[name] = node
        return _Put(name, f"{name}.{notes}", f"{name}.{where}", start)

    def text(self, body: _Body, when: str | None) -> str:
        """A text that a loop can begin with where nothing was said yet: an input, or else an empty one."""
        scope = Scope.of(self.workflow.sketch)
        texts = [each for each in self.node.inputs.values() if scope.type_text(each) == "str"]
        if texts:
            return texts[0]
        name = self.put(
            body, "nothing", CodeNode(when=when, inputs={}, out={"text": "str"}), CodeParameters(code=_EMPTY)
        )
        return f"{name}.text"

    def branch(self, body: _Body, here: str, turn: str, ways: Sequence[Way], when: str | None) -> str:
        """A branch by what `next` says; the last way is the other one."""
        tests: dict[str, Guard | None] = {}
        for way in ways[:-1]:
            first, *more = way.values
            one = Test(ref=_NEXT, op="==", value=first)
            tests[way.label] = Test(ref=_NEXT, op="in", value=[first, *more]) if more else one
        node = BranchNode(when=when, inputs={_NEXT: turn}, ways={**tests, ways[-1].label: "else"})
        return self.put(body, f"{name_of(here, 'step')}_way", node)

    def merge(
        self,
        body: _Body,
        wish: str,
        how: Literal["first", "concat"],
        given: Sequence[str],
        out: dict[str, str],
        when: str | None,
    ) -> str:
        """A merge, as the reference of what it gives."""
        name = self.put(body, wish, MergeNode(when=when, how=how, inputs=tuple(given), out=out))
        return f"{name}.{next(iter(out))}"

    def put(self, body: _Body, wish: str, node: Node, told: Parameters | None = None) -> str:
        """A node in a body, by its name."""
        name = self.free(name_of(wish, "step"))
        body.nodes[name] = node
        if told is not None:
            self.parameters[f"{body.path}{name}"] = told
        return name

    def free(self, wish: str) -> str:
        """A name that nothing has yet."""
        name = free_name(wish, self.taken)
        self.taken.add(name)
        if len(self.taken) > MOST_NODES:
            raise _TooManyError
        return name
