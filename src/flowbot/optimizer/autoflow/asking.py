"""What a model that writes programs in words is asked, whether it learns in its chat or by its weights, and the program of its reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flowbot.fields import Field, ToolSignature
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.rendering import values_text
from flowbot.task import Example, Task

STEPS = 8
"""Steps that a program may have: each is a call or more for every row."""
SHOWN = 800
"""Characters of one value of an example."""
_FENCE, _FIELD = "```", ":::"


def question(task: Task, tools: Mapping[str, ToolSignature], examples: Sequence[Example] = ()) -> str:
    """The form of a program, the task, and what comes in on some rows; never what is expected there.

    Args:
        task: with its goal and fields.
        tools: that a program may use, by name.
        examples: training rows.
    """
    return fill(
        "core_program",
        goal=task.goal,
        given=[_said(each) for each in task.inputs],
        wanted=[_said(each) for each in task.outputs],
        tools=[f"{name}: {each.about}" for name, each in tools.items()],
        examples=[f"An example of what is given:\n{values_text(each.inputs, most=SHOWN)}" for each in examples],
        most=STEPS,
    )


def program_of(reply: str) -> str:
    """The program of a reply: its lines from the first that looks like a step up to a blank line or the end of a fence."""
    lines: list[str] = []
    for line in reply.splitlines():
        if lines and (not line.strip() or line.strip().startswith(_FENCE)):
            break
        if lines or _FIELD in line:
            lines.append(line.rstrip())
    return "\n".join(lines)


def _said(field: Field) -> str:
    return f"`{field.name}` ({field.type})" + (f": {field.about.rstrip('.')}" if field.about else "")
