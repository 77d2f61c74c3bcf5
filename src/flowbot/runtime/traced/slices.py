"""Of each call, what the code around it says: which earlier calls gave what it is handed by name, and which decided that it runs."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .code import (
    COMPREHENSIONS,
    LOOPS,
    Binding,
    Function,
    Name,
    Source,
    choices,
    covers,
    names,
    parameters,
    same,
    source,
)
from .recorded import Recorded

_MOST_NAMES = 200


@dataclass(slots=True)
class Slice:
    """What the code says.

    Args:
        ids: of the calls.
        handed: names of what the step around it was handed, as far as the code goes back to them.
        known: the code could be read, and nothing else stands between.
    """

    ids: set[str] = field(default_factory=set[str])
    handed: set[str] = field(default_factory=set[str])
    known: bool = False


class Past:
    """What came before what, whatever the latencies."""

    def __init__(self, events: Iterable[Recorded]) -> None:
        self._lines = {each.id: {id(strand) for strand, _ in each.strand.line()} for each in events}

    def before(self, one: Recorded, other: Recorded) -> bool:
        """Whether one had ended when the other began, in every run in which the same groups of tasks are waited for."""
        for strand, born in other.strand.line():
            if id(strand) in self._lines[one.id]:
                return one.ended < (born or other.started)
        return False

    def latest(self, events: Iterable[Recorded]) -> list[Recorded]:
        """Those that no other of them came after."""
        every = list(events)
        return [each for each in every if not any(self.before(each, other) for other in every)]


class Slices:
    """What the code says of the calls of one run."""

    def __init__(self, events: Sequence[Recorded], past: Past) -> None:
        self.past = past
        self.within: dict[str | None, list[Recorded]] = {}
        for each in events:
            self.within.setdefault(each.parent, []).append(each)

    def handed(self, event: Recorded) -> Slice:
        """Those that gave what a call is handed by name."""
        walk = self._walk(event)
        if not walk.chain:
            return Slice()
        walk.look(walk.chain[0], [walk.chain[0].node])
        return walk.found(self.tells(event))

    def argument(self, event: Recorded, name: str, order: Sequence[str]) -> Slice:
        """Those that gave what a call is handed as one of its arguments.

        Args:
            event: the call.
            name: of the argument.
            order: of all arguments, as they stand in the signature.
        """
        walk = self._walk(event)
        if not walk.chain or not self.tells(event):
            return Slice()
        spot = walk.chain[0]
        calls = [
            each
            for each in ast.walk(spot.node)
            if isinstance(each, ast.Call)
            and event.name in (getattr(each.func, "id", ""), getattr(each.func, "attr", ""))
        ]
        if event.kind == "model" or not calls:
            walk.look(spot, [spot.node])
        for call in calls:
            by_name = [word.value for word in call.keywords if word.arg in (name, None)]
            spread = any(isinstance(each, ast.Starred) for each in call.args)
            at = call.args if spread else call.args[order.index(name) :][:1]
            walk.look(spot, [*by_name, *at])
        return walk.found(True)

    def deciding(self, event: Recorded) -> Slice:
        """Those that decided that a call runs."""
        by_name, walk = self._walk(event), self._walk(event)
        if by_name.chain:
            by_name.look(by_name.chain[0], [by_name.chain[0].node])
        for read, function, piece in by_name.choices:
            walk.piece(read, function, piece)
        for spot in walk.chain:
            walk.look(spot, spot.read.tests(spot.node))
        return walk.found(bool(walk.chain) and self.tells(event))

    def results(self, holder: str | None) -> tuple[set[str], set[str]]:
        """Of the calls in a step those that gave what it returns by name, and those that decide it."""
        inner = self.within.get(holder, [])
        known = (each for each in inner if self.tells(each) and self._walk(each).chain)
        event = next(known, None)
        if event is None:
            return set(), set()
        walk, decides = self._walk(event, inner), self._walk(event, inner)
        spot = walk.chain[-1]
        given, tests = spot.read.results(spot.function)
        walk.look(spot, given)
        for read, function, piece in walk.choices:
            decides.piece(read, function, piece)
        decides.look(spot, tests)
        return set(walk.ids), set(decides.ids)

    def tells(self, event: Recorded) -> bool:
        """Whether the code tells of a call: nothing stands between it and the place where it is made, and no package makes several calls
        there."""
        same = [each for each in self.within[event.parent] if each.sites.of == event.sites.of]
        if not event.sites.whole or len(same) == 1:
            return event.sites.whole
        chain = self._walk(event).chain
        loops = (*COMPREHENSIONS, *LOOPS)
        again = any(isinstance(holder, loops) for spot in chain for holder, _ in spot.read.around(spot.node))
        return again and len({each.kind == "model" for each in same}) == 1

    def _walk(self, event: Recorded, all_of: Sequence[Recorded] | None = None) -> _Walk:
        if all_of is None:
            siblings = self.within.get(event.parent, ())
            all_of = [each for each in siblings if each is not event and self.past.before(each, event)]
        return _Walk(event, all_of, self.past)


@dataclass(frozen=True, slots=True)
class _Spot:
    """A call expression of the user's."""

    read: Source
    function: Function
    node: ast.AST


