"""From a reply to values: read JSON, mend it, fit it to the fields' types, or ask again with the error."""

from __future__ import annotations

import json
import string
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NoReturn, cast

from flowbot.fields import Field, ModelError, Type, ValueMismatch, fields_schema
from flowbot.fields.yaml_core import MAX_DEPTH, deeper

from .calls_in_text import split_calls
from .client import Message, Reply, Request
from .mending import mended, unfenced
from .thinking import with_higher_limit
from .thoughts import without_thought

_SHOWN = 2000
"""Characters of an unusable reply that are shown to the model again."""
_NOTHING = "(nothing)"
"""Of a reply that the endpoint did not let through; an empty message some endpoints refuse."""
Reader = Callable[[str, Sequence[Field]], dict[str, Any]]
"""From a reply's text to values by field name; raises `ValueMismatch` where there are none."""
_AROUND = string.whitespace + "*_`\"'.,:;!\u00a0\u2018\u2019\u201c\u201d\u3002"
"""Marks that stand around a label without being part of it."""
_SAID = {"yes": True, "no": False, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Answer:
    """Values that fit their fields, and what it took.

    Args:
        values: by field name.
        replies: every reply, the unusable ones before it included.
        request: the request whose reply was of use.
    """

    values: dict[str, Any]
    replies: tuple[Reply, ...]
    request: Request


class AnswerError(ModelError):
    """No reply was of use. `replies` are all that came, `request` is the last one asked; `reply` the last text."""

    def __init__(self, message: str, *, replies: tuple[Reply, ...], request: Request) -> None:
        super().__init__(message, reply=replies[-1].text if replies else "")
        self.replies = replies
        self.request = request


async def ask_fields(
    ask: Callable[[Request], Awaitable[Reply]],
    request: Request,
    fields: Sequence[Field],
    *,
    retries: int,
    reader: Reader | None = None,
) -> Answer:
    """See `LM.ask_fields`; `ask` gives the reply to a request."""
    plain = len(fields) == 1 and fields[0].type.kind == "str" and not request.own_words
    lone = len(fields) == 1 and request.own_words
    if (schema := reply_schema(fields, own_words=request.own_words)) is not None:
        request = replace(request, schema=schema)
    retries = 0 if request.own_words else retries
    replies: list[Reply] = []
    asked_again, roomier = 0, False
    while True:
        try:
            reply = await ask(request)
        except ModelError as error:
            raise AnswerError(str(error), replies=tuple(replies), request=request) from None
        replies.append(reply)
        text = without_thought(reply.text)
        if not text and _is_cut(reply, request) and not roomier:
            roomier = True
            request = with_higher_limit(request, reply)
            continue
        try:
            if plain or lone:
                text = _plain(reply, text, request)
            if plain:
                return Answer({fields[0].name: text}, tuple(replies), request)
            in_text = partial(read_lone, whole=not _is_cut(reply, request))
            read = reader or (in_text if lone else read_values)
            return Answer(read(text, fields), tuple(replies), request)
        except ValueMismatch as error:
            fault = str(error)
        if reply.slip and reply.slip not in fault:
            fault += f" ({reply.slip})"
        if reply.finish == "refusal":
            raise AnswerError(f"the model refused: {refusal_text(text)}", replies=tuple(replies), request=request)
        if _is_cut(reply, request):
            # The same question would be cut at the same place again.
            cut = f"the reply was cut at {request.max_tokens} tokens; {fault}"
            raise AnswerError(cut, replies=tuple(replies), request=request)
        if asked_again == retries:
            raise AnswerError(fault, replies=tuple(replies), request=request)
        asked_again += 1
        request = _with_error(request, reply, fault, fields)


def reply_schema(fields: Sequence[Field], *, own_words: bool = False) -> Mapping[str, Any] | None:
    """The schema of the reply that asks for these; None where it is plain text.

    A single text is asked for as it is. A user's own prompt knows of no object around its only value, and most ask for no JSON.
    """
    if len(fields) > 1 or not (own_words or fields[0].type.kind == "str"):
        return fields_schema(fields)
    return fields[0].type.json_schema() if fields[0].type.kind == "object" else None


def read_values(text: str, fields: Sequence[Field]) -> dict[str, Any]:
    """The values in a reply's text: JSON, if need be mended or dug out of other text, each fitted to its type.

    Raises:
        ValueMismatch: if there are none; says which, what was found and what was expected.
    """
    body = unfenced(text)
    try:
        return _fit(json.loads(body, parse_constant=_no_constant), fields)
    except (ValueMismatch, ValueError, RecursionError) as error:
        first = error
    try:
        return _fit(_mended(body), fields)
    except ValueMismatch as error:
        # Of what is JSON already its own fault is the clearer one.
        raise (first if isinstance(first, ValueMismatch) else error) from None


def read_lone(text: str, fields: Sequence[Field], *, whole: bool = True) -> dict[str, Any]:
    """The only value in a reply to a prompt of the user's own: the text itself, or JSON that names it.

    A label is compared apart from case and the marks around it, a number is the last one in the text: as the metrics do.

    Args:
        text: the reply's.
        fields: the only one.
        whole: the text was not cut; in one that was, the last number is not the answer.

    Raises:
        ValueMismatch: if there is none; says what was found and what was expected.
    """
    (field,) = fields
    if field.type.kind in ("list", "object"):
        return read_values(text, fields)
    if text[0] in "{`" and f'"{field.name}"' in text:
        with suppress(ValueMismatch):
            return read_values(text, fields)
    try:
        return {field.name: field.type.coerce(text, field.name)}
    except ValueMismatch as error:
        found = _meant(text, field.type) if whole else None
        if found is None:
            raise error from None
        return {field.name: field.type.coerce(found, field.name)}


def _meant(text: str, kind: Type) -> Any:
    """The value of a plain type that a text of some more letters means; None if that cannot be told."""
    if kind.kind in ("int", "float"):
        from flowbot.task.numerals import number_in

        return number_in(text)
    options = {option: option for option in kind.options} if kind.kind == "literal" else _SAID
    for marks in (_AROUND, _AROUND + string.punctuation):
        bare = text.strip(marks).casefold()
        found = {value for option, value in options.items() if option.strip(marks).casefold() == bare}
        if len(found) == 1:
            return found.pop()
    return None


def refusal_text(text: str) -> str:
    """What a refusal says; some endpoints send none with what they filter."""
    return text[:200] or "its reply was filtered"


def _plain(reply: Reply, text: str, request: Request) -> str:
    if reply.slip:
        raise ValueMismatch(reply.slip)
    if reply.finish == "refusal" or not text:
        raise ValueMismatch("the reply is empty")
    if request.tools and split_calls(reply.text, request.tools)[1]:
        raise ValueMismatch("the reply calls a tool, and no calls are left")
    return text


def _is_cut(reply: Reply, request: Request) -> bool:
    return reply.finish == "length" or reply.usage.output_tokens >= request.max_tokens


def _fit(found: Any, fields: Sequence[Field]) -> dict[str, Any]:
    # Models put an object in a list, and repair gives a list for several objects: the last is the answer.
    if isinstance(found, list) and not (len(fields) == 1 and fields[0].type.kind == "list"):
        found = _last_object(cast("list[Any]", found))
    if deeper(found, MAX_DEPTH):
        raise ValueMismatch(f"the reply is nested deeper than {MAX_DEPTH}")
    if isinstance(found, dict):
        given = cast("dict[str, Any]", found)
        missing = [field.name for field in fields if field.name not in given]
        if not missing:
            return {field.name: field.type.coerce(given[field.name], field.name) for field in fields}
        if len(fields) > 1 or fields[0].type.kind != "object":
            raise ValueMismatch(f"{', '.join(missing)} is missing; expected a JSON object with {_names(fields)}")
    if len(fields) == 1:
        return {fields[0].name: fields[0].type.coerce(found, fields[0].name)}
    raise ValueMismatch(f"found {json.dumps(found)[:60]}; expected a JSON object with {_names(fields)}")


def _last_object(found: list[Any]) -> Any:
    return next((cast("dict[str, Any]", each) for each in reversed(found) if isinstance(each, dict)), found)


def _mended(body: str) -> Any:
    found = mended(body)
    if found == "":
        raise ValueMismatch(f"found {body.strip()[:60]!r}; expected JSON")
    return found


def _with_error(request: Request, reply: Reply, fault: str, fields: Sequence[Field]) -> Request:
    last = request.messages[-1]
    if last.role == "user" and len(request.messages) > 2 and last.content.startswith("That reply is of no use"):
        request = replace(request, messages=request.messages[:-2])
    wanted = f"Reply with one JSON object with {_names(fields)} and nothing else." if request.schema else "Reply again."
    return replace(
        request,
        messages=(
            *request.messages,
            Message("assistant", reply.text[:_SHOWN] or (_NOTHING if reply.slip else "")),
            Message("user", f"That reply is of no use: {fault}. {wanted}"),
        ),
    )


def _names(fields: Sequence[Field]) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in fields)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
