"""What was recorded of a run as steps of a trace: numbered, wired, with the texts that each holds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from flowbot.fields.secrets import hide_known
from flowbot.runtime.trace import Step, StepEdge, ToolCall, node_path

from .order import addresses
from .provenance import edges
from .recorded import Edge, Ran, Recorded
from .seen import plain
from .texts import Found, found

if TYPE_CHECKING:
    from flowbot.lm.tap import Exchange


def assembled(holder: Step, ran: Ran) -> tuple[Step, ...]:
    """The program's own step, and after it those inside, each after all that it reads.

    Args:
        holder: the program's step as far as it is known: what it reads from before is there.
        ran: what was recorded.
    """
    path, events = node_path(holder.address), ran.events
    told = (text for pairs in ran.turns.values() for pair in pairs for text in pair)
    wired = edges(events, holder.inputs, ran.result, (*ran.texts.values(), *told))
    names = addresses(events, wired, holder.address)
    rank = {id: number for number, id in enumerate(names)}
    read: dict[str, list[Edge]] = {}
    for each in sorted(wired, key=lambda each: rank[each.source]):
        read.setdefault(each.reader, []).append(each)
    asked = {each.id: _found(each.exchange, ran) for each in events if each.exchange is not None}
    sent = {name for each in asked.values() for name in each.texts}
    by_id = {each.id: each for each in events}
    inner: list[Step] = []
    for id, address in names.items():
        step = _step(by_id[id], address, asked.get(id), [name for name in by_id[id].texts if name not in sent], path)
        inner.append(_wired(step, read.get(id, ()), names))
        if id in ran.filled:
            place = f"{path}:{by_id[id].name}"
            inner += [_within(each, address, place) for each in ran.filled[id].steps]
    inside = {name for each in events for name in each.texts}
    own = tuple(f"{path}:{name}" for name in ran.texts if name not in sent | inside)
    return _wired(replace(holder, texts=own, seconds=_seconds(names, read, by_id)), read.get("", ()), names), *inner


def _found(exchange: Exchange, ran: Ran) -> Found:
    return found([(each.role, each.content) for each in exchange.messages], ran.texts, ran.turns)


def _step(event: Recorded, address: str, asked: Found | None, texts: Sequence[str], path: str) -> Step:
    held = tuple(f"{path}:{name}" for name in (texts if asked is None else asked.texts))
    if event.kind == "model" and asked is not None:
        said: Exchange = event.exchange
        return Step(
            address, "model", dict(asked.inputs), None if said.error else {"reply": said.text}, said.error,
            tuple(said.messages), said.text, said.usage, said.seconds, texts=held,
            calls=tuple(ToolCall(each.name, _arguments(each.arguments), None) for each in said.calls),
        )  # fmt: skip
    gave = None if event.gave is None else {"result": plain(event.gave.value, hide_known)}
    inputs = {name: plain(each.value, hide_known) for name, each in event.given.items()}
    return Step(address, event.kind, inputs, gave, hide_known(event.error), texts=held, function=event.function)


def _wired(step: Step, read: Sequence[Edge], names: Mapping[str, str]) -> Step:
    found = tuple(StepEdge(names[each.source], each.part, each.how) for each in read)
    return replace(step, reads=tuple(dict.fromkeys((*step.reads, *(each.source for each in found)))), edges=found)


def _within(step: Step, address: str, place: str) -> Step:
    """A step of what fills a place, as a step inside of that place's call, where it is tuned."""
    reads = tuple(f"{address}/{each}" for each in step.reads)
    return replace(step, address=f"{address}/{step.address}", reads=reads, texts=(f"{place}/{step.node}",))


def _seconds(names: Mapping[str, str], read: Mapping[str, Sequence[Edge]], by_id: Mapping[str, Recorded]) -> float:
    """Along the longest chain of model calls."""
    until: dict[str, float] = {}
    for id in names:  # each after all that it reads
        exchange: Exchange | None = by_id[id].exchange
        own = 0.0 if exchange is None else exchange.seconds
        until[id] = own + max((until.get(each.source, 0.0) for each in read.get(id, ())), default=0.0)
    return max(until.values(), default=0.0)


def _arguments(text: str) -> Mapping[str, Any]:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        read = text
    return cast("dict[str, Any]", read) if isinstance(read, dict) else {"text": text}
