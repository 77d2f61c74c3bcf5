"""What strategies that let a model write edits share: how edits are written, and what becomes of those that came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flowbot.fields import ModelError, RefusedError, ToolSignature, stable_hash
from flowbot.lm.client import Message, Request
from flowbot.lm.mending import mended
from flowbot.optimizer.guard import unsourced
from flowbot.optimizer.meta_questions import WARM
from flowbot.optimizer.seams import Context
from flowbot.workflow.edits.applying import applied
from flowbot.workflow.edits.draft import EditError
from flowbot.workflow.edits.parse import parse_edits
from flowbot.workflow.edits.schema import edits_schema
from flowbot.workflow.parameters import CodeParameters, LLMParameters
from flowbot.workflow.workflow import Workflow

TRIES = 3
MAX_TOKENS = 700
MOST_EDITS = 8
REFUSED = "These edits were refused: {error}\nWrite the edits again with that mended."

KINDS = """llm: a prompt and typed outputs: {"kind": "llm", "in": {"name": "reference"}, "out": {"name": "type"}}
code: Python `def run(...)`: {"kind": "code", "in": {...}, "out": {...}}
merge: joins ways or samples: {"kind": "merge", "how": "first|vote|concat|judge", "in": ["reference", ...], "out": {"name": "type"}}
tool: {"kind": "tool", "tool": "name", "in": {...}, "out": {...}}
branch: takes one way: {"kind": "branch", "in": {...}, "ways": {"label": {"ref": "input", "op": ">", "value": 3}, "other": "else"}}; \
a node with "when": "branch.label" runs on that way only; ways without conditions: a model chooses
loop: repeats its nodes: {"kind": "loop", "max": 3, "until": {"ref": "step.output", "op": "==", "value": true}, \
"carry": {"name": {"type": "...", "start": "reference", "next": "step.output"}}, "nodes": {...}}; its outputs are what it carries
map: runs its nodes for each item of a list: {"kind": "map", "over": "reference", "as": "item", "limit": 10, "nodes": {...}, \
"out": {"name": "step.output"}}; its outputs are lists
A node inside a loop or map is named "outer/inner"; it reads what stands around it, what the loop carries, or the item."""
"""The kinds of nodes, as a question shows them."""
EDITS = """add a node; remove one (bypass: what is read instead); replace; rewire an input; rename; output: take an output from elsewhere; \
rewrite: all nodes anew
split a call in two; fuse two calls; review: a call is criticised and revised; ensemble: several samples and a vote; \
decompose: list the parts, answer each, combine; insert_branch; insert_retrieval; insert: a step before or after another"""
"""The edits, likewise."""


def edited(
    context: Context, workflow: Workflow, written: Any, most: int | None = None
) -> tuple[Workflow | None, tuple[str, ...], str]:
    """The workflow with the edits that a model wrote, and the edits in words; or None, and what is wrong with them.

    Args:
        context: its guard and tools.
        workflow: what is edited.
        written: JSON data, as `parse_edits` takes it.
        most: edits that it may be; None: any number.
    """
    try:
        edits = parse_edits(written)
        if not edits:
            return None, (), "the list of edits is empty"
        if most is not None and len(edits) > most:
            return None, (), f"there are {len(edits)} edits, and {most} are the most"
        after = applied(workflow, edits, tools=context.signatures, goal=context.task.goal).after
        why = context.guard.copied(after, workflow) or unsourced(workflow, after, context.task.splits["train"])
    except (EditError, ValueError, RecursionError) as error:
        return None, (), str(error)
    return (None, (), why) if why else (after, tuple(map(str, edits)), "")


def structure(workflow: Workflow) -> str:
    """What one structure has and another has not: the sketch, with the code and the tools of its steps. Other words are none."""
    computed = {path: each.code for path, each in workflow.parameters.items() if isinstance(each, CodeParameters)}
    tools = {
        path: each.tools for path, each in workflow.parameters.items() if isinstance(each, LLMParameters) and each.tools
    }
    return stable_hash([workflow.sketch.dump(), computed, tools])


class Edited(NamedTuple):
    """What came of asking for edits.

    Args:
        workflow: after them; None where no try was good.
        edits: in words.
        faults: of the tries before, or of all.
    """

    workflow: Workflow | None
    edits: tuple[str, ...]
    faults: tuple[str, ...]


async def asked_edits(
    context: Context,
    workflow: Workflow,
    question: str,
    *,
    most: int = MOST_EDITS,
    tools: Mapping[str, ToolSignature] | None = None,
    refused: Callable[[Workflow], str] = lambda _: "",
) -> Edited:
    """Ask the meta model for edits, at most `TRIES` times; what is wrong with the last try is handed back.

    Args:
        context: of the search.
        workflow: what is edited.
        question: in the first message.
        most: edits in one reply.
        tools: that are offered; all that workflows may call when None.
        refused: why a valid workflow is refused all the same, "" where it is not.
    """
    faults: list[str] = []
    asked = Message("user", question)
    chat: tuple[Message, ...] = (asked,)
    schema = edits_schema(tools=context.signatures if tools is None else tools, sketch=workflow.sketch, max_edits=most)
    for attempt in range(TRIES):
        context.watch.step(f"asking for edits (try {attempt + 1} of {TRIES})")
        # At temperature 0 a small model writes the same edits again, whatever it is told.
        request = Request(chat, MAX_TOKENS, WARM if attempt else 0.0, schema=schema)
        try:
            said = await context.ask(request, "proposals", attempt)
            after, words, fault = edited(context, workflow, mended(said), most)
        except (ModelError, RefusedError) as error:
            said, after, words, fault = "", None, (), str(error)
        fault = fault or ("" if after is None else refused(after))
        if not fault:
            return Edited(after, words, tuple(faults))
        faults.append(fault)
        # Only the last try: what is constant comes first, and the chat does not grow.
        chat = (asked, Message("assistant", said), Message("user", REFUSED.format(error=fault)))
    return Edited(None, (), tuple(faults))
