"""A single call, with or without reasoning: the start that a search has unless it is given another."""

from __future__ import annotations

from collections.abc import Iterable

from flowbot.fields import Field, UserError
from flowbot.workflow.parameters import MOST_LETTERS, LLMParameters
from flowbot.workflow.workflow import Workflow

from .names import free, one_call

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

    Raises:
        UserError: if the goal is longer than an instruction may be.
    """
    if len(goal.strip()) > MOST_LETTERS:
        raise UserError("goal", f"{len(goal.strip()):,} letters", f"a sentence, at most {MOST_LETTERS:,} letters")
    names = [field.name for field in (*task_inputs, *task_outputs)]
    thought = {free(REASONING, names): "str"} if reasoning else {}
    name, sketch = one_call(task_inputs, task_outputs, [field.name for field in task_inputs], thought)
    hints = [reasoning_hint(field.name for field in task_outputs)] if reasoning else []
    hints += [f"{field.name}: {field.about}" for field in task_outputs if field.about]
    parameters = LLMParameters(instruction=goal.strip(), format_hint="\n".join(hints))
    return Workflow(sketch=sketch, parameters={name: parameters})
