"""A call as plain data, which another process or machine can run.

{"kind": "metric", "name": "score", "seconds": null,
 "function": {"name": "score", "module": "", "file": "/home/me/task/metrics.py", "sha256": "…"},
 "arguments": {"outputs": {},
               "example": {"id": "e1", "inputs": {}, "expected": {}, "group": "", "extra": {}, "feedback": ""}}}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

from flowbot.task import Example

from .address import Address, Unsendable
from .protocol import Call, Kind

_DEPTH = 100
_INT_BITS = 4096


@dataclass(frozen=True, slots=True)
class Job:
    """A call as plain data.

    Args:
        kind: how the function is called.
        name: the tool's or metric's name, for people.
        function: where the function is.
        arguments: JSON data, by name.
        seconds: how long it may take, from when the function begins; None: as long as it likes.
    """

    kind: Kind
    name: str
    function: Address
    arguments: Mapping[str, Any]
    seconds: float | None

    @staticmethod
    def of(call: Call, function: Address) -> Job:
        """The job of a call.

        Raises:
            Unsendable: if an argument is not what would come back from JSON.
        """
        given = dict(call.arguments)
        if isinstance(example := given.get("example"), Example) and call.kind == "metric":
            given["example"] = {
                "id": example.id,
                "inputs": dict(example.inputs),
                "expected": dict(example.expected),
                "group": example.group,
                "extra": dict(example.extra),
                "feedback": example.feedback,
            }
        if not is_plain(given):
            raise Unsendable("an argument is no JSON data")
        return Job(call.kind, call.name, function, given, call.seconds)

    @staticmethod
    def load(data: Mapping[str, Any]) -> Job:
        """The job that `dump` gave."""
        return Job(data["kind"], data["name"], Address(**data["function"]), data["arguments"], data["seconds"])

    def dump(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "kind": self.kind,
            "name": self.name,
            "function": asdict(self.function),
            "arguments": dict(self.arguments),
            "seconds": self.seconds,
        }

    def call(self, function: Callable[..., Any]) -> Call:
        """The call to make where the job is run."""
        given = dict(self.arguments)
        if self.kind == "metric":
            given["example"] = Example(**given["example"])
        return Call(self.kind, self.name, function, given, self.seconds)


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
