"""What a meta model wrote for a step becomes its parameters, or is refused with the reason: the one door for new texts and code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from flowbot.optimizer.rendering import fenced
from flowbot.optimizer.seams import Context
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.check import check
from flowbot.workflow.parameters import MOST_LETTERS, ChoiceParameters, CodeParameters, LLMParameters, Parameters
from flowbot.workflow.prompt import Slot
from flowbot.workflow.workflow import Workflow

LETTERS_PER_WORD = 12
MOST_HINT = 2000
"""Letters of a hint."""


def accepted(
    search: Context[WorkflowProgram],
    workflow: Workflow,
    path: str,
    reply: str,
    *,
    question: str,
    quotable: Sequence[str] = (),
    part: Slot | Literal["format_hint"] | None = None,
    limit: int,
) -> tuple[Parameters | None, str]:
    """The parameters of a step with what a reply says in place of its instruction, its code or one text of its prompt; or None
    with the reason.

    Args:
        search: the running search.
        workflow: what is changed.
        path: of the step.
        reply: what the meta model wrote, as it came.
        part: the text of a prompt of the user's own that it is for.
        limit: words that were allowed.
    """
    old = workflow.parameter(path)
    if isinstance(old, CodeParameters):
        new: Parameters = CodeParameters(code=fenced(reply)[:MOST_LETTERS])
    elif isinstance(old, LLMParameters | ChoiceParameters):
        if not reply.strip():
            return None, "the reply was empty"
        said = reply.strip()[: max(2000, LETTERS_PER_WORD * limit)]
        if isinstance(old, ChoiceParameters):
            new = old.model_copy(update={"instruction": said})
        elif part == "format_hint":
            new = old.model_copy(update={"format_hint": said[:MOST_HINT]})
        else:
            new = old.with_text(said, part)
    else:
        return old, ""
    if why := search.guard.copied_text(reply, workflow):
        return None, why
    defects = check(workflow.with_parameter(path, new), tools=search.signatures)
    return (None, f"{defects[0].where}: {defects[0].what}") if defects else (new, "")
