"""Where each call of a run stands: numbers that do not depend on which call began or ended first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, cast

from flowbot.fields.canonical import stable_hash

from .recorded import Edge, Recorded


def addresses(events: Sequence[Recorded], edges: Iterable[Edge], path: str = "") -> dict[str, str]:
    """The address of each call by its id, such as `app/plan[1]/call[2]`, in an order in which each comes after all that it reads.

    Siblings of one name are numbered by causal depth, then by a hash of what they were handed, then of what they and all within
    them gave.

    Args:
        events: of one run.
        edges: of it.
        path: of the program's node; "" for none.
    """
    depths = _depths(events, edges)
    inner: dict[str | None, list[Recorded]] = {}
    for each in events:
        inner.setdefault(each.parent, []).append(each)
    handed = {
        each.id: stable_hash({name: _plain(value.value) for name, value in each.given.items()}) for each in events
    }
    gave: dict[str, str] = {}
    for each in reversed(events):  # what is within a call began after it
        own = None if each.gave is None else _plain(each.gave.value)
        within = sorted((other.name, handed[other.id], gave[other.id]) for other in inner.get(each.id, ()))
        gave[each.id] = stable_hash([own, each.error, *map(list, within)])

    def key(event: Recorded) -> tuple[int, str, str, str, int]:
        return depths[event.id], event.name, handed[event.id], gave[event.id], event.started

    found: dict[str, str] = {}

    def number(holder: str | None, base: str) -> None:
        numbers = Counter[str]()
        for each in sorted(inner.get(holder, ()), key=key):
            numbers[each.name] += 1
            found[each.id] = f"{base}{each.name}[{numbers[each.name]}]"
            number(each.id, f"{found[each.id]}/")

    number(None, f"{path}/" if path else "")
    order = sorted(events, key=lambda each: (depths[each.id], _sortable(found[each.id])))
    return {each.id: found[each.id] for each in order}


def _depths(events: Sequence[Recorded], edges: Iterable[Edge]) -> dict[str, int]:
    """Of each call the longest way of reads to it."""
    reads: dict[str, list[str]] = {each.id: [] for each in events}
    for each in edges:
        if each.reader:
            reads[each.reader].append(each.source)
    depths: dict[str, int] = {}
    for event in events:
        waiting = [event.id]
        while waiting:
            each = waiting[-1]
            missing = [other for other in reads[each] if other not in depths]
            if missing and each not in depths:
                waiting += missing
            else:
                depths[each] = max((depths[other] + 1 for other in reads[each]), default=0)
                waiting.pop()
    return depths


def _sortable(address: str) -> list[tuple[str, int]]:
    parts = (part.rstrip("]").rpartition("[") for part in address.split("/"))
    return [(name, int(number) if number.isdigit() else 0) for name, _, number in parts]


def _plain(value: Any) -> Any:
    """Without what no canonical JSON can hold."""
    if isinstance(value, float) and not abs(value) < float("inf"):
        return str(value)
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in cast("dict[str, Any]", value).items()}
    return [_plain(each) for each in cast("list[Any]", value)] if isinstance(value, list) else value
