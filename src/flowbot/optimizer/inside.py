"""The calls that programs made in a run, those of the user's own and those in words, and which of them read which.

What is linked are calls without calls inside: a step that made others is seen through. Who read it read those that its result came from,
and those of its inner calls of which nothing is known read what it was handed.
"""

from __future__ import annotations

from collections.abc import Sequence

from flowbot.runtime.trace import Step, Trace

HOLDERS = ("program", "core")
"""Kinds of nodes whose calls are steps of their own."""


class Inside:
    """What happened inside the programs of a run.

    Args:
        trace: of the run.
    """

    def __init__(self, trace: Trace) -> None:
        self.steps = {step.address: step for step in trace.steps}
        programs = [step.address for step in trace.steps if step.kind in HOLDERS]
        self.inner: dict[str, list[str]] = {}
        """By holder the steps that it made itself."""
        for address in self.steps:
            if any(address.startswith(f"{each}/") for each in programs):
                self.inner.setdefault(address.rpartition("/")[0], []).append(address)
        self._held = {each for made in self.inner.values() for each in made}
        self._ends: dict[str, list[str]] = {}
        self._place = {step.address: place for place, step in enumerate(trace.steps)}

    def has(self, address: str) -> bool:
        """Whether a step is one that a program made."""
        return address in self._held

    @property
    def told(self) -> list[Step]:
        """The calls, and each program behind those that it made: what they gave it gave."""
        last = {each: max(self._place[inner] for inner in made) for each, made in self.inner.items()}
        shown = [step for step in self.steps.values() if step.kind in HOLDERS or step.address not in self.inner]
        return sorted(shown, key=lambda step: max(self._place[step.address], last.get(step.address, -1) + 0.5))

    def ends(self, address: str) -> list[str]:
        """The calls that what a step gave came from: the step itself, unless it made others."""
        if address not in self.inner:
            return [address]
        if address not in self._ends:
            made = self.inner[address]
            own = [edge.source for edge in self.steps[address].edges if edge.source.startswith(f"{address}/")]
            read = {edge.source for each in made for edge in self.steps[each].edges}
            last = own or [each for each in made if each not in read]
            failed = [each for each in made if self.steps[each].error][-1:] if self.steps[address].error else []
            self._ends[address] = list(dict.fromkeys(end for each in failed or last for end in self.ends(each)))
        return self._ends[address]

    def sources(self, step: Step) -> tuple[Step, list[tuple[str, str, bool]]]:
        """What a call read of others: by the name of the step that gave it, from which call, and that it went on with it. Where nothing
        is known of the call, what the step around it was handed; the first is whose reading it is, which may be the program's."""
        holder = step
        while not (edges := [each for each in holder.edges if not each.source.startswith(f"{holder.address}/")]):
            holder = self.steps[holder.address.rpartition("/")[0]]
            if not self.has(holder.address):
                return holder, []
        data = [each.source for each in edges if each.part]
        names = _names(list(dict.fromkeys(data)))
        found = dict.fromkeys((names[each], end, True) for each in data for end in self.ends(each))
        return holder, [each for each in found if self._place[each[1]] < self._place[step.address]]


def _names(addresses: Sequence[str]) -> dict[str, str]:
    """Steps by the shortest names that tell them apart: `plan`, or `plan[2]` beside `plan[1]`."""
    last = {each: each.rpartition("/")[2] for each in addresses}
    short = {each: name.partition("[")[0] for each, name in last.items()}
    for names in (short, last):
        if len(set(names.values())) == len(names):
            return names
    return {each: each for each in addresses}
