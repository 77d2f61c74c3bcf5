"""Who read whom: data flow through the plain values of a program that was recorded. No proxies; nothing is run.

What a call is handed is explained, longest first, by what the task gave, by what stands in the source, and by what earlier calls gave:

    1. the very object               a list, a dataclass that an earlier call made
    2. content                       a whole text, a value parsed out of one, six words running of one that was cut
    3. the code                      where content does not tell: the names that a call is handed, and where they were bound
    4. control                       tests by which it was decided that the call runs, as far as no edge leads there already
    5. time                          where nothing is known, not even the code: the latest of the step around it

Equal texts of siblings are shared among them. A step that has ended stands for its inner ones. Who hands on what it was handed, under
the same name, gave nothing. `reads=[...]` of a step is taken at its word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .content import BEST, Content
from .recorded import Edge, How, Recorded
from .seen import Seen, seen
from .slices import Past, Slice, Slices


def edges(
    events: Sequence[Recorded],
    inputs: Mapping[str, object],
    outputs: object = None,
    texts: Iterable[str] = (),
) -> tuple[Edge, ...]:
    """All edges of one run, readers in the order in which they began, the program's own result last.

    Args:
        events: what was recorded.
        inputs: what the program was handed; nobody gave that.
        outputs: what it returned; None where it failed.
        texts: the texts of its `Param`s, as they were; what stands in them nobody gave.
    """
    return _Run(events, inputs, texts).all(None if outputs is None else seen(outputs))


class _Run:
    def __init__(self, events: Sequence[Recorded], inputs: Mapping[str, object], texts: Iterable[str]) -> None:
        self.events = events
        self.past = Past(events)
        self.slices = Slices(events, self.past)
        self.content = Content(events, self.past, inputs, texts)
        self.reads: dict[str, dict[tuple[str, str], How]] = {each.id: {} for each in events} | {"": {}}

    def all(self, outputs: Seen | None) -> tuple[Edge, ...]:
        """Data first, since what decides counts only where no data leads."""
        for each in self.events:
            self.data(each)
        for each in self.events:
            if each.gave is not None and self.slices.within.get(each.id):
                self.result(each.id, each.gave)
        if outputs is not None:
            self.result("", outputs)
        for each in self.events:
            if not each.declared:
                self.control(each)
        for each in (*(event.id for event in self.events), ""):
            self.decided(each)
        return tuple(
            Edge(reader, giver, part, how)
            for reader, found in self.reads.items()
            for (giver, part), how in sorted(found.items(), key=lambda each: (int(each[0][0]), each[0][1]))
        )

    # What a call is handed.

    def data(self, event: Recorded) -> None:
        """Of what it was handed."""
        earlier = [each for each in self.events if self.past.before(each, event)]
        if event.declared:
            for name in event.declared:
                for each in self.past.latest(other for other in earlier if other.name == name):
                    self.add(event.id, each.id, "", "declared")
            return
        code = self.slices.handed(event)
        named = code.ids | self.handed(event, code)
        for name, value in event.given.items():
            found, explained = self.content.of_value(value, earlier, code, named)
            for giver, how in found.items():
                self.add(event.id, giver, f"in.{name}", how)
            by_name = self.slices.argument(event, name, list(event.given))
            ids = by_name.ids | self.handed(event, by_name)
            self.by_code(event.id, f"in.{name}", ids, explained=explained, sure=not found)

    def by_code(self, reader: str, part: str, ids: Iterable[str], *, explained: bool, sure: bool) -> None:
        """What content does not explain was given by those whom the code names, as far as no edge leads there or nobody else gave any of
        it; and so was what leaves no mark, as an empty text."""
        for giver in sorted(ids, key=int, reverse=True):
            if (self.content.unmarked(giver) or not explained) and (sure or not self.leads(reader, giver)):
                self.add(reader, giver, part, "code")

    def handed(self, event: Recorded, code: Slice) -> set[str]:
        """Who gave what the step around a call was handed, as far as the code of the call goes back to that."""
        parts = {f"in.{name}" for name in code.handed}
        return {giver for giver, part in self.reads[event.parent or ""] if part in parts} if parts else set()

    # What a step gives back.

    def result(self, holder: str, gave: Seen) -> None:
        """Of which inner calls it is made."""
        inside = [each for each in self.events if not holder or holder in self.content.around(each)]
        by_name, _ = self.slices.results(holder or None)
        code = Slice(by_name, known=bool(by_name))
        found, explained = self.content.of_value(gave, inside, code, by_name)
        for giver, how in found.items():
            self.add(holder, giver, "out", how)
        self.by_code(holder, "out", by_name, explained=explained and bool(found), sure=not found)
        if not found and not by_name:
            for each in self.past.latest(self.slices.within.get(holder or None, [])):
                self.add(holder, each.id, "out", "time")

    # What decides.

    def control(self, event: Recorded) -> None:
        """What decided that a call runs; where nothing at all is known of it, what came last."""
        code = self.slices.deciding(event)
        for each in sorted(code.ids, key=int, reverse=True):
            if not self.leads(event.id, each):
                self.add(event.id, each, "", "control")
        if not self.reads[event.id] and not code.known:
            siblings = (each for each in self.slices.within[event.parent] if self.past.before(each, event))
            for each in self.past.latest(siblings):
                self.add(event.id, each.id, "", "time")

    def decided(self, holder: str) -> None:
        """What decided what a step gives back."""
        if self.reads[holder]:
            _, tests = self.slices.results(holder or None)
            for each in sorted(tests, key=int, reverse=True):
                if not self.leads(holder, each):
                    self.add(holder, each, "", "control")

    def leads(self, reader: str, giver: str) -> bool:
        """Whether edges lead from one to the other."""
        waiting, met = [reader], set[str]()
        while waiting:
            each = waiting.pop()
            if each == giver:
                return True
            if each not in met:
                met.add(each)
                waiting += [other for other, _ in self.reads[each]]
        return False

    def add(self, reader: str, giver: str, part: str, how: How) -> None:
        """An edge, by the best way in which it was found."""
        key = (giver, part)
        if BEST[how] < BEST.get(self.reads[reader].get(key, ""), len(BEST)):
            self.reads[reader][key] = how
