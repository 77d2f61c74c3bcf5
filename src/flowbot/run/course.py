"""The course of a run, from its events: which proposals lead to a program, and what was measured of it."""

from __future__ import annotations

from collections.abc import Iterable

from .events import Event, Proposal, Started


def lineage(events: Iterable[Event], program: str) -> list[Proposal]:
    """The proposals from the start to the program of that hash, each made from the one before. The first that made a program counts;
    none where the program is the start, though a proposal may have led back to it."""
    makers: dict[str, Proposal] = {}
    starts: set[str] = set()
    for event in events:
        if isinstance(event, Started):
            starts.add(event.start)
        elif isinstance(event, Proposal) and event.program is not None and event.program not in starts:
            makers.setdefault(event.program, event)
    found: list[Proposal] = []
    while (maker := makers.pop(program, None)) is not None:  # a circle ends: each is taken once
        found.append(maker)
        program = maker.parents[0]
    return found[::-1]
