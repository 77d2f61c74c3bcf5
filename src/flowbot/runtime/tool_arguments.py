"""From the call that a model wrote to a tool and arguments. What cannot be read is said in words for the model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NoReturn, cast

from flowbot.fields import StepError, ToolSignature
from flowbot.lm.client import ToolUse
from flowbot.lm.mending import mended

from .jsonlike import to_json


def tool_named(use: ToolUse, offered: Sequence[ToolSignature], *, cut_at: int | None) -> ToolSignature:
    """The tool that a call names: exactly, or but for capitals and a prefix such as `functions.`.

    Args:
        use: the call.
        offered: the tools that may be called.
        cut_at: tokens at which the reply was cut; None if it was not.

    Raises:
        StepError: if it is none of those offered; lists them.
    """
    names = ", ".join(tool.name for tool in offered)
    if not use.name and cut_at is not None:
        raise StepError(f"the call was cut at {cut_at} tokens; make it shorter")
    if not use.name:
        raise StepError(f"this is no call that can be read; name one tool ({names}) and its arguments")
    exact = [tool for tool in offered if tool.name == use.name]
    last = use.name.rpartition(".")[2].strip().casefold()
    found = exact or [tool for tool in offered if tool.name.casefold() == last]
    if len(found) != 1:
        raise StepError(f"there is no tool {use.name[:64]!r}; the tools are {names}")
    return found[0]


def read_arguments(use: ToolUse, tool: ToolSignature, *, cut_at: int | None) -> dict[str, Any]:
    """The arguments of a call, as JSON data; mended where the text is not quite JSON.

    An argument with a default that is given as null is left out.

    Args:
        use: the call.
        tool: the tool that it names.
        cut_at: tokens at which the reply was cut; None if it was not. What was cut is not mended: it would be another
            call than the one meant.

    Raises:
        StepError: if they are no JSON object.
    """
    text = use.arguments.strip() or "{}"
    try:
        found = _loaded(text)
        if isinstance(found, str):  # encoded twice
            found = _loaded(found.strip() or "{}")
    except (ValueError, RecursionError):
        if cut_at is not None:
            raise StepError(f"the call was cut at {cut_at} tokens; make it shorter") from None
        found = mended(text)
    if not isinstance(found, dict):
        taken = ", ".join(f"{field.name} ({field.type})" for field in tool.inputs) or "nothing"
        raise StepError(f"tool {tool.name}: found {text[:60]}; expected a JSON object of arguments; it takes {taken}")
    given = cast("dict[str, Any]", to_json(found, "arguments"))
    return {name: value for name, value in given.items() if value is not None or name not in tool.optional}


def _loaded(text: str) -> Any:
    return json.loads(text, parse_constant=_no_constant)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
