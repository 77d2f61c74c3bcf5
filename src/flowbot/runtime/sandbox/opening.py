"""Which sandbox there is: the one that the user names, or the first that can be had."""

from __future__ import annotations

from typing import Literal

from flowbot.fields import UserError
from flowbot.fields.near import one_of

from .bubblewrap import BubblewrapSandbox
from .monty import MontySandbox
from .protocol import Sandbox

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
