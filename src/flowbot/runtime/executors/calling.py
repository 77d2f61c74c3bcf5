"""How a function of each kind is called, and its result made JSON data: the same code wherever it runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from flowbot.fields import FlowBotError
from flowbot.fields.bounds import error_text
from flowbot.runtime.jsonlike import to_json
from flowbot.task import Metric

from .protocol import Call, FunctionError


def result_of(call: Call) -> Any:
    """Make the call, here and now, and give its result as JSON data.

    Raises:
        StepError: if a tool returns what JSON cannot hold.
        MetricError: if a metric raises, or returns what is no score.
        FunctionError: if a tool raises.
        BaseException: what else the function raises.
    """
    if call.kind == "tool":
        try:
            return to_json(call.function(**call.arguments))
        except FlowBotError:
            raise
        except Exception as error:
            raise FunctionError(type(error).__name__, error_text(error)) from error
    score = Metric(call.name, pure=False, identity="", call=call.function)(**call.arguments)
    parts = {name: float(part) for name, part in score.parts.items()}
    return {"value": float(score.value), "feedback": score.feedback, "parts": parts}


async def awaited_result_of(call: Call) -> Any:
    """As `result_of`, of a tool that is a coroutine function."""
    try:
        return to_json(await call.function(**call.arguments))
    except FlowBotError:
        raise
    except Exception as error:
        raise FunctionError(type(error).__name__, error_text(error)) from error


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
