"""What an endpoint means when it answers with an error: its status, what its body says, how long to wait."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, cast

from flowbot.fields import InfrastructureError
from flowbot.fields.bounds import NAME, bounded
from flowbot.fields.errors import FaultKind
from flowbot.fields.secrets import hide_text
from flowbot.fields.yaml_core import MAX_DEPTH, deeper

LONGEST_ASKED = 86_400.0
"""Seconds that an endpoint may sensibly ask to wait; more is taken for a mistake, as a moment sent for a duration is."""
_SAID = 400
_MOST_DIGITS = 400


class HttpFault(InfrastructureError):
    """The endpoint answered with an error. `status`, its own `said`, and the `code` and `param` it named."""

    def __init__(
        self,
        message: str,
        *,
        kind: FaultKind,
        fatal: bool,
        retry_after: float | None,
        status: int,
        said: str,
        code: str,
        param: str,
    ) -> None:
        super().__init__(message, kind=kind, fatal=fatal, retry_after=retry_after)
        self.status = status
        self.said = said
        self.code = code
        self.param = param


_NO_MONEY = {"insufficient_quota", "billing_not_active", "credit_balance_too_low"}


def classify(status: int, code: str = "") -> tuple[FaultKind, bool]:
    """The kind of fault that a status stands for, with the codes in the body, and whether trying again is in vain."""
    if status == 402 or _NO_MONEY & set(code.split()):
        return "rate_limit", True
    if status in (401, 403):
        return "auth", True
    if status == 404:
        return "not_found", True
    if status in (429, 498):  # 498: how Groq says that its flex tier has no capacity
        return "rate_limit", False
    if status == 408:
        return "timeout", False
    if status >= 500 or status in (409, 425):
        return "server", False
    if status < 200:
        return "garbage", False
    return "other", True


def what_is_said(text: str) -> tuple[str, str, str]:
    """What an error body says, and the code and the parameter it names; HTML as plain text."""
    found = json_object(text)
    if found is None:
        plain = re.sub(r"(?:<[^>]*>|\s)+", " ", text[: 20 * _SAID]).strip()
        return bounded(hide_text(plain)[:_SAID]) or "no text", "", ""
    error: Any = found.get("error", found)
    if not isinstance(error, dict):
        return bounded(hide_text(_as_text(error))[:_SAID]), "", ""
    given = cast("dict[str, Any]", error)
    message = given.get("message") or given.get("detail") or given.get("msg") or given
    said = _as_text(message)
    inner: Any = given.get("innererror")
    nested = cast("dict[str, Any]", inner).get("code") if isinstance(inner, dict) else None
    code = " ".join(bounded(_as_text(each), NAME) for each in (given.get("code"), given.get("type"), nested) if each)
    return bounded(hide_text(said)[:_SAID]), code, bounded(_as_text(given.get("param") or ""), NAME)


def status_in(found: Mapping[str, Any]) -> int:
    """The status in an error body that was sent with a status of success; 502 where it names none."""
    error: Any = found["error"]
    code: Any = cast("dict[str, Any]", error).get("code") if isinstance(error, dict) else None
    status = int(code) if isinstance(code, str) and re.fullmatch("[45][0-9][0-9]", code) else code
    return status if isinstance(status, int) and 400 <= status < 600 else 502


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """The wait that an answer's headers ask for, in seconds; None if they ask for none, or for nonsense."""
    asked = _number(headers.get("Retry-After-Ms"))
    if asked is not None:
        asked /= 1000
    else:
        text = headers.get("Retry-After")
        asked = _number(text)
        if asked is None and text is not None:
            asked = _until(text)
    return None if asked is None or asked > LONGEST_ASKED else max(0.0, asked)


def json_object(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is; None if it is none, or nests deeper than any answer does."""
    text = text.removeprefix("\ufeff")
    try:
        try:
            found = json.loads(text)
        except json.JSONDecodeError:
            return None
        except ValueError:  # more digits than Python reads
            found = json.loads(text, parse_int=_whole)
    except RecursionError:
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) and not deeper(found, MAX_DEPTH) else None


def _as_text(given: Any) -> str:
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)


def _whole(text: str) -> int | float:
    """A whole number; infinity for more digits than Python reads: a count that makes no sense must not cost the answer."""
    return int(text) if len(text) < _MOST_DIGITS else math.inf


def _number(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return None if value != value else value


def _until(text: str) -> float | None:
    """Seconds until an HTTP date."""
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
