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

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast, get_args

from .atoms import SHORTEST, Leaf, leaves, literals, normal, numbers_in, pieces, spots, windows, words
from .code import source
from .recorded import Edge, How, Recorded
from .seen import Seen, seen
from .slices import Past, Slice, Slices

_LEAST_WINDOWS = 3
_SMALL = 12
"""Letters of a piece that could stand in a text by chance."""
_BEST: dict[str, int] = {how: place for place, how in enumerate(get_args(How))}


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


@dataclass(slots=True)
class _View:
    """A value in which others are looked for."""

    texts: list[str]
    own: set[str]
    """Its leaves, as values of their own, and those of the JSON that stands in its texts."""
    numbers: set[str]
    objects: dict[int, object]
    silent: bool
    """Some of it tells nothing: what is true, false or nothing."""


@dataclass(slots=True)
class _Given:
    """What one call gave, as it may be found again: each leaf and piece with whether it is whole and whether it is a number."""

    atoms: dict[str, tuple[bool, bool]] = field(default_factory=dict[str, tuple[bool, bool]])
    windows: set[str] = field(default_factory=set[str])
    objects: set[int] = field(default_factory=set[int])


@dataclass(slots=True)
class _Found:
    """Who may have given one thing that a call was handed."""

    how: How
    whole: list[Recorded] = field(default_factory=list[Recorded])
    parsed: list[Recorded] = field(default_factory=list[Recorded])


