"""theta_k <- optim_call(theta_k, {g_k}): one step is told something new, from what was said of its calls."""

from __future__ import annotations

from collections.abc import Sequence

from flowbot.optimizer.prompts import fill
from flowbot.optimizer.rendering import MOST_PROMPT, instruction_text, value_text
from flowbot.optimizer.seams import Context
from flowbot.optimizer.search import META_TOKENS
from flowbot.run.events import Feedback
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.nodes import BranchNode, node_at
from flowbot.workflow.parameters import LLMParameters, Parameters
from flowbot.workflow.prompt import Slot, around, slots
from flowbot.workflow.scope import Scope
from flowbot.workflow.workflow import Workflow

from .accept import accepted

LIMIT_WORDS = 80
"""Of a new instruction; a text of the user's own may grow by a fifth where it is longer."""
TOKENS_PER_WORD = 3
PART = "[PART]"
"""Stands for the text that is written anew where the rest of its prompt is shown."""


async def update(
    search: Context[WorkflowProgram],
    program: WorkflowProgram,
    path: str,
    feedback: Sequence[Feedback],
    *,
    slot: int = 0,
    tried: Sequence[str] = (),
    draw: int = 0,
) -> tuple[Parameters | None, str]:
    """New parameters of one step from the feedback on it, the old ones where there is none, or None with the reason.

    Of a prompt of the user's own one text is written anew, the longest or that of number `slot` in that order: one decision
    at a time, and whatever the reply is, the places stay.

    Args:
        search: the running search.
        program: what is changed.
        path: of the step, one that has an instruction, a prompt or code.
        feedback: what was said of its calls.
        slot: number of the text of a prompt of the user's own.
        tried: what was written for it before, each with what that gained.
        draw: number of the reply; each is another.
    """
    workflow = program.workflow
    old = workflow.parameter(path)
    if not feedback:
        return old, ""
    node = node_at(workflow.sketch, path)
    part = _part(old, slot)
    limit = LIMIT_WORDS if part is None else max(LIMIT_WORDS, len(part.text.split()) * 6 // 5)
    prompt = fill(
        "optim_call",
        goal=search.task.goal,
        step=path,
        kind=node.kind,
        instruction=instruction_text(workflow, path) if part is None else part.text,
        around="" if part is None else _around(old, part),
        signature=f"{', '.join(node.references())} -> {gives_text(workflow, path)}",
        feedback=[each.text for each in feedback],
        limit=limit,
        tried=tried,
    )
    reply = await search.ask_text(prompt, "proposals", max_tokens=max(META_TOKENS, TOKENS_PER_WORD * limit), draw=draw)
    return accepted(
        search,
        workflow,
        path,
        reply,
        question=prompt,
        quotable=[*(each.text for each in feedback), *tried],
        part=part,
        limit=limit,
    )


def _part(told: Parameters, number: int) -> Slot | None:
    """The text of a prompt that is to be written anew; None for a step that has an instruction, or nothing but places."""
    return dict(enumerate(slots(told.messages))).get(number) if isinstance(told, LLMParameters) else None


def _around(told: Parameters, part: Slot) -> str:
    """The prompt in which a text stands, where there is more of it."""
    assert isinstance(told, LLMParameters)  # it has a prompt
    shown = around(told.messages, part, PART)
    return "" if shown == PART else value_text(shown, MOST_PROMPT)


def gives_text(workflow: Workflow, path: str) -> str:
    """What a node gives, as `n: int, why: str`; for a branch its labels."""
    node = node_at(workflow.sketch, path)
    if isinstance(node, BranchNode):
        return f"one of {', '.join(node.ways)}"
    scope, name = Scope.of(workflow.sketch).at(path), path.rpartition("/")[2]
    return ", ".join(f"{output}: {scope.type_text(f'{name}.{output}')}" for output in node.gives)
