"""Steps that compound edits derive from an `llm` node: their parameters, inputs and merges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowbot.workflow.graph import free_name
from flowbot.workflow.nodes import LLMNode, MergeNode
from flowbot.workflow.parameters import MOST_LETTERS, ChoiceParameters, LLMParameters

from .draft import Draft


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
    prefix: str,
    sources: Sequence[str],
    out: Mapping[str, str],
    wish: str,
    parameters: ChoiceParameters | None = None,
    **fields: Any,
) -> None:
    """For each of the outputs a merge of the sources, called by the wish and the output, is read instead of the last source."""
    merges = {output: draft.fresh(f"{wish}_{output}") for output in out}
    for output, merge in merges.items():
        inputs = tuple(f"{source}.{output}" for source in sources)
        draft.add_beside(prefix, merge, MergeNode(inputs=inputs, out={output: out[output]}, **fields), parameters)
    taken = {f"{sources[-1]}.{output}": f"{merge}.{output}" for output, merge in merges.items()}
    draft.take_over(prefix, taken, but=[*sources, *merges.values()])


def beside(inputs: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Inputs and more of them, which get other names where theirs are taken."""
    found = dict(inputs)
    for key, reference in more.items():
        found[free_name(key, found)] = reference
    return found


def lines(first: str, second: str) -> str:
    """Two texts as one instruction, each on lines of its own."""
    return "\n".join(part for part in (first.strip(), second.strip()) if part)[:MOST_LETTERS]
