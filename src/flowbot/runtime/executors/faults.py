"""What a function raised, as JSON data, and the exception that stands for it where it was called from."""

from __future__ import annotations

import traceback
from typing import Any

from flowbot.fields import InfrastructureError, StepError, UserError
from flowbot.task import MetricError

from .protocol import FunctionError


def text_of(error: Exception) -> str:
    """The error's text; also of one that cannot say it."""
    try:
        return str(error)
    except Exception as fault:
        return f"an error without a text ({type(fault).__name__})"


def described(error: Exception) -> dict[str, Any]:
    """An exception as data: by what FlowBot tells it from others, or else by its type's name and its text."""
    match error:
        case MetricError():
            told = {"type": "MetricError", "message": error.message, "metric": error.metric, "example": error.example}
        case StepError():
            told = {"type": "StepError", "message": str(error)}
        case UserError():
            told = {"type": "UserError", "where": error.where, "found": error.found, "expected": error.expected}
        case InfrastructureError():
            told = {
                "type": "InfrastructureError",
                "message": str(error),
                "kind": error.kind,
                "fatal": error.fatal,
                "retry_after": error.retry_after,
            }
        case _:
            told = {"type": "", "name": type(error).__name__, "text": text_of(error)}
    return {**told, "traceback": "".join(traceback.format_exception(error))}


def rebuilt(told: dict[str, Any]) -> Exception:
    """The exception of such data, with the traceback from elsewhere as a note."""
    facts = {name: fact for name, fact in told.items() if name not in ("type", "traceback")}
    match told["type"]:
        case "MetricError":
            error = MetricError(facts.pop("message"), **facts)
        case "StepError":
            error = StepError(facts["message"])
        case "UserError":
            error = UserError(**facts)
        case "InfrastructureError":
            error = InfrastructureError(facts.pop("message"), **facts)
        case _:
            error = FunctionError(facts["name"], facts["text"])
    error.add_note(told["traceback"])
    return error
