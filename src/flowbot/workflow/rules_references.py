"""Rules on references and names: a reference names something that there is, of a type that fits; no name hides another."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping

from flowbot.fields import Type

from .defects import Defect, choices, name_defects
from .graph import split_reference
from .nodes import BranchNode, LoopNode, MapNode
from .scope import Scope, parsed


class References:
    """The rules on the references of one workflow; advice that was worked out once is kept."""

    def __init__(self) -> None:
        self._fitting: dict[tuple[str, Type], str] = {}

    def reference(self, where: str, reference: str, scope: Scope) -> Generator[Defect, None, Type | None]:
        """Yields what is wrong with a reference; returns its type where it has one."""
        text = scope.type_text(reference)
        if text is not None:
            return parsed(text)
        seen: Scope | None = scope
        while seen is not None and reference.partition(".")[0] not in seen.nodes:
            seen = seen.outer
        if seen is None:
            yield Defect(where, f"nothing produces {reference!r}", f"use {choices(reference, scope.names())}")
            return None
        head, output = split_reference(reference)
        name = output if head is None else head
        node = seen.nodes[name]
        gives = [f"{name}.{each}" for each in node.gives]
        if isinstance(node, BranchNode):
            label = next(iter(node.ways), "way") if head is None else output
            mend = f"run a node `when: {name}.{label}`, and read that node or a merge"
            yield Defect(where, f"{name} is a branch, which gives nothing to read", mend)
        elif not gives:
            yield Defect(
                where, f"node {name} gives nothing", "declare an output of it, as `answer: str`, and read that"
            )
        elif head is None:
            yield Defect(where, f"{name!r} is a node, not one of its outputs", f"use {choices(reference, gives)}")
        else:
            yield Defect(where, f"node {name} gives no output {output!r}", f"use {choices(reference, gives)}")
        return None

    def bound(
        self, where: str, inputs: Mapping[str, str], scope: Scope
    ) -> Generator[Defect, None, dict[str, Type | None]]:
        """Named inputs; returns their types."""
        carried: dict[str, Type | None] = {}
        for argument, reference in inputs.items():
            yield from name_defects(f"{where}.{argument}", argument)
            carried[argument] = yield from self.reference(f"{where}.{argument}", reference, scope)
        return carried

    def of_type(self, wanted: Type, scope: Scope) -> str:
        """`something of type int`, with references that are, as many as fit on a line."""
        key = (scope.path, wanted)
        if key not in self._fitting:
            fitting: list[str] = []
            for name in scope.names():
                kind = scope.type_of(name)
                if kind is not None and wanted.accepts(kind):
                    fitting.append(name)
                    if len(fitting) == 6:
                        break
            self._fitting[key] = f"something of type {wanted}" + (f" ({', '.join(fitting)})" if fitting else "")
        return self._fitting[key]


def clashes(where: str, name: str, scope: Scope) -> Iterator[Defect]:
    """A node that has the name of what its body is handed, or hides something outside of the body."""
    if name in scope.inputs():
        holder = scope.holder
        handed = "carried value" if isinstance(holder, LoopNode) else "item" if isinstance(holder, MapNode) else "input"
        yield Defect(where, f"the node has the name of the {handed} {name}", "give the node another name")
    if scope.outer is not None:
        yield from hidden(where, name, scope.outer)


def hidden(where: str, name: str, around: Scope | None) -> Iterator[Defect]:
    """A name of a body that hides one of the bodies around it."""
    while around is not None:
        if name in around.nodes or name in around.inputs():
            yield Defect(where, f"the name {name} hides another outside of this body", "give it a name of its own")
            return
        around = around.outer
