"""Takes down what happens while a program runs."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

from flowbot.program import strands
from flowbot.program.sites import here

from .recorded import Kind, Recorded
from .seen import seen


class Recorder:
    """The events of one run. A run begins where it is made."""

    def __init__(self) -> None:
        self._begun: list[Recorded] = []
        self._lock = threading.Lock()
        self.strand = strands.begin()

    def begin(
        self,
        kind: Kind,
        name: str,
        arguments: Mapping[str, object],
        *,
        parent: str | None,
        declared: Sequence[str] = (),
        function: str = "",
    ) -> Recorded:
        """A call begins, in the strand in which this is called.

        Args:
            kind, name, parent, declared, function: as of `Recorded`.
            arguments: by name, looked at once, since they may be changed later; of a model's call none, since `heard` tells.
        """
        given = {each: seen(value) for each, value in arguments.items()}
        strand = strands.current()
        sites = here(strand.sites)
        with self._lock:
            id = str(len(self._begun) + 1)
            event = Recorded(id, parent, kind, name, given, strand, sites, strands.tick(), tuple(declared), function)
            self._begun.append(event)
        return event

    def heard(self, event: Recorded, exchange: Any) -> None:
        """A model's call ended.

        Args:
            event: the call, begun when the request went out.
            exchange: what the tap saw of it.
        """
        said = [text for each in exchange.messages for text in (each.content, *(call.arguments for call in each.calls))]
        event.given, event.exchange = {"messages": seen(said)}, exchange
        if exchange.error:
            event.failed(exchange.error)
        else:
            calls = [{"name": each.name, "arguments": each.arguments} for each in exchange.calls]
            event.done({"reply": exchange.text, **({"calls": calls} if calls else {})})

    def of(self, number: int) -> Recorded:
        """The call whose `id` is a number."""
        return self._begun[number - 1]

    def events(self) -> tuple[Recorded, ...]:
        """What has happened until now, in the order in which it began; a call that has not ended yet failed."""
        found = tuple(map(copy, self._begun))
        for each in found:
            if not each.ended:
                each.failed("it did not end")
        return found
