"""Traces that come from elsewhere, a file or a worker: checked before they are believed."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import GetPydanticSchema, Strict, ValidationError, ValidatorFunctionWrapHandler
from pydantic_core.core_schema import no_info_wrap_validator_function

from flowbot.fields.foreign import Amount, Record, Tokens, explain

from .trace import Step, Trace


class _Exact(Record, extra="forbid"):
    """What becomes an object of the same members."""


class _Use(_Exact):
    name: str
    arguments: str


class _Message(Record):
    role: Literal["system", "user", "assistant", "tool"]
    content: str
    calls: Annotated[tuple[_Use, ...], Strict(False)] = ()


class _Usage(Tokens, _Exact):
    pass


class _Call(_Exact):
    tool: str
    arguments: dict[str, Any]
    result: dict[str, Any] | None
    error: str = ""
    seconds: Amount = 0.0


_Edge: TypeAlias = Annotated[tuple[str, str, str], Strict(False)]


class _Step(Record):
    address: str
    kind: str
    inputs: dict[str, Any]
    outputs: dict[str, Any] | None
    error: str
    messages: list[_Message]
    reply: str
    usage: _Usage
    seconds: Amount
    reads: list[str]
    note: str
    calls: list[_Call]
    texts: Annotated[tuple[str, ...], Strict(False)] = ()
    edges: Annotated[tuple[_Edge, ...], Strict(False)] = ()
    function: str = ""


class _Steps(Record):
    steps: list[_Step]


class _Trace(Record):
    example: str
    inputs: dict[str, Any]
    steps: list[_Step]
    outputs: dict[str, Any] | None
    error: str
    seconds: Amount


def _loaded(value: object, check: ValidatorFunctionWrapHandler) -> Trace:
    return value if isinstance(value, Trace) else Trace.load(check(value).model_dump())


CheckedTrace: TypeAlias = Annotated[
    Trace, GetPydanticSchema(lambda _, schema: no_info_wrap_validator_function(_loaded, schema(_Trace)))
]
"""A trace, from what `Trace.dump` gave."""


def read_steps(value: object) -> tuple[Step, ...]:
    """Steps from what `Step.dump` gave of each.

    Raises:
        ValueError: in a line, what is wrong in them.
    """
    try:
        found = _Steps.model_validate({"steps": value}).steps
    except ValidationError as error:
        member, found, expected = explain(error)
        raise ValueError(f"{member}: found {found}; expected {expected}") from None
    return tuple(Step.load(each.model_dump()) for each in found)
