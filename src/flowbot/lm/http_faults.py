"""What an endpoint means when it answers with an error: its status, what its body says, how long to wait."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
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
_SHOWN = 400
_LOOKED_AT = 20 * _SHOWN
"""Characters of an error's text that are looked at."""
_MOST_DIGITS = 400
_DEEPEST = 4
"""Errors within errors that are looked into, as gateways put them."""


@dataclass(frozen=True, slots=True, repr=False)
class ErrorDetails:
    """What an error says, as it was received. It is decided upon; what is shown of it is redacted first.

    A key that is a word of ordinary text, masked before, would make an error say something else.

    Args:
        text: its own words.
        code: the codes and types it names.
        param: the parameter it names.
        status: the status it names, None if it names none.
        generated: what the model wrote, where that is what the endpoint refuses.
    """

    text: str
    code: str = ""
    param: str = ""
    status: int | None = None
    generated: str | None = None

    @property
    def words(self) -> str:
        """Codes and text, in small letters."""
        return f"{self.code} {self.text[:_LOOKED_AT]}".casefold()

    @property
    def shown(self) -> str:
        """The text as it may be shown."""
        return bounded(hide_text(self.text[:_LOOKED_AT])[:_SHOWN]) or "no text"


class HttpFault(InfrastructureError):
    """The endpoint answered with an error.

    Args:
        message: as for every fault.
        details: what the error says.
        status: of the answer, or the one that an error within a success names.
        answer: the answer of a success that the error stood in; None where nothing was served.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: FaultKind,
        fatal: bool,
        retry_after: float | None,
        status: int,
        details: ErrorDetails,
        answer: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, kind=kind, fatal=fatal, retry_after=retry_after)
        self.status = status
        self.details = details
        self.answer = answer


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


def read_error(text: str) -> ErrorDetails:
    """What an error's body says; HTML as plain text."""
    found = json_object(text, listed=True)
    if found is None:
        return ErrorDetails(re.sub(r"(?:<[^>]*>|\s)+", " ", text[:_LOOKED_AT]).strip())
    return _details(found, found.get("error") or found.get("errors"))


def fault_in(answer: Mapping[str, Any]) -> ErrorDetails | None:
    """The fault that an answer with a status of success tells of; None if it is sound.

    An error stands in the body or in the choice, alone, beside a choice, or beside the half text that was written before it;
    some servers name it in the reason why the text ended, and nowhere else.
    """
    error: Any = answer.get("error") or answer.get("errors") or ("base_resp" in answer and _own_report(answer))
    if error and _is_error(error):
        return _details(answer, error)
    choices: Any = answer.get("choices")
    if not choices:
        said = any(isinstance(answer.get(name), str) and answer[name] for name in _MESSAGES)
        return _details(answer, None) if said else None
    choice: Any = cast("list[Any]", choices)[0] if isinstance(choices, list) else None
    if not isinstance(choice, dict):
        return None
    given = cast("dict[str, Any]", choice)
    if (error := given.get("error")) and _is_error(error):
        return _details(given, error)
    ended = given.get("finish_reason")
    if ended != "stop" and isinstance(ended, str) and _BROKEN_OFF.fullmatch(ended):
        return ErrorDetails(f"the endpoint broke off ({ended})", ended)
    return None


def status_of(details: ErrorDetails) -> int:
    """The status of an error that was sent with a status of success: its own, else by its words; 502 where they say nothing."""
    if details.status is not None:
        return details.status
    code = details.code.casefold()
    by_code = (status for pattern, status in _BY_CODE if re.search(pattern, code))
    return next(by_code, next((status for pattern, status in _BY_TEXT if re.search(pattern, details.words)), 502))


_MESSAGES = ("message", "detail", "msg", "error_message", "error_msg", "status_msg", "description")
_STATUSES = ("code", "status", "status_code", "http_status", "error_code")
_CODES = ("code", "type", "status", "error_type")
_BROKEN_OFF = re.compile(
    r"(?!error_(?:limit|toxic))\w*error\w*|insufficient_system_resource|abort(?:ed)?|failed", re.IGNORECASE
)
"""In a choice's reason; `error_limit` and `error_toxic` say that a text was cut, or filtered."""
_NAMED = re.compile(r"\b(?:error code|status code|status|http)\W{1,3}([45][0-9][0-9])\b", re.IGNORECASE)
_BY_CODE = (
    (r"quota|billing|credit|payment|balance", 402),
    (r"api_?key|auth|permission|forbidden", 401),
    (r"not_?found|unknown_model", 404),
    (r"rate_?limit|too_many_requests|throttl|resource_exhausted", 429),
    (r"time_?d?_?out|deadline", 408),
    (r"context_length|too_long|invalid|bad_?request|content_filter|content_policy|moderation|_failed", 400),
)
_BY_TEXT = (
    (r"insufficient (?:credit|balance|quota|fund)|credit balance|no credits", 402),
    (
        r"(?:invalid|incorrect|missing|wrong|no) (?:api.?key|auth|credential|token)|api key (?:not valid|is invalid)|unauthori[sz]ed",
        401,
    ),
    (r"rate.?limit|too many requests", 429),
)


