"""A mapping of known keys, as it stands in a task file, and the places of what is wrong in it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

from flowbot.fields import UserError
from flowbot.fields.words import kind_of


def mapping(value: Any, where: str, known: tuple[str, ...]) -> dict[str, Any]:
    """`value`, if it is a mapping that has no other keys than `known`.

    Raises:
        UserError: naming `where`, if it is none or has another key.
    """
    if not isinstance(value, dict):
        found = kind_of(value)
        raise UserError(where, found, f"a mapping with {', '.join(known)}")
    given = cast("dict[str, Any]", value)
    unknown = [key for key in given if key not in known]
    if unknown:
        found = f"the unknown key{'s' * (len(unknown) > 1)} {', '.join(map(repr, unknown))}"
        raise UserError(where, found, f"only {', '.join(known)}")
    return given


@contextmanager
def placed(old: str, new: str) -> Generator[None, None, None]:
    """An error at the place `old`, or inside of it, is one at `new`."""
    try:
        yield
    except UserError as error:
        inside = error.where.removeprefix(old)
        if inside == error.where or inside[:1] not in ("", ".", "["):
            raise
        raise error.at(new + inside) from None
