"""What is in a value that a call was handed: found again in what the task gave, what stands in the source, and what earlier calls gave."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, cast, get_args

from .atoms import SHORTEST, Leaf, leaves, literals, normal, numbers_in, pieces, spots, windows, words
from .code import source
from .recorded import How, Recorded, around
from .seen import Seen, seen
from .slices import Past, Slice

_LEAST_WINDOWS = 3
_SMALL = 12
"""Letters of a piece that could stand in a text by chance."""
BEST: dict[str, int] = {how: place for place, how in enumerate(get_args(How))}
"""How an edge was found, the best way first."""


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
    """What one call gave, as it may be found again: each leaf and piece with whether it is whole."""

    atoms: dict[str, bool] = field(default_factory=dict[str, bool])
    windows: set[str] = field(default_factory=set[str])
    objects: set[int] = field(default_factory=set[int])


@dataclass(slots=True)
class _Found:
    """Who may have given one thing that a call was handed."""

    how: How
    whole: list[Recorded] = field(default_factory=list[Recorded])
    parsed: list[Recorded] = field(default_factory=list[Recorded])


class Content:
    """What the calls of one run gave, to be found again.

    Args:
        events: of the run.
        past: what came before what.
        inputs: what the program was handed.
        texts: of its `Param`s.
    """

    def __init__(
        self, events: Sequence[Recorded], past: Past, inputs: Mapping[str, object], texts: Iterable[str]
    ) -> None:
        self.past = past
        self.of = {each.id: each for each in events}
        self.given = {each.id: _gave(each) for each in events}
        self.input_view = _view(seen(dict(inputs)))
        files = sorted({site.file for each in events for site in each.sites.of})
        written = [text for file in files if (read := source(file)) is not None for text in read.constants]
        constants = {piece for text in (*written, *texts) for piece in literals(text) if len(piece) >= SHORTEST}
        self.known = {*constants, *self.input_view.own}
        self.makers: dict[str, list[tuple[Recorded, bool]]] = {}
        for each in events:
            for atom, whole in self.given[each.id].atoms.items():
                self.makers.setdefault(atom, []).append((each, whole))
        self.first_words: dict[str, list[str]] = {}
        for atom in sorted({*self.makers, *self.known}):
            self.first_words.setdefault(next(iter(words(atom)), ""), []).append(atom)
        self.known_windows = {each for text in (*self.known, *self.input_view.texts) for each in windows(text)}
        self.spots, self.common = cache(_spots), cache(self._common)

    def unmarked(self, id: str) -> bool:
        """Whether a call gave nothing by which that is known again, as an empty text."""
        return not self.given[id].atoms

    def of_value(
        self, value: Seen, earlier: Sequence[Recorded], code: Slice, named: Collection[str]
    ) -> tuple[dict[str, How], bool]:
        """Who gave what is in a value, and whether that, the task and the source explain all of it.

        Args:
            value: in which they are looked for.
            earlier: calls that may have given it.
            code: what the code says.
            named: whom it names, or whom what was handed to the step around comes from.
        """
        view = _view(value)
        found: list[_Found] = []
        for number in view.objects.keys() - self.input_view.objects.keys():
            makers = [each for each in earlier if number in self.given[each.id].objects]
            if makers:
                found.append(_Found("object", makers))
        ids = {each.id for each in earlier}
        numbers = [
            (each, self.weak(self.who(each, ids), code, named, sure=len(each) > 1)) for each in sorted(view.numbers)
        ]
        found += [who for number, who in numbers if number not in self.input_view.numbers]
        left = [number for number, who in numbers if not (number in self.input_view.numbers or who.whole or who.parsed)]
        for text in view.texts:
            rest, matched = self.cover(text, ids, view, code, named)
            found += matched
            left += rest
        cut = self.cut(left, earlier)
        explained = not view.silent and (bool(cut) or not left) and bool(found or view.texts or view.numbers)
        found += cut
        edges: dict[str, How] = {}
        for each in found:
            for giver in self.resolved(each, code):
                if BEST[each.how] < BEST.get(edges.get(giver.id, ""), len(BEST)):
                    edges[giver.id] = each.how
        return edges, explained

    def cover(
        self, text: str, ids: Collection[str], view: _View, code: Slice, named: Collection[str]
    ) -> tuple[list[str], list[_Found]]:
        """A text explained by what is known and what others gave, the longest first; what is left of it."""
        if text in self.input_view.own:
            return [], []
        matches = [(atom, at) for atom in self._near(text) if len(atom) <= len(text) and (at := self.spots(text, atom))]
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
                who = self.weak(who, code, named, sure=sure)
                if atom in self.input_view.own and not own:
                    who = _Found("leaf")
                elif not (atom in self.known or who.whole or who.parsed):
                    continue
            found.append(who)
            taken += free
        rest = _rest(text, taken)
        # A number may be written otherwise than it was given.
        numbers = {number for piece in rest for number in numbers_in(piece)}
        found += [self.weak(self.who(each, ids), code, named, sure=False) for each in sorted(numbers)]
        return rest, [each for each in found if each.whole or each.parsed]

    def _common(self, atom: str) -> bool:
        """Whether the task or the source has it, or all of it but a few letters or a number."""
        near = (each for each in self._near(atom) if each in self.known)
        rest = _rest(atom, [spot for each in near for spot in self.spots(atom, each)])
        return sum(map(len, rest)) < SHORTEST or all(numbers_in(each) == {normal(each)} for each in rest)

    def _near(self, text: str) -> Iterable[str]:
        """What may stand in a text, by its first word."""
        return (atom for word in {*words(text), ""} for atom in self.first_words.get(word, ()))

    def who(self, atom: str, ids: Collection[str]) -> _Found:
        """Who of some calls gave it."""
        makers = [(each, whole) for each, whole in self.makers.get(atom, ()) if each.id in ids]
        whole = [each for each, whole in makers if whole]
        return _Found("text" if whole else "leaf", whole, [each for each, whole in makers if not whole])

    def weak(self, who: _Found, code: Slice, named: Collection[str], *, sure: bool) -> _Found:
        """By content that others could have: only those that the code names; where the code is not known, if it is a value of its own."""
        makers = [*who.whole, *who.parsed] if code.known or sure else []
        return replace(who, whole=[each for each in makers if each.id in named] if code.known else makers, parsed=[])

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
        return [each.id for each in around(event, self.of)]


def _spots(text: str, atom: str) -> list[tuple[int, int]]:
    """Where it stands; short ones only as the whole."""
    return spots(text, atom) if len(atom) >= SHORTEST else [(0, len(text))] if text == atom else []


def _view(value: Seen) -> _View:
    every = list(leaves(value.value))
    texts = list(dict.fromkeys(each.text for each in every if not each.number))
    numbers = {each.text for each in every if each.number}
    parsed = {leaf for text in _raw(value.value) if text.lstrip()[:1] in ("{", "[") for leaf in pieces(text)}
    silent = any(isinstance(each, bool) for each in _parts(value.value))
    return _View(texts, {*texts, *parsed}, numbers, {id(each): each for each in value.objects}, silent)


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
            given.atoms[leaf.text] = True
            if not leaf.number:
                given.windows |= windows(leaf.text) - (set() if leaf.text in chosen else quoted)
    for text in _raw(value):
        for piece in pieces(text) if normal(text) not in same else ():
            given.atoms.setdefault(piece, False)
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
