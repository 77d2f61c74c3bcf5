"""The guard: what a model proposes must not carry answers or copy training inputs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

from flowbot.task import Example, Task
from flowbot.workflow import Demonstration, LLMParameters, Workflow

SHORTEST = 12
"""Answers shorter than this (labels, yes and no, numbers) are exempt."""
RUN = 8
"""So many words in a row from a training input are a copy."""
_WORD = re.compile(r"\w+")


def copied(new: Workflow, old: Workflow, task: Task) -> str:
    """As `copied_text`, of every text of a workflow that another one does not have: instructions, hints, code, conditions,
    demonstrations. What is looked at is what a step would be told, however the reply that brought it spelt it."""
    known = set(_texts(old.dump()))
    return next((why for text in _texts(new.dump()) if text not in known and (why := copied_text(text, task))), "")


def copied_text(text: str, task: Task) -> str:
    """Why an instruction, hint or code that a model proposed is refused, or the empty string.

    No model is shown an answer of validation or test. One that knows them all the same, as from a public benchmark, must not
    bring them in; which row it was is not said, for the reason goes back to it.
    """
    kept_back = [example for split in ("val", "test") for example in task.splits.get(split, ())]
    why = copied_answer(text, task.splits["train"])
    return why or ("it holds an answer of an example kept back" if _answers(text, kept_back) else "")


def copied_answer(text: str, examples: Sequence[Example]) -> str:
    """Why `text` is refused, or the empty string.

    Args:
        text: an instruction, hint or code that a model proposed.
        examples: the training examples whose answers must not stand in it.
    """
    found = _answers(text, examples)
    if found is not None:
        return f"it copies the answer {found[0]} of training example {found[1]}"
    folded = _folded(text)
    for example in examples:
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


def _answers(text: str, examples: Sequence[Example]) -> tuple[str, str] | None:
    """The output's name and the example's id of the first answer that stands in the text."""
    folded = _folded(text)
    labels = _labels(examples)
    for example in examples:
        for name, value in example.expected.items():
            answer = _folded(str(value))
            if len(answer) >= SHORTEST and answer not in labels and answer in folded:
                return name, example.id
    return None


def _folded(text: str) -> str:
    return " ".join(_WORD.findall(text.casefold()))


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for each in cast("dict[str, Any]", data).values():
            yield from _texts(each)
    elif isinstance(data, list):
        for each in cast("list[Any]", data):
            yield from _texts(each)


def _labels(examples: Sequence[Example]) -> set[str]:
    """Answers that several examples share: labels."""
    seen: set[str] = set()
    labels: set[str] = set()
    for example in examples:
        for value in example.expected.values():
            answer = _folded(str(value))
            (labels if answer in seen else seen).add(answer)
    return labels
