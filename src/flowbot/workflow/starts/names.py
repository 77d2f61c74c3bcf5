"""What every start of one call has: a free name, and the sketch of a call that gives all outputs of a task."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from flowbot.fields import Field
from flowbot.workflow.nodes import LLMNode, Sketch

_LONGEST = 48
"""Characters that are kept of a name; a field's name has at most 64."""


def free(wish: str, taken: Iterable[str]) -> str:
    """The wished name, cut if it is very long, with underscores after it until nothing else has it."""
    names = set(taken)
    name = wish[:_LONGEST]
    while name in names:
        name += "_"
    return name


def types_of(fields: Sequence[Field]) -> dict[str, str]:
    """Names to types, as a sketch has them."""
    return {field.name: str(field.type) for field in fields}


def one_call(
    inputs: Sequence[Field], outputs: Sequence[Field], read: Collection[str], first: Mapping[str, str]
) -> tuple[str, Sketch]:
    """One `llm` node that gives all outputs, by its name, and the sketch.

    Args:
        inputs: the task's.
        outputs: the task's.
        read: the inputs that the call reads.
        first: what it gives before the outputs: name to type.
    """
    name = free("answer", [field.name for field in inputs])
    call = LLMNode(inputs={each: each for each in read}, out={**first, **types_of(outputs)})
    ends = {field.name: f"{name}.{field.name}" for field in outputs}
    return name, Sketch(inputs=types_of(inputs), outputs=ends, nodes={name: call})
