"""What was recorded of one run of a program: one event a call, plain immutable data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from flowbot.program.sites import Sites
from flowbot.program.strands import Strand

from .seen import Seen

Kind = Literal["step", "tool", "model", "slot"]
How = Literal["object", "text", "shingles", "leaf", "code", "control", "time", "declared"]
"""How it was found that one call read another: it was handed the very object, a whole text, a piece of one (six words running),
or a value that stands in one; the code hands it on under a name, or decides by it; it came before, and nothing else
is known; or the step says so."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One call of a step, a tool or a model.

    Args:
        id: no other of the run has it.
        parent: of the step that made it; None where the program itself did.
        kind: of the call.
        name: of the step; `call` for a model's.
        given: what it was handed, by argument, as it was then.
        gave: what it returned, as it was then; None where it failed.
        error: why it failed; "" where it did not.
        started: when, by the logical clock.
        ended: when, by that clock.
        strand: the task or thread in which it began.
        sites: where in the user's code it was made.
        texts: names of the texts that were read in it.
        values: names of the values that were read in it.
        declared: names of the steps that it says it reads.
        exchange: of a model's call, as the tap saw it.
        function: of a step: no other function has it, whatever its name.
    """

    id: str
    parent: str | None
    kind: Kind
    name: str
    given: Mapping[str, Seen]
    gave: Seen | None
    started: int
    ended: int
    strand: Strand
    error: str = ""
    sites: Sites = field(default_factory=Sites)
    texts: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    declared: tuple[str, ...] = ()
    exchange: Any = None
    function: str = ""


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
