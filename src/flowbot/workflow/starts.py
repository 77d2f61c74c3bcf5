"""Starting points: workflows written from a task alone."""

from __future__ import annotations

from collections.abc import Iterable

from flowbot.fields import Field

from .nodes import LLMNode, Sketch
from .parameters import LLMParameters
from .workflow import Workflow

REASONING = "reasoning"
"""Name of the text field in which a step thinks before it answers."""


def reasoning_hint(answers: Iterable[str]) -> str:
    """What a step with a reasoning field is told about it (chain of thought, Wei et al. 2022; short: small models)."""
    given = ", ".join(answers)
    return f"Think step by step in {REASONING}, in one or two short sentences, then give {given}."


def single_call(
    task_inputs: tuple[Field, ...], task_outputs: tuple[Field, ...], goal: str, *, reasoning: bool
) -> Workflow:
    """One `llm` node that reads all inputs and gives all outputs.

    Args:
        task_inputs: the task's inputs.
        task_outputs: the task's outputs.
        goal: becomes the instruction.
        reasoning: True: the model writes its reasoning into a text field before the outputs (a chain of thought).
    """
    inputs = {field.name: str(field.type) for field in task_inputs}
    outputs = {field.name: str(field.type) for field in task_outputs}
    node = _free("answer", inputs)
    thought = _free(REASONING, (*inputs, *outputs))
    hints = [reasoning_hint(outputs)] if reasoning else []
    hints += [f"{field.name}: {field.about}" for field in task_outputs if field.about]
    call = LLMNode.model_validate(
        {"in": {name: name for name in inputs}, "out": {thought: "str", **outputs} if reasoning else outputs}
    )
    return Workflow(
        sketch=Sketch(inputs=inputs, outputs={name: f"{node}.{name}" for name in outputs}, nodes={node: call}),
        parameters={node: LLMParameters(instruction=goal.strip(), format_hint="\n".join(hints))},
    )


def _free(wish: str, taken: Iterable[str]) -> str:
    """The wished name, with underscores after it until nothing else has it."""
    names = set(taken)
    while wish in names:
        wish += "_"
    return wish
