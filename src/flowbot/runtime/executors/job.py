"""A call, and what its function raised, as plain data: another process or machine can run the one and send the other.

{"kind": "metric", "name": "score", "seconds": null,
 "function": {"name": "score", "module": "", "file": "/home/me/task/metrics.py", "sha256": "…"},
 "arguments": {"outputs": {},
               "example": {"id": "e1", "inputs": {}, "expected": {}, "group": "", "extra": {}, "feedback": ""}}}
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, cast

from flowbot.fields import InfrastructureError, StepError, UserError
from flowbot.fields.bounds import bounded, error_text
from flowbot.task import Example, MetricError

from .child import Lost
from .protocol import Address, Call, FunctionError, Kind, Outcome, Unsendable

_DEPTH = 100
_INT_BITS = 4096
_TRACEBACK = 20_000
_FACTS: dict[type[Exception], tuple[str, ...]] = {
    MetricError: ("message", "metric", "example"),
    StepError: ("message",),
    UserError: ("where", "what", "mend"),
    InfrastructureError: ("message", "kind", "fatal", "retry_after"),
    FunctionError: ("type_name", "text"),
}
"""By what FlowBot tells one error from another: the arguments that make each again."""


@dataclass(frozen=True)
class Job:
    """A call as plain data.

    Args:
        kind: how the function is called.
        name: the tool's, metric's or program's name, for people.
        function: where the function is.
        arguments: JSON data, by name.
        seconds: how long it may take, from when the function begins; None: as long as it likes.
        environment: as of `Call`.
    """

    kind: Kind
    name: str
    function: Address
    arguments: Mapping[str, Any]
    seconds: float | None
    environment: Mapping[str, str | None] = field(default_factory=dict[str, "str | None"])

    @staticmethod
    def of(call: Call, function: Address) -> Job:
        """The job of a call.

        Raises:
            Unsendable: if an argument is not what would come back from JSON.
        """
        given = dict(call.arguments)
        if isinstance(example := given.get("example"), Example) and call.kind == "metric":
            facts: dict[str, Any] = {each.name: getattr(example, each.name) for each in fields(example)}
            mappings = {name: dict(facts[name]) for name in ("inputs", "expected", "extra")}
            given["example"] = {**facts, **mappings}
        if not is_plain(given):
            raise Unsendable("an argument is no JSON data")
        return Job(call.kind, call.name, function, given, call.seconds, dict(call.environment))

    @staticmethod
    def load(data: Mapping[str, Any]) -> Job:
        """The job that `dump` gave."""
        facts: dict[str, Any] = {**data, "function": Address(**data["function"])}
        return Job(**facts)

    def dump(self) -> dict[str, Any]:
        """As JSON data."""
        return {**vars(self), "function": vars(self.function)}

    def call(self, function: Callable[..., Any]) -> Call:
        """The call to make where the job is run."""
        given = dict(self.arguments)
        if self.kind == "metric":
            given["example"] = Example(**given["example"])
        return Call(self.kind, self.name, function, given, self.seconds)


def reply_of(outcome: Outcome) -> dict[str, Any]:
    """What came of a job, as data."""
    if isinstance(outcome.error, TimeoutError):
        return {"late": True, "seconds": outcome.seconds}
    said = {"value": outcome.value} if outcome.error is None else {"error": described(outcome.error)}
    return {**said, "seconds": outcome.seconds}


def outcome_of(reply: Mapping[str, Any]) -> Outcome:
    """What came of a job, from what `reply_of` gave, or from the reason why nothing did.

    Raises:
        Unsendable: `{"cannot": why}`.
        Lost: `{"lost": how}`.
    """
    if "cannot" in reply:
        raise Unsendable(reply["cannot"])
    if "lost" in reply:
        raise Lost(reply["lost"])
    error = TimeoutError() if "late" in reply else rebuilt(reply["error"]) if "error" in reply else None
    return Outcome(reply.get("value"), error, reply["seconds"])


def is_plain(value: Any, depth: int = _DEPTH) -> bool:
    """Whether JSON gives back the very same: no tuples, no keys but texts, no subclasses, nothing of great depth."""
    if depth < 0:
        return False
    kind = cast("type[object]", type(value))
    if kind is int:
        return value.bit_length() <= _INT_BITS
    if kind in (str, float, bool, type(None)):
        return True
    if kind is list:
        return all(is_plain(each, depth - 1) for each in cast("list[Any]", value))
    if kind is dict:
        members = cast("dict[Any, Any]", value)
        return all(type(name) is str and is_plain(each, depth - 1) for name, each in members.items())
    return False


def described(error: Exception) -> dict[str, Any]:
    """An exception as data: by what FlowBot tells it from others, or else by its type's name and its text."""
    kind: type[Exception] = next((each for each in _FACTS if isinstance(error, each)), Exception)
    try:
        # A `message` that is no attribute is the error's text.
        facts = {name: getattr(error, name) if hasattr(error, name) else str(error) for name in _FACTS[kind]}
    except Exception:  # not of those, or of a class of somebody else's that cannot tell them
        kind, facts = FunctionError, {"type_name": type(error).__name__, "text": error_text(error)}
    try:
        trace = "".join(traceback.format_exception(error))
    except Exception:  # it asks the error for its text, and what is near it for theirs
        trace = ""
    return {"type": kind.__name__, "facts": facts, "traceback": bounded(trace, _TRACEBACK)}


def rebuilt(data: dict[str, Any]) -> Exception:
    """The exception that `described` was given, or that stands for it, with the traceback from elsewhere as a note."""
    kind = next(each for each in _FACTS if each.__name__ == data["type"])
    error = kind(**data["facts"])
    error.add_note(data["traceback"])
    return error
