"""Of each call, what the code around it says: which earlier calls gave what it is handed by name, and which decided that it runs."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .code import Binding, Function, Name, Source, covers, names, parameters, same, source
from .recorded import Recorded

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_MOST_NAMES = 200


@dataclass(slots=True)
class Slice:
    """What the code says.

    Args:
        ids: of the calls.
        open: it also names what the step around it was handed.
        known: the code could be read, and nothing else stands between.
    """

    ids: set[str] = field(default_factory=set[str])
    open: bool = False
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
        found, walk = Slice(known=event.sites.whole), self._walk(event)
        chain = walk.chain
        if not chain:
            return Slice()
        walk.look(0, [chain[0][1]])
        found.ids, found.open = set(walk.ids), walk.open
        return found

    def argument(self, event: Recorded, name: str, order: Sequence[str]) -> Slice:
        """Those that gave what a call is handed as one of its arguments.

        Args:
            event: the call.
            name: of the argument.
            order: of all arguments, as they stand in the signature.
        """
        walk = self._walk(event)
        if not event.sites.whole or not walk.chain:
            return Slice()
        node = walk.chain[0][1]
        calls = [
            each
            for each in ast.walk(node)
            if isinstance(each, ast.Call)
            and event.name in (getattr(each.func, "id", ""), getattr(each.func, "attr", ""))
        ]
        if event.kind == "model" or not calls:
            walk.look(0, [node])
        for call in calls:
            by_name = [word.value for word in call.keywords if word.arg in (name, None)]
            spread = any(isinstance(each, ast.Starred) for each in call.args)
            at = call.args if spread else call.args[order.index(name) :][:1]
            walk.look(0, [*by_name, *at])
        return Slice(set(walk.ids), walk.open, True)

    def deciding(self, event: Recorded) -> Slice:
        """Those that decided that a call runs."""
        walk = self._walk(event)
        for place, (read, node) in enumerate(walk.chain):
            walk.look(place, read.tests(node))
        return Slice(set(walk.ids), walk.open, event.sites.whole and bool(walk.chain))

    def results(self, holder: str | None) -> tuple[set[str], set[str]]:
        """Of the calls in a step those that gave what it returns by name, and those that decide it."""
        inner = self.within.get(holder, [])
        walks = (self._walk(each, all_of=inner) for each in inner if each.sites.whole)
        walk = next((each for each in walks if each.chain), None)
        if walk is None:
            return set(), set()
        place = len(walk.chain) - 1
        read, node = walk.chain[place]
        given, tests = read.results(read.function(node))
        walk.look(place, given)
        by_name = set(walk.ids)
        walk.look(place, tests)
        return by_name, set(walk.ids) - by_name

    def library(self, event: Recorded) -> bool:
        """Whether a package makes several calls at one place of the user's code, so that the code does not tell them apart."""
        chain = self._walk(event).chain
        loops = (*_COMPREHENSIONS, ast.For, ast.AsyncFor, ast.While)
        if not chain or any(isinstance(holder, loops) for read, node in chain for holder, _ in read.around(node)):
            return False
        return any(
            each is not event and each.sites.of[:1] == event.sites.of[:1] for each in self.within.get(event.parent, ())
        )

    def _walk(self, event: Recorded, all_of: Sequence[Recorded] | None = None) -> _Walk:
        if all_of is None:
            siblings = self.within.get(event.parent, ())
            all_of = [each for each in siblings if each is not event and self.past.before(each, event)]
        return _Walk(event, all_of, self.past)


class _Walk:
    """From pieces of code by names to the calls that stand where those were bound."""

    def __init__(self, event: Recorded, earlier: Sequence[Recorded], past: Past) -> None:
        self.earlier, self.past = earlier, past
        self.chain: list[tuple[Source, ast.expr]] = []
        for site in event.sites.of:
            read = source(site.file)
            node = read and read.at(site)
            if read is None or node is None:
                break
            self.chain.append((read, node))
        self.ids: dict[str, None] = {}
        self.open = False
        self.known: set[tuple[int, Name]] = set()

    def look(self, place: int, pieces: Iterable[ast.AST]) -> None:
        """Into some pieces of the function in which a site of the chain stands."""
        for piece in pieces:
            ids, calls = self._calls(place, piece)
            self.ids |= ids
            self._named(place, piece, calls)

    def _named(self, place: int, piece: ast.AST, without: Iterable[ast.AST]) -> None:
        for name in sorted(names(piece, without)):
            self._bound(place, name)

    def _calls(self, place: int, piece: ast.AST, kept: bool = False) -> tuple[dict[str, None], list[ast.AST]]:
        """The calls that stand in a piece, the latest, of a comprehension all, or all that are kept; and where they stand."""
        read = self.chain[place][0]
        inside: list[tuple[Recorded, ast.AST]] = []
        for each in self.earlier:
            site = next((spot for spot in each.sites.of if source(spot.file) is read and covers(piece, spot)), None)
            node = site and read.at(site)
            if node is not None:
                inside.append((each, node))
        latest = {each.id for each in self.past.latest(each for each, _ in inside)}
        return (
            {each.id: None for each, node in inside if kept or each.id in latest or _repeated(read, node, piece)},
            [node for _, node in inside],
        )

    def _bound(self, place: int, name: Name) -> None:
        read, node = self.chain[place]
        function: Function | None = read.function(node)
        if (id(function), name) in self.known or len(self.known) > _MOST_NAMES:
            return
        self.known.add((id(function), name))
        if name[0] == "self":
            self._follow(place, read.attributes(name) if name[1] else ())
            return
        while function is not None:
            found = [each for each in read.bindings(function) if same(each.name, name)]
            self._follow(place, found)
            if name[0] in parameters(function):
                self._upward(place, function)
            if found or name[0] in parameters(function):
                return
            # A function in a function sees the names of the outer one.
            function = read.function(read.parents[function]) if function in read.parents else None

    def _follow(self, place: int, bindings: Iterable[Binding]) -> None:
        fresh: list[dict[str, None]] = []
        for each in bindings:
            ids, calls = self._calls(place, each.value, kept=each.how == "add")
            self._named(place, each.value, calls)
            if each.how == "set":
                fresh.append(ids)
            else:
                self.ids |= ids
        # What a name held before it was bound again is gone.
        every = {each for ids in fresh for each in ids}
        latest = {each.id for each in self.past.latest(each for each in self.earlier if each.id in every)}
        for ids in fresh:
            self.ids |= ids if latest & set(ids) else {}

    def _upward(self, place: int, function: Function) -> None:
        """To what a function was handed where it was called; beyond the outermost: by the step around it."""
        for above in range(place + 1, len(self.chain)):
            read, node = self.chain[above]
            if read.function(node) is not function:
                self.look(above, [node])
                return
        self.open = True


def _repeated(read: Source, node: ast.AST, piece: ast.AST) -> bool:
    """Whether a call stands in a comprehension that stands in a piece."""
    for holder, part in read.around(node):
        if isinstance(holder, _COMPREHENSIONS) and part is not holder.generators[0]:
            return True
        if holder is piece or part is piece:
            return False
    return isinstance(piece, _COMPREHENSIONS)
