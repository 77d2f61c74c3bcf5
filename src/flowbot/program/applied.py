"""What was found, in use: texts, values and places of a flow file that stand in place of those in the source.

`fb.use(FILE)` puts them here, or the environment's `FLOWBOT_PARAMS` does when the first is read.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .watching import Pair, Scalar

VARIABLE = "FLOWBOT_PARAMS"
"""Environment variable with the path of a flow file."""


Filling = Callable[[Mapping[str, object]], Awaitable[Any]]
"""What fills a place, as a function of what the place is handed."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What holds in this process where nobody watches.

    Args:
        texts: by the names of `Param`s.
        values: by the names of `Value`s.
        slots: what fills places, by name.
        turns: worked examples of `Param`s that are turns, by name.
    """

    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    values: Mapping[str, Scalar] = field(default_factory=dict[str, Scalar])
    slots: Mapping[str, Filling] = field(default_factory=dict[str, "Filling"])
    turns: Mapping[str, Sequence[Pair]] = field(default_factory=dict[str, Sequence[Pair]])


_in_use: list[Applied] = []
"""Of the process, the last; of the environment it is read once, when it is first needed."""
_lock = threading.RLock()


def apply(applied: Applied | None) -> None:
    """Let this hold from now on; None: what the environment says, or the defaults in the source."""
    _in_use[:] = [] if applied is None else [applied]


def applied() -> Applied:
    """What holds now.

    Raises:
        UserError: if the environment names a file that is no flow with a program.
    """
    if not _in_use:
        with _lock:
            if not _in_use and (path := os.environ.get(VARIABLE)):
                # Reading a flow takes packages that a program without one does not load: the face knows who can.
                sys.modules[__name__.partition(".")[0]].use(path)
            elif not _in_use:
                apply(Applied())
    return _in_use[0]
