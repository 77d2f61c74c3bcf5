"""A prompt of a user's own: messages of literal texts and places for inputs, sent as they stand.

The texts are what tuning may change; the places stay. Nothing in them is an expression.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from flowbot.fields.foreign import Closed

MOST_LITERAL = 100_000
"""Letters of one text of a prompt."""
MOST_PARTS = 200
"""Of one message."""
MOST_MESSAGES = 64
_MARKS_ONLY = re.compile(r"[^\w{}]*(?:\w+(?:['’ -]+\w+){0,4}[^\w]*[:=][^\w]*|</?[^<>]{1,40}>\s*|(?:```|~~~)\w*\s*)?")
"""A line beside a place that only names or frames what stands there: `Question:`, `<ticket>`, a fence, a blank."""
_LONGEST_LABEL = 80
_FEWEST_LETTERS = 20


class Ref(Closed):
    """A place in a prompt: the value of this input of the node stands there."""

    ref: str


def _form(data: Any) -> str:
    return "<place>" if isinstance(data, dict | Ref) else "<text>"


Part = Annotated[
    Annotated[str, Field(min_length=1, max_length=MOST_LITERAL), Tag("<text>")] | Annotated[Ref, Tag("<place>")],
    Discriminator(_form),
]


class PromptMessage(Closed):
    """One message of a prompt: who speaks, and its texts and places in order."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[Part, ...] = Field(min_length=1, max_length=MOST_PARTS)

    @property
    def refs(self) -> tuple[str, ...]:
        """The inputs at its places, in order."""
        return tuple(part.ref for part in self.parts if isinstance(part, Ref))

    def filled(self, show: Callable[[str], str]) -> str:
        """Its text, with what `show` says of an input at each of its places."""
        return "".join(show(part.ref) if isinstance(part, Ref) else part for part in self.parts)


Prompt = tuple[PromptMessage, ...]


@dataclass(frozen=True, slots=True)
class Slot:
    """A text of a prompt that may be written anew: `before`, `text` and `behind` are the literal at `parts[part]` of
    `messages[message]`. What frames a place beside it is no part of `text`.
    """

    message: int
    part: int
    before: str
    text: str
    behind: str


def places(prompt: Prompt) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The roles of the messages with the inputs at their places: what a rewrite keeps."""
    return tuple((message.role, message.refs) for message in prompt)


def last_request(prompt: Prompt) -> int:
    """The number of the last message of the user, of the last message where there is none: what is added to a prompt stands
    at its end.
    """
    return max((number for number, message in enumerate(prompt) if message.role == "user"), default=len(prompt) - 1)


def prompt_text(prompt: Prompt) -> str:
    """A prompt for a person or a model to read: each message under its role, places as `{question}`."""
    if len(prompt) == 1 and prompt[0].role == "user":
        return prompt[0].filled(_braced)
    return "\n\n".join(f"[{message.role}]\n{message.filled(_braced)}" for message in prompt)


def plain_text(prompt: Prompt) -> str:
    """What a prompt asks for as one plain text, for a step that is made of it and has inputs of its own."""
    texts = [(message.role, message.filled(_braced).strip()) for message in prompt]
    said = (f"Example of an answer:\n{text}" if role == "assistant" else text for role, text in texts if text)
    return "\n\n".join(said)


def slots(prompt: Prompt) -> tuple[Slot, ...]:
    """The texts that say what to do, the longest first: those of the system, and of the user's last message.

    Earlier turns are the user's examples; a few letters between two places say nothing, unless nothing else does.
    """
    last = last_request(prompt)
    found = [
        slot
        for number, message in enumerate(prompt)
        if message.role == "system" or number == last
        for slot in _slots(number, message)
    ]
    ranked = sorted(found, key=lambda slot: -len(slot.text))
    return tuple(slot for rank, slot in enumerate(ranked) if rank == 0 or len(slot.text) >= _FEWEST_LETTERS)


def reworded(prompt: Prompt, slot: Slot | None, text: str) -> Prompt:
    """The prompt with another text, not a blank one, in a slot; where it has none, with it as the system's, before all others."""
    text = text.strip()[:MOST_LITERAL]
    if slot is None:
        return (PromptMessage(role="system", parts=(text,)), *prompt)
    parts = list(prompt[slot.message].parts)
    room = MOST_LITERAL - len(slot.before) - len(slot.behind)
    parts[slot.part] = f"{slot.before}{text[:room]}{slot.behind}"
    return _with(prompt, slot.message, parts)


def around(prompt: Prompt, slot: Slot, mark: str) -> str:
    """The prompt to read, with a mark in place of the slot's text."""
    return prompt_text(reworded(prompt, slot, mark))


def following(prompt: Prompt, inputs: Collection[str]) -> Prompt:
    """The prompt for a node that reads other inputs now: places of those that are gone go, and those that are new are
    shown by name at the end of the user's last message.
    """
    kept = [(each, tuple(p for p in each.parts if not isinstance(p, Ref) or p.ref in inputs)) for each in prompt]
    left = tuple(each.model_copy(update={"parts": parts}) for each, parts in kept if parts)
    shown = {ref for message in left for ref in message.refs}
    more = [part for name in inputs if name not in shown for part in (f"\n\n{name}: ", Ref(ref=name))]
    last = last_request(left)
    if not more:
        return left
    if not left:
        return ()
    return _with(left, last, [*left[last].parts, *more])


def _with(prompt: Prompt, number: int, parts: Sequence[str | Ref]) -> Prompt:
    made = PromptMessage(role=prompt[number].role, parts=tuple(parts))
    return (*prompt[:number], made, *prompt[number + 1 :])


def _slots(number: int, message: PromptMessage) -> Iterator[Slot]:
    for at, part in enumerate(message.parts):
        if isinstance(part, Ref):
            continue
        lines = part.splitlines(keepends=True)
        start, end = 0, len(lines)
        if at + 1 < len(message.parts):  # a place follows: what stands before it on its line, and lines that frame it
            end -= not lines[-1].endswith(("\n", "\r"))
            while end > start and _frames(lines[end - 1]):
                end -= 1
        if at > 0:
            start = 1
            while start < end and _frames(lines[start]):
                start += 1
        told = "".join(lines[start:end])
        if not told.strip() and (at == 0 or not _frames(part)):
            start, told = 0, part  # the place stands within its only sentence
        if re.search(r"\w", told):
            begin = len("".join(lines[:start])) + len(told) - len(told.lstrip())
            text = told.strip()
            yield Slot(number, at, part[:begin], text, part[begin + len(text) :])


def _frames(line: str) -> bool:
    return len(line) <= _LONGEST_LABEL and _MARKS_ONLY.fullmatch(line) is not None


def _braced(name: str) -> str:
    return f"{{{name}}}"
