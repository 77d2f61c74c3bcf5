"""What came of a check, and what requests are told apart by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from difflib import unified_diff
from typing import Any, cast

from flowbot.lm.client import Request
from flowbot.lm.openai import wire_body

from .record import Recording


@dataclass(frozen=True, slots=True)
class Difference:
    """The first example on which an export differs, and how."""

    example: str
    what: str
    diff: str


@dataclass(frozen=True, slots=True)
class Parity:
    """What came of a check.

    Args:
        split: whose examples.
        examples: on how many it was compared.
        requests: how many requests the run made on them.
        absent, own: as of the recording: ids of examples that could not be compared.
        first: the first difference; None where there is none.
    """

    split: str
    examples: int
    requests: int
    absent: tuple[str, ...]
    own: tuple[str, ...]
    first: Difference | None

    @property
    def ok(self) -> bool:
        """Whether the export asked for the same on every example that was compared, and there was one."""
        return self.first is None and self.examples > 0

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {"ok": self.ok, **asdict(self)}


class Keys:
    """What tells requests apart: all of a request's body as an endpoint gets it, and the number of its sample.

    Args:
        recording: what was recorded.
        loose: whether schemas are the same whatever the order of their members.
    """

    def __init__(self, recording: Recording, *, loose: bool = False) -> None:
        self._recording, self._loose = recording, loose

    def of(self, model: str, request: Request, sample: int, sent: Mapping[str, Any] | None = None) -> str:
        """The request as JSON text.

        Args:
            model: its model string.
            request: what is asked.
            sample: the number of its sample.
            sent: the body that a program has sent; None for what FlowBot would send.
        """
        body = self.body(model, request)
        body = _named(body, sent) if sent and not self._loose else body
        body |= {"seed": sample} if sample else {}
        return json.dumps(body, ensure_ascii=False, indent=1, sort_keys=self._loose)

    def body(self, model: str, request: Request) -> dict[str, Any]:
        """The request's body, its members in one order."""
        bare = replace(request, seed=None, extra={})
        body = wire_body(model.partition("/")[2].partition("?")[0], bare, self._recording.speaks(model).can)
        besides = {name: value for name, value in request.extra.items() if name != "service_tier"}
        return dict(sorted((body | besides).items()))


def _named(body: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """A body with what is read from it and not kept as it was sent: the name of a reply's ceiling, and that of its schema."""
    limits = ("max_tokens", "max_completion_tokens")
    named = {name: each for name, each in body.items() if name not in limits}
    named |= {name: sent[name] for name in limits if name in sent}
    form: Any = body.get("response_format", {})
    if isinstance(schema := form.get("json_schema"), dict):
        told: Any = sent.get("response_format", {}).get("json_schema", {})
        written = {name: told.get(name) for name in ("name", "strict")}
        named["response_format"] = {**form, "json_schema": {**cast("dict[str, Any]", schema), **written}}
    return dict(sorted(named.items()))


def parity_of(recording: Recording, first: Difference | None) -> Parity:
    """A check of all that was recorded, with the first difference."""
    requests = sum(len(row.sent) for row in recording.rows)
    return Parity(recording.split, len(recording.rows), requests, recording.absent, recording.own, first)


def diff(wanted: str, found: str) -> str:
    """Two texts, line by line."""
    return "\n".join(unified_diff(wanted.splitlines(), found.splitlines(), "the run", "the export", n=2, lineterm=""))
