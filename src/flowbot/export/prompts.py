"""The prompts alone: a Markdown file a step, the messages as they go over the wire, the drawing, and what belongs where."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from flowbot.draw.mermaid import draw_mermaid
from flowbot.fields.yaml import dump_yaml
from flowbot.lm.native_tools import functions
from flowbot.workflow.captions import kind_text
from flowbot.workflow.nodes import CodeNode

from .exported import STEPS, Asked, Exported, ExportedStep, Grade, Place

_README = """# {name}

{goal}

Written by FlowBot from {origin}. `STEP.md` is the prompt of a step to read; `STEP.json` holds its requests as they go over the wire:
`body` is what is sent, with the texts of `places` where an input of the step stands: a text as it is, anything else as JSON.
`tools` go with it as long as the model may call them. `workflow.mmd` is the drawing (Mermaid).

| step | kind | reads | gives |
|---|---|---|---|
{rows}
"""
_STEP = """---
{facts}---

## System

{system}
{shown}
## User

{user}
"""


class Prompts:
    """A folder of prompts to read and to copy from."""

    name = "prompts"
    about = "the prompt of each step as Markdown, its requests as JSON, and the drawing"
    grade: Grade = "exact"
    says: frozenset[str] = STEPS

    def refuses(self, exported: Exported) -> list[str]:
        """Nothing of what it says: what is no prompt is told in the README."""
        return []

    def files(self, exported: Exported) -> Mapping[str, str]:
        """The files."""
        rows = (
            f"| `{step.path}` | {kind_text(step.node)} | {', '.join(step.node.references())} | {', '.join(step.node.gives)} |"
            for step in exported.steps
        )
        said = {
            "name": exported.name,
            "goal": exported.goal,
            "origin": exported.origin or "a workflow",
            "rows": "\n".join(rows),
        }
        made = {"README.md": _README.format(**said), "workflow.mmd": draw_mermaid(exported.workflow)}
        for step in exported.steps:
            name = step.path.replace("/", ".")
            if step.asked is not None:
                places = _places(step.asked)
                readable = f"{name}.step.md" if name.casefold() == "readme" else f"{name}.md"
                made[readable] = _markdown(step, step.asked, places)
                made[f"{name}.json"] = (
                    json.dumps(_data(exported, step, step.asked, places), ensure_ascii=False, indent=2) + "\n"
                )
            elif isinstance(step.node, CodeNode):
                made[f"{name}.code.txt"] = exported.code(step.path)
        return made


def filled(data: Mapping[str, Any], show: Callable[[str], str]) -> list[dict[str, Any]]:
    """The messages of a step's JSON file, with what `show` says of an input at each of its places."""
    inputs = {mark: name for name, mark in data["places"].items()}
    marks = re.compile("|".join(map(re.escape, sorted(inputs, key=len, reverse=True))) or "(?!)")
    return [
        {**message, "content": marks.sub(lambda found: show(inputs[found[0]]), message["content"])}
        for message in data["body"]["messages"]
    ]


def _data(exported: Exported, step: ExportedStep, asked: Asked, places: Mapping[str, str]) -> dict[str, Any]:
    messages = [{"role": each.role, "content": each.text(places.__getitem__)} for each in asked.messages]
    form = {} if asked.response_format is None else {"response_format": asked.response_format}
    body = {"model": asked.model.wire, "messages": messages, **asked.settings, **form}
    return {
        "step": step.path,
        "places": dict(places),
        "samples": asked.samples,
        "tools": functions(exported.tools[name].signature for name in asked.tools),
        "body": body,
    }


def _markdown(step: ExportedStep, asked: Asked, places: Mapping[str, str]) -> str:
    facts: dict[str, Any] = {"step": step.path, "model": asked.model.name, **asked.settings}
    facts |= {"samples": asked.samples} if asked.samples > 1 else {}
    facts |= {"tools": list(asked.tools), "rounds": asked.rounds} if asked.tools else {}
    facts |= {"inputs": dict(step.inputs), "outputs": {field.name: str(field.type) for field in asked.fields}}
    facts |= {"schema": asked.schema} if asked.schema is not None else {}
    first, last = asked.shown
    texts = [each.text(places.__getitem__) for each in asked.messages]
    has_system = asked.messages[0].role == "system"
    turns = [
        f"**{message.role}**\n\n{text}\n"
        for message, text in zip(asked.messages[first:last], texts[first:last], strict=True)
    ]
    said = [
        text if len(asked.messages) == last + 1 else f"**{message.role}**\n\n{text}"
        for number, (message, text) in enumerate(zip(asked.messages, texts, strict=True))
        if not (first <= number < last) and not (has_system and number == 0)
    ]
    shown = "\n## Demonstrations\n\n" + "\n".join(turns) if turns else ""
    system = texts[0] if has_system else "(none)"
    return _STEP.format(facts=dump_yaml(facts), system=system, shown=shown, user="\n\n".join(said))


def _places(asked: Asked) -> dict[str, str]:
    """How each place is written: `{{name}}`, with more braces where a text of the prompt has that itself."""
    parts = [part for message in asked.messages for part in message.parts]
    texts = "\0".join(part for part in parts if isinstance(part, str))
    names = dict.fromkeys(part.name for part in parts if isinstance(part, Place))
    braces = 2
    while any(f"{'{' * braces}{name}{'}' * braces}" in texts for name in names):
        braces += 1
    return {name: f"{'{' * braces}{name}{'}' * braces}" for name in names}
