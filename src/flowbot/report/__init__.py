"""The report of a run: one self-contained HTML page, and the same facts in words for the command line."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .changes import Change
    from .data import RunView, read_run
    from .interval import Interval
    from .report import write_report
    from .words import verdict

_HOME = {
    "Change": "changes",
    "Interval": "interval",
    **dict.fromkeys(("RunView", "read_run"), "data"),
    "write_report": "report",
    "verdict": "words",
}


def __getattr__(name: str) -> Any:
    """Modules that are not always needed are imported when their first name is asked for (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


__all__ = ["Change", "Interval", "RunView", "read_run", "verdict", "write_report"]
