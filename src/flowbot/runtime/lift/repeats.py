"""Places that are come to again and again: a `map` where each time is one item of a list, a `loop` where it goes on from the time before."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from flowbot.fields import Type
from flowbot.runtime.adapter import show_value

from .calls import CallMade, Defeat, Group, Known
from .drafting import Body

ITEM = "item"
Place = tuple[int, int]
"""The number of a run, and the number of the time in it."""


def repeated(outer: Body, group: Group) -> None:
    """The `map` or `loop` of a group, put among the nodes of `outer`.

    Raises:
        Defeat: if it is neither.
    """
    times = [(run, time) for run, count in enumerate(group.counts) for time in range(count)]
    counts = " and ".join(dict.fromkeys(str(count) for count in group.counts))
    defeats: list[Defeat] = []
    for over in _lists(outer, group):
        try:
            return _map(outer, group, times, over)
        except Defeat as defeat:
            defeats.append(defeat)
    if all(group.counts):
        try:
            return _loop(outer, group, times)
        except Defeat as defeat:
            defeats.append(defeat)
    why = f"; as a map it {defeats[0].why}" if defeats else ""
    what = f"is called {counts} times, for no list's items and not from what it gave before{why}"
    raise Defeat(
        group.first, what[:600], "hand it the items of a list that a step gave, or what it gave the time before"
    )


def _lists(outer: Body, group: Group) -> Iterator[str]:
    """The lists that have an item for each time."""
    for name, column in list(outer.known.items()):
        if Type.parse(outer.types[name]).kind == "list" and tuple(map(len, column)) == group.counts:
            yield name


def _map(outer: Body, group: Group, times: Sequence[Place], over: str) -> None:
    items = [outer.known[over][run][time] for run, time in times]
    kind = Type.parse(outer.types[over]).item
    body = _body(outer, times, "each", {ITEM: items}, {ITEM: str(kind)})
    keys = [[show_value(item)] for item in items]
    for site in group.sites:
        rows = _matched(group.made[site], times, keys)
        body.add(rows)
        keys = [[*key, show_value(row.gave)] for key, row in zip(keys, rows, strict=True)]
    gives = {each.replace(".", "_"): each for each in _given(body)}
    name = _put(outer, "each", body, {
        "kind": "map", "over": over, "limit": max(max(group.counts), 1), "out": gives, "nodes": body.nodes,
    })  # fmt: skip
    for output, reference in gives.items():
        values = dict(zip(times, body.known[reference], strict=True))
        lists = [[values[run, time] for time in range(count)] for run, count in enumerate(group.counts)]
        outer.give(f"{name}.{output}", f"list[{body.types[reference]}]", lists)


def _loop(outer: Body, group: Group, times: Sequence[Place]) -> None:
    """What is carried is not known before: every output of the body is tried with every start, those that are read stay."""
    rows = {site: [group.made[site][run][time] for run, time in times] for site in group.sites}
    drafted = _body(outer, times, "refine", {}, {})
    for site in group.sites:  # once without a carry, for the names of what the body gives
        drafted.nodes[name := drafted.free(rows[site][0].name)] = {}
        for output, kind, gave in _outputs(rows[site][0], rows[site]):
            drafted.give(f"{name}.{output}", kind, gave)
    made = {each: drafted.types[each] for each in _given(drafted)}
    starts = {name: kind for name, kind in outer.types.items() if kind in made.values()}
    carried: dict[str, dict[str, str]] = {}
    known: Known = {}
    for reference, kind in made.items():
        before = dict(zip(times, drafted.known[reference], strict=True))
        for start in (each for each, of in starts.items() if of == kind):
            name = f"{reference.partition('.')[0]}_from_{start.replace('.', '_')}"
            carried[name] = {"type": kind, "start": start, "next": reference}
            known[name] = [outer.known[start][run] if not time else before[run, time - 1] for run, time in times]
    body = _body(outer, times, "refine", known, {name: each["type"] for name, each in carried.items()})
    for site in group.sites:
        body.add(rows[site])
    read = {reference for node in body.nodes.values() for reference in node["in"].values()}
    if not read & set(carried):
        raise Defeat(group.first, "asks the same again", "its samples (`samples`), joined by a `merge`")
    last = {reference: next(name for name, each in carried.items() if each["next"] == reference) for reference in made}
    last |= {carried[name]["next"]: name for name in carried if name in read}
    carry = {name: each for name, each in carried.items() if name in {*read, *last.values()}}
    node: dict[str, Any] = {"kind": "loop", "max": max(group.counts), "carry": carry, "nodes": body.nodes}
    if len(set(group.counts)) > 1:
        node["until"] = _until(group, times, body)
    name = _put(outer, "refine", body, node)
    for reference, kept in last.items():
        ends = dict(zip(times, body.known[reference], strict=True))
        outer.give(f"{name}.{kept}", made[reference], [ends[run, count - 1] for run, count in enumerate(group.counts)])


def _until(group: Group, times: Sequence[Place], body: Body) -> dict[str, Any]:
    """A condition that held the last time and not before, on every example that ended before the bound."""
    most = max(group.counts)
    ended = [time == group.counts[run] - 1 for run, time in times]
    sure = [not last or group.counts[run] < most for (run, _), last in zip(times, ended, strict=True)]
    for reference in _given(body):
        texts = [str(value) for value in body.known[reference]]
        told = [(text, last) for text, last, sure_ in zip(texts, ended, sure, strict=True) if sure_]
        final = [text for text, last in told if last]
        for word in dict.fromkeys([final[0], *re.findall(r"\w+", final[0])]):
            for op, holds in (("==", str.__eq__), ("contains", str.__contains__)):
                if all(holds(text, word) == last for text, last in told):
                    return {"ref": reference, "op": op, "value": word}
    raise Defeat(
        group.first, "is repeated until plain Python says so", "a step whose reply says in one word that it is done"
    )


def _body(outer: Body, times: Sequence[Place], name: str, known: Known, types: dict[str, str]) -> Body:
    spread = {reference: [column[run] for run, _ in times] for reference, column in outer.known.items()}
    return outer.within({**known, **spread}, {**types, **outer.types}, f"{outer.prefix}{name}/", tuple(known))


def _put(outer: Body, name: str, body: Body, node: dict[str, Any]) -> str:
    """The node with a body under a free name, with what its nodes need."""
    free = outer.free(name)
    outer.nodes[free] = node
    outer.parameters |= {
        f"{outer.prefix}{free}/{path.rpartition('/')[2]}": told for path, told in body.parameters.items()
    }
    outer.tools |= body.tools
    outer.notes += body.notes
    outer.used |= body.used  # no name within may hide one outside
    return free


def _given(body: Body) -> list[str]:
    """What the nodes of a body give."""
    return [each for each in body.known if each.partition(".")[0] in body.nodes]


def _outputs(first: CallMade, rows: Sequence[CallMade]) -> Iterator[tuple[str, str, list[Any]]]:
    if first.kind == "model":
        yield "text", "str", [row.gave for row in rows]
    elif all(isinstance(row.gave, str) for row in rows):
        yield "result", "str", [row.gave for row in rows]


def _matched(
    made: Sequence[Sequence[CallMade]], times: Sequence[Place], keys: Sequence[Sequence[str]]
) -> list[CallMade]:
    """The call of each time: of those of its run the first that holds one of its keys, whatever order they were made in."""
    left = [list(calls) for calls in made]
    found: list[CallMade] = []
    for (run, _), wanted in zip(times, keys, strict=True):
        held = (each for key in reversed(wanted) for each in left[run] if key and key in _text(each))
        call = next(held, left[run][0])
        left[run].remove(call)
        found.append(call)
    return found


def _text(call: CallMade) -> str:
    given = (show_value(each) for each in call.given.values())
    return "\n".join([*(message.content for message in call.messages), *given])
