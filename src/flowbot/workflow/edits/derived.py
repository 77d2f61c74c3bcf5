"""Steps that compound edits derive from an `llm` node: their parameters, inputs and merges."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from flowbot.workflow.nodes import LLMNode, MergeNode
from flowbot.workflow.parameters import MOST_LETTERS, ChoiceParameters, LLMParameters

from .draft import Draft, free, split


def like(node: LLMNode, parameters: LLMParameters, new: LLMParameters | str) -> LLMParameters:
    """Parameters of a node that is derived from another; a text is their instruction.

    It asks the same model, unless they name one and may, and writes as much at most, unless they say otherwise.
    """
    own = LLMParameters(instruction=new) if isinstance(new, str) else new
    model = parameters.model if node.model == "pinned" or own.model is None else own.model
    most = parameters.max_tokens if own.max_tokens is None else own.max_tokens
    return own.model_copy(update={"model": model, "max_tokens": most})


def in_stead(node: LLMNode, parameters: LLMParameters, new: LLMParameters | str) -> LLMParameters:
    """As `like`, of a node that gives what the other gave: it may call the same tools, unless they name some."""
    own = like(node, parameters, new)
    return own.model_copy(update={"tools": own.tools or parameters.tools})


def merge_each(
    draft: Draft,
    path: str,
    read: Collection[str],
    wish: str,
    *,
    also: Sequence[str] = (),
    parameters: ChoiceParameters | None = None,
    **fields: Any,
) -> None:
    """A merge for each output of a node that is read, which is read in its stead.

    Args:
        draft: where it is made.
        path: the node.
        read: its outputs that are read.
        wish: what the merges are called, with the output.
        also: other nodes of the body whose outputs of the same names they join, before those of the node.
        parameters: of the merges.
        fields: what else the merges are.
    """
    node = draft.node(path)
    out: dict[str, str] = getattr(node, "out", {})
    prefix, name = split(path)
    merges: dict[str, str] = {}
    for output in read:
        merges[output] = draft.fresh(f"{wish}_{output}")
        inputs = tuple(f"{source}.{output}" for source in (*also, name))
        merge = MergeNode(inputs=inputs, out={output: out[output]}, **fields)
        draft.add_beside(prefix, merges[output], merge, parameters)
    taken = {f"{name}.{output}": f"{merge}.{output}" for output, merge in merges.items()}
    draft.take_over(prefix, taken, but=[name, *also, *merges.values()])


def beside(inputs: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Inputs and more of them, which get other names where theirs are taken."""
    found = dict(inputs)
    for key, reference in more.items():
        found[free(key, found)] = reference
    return found


def lines(first: str, second: str) -> str:
    """Two texts as one instruction, each on lines of its own."""
    return "\n".join(part for part in (first.strip(), second.strip()) if part)[:MOST_LETTERS]
