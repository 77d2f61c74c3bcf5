"""A program in words as a workflow: one node that carries it out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from flowbot.fields import Field, UserError
from flowbot.workflow.core import read_core
from flowbot.workflow.messages import FormatError
from flowbot.workflow.nodes import MAX_STEPS, CoreNode, Sketch
from flowbot.workflow.parameters import MOST_LETTERS, MOST_TOOLS, CoreParameters
from flowbot.workflow.workflow import Workflow

from .names import free, types_of

PLAN = "plan"
"""Name of the node."""
_FEWEST_STEPS = 20


def core_workflow(
    text: str,
    inputs: Sequence[Field],
    outputs: Sequence[Field],
    *,
    tools: Sequence[str] = (),
    max_steps: int | None = None,
    interpreter: Literal["compact", "faithful"] = "compact",
    where: str = "program",
) -> Workflow:
    """One `core` node that reads all inputs and gives all outputs.

    Args:
        text: the program; see `workflow.core`.
        inputs: what it is handed.
        outputs: what its terminal steps give.
        tools: names of the tools that its steps may call.
        max_steps: of a run; None: each step twice, and 20 at least.
        interpreter: of the node.
        where: how to name the text in an error, such as its file.

    Raises:
        FormatError: if the program has a defect; names the first, and has all.
        UserError: if there are more tools than a step may call.
    """
    program, defects = read_core(text)
    if defects:
        raise FormatError(where, defects)
    if len(tools) > MOST_TOOLS:
        raise UserError(
            "tools", f"{len(tools)} of them", f"{MOST_TOOLS} at most, which the steps of a program may call"
        )
    most = max_steps or min(MAX_STEPS, max(_FEWEST_STEPS, 2 * len(program.steps)))
    name = free(PLAN, [field.name for field in inputs])
    node = CoreNode(
        inputs={field.name: field.name for field in inputs},
        out=types_of(outputs),
        max_steps=most,
        interpreter=interpreter,
    )
    sketch = Sketch(
        inputs=types_of(inputs),
        outputs={field.name: f"{name}.{field.name}" for field in outputs},
        nodes={name: node},
    )
    lines = "".join(f"{line}\n" for line in text.strip().splitlines())
    told = CoreParameters(
        program=lines[:MOST_LETTERS], tools=tuple(tools)
    )  # of so many letters the last line end is left out
    return Workflow(sketch=sketch, parameters={name: told})
