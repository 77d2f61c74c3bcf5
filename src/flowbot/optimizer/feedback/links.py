"""How what each call of a recorded run gave went on: into which input of which later call, or which output of the workflow.

What is linked are the calls of the run, not the nodes of the sketch: a loop unrolls, a map fans out, a way that was not taken is not
there. References are resolved as the run resolved them, round by round and item by item.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, TypeAlias

from flowbot.optimizer.inside import Inside
from flowbot.optimizer.step_view import call_view
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.trace import Step, node_path
from flowbot.workflow.conditions import tests_of
from flowbot.workflow.nodes import BodyNode, HasNodes, LoopNode, MapNode, MergeNode, node_at
from flowbot.workflow.workflow import Workflow

MOST_CALLS = 4
"""Calls of one node in one run (steps of a loop, items of a map, samples) that are asked about: the last ones, since what stands
after a loop reads its last step."""
Runs: TypeAlias = tuple[tuple[str, int], ...]
"""One run of a body: each loop or map around it, the outermost first, with the number of its step or item."""
_NUMBERED = re.compile(r"(.*?)(?:\[(\d+)\])?(?:#\d+)?")


@dataclass(frozen=True, slots=True)
class Link:
    """One way in which what a call gave went on.

    Args:
        reader: address of the later call; "" for the end of the run.
        part: what the reader's feedback must be on to be of concern: `in.NAME`, or "", what the reader gave; of the end the name of
            an output of the workflow, "" where the run has none.
        how: `read`: as that input; `way`: it chose the way on which the reader stands; `until`: it told a loop to go on or to
            end; `skip`: by `feedback_from`, or what came of the run, of calls that a program repeats; `end`.
        taken: whether the reader went on with it: a merge goes on with one of several.
    """

    reader: str
    part: str
    how: Literal["read", "way", "until", "skip", "end"] = "read"
    taken: bool = True


Links: TypeAlias = dict[str, tuple[Link, ...]]
"""By the address of each call that gradients are made of, in the order of the run."""


def links_of(program: WorkflowProgram, row: Row, until: str | None = None) -> Links:
    """The calls on which an end of the run depends, each with how it went on, in the order of the run.

    Of the calls of one node the last `MOST_CALLS`; what went into an earlier one counts as read where that one was read.

    Args:
        program: what was run.
        row: a recorded run of it.
        until: path of a step: its calls and those alone on which their gradients depend.
    """
    linked = _Run(program.workflow, row).linked()
    steps = [step for step in row.trace.steps if step.address in linked]
    reached: set[str] = set()
    left: Counter[tuple[str, tuple[str, ...]]] = Counter()
    kept: Links = {}
    found: Links = {}
    for step in reversed(steps):
        ways = [each for each in linked[step.address] if not each.reader or each.reader in reached]
        if not ways:
            continue
        reached.add(step.address)
        # What went into a call that is not asked about went on where that one did.
        onward = [
            again
            for each in ways
            for again in ([each] if each.reader in kept or not each.reader else found[each.reader])
        ]
        found[step.address] = tuple(dict.fromkeys(onward))
        left[step.node, step.slots] += 1
        if left[step.node, step.slots] <= MOST_CALLS:
            kept[step.address] = found[step.address]
    order = {step.address: place for place, step in enumerate(steps)} | {"": len(steps)}
    wanted: set[str] = set()
    chosen: Links = {}
    for step in steps:
        if step.address in kept and (until in (None, *step.slots) or step.address in wanted):
            chosen[step.address] = tuple(sorted(kept[step.address], key=lambda each: order[each.reader]))
            wanted.update(each.reader for each in kept[step.address])
    return chosen


def givers(program: WorkflowProgram, row: Row, step: Step) -> list[tuple[str, str, bool]]:
    """What a call read of other calls: the input, the other's address, and whether the call went on with it."""
    return list(_Run(program.workflow, row).sources(step))


