"""A client that is none of ours, as a model's: its calls pass no tap, and its exceptions are FlowBot's errors, by the status that
they name, else by their kind and words."""

from __future__ import annotations

import re
import traceback
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from flowbot.fields import FlowBotError, InfrastructureError
from flowbot.fields.bounds import NAME, raised
from flowbot.fields.secrets import hide_text

from .http_faults import ErrorDetails, HttpFault, classify, retry_after_seconds, status_of
from .tap import tapping

_MISTAKES = (TypeError, AttributeError, NameError, LookupError, ImportError, AssertionError, NotImplementedError)
"""What code raises that is wrong, so that asking again is in vain."""
_STATUSES = ("status_code", "status", "code", "http_status")


@contextmanager
def foreign(where: str) -> Generator[None]:
    """Around a call of such a client: it is counted by whoever asks, so no tap may count it as well.

    Args:
        where: whose client it is, as errors name it.

    Raises:
        FlowBotError: for what it raises; see `fault_of`.
    """
    token = tapping.set(None)
    try:
        yield
    except Exception as error:
        raise fault_of(where, error) from None
    finally:
        tapping.reset(token)


def fault_of(where: str, error: Exception) -> FlowBotError:
    """The error to raise in its place.

    Args:
        where: whose client it is, as errors name it.
        error: as it raised it.

    Returns:
        an `HttpFault` where it names a status, or its words tell one; `InfrastructureError` else, which is fatal for a mistake in the
        code, with the file and line of it; an error of FlowBot's own as it is.
    """
    if isinstance(error, FlowBotError):
        return error
    said = raised(error)
    if isinstance(error, _MISTAKES):
        frames = traceback.extract_tb(error.__traceback__)
        place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
        return InfrastructureError(f"{where}: {hide_text(said)}{place}", fatal=True)
    answer: Any = getattr(error, "response", None)
    headers: Any = getattr(answer, "headers", None)
    own, codes = _status(error), [getattr(error, "code", None), getattr(error, "type", None)]
    if isinstance(answer, Mapping):  # botocore's
        given = cast("Mapping[str, Any]", answer)
        told = cast("dict[str, Any]", given.get("ResponseMetadata") or {})
        own, headers = _status(told, "HTTPStatusCode") or own, told.get("HTTPHeaders")
        codes.append(cast("dict[str, Any]", given.get("Error") or {}).get("Code"))
    code = " ".join([_words(type(error).__name__), *(_words(each) for each in codes if isinstance(each, str))])
    param: Any = getattr(error, "param", None)
    details = ErrorDetails(said, code[:NAME], param if isinstance(param, str) else "", own or _status(answer))
    if details.status is None and isinstance(error, OSError):
        kind = "timeout" if isinstance(error, TimeoutError) else "connection"
        return InfrastructureError(f"{where}: {hide_text(said)}", kind=kind)
    # Of 400 some say the kind in the code alone, as for what is throttled.
    named = status_of(ErrorDetails(said, details.code)) if details.status in (None, 400) else 0
    status = details.status or named
    if named == 429:
        status = named
    kind, fatal = classify(status, details.code)
    return HttpFault(
        f"{where}: {status}: {details.shown}",
        kind=kind,
        fatal=fatal,
        retry_after=retry_after_seconds(cast("Mapping[str, str]", headers)) if isinstance(headers, Mapping) else None,
        status=status,
        details=details,
    )


def _status(given: Any, *names: str) -> int | None:
    """The status that an object or a mapping names."""
    for name in names or _STATUSES:
        found: Any = cast("Any", given).get(name) if isinstance(given, dict) else getattr(given, name, None)
        if isinstance(found, int) and 400 <= found < 600:
            return int(found)
    return None


def _words(name: str) -> str:
    """`ThrottlingException` as `throttling_exception`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).casefold()
