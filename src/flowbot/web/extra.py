"""What is installed by choice, and the one line that says how."""

from __future__ import annotations

from importlib import import_module

from flowbot.fields import UserError


def require_extra(where: str, extra: str, *packages: str) -> None:
    """See that the packages of an extra are there, before they are needed.

    Args:
        where: who asks, as `flowbot serve`.
        extra: name of the extra that brings them.
        packages: names that are imported.

    Raises:
        UserError: naming the first that is not there, and what installs it.
    """
    for package in packages:
        try:
            _ = import_module(package)
        except ImportError:
            raise UserError(where, f"no package {package}", mend=f"pip install -e '.[{extra}]'") from None
