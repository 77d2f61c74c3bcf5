"""The examples of a run in short, and any one of them, without reading the traces of all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowbot.fields import UserError
from flowbot.fields.foreign import Record, Share, checked
from flowbot.fields.secrets import hide
from flowbot.fields.words import as_text, brief

from .events import Split
from .examples import NAME, WRITTEN, Outcome, RecordedExample, outcome_of, placed_lines

_SHORT = 160
"""Characters of an example's inputs that are listed."""


class _Score(Record):
    score: Share


class _Line(Record):
    """What is listed of a line."""

    id: str
    split: Split
    inputs: dict[str, Any]
    start: _Score | None
    final: _Score | None


@dataclass(frozen=True, slots=True)
class ListedExample:
    """An example in short.

    Args:
        id, split: as of a `RecordedExample`.
        text: its inputs, cut.
        start, final: scores of the start and the found workflow; None where it was not run.
        place: the byte at which its line begins.
    """

    id: str
    split: Split
    text: str
    start: float | None
    final: float | None
    place: int

    @property
    def outcome(self) -> Outcome:
        """What became of it."""
        return outcome_of(self.start, self.final)


def list_examples(run_dir: Path) -> Iterator[ListedExample]:
    """The examples of a run in the file's order.

    Raises:
        UserError: as `read_examples`.
    """
    for where, place, data in placed_lines(run_dir):
        line = checked(_Line, data, where, WRITTEN)
        text = brief(" · ".join(map(as_text, line.inputs.values())), _SHORT)
        start, final = (side and side.score for side in (line.start, line.final))
        yield ListedExample(hide(line.id), line.split, text, start, final, place)


def example_at(run_dir: Path, place: int) -> RecordedExample:
    """The example whose line begins at that byte.

    Raises:
        UserError: as `read_examples`, or if there is none.
    """
    for where, _, data in placed_lines(run_dir, place):
        return checked(RecordedExample, hide(data), where, WRITTEN)
    raise UserError(str(run_dir / NAME), f"nothing at byte {place}", WRITTEN)
