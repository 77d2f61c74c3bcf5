"""The guard: what a model proposes must not carry training answers or copy training inputs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from flowbot.task import Example
from flowbot.workflow import Demonstration, LLMParameters, Workflow

SHORTEST = 12
"""Answers shorter than this (labels, yes and no, numbers) are exempt."""
RUN = 8
"""So many words in a row from a training input are a copy."""
_WORD = re.compile(r"\w+")


def copied_answer(text: str, examples: Sequence[Example]) -> str:
    """Why `text` is refused, or the empty string.

    Args:
        text: an instruction, hint or code that a model proposed.
        examples: the training examples whose answers must not stand in it.
    """
    folded = " ".join(_WORD.findall(text.casefold()))
    labels = _labels(examples)
    for example in examples:
        for name, value in example.expected.items():
            answer = " ".join(_WORD.findall(str(value).casefold()))
            if len(answer) >= SHORTEST and answer not in labels and answer in folded:
                return f"it copies the answer {name} of training example {example.id}"
        for name, value in example.inputs.items():
            words = _WORD.findall(str(value).casefold())
            for start in range(len(words) - RUN + 1):
                if " ".join(words[start : start + RUN]) in folded:
                    return f"it copies {RUN} words of the input {name} of training example {example.id}"
    return ""


def unsourced(before: Workflow, after: Workflow, examples: Sequence[Example]) -> str:
    """Why the demonstrations that `after` has and `before` has not are refused, or the empty string.

    Args:
        before: the workflow that was changed.
        after: what a model made of it.
        examples: the training examples, from which alone demonstrations come; one is left out where its own is scored.
    """
    known = {each.id for each in examples}
    had = [shown for _, shown in _shown(before)]
    for path, shown in _shown(after):
        if shown not in had and shown.example not in known:
            return f"{path}: a demonstration names as example {shown.example!r:.60}, which is no training example"
    return ""


def _shown(workflow: Workflow) -> Iterator[tuple[str, Demonstration]]:
    for path, told in workflow.parameters.items():
        if isinstance(told, LLMParameters):
            yield from ((path, each) for each in told.demonstrations)


def _labels(examples: Sequence[Example]) -> set[str]:
    """Answers that several examples share: labels."""
    seen: set[str] = set()
    labels: set[str] = set()
    for example in examples:
        for value in example.expected.values():
            answer = " ".join(_WORD.findall(str(value).casefold()))
            (labels if answer in seen else seen).add(answer)
    return labels
