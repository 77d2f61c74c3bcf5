"""Kinds of inputs that are worth calls of their own, named by the meta model from inputs alone."""

from __future__ import annotations

from flowbot.optimizer.catalogue.reading import KINDS, read_kinds
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.rendering import fair_share, value_text
from flowbot.optimizer.seams import Context
from flowbot.workflow.workflow import Workflow

PURPOSE = "proposals"
SHOWN = 6
"""Training rows whose inputs are shown; what is expected of them is not."""
SHOWN_TOKENS = 600


async def name_kinds(search: Context, workflow: Workflow) -> tuple[str, list[str], tuple[str, ...]]:
    """Two to four kinds of inputs of the task, a line each, `name: what such an input is`.

    Returns:
        the lines, "" where the reply is of no use; what was wrong with it; and the training rows that were shown.
    """
    shown = tuple(search.training[:SHOWN])
    rows = [dict(example.inputs) for example in search.task.train if example.id in shown]
    most = fair_share(rows, SHOWN_TOKENS)
    prompt = fill(
        "name_kinds",
        goal=search.task.goal,
        inputs=[value_text(row, most) for row in rows],
        least=KINDS[0],
        most=KINDS[1],
    )
    said = await search.ask_text(prompt, PURPOSE)
    kinds = read_kinds(said)
    if not kinds:
        return "", [f"found {said!r:.80}; expected {KINDS[0]} to {KINDS[1]} lines `name: what such an input is`"], shown
    text = "\n".join(f"{name}: {what}" for name, what in kinds.items())
    copied = search.guard.copied_text(text, workflow)
    return ("", [copied], shown) if copied else (text, [], shown)
