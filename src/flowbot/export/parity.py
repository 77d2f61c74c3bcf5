"""Do exported prompts ask for the same as the workflow? They are compared with the recorded requests, example by example."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flowbot.fields.files import read_text
from flowbot.runtime.adapter import show_value
from flowbot.runtime.node_calls import letters
from flowbot.runtime.trace import Step

from .comparison import Difference, Keys, Parity, diff, parity_of
from .exported import CANDIDATES, LABELS, Exported
from .prompts import filled
from .record import Recorded, Recording

_MOST_FILE = 4_000_000


def check_prompts(exported: Exported, folder: Path, recording: Recording) -> Parity:
    """Fill the places of exported prompts with recorded inputs, and compare what they ask with what was sent."""
    data: dict[str, dict[str, Any]] = {
        step.path: json.loads(read_text(folder / f"{step.path.replace('/', '.')}.json", limit=_MOST_FILE))
        for step in exported.asking
    }
    firsts = (_prompt_difference(row, recording, data) for row in recording.rows)
    return parity_of(recording, next((each for each in firsts if each is not None), None))


def _prompt_difference(row: Recorded, recording: Recording, data: Mapping[str, Any]) -> Difference | None:
    """How filled prompts differ from the messages that were sent on an example."""
    keys = Keys(recording)
    sent = [_sent(keys.body(each.model, each.request)) for each in row.sent]
    made = [_body(step, data[step.node]) for step in row.trace.steps if step.messages and step.node in data]
    for body, calls in made:  # what asks again, with other limits and more messages, is sent besides
        others = [_bare(each) for each in sent if "tools" in each] if calls else sent
        if body not in others:
            return Difference(
                row.trace.example, "a filled prompt is not what was sent", diff(_nearest(body, others), _shown(body))
            )
    for body in sent:
        if not any(body["messages"][: len(each["messages"])] == each["messages"] for each, _ in made):
            return Difference(
                row.trace.example,
                "what was sent is no filled prompt",
                diff(_shown(body), _nearest(body, [each for each, _ in made])),
            )
    return None


def _sent(body: Mapping[str, Any]) -> dict[str, Any]:
    """A request's body as both sides have it: without a seed and a tier, its members in one order."""
    return {name: body[name] for name in sorted(body) if name not in ("seed", "service_tier")}


def _bare(body: Mapping[str, Any]) -> dict[str, Any]:
    """A request without what differs from round to round where a model calls tools."""
    return {name: each for name, each in body.items() if name not in ("tool_choice", "response_format")}


def _body(step: Step, data: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """A step's JSON file as a request on one call of it, and whether its model calls tools."""
    body = copy.deepcopy(dict(data["body"]))
    if step.kind == "merge" and "response_format" in body:  # only what has arrived may be chosen
        body["response_format"]["json_schema"]["schema"]["properties"]["choice"]["enum"] = list(_labels(step))
    made = _sent({**body, "messages": filled(data, _shows(step))})
    return ({**_bare(made), "tools": data["tools"]}, True) if data["tools"] else (made, False)


def _labels(step: Step) -> dict[str, Any]:
    """What a merge joins, by the labels that may be chosen; nothing for other steps."""
    candidates = [value for name, value in step.inputs.items() if step.kind == "merge" and "." in name]
    return dict(zip(letters(len(candidates)), candidates, strict=True))


def _shows(step: Step) -> Callable[[str], str]:
    """What stands at the places of a prompt on one call of its step."""
    listed = _labels(step)
    more = {
        LABELS: " or ".join(json.dumps(label) for label in listed),
        CANDIDATES: "\n".join(f"{label}: {show_value(value)}" for label, value in listed.items()),
    }
    return lambda name: more[name] if name in more else show_value(step.inputs[name])


def _nearest(body: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> str:
    """The one of the others that has most messages in common."""

    def common(other: Mapping[str, Any]) -> int:
        return sum(a == b for a, b in zip(body["messages"], other["messages"], strict=False))

    return _shown(max(others, key=common)) if others else ""


def _shown(body: Mapping[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False, indent=1)
