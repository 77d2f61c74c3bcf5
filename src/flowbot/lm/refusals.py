"""What an endpoint means by refusing a request, read from its words: policy, length, or what the model itself wrote.

Servers have words of their own for each, so what is looked for is how such a sentence is built, and not a list of sentences.
Where the words say nothing about the length, `shortened` gives the request to try: see `OpenAIClient`.
"""

from __future__ import annotations

import re
from dataclasses import replace

from flowbot.fields import ModelError, RefusedError

from .capabilities import CALL_EXTRAS, LEAST_TOKENS, Capabilities, names_system
from .client import TOO_LONG, Request, request_bytes
from .http_faults import HttpFault

_POLICY = re.compile(
    r"content_filter|content filtering|content_policy|content management policy|content violates|content exists risk"
    r"|responsibleai|moderation|usage[_ ](?:polic|guidelines)|data_inspection_failed|prohibited_content|safety_check"
)

_ROOM = re.compile(
    r"context_length_exceeded|exceed_context_size|context_exceeded|string_above_max_length|request_too_large"
    # whatever is said of the room in a refusal is that it does not suffice
    r"|context (?:length|window|size|limit)|model token limit|max(?:imum)?[_ ](?:model[_ ]len|seq(?:uence)?[_ ]len)"
    r"|max(?:imum)?(?: allowed)? (?:prompt|input) (?:length|size)|range of input length"
)
_TOO_LONG = re.compile(
    # the request is too long, or longer than something
    r"\b(?:prompt|inputs?|requests?|messages?|conversation|sequence|chat|query)\b.{0,80}?"
    r"(?:\btoo (?:long|large|big|many tokens)|\bexceed|\b(?:longer|greater|larger|more) than\b.{0,60}\b(?:tokens?|max\w*|length))"
    # it has too many tokens
    r"|\btokens?\b.{0,60}\bexceed|\bexceed\w*\b.{0,60}\btokens?\b|\btoo many (?:\w+ )?tokens"
    r"|\btokens?\b.{0,60}\bmust (?:be|have) (?:<|less|fewer|at most)|must have (?:less|fewer) than \d+ tokens"
    r"|reduce (?:the length|the number of messages|(?:your|the) (?:prompt|messages?|input))",
    re.DOTALL,
)
_OF_THE_REPLY = re.compile(r"max_\w*tokens|(?:completion|output) tokens")
_OF_THE_REQUEST = re.compile(r"\b(?:input|prompt|context|messages?)\b|total")
_OF_SOMETHING_ELSE = re.compile(
    r"\bper (?:second|minute|day|month)\b|\bquota\b|rate.?limit|\btime\b|timed? ?out|\bseconds\b"
)
_WHOLE = re.compile(r"(?<![\w.-])(?:\d{1,3}(?:,\d{3})+|\d{1,9})(?!\w|[.,]\d)")
_FAR_TOO_LARGE = re.compile(r"request too large for")
"""How limits of tokens a minute refuse what is more than a whole minute's: no waiting helps."""

_SLIP_CODES = ("json_validate_failed", "tool_use_failed", "tool_call_failed", "malformed_function_call")
_SLIP = re.compile(
    r"failed_generation|tool call validation failed|failed to call a function|failed to (?:generate|validate) (?:valid )?json"
    r"|attempted to call tool|model called a tool|error parsing tool call|failed to parse (?:\w+ at pos|tool call)\b"
    r"|could not parse (?:the )?(?:tool|function) call|malformed (?:function|tool)[ _]call|model produced invalid"
)
_WRITTEN = (
    re.compile(r"raw='(.*)', err=", re.DOTALL),
    re.compile(r"[Ff]ailed to parse \w+ at pos \d+: (.*)", re.DOTALL),
)
"""Where servers quote what the model wrote."""

LONG = 4000
"""Bytes of a request that a small context may not hold; shorter ones fit in every one."""
_FAR = 4
"""How many times as long as another a request is that is far longer."""
_KEPT = 200
"""Characters of each message that a shortened request keeps."""


_NO_TOOLS = re.compile(r"--jinja|param\w*: tools|tools param")
"""How llama.cpp's server says, with status 500, that it was not started for tools."""
_BAD_SCHEMA = re.compile(
    r"invalid\b.{0,20}\bschema|schema\b.{0,20}\binvalid|schema contains|(?:grammar|schema) is too (?:large|complex)"
    r"|unimplemented keys"
)
_SUPPORT = re.compile(r"support|unknown|unrecogni|permit|allow|require|enable|available|extra|unexpected|param")
"""Words of a refusal that speaks of the endpoint, and not of this one request."""
_NO_GRAMMAR = re.compile(r"grammar|json[_ ]schema")
_MOST_STEPS = 8
"""Parameters that are given up for one request; an endpoint that refuses whatever is tried must not go on for ever."""


