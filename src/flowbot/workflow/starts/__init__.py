"""Starting points: a single call written from a task alone, and the field's hand-written workflows as a library."""

from __future__ import annotations

from .fit import fit
from .library import Start, find_start, list_starts
from .single import REASONING, reasoning_hint, single_call

__all__ = ["REASONING", "Start", "find_start", "fit", "list_starts", "reasoning_hint", "single_call"]
