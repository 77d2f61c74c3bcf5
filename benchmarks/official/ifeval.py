"""IFEval: the instructions that are followed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from official import _instructions
from scorers import Case


def cases(folder: Path) -> Iterator[Case]:
    """See `_instructions`."""
    return _instructions.cases("ifeval", folder)
