"""IFBench: the instructions that are followed, without those that need a tagger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from official import _instructions
from scorers import Case


def cases(folder: Path) -> Iterator[Case]:
    """See `_instructions`."""
    return _instructions.cases("ifbench", folder, "untagged")
