"""The guard: what a model proposes must not carry training answers or copy training inputs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from flowbot.task import Example

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


def _labels(examples: Sequence[Example]) -> set[str]:
    """Answers that several examples share: labels."""
    seen: set[str] = set()
    labels: set[str] = set()
    for example in examples:
        for value in example.expected.values():
            answer = " ".join(_WORD.findall(str(value).casefold()))
            (labels if answer in seen else seen).add(answer)
    return labels
