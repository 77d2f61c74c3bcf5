"""A pipeline, what the endpoint says to it, the edges that are true of that run, and how many of them a trace has.

An edge is true where what the one gave can change what the other is handed, no other call standing between; where a step's result is
made of what an inner call gave; or where it decides that the other runs, and no other edge leads there. A call is named by its steps
and, where there are several, by a mark that stands in what it is handed, or by its number. `=` is the pipeline's own result.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowbot.runtime.trace import Step, Trace

Reply = str | list[tuple[str, dict[str, Any]]]
"""A text, or calls of tools."""


@dataclass(frozen=True, slots=True)
class Case:
    """One pipeline.

    Args:
        entry: `FILE:FUNCTION`.
        inputs: of the run.
        replies: marks that all stand in a request, and what is answered; the first that fits.
        edges: by reader, whom it read.
        marks: what tells calls of one name apart.
        out: names and types of what it gives.
        model: answers in place of those that it names, where its own connections pass no tap; "" for none.
    """

    entry: str
    inputs: Mapping[str, Any]
    replies: Sequence[tuple[tuple[str, ...], Reply]]
    edges: Mapping[str, set[str]]
    marks: Sequence[str] = ()
    out: tuple[tuple[str, str], ...] = (("answer", "str"),)
    model: str = ""

    @property
    def name(self) -> str:
        """Of the file."""
        return self.entry.partition(".py:")[0]

    def answer(self, text: str) -> Reply:
        """What is answered to a request that says `text`."""
        return next(said for marks, said in self.replies if all(mark in text for mark in marks))

    def true(self) -> set[tuple[str, str]]:
        """The true edges, reader first."""
        return {(reader, source) for reader, sources in self.edges.items() for source in sources}

    def found(self, trace: Trace) -> dict[tuple[str, str], str]:
        """The edges of a trace, and how each was found."""
        names = {step.address: self._name(trace, step.address) for step in trace.steps}
        return {(names[step.address], names[edge.source]): edge.how for step in trace.steps for edge in step.edges}

    def _name(self, trace: Trace, address: str) -> str:
        around, _, own = address.rpartition("/")
        if not around:
            return "="
        name, _, number = own.partition("[")
        siblings = [step for step in trace.steps if step.address.rpartition("[")[0] == address.rpartition("[")[0]]
        marks = {step.address: self._mark(step) for step in siblings}
        told = (
            f":{marks[address]}" if "" not in marks.values() and len({*marks.values()}) == len(marks) else f"[{number}"
        )
        base = f"{self._name(trace, around)}/" if "/" in around else ""
        return base + name + (told if len(siblings) > 1 else "")

    def _mark(self, step: Step) -> str:
        said = [each.content for each in step.messages]
        handed = json.dumps([dict(step.inputs), *said], ensure_ascii=False, default=str)
        here = [mark for mark in self.marks if mark in handed]
        return min(here, key=handed.index, default="")
