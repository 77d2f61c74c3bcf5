"""Paths as people write them."""

from __future__ import annotations

from pathlib import Path

from .errors import UserError


def home_path(text: str, where: str) -> Path:
    """The path of a text in which `~` and `~NAME` stand for home folders.

    Raises:
        UserError: if there is no such user, or this one's home folder is not known; names `where`.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UserError(where, f"{text!r}, whose home folder is not known", "a path") from None
