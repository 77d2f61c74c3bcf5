"""Bodies: each node starts as soon as what it reads is there; loops repeat a body, maps run one for every item side by side.

A way not taken costs nothing: its nodes are not called, nor what reads them alone. The trace is the same whatever ends first.
"""

from __future__ import annotations

from asyncio import Task, create_task
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

from flowbot.fields import StepError, Type, ValueMismatch
from flowbot.workflow.conditions import holds, tests_of
from flowbot.workflow.graph import predecessors, split_reference, topological
from flowbot.workflow.nodes import HasNodes, LoopNode, MapNode, MergeNode, Node, Sketch

from .node_calls import NodeCalls
from .together import together
from .trace import Step
from .values import MISSING, SKIPPED, Ended, Known, Place, Value, made_by


@dataclass(frozen=True, slots=True)
class BodyRun:
    """One run of a body.

    Args:
        ended: how each node ended, in the order of `topological`.
        known: what was known before, and what the body's nodes gave.
        until: seconds along the critical path until each node ended.
        wiring: what each node waits for.
    """

    ended: Mapping[str, Ended]
    known: Known
    until: Mapping[str, float]
    wiring: Mapping[str, tuple[str, ...]]

    @property
    def steps(self) -> tuple[Step, ...]:
        """What is recorded of it, in order."""
        return tuple(step for each in self.ended.values() for step in each.steps)

    @property
    def seconds(self) -> float:
        """How long it took along the critical path."""
        return max(self.until.values(), default=0.0)

    def cause(self, references: Iterable[str]) -> str:
        """Why one of these is missing, as `refine/critic[2]: …`; "" if all are there.

        A step that failed is only named if what is missing needed it: a merge may have taken another value.
        """
        waiting = [split_reference(reference)[0] or "" for reference in references if reference not in self.known]
        for name in waiting:  # grows
            ended = self.ended.get(name)
            failed = next((step for step in ended.steps if step.error), None) if ended is not None else None
            if failed is not None:
                return failed.error if failed.kind in ("loop", "map") else f"{failed.address}: {failed.error}"
            if ended is not None and ended.state == "missing":
                waiting.extend(each for each in self.wiring[name] if each not in waiting)
        return f"{waiting[0] or 'an input'} is missing" if waiting else ""

    @property
    def refused(self) -> Ended | None:
        """The first node whose request was refused."""
        return next((each for each in self.ended.values() if each.refused is not None), None)


class Wiring:
    """What the nodes of a sketch's bodies wait for, worked out once and used by every run of it.

    Args:
        sketch: whose.
    """

    def __init__(self, sketch: Sketch) -> None:
        self.sketch = sketch
        self._waits: dict[str, dict[str, tuple[str, ...]]] = {}
        self._chains: set[str] = set()

    def of(self, path: str, holder: HasNodes) -> dict[str, tuple[str, ...]]:
        """What each node of the body at `path` waits for, in the order of `topological`."""
        waits = self._waits.get(path)
        if waits is None:
            waits = self._waits[path] = {name: predecessors(holder, name) for name in topological(holder)}
            if all(before in waits[name] for before, name in pairwise(waits)):
                self._chains.add(path)
        return waits

    def is_chain(self, path: str) -> bool:
        """Whether in that body each node waits for the one before it: nothing there goes side by side."""
        return path in self._chains


