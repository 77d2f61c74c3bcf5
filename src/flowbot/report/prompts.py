"""The whole prompt of each step, as it goes to the model, with `{{name}}` where an input goes: to read and to copy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flowbot.export.exported import ExportedStep, mark
from flowbot.export.exporting import exported
from flowbot.fields import UserError
from flowbot.program.watching import SPEAKERS
from flowbot.workflow.captions import kind_text
from flowbot.workflow.parameters import (
    ChoiceParameters,
    CodeParameters,
    CoreParameters,
    LLMParameters,
    Parameters,
    ProgramParameters,
)
from flowbot.workflow.workflow import Workflow

_ANY = "fake/any"
"""Stands for a model of which nothing is known: what depends on it is left out."""


@dataclass(frozen=True, slots=True)
class StepPrompt:
    """What a step is told.

    Args:
        step: its path.
        kind: what it is, in a word or two.
        model: the model that it asks; "" for a step that asks none, and where nobody knows.
        messages: role and text of each message; none for a step of code.
        code: the code of a step that has some, or its program in words.
        settings: what else a request has, as temperature.
        response_format: what the reply is held to; None where it is plain text.
    """

    step: str
    kind: str
    model: str
    messages: tuple[tuple[str, str], ...]
    code: str
    settings: Mapping[str, Any]
    response_format: Mapping[str, Any] | None

    @property
    def text(self) -> str:
        """All of it as one text: each message under its role in brackets, but for a lone one of the user; or the code."""
        if len(self.messages) == 1 and self.messages[0][0] == "user":
            return self.messages[0][1]
        return self.code or "\n\n".join(f"[{role}]\n{text}" for role, text in self.messages)

    def dump(self) -> dict[str, Any]:
        """As JSON data: messages as an endpoint takes them."""
        return {
            "step": self.step,
            "kind": self.kind,
            "model": self.model or None,
            "messages": [{"role": role, "content": text} for role, text in self.messages],
            "code": self.code or None,
            "settings": dict(self.settings),
            "response_format": self.response_format,
        }


def step_prompts(workflow: Workflow, model: str | None) -> tuple[StepPrompt, ...]:
    """What the steps of a workflow are told, in their order: those that ask a model or run code.

    Args:
        workflow: a valid one.
        model: model string of the steps that name none; None where nobody knows.
    """
    try:
        steps = exported(workflow, model=model or _ANY).steps
    except UserError:  # of a provider that is not there: the messages do not depend on it
        steps = exported(_nameless(workflow), model=_ANY).steps
    told = (_told(step, workflow) for step in steps)
    return tuple(each for each in told if each.messages or each.code)


def _told(step: ExportedStep, workflow: Workflow) -> StepPrompt:
    parameters, asked = workflow.parameters.get(step.path), step.asked
    return StepPrompt(
        step=step.path,
        kind=kind_text(step.node),
        model="" if asked is None or asked.model.name == _ANY else asked.model.name,
        messages=_texts(parameters) if asked is None else tuple((e.role, e.text(mark)) for e in asked.messages),
        code=_written(parameters),
        settings={} if asked is None else asked.settings,
        response_format=None if asked is None else asked.response_format,
    )


def _written(parameters: Parameters | None) -> str:
    """The code of a step, or its program in words."""
    if isinstance(parameters, CoreParameters):
        return parameters.program
    return parameters.code if isinstance(parameters, CodeParameters) else ""


def _texts(parameters: Parameters | None) -> tuple[tuple[str, str], ...]:
    """The texts of a program, by name, each with the turns that are sent with it."""
    told = parameters if isinstance(parameters, ProgramParameters) else ProgramParameters()
    found = (((name, told.text(name) or ""), *_turns(told, name)) for name in told.texts)
    return tuple(each for one in found for each in one)


def _turns(told: ProgramParameters, name: str) -> Iterator[tuple[str, str]]:
    return (turn for pair in told.turns(name) or () for turn in zip(SPEAKERS, pair, strict=True))


def _nameless(workflow: Workflow) -> Workflow:
    for path, parameters in workflow.parameters.items():
        if isinstance(parameters, LLMParameters | ChoiceParameters) and parameters.model:
            workflow = workflow.with_parameter(path, parameters.model_copy(update={"model": None}))
    return workflow
