"""What a meta model wrote for a step becomes its parameters, or is refused with the reason: the one door for new texts and code.

Refused is what is empty, loses a place that a program fills, breaks off, repeats the words of its own question, lists labels that the task has not, copies the task's
examples, or does not pass the checker. What says the same as before changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from flowbot.optimizer.guard import folded
from flowbot.optimizer.rendering import fenced, instruction_text
from flowbot.optimizer.seams import Context
from flowbot.optimizer.step_view import step_at
from flowbot.program.places import lost_place
from flowbot.workflow.check import check
from flowbot.workflow.parameters import (
    MOST_LETTERS,
    ChoiceParameters,
    CodeParameters,
    CoreParameters,
    LLMParameters,
    Parameters,
)
from flowbot.workflow.prompt import Slot, slots
from flowbot.workflow.workflow import Workflow

from .labels import foreign_label
from .wording import Part
from .written import echo, text_of

LETTERS_PER_WORD = 12
HINT_LETTERS = 2000
"""Of a format hint."""


def accepted(
    search: Context,
    workflow: Workflow,
    path: str,
    reply: str,
    *,
    question: str,
    quotable: Sequence[str] = (),
    part: Part = None,
    limit: int,
) -> tuple[Parameters | None, str]:
    """The parameters of a step with what a reply says in place of its instruction, its code or one text of its prompt; or None
    with the reason. Those that it has, where the reply says the same again.

    Args:
        search: the running search.
        workflow: what is changed.
        path: of the step.
        reply: what the meta model wrote, as it came.
        question: what it was asked: eight of its words in a row are no answer, unless the step is told them already, the task's goal
            or what the step gives has them (its labels), or they are `quotable`.
        quotable: texts in the question that an answer may take over: feedback, earlier tries, lines to choose from.
        part: the text of a prompt of the user's own that it is for, or the format hint.
        limit: words that were allowed.
    """
    old = workflow.parameter(path)
    if isinstance(old, CodeParameters):
        new: Parameters = CodeParameters(code=fenced(reply)[:MOST_LETTERS])
        fault, unchanged = "", new.code == old.code.strip()
    elif isinstance(old, CoreParameters):
        new = old.model_copy(update={"program": fenced(reply)})
        fault, unchanged = "", new.program == old.program.strip()
    elif isinstance(old, LLMParameters | ChoiceParameters):
        before = _old_text(old, part)
        said, fault = text_of(reply, before)
        most = HINT_LETTERS if part == "format_hint" else min(MOST_LETTERS, max(2000, LETTERS_PER_WORD * limit))
        unchanged = not fault and folded(said) == folded(before)
        fault = fault or _text_fault(search, workflow, path, said, before, question, quotable, most)
        new = _with_text(old, said, part)
    else:
        return old, ""
    if unchanged:
        return old, ""
    if why := fault or search.guard.copied_text(reply, workflow):
        return None, why
    defects = check(workflow.with_parameter(path, new), tools=search.signatures)
    return (None, f"{defects[0].where}: {defects[0].what}") if defects else (new, "")


def _text_fault(
    search: Context,
    workflow: Workflow,
    path: str,
    said: str,
    before: str,
    question: str,
    quotable: Sequence[str],
    most: int,
) -> str:
    """Why a text cannot stand for another one; "" where it can."""
    if len(said) > most:
        return f"the reply has {len(said):,} letters, {most:,} at most are taken"
    if step_at(workflow, path).kind == "text" and (fault := lost_place(before, said)):
        return fault
    told = f"{search.task.goal}\n{step_at(workflow, path).gives_text}"
    if words := echo(said, question, before, instruction_text(workflow, path), told, *quotable):
        return f"it repeats its question: {words}"
    label = foreign_label(said, workflow, path, search.task)
    return f"it lists the label {label!r:.60}, which the task has not" if label else ""


def _old_text(old: LLMParameters | ChoiceParameters, part: Part) -> str:
    if isinstance(part, Slot):
        return part.text
    if part == "format_hint" and isinstance(old, LLMParameters):
        return old.format_hint
    longest = next(iter(slots(old.messages)), None) if isinstance(old, LLMParameters) else None
    return old.instruction if longest is None else longest.text


def _with_text(old: LLMParameters | ChoiceParameters, text: str, part: Part) -> LLMParameters | ChoiceParameters:
    if part == "format_hint":
        return old.model_copy(update={"format_hint": text})
    if isinstance(old, LLMParameters):
        return old.with_text(text, part)
    return old.model_copy(update={"instruction": text})
