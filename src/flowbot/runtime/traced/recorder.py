"""Takes down what happens while a program runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, cast

from flowbot.program import strands
from flowbot.program.sites import here

from .recorded import Kind, Recorded
from .seen import Seen, seen


class Open:
    """A call that has begun.

    Args:
        id: no other of the run has it.
        parent: of the step that made it.
        kind: of the call.
        name: of the step.
        arguments: what it is handed; looked at once, since it may be changed later.
        declared: names of the steps that it says it reads.
        function: of a step, as `StepInfo.id` names it.
    """

    def __init__(
        self,
        id: str,
        parent: str | None,
        kind: Kind,
        name: str,
        arguments: Mapping[str, object],
        declared: Sequence[str],
        function: str,
    ) -> None:
        self.id, self.parent, self.name, self.declared, self.function = id, parent, name, tuple(declared), function
        self.kind: Kind = kind
        self.given = {each: seen(value) for each, value in arguments.items()}
        self.strand = strands.current()
        self.sites = here(self.strand.sites)
        self.texts: dict[str, None] = {}
        self.values: dict[str, None] = {}
        self.exchange: Any = None
        self.gave: Seen | None = None
        self.error = ""
        self.started, self.ended = strands.tick(), 0

    def read(self, text: str) -> None:
        """A text was read in it."""
        self.texts[text] = None

    def read_value(self, value: str) -> None:
        """A value was read in it."""
        self.values[value] = None

    def done(self, result: object) -> None:
        """It returned."""
        self.gave, self.ended = seen(result), strands.tick()

    def failed(self, error: BaseException | str) -> None:
        """It raised."""
        self.error = (str(error) or type(error).__name__)[:2000]
        self.ended = strands.tick()


class Recorder:
    """The events of one run. A run begins where it is made."""

    def __init__(self) -> None:
        self._opened: list[Open] = []
        self._numbers = count(1)
        self.strand = strands.begin()

    def begin(
        self,
        kind: str,
        name: str,
        arguments: Mapping[str, object],
        *,
        parent: str | None,
        declared: Sequence[str] = (),
        function: str = "",
    ) -> Open:
        """A call begins, in the strand in which this is called.

        Args:
            kind: of the call: `step`, `tool` or `model`.
            name: of the step; `call` for a model's.
            arguments: by name; of a model's call none, since `heard` tells.
            parent: id of the step around it; None where there is none.
            declared: names of the steps that it says it reads.
            function: of a step, as `StepInfo.id` names it.
        """
        opened = Open(str(next(self._numbers)), parent, cast("Kind", kind), name, arguments, declared, function)
        self._opened.append(opened)
        return opened

    def heard(self, opened: Open, exchange: Any) -> None:
        """A model's call ended.

        Args:
            opened: the call, begun when the request went out.
            exchange: what the tap saw of it.
        """
        said = [text for each in exchange.messages for text in (each.content, *(call.arguments for call in each.calls))]
        opened.given, opened.exchange = {"messages": seen(said)}, exchange
        if exchange.error:
            opened.failed(exchange.error)
        else:
            calls = [{"name": each.name, "arguments": each.arguments} for each in exchange.calls]
            opened.done({"reply": exchange.text, **({"calls": calls} if calls else {})})

    def of(self, number: int) -> Open:
        """The call whose `id` is a number."""
        return self._opened[number - 1]

    def events(self) -> tuple[Recorded, ...]:
        """What has happened, in the order in which it began; a call that has not ended yet failed."""
        return tuple(
            Recorded(
                each.id, each.parent, each.kind, each.name, each.given, each.gave, each.started, each.ended or strands.tick(),
                each.strand, each.error or ("" if each.ended else "it did not end"), each.sites, tuple(each.texts),
                tuple(each.values), each.declared, each.exchange, each.function,
            )
            for each in self._opened
        )  # fmt: skip
