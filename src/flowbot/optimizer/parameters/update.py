"""theta_k <- optim_call(theta_k, {g_k}): one step is told something new, from what was said of its calls."""

from __future__ import annotations

from collections.abc import Sequence

from flowbot.optimizer.prompts import fill
from flowbot.optimizer.rendering import instruction_text
from flowbot.optimizer.seams import Context
from flowbot.optimizer.search import META_TOKENS
from flowbot.run.events import Feedback
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.parameters import Parameters

from .accept import accepted
from .wording import Wording

TOKENS_PER_WORD = 3


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
    now = Wording.of(workflow, path, slot)
    prompt = fill(
        "optim_call",
        goal=search.task.goal,
        step=path,
        kind=now.kind,
        instruction=instruction_text(workflow, path) if now.part is None else now.text,
        around=now.around,
        signature=now.signature,
        feedback=[each.text for each in feedback],
        limit=now.limit,
        tried=tried,
    )
    reply = await search.ask_text(
        prompt, "proposals", max_tokens=max(META_TOKENS, TOKENS_PER_WORD * now.limit), draw=draw
    )
    return accepted(
        search,
        workflow,
        path,
        reply,
        question=prompt,
        quotable=[*(each.text for each in feedback), *tried],
        part=now.part,
        limit=now.limit,
    )
