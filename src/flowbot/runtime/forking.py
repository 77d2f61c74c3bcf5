"""What a process that is forked must leave alone of what it inherits."""

from __future__ import annotations

import os
from contextlib import suppress
from weakref import WeakSet

_KEPT: WeakSet[object] = WeakSet()


def keep_when_forked(owner: object) -> None:
    """See that a process forked from this one never collects `owner`, not even when it ends.

    It has the parent's memory and none of its threads. A connection or pipe that is collected there is taken from its event
    loop's selector, which the system shares with the parent: that would wait for its answers for ever.

    Args:
        owner: what holds event loops, connections or pipes; held weakly here.
    """
    _KEPT.add(owner)


def _keep() -> None:
    with suppress(ImportError):
        import ctypes

        for each in tuple(_KEPT):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(each))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep)
