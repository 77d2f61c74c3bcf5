"""Where the changes of a run came from, and what came of each source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, Literal, TypeAlias, get_args

from .changes import Change
from .events import WRITTEN, Proposal

Origin: TypeAlias = Literal["prior", "vote", "written", "tuning"]
"""A change of the catalogue by what is believed of its kind, or by the meta model's vote or choice; edits that a model wrote; a change
of prompts and settings."""
ORIGINS: dict[Origin, str] = {
    "prior": "catalogue, by belief",
    "vote": "catalogue, by vote",
    "written": "edits that a model wrote",
    "tuning": "prompts and settings",
}


def origin_of(proposal: Proposal) -> Origin:
    """Where a proposal came from."""
    if proposal.level == "parameters":
        return "tuning"
    if proposal.arm.kind == WRITTEN:
        return "written"
    return "vote" if proposal.source == "meta" else "prior"


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """What came of the changes of one source.

    Args:
        proposals: all of them.
        valid: those that made a workflow that the run did not have before.
        adopted: those that the search went on from, or took over.
        gain: mean gain in score that is believed of those that were compared; None where none was.
    """

    proposals: int
    valid: int
    adopted: int
    gain: float | None

    def dump(self) -> dict[str, Any]:
        """As JSON data."""
        return asdict(self)


def by_source(changes: Iterable[Change]) -> dict[Origin, SourceCounts]:
    """The counts of every source that proposed something."""
    found: dict[Origin, list[Change]] = {origin: [] for origin in get_args(Origin)}
    for each in changes:
        found[origin_of(each.proposal)].append(each)
    return {origin: _counted(of) for origin, of in found.items() if of}


def _counted(changes: list[Change]) -> SourceCounts:
    gains = [each.verdict.gain for each in changes if each.verdict is not None and each.verdict.n]
    return SourceCounts(
        proposals=len(changes),
        valid=sum(each.proposal.program is not None and not each.repeats for each in changes),
        adopted=sum(bool(each.kept) or (each.verdict is None and each.followed) for each in changes),
        gain=fmean(gains) if gains else None,
    )
