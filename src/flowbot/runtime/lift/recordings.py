"""From what was recorded of a program to its calls: model calls, and functions that call none; steps around them are looked through."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from flowbot.lm.counted import as_count
from flowbot.runtime.traced.recorded import Recorded, around

from .calls import CallMade

if TYPE_CHECKING:
    from flowbot.lm.tap import Exchange

_MESSAGES = ("messages", "input", "instructions", "system", "prompt", "stream", "stream_options", "model")
"""Members of a request's body that are told otherwise, or change no reply."""
_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")


def calls_of(events: Sequence[Recorded], program: Callable[..., Any]) -> tuple[CallMade, ...]:
    """The calls of one run, in the order in which they were made.

    Args:
        events: what was recorded.
        program: in whose files the functions stand.
    """
    by_id = {each.id: each for each in events}
    outside = {each.id: around(each, by_id) for each in events}
    holders = {outer.id for each in events if each.kind == "model" for outer in outside[each.id]}
    found: list[CallMade] = []
    for each in sorted(events, key=lambda event: event.started):
        if each.kind == "model" and each.exchange is not None:
            found.append(_model(each, outside[each.id]))
        elif each.kind != "model" and each.id not in holders and all(outer.id in holders for outer in outside[each.id]):
            found.append(_function(each, outside[each.id], program))
    return tuple(found)


def _place(event: Recorded) -> tuple[str, str]:
    """What tells the place in the code from others, and how a person is told of it."""
    if not event.sites.of:
        return "", "program"
    site = event.sites.of[-1]  # a helper that many places use says little
    told = "|".join(f"{each.file}:{each.line}:{each.column}" for each in event.sites.of)
    return told, f"{Path(site.file).name}:{site.line}"


def _model(event: Recorded, outer: Sequence[Recorded]) -> CallMade:
    exchange: Exchange = event.exchange
    body = exchange.body
    limit = next((count for name in _LIMITS if (count := as_count(body.get(name)))), None)
    temperature = body.get("temperature")
    rest = {key: value for key, value in body.items() if key not in (*_MESSAGES, *_LIMITS, "temperature")}
    settings: dict[str, Any] = {
        "model": exchange.model,
        "temperature": 1.0 if temperature is None else float(temperature),
        "max_tokens": limit,
        **rest,
    }
    site, where = _place(event)
    names = [each.name for each in outer]
    return CallMade(
        "/".join([*names, site]), names[-1] if names else "ask", where, "model", exchange.text,
        tuple(exchange.messages), {key: value for key, value in settings.items() if value is not None},
        took=exchange.usage.output_tokens,
    )  # fmt: skip


def _function(event: Recorded, outer: Sequence[Recorded], program: Callable[..., Any]) -> CallMade:
    site, where = _place(event)
    given = {name: each.value for name, each in event.given.items()}
    gave = None if event.gave is None else event.gave.value
    path = "/".join([*(each.name for each in outer), event.name, site])
    return CallMade(path, event.name, where, "tool", gave, given=given, call=_step_function(event.name, program))


def _step_function(name: str, program: Callable[..., Any]) -> Callable[..., Any] | None:
    """The step of that name among the functions of the program's own modules."""
    home = sys.modules.get(getattr(program, "__module__", ""))
    folder = Path(str(getattr(home, "__file__", ""))).parent
    beside = modules_in(folder) if folder != Path() else []
    held = (getattr(module, name, None) for module in (home, *beside))
    return next((each for each in held if callable(each) and hasattr(each, "__wrapped__")), None)


def modules_in(folder: Path) -> list[ModuleType]:
    """The modules that were imported from files in a folder, and in folders of it."""
    files = ((module, getattr(module, "__file__", None)) for module in list(sys.modules.values()))
    return [module for module, file in files if isinstance(file, str) and Path(file).is_relative_to(folder)]
