"""The parts of a call that a gradient may be on: what may be changed of its step, and what it received of other calls."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from flowbot.optimizer.rendering import values_text
from flowbot.optimizer.step_view import has_step, step_at, steps_of
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.trace import Step
from flowbot.workflow.parameters import ChoiceParameters, CodeParameters, CoreParameters, LLMParameters
from flowbot.workflow.prompt import slots

from .runs import calls_of

_NOT_HERE = re.compile(
    r"(not here|no change)\b.*|(none|n/?a|nothing|nothing is wrong|no fault|empty|ok|-)?\W*", re.DOTALL
)
_LONGEST_NAME = 60


def suspects(program: WorkflowProgram) -> list[str]:
    """Paths of the steps that a model or code decides and that are not frozen, in the order of the sketch."""
    return [each.path for each in steps_of(program.workflow) if each.tuned and not each.frozen]


def is_tuned_part(part: str) -> bool:
    """Whether a part is one of a step's parameters: neither what a call gave ("") nor what it received (`in.NAME`)."""
    return bool(part) and not part.startswith("in.")


def parameters_of(program: WorkflowProgram, path: str) -> Mapping[str, str]:
    """The parameters of a step that words can speak of, by part, each as text; none of a frozen step.

    A hint is always there, since one may be added; of demonstrations and tools only those that the step has.
    """
    if not has_step(program.workflow, path):
        return {}  # a step that a program made
    step = step_at(program.workflow, path)
    if step.frozen or not step.tuned:
        return {}
    match step.told:
        case LLMParameters() as given:
            texts = {f"messages[{number}]": slot.text for number, slot in enumerate(slots(given.messages))}
            found = texts if given.messages else {"instruction": given.instruction}
            found["format_hint"] = given.format_hint
            if given.demonstrations:
                shown = (f"{values_text(each.inputs)}\n→ {values_text(each.outputs)}" for each in given.demonstrations)
                found["demonstrations"] = "\n\n".join(shown)
            if given.tools:
                found["tools"] = ", ".join(given.tools)
            return found
        case ChoiceParameters() as given:
            return {"instruction": given.instruction}
        case CodeParameters() as given:
            return {"code": given.code}
        case CoreParameters() as given:
            return {"program": given.program.strip()}
        case _:
            return {}


def parameters_of_call(program: WorkflowProgram, step: Step) -> Mapping[str, str]:
    """As of its step; of a program's call the texts that it used, each by its slot: those found together are peers."""
    if not step.texts:
        return parameters_of(program, step.node)
    return {
        slot: "\n".join(filter(None, parameters_of(program, slot).values()))
        for slot in step.texts
        if parameters_of(program, slot)
    }


def peers(rows: Iterable[Row], path: str) -> list[str]:
    """The texts that stand in the same requests as one text of a program, and so have to go with it."""
    return list(
        dict.fromkeys(each for row in rows for step in calls_of(row, path) for each in step.texts if each != path)
    )


def names_of(parts: Iterable[str]) -> dict[str, str]:
    """Parts by the names that a structured question has for them: `in.plan.query` is `input_plan_query`, no two alike."""
    found: dict[str, str] = {}
    for number, part in enumerate(parts, start=1):
        said = re.sub(r"\W+", "_", part.replace("in.", "input_", 1) if part.startswith("in.") else part).strip("_")
        found[said if said not in found and len(said) <= _LONGEST_NAME else f"part_{number}"] = part
    return found


def is_not_here(text: str) -> bool:
    """Whether feedback says that the fault lies elsewhere, in the words that questions offer for it, or says nothing."""
    return _NOT_HERE.fullmatch(text.strip().casefold()) is not None
