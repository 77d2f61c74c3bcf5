"""Options in a model's name: `fake/echo?latency=0.2&seed=3`. Shared by the providers that take some."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from urllib.parse import unquote

from flowbot.fields import UserError
from flowbot.fields.near import one_of


def split_options(rest: str, where: str, known: Collection[str], *, last: str = "") -> tuple[str, dict[str, str]]:
    """The name and the options of `NAME?key=value&key=value`.

    Args:
        rest: the model string after its provider.
        where: how to name the place in an error.
        known: the option names that there are.
        last: an option whose value is everything that follows it (a model string with options of its own).

    Raises:
        UserError: for an unknown, repeated or valueless option.
    """
    name, _, query = rest.partition("?")
    options: dict[str, str] = {}
    while query:
        if last and query.startswith(f"{last}="):
            item, query = query, ""
        else:
            item, _, query = query.partition("&")
        key, equals, value = item.partition("=")
        if key not in known:
            raise UserError(where, f"option {key!r}", one_of(key, sorted(known)))
        if not equals or not value or key in options:
            raise UserError(where, f"option {item!r}", f"{key}=VALUE once")
        options[key] = value if key == last else unquote(value)
    return name, options


def is_path(name: str) -> bool:
    """Whether the name of a local model is a file's path, and not one of the catalogue."""
    return "/" in name or name.endswith(".gguf") or name.startswith(("~", "."))


def number(
    options: Mapping[str, str], key: str, default: float, where: str, *, low: float = 0.0, high: float = math.inf
) -> float:
    """The option as a number in [low, high].

    Raises:
        UserError: if it is none.
    """
    if key not in options:
        return default
    try:
        value = float(options[key])
    except ValueError:
        value = math.nan
    if not low <= value <= high or math.isinf(value):
        bounds = f"from {low:g} to {high:g}" if math.isfinite(high) else f"of at least {low:g}"
        raise UserError(where, f"{key}={options[key]}", f"a number {bounds}")
    return value


def whole(options: Mapping[str, str], key: str, default: int, where: str, *, low: int = 0, high: int = 2**31) -> int:
    """The option as a whole number in [low, high].

    Raises:
        UserError: if it is none.
    """
    value = number(options, key, default, where, low=low, high=high)
    if value != int(value):
        raise UserError(where, f"{key}={options[key]}", "a whole number")
    return int(value)


def choice(options: Mapping[str, str], key: str, names: Collection[str], where: str) -> str:
    """The option as one of some names.

    Raises:
        UserError: if it is none of them.
    """
    if options[key] not in names:
        raise UserError(where, f"{key}={options[key]}", one_of(options[key], names))
    return options[key]


def flag(options: Mapping[str, str], key: str, where: str) -> bool:
    """The option as `true` or `false`.

    Raises:
        UserError: if it is neither.
    """
    return choice(options, key, ("true", "false"), where) == "true"
