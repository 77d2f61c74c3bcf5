"""A user's own prompt as a start: one call that sends it as it stands, with the task's inputs at its places."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from flowbot.fields import Field, UserError
from flowbot.fields.chat import chat_of, read_chat
from flowbot.fields.prompt import Mark, divided
from flowbot.workflow.messages import explain
from flowbot.workflow.nodes import Sketch
from flowbot.workflow.parameters import LLMParameters, Parameters
from flowbot.workflow.prompt import Part, Prompt, PromptMessage, Ref

from .names import one_call

_LABEL = re.compile(r"[^\w]*(?:(?:\w+['’ ]?){1,2}[:=])?[^\w]*")
"""What stands on a line beside a place that only shows an input."""
_ARTICLE = re.compile(r"\b(the|this|that|these|an?|my|your|following|given) the (?=\w)", re.I)


@dataclass(frozen=True, slots=True)
class Prompted:
    """A prompt with the inputs of a task at its places.

    Args:
        messages: what is sent.
        used: the inputs that have a place, in order; all of them where the prompt has none and they follow it.
        kept: what looks like a place and names no input: it is sent as it stands.
        notes: how it was read, in words, and what of it could not be kept.
    """

    messages: Prompt
    used: tuple[str, ...]
    kept: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def asks(self) -> str:
        """What it asks for, for people: words in the inputs' places, without lines that only show one and without answers."""
        said: list[str] = []
        for message in self.messages:
            if message.role != "assistant":
                marked = message.filled(lambda name: f"\ufdd0{name}\ufdd1")
                lines = (line for line in marked.splitlines() if not _only_shows(line))
                said += [
                    re.sub("\ufdd0(.*?)\ufdd1", lambda found: f"the {found[1].replace('_', ' ')}", "\n".join(lines))
                ]
        return _ARTICLE.sub(r"\1 ", "\n\n".join(said)).strip()

    def call(self, inputs: Sequence[Field], outputs: Sequence[Field]) -> tuple[Sketch, dict[str, Parameters]]:
        """The sketch and the parameters of one call that sends the prompt and gives all outputs.

        Args:
            inputs: the task's.
            outputs: the task's.
        """
        name, sketch = one_call(inputs, outputs, self.used, {})
        return sketch, {name: LLMParameters(messages=self.messages)}


def read_prompt(prompt: str | Sequence[Mapping[str, Any]], where: str, inputs: Mapping[str, Iterable[str]]) -> Prompted:
    """A prompt as a user has it, byte for byte, with the inputs at its places.

    A prompt without a place is an instruction, and the inputs follow it: a text as the system's message, a chat with them at
    the end of its last request.

    Args:
        prompt: the text of a file: one message, a JSON list of messages, or `System:` and `User:` sections; or messages as chat
            endpoints take them.
        where: how errors name it.
        inputs: for each input of the task the other names that a place may have for it.

    Raises:
        UserError: if it is empty, malformed as a chat, or too long.
    """
    chat = read_chat(prompt, where) if isinstance(prompt, str) else chat_of(prompt, where)
    spoken = tuple((role, text) for role, text in chat.messages if text)
    if not any(text.strip() for _, text in spoken):
        raise UserError(where, "nothing", "a prompt")
    found = divided([text for _, text in spoken], inputs)
    notes = [*([chat.form] if chat.form else []), *chat.notes]
    divided_up = zip(spoken, found.texts, strict=True)
    parted = [
        (role, [Ref(ref=part.input) if isinstance(part, Mark) else part for part in parts])
        for (role, _), parts in divided_up
    ]
    messages = _checked(where, [{"role": role, "parts": parts} for role, parts in parted])
    for (_, text), parts in zip(spoken, found.texts, strict=True):
        if "".join(part.written if isinstance(part, Mark) else part for part in parts) != text:
            notes.append("doubled braces, % or $ are single ones, as Python's templates have them")
            break
    notes += [f"{mark} is text: doubled braces are no place in a format string" for mark in found.escaped]
    used = found.inputs
    if not used:
        used = tuple(inputs)
        messages = _with_inputs(messages, used, plain=not chat.form)
        notes.append("it has no place for an input: the inputs follow it")
    elif missing := [name for name in inputs if name not in used]:
        notes.append(f"no place for {', '.join(missing)}: not shown to the model")
    if messages[-1].role == "assistant":
        notes.append("it ends in the assistant's words, which the model is to go on from")
    return Prompted(messages, used, found.kept, tuple(dict.fromkeys(notes)))


def _with_inputs(messages: Prompt, inputs: Sequence[str], *, plain: bool) -> Prompt:
    """A prompt without places, and the inputs behind it, as a step that has an instruction shows them."""
    shown: list[Part] = []
    for name in inputs:
        shown += [] if len(inputs) == 1 else [f"{name}: " if not shown else f"\n{name}: "]
        shown.append(Ref(ref=name))
    if plain:
        return (PromptMessage(role="system", parts=messages[0].parts), PromptMessage(role="user", parts=tuple(shown)))
    *before, last = messages
    if last.role == "user":
        return (*before, PromptMessage(role="user", parts=(*last.parts, "\n\n", *shown)))
    return (*messages, PromptMessage(role="user", parts=tuple(shown)))


def _checked(where: str, messages: Sequence[Mapping[str, Any]]) -> Prompt:
    try:
        return LLMParameters.model_validate({"messages": messages}).messages
    except ValidationError as error:
        place, found, expected = explain(error)
        raise UserError(f"{where}: {place}", found, expected) from None


def _only_shows(line: str) -> bool:
    """Whether a line shows an input and nothing else, but for a label."""
    bare = re.sub("\ufdd0.*?\ufdd1", "", line)
    return bare != line and len(bare) < 80 and _LABEL.fullmatch(bare) is not None
