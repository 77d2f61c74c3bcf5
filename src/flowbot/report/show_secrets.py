"""What is printed for a person or a program holds no secret, whatever a tool or an endpoint wrote into a trace."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, cast

from flowbot.lm.providers import PROVIDERS

MASK = "…"
SHORTEST = 8
"""Characters of a value that may be a secret; shorter ones are words."""
_ENDINGS = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")


def known_secrets(environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The values of the environment's variables that hold keys, the longest first.

    Args:
        environment: variables by name; those of this process when None.
    """
    named = {name for provider in PROVIDERS.values() for name in provider.keys}
    values = {
        value.strip()
        for name, value in (os.environ if environment is None else environment).items()
        if name in named or name.upper().endswith(_ENDINGS)
    }
    return tuple(sorted((value for value in values if len(value) >= SHORTEST), key=lambda value: (-len(value), value)))


def masked(value: Any, secrets: Sequence[str]) -> Any:
    """JSON data or a text with each secret replaced by `MASK`."""
    if not secrets:
        return value
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, MASK)
        return value
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return {masked(name, secrets): masked(each, secrets) for name, each in items}
    if isinstance(value, list | tuple):
        return [masked(each, secrets) for each in cast("Sequence[Any]", value)]
    return value
