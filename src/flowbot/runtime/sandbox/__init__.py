"""Where model-written code runs: nowhere near this process, its files, its environment or the network.

The seam is `Sandbox`. `MontySandbox`, the default, is a Python interpreter that has no access to the system at all;
`BubblewrapSandbox` is full CPython in a process of its own that the system confines. Where neither can be had, running
code is refused.
"""

from __future__ import annotations

from typing import Literal

from flowbot.fields import UserError
from flowbot.fields.near import one_of

from .bubblewrap import BubblewrapSandbox
from .chosen import ChosenSandbox
from .monty import MontySandbox
from .protocol import MEMORY_MB, PRINTED_BYTES, SECONDS, Sandbox

SandboxName = Literal["monty", "bubblewrap"]


def open_sandbox(name: str | None = None) -> Sandbox:
    """The sandbox of that name, known to work here.

    Args:
        name: `monty` or `bubblewrap`; None for monty if it is installed, else bubblewrap if it works.

    Raises:
        UserError: if it cannot be had, with the reason and what to install.
    """
    match name:
        case "monty":
            _ = MontySandbox().identity
            return MontySandbox()
        case "bubblewrap":
            return BubblewrapSandbox.checked()
        case None:
            return _first()
        case _:
            raise UserError("sandbox", repr(name), one_of(name, ("monty", "bubblewrap")))


def _first() -> Sandbox:
    reasons: list[str] = []
    mends: list[str] = []
    for name in ("monty", "bubblewrap"):
        try:
            return open_sandbox(name)
        except UserError as error:
            reasons.append(f"{name}: {error.found}")
            mends.append(error.mend)
    raise UserError("running code", "no sandbox (" + "; ".join(reasons) + ")", mend=", or ".join(mends))


__all__ = [
    "MEMORY_MB",
    "PRINTED_BYTES",
    "SECONDS",
    "BubblewrapSandbox",
    "ChosenSandbox",
    "MontySandbox",
    "Sandbox",
    "SandboxName",
    "open_sandbox",
]
