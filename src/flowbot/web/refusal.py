"""What a request is answered that is not served: one form for all, that of OpenAI's protocol."""

from __future__ import annotations

import math

from starlette.responses import JSONResponse

from flowbot.fields.errors import safe_text

_KINDS = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "not_found_error",
    422: "model_error",
    429: "rate_limit_error",
}


def refusal(
    status: int, message: str, *, code: str | None = None, retry_after: float | None = None, close: bool = False
) -> JSONResponse:
    """An answer that says what was wrong, without a secret and within a bound.

    Args:
        status: of HTTP, 400 or above.
        message: the words, as the command line says them.
        code: a finer name than the status is.
        retry_after: seconds after which it may be asked again.
        close: end the connection behind it.
    """
    kind = _KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")
    headers = {"connection": "close"} if close else {}
    if retry_after is not None:
        headers["retry-after"] = str(max(1, math.ceil(retry_after)))
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    error = {"message": safe_text(message), "type": kind, "param": None, "code": code}
    return JSONResponse({"error": error}, status, headers)
