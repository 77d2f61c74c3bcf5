"""What is known of a program's runs: the calls of each, in order, and how they make columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from flowbot.fields.words import cut
from flowbot.lm.client import Message
from flowbot.task.quality import Remark

Known = dict[str, list[Any]]
"""What may be read at a place: by reference its values, one for each time that the place is come to."""


@dataclass(frozen=True, slots=True)
class CallMade:
    """One call of a model or of a step that asks none.

    Args:
        site: tells the place in the program from others.
        name: how a step there is called.
        where: for people, as `app.py:12`.
        kind: of the call.
        gave: the reply's text, or what the function returned.
        messages: of a model's call.
        settings: what else its request says, by name.
        given: a function's arguments.
        call: the function.
        took: tokens of a model's reply.
    """

    site: str
    name: str
    where: str
    kind: Literal["model", "tool"]
    gave: Any
    messages: tuple[Message, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    given: Mapping[str, Any] = field(default_factory=dict[str, Any])
    call: Callable[..., Any] | None = None
    took: int = 0


@dataclass(frozen=True, slots=True)
class Ran:
    """A program on one example.

    Args:
        inputs, outputs: by name.
        calls: in the order in which they were made.
    """

    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    calls: tuple[CallMade, ...]


class Defeat(Exception):
    """A place in the program that no typed workflow says.

    Args:
        step: its call, or words for it.
        what: why, a clause that follows the step's name.
        mend: what would make it one.
    """

    def __init__(self, step: CallMade | str, what: str, mend: str) -> None:
        where, name = (step, "") if isinstance(step, str) else (step.where, f"{step.name} ")
        super().__init__(f"{where}: {name}{what}")
        self.why = what
        self.remark = Remark(where, f"{name}{what}", mend)


@dataclass(frozen=True, slots=True)
class Group:
    """Places that are come to equally often on each example: once everywhere, or again and again.

    Args:
        sites: in the order in which they are first come to.
        counts: of each run.
        made: the calls of each site, by run.
    """

    sites: tuple[str, ...]
    counts: tuple[int, ...]
    made: Mapping[str, Sequence[Sequence[CallMade]]]

    @property
    def once(self) -> bool:
        """Whether each is come to once on every example."""
        return all(count == 1 for count in self.counts)

    @property
    def first(self) -> CallMade:
        """One call of it."""
        return next(call for row in self.made[self.sites[0]] for call in row)


def grouped(runs: Sequence[Ran]) -> list[Group]:
    """The places of a program, those that repeat together as one.

    Raises:
        Defeat: for a place that is come to on some examples and not on others.
    """
    order: dict[str, list[list[CallMade]]] = {}
    for number, run in enumerate(runs):
        for call in run.calls:
            order.setdefault(call.site, [[] for _ in runs])[number].append(call)
    found: list[tuple[tuple[int, ...], list[str]]] = []
    for site, made in order.items():
        counts = tuple(map(len, made))
        first = next(call for row in made for call in row)
        if 0 in counts and max(counts) == 1:
            some = f"runs on {sum(counts)} of {len(runs)} examples, as plain Python decides"
            raise Defeat(first, some, "a step that always runs, or a branch written in the workflow")
        if found and found[-1][0] == counts and max(counts) > 1:
            found[-1][1].append(site)
        else:
            found.append((counts, [site]))
    return [Group(tuple(sites), counts, {site: order[site] for site in sites}) for counts, sites in found]


def shown(text: str) -> str:
    """The beginning of a text, in quotation marks."""
    return f"“{cut(' '.join(text.split()), 60)}”"