def _is_error(given: Any) -> bool:
    """Whether it tells of an error. Some servers send an error without content beside every answer."""
    if isinstance(given, dict):
        return any(cast("dict[str, Any]", given).values())
    return bool(given)


def _own_report(answer: Mapping[str, Any]) -> Any:
    """The report that MiniMax sends with every answer, where its number is not the one of success."""
    report: Any = answer.get("base_resp")
    return report if _member(report, "status_code") else None


def _details(body: Mapping[str, Any], error: Any, depth: int = 0) -> ErrorDetails:
    """What an error says: an object, a text (which may be JSON again), or a list of either; else the body is the error."""
    if isinstance(error, list) and error:
        error = cast("list[Any]", error)[0]
    if isinstance(error, str):
        inner = json_object(error, listed=True) if depth < _DEEPEST and error.lstrip()[:1] in ("{", "[") else None
        if inner is None:
            named = _NAMED.search(error[:_LOOKED_AT])
            return ErrorDetails(error, _codes(body), status=_status(body) or (int(named[1]) if named else None))
        return _details(inner, inner.get("error"), depth + 1)
    given = cast("Mapping[str, Any]", error) if isinstance(error, dict) else body
    message: Any = next((given[name] for name in _MESSAGES if given.get(name)), given)
    said = _of_members(cast("list[Any]", message)) if isinstance(message, list) else _as_text(message)
    code, param, status = _codes(given), _as_text(given.get("param") or ""), _status(given) or _status(body)
    generated: Any = given.get("failed_generation")
    raw = _member(given.get("metadata"), "raw")  # what the provider behind a gateway said
    if raw and depth < _DEEPEST:
        behind = _details({}, raw if isinstance(raw, (str, list)) else _member(raw, "error") or raw, depth + 1)
        said, code, param = f"{said}: {behind.text}", f"{code} {behind.code}".strip(), param or behind.param
        generated = behind.generated if generated is None else generated
    return ErrorDetails(said, code, param, status, None if generated is None else _as_text(generated))


def _of_members(listed: list[Any]) -> str:
    """What is said of each member of a request, without what it holds: the words of a prompt must decide nothing."""
    return "; ".join(
        " ".join([*map(str, cast("list[Any]", _member(each, "loc") or [])), str(_member(each, "msg"))])
        if _member(each, "msg")
        else _as_text(each)
        for each in listed
    )


def _codes(given: Mapping[str, Any]) -> str:
    """The codes and types that an error names, as words."""
    named = [*(given.get(name) for name in _CODES), _member(given.get("innererror"), "code")]
    return " ".join(dict.fromkeys(_as_text(each)[:NAME] for each in named if each))


def _status(given: Mapping[str, Any]) -> int | None:
    for name in _STATUSES:
        value: Any = given.get(name)
        number = int(value) if isinstance(value, str) and re.fullmatch("[45][0-9][0-9]", value) else value
        if isinstance(number, int) and 400 <= number < 600:
            return number
    return None


def _member(given: Any, name: str) -> Any:
    return cast("Mapping[str, Any]", given).get(name) if isinstance(given, dict) else None


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


def json_object(text: str, *, listed: bool = False) -> dict[str, Any] | None:
    """The JSON object that a text is; None if it is none, or nests deeper than any answer does.

    Args:
        text: the text.
        listed: take the first object of a list too: so some endpoints send their errors.
    """
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
    if listed and isinstance(found, list) and found:
        found = cast("list[Any]", found)[0]
    if not isinstance(found, dict):
        return None
    deep = text.count("[") + text.count("{") > MAX_DEPTH and deeper(found, MAX_DEPTH)  # to count costs next to nothing
    return None if deep else cast("dict[str, Any]", found)


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
