"""theta_k <- optim_call(theta_k, {g_k}): steps are told something new, each from what was said of its calls."""

from __future__ import annotations

from collections.abc import Sequence

from flowbot.fields.words import count
from flowbot.optimizer.feedback.backward import all_said, backward_all, feedback_on
from flowbot.optimizer.feedback.parts import suspects
from flowbot.optimizer.meta_questions import META_TOKENS
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.rendering import instruction_text
from flowbot.optimizer.seams import Context, Proposal
from flowbot.run.events import Feedback
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.together import all_of
from flowbot.workflow.parameters import Parameters

from .accept import accepted
from .wording import Wording

TOKENS_PER_WORD = 3


async def update(
    search: Context,
    program: WorkflowProgram,
    path: str,
    feedback: Sequence[Feedback],
    *,
    draw: int = 0,
    template: str = "optim_call",
    growing: bool = False,
) -> tuple[Parameters | None, str]:
    """New parameters of one step from the feedback on it, the old ones where there is none, or None with the reason.

    Of a prompt of the user's own the longest text is written anew, and whatever the reply is, the places stay.

    Args:
        search: the running search.
        program: what is changed.
        path: of the step, one that has an instruction, a prompt or code.
        feedback: what was said of its calls.
        draw: number of the reply; each is another.
        template: of the question.
        growing: whether a long text may grow, whosever it is.
    """
    workflow = program.workflow
    old = workflow.parameter(path)
    if not feedback:
        return old, ""
    now = Wording.of(workflow, path)
    now = now.growing if growing else now
    texts = [each.text for each in feedback]
    told = instruction_text(workflow, path) if now.part is None else now.text
    prompt = fill(template, goal=search.task.goal, step=path, now=now, instruction=told, feedback=texts)
    room = max(META_TOKENS, TOKENS_PER_WORD * now.limit)
    reply = await search.ask_text(prompt, "proposals", max_tokens=room, draw=draw)
    return accepted(search, workflow, path, reply, question=prompt, quotable=texts, part=now.part, limit=now.limit)


async def update_all(
    search: Context,
    program: WorkflowProgram,
    rows: Sequence[Row],
    title: str,
    *,
    draw: int = 0,
    template: str = "optim_call",
    growing: bool = False,
) -> Proposal:
    """Every step that may be tuned told something new at once, from the layer-wise gradients of recorded runs of the program.

    A text that is no valid one leaves its step as it was. The further arguments are those of `update`.
    """
    search.watch.step(f"gradients of {count(len(rows), 'run')}")
    gradients = await backward_all(search, program, rows)
    feedback = {path: feedback_on(path, rows, gradients) for path in suspects(program)}
    search.watch.step("new texts")
    updates = await all_of(
        update(search, program, path, said, draw=draw, template=template, growing=growing)
        for path, said in feedback.items()
    )
    changed, edits, faults = program, list[str](), list[str]()
    for path, (parameters, fault) in zip(feedback, updates, strict=True):
        if parameters is None:
            faults.append(f"{path}: {fault}")
        elif parameters != program.workflow.parameter(path):
            changed = changed.with_slot(path, parameters)
            edits.append(f"{path}: new {Wording.of(program.workflow, path).what}")
    said = all_said(gradients)
    return Proposal(
        changed if edits else None,
        title,
        "meta",
        reason=next((each.text for each in said), ""),
        edits=tuple(edits),
        shown=tuple(row.example.id for row in rows),
        feedback=said,
        because=tuple(each.id for of_step in feedback.values() for each in of_step),
        faults=tuple(faults),
    )
