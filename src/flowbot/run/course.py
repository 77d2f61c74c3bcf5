"""The course of a run, from its events: which proposals lead to a program, and what was measured of it."""

from __future__ import annotations

from collections.abc import Iterable

from .events import Event, Proposal


def lineage(events: Iterable[Event], program: str) -> list[Proposal]:
    """The proposals from the start to the program of that hash, each made from the one before. The first that made a program counts."""
    makers: dict[str, Proposal] = {}
    for event in events:
        if isinstance(event, Proposal) and event.program is not None:
            makers.setdefault(event.program, event)
    found: list[Proposal] = []
    while (maker := makers.pop(program, None)) is not None:  # a circle ends: each is taken once
        found.append(maker)
        program = maker.parents[0]
    return found[::-1]