class _Run:
    """The recorded run of a sketch: who made what is read where."""

    def __init__(self, workflow: Workflow, row: Row) -> None:
        self.workflow, self.sketch, self.trace = workflow, workflow.sketch, row.trace
        self.inside = Inside(row.trace)
        self.numbers: dict[tuple[Runs, str], int] = {}
        for step in self.trace.steps:
            runs = _runs(step.address)
            for depth, (name, number) in enumerate(runs):
                key = (runs[:depth], name)
                self.numbers[key] = max(number, self.numbers.get(key, 0))

    def linked(self) -> dict[str, list[Link]]:
        """Every call with how it went on."""
        calls = [step for step in self.trace.steps if not self.holds(step)]
        found: dict[str, list[Link]] = {step.address: [] for step in calls}
        for step in calls:
            read: set[str] = set()
            for name, address, taken in self.sources(step):
                read.add(address)
                found[address].append(Link(step.address, f"in.{name}", taken=taken))
            for address in (end for each in step.reads for end in self.inside.ends(each)):
                if address in found and address not in read:
                    found[address].append(Link(step.address, "", "way"))
        for place, step in enumerate(calls):
            if skips := call_view(self.workflow, step).skips:
                later = (each for each in calls[place + 1 :] if each.node in skips)
                found[step.address] += [Link(each.address, "", "skip") for each in later]
        for address, output in self.ends(found):
            found[address].append(Link("", output, "end"))
        self.link_repeated(calls, found)
        for step in self.trace.steps:
            node = None if self.inside.has(step.address) else node_at(self.sketch, step.node)
            if isinstance(node, LoopNode) and node.until is not None:
                self.link_tests(step, node, found)
        return found

    def holds(self, step: Step) -> bool:
        """Whether a step is none but those inside it: a body, a program, a step of a program that made others."""
        if step.address in self.inside.inner:
            return True
        return not self.inside.has(step.address) and isinstance(node_at(self.sketch, step.node), BodyNode)

    def link_repeated(self, calls: Sequence[Step], found: dict[str, list[Link]]) -> None:
        """What a program's loops ask a model again and again hears what came of the run in the end, too."""
        asked = [step for step in calls if step.texts and self.inside.has(step.address)]
        times = Counter((step.node, step.texts) for step in asked)
        ends = list(dict.fromkeys(link.part for links in found.values() for link in links if not link.reader))
        for step in asked:
            if times[step.node, step.texts] > 1 and all(link.reader for link in found[step.address]):
                found[step.address] += [Link("", part, "skip") for part in ends]

    def sources(self, step: Step) -> Iterator[tuple[str, str, bool]]:
        """What a call read of others: the input, the other's address, and whether the call went on with it."""
        if self.inside.has(step.address):
            holder, given = self.inside.sources(step)
            yield from given if self.inside.has(holder.address) else self.sources(holder)
            return
        node, runs = node_at(self.sketch, step.node), _runs(step.address)
        if isinstance(node, MergeNode):
            inputs = {**{each: each for each in node.inputs}, **node.given}
        else:
            inputs: dict[str, str] = getattr(node, "inputs", {})
        for name, reference in inputs.items():
            bases = set(self.made(runs, reference))
            read = [each for each in step.reads if each.partition("#")[0] in bases]
            taken = _taken(step, node, name, read) if isinstance(node, MergeNode) else read
            yield from ((name, end, each in taken) for each in read for end in self.inside.ends(each))

    def made(self, runs: Runs, reference: str) -> list[str]:
        """Addresses, without the numbers of samples, of the calls that made what a reference names in one run of a body."""
        holder = self.holder(runs)
        name, dot, output = reference.partition(".")
        if dot and name in holder.nodes:
            node, number = holder.nodes[name], self.numbers.get((runs, name), 0)
            if isinstance(node, LoopNode):
                return self.made((*runs, (name, number)), node.carry[output].next) if number else []
            if isinstance(node, MapNode):
                items = (self.made((*runs, (name, each)), node.out[output]) for each in range(1, number + 1))
                return list(dict.fromkeys(address for item in items for address in item))
            return [_address(runs, name)]
        if not runs:
            return []
        outer, (around, number) = runs[:-1], runs[-1]
        if isinstance(holder, LoopNode) and reference in holder.carry:
            carry = holder.carry[reference]
            return (
                self.made((*outer, (around, number - 1)), carry.next) if number > 1 else self.made(outer, carry.start)
            )
        if isinstance(holder, MapNode) and reference == holder.item:
            return self.made(outer, holder.over)
        return self.made(outer, reference)

    def holder(self, runs: Runs) -> HasNodes:
        """The body."""
        if not runs:
            return self.sketch
        node = node_at(self.sketch, "/".join(name for name, _ in runs))
        assert isinstance(node, LoopNode | MapNode)  # nothing else has a body
        return node

    def ends(self, found: dict[str, list[Link]]) -> Iterator[tuple[str, str]]:
        """The calls that made the outputs of the workflow; of a run without outputs the call that failed, and where that is not
        known, those that nothing read."""
        if self.trace.outputs is not None:
            # Of several samples what reads no merge takes the first that is there.
            first: dict[str, str] = {}
            for step in self.trace.steps:
                if step.outputs is not None and (step.address in found or step.address in self.inside.inner):
                    first.setdefault(step.address.partition("#")[0], step.address)
            for output, reference in self.sketch.outputs.items():
                given = (first[base] for base in self.made((), reference) if base in first)
                yield from ((end, output) for each in given for end in self.inside.ends(each))
        elif (failed := self.trace.error.partition(": ")[0]) in found or failed in self.inside.inner:
            yield from ((end, "") for end in self.inside.ends(failed))
        else:
            yield from ((address, "") for address, links in found.items() if not links)

    def link_tests(self, loop: Step, node: LoopNode, found: dict[str, list[Link]]) -> None:
        """What a loop's condition reads told it to go on, to what the next step gave, or to end, to where the loop was read."""
        assert node.until is not None
        runs, name = _runs(loop.address), loop.node.rpartition("/")[2]
        body = f"{loop.address.partition('#')[0]}/"
        for number in range(1, self.numbers.get((runs, name), 0) + 1):
            here = (*runs, (name, number))
            ended = number == self.numbers[runs, name]
            onward: list[Link] = []
            for carry in node.carry.values():
                if ended:
                    left = (link for each in self.made(here, carry.next) for link in found.get(each, ()))
                    onward += [
                        replace(link, how="until")
                        for link in left
                        if not link.reader.startswith(body) and link.how != "skip"
                    ]
                else:
                    makers = self.made((*runs, (name, number + 1)), carry.next)
                    onward += [Link(each, "", "until") for each in makers if each in found]
            for tester in dict.fromkeys(each for test in tests_of(node.until) for each in self.tested(here, test.ref)):
                known = {link.reader for link in found.get(tester, ())}
                if any(each.startswith(body) for each in known) and not ended:
                    continue  # what it told stands in what the next step read of it
                more = (
                    link for link in onward if link.reader not in known and node_path(link.reader) != node_path(tester)
                )
                found.get(tester, []).extend(dict.fromkeys(more))

    def tested(self, here: Runs, reference: str) -> list[str]:
        """Who made what a condition reads after a step: of what is carried, its next value."""
        holder = self.holder(here)
        carried = isinstance(holder, LoopNode) and holder.carry.get(reference)
        return self.made(here, carried.next if carried else reference)


