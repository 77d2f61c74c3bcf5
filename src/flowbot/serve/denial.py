"""From an error to what a client is told: whose fault it is decides the status."""

from __future__ import annotations

import logging

from flowbot.fields import BudgetExceeded, InfrastructureError, ModelError, Paused, RefusedError, UserError

AGAIN = 5.0
"""Seconds after which an endpoint that failed may be asked again, where it does not say when."""

_log = logging.getLogger(__name__)


class Denial(Exception):
    """A request that gets no result.

    Args:
        status: of HTTP.
        message: why, in the words of the command line.
        code: a finer name than the status is.
        retry_after: seconds after which it may be asked again.
    """

    def __init__(self, status: int, message: str, *, code: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.retry_after = status, message, code, retry_after


def denial_of(error: Exception) -> Denial:
    """What a client is told of an error.

    A fault of the request is 400, of the model 422, of a ceiling 402, of what lies behind us 503. What nobody foresaw is 500: the
    log says what it was, and the client is not told.
    """
    match error:
        case Denial():
            return error
        case UserError():
            return Denial(400, str(error))
        case ModelError():
            return Denial(422, str(error))
        case RefusedError():
            return Denial(422, str(error), code="content_policy")
        case BudgetExceeded():
            return Denial(402, str(error), code="budget")
        case Paused():
            return Denial(503, str(error), code=error.stopped_by, retry_after=AGAIN)
        case InfrastructureError():
            return Denial(503, str(error), code=error.kind, retry_after=error.retry_after or AGAIN)
        case _:
            _log.error("unexpected %s", type(error).__name__, exc_info=error)
            return Denial(500, "an unexpected error; the log of the server says which")