@dataclass(frozen=True, slots=True)
class Schedule:
    """Runs the bodies of one workflow."""

    calls: NodeCalls
    wiring: Wiring

    async def run(self, holder: HasNodes, known: Known, place: Place) -> BodyRun:
        """Run the nodes of `holder` once.

        Args:
            holder: the sketch, or a node with a body.
            known: the body's own inputs, and all that stands around it.
            place: where it runs.
        """
        wiring = self.wiring.of(place.path, holder)
        if self.wiring.is_chain(place.path):
            ended: dict[str, Ended] = {}
            for name, before in wiring.items():
                ended[name] = await self._node(
                    name, holder.nodes[name], known, {each: ended[each] for each in before}, place
                )
        else:
            tasks: dict[str, Task[Ended]] = {}
            for name, before in wiring.items():
                waited = {each: tasks[each] for each in before}
                tasks[name] = create_task(self._after(waited, name, holder.nodes[name], known, place))
            ended = dict(zip(tasks, await together(list(tasks.values())), strict=True))
        after = dict(known)
        until: dict[str, float] = {}
        for name, each in ended.items():
            after.update({f"{name}.{output}": value for output, value in each.values.items()})
            if each.state != "skipped":
                until[name] = each.seconds + max((until.get(other, 0.0) for other in wiring[name]), default=0.0)
        return BodyRun(ended, after, until, wiring)

    async def _after(
        self, before: Mapping[str, Task[Ended]], name: str, node: Node, known: Known, place: Place
    ) -> Ended:
        return await self._node(name, node, known, {each: await task for each, task in before.items()}, place)

    async def _node(self, name: str, node: Node, known: Known, ended: Mapping[str, Ended], place: Place) -> Ended:
        seen = dict(known)
        for each, end in ended.items():
            seen.update({f"{each}.{output}": value for output, value in end.values.items()})
        led_by: tuple[str, ...] = ()
        if node.when is not None:
            branch, way = split_reference(node.when)
            taken = ended[branch or ""]
            if taken.state == "missing":
                return MISSING
            if taken.way != way:
                return SKIPPED
            led_by = (place.address(branch or ""),)
        wanted = node.references()
        absent = {split_reference(reference)[0] for reference in wanted if reference not in seen}
        if isinstance(node, MergeNode):
            # What is joined are alternatives, except where the parts make up the whole: of that only a way that was not
            # taken may be absent.
            whole = node.how == "concat" and any(ended[each or ""].state == "missing" for each in absent)
            if whole or any(reference not in seen for reference in node.given.values()):
                return MISSING
        elif absent:
            return MISSING
        match node:
            case LoopNode():
                return await self._loop(name, node, seen, place, led_by)
            case MapNode():
                return await self._map(name, node, seen, place, led_by)
            case _:
                return await self.calls.call(name, node, seen, place, led_by)

    async def _loop(self, name: str, node: LoopNode, known: Known, place: Place, led_by: tuple[str, ...]) -> Ended:
        starts = {key: _typed(known, carry.start, carry.type, key) for key, carry in node.carry.items()}
        first = Step(
            place.address(name),
            node.kind,
            {key: value.data for key, value in starts.items()},
            None,
            reads=led_by + made_by(starts.values()),
        )
        inner: list[Step] = []
        seconds = 0.0
        state: Known = starts
        note = ""
        for number in range(1, node.bound + 1):
            body = await self.run(node, {**known, **state}, place.inside(name, step=number))
            inner += body.steps
            seconds += body.seconds
            if body.refused is not None:
                return body.refused
            try:
                state = {key: _typed(body.known, carry.next, carry.type, key) for key, carry in node.carry.items()}
                if node.until is not None and holds(node.until, partial(_read, {**body.known, **state})):
                    break
            except (StepError, TypeError) as error:  # values of type object may not compare
                ends = [carry.next for carry in node.carry.values()]
                ends += [] if node.until is None else [test.ref for test in tests_of(node.until)]
                fault = body.cause(ends) or f"step {number}: {error}"
                return Ended("missing", (replace(first, error=fault, seconds=seconds), *inner), seconds=seconds)
        else:
            note = f"stopped at its bound of {node.bound} steps" if node.until is not None else ""
        outputs = {key: value.data for key, value in state.items()}
        first = replace(first, outputs=outputs, seconds=seconds, note=note)
        return Ended("done", (first, *inner), state, seconds)

    async def _map(self, name: str, node: MapNode, known: Known, place: Place, led_by: tuple[str, ...]) -> Ended:
        over = known[node.over]
        items = over.data
        first = Step(place.address(name), node.kind, {node.over: items}, None, reads=led_by + over.by)
        tasks = [
            create_task(self.run(node, {**known, node.item: Value(item, over.by)}, place.inside(name, item=number)))
            for number, item in enumerate(items[: node.bound], start=1)
        ]
        bodies = await together(tasks)
        inner = tuple(step for body in bodies for step in body.steps)
        seconds = max((body.seconds for body in bodies), default=0.0)
        first = replace(first, seconds=seconds)
        if len(items) > node.bound:
            first = replace(first, note=f"only the first {node.bound} of {len(items)} items")
        refused = next((body.refused for body in bodies if body.refused is not None), None)
        if refused is not None:
            return refused
        faults = [body.cause(node.out.values()) for body in bodies]
        if any(faults):
            return Ended("missing", (replace(first, error=next(filter(None, faults))), *inner), seconds=seconds)
        collected = {key: [body.known[reference] for body in bodies] for key, reference in node.out.items()}
        values = {key: Value([each.data for each in all_], made_by(all_)) for key, all_ in collected.items()}
        first = replace(first, outputs={key: value.data for key, value in values.items()})
        return Ended("done", (first, *inner), values, seconds)


def _read(known: Known, reference: str) -> Any:
    if reference not in known:
        raise StepError(f"{reference} is missing")
    return known[reference].data


def _typed(known: Known, reference: str, kind: str, name: str) -> Value:
    """A value as the type that the loop carries (an int where a float is carried becomes one).

    Raises:
        StepError: if it is missing.
    """
    try:
        data = Type.parse(kind).coerce(_read(known, reference), name)
    except ValueMismatch as error:
        raise StepError(str(error)) from None
    return Value(data, known[reference].by)
