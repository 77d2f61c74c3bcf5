"""What went wrong, as a client is told: a status, and an error in OpenAI's shape.

No client is to try again: what could help was tried here, and its draw stays its own. OpenAI's SDK is told by
`x-should-retry: false`; others keep off every 4xx but 408, 409 and 429, and none of these is used.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from flowbot.fields import BudgetExceeded, InfrastructureError, ModelError, Paused, RefusedError, UserError
from flowbot.fields.bounds import bounded
from flowbot.lm.http_faults import HttpFault

from .bodies import BadRequest

_IN_VAIN = "trying again does not help: FlowBot has tried"


class NotStored(Exception):
    """The store has no reply, and none may be asked for."""


def told(
    status: int, message: str, code: str | None, *, kind: str = "invalid_request_error", param: str | None = None
) -> web.Response:
    """An error in OpenAI's shape: `code` is what programs know it by, `kind` its class, `param` the member that is wrong."""
    error = {"message": bounded(message), "type": kind, "param": param, "code": code}
    return as_json({"error": error}, status=status, headers={"x-should-retry": "false"})


def as_json(value: Mapping[str, Any], **more: Any) -> web.Response:
    """An answer, with the letters of all scripts as they are."""
    return web.json_response(value, dumps=lambda given: json.dumps(given, ensure_ascii=False), **more)


def explain(error: BaseException) -> web.Response | None:
    """The answer to a request that met this error; None where it is none that a request can meet."""
    match error:
        case BadRequest():
            status = 404 if error.code == "model_not_found" else 400
            return told(status, str(error), error.code, param=error.param)
        case NotStored():
            return told(404, str(error), "not_stored")
        case BudgetExceeded():
            return told(403, f"the budget is used up: {error}", "budget_exceeded", kind="insufficient_quota")
        case Paused():
            return told(503, f"stopped: {error}", "stopped", kind="server_error")
        case ModelError():
            text = f"This model's maximum context length is exceeded: {error}"
            return told(400, text, "context_length_exceeded", param="messages")
        case RefusedError():
            return told(400, str(error), "content_policy_violation")
        case UserError():
            return told(400, str(error), "bad_setting")
        case HttpFault(status=400 | 413 | 422):
            return told(400, f"the model's endpoint refuses the request: {error}", "refused_by_endpoint")
        case InfrastructureError():
            return told(503, f"{error} ({_IN_VAIN})", "model_unavailable", kind="server_error")
        case asyncio.CancelledError():
            return told(503, "stopped: the model was closed", "stopped", kind="server_error")
        case _:
            return None
