"""A program in words from a small model: line by line, each a structured reply, so that its form cannot go wrong."""

from __future__ import annotations

from typing import Any

from flowbot.fields import Field, Type
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.seams import Context
from flowbot.runtime.program import WorkflowProgram

from .asking import STEPS

LINE_TOKENS = 160
"""Of one line."""
NAMES = tuple(f"Step {number}" for number in range(1, STEPS + 1))
_BRANCHES = f"list[{{answer: str, step: Literal[{', '.join(map(repr, NAMES))}]}}]"
_SEPARATORS = str.maketrans({":": ";", "\n": " "})


async def written(context: Context[WorkflowProgram], asked: str, chat: str, draw: int) -> str:
    """A program as far as the model gave its lines; it ends at a terminal once nothing goes on to a later line.

    Args:
        context: of the search.
        asked: the question, which is constant.
        chat: what was tried and what came of it.
        draw: another program for each.
    """
    lines: list[str] = []
    furthest = 1
    while len(lines) < furthest:
        name, last = NAMES[len(lines)], len(lines) + 1 == STEPS
        user = "\n\n".join(filter(None, [chat, fill("core_line", written="\n".join(lines), name=name, last=last)]))
        kinds = ("terminal",) if last else ("process", "decision", "terminal")
        fields = [
            Field("type", Type("literal", options=kinds)),
            Field.of("instruction", "str"),
            Field.of("branches", _BRANCHES),
        ]
        context.watch.step(f"asking for line {len(lines) + 1} of a program")
        reply = await context.ask_fields(asked, user, fields, "proposals", max_tokens=LINE_TOKENS, draw=draw)
        if reply is None:
            break
        line, furthest = _line(name, reply, furthest)
        lines.append(line)
    return "\n".join(lines)


def _line(name: str, reply: dict[str, Any], furthest: int) -> tuple[str, int]:
    """A line as text, and the number of the last one that is needed by now."""
    kind, place = str(reply["type"]), NAMES.index(name) + 1
    ways = [(_plain(each["answer"]) or "next", str(each["step"])) for each in reply["branches"]]
    if kind == "terminal":
        ways = []
    elif kind == "process":
        ways = [("next", ways[0][1] if ways and ways[0][1] != name else NAMES[min(place, STEPS - 1)])]
    text = "::".join(part for way in ways for part in way)
    furthest = max(furthest, *(NAMES.index(target) + 1 for _, target in ways), place)
    return f"{name}:::{kind}:::{_plain(str(reply['instruction']))}:::{text}", furthest


def _plain(text: Any) -> str:
    """A text without what separates the parts of a line."""
    return " ".join(str(text).translate(_SEPARATORS).split())
