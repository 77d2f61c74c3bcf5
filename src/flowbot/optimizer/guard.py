"""The guard: what a model proposes must not carry answers or copy training inputs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, cast

from flowbot.fields import Type
from flowbot.task import Example, Task
from flowbot.workflow.parameters import Demonstration, LLMParameters
from flowbot.workflow.workflow import Workflow

SHORTEST = 12
"""Answers shorter than this (labels, yes and no, numbers) are exempt."""
RUN = 8
"""So many words in a row from a training input are a copy."""
_WORD = re.compile(r"\w+")


class Guard:
    """Looks through what a model proposes for a task. Made once a search: the examples are gone through once, at the first look.

    Labels are no secret: an answer that several examples share, of whatever splits, an option of an output's `Literal`, and
    what stands in the task's goal or in the workflow that is changed may stand in what is proposed. Its worked examples do
    not count: each is left out where its own row is scored, as no instruction can be.
    """

    def __init__(self, task: Task) -> None:
        self._task = task

    def copied(self, new: Workflow, old: Workflow) -> str:
        """As `copied_text`, of every text of a workflow that another one does not have: instructions, hints, code, conditions,
        demonstrations. What is looked at is what a step would be told, however the reply that brought it spelt it."""
        had = set(_texts(old.dump()))
        known = _known(old)
        return next((why for text in _texts(new.dump()) if text not in had and (why := self._why(text, known))), "")

    def copied_text(self, text: str, old: Workflow) -> str:
        """Why an instruction, hint or code that a model proposed is refused, or the empty string.

        No model is shown an answer of validation or test. One that knows them all the same, as from a public benchmark, must
        not bring them in; which row it was is not said, for the reason goes back to it.

        Args:
            text: what the model wrote.
            old: the workflow that is changed.
        """
        return self._why(text, _known(old))

    def _why(self, text: str, known: str) -> str:
        words = folded(text)
        if len(words) < SHORTEST:
            return ""
        for answer, why in self._answers.items():
            if answer in words and answer not in known:
                return why
        for window in windows(words):
            if (why := self._inputs.get(hash(window))) and window not in known:
                return why
        return ""

    @cached_property
    def _answers(self) -> dict[str, str]:
        """Why what holds it is refused, by the answer; those of training come first."""
        options = {folded(option) for field in self._task.outputs for option in options_of(field.type)}
        goal = folded(self._task.goal)
        seen: Counter[str] = Counter()
        found: dict[str, str] = {}
        for split in ("train", "val", "test"):
            for example in self._task.splits.get(split, ()):
                for name, value in example.expected.items():
                    answer = folded(str(value))
                    seen[answer] += 1
                    texts = [folded(each) for each in _texts(value)]
                    if len(answer) < SHORTEST or answer in goal or (texts and options.issuperset(texts)):
                        continue
                    kept_back = "it holds an answer of an example kept back"
                    copies = f"it copies the answer {name} of training example {example.id}"
                    found[answer] = copies if split == "train" else kept_back
        return {answer: why for answer, why in found.items() if seen[answer] == 1}

    @cached_property
    def _inputs(self) -> dict[int, str]:
        """Why what holds it is refused, by the hash of `RUN` words in a row of a training input: the words themselves would
        take eight times the room of the inputs."""
        goal, training = folded(self._task.goal), self._task.splits["train"]
        found: dict[int, str] = {}
        for example in training:
            for name, value in example.inputs.items():
                if len(training) > 1 and all(each.inputs[name] == value for each in training):
                    continue  # what every example is given tells nothing of one
                why = f"it copies {RUN} words of the input {name} of training example {example.id}"
                for window in windows(folded(str(value))):
                    if window not in goal:
                        found.setdefault(hash(window), why)
        return found


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


def options_of(type_: Type) -> Iterator[str]:
    """The options of every Literal in a type."""
    yield from type_.options
    for inner in (type_.item, *(member for _, member in type_.members)):
        if inner is not None:
            yield from options_of(inner)


def _known(workflow: Workflow) -> str:
    """The texts of a workflow, but for its worked examples; none goes over into the next."""
    return "\n".join(folded(text) for text in _texts(workflow.dump(), but="demonstrations"))


def windows(text: str, run: int = RUN) -> Iterator[str]:
    """All `run` words in a row of a folded text."""
    words = text.split(" ")
    return (" ".join(words[start : start + run]) for start in range(len(words) - run + 1))


def folded(text: str) -> str:
    """A text as its words in small letters alone."""
    return " ".join(_WORD.findall(text.casefold()))


def _texts(data: Any, *, but: str = "") -> Iterator[str]:
    """All texts in JSON data, those in members of the name `but` left out."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for name, each in cast("dict[str, Any]", data).items():
            if name != but:
                yield from _texts(each, but=but)
    elif isinstance(data, list):
        for each in cast("list[Any]", data):
            yield from _texts(each, but=but)
