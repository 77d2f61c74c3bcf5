"""The report of a run: one self-contained HTML page, and the same facts in words for the command line."""

from __future__ import annotations

from .data import Change, Interval, RunView, read_run
from .report import write_report
from .words import verdict

__all__ = ["Change", "Interval", "RunView", "read_run", "verdict", "write_report"]
