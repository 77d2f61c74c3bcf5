"""The texts of a program that a package may write anew, by place: `step#instruction`, `step#format_hint`, `step#code`, `step#program`, or one text
of a prompt of the user's own, `step#messages[2]`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from flowbot.optimizer.feedback.parts import suspects
from flowbot.optimizer.parameters.accept import accepted
from flowbot.optimizer.parameters.wording import Part
from flowbot.optimizer.seams import Context
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.parameters import ChoiceParameters, CodeParameters, CoreParameters, LLMParameters
from flowbot.workflow.prompt import slots

LIMIT_WORDS = 600
"""Of a text: published optimisers write long ones."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text stands.

    Args:
        path: of the step.
        part: its parameter, as feedback names it.
        text: what stands there.
        slot: the text of a prompt of the user's own, or the format hint; None for instruction and code.
    """

    path: str
    part: str
    text: str
    slot: Part = None

    def __str__(self) -> str:
        return f"{self.path}#{self.part}"


def places(program: WorkflowProgram) -> dict[str, Place]:
    """The texts that may be written anew, in the order of the sketch; of steps that are frozen none."""
    found = [each for path in suspects(program) for each in _of_step(program, path)]
    return {str(each): each for each in found}


def rewritten(
    context: Context,
    program: WorkflowProgram,
    known: Mapping[str, Place],
    texts: Mapping[str, str],
    question: str,
    quotable: Sequence[str] = (),
) -> tuple[WorkflowProgram | None, str]:
    """The program with other texts, or None with what is wrong with the first that cannot stand.

    Args:
        context: of the search.
        program: what `known` was read from.
        known: its places.
        texts: what is to stand there, by place.
        question: what was asked of the meta model, whose words are no answer.
        quotable: what of it may be.
    """
    changed = program
    for name, place in known.items():
        if (text := texts.get(name, place.text)) == place.text:
            continue
        new, fault = accepted(
            context,
            changed.workflow,
            place.path,
            text,
            question=question,
            quotable=quotable,
            part=place.slot,
            limit=LIMIT_WORDS,
        )
        if new is None:
            return None, f"{name}: {fault}"
        changed = changed.with_slot(place.path, new)
    return changed, ""


def _of_step(program: WorkflowProgram, path: str) -> Iterator[Place]:
    match program.workflow.parameter(path):
        case LLMParameters() as told:
            texts = sorted(slots(told.messages), key=lambda slot: (slot.message, slot.part))
            several = Counter(slot.message for slot in texts)
            for slot in texts:
                within = f"[{slot.part}]" if several[slot.message] > 1 else ""
                yield Place(path, f"messages[{slot.message}]{within}", slot.text, slot)
            if not told.messages:
                yield Place(path, "instruction", told.instruction)
            if told.format_hint:
                yield Place(path, "format_hint", told.format_hint, "format_hint")
        case ChoiceParameters() as told:
            yield Place(path, "instruction", told.instruction)
        case CodeParameters() as told:
            yield Place(path, "code", told.code)
        case CoreParameters() as told:
            yield Place(path, "program", told.program)
        case _:
            return