class _Walk:
    """From pieces of code by names to the calls that stand where those were bound."""

    def __init__(self, event: Recorded, earlier: Sequence[Recorded], past: Past) -> None:
        self.earlier, self.past = earlier, past
        self.chain: list[_Spot] = []
        for site in event.sites.of:
            read = source(site.file)
            node = read and read.at(site)
            if read is None or node is None:
                break
            self.chain.append(_Spot(read, read.function(node), node))
        self.ids: dict[str, None] = {}
        self.handed: set[str] = set()
        self.known: set[tuple[int, Name, bool]] = set()
        self.choices: list[tuple[Source, Function, ast.AST]] = []
        """What chose among values: `answers[best]`, `one if sure else other`."""

    def found(self, known: bool) -> Slice:
        """What was found so far."""
        return Slice(set(self.ids), self.handed, known)

    def look(self, spot: _Spot, pieces: Iterable[ast.AST], kept: bool = False) -> None:
        """Into some pieces of the function in which a spot is.

        Args:
            spot: of the chain. What was called there before is not what it is handed.
            pieces: of that function.
            kept: what they gave at any time counts, since it was put to what else there was.
        """
        for piece in pieces:
            self.piece(spot.read, spot.function, piece, kept, spot.node)

    def piece(
        self, read: Source, function: Function, piece: ast.AST, kept: bool = False, but: ast.AST | None = None
    ) -> None:
        """Into a piece of a function, without the calls at the node `but`."""
        ids, calls = self._calls(read, piece, kept, but)
        self.ids |= ids
        self._named(read, function, piece, calls, kept)

    def _named(self, read: Source, function: Function, piece: ast.AST, without: Iterable[ast.AST], kept: bool) -> None:
        self.choices += [(read, function, each) for each in choices(piece)]
        for name in names(piece, tuple(without)):
            self._bound(read, function, name, kept)

    def _calls(
        self, read: Source, piece: ast.AST, kept: bool, but: ast.AST | None = None
    ) -> tuple[dict[str, None], list[ast.AST]]:
        """The calls that stand in a piece, the latest, of a comprehension all, or all that are kept; and where they stand."""
        inside: list[tuple[Recorded, ast.AST]] = []
        for each in self.earlier:
            site = next((spot for spot in each.sites.of if source(spot.file) is read and covers(piece, spot)), None)
            node = site and read.at(site)
            if node is not None and node is not but:
                inside.append((each, node))
        latest = {each.id for each in self.past.latest(each for each, _ in inside)}
        return (
            {each.id: None for each, node in inside if kept or each.id in latest or _repeated(read, node, piece)},
            [node for _, node in inside],
        )

    def _bound(self, read: Source, function: Function, name: Name, kept: bool) -> None:
        if (id(function), name, kept) in self.known or len(self.known) > _MOST_NAMES:
            return
        self.known.add((id(function), name, kept))
        if name[0] == "self":
            self._follow(read, read.attributes(name) if name[1] else [], kept)
            return
        where: Function | None = function
        while where is not None:
            found = [(where, each) for each in read.bindings(where) if same(each.name, name)]
            self._follow(read, found, kept)
            if name[0] in parameters(where):
                self._upward(where, name[0], kept)
            if found or name[0] in parameters(where):
                return
            # A function in a function sees the names of the outer one.
            where = read.function(read.parents[where]) if where in read.parents else None

    def _follow(self, read: Source, bindings: Iterable[tuple[Function, Binding]], kept: bool) -> None:
        fresh: list[dict[str, None]] = []
        for function, each in bindings:
            added = kept or each.how == "add"
            ids, calls = self._calls(read, each.value, added)
            self._named(read, function, each.value, calls, added)
            if added or each.how == "each":
                self.ids |= ids
            else:
                fresh.append(ids)
        # What a name held before it was bound again is gone.
        every = {each for ids in fresh for each in ids}
        latest = {each.id for each in self.past.latest(each for each in self.earlier if each.id in every)}
        for ids in fresh:
            self.ids |= ids if latest & set(ids) else {}

    def _upward(self, function: Function, name: str, kept: bool) -> None:
        """To what a function was handed where it was called; beyond the outermost: by the step around it."""
        inside = [place for place, spot in enumerate(self.chain) if spot.function is function]
        if inside and inside[-1] + 1 < len(self.chain):
            caller = self.chain[inside[-1] + 1]
            self.look(caller, [caller.node], kept)
        elif inside:
            self.handed.add(name)


def _repeated(read: Source, node: ast.AST, piece: ast.AST) -> bool:
    """Whether a call stands in a comprehension that stands in a piece."""
    for holder, part in read.around(node):
        if isinstance(holder, COMPREHENSIONS) and part is not holder.generators[0]:
            return True
        if holder is piece or part is piece:
            return False
    return isinstance(piece, COMPREHENSIONS)
