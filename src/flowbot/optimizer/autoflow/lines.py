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
    """A line as text, and the number of the last one that is needed by now.

    What a small model gets wrong without meaning anything by it is put right: steps that are still to be written are numbered on without a gap, so that
    none is unreachable; a decision with one answer is a process; a process with nothing after it goes on to the next line.
    """
    kind, place = str(reply["type"]), NAMES.index(name) + 1
    ways = {_plain(each["answer"]) or "next": NAMES.index(each["step"]) + 1 for each in reply["branches"]}
    if kind == "decision" and len(ways) < 2:
        kind = "process"
    if kind == "terminal":
        ways = {}
    elif kind == "process":
        first = next(iter(ways.values()), place)
        ways = {"next": place + 1 if first == place or (first < place and furthest == place) else first}
    new = {
        to: furthest + rank for rank, to in enumerate(sorted({to for to in ways.values() if to > furthest}), start=1)
    }
    targets = {key: min(STEPS, new.get(to, to)) for key, to in ways.items()}
    text = "::".join(f"{key}::{NAMES[to - 1]}" for key, to in targets.items())
    return f"{name}:::{kind}:::{_plain(reply['instruction'])}:::{text}", max(furthest, *targets.values(), place)


def _plain(text: Any) -> str:
    """A text without what separates the parts of a line."""
    return " ".join(str(text).translate(_SEPARATORS).split())