class _Run:
    def __init__(self, events: Sequence[Recorded], inputs: Mapping[str, object], texts: Iterable[str]) -> None:
        self.events = events
        self.of = {each.id: each for each in events}
        self.past = Past(events)
        self.slices = Slices(events, self.past)
        self.given = {each.id: _gave(each) for each in events}
        handed = seen(dict(inputs))
        self.input_view = _view(handed)
        files = sorted({site.file for each in events for site in each.sites.of})
        written = [text for file in files if (read := source(file)) is not None for text in read.constants]
        constants = {piece for text in (*written, *texts) for piece in literals(text) if len(piece) >= SHORTEST}
        self.known = {*constants, *self.input_view.own}
        self.makers: dict[str, list[tuple[Recorded, bool]]] = {}
        for each in events:
            for atom, (whole, _) in self.given[each.id].atoms.items():
                self.makers.setdefault(atom, []).append((each, whole))
        self.first_words: dict[str, list[str]] = {}
        for atom in sorted({*self.makers, *self.known}):
            self.first_words.setdefault(next(iter(words(atom)), ""), []).append(atom)
        self.known_windows = {each for text in (*self.known, *self.input_view.texts) for each in windows(text)}
        self.reads: dict[str, dict[tuple[str, str], How]] = {each.id: {} for each in events} | {"": {}}
        self.commons: dict[str, bool] = {}
        self.places: dict[tuple[str, str], list[tuple[int, int]]] = {}

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
        for name, value in event.given.items():
            found, explained = self.content(_view(value), earlier, code, event)
            for giver, how in found.items():
                self.add(event.id, giver, f"in.{name}", how)
            by_name = self.slices.argument(event, name, list(event.given))
            ids = by_name.ids | self.handed(event, by_name)
            self.by_code(event.id, f"in.{name}", ids, explained=explained, sure=not found)

    def by_code(self, reader: str, part: str, ids: Iterable[str], *, explained: bool, sure: bool) -> None:
        """What content does not explain was given by those whom the code names, as far as no edge leads there or nobody else gave any of
        it; and so was what leaves no mark, as an empty text."""
        for giver in sorted(ids, key=int, reverse=True):
            unmarked = not self.given[giver].atoms
            if (unmarked or not explained) and (sure or not self.leads(reader, giver)):
                self.add(reader, giver, part, "code")

    def content(
        self, view: _View, earlier: Sequence[Recorded], code: Slice, reader: Recorded | None
    ) -> tuple[dict[str, How], bool]:
        """Who gave what is in a value, and whether that, the task and the source explain all of it."""
        found: list[_Found] = []
        for number in view.objects.keys() - self.input_view.objects.keys():
            makers = [each for each in earlier if number in self.given[each.id].objects]
            if makers:
                found.append(_Found("object", makers))
        ids = {each.id for each in earlier}
        numbers = [
            (each, self.weak(self.who(each, ids), code, reader, sure=len(each) > 1)) for each in sorted(view.numbers)
        ]
        found += [who for number, who in numbers if number not in self.input_view.numbers]
        left = [number for number, who in numbers if not (number in self.input_view.numbers or who.whole or who.parsed)]
        for text in view.texts:
            rest, matched = self.cover(text, ids, view, code, reader)
            found += matched
            left += rest
        cut = self.cut(left, earlier)
        explained = not view.silent and (bool(cut) or not left) and bool(found or view.texts or view.numbers)
        found += cut
        edges: dict[str, How] = {}
        for each in found:
            for giver in self.resolved(each, code):
                if _BEST[each.how] < _BEST.get(edges.get(giver.id, ""), len(_BEST)):
                    edges[giver.id] = each.how
        return edges, explained

    def cover(
        self, text: str, ids: Collection[str], view: _View, code: Slice, reader: Recorded | None
    ) -> tuple[list[str], list[_Found]]:
        """A text explained by what is known and what others gave, the longest first; what is left of it."""
        if text in self.input_view.own:
            return [], []
        near = (atom for word in {*words(text), ""} for atom in self.first_words.get(word, ()))
        matches = [(atom, at) for atom in near if len(atom) <= len(text) and (at := self.spots(text, atom))]
        taken: list[tuple[int, int]] = []
        found: list[_Found] = []
        for atom, at in sorted(matches, key=lambda each: (-len(each[0]), each[0])):
            free = [spot for spot in at if not any(first <= spot[0] and spot[1] <= last for first, last in taken)]
            who = self.who(atom, ids)
            if not free or not (atom in self.known or who.whole or who.parsed):
                continue
            own = atom in view.own
            small, common = len(atom) < _SMALL, self.common(atom)
            if common or (small and not who.whole):
                sure = own or not common or (bool(who.whole) and not small)
                who = self.weak(who, code, reader, sure=sure)
                if atom in self.input_view.own and not own:
                    who = _Found("leaf")
                elif not (atom in self.known or who.whole or who.parsed):
                    continue
            found.append(who)
            taken += free
        rest = _rest(text, taken)
        # A number may be written otherwise than it was given.
        numbers = {number for piece in rest for number in numbers_in(piece)}
        found += [self.weak(self.who(each, ids), code, reader, sure=False) for each in sorted(numbers)]
        return rest, [each for each in found if each.whole or each.parsed]

    def common(self, atom: str) -> bool:
        """Whether the task or the source has it, or all of it but a few letters or a number."""
        if atom not in self.commons:
            near = (
                each for word in {*words(atom), ""} for each in self.first_words.get(word, ()) if each in self.known
            )
            rest = _rest(atom, [spot for each in near for spot in self.spots(atom, each)])
            self.commons[atom] = sum(map(len, rest)) < SHORTEST or all(
                numbers_in(each) == {normal(each)} for each in rest
            )
        return self.commons[atom]

    def spots(self, text: str, atom: str) -> list[tuple[int, int]]:
        """Where it stands; short ones only as the whole."""
        key = (text, atom)
        if key not in self.places:
            long = len(atom) >= SHORTEST
            self.places[key] = spots(text, atom) if long else [(0, len(text))] if text == atom else []
        return self.places[key]

    def who(self, atom: str, ids: Collection[str]) -> _Found:
        """Who of some calls gave it."""
        makers = [(each, whole) for each, whole in self.makers.get(atom, ()) if each.id in ids]
        whole = [each for each, whole in makers if whole]
        return _Found("text" if whole else "leaf", whole, [each for each, whole in makers if not whole])

    def weak(self, who: _Found, code: Slice, reader: Recorded | None, *, sure: bool) -> _Found:
        """By content that others could have: only those that the code names; where the code is not known, if it is a value of its own."""
        makers = [*who.whole, *who.parsed]
        if code.known:
            makers = [each for each in makers if self.agrees(each, code, reader)]
        elif not sure:
            makers = []
        return _Found("leaf" if not who.whole else "text", makers)

    def agrees(self, giver: Recorded, code: Slice, reader: Recorded | None) -> bool:
        """Whether the code names it, or what was handed to the step around by it."""
        return giver.id in code.ids or (reader is not None and giver.id in self.handed(reader, code))

    def handed(self, event: Recorded, code: Slice) -> set[str]:
        """Who gave what the step around a call was handed, as far as the code of the call goes back to that."""
        parts = {f"in.{name}" for name in code.handed}
        return {giver for giver, part in self.reads[event.parent or ""] if part in parts} if parts else set()

    def cut(self, texts: Sequence[str], earlier: Sequence[Recorded]) -> list[_Found]:
        """Who gave what is left, by rows of words."""
        held = {each for text in texts for each in windows(text)} - self.known_windows
        found: dict[tuple[str, ...], tuple[int, list[Recorded]]] = {}
        for window in held:
            makers = [each for each in earlier if window in self.given[each.id].windows]
            if makers:
                key = tuple(each.id for each in makers)
                found[key] = (found.get(key, (0, makers))[0] + 1, makers)
        return [
            _Found("shingles", makers)
            for number, makers in found.values()
            if number >= min(_LEAST_WINDOWS, *(len(self.given[each.id].windows) for each in makers))
        ]

    def resolved(self, found: _Found, code: Slice) -> list[Recorded]:
        """Of those that gave one thing the ones it was read from: that the code names, or the latest with their siblings."""
        every = self.outermost((*found.whole, *found.parsed))
        if code.known and (named := [each for each in every if each.id in code.ids]):
            return named
        makers = self.outermost(found.whole or found.parsed)
        latest = {(each.name, each.parent) for each in self.past.latest(makers)}
        return [each for each in makers if (each.name, each.parent) in latest]

    def outermost(self, makers: Iterable[Recorded]) -> list[Recorded]:
        """Without those for which a step around them stands."""
        ids = {each.id for each in makers}
        return [each for each in makers if not any(around in ids for around in self.around(each))]

    def around(self, event: Recorded) -> list[str]:
        """The steps around a call."""
        found: list[str] = []
        while event.parent is not None and event.parent in self.of:
            found.append(event.parent)
            event = self.of[event.parent]
        return found

    # What a step gives back.

    def result(self, holder: str, gave: Seen) -> None:
        """Of which inner calls it is made."""
        inside = [each for each in self.events if not holder or holder in self.around(each)]
        by_name, _ = self.slices.results(holder or None)
        code = Slice(by_name, known=bool(by_name))
        found, explained = self.content(_view(gave), inside, code, None)
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
        if _BEST[how] < _BEST.get(self.reads[reader].get(key, ""), len(_BEST)):
            self.reads[reader][key] = how


