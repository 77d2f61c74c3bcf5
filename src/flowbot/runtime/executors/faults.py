"""What a function raised, as JSON data, and the exception that stands for it where it was called from."""

from __future__ import annotations

import traceback
from typing import Any

from flowbot.fields import InfrastructureError, StepError, UserError
from flowbot.fields.bounds import bounded, error_text
from flowbot.task import MetricError

from .protocol import FunctionError

_TRACEBACK = 20_000


def described(error: Exception) -> dict[str, Any]:
    """An exception as data: by what FlowBot tells it from others, or else by its type's name and its text."""
    match error:
        case MetricError():
            told = {"type": "MetricError", "message": error.message, "metric": error.metric, "example": error.example}
        case StepError():
            told = {"type": "StepError", "message": str(error)}
        case UserError():
            told = {"type": "UserError", "where": error.where, "what": error.what, "mend": error.mend}
        case InfrastructureError():
            told = {
                "type": "InfrastructureError",
                "message": str(error),
                "kind": error.kind,
                "fatal": error.fatal,
                "retry_after": error.retry_after,
            }
        case FunctionError():
            told = {"type": "", "name": error.type_name, "text": error.text}
        case _:
            told = {"type": "", "name": type(error).__name__, "text": error_text(error)}
    try:
        trace = "".join(traceback.format_exception(error))
    except Exception:  # it asks the error for its text, and what is near it for theirs
        trace = ""
    return {**told, "traceback": bounded(trace, _TRACEBACK)}


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
