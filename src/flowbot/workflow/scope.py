"""What a body can read, and of what type: its own inputs and nodes, and everything of the bodies around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

from flowbot.fields import Type, TypeSyntaxError

from .defects import MOST_TYPE
from .nodes import BodyNode, HasNodes, LoopNode, MapNode, Node, Sketch


class Scope:
    """The names that the nodes of one body can read.

    Args:
        holder: what has the nodes.
        given: the body's own inputs: name to the text of its type, or to what finds it out.
        path: of the body, as `refine/`; "" for the workflow itself.
        outer: the scope around it.
    """

    def __init__(
        self, holder: HasNodes, given: Mapping[str, str | Callable[[], str]], path: str = "", outer: Scope | None = None
    ) -> None:
        self.holder = holder
        self.nodes = holder.nodes
        self.path = path
        self.outer = outer
        self._given = given
        self._inner: dict[str, Scope] = {}
        self._found: dict[str, str | None] = {}

    @staticmethod
    def of(sketch: Sketch) -> Scope:
        """The scope of the workflow itself."""
        return Scope(sketch, sketch.inputs)

    def type_text(self, reference: str) -> str | None:
        """The text of the type that a reference carries; "" where it cannot be told, None where nothing produces it."""
        if reference not in self._found:
            self._found[reference] = ""  # what reads itself in a circle
            self._found[reference] = self._look_up(reference)
        return self._found[reference]

    def type_of(self, reference: str) -> Type | None:
        """The type that a reference carries; None where nothing produces it or its type is none."""
        return parsed(self.type_text(reference) or "")

    def own_names(self) -> Iterator[str]:
        """Every reference that this body alone offers: its inputs, then node by node."""
        yield from self._given
        for name, node in self.nodes.items():
            yield from (f"{name}.{output}" for output in node.gives)

    def names(self) -> list[str]:
        """Every reference that a node of this body could read, the outermost first."""
        return [*(self.outer.names() if self.outer else ()), *self.own_names()]

    def is_own(self, reference: str) -> bool:
        """Whether a reference names something of this body and not of one around it."""
        head, dot, _ = reference.partition(".")
        return head in (self.nodes if dot else self._given)

    def inputs(self) -> tuple[str, ...]:
        """The names of the body's own inputs."""
        return tuple(self._given)

    def inner(self, name: str) -> Scope:
        """The scope of the body of a `loop` or `map`."""
        if name not in self._inner:
            node = self.nodes[name]
            if isinstance(node, LoopNode):
                given: dict[str, str | Callable[[], str]] = {key: each.type for key, each in node.carry.items()}
            elif isinstance(node, MapNode):
                given = {node.item: lambda: _item(self.type_text(node.over))}
            else:
                raise TypeError(f"{name} is of kind {node.kind}, which has no body")
            self._inner[name] = Scope(node, given, f"{self.path}{name}/", self)
        return self._inner[name]

    def at(self, path: str) -> Scope:
        """The scope in which the node at `path` (seen from here) stands."""
        scope = self
        for name in path.split("/")[:-1]:
            scope = scope.inner(name)
        return scope

    def all(self) -> Iterator[Scope]:
        """This scope and those inside it, in sketch order."""
        yield self
        for name, node in self.nodes.items():
            if isinstance(node, BodyNode):
                yield from self.inner(name).all()

    def _look_up(self, reference: str) -> str | None:
        if not self.is_own(reference):
            return self.outer.type_text(reference) if self.outer else None
        head, dot, output = reference.partition(".")
        if not dot:
            given = self._given[head]
            return given if isinstance(given, str) else given()
        return self._output(head, self.nodes[head], output)

    def _output(self, name: str, node: Node, output: str) -> str | None:
        if output not in node.gives:
            return None
        if isinstance(node, LoopNode):
            return node.carry[output].type
        if isinstance(node, MapNode):
            collected = node.out[output]
            if collected.partition(".")[0] not in node.nodes:
                return ""  # a rule reports it; to follow it might lead through any number of maps
            inside = self.inner(name).type_text(collected)
            return f"list[{inside}]" if inside else ""
        return node.out[output] if node.kind != "branch" else None


@lru_cache(maxsize=4096)
def parsed(text: str) -> Type | None:
    """The type that a text stands for, or None if it is none."""
    try:
        return Type.parse(text) if len(text) <= MOST_TYPE else None
    except TypeSyntaxError:
        return None


def _item(text: str | None) -> str:
    kind = parsed(text or "")
    return str(kind.item) if kind is not None and kind.item is not None else ""