def _view(value: Seen) -> _View:
    every = list(leaves(value.value))
    texts = list(dict.fromkeys(each.text for each in every if not each.number))
    numbers = {each.text for each in every if each.number}
    parsed = {leaf for text in _raw(value.value) if text.lstrip()[:1] in ("{", "[") for leaf in pieces(text)}
    return _View(
        texts,
        {*texts, *parsed},
        numbers,
        {id(each): each for each in value.objects},
        any(isinstance(each, bool) for each in _parts(value.value)),
    )


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict | list):
        members = cast("dict[str, Any]", value).values() if isinstance(value, dict) else cast("list[Any]", value)
        for each in members:
            yield from _parts(each)
    else:
        yield value


def _raw(value: Any) -> list[str]:
    return [each for each in _parts(value) if isinstance(each, str)]


def _gave(event: Recorded) -> _Given:
    """What a call gave; of one that failed its error, which some programs tell the model."""
    value: Any = event.error or None if event.gave is None else event.gave.value
    own = list(leaves(value))
    if isinstance(value, list) and (texts := cast("list[Any]", value)) and all(isinstance(each, str) for each in texts):
        own += leaves("".join(cast("list[str]", texts)))  # as a generator gives it, piece by piece
    handed = [
        leaf for name, each in event.given.items() for leaf in (*leaves(each.value), *leaves(each.value, (name,)))
    ]
    same = _handed_on(own, handed)
    # What it chose among what it was handed is its own; what it quotes is not.
    quoted = {each for leaf in handed for each in windows(leaf.text)}
    chosen = {leaf.text for leaf in handed}
    given = _Given()
    for leaf in own:
        if leaf.text not in same:
            given.atoms[leaf.text] = (True, leaf.number)
            if not leaf.number:
                given.windows |= windows(leaf.text) - (set() if leaf.text in chosen else quoted)
    for text in _raw(value):
        for piece, number in pieces(text).items() if normal(text) not in same else ():
            given.atoms.setdefault(piece, (False, number))
    if event.gave is not None:
        had = {id(each) for value in event.given.values() for each in value.objects}
        given.objects = {id(each) for each in event.gave.objects} - had
    return given


def _handed_on(own: Iterable[Leaf], handed: Iterable[Leaf]) -> set[str]:
    """The leaves that a call gives as it got them: the same value under the same name."""
    got = {(leaf.text, leaf.path) for leaf in handed}
    kept = {leaf.text for leaf in own if (leaf.text, leaf.path) in got}
    return kept - {leaf.text for leaf in own if (leaf.text, leaf.path) not in got}


def _rest(text: str, taken: Iterable[tuple[int, int]]) -> list[str]:
    """What of a text nothing explains."""
    found: list[str] = []
    place = 0
    for first, last in sorted(taken):
        if first > place:
            found.append(text[place:first])
        place = max(place, last)
    found.append(text[place:])
    return [each for each in found if normal(each).strip(".,:;!?()[]{}\"'`-*# ")]
