"""A workflow for DSPy: a module with a signature for each step that asks a model, and an adapter that sends the messages as found."""

from __future__ import annotations

from typing import Any

from flowbot.workflow.parameters import LLMParameters

from .exported import CANDIDATES, LABELS, Exported, ExportedStep, Place, WireMessage
from .framework import Framework, annotation, arguments, joined
from .python_text import kind_source, members_source, quoted, text_source
from .python_wiring import Names, flow_source

_PRIVILEGED = frozenset(
    ("config", "demos", "instructions", "lm", "max_iters", "new_signature", "prediction", "signature")
)
"""Inputs that a predictor takes for itself."""


class DSPy(Framework):
    """One file for dspy 3."""

    name = "dspy"
    about = "a module with a signature a step, for DSPy"
    needs = ("dspy>=3.4.1,<4",)
    modules = ("dspy",)
    own = frozenset({"Flow", "Messages", "Step", "Choice", "Judge", "fields"})

    def refuses(self, exported: Exported) -> list[str]:
        """Besides, outputs that no signature can have."""
        return super().refuses(exported) + [
            f"step {step.path} gives {each.name}, and a signature has no field of such a name: pydantic-ai can say it"
            for step in exported.asking
            for each in (step.asked.fields if step.asked is not None else ())
            if each.name.startswith(("_", "model_"))
        ]

    def called(self, name: str, step: ExportedStep) -> str:
        """The predictor of a step that asks a model."""
        return name if step.asked is None else f"self.{name}.acall"

    def context(self, exported: Exported, names: Names) -> dict[str, Any]:
        """The predictors by the names of their steps, and the lines of the function."""
        predictors = {names.functions[step.path]: _predictor(exported, step, names) for step in exported.asking}
        passed = ", ".join(f"{name}={name}" for name in exported.workflow.sketch.inputs)
        return {"predictors": predictors, "passed": passed, "flow": flow_source(exported, names)}


def _predictor(exported: Exported, step: ExportedStep, names: Names) -> dict[str, Any]:
    asked, parameters = step.asked, exported.workflow.parameter(step.path)
    assert asked is not None
    outputs = [each.name for each in asked.fields]
    inputs = {name: _field(name, outputs) for name in step.inputs}
    fields = [*inputs.values(), *(("labels", "shown") if step.node.kind == "merge" else ())]
    of = {**inputs, LABELS: "labels", CANDIDATES: "shown"}
    said, told = _instructed(asked.messages[: asked.shown[0]] + asked.messages[asked.shown[1] :], parameters)
    members = dict.fromkeys(fields, "(Any, dspy.InputField())")
    members |= {each.name: f"({annotation(each.type)}, dspy.OutputField())" for each in asked.fields}
    listed = "".join(
        f"{name}: {member},\n" for name, member in ((quoted(name), each) for name, each in members.items())
    )
    demonstrations = parameters.demonstrations if isinstance(parameters, LLMParameters) else ()
    return {
        "attribute": names.functions[step.path].split(".")[1],
        "members": listed.rstrip("\n"),
        "instructions": joined(text_source([said], str)) if said else '""',
        "fields": fields,
        "messages": [
            {"role": each.role, "text": joined(text_source(each.parts, lambda name: f"text_of({of[name]})" if name else "instructions"))}
            for each in told
        ],
        "read": members_source({each.name: kind_source(each.type) for each in asked.fields}),
        "renamed": {names.variable(name): each for name, each in inputs.items() if names.variable(name) != each},
        "demonstrations": [
            arguments({inputs[name]: value for name, value in each.inputs.items()} | each.outputs) for each in demonstrations
        ],
    }  # fmt: skip


def _field(name: str, outputs: list[str]) -> str:
    """The field of an input: no output, nothing that a predictor takes for itself, nothing that pydantic refuses."""
    fits = name not in outputs and name not in _PRIVILEGED and not name.startswith(("_", "model_"))
    return name if fits else f"given_{name.strip('_')}"


def _instructed(messages: tuple[WireMessage, ...], parameters: Any) -> tuple[str, list[WireMessage]]:
    """What a signature says, and the messages with a place for it, whose name is empty. A prompt of the user's own has none, and is sent as
    it stands."""
    texts = (getattr(parameters, "instruction", ""), getattr(parameters, "format_hint", ""))
    said = "\n".join(text.strip() for text in texts if text.strip())
    first = messages[0]
    text = first.parts[0] if first.role == "system" else ""
    if getattr(parameters, "messages", ()) or not said or not isinstance(text, str) or not text.startswith(said):
        return said, list(messages)
    parts = (Place(""), *(each for each in (text[len(said) :], *first.parts[1:]) if each))
    return said, [WireMessage("system", parts), *messages[1:]]
