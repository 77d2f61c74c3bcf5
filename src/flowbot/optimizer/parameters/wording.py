"""The text of a step that is written anew, with what a question about it says of the step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from flowbot.optimizer.rendering import MOST_PROMPT, value_text
from flowbot.optimizer.step_view import step_at
from flowbot.workflow.parameters import ChoiceParameters, CodeParameters, CoreParameters, LLMParameters, Parameters
from flowbot.workflow.prompt import Slot, around, slots
from flowbot.workflow.workflow import Workflow

LIMIT_WORDS = 80
"""Of a new instruction; a text of the user's own may grow by a fifth where it is longer."""
PART = "[PART]"
"""Stands for the text that is written anew where the rest of its prompt is shown."""
Part: TypeAlias = Slot | Literal["format_hint"] | None
"""Which text of a step: one of a prompt of the user's own, its format hint, or its instruction, code or program."""


@dataclass(frozen=True, slots=True)
class Wording:
    """What is written anew of one step: its instruction, its format hint, its code, or one text of a prompt of the user's own.

    Args:
        kind: of the node.
        signature: what it reads and gives.
        text: as it is now.
        part: which of the step's texts it is.
        around: the rest of that prompt, `PART` in place of the text; "" where there is none.
        limit: words that a new one may have.
    """

    kind: str
    signature: str
    text: str
    part: Part
    around: str
    limit: int

    @property
    def what(self) -> str:
        """What is written: `code`, a `program` in words, a `format hint`, or an `instruction`."""
        if self.part == "format_hint":
            return "format hint"
        return {"code": "code", "core": "program"}.get(self.kind, "instruction")

    @property
    def growing(self) -> Wording:
        """The same where what stands is to be kept as far as it works: a long text may grow by a fifth, whosever it is."""
        return replace(self, limit=max(self.limit, len(self.text.split()) * 6 // 5))

    @staticmethod
    def of(workflow: Workflow, path: str, number: int = 0) -> Wording:
        """That of the step at a path; of several texts that of the number, see `texts_of`."""
        step = step_at(workflow, path)
        told = step.told
        part = texts_of(told)[number]
        own = part.text if isinstance(part, Slot) else text_at(told, None) if step.kind in ("text", "core") else None
        return Wording(
            kind=step.kind,
            signature=f"{', '.join(step.reads)} -> {step.gives_text}",
            text=text_at(told, part),
            part=part,
            around=_around(told, part) if isinstance(part, Slot) else "",
            limit=LIMIT_WORDS if own is None else max(LIMIT_WORDS, len(own.split()) * 6 // 5),
        )


def text_at(told: Parameters, part: Part) -> str:
    """What stands in place of a step's text: its code, its instruction, its hint, or what a prompt of the user's own has at that part now."""
    if isinstance(told, CodeParameters):
        return told.code
    if isinstance(told, CoreParameters):
        return told.program
    if isinstance(told, LLMParameters) and part == "format_hint":
        return told.format_hint
    if isinstance(told, LLMParameters) and isinstance(part, Slot):
        place = (part.message, part.part)
        return next((slot.text for slot in slots(told.messages) if (slot.message, slot.part) == place), "")
    return told.instruction if isinstance(told, LLMParameters | ChoiceParameters) else ""


def texts_of(told: Parameters) -> tuple[Part, ...]:
    """The texts of a step that may be written anew, each for itself: those of a prompt of the user's own, the longest first, or what it is
    told, then its format hint where it has one."""
    if not isinstance(told, LLMParameters):
        return (None,)
    found: tuple[Part, ...] = slots(told.messages) or (None,)
    return (*found, "format_hint") if told.format_hint.strip() else found


def _around(told: Parameters, part: Slot) -> str:
    """The prompt in which a text stands, where there is more of it."""
    assert isinstance(told, LLMParameters)  # it has a prompt
    shown = around(told.messages, part, PART)
    return "" if shown == PART else value_text(shown, MOST_PROMPT)
