"""A program in words from a small model: line by line, each a structured reply, so that its form cannot go wrong."""

from __future__ import annotations

from typing import Any

from flowbot.fields import Field, Type
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.seams import Context
from flowbot.workflow.core import folded

from .asking import STEPS

LINE_TOKENS = 160
"""Of one line."""
NAMES = tuple(f"Step {number}" for number in range(1, STEPS + 1))
_INSTRUCTION = Field.of("instruction", "str")
_STEP = Type("literal", options=NAMES)
_FIELDS = (
    Field("type", Type("literal", options=("process", "decision", "terminal"))),
    _INSTRUCTION,
    Field("next", _STEP),
    Field("otherwise", _STEP),
)
_LAST = (Field("type", Type("literal", options=("terminal",))), _INSTRUCTION)
_SEPARATORS = str.maketrans({":": ";", "\n": " "})


async def written(context: Context, asked: str, chat: str, draw: int) -> str:
    """A program as far as the model gave its lines; it ends at a terminal once nothing goes on to a later line.

    Args:
        context: of the search.
        asked: the question, which is constant.
        chat: what was tried and what came of it.
        draw: another program for each.
    """
    lines: list[str] = []
    said: set[str] = set()
    furthest = 1
    while len(lines) < furthest:
        name, last = NAMES[len(lines)], len(lines) + 1 == STEPS
        user = "\n\n".join(filter(None, [chat, fill("core_line", written="\n".join(lines), name=name, last=last)]))
        context.watch.step(f"asking for line {len(lines) + 1} of a program")
        reply = await context.ask_fields(
            asked, user, _LAST if last else _FIELDS, "proposals", max_tokens=LINE_TOKENS, draw=draw
        )
        if reply is None:
            break
        if (words := folded(reply["instruction"])) in said:  # it has nothing new to say
            given = "; ".join(
                f"{each.name}: {each.about}" if each.about else each.name for each in context.task.outputs
            )
            reply = {"type": "terminal", "instruction": f"Give {given}."}
        said.add(words)
        line, furthest = _line(len(lines) + 1, reply, furthest)
        lines.append(line)
    return "\n".join(lines)


def _line(place: int, reply: dict[str, Any], furthest: int) -> tuple[str, int]:
    """A line as text, and the number of the last one that is needed by now.

    What a small model gets wrong without meaning anything by it is put right: steps that are still to be written are numbered on without a gap, so that
    none is unreachable; a decision that goes on to one step is a process; a step that goes on to itself goes on to the next line, and so does a
    process that would leave the program without an end.
    """
    kind, ways = str(reply["type"]), dict[str, int]()
    if kind != "terminal":
        to, other = (NAMES.index(reply[each]) + 1 for each in ("next", "otherwise"))
        to, other = (place + 1 if each == place else each for each in (to, other))
        kind = kind if to != other else "process"
        onward = place + 1 if to < place == furthest else to
        ways = {"yes": to, "no": other} if kind == "decision" else {"next": onward}
    new = {
        to: furthest + rank for rank, to in enumerate(sorted({to for to in ways.values() if to > furthest}), start=1)
    }
    targets = {key: min(STEPS, new.get(to, to)) for key, to in ways.items()}
    text = "::".join(f"{key}::{NAMES[to - 1]}" for key, to in targets.items())
    return f"{NAMES[place - 1]}:::{kind}:::{_plain(reply['instruction'])}:::{text}", max(
        furthest, *targets.values(), place
    )


def _plain(text: Any) -> str:
    """A text without what separates the parts of a line."""
    return " ".join(str(text).translate(_SEPARATORS).split())
