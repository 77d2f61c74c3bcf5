"""HumanEval: pass@1."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from official import _programs
from scorers import Case


def cases(folder: Path) -> Iterator[Case]:
    """See `_programs`."""
    return _programs.cases("humaneval", folder)
