"""What was recorded of one run of a program: one event a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from flowbot.program.sites import Sites
from flowbot.program.strands import Strand, tick
from flowbot.program.watching import Pair, Scalar

from .seen import Seen, seen

if TYPE_CHECKING:
    from flowbot.runtime.trace import Step, Trace

Kind = Literal["step", "tool", "model", "slot"]
How = Literal["object", "text", "shingles", "leaf", "code", "control", "time", "declared"]
"""How it was found that one call read another: it was handed the very object, a whole text, a piece of one (six words running),
or a value that stands in one; the code hands it on under a name, or decides by it; it came before, and nothing else
is known; or the step says so."""


@dataclass(slots=True)
class Recorded:
    """One call of a step, a tool or a model, from when it begins.

    Args:
        id: no other of the run has it.
        parent: of the step that made it; None where the program itself did.
        kind: of the call.
        name: of the step; `call` for a model's.
        given: what it was handed, by argument, as it was then.
        strand: the task or thread in which it began.
        sites: where in the user's code it was made.
        started: when, by the logical clock.
        declared: names of the steps that it says it reads.
        function: of a step: no other function has it, whatever its name.
        ended: when, by that clock; 0 where it has not.
        gave: what it returned, as it was then; None where it failed.
        error: why it failed; "" where it did not.
        texts: names of the texts that were read in it.
        exchange: of a model's call, as the tap saw it.
    """

    id: str
    parent: str | None
    kind: Kind
    name: str
    given: Mapping[str, Seen]
    strand: Strand
    sites: Sites
    started: int
    declared: tuple[str, ...] = ()
    function: str = ""
    ended: int = 0
    gave: Seen | None = None
    error: str = ""
    texts: dict[str, None] = field(default_factory=dict[str, None])
    exchange: Any = None

    def done(self, result: object) -> None:
        """It returned."""
        self.gave, self.ended = seen(result), tick()

    def failed(self, error: BaseException | str) -> None:
        """It raised."""
        self.error, self.ended = (str(error) or type(error).__name__)[:2000], tick()


def around(event: Recorded, by_id: Mapping[str, Recorded]) -> list[Recorded]:
    """The steps that a call was made in, the outermost first."""
    found: list[Recorded] = []
    while event.parent is not None and (outer := by_id.get(event.parent)) is not None:
        found.insert(0, outer)
        event = outer
    return found


@dataclass(frozen=True, slots=True)
class Edge:
    """One call read another.

    Args:
        reader: id of the one; "" for the program's own result.
        source: id of the other.
        part: `in.NAME`, the argument that holds it; `out`: the result is made of what an inner call gave; "": it decided that the
            reader ran.
        how: it was found.
    """

    reader: str
    source: str
    part: str
    how: How


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of a program.

    Args:
        result: what it returned; None where it failed.
        error: why it failed, with file and line; "" where it did not.
        events: what was recorded.
        texts: the texts that it read, as they were, by name.
        turns: the worked examples that it read as turns, by the name of their text.
        values: the values that it read.
        filled: what ran in its places, by the id of the call.
        calls: model calls that it made.
        steps: where it ran on a worker, its own step and those inside, in place of all that.
    """

    result: Any
    error: str
    events: tuple[Recorded, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    turns: Mapping[str, Sequence[Pair]] = field(default_factory=dict[str, Sequence[Pair]])
    values: Mapping[str, Scalar] = field(default_factory=dict[str, Scalar])
    filled: Mapping[str, Trace] = field(default_factory=dict[str, "Trace"])
    calls: int = 0
    steps: tuple[Step, ...] = ()
