"""What runs through a workflow: values with the steps that made them, where a node is called, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from flowbot.fields import RefusedError

from .trace import Step


@dataclass(frozen=True, slots=True)
class Value:
    """A value that a reference carries.

    Args:
        data: the value.
        by: addresses of the steps that made it; none for an input of the workflow.
        samples: all samples of it, where the node drew several; `data` is the first.
    """

    data: Any
    by: tuple[str, ...] = ()
    samples: tuple[Value, ...] = ()


Known = Mapping[str, Value]
"""Values by reference."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a run a node is called: what goes around its name in addresses, and its numbers in the draw.

    Args:
        prefix: of addresses, as `each/refine[7]/`.
        suffix: of addresses, as `[2]`.
        path: of the body, as `each/refine/`.
        steps: numbers of the loops around it, the outermost first.
        items: numbers of the maps around it.
    """

    prefix: str = ""
    suffix: str = ""
    path: str = ""
    steps: tuple[int, ...] = ()
    items: tuple[int, ...] = ()

    def address(self, name: str) -> str:
        """The address of a node called here."""
        return f"{self.prefix}{name}{self.suffix}"

    def inside(self, name: str, *, step: int | None = None, item: int | None = None) -> Place:
        """The place of the body of `name`, in its step or item of that number."""
        return Place(
            f"{self.address(name)}/",
            f"[{step if step is not None else item}]",
            f"{self.path}{name}/",
            self.steps if step is None else (*self.steps, step),
            self.items if item is None else (*self.items, item),
        )


@dataclass(frozen=True, slots=True)
class Ended:
    """How a node, or a body, ended.

    Args:
        state: `done`; `skipped`: its way was not taken; `missing`: it failed, or what it reads is missing.
        steps: what is recorded of it, in order.
        values: what it gives, by output name.
        seconds: how long it took, from what was stored.
        way: the label that a branch chose.
        refused: the refusal of a request, to be raised once everything has ended.
    """

    state: Literal["done", "skipped", "missing"]
    steps: tuple[Step, ...] = ()
    values: Mapping[str, Value] = field(default_factory=dict[str, Value])
    seconds: float = 0.0
    way: str = ""
    refused: RefusedError | None = None


TOP = Place()
"""Of the nodes of the sketch itself."""
SKIPPED = Ended("skipped")
MISSING = Ended("missing")


def made_by(values: Iterable[Value]) -> tuple[str, ...]:
    """The steps that made these values, each once, in order."""
    return tuple(dict.fromkeys(address for value in values for address in value.by))
