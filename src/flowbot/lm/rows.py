"""The stored row of a response: checked when it is read, since a store may come from anywhere.

It holds the reply, or the error that stands for it, and all that the call took: the reply's own usage, and `besides` what
endpoints served and was not used (empty replies, answers of no use). `copy` says that a second sending was still under
way when the reply came; what that took stands in a row of its own, of kind `copy`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError

from flowbot.fields import ModelError, RefusedError, Usage
from flowbot.fields.foreign import Amount, Count, Record, Tokens, explain

from .client import Raw, Reply, ToolUse


class _CallRow(Record):
    name: str
    arguments: str


class _RawRow(Record):
    status: Annotated[int, Field(ge=200, le=599)]
    type: str
    body: str


class _ReplyRow(Record):
    text: str
    finish: Literal["stop", "length", "refusal"]
    usage: Tokens
    seconds: Amount
    model: str = ""
    estimated: bool = False
    calls: tuple[_CallRow, ...] | list[_CallRow] = ()
    ready: bool = False
    besides: Tokens | None = None
    thought: Count = 0
    tier: str = ""
    slip: str = ""
    raw: _RawRow | None = None
    copy_: Annotated[bool, Field(alias="copy")] = False


class _FailedRow(Record):
    failed: Literal["refused", "model"]
    text: str
    reply: str = ""
    besides: Tokens | None = None


class _TriesRow(Record):
    tries: Tokens


class _BatchRow(Record):
    model: str
    token: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    id: Annotated[str, Field(pattern=r"^[\w.:-]{0,200}$")]
    size: Count
    left: list[str]
    after: Annotated[str, Field(pattern=r"^[\w.:-]{0,200}$")] = ""
    again: bool = False


_MADE = ("usage", "calls", "besides", "raw", "copy_")
"""Members of a reply's row that are read into something else."""
_Model = TypeVar("_Model", bound=Record)


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row that was checked.

    Args:
        reply: what the model said, or the error that stands for it; None where there is no response yet.
        usage: what the reply itself took.
        besides: what tries before it took.
        copy: whether a second sending was under way when it was stored.
    """

    reply: Reply | RefusedError | ModelError | None
    usage: Usage
    besides: Usage | None
    copy: bool = False

    def answer(self) -> Reply:
        """The reply.

        Raises:
            RefusedError, ModelError: if one of them stands for it.
            ValueError: if there is no response yet.
        """
        if isinstance(self.reply, Exception):
            raise self.reply
        if self.reply is None:
            raise ValueError("there is no response yet")
        return self.reply


def read_row(value: Any) -> StoredRow:
    """A row as it is stored.

    Raises:
        ValueError: in a line, what is wrong in it.
    """
    if isinstance(value, dict) and "tries" in value:
        return StoredRow(None, Usage(), _usage(_checked(_TriesRow, value).tries))
    if isinstance(value, dict) and "failed" in value:
        given = _checked(_FailedRow, value)
        refused = given.failed == "refused"
        error = RefusedError(given.text) if refused else ModelError(given.text, reply=given.reply)
        return StoredRow(error, Usage(calls=1), _usage(given.besides))
    row = _checked(_ReplyRow, value)
    reply = _reply(row)
    return StoredRow(reply, reply.usage, reply.besides, row.copy_)


def check_value(kind: str, value: Any) -> None:
    """Look at a stored value of a kind; those that are no model's are let pass.

    Raises:
        ValueError: in a line, what is wrong in it.
    """
    try:
        if kind in ("lm", "tries"):
            if (read_row(value).reply is None) != (kind == "tries"):
                raise ValueError("it is of another kind")
        elif kind == "batch":
            read_batch(value)
        elif kind == "copy":
            read_usage(value)
    except ValueError as error:
        raise ValueError(f"it is not a model's reply ({error})") from None


def read_reply(value: Any) -> Reply:
    """A reply from what `Reply.dump` gave.

    Raises:
        ValueError: in a line, what is wrong in it.
    """
    return _reply(_checked(_ReplyRow, value))


def read_usage(value: Any) -> Usage:
    """A usage from what `client.members` gave of one.

    Raises:
        ValueError: in a line, what is wrong in it.
    """
    return Usage(**_checked(Tokens, value).__dict__)


def read_batch(value: Any) -> dict[str, Any]:
    """The record of a batch: who answers, our token, the provider's id ("" until it is known), how many entries it has, the keys of
    those that are not stored yet, the provider's newest batch before it, and whether its entries were in one before in vain.

    Raises:
        ValueError: in a line, what is wrong in it.
    """
    return dict(_checked(_BatchRow, value).__dict__)


def _reply(row: _ReplyRow) -> Reply:
    calls = tuple(ToolUse(each.name, each.arguments) for each in row.calls)
    raw = None if row.raw is None else Raw(**row.raw.__dict__)
    plain = {name: value for name, value in row.__dict__.items() if name not in _MADE}
    return Reply(usage=Usage(**row.usage.__dict__), calls=calls, besides=_usage(row.besides), raw=raw, **plain)


def _usage(row: Tokens | None) -> Usage | None:
    return None if row is None else Usage(**row.__dict__)


def _checked(kind: type[_Model], value: Any) -> _Model:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        member, found, expected = explain(error)
        raise ValueError(f"{member}: found {found}; expected {expected}" if member else f"found {found}") from None
