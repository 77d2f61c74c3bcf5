"""Does an export ask for the same as the workflow? Its requests are compared with the recorded ones, example by example.

No model is asked: an exported program runs against the proxy, which has the replies of the run alone and refuses what the run did
not ask.
"""

from __future__ import annotations

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
from .parity_program import check_python
from .prompts import filled
from .record import Recorded, Recording

_MOST_FILE = 4_000_000


async def check(exported: Exported, to: str, folder: Path, recording: Recording) -> Parity:
    """Compare an export in its folder with the recorded examples.

    Args:
        exported: what was exported.
        to: the target's name.
        folder: where.
        recording: of the same workflow.

    Raises:
        InfrastructureError: if an exported program cannot be run at all.
    """
    if to == "prompts":
        return check_prompts(exported, folder, recording)
    return await check_python(exported, folder / f"{exported.name}.py", recording)


def check_prompts(exported: Exported, folder: Path, recording: Recording) -> Parity:
    """Fill the places of exported prompts with recorded inputs, and compare the messages with those that were sent."""
    data: dict[str, dict[str, Any]] = {
        step.path: json.loads(read_text(folder / f"{step.path.replace('/', '.')}.json", limit=_MOST_FILE))
        for step in exported.asking
    }
    firsts = (_prompt_difference(row, recording, data) for row in recording.rows)
    return parity_of(recording, next((each for each in firsts if each is not None), None))


def _prompt_difference(row: Recorded, recording: Recording, data: Mapping[str, Any]) -> Difference | None:
    """How filled prompts differ from the messages that were sent on an example."""
    keys = Keys(recording)
    sent = [keys.body(each.model, each.request)["messages"] for each in row.sent]
    made = [filled(data[step.node], _shows(step)) for step in row.trace.steps if step.messages and step.node in data]
    for messages in made:
        if not any(each[: len(messages)] == messages for each in sent):
            return Difference(
                row.trace.example,
                "a filled prompt is not what was sent",
                diff(_nearest(messages, sent), _shown(messages)),
            )
    for messages in sent:
        if not any(messages[: len(each)] == each for each in made):
            return Difference(
                row.trace.example,
                "what was sent is no filled prompt",
                diff(_shown(messages), _nearest(messages, made)),
            )
    return None


def _shows(step: Step) -> Callable[[str], str]:
    """What stands at the places of a prompt on one call of its step."""
    candidates = [value for name, value in step.inputs.items() if step.kind == "merge" and "." in name]
    listed = dict(zip(letters(len(candidates)), candidates, strict=True))
    more = {
        LABELS: " or ".join(json.dumps(label) for label in listed),
        CANDIDATES: "\n".join(f"{label}: {show_value(value)}" for label, value in listed.items()),
    }
    return lambda name: more[name] if name in more else show_value(step.inputs[name])


def _nearest(messages: Sequence[Any], others: Sequence[Sequence[Any]]) -> str:
    """The one of the others that has most messages in common."""
    if not others:
        return ""
    return _shown(max(others, key=lambda other: sum(a == b for a, b in zip(messages, other, strict=False))))


def _shown(messages: Sequence[Any]) -> str:
    return json.dumps(list(messages), ensure_ascii=False, indent=1)