class Refusals:
    """The refusals of one request, and what is given up after each.

    Nothing here depends on other requests: what an answer counts as must not depend on which others have come.

    Args:
        known: what it is first sent with.
        calls: whether the request offers tools or tells of calls.
    """

    def __init__(self, known: Capabilities, *, calls: bool) -> None:
        self.base = known
        """What is left without all that was named, until a refusal named nothing."""
        self._calls = calls
        self._steps = 0
        self._puzzling: HttpFault | None = None
        self.of_schema = False
        """Whether one was of this very schema, which says nothing about the next."""
        self.of_length = False
        """Whether one was of this request's length with the reply's ceiling: another has another room left."""
        self.of_endpoint: set[str] = set()
        """Names of `Capabilities` that hold for every request although some went through: what an endpoint wants back with
        calls, it wants from the second round on."""

        self.doubtful = False
        """Whether tool calls were given up after one that may have been of this one request."""

    @property
    def puzzling(self) -> bool:
        """Whether one named nothing: what helped is known once the request has gone through."""
        return self._puzzling is not None

    def without_named(self, fault: HttpFault, asked: Request, used: Capabilities) -> Capabilities | None:
        """What is left without what the refusal names; None if it names nothing that could be given up.

        Raises:
            HttpFault: if it is no refusal, or one too many.
            RefusedError: if the request is refused on policy grounds.
            ModelError: if it is too long.
        """
        if is_policy(fault):
            raise RefusedError(f"refused on policy grounds: {fault.details.shown}") from None
        room = reply_tokens_left(fault, min(asked.max_tokens, used.most_tokens or asked.max_tokens))
        if room is not None and self._steps < _MOST_STEPS:
            self._steps += 1
            self.of_length = True
            return replace(used, most_tokens=room)
        if is_too_long(fault):
            raise ModelError(f"{TOO_LONG}: {fault.details.shown}") from None
        said = fault.details.words
        # A system message is made for the schema where it has to be said in words.
        system = asked.schema is not None or any(message.role == "system" for message in asked.messages)
        refused = fault.status in (400, 404, 413, 422, 501)
        if fault.status == 500:  # what some servers answer where a chat template fails, or a schema cannot be compiled
            refused = (
                (self._calls and _NO_TOOLS.search(said) is not None)
                or (system and names_system(said))
                or (asked.schema is not None and _NO_GRAMMAR.search(said) is not None)
            )
        self._steps += 1
        if not refused or self._steps > _MOST_STEPS:
            raise fault
        self.of_schema |= _BAD_SCHEMA.search(said) is not None
        if any(word in said for word in CALL_EXTRAS):
            self.of_endpoint.add("tools")
        named = f"{fault.details.param} {fault.details.text}"
        left = used.without(named, calls=self._calls, system=system, ceiling=asked.max_tokens, extra=tuple(asked.extra))
        if left is None and fault.status in (404, 501):
            raise fault
        if left is not None and left.tools != used.tools and not self.of_endpoint:
            self.doubtful |= _SUPPORT.search(said) is None
        return left

    def without_unnamed(self, fault: HttpFault, asked: Request, used: Capabilities) -> Capabilities:
        """What is left to try after a refusal that names nothing.

        Raises:
            HttpFault: the first of that kind, if nothing is.
        """
        self._puzzling = self._puzzling or fault
        system = any(message.role == "system" for message in asked.messages)
        left = used.without_unnamed(calls=self._calls, schema=asked.schema is not None, system=system)
        if left is None or fault.status == 413:
            raise self._puzzling
        self.doubtful |= left.tools != used.tools
        return left


def is_policy(fault: HttpFault) -> bool:
    """Whether a request is refused for what it asks about."""
    return fault.status in (400, 403, 422, 451) and _POLICY.search(fault.details.words) is not None


def is_too_long(fault: HttpFault) -> bool:
    """Whether a request is refused for its length, in whatever words."""
    said = fault.details.words
    if fault.status == 429:
        return _FAR_TOO_LARGE.search(said) is not None
    if fault.status not in (400, 413, 422, 500):
        return False
    if _FAR_TOO_LARGE.search(said):
        return True
    if _OF_SOMETHING_ELSE.search(said) or (_OF_THE_REPLY.search(said) and not _OF_THE_REQUEST.search(said)):
        return False
    # A server that fails may say "exceeded" of much.
    return _ROOM.search(said) is not None or (fault.status < 500 and _TOO_LONG.search(said) is not None)


def reply_tokens_left(fault: HttpFault, ceiling: int) -> int | None:
    """The tokens of a reply that a context has room for, where a request is refused because its ceiling is above that.

    Such a refusal names the ceiling, what the messages take and what there is, and often the sum. A request is too long only if
    the messages alone leave no room: what a model that thinks is given room for is far more than its answer.
    """
    said = fault.details.words
    if fault.status not in (400, 413, 422) or "token" not in said or _OF_SOMETHING_ELSE.search(said):
        return None
    named = {int(each.replace(",", "")) for each in _WHOLE.findall(fault.details.text)}
    if ceiling not in named:
        return None
    others = named - {ceiling}
    others -= {taken + ceiling for taken in others}
    if len(others) != 2:
        return None
    taken, whole = sorted(others)
    return whole - taken if LEAST_TOKENS <= whole - taken < ceiling else None


def slip_in(fault: HttpFault) -> str | None:
    """What the model wrote, where the endpoint refuses that and not the request; "" where it does not show it; else None."""
    details = fault.details
    if fault.status not in (400, 422, 424, 500):
        return None
    named = any(code in details.code.casefold() for code in _SLIP_CODES)
    if details.generated is None and not named and not _SLIP.search(details.words):
        return None
    if details.generated is not None:
        return details.generated
    return next((found[1] for pattern in _WRITTEN if (found := pattern.search(details.text))), "")


def shortened(request: Request) -> Request | None:
    """The same request with the beginnings of its messages alone; None if it is not far longer than that.

    All else stays as it is, the ceiling of the reply too: where this one goes through, the length was the reason.
    """
    short = tuple(replace(message, content=message.content[:_KEPT]) for message in request.messages)
    cut = replace(request, messages=short)
    whole = request_bytes(replace(request, schema=None))
    return cut if whole > LONG and whole > _FAR * request_bytes(replace(cut, schema=None)) else None
