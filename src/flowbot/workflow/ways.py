"""Which nodes run on which way through the branches of a body, and whether what is read there is there on all of them.

A node's way is the set of choices under which it runs, as `{route: many}`: that of its `when`, and those under which that
branch itself runs. A node may read what is there whenever it runs itself; only a merge may read more, since it joins ways.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .defects import Defect, choices
from .graph import split_reference
from .nodes import BranchNode, HasNodes, MergeNode, Node

Way = Mapping[str, str]
_DEEPEST = 16
"""Branches that may stand within ways of each other."""
_MOST_CHOICES = 64
"""Branches between which one merge may have to tell."""


@dataclass(slots=True)
class Effort:
    """What the search for gaps may still cost. Whether ways cover all choices is a hard question: it is asked only so long."""

    left: int = 200_000


class _TooManyError(Exception):
    pass


class Ways:
    """The ways of the nodes of one body.

    Args:
        holder: the body.
        effort: what looking for gaps may cost; may be shared by several bodies.
    """

    def __init__(self, holder: HasNodes, effort: Effort | None = None) -> None:
        self.nodes = holder.nodes
        self._effort = effort or Effort()
        self._way: dict[str, Way] = {}
        self._too_deep: set[str] = set()

    def of(self, name: str) -> Way:
        """The choices under which a node runs; a `when` that names no branch counts as none."""
        waiting: list[str] = []
        while name not in self._way:
            self._way[name] = {}  # a circle ends here; the graph's rule reports it
            waiting.append(name)
            name = self._branch(name) or name
        for each in reversed(waiting):
            branch, way = self._branch(each), split_reference(self.nodes[each].when or "")[1]
            if branch is not None and len(self._way[branch]) < _DEEPEST:
                self._way[each] = {**self._way[branch], branch: way}
            elif branch is not None:
                self._too_deep.add(each)
        return self._way[waiting[0] if waiting else name]

    def of_reference(self, reference: str) -> Way:
        """The choices under which what a reference names is there."""
        node = split_reference(reference)[0]
        return self.of(node) if node is not None and node in self.nodes else {}

    def when(self, where: str, name: str) -> Iterator[Defect]:
        """What is wrong with a node's `when`."""
        given = self.nodes[name].when
        if given is None:
            return
        label = split_reference(given)[1]
        branch = self._branch(name)
        node = None if branch is None else self.nodes[branch]
        if not isinstance(node, BranchNode):
            known = (
                f"{key}.{each}"
                for key, node in self.nodes.items()
                if isinstance(node, BranchNode)
                for each in node.ways
            )
            mend = f"name a way of a branch of the same body: {choices(given, known)}"
            yield Defect(f"{where}.when", f"{given!r} is no way of a branch", mend)
        elif label not in node.ways:
            mend = f"name {choices(given, (f'{branch}.{each}' for each in node.ways))}"
            yield Defect(f"{where}.when", f"branch {branch} has no way {label!r}, so the node is never reached", mend)
        _ = self.of(name)
        if name in self._too_deep:
            yield Defect(
                f"{where}.when", f"more than {_DEEPEST} branches within each other", "merge their ways earlier"
            )

    def reads(self, where: str, name: str) -> Iterator[Defect]:
        """Reading what is not there whenever the node runs."""
        node, chosen = self.nodes[name], self.of(name)
        if isinstance(node, MergeNode):
            yield from self._merge(where, node, chosen)
        for reference in dict.fromkeys(_alone(node)):
            missing = {branch: way for branch, way in self.of_reference(reference).items() if chosen.get(branch) != way}
            if missing:
                last = list(missing.items())[-1]
                mend = f"read a merge of all ways, or run this node `when: {last[0]}.{last[1]}` too"
                yield Defect(where, f"{reference} is there only when {_choices_text(missing)}", mend)

    def end(self, where: str, reference: str) -> Iterator[Defect]:
        """What leaves the body must be there on every way."""
        mend = "bind it to a merge that joins every way"
        yield from self._gap(where, [self.of_reference(reference)], {}, f"{reference} is missing", mend)

    def _branch(self, name: str) -> str | None:
        """The branch that a node's `when` names, if it is one."""
        branch = split_reference(self.nodes[name].when or "")[0]
        return branch if branch is not None and isinstance(self.nodes.get(branch), BranchNode) else None

    def _merge(self, where: str, node: MergeNode, chosen: Way) -> Iterator[Defect]:
        """A merge has something to join on every way on which it runs."""
        joined = [self.of_reference(reference) for reference in node.inputs]
        for reference, way in zip(node.inputs, joined, strict=True):
            if any(chosen.get(branch, label) != label for branch, label in way.items()):
                mend = "remove it from the inputs, or take the merge out of the branch"
                yield Defect(where, f"{reference} is never there when this merge runs", mend)
        if joined:
            yield from self._gap(where, joined, chosen, "the merge has nothing to join", "join a value of that way too")

    def _gap(self, where: str, there: Sequence[Way], chosen: Way, what: str, mend: str) -> Iterator[Defect]:
        if any(way.items() <= chosen.items() for way in there):
            return
        try:
            gap = self._uncovered(there, chosen, _MOST_CHOICES)
        except _TooManyError:
            yield Defect(
                where, "there are too many ways through these branches to check", "merge ways earlier, or use fewer"
            )
            return
        if gap is not None:
            yield Defect(where, f"{what} when {_choices_text(gap)}", mend)

    def _uncovered(self, there: Sequence[Way], chosen: Way, more: int) -> Way | None:
        """Choices, those made included, on which none of the ways is there; None if one always is."""
        # Do partial choices cover all? That is whether a formula in disjunctive form always holds, which is co-NP-complete:
        # choices are made branch by branch (Davis, Logemann, Loveland 1962), those first that a way is waiting for.
        self._effort.left -= 1 + len(there)
        if self._effort.left < 0 or more < 0:
            raise _TooManyError
        possible = [way for way in there if all(chosen.get(branch, label) == label for branch, label in way.items())]
        if any(way.items() <= chosen.items() for way in possible):
            return None
        if not possible:
            return chosen
        branch = next(b for b in possible[0] if b not in chosen)  # the outermost: its own way is chosen already
        node = self.nodes[branch]
        assert isinstance(node, BranchNode)  # ways name nothing else
        for label in node.ways:
            gap = self._uncovered(possible, {**chosen, branch: label}, more - 1)
            if gap is not None:
                return gap
        return None


def _alone(node: Node) -> tuple[str, ...]:
    """What a node cannot do without."""
    return tuple(node.given.values()) if isinstance(node, MergeNode) else node.references()


def _choices_text(way: Way) -> str:
    return " and ".join(f"{branch} takes {label}" for branch, label in way.items()) or "no branch is taken"
