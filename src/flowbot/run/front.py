"""What else a run found: the workflows that none of the others beats, in score, calls, tokens, dollars and seconds an example at once.

All that the search ran on enough training rows are looked at; it chose among them by those rows, so their scores flatter them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from flowbot.fields.foreign import Amount, Record

from .events import Ended, Event, Measure, Measured, Proposal, Started

FEWEST = 12
"""Training rows that a workflow must have been run on, or half of them where there are few: on fewer a high score is luck as easily."""
HASH = "^[0-9a-f]{12,128}$"
"""Of a program whose file may have its name."""
FOLDER = "front"
"""Of a run's folder: the workflows of the front, a file each."""
SAME_SHARE = 0.1
"""Of what a program takes, or of how long: no two runs of one take quite the same, and less tells no two programs apart."""


class Ran(Record):
    """A workflow that the search ran, on training rows; what it takes is a mean an example."""

    program: Annotated[str, Field(pattern=HASH)]
    """Its hash."""
    title: str
    """The change that made it, in words."""
    role: Literal["start", "found", "tried"]
    score: Measure
    calls: Amount
    tokens: Amount
    usd: Amount | None
    """None where a price is unknown."""
    seconds: Amount
    """Along the critical path, as stored with the responses."""

    def file(self, run_dir: Path) -> Path:
        """Where the workflow stands, if it is on the front of the run of that folder."""
        return run_dir / FOLDER / f"{self.program[:12]}.flow.yaml"

    @property
    def costs(self) -> tuple[float, ...]:
        """All that less of is better; an unknown price is compared with no other, see `covers`."""
        return (self.calls, self.tokens, self.usd or 0.0, self.seconds)


def covers(one: Ran, other: Ran) -> bool:
    """Whether one scores no less than another and takes no more of anything, but for what two runs of one program differ by. Of a
    known and an unknown price nobody can say which is less."""
    alike = (one.usd is None) == (other.usd is None)
    return (
        alike
        and one.score.mean >= other.score.mean
        and all(mine <= (1 + SAME_SHARE) * theirs for mine, theirs in zip(one.costs, other.costs, strict=True))
    )


def front_of(ran: Sequence[Ran]) -> tuple[Ran, ...]:
    """Those that none beats, the best first: whoever one of them `covers` is left out, and so whoever is beaten on all axes.

    Args:
        ran: in the order of `ran`.
    """
    found: list[Ran] = []
    for each in ran:
        if not any(covers(one, each) for one in found):
            found.append(each)
    return tuple(found)


def ran(events: Sequence[Event]) -> tuple[Ran, ...]:
    """Start, found and all that was run on enough training rows, as the end of the search measured them, the best first."""
    start = next((each.start for each in events if isinstance(each, Started)), "")
    found = next((each.program for each in events if isinstance(each, Ended)), "")
    titles: dict[str | None, str] = {}
    for each in events:
        if isinstance(each, Proposal):
            titles.setdefault(each.program, each.title)
    titles[start] = "start"
    measured = {each.program: each for each in events if isinstance(each, Measured) and each.split == "train"}
    measured = {name: each for name, each in measured.items() if re.fullmatch(HASH, name)}  # a journal may be anybody's
    fewest = min(FEWEST, max((each.score.n for each in measured.values()), default=0) // 2)
    made = [
        Ran(
            program=each.program,
            title=titles.get(each.program, ""),
            role="found" if each.program == found != start else "start" if each.program == start else "tried",
            **{name: getattr(each, name) for name in ("score", "calls", "tokens", "usd", "seconds")},
        )
        for each in measured.values()
        if each.score.n >= max(1, fewest if each.program not in (start, found) else 0)
    ]
    return tuple(sorted(made, key=lambda each: (-each.score.mean, *each.costs, each.program)))