def _taken(step: Step, node: MergeNode, reference: str, read: Sequence[str]) -> Sequence[str]:
    """Of the calls that a merge read under one reference those with whose value it went on."""
    gave = next(iter((step.outputs or {}).values()), None)
    if gave is None or node.how in ("concat", "judge") or reference not in node.inputs:
        return read
    names = [name for name in step.inputs if name.partition("#")[0] in node.inputs]
    same = [name for name in names if step.inputs[name] == gave]
    if node.how == "first":
        same = same[:1]
    mine = [name for name in names if name.partition("#")[0] == reference]
    if not same or len(mine) != len(read):
        return read if not same or any(name in same for name in mine) else ()
    # Of equal samples one is enough: what is said of it holds for all.
    return [address for name, address in zip(mine, read, strict=True) if name in same][:1]


def _runs(address: str) -> Runs:
    """The runs of bodies in which a call stands: of `each/refine[7]/critic[2]` those of `each`, item 7, and of `refine`, step 2."""
    parts = [_split(each) for each in address.split("/")]
    return tuple((name, number) for (name, _), (_, number) in pairwise(parts))


def _split(part: str) -> tuple[str, int]:
    match = _NUMBERED.fullmatch(part)
    assert match is not None  # it fits any text
    return match[1], int(match[2] or 0)


def _address(runs: Runs, name: str) -> str:
    """The address of a call in one run of a body."""
    parts: list[str] = []
    number = ""
    for around, each in runs:
        parts.append(around + number)
        number = f"[{each}]"
    return "/".join([*parts, name + number])


def readers_of(links: Iterable[Link]) -> list[str]:
    """The later calls, each once."""
    return list(dict.fromkeys(each.reader for each in links if each.reader))
