"""Where in the user's own code a call is made."""

from __future__ import annotations

import asyncio
import re
import sys
import sysconfig
import threading
from concurrent import futures
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from types import FrameType

_OURS = str(Path(__file__).resolve().parents[1]) + "/"
_LIBRARIES = tuple({f"{Path(sysconfig.get_path(each)).resolve()}/" for each in ("stdlib", "platstdlib")})
_RUNNERS = tuple(
    str(Path(each).resolve())
    for each in (Path(asyncio.__file__).parent, threading.__file__, Path(futures.__file__).parent)
)
_INSTALLED = re.compile(r"[\\/](?:site|dist)-packages[\\/]")
_MOST_FRAMES = 400


@dataclass(frozen=True, slots=True)
class Site:
    """One call expression that runs: its file, and where it begins and ends (lines from 1, columns in bytes from 0)."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Sites:
    """The calls in the user's code that led to a call, the innermost first, as far as the step around it.

    Args:
        of: them.
        whole: nothing else stands between: no package that calls back, no task that was started apart.
    """

    of: tuple[Site, ...] = ()
    whole: bool = False


def here(base: Sites | None = None, *, fork: bool = False) -> Sites:
    """Those of who asks.

    Args:
        base: where the strand that runs was forked; followed on from there.
        fork: a strand is forked; what forks it belongs to asyncio or to the threads, or else it is a package that calls back.
    """
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage] - as `warnings` finds who called
    found: list[Site] = []
    whole = True
    for _ in range(_MOST_FRAMES):
        owner = "end" if frame is None else _owner(frame.f_code.co_filename, frame.f_code.co_name)
        if frame is None or owner == "end":
            base = base or Sites()
            return Sites((*found, *base.of), whole and base.whole)
        if owner == "user":
            found.append(_site(frame))
        elif owner == "flowbot" and found:
            return Sites(tuple(found), whole)
        elif owner == "library" and (found or fork):
            whole = False
        frame = frame.f_back
    return Sites(tuple(found), False)


def _site(frame: FrameType) -> Site:
    code, line = frame.f_code, frame.f_lineno
    spot = next(islice(code.co_positions(), frame.f_lasti // 2, None), (line, line, 0, 0))
    first, last, column, end = (each if each is not None else 0 for each in spot)
    return Site(code.co_filename, first or line, column, last or line, end)


def of_user(file: str) -> bool:
    """Whether a file of code is the user's: none of ours, of Python's, or of an installed package."""
    return _owner(file, "") == "user"


@lru_cache(4096)
def _owner(file: str, function: str) -> str:
    """Whose code a frame runs; `end` where a task or the work of a thread begins."""
    if file.startswith(_OURS):
        return "end" if file.endswith("strands.py") and function == "job" else "flowbot"
    if file.startswith(_RUNNERS):
        return "end" if function == "_run" and file.endswith("events.py") else "runner"
    return "library" if file.startswith(("<", *_LIBRARIES)) or _INSTALLED.search(file) else "user"
