"""Where each call of a run stands: numbers that do not depend on which call began or ended first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from flowbot.fields.canonical import stable_hash

from .recorded import Edge, Recorded
from .seen import plain


def addresses(events: Sequence[Recorded], edges: Sequence[Edge], path: str = "") -> dict[str, str]:
    """The address of each call by its id, such as `app/plan[1]/call[2]`, in an order in which each comes after all that it reads.

    Siblings of one name are numbered by causal depth, then by a hash of what they were handed. Those that are equal in that are told
    apart by what they gave, and by what stands around them.

    Args:
        events: of one run.
        edges: of it.
        path: of the program's node; "" for none.
    """
    depths = _depths(events, edges)
    inner: dict[str | None, list[Recorded]] = {}
    for each in events:
        inner.setdefault(each.parent, []).append(each)
    handed = {each.id: stable_hash({name: plain(value.value) for name, value in each.given.items()}) for each in events}
    alike = _colours(events, edges, depths, handed)
    found: dict[str, str] = {}

    def number(holder: str | None, base: str) -> None:
        numbers = Counter[str]()
        for each in sorted(
            inner.get(holder, ()), key=lambda each: (depths[each.id], each.function, handed[each.id], alike[each.id])
        ):
            numbers[each.name] += 1
            found[each.id] = f"{base}{each.name}[{numbers[each.name]}]"
            number(each.id, f"{found[each.id]}/")

    number(None, f"{path}/" if path else "")
    order = sorted(events, key=lambda each: (depths[each.id], _sortable(found[each.id])))
    return {each.id: found[each.id] for each in order}


def _colours(
    events: Sequence[Recorded], edges: Sequence[Edge], depths: Mapping[str, int], handed: Mapping[str, str]
) -> dict[str, str]:
    """A hash of each call and of all that it is linked with, so that only those have one that may stand for each other."""
    near: dict[str, list[tuple[str, str]]] = {each.id: [] for each in events}
    for each in events:
        if each.parent in near:
            near[each.id].append(("in", each.parent))
            near[each.parent].append(("has", each.id))
    for each in edges:
        if each.reader:
            near[each.source].append((f"read {each.part}", each.reader))
            near[each.reader].append((f"reads {each.part}", each.source))
    gave = {each.id: None if each.gave is None else plain(each.gave.value) for each in events}
    colours = {
        each.id: stable_hash([each.function or each.name, depths[each.id], handed[each.id], each.error, gave[each.id]])
        for each in events
    }
    ends = {each.source for each in edges if not each.reader}
    colours = {name: f"{colour}{name in ends}" for name, colour in colours.items()}
    kinds = 0
    while (now := len(set(colours.values()))) < len(colours):
        if now == kinds:
            # They may stand for each other, but what hangs on one must not be taken for what hangs on another: one is told apart.
            alike = min(colour for colour, number in Counter(colours.values()).items() if number > 1)
            colours[next(name for name, colour in colours.items() if colour == alike)] += "'"
        kinds = len(set(colours.values()))
        linked = {name: sorted([tag, colours[other]] for tag, other in near[name]) for name in colours}
        colours = {name: stable_hash([colour, *linked[name]]) for name, colour in colours.items()}
    return colours


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
