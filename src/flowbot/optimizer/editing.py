"""What strategies that let a model write edits share: how edits are written, and what becomes of those that came."""

from __future__ import annotations

from typing import Any

from flowbot.optimizer.guard import unsourced
from flowbot.optimizer.seams import Context
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.edits.applying import applied
from flowbot.workflow.edits.draft import EditError
from flowbot.workflow.edits.parse import parse_edits
from flowbot.workflow.workflow import Workflow

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
    context: Context[WorkflowProgram], workflow: Workflow, written: Any, most: int | None = None
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
