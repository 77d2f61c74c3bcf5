"""The command line: one file a verb, one console, one table of exit statuses. What it prints is what `--json` names."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `flowbot` and end the process with its exit status: 0 done, 1 failed, 2 wrong use, 3 paused."""

    from .signals import PAUSED, interruptible
    from .streams import flush, open_missing

    open_missing()
    try:
        with interruptible():
            from .app import run

            status = run(sys.argv[1:] if arguments is None else list(arguments))
    except KeyboardInterrupt:  # before there was anything to stop
        status = PAUSED
    flush()
    sys.exit(status)


__all__ = ["main"]
