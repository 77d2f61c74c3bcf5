"""The parameters of a node: what the inner loop may change. One class a kind, told apart by the node's kind."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Annotated, Any, Self

from pydantic import Discriminator, Field, Tag, field_validator
from pydantic_core import PydanticCustomError

from flowbot.fields.foreign import Closed, short
from flowbot.program.places import unfilled
from flowbot.program.watching import SPEAKERS, Pair, Scalar

from .prompt import MOST_MESSAGES, PromptMessage, Slot, plain_text, reworded, slots

MOST_LETTERS = 8000
"""Of an instruction, and of code."""
CATALOGUE_SAMPLES = 10
"""Most samples of one step that an edit may ask for."""
CATALOGUE_TEMPERATURE = 1.0
"""Highest temperature that an edit may ask for."""
_MOST_SAID = 6000
"""Of messages as the instruction of another step, which has more to say."""
MOST_TOOLS = 32
"""That one step may call."""
MOST_TOKENS = 1_000_000
"""Of a reply; no model writes more."""


class Demonstration(Closed):
    """One worked example shown to a model: the node's inputs and the outputs wanted.

    `example` names the training example that it comes from, so that it is left out when that example is scored.
    """

    inputs: dict[str, Any]
    outputs: dict[str, Any]
    example: str = ""


class LLMParameters(Closed):
    """Parameters of an `llm` node."""

    instruction: str = Field(default="", max_length=MOST_LETTERS)
    """Plain text, never a template."""
    messages: tuple[PromptMessage, ...] = Field(default=(), max_length=MOST_MESSAGES)
    """A prompt of the user's own, in place of an instruction: sent as it stands, each input at its places."""
    format_hint: str = Field(default="", max_length=2000)
    """What is to be said of the reply; with `messages` it is one last part, after the user's words."""
    demonstrations: tuple[Demonstration, ...] = Field(default=(), max_length=16)
    model: str | None = None
    """Model string; None: the run's task model."""
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    max_tokens: int | None = Field(default=None, ge=1, le=MOST_TOKENS)
    samples: int = Field(default=1, ge=1, le=100)
    """Times the model is asked; a `merge` that reads the node joins all, any other node reads the first."""
    tools: tuple[str, ...] = Field(default=(), max_length=MOST_TOOLS)
    """Tools that the model may call before it answers."""

    @property
    def instruction_text(self) -> str:
        """What the step is asked for, as a text that can be the instruction of another."""
        return self.instruction or plain_text(self.messages)[:_MOST_SAID].rstrip()

    def with_text(self, text: str, slot: Slot | None = None) -> Self:
        """The same with `text` as the instruction, or in a slot of the messages: in the longest where none is named."""
        if not self.messages:
            return self.model_copy(update={"instruction": text})
        chosen = slot or next(iter(slots(self.messages)), None)
        return self.model_copy(update={"messages": reworded(self.messages, chosen, text)})

    def with_added_text(self, text: str) -> Self:
        """The same with `text` behind what is said already."""
        if not self.messages:
            return self.model_copy(update={"instruction": f"{self.instruction} {text}"})
        return self.model_copy(update={"format_hint": f"{self.format_hint}\n{text}".strip()})


class ChoiceParameters(Closed):
    """Parameters of a step in which a model picks: a `branch` among its labels, a `merge` that judges its candidates."""

    instruction: str = Field(default="", max_length=MOST_LETTERS)
    """Plain text, never a template."""
    model: str | None = None
    """Model string; None: the run's task model."""


class CodeParameters(Closed):
    """Parameters of a `code` node: Python that defines `run(...)`, whose arguments are the node's inputs by name and
    which returns a dict of its outputs."""

    code: str = Field(default="", max_length=MOST_LETTERS)


class CoreParameters(Closed):
    """Parameters of a `core` node."""

    program: str = Field(default="", max_length=MOST_LETTERS)
    """The program's text, a step a line; see `workflow.core`."""
    tools: tuple[str, ...] = Field(default=(), max_length=MOST_TOOLS)
    """Tools that its steps may call."""
    model: str | None = None
    """Model string; None: the run's task model."""
    max_tokens: int | None = Field(default=None, ge=1, le=MOST_TOKENS)
    """Of each reply."""


class TunedText(Closed):
    """A text of a program with its worked examples."""

    text: str = Field(max_length=MOST_LETTERS)
    demonstrations: tuple[Demonstration, ...] = Field(default=(), max_length=16)
    turns: bool = False
    """The program sends them as turns of the conversation; else they stand behind the text."""

    def shown(self, example: str = "") -> str:
        """The text with its worked examples behind it, but for that of the example which is scored."""
        told = [self.text]
        for each in self.but(example):
            values = (*each.inputs.items(), *each.outputs.items())
            told.append(unfilled(self.text, "\n".join(f"{name}: {_plainly(value)}" for name, value in values)))
        heading = "Examples, sent as turns:" if self.turns else "Examples:"
        return told[0] if len(told) == 1 else "\n\n".join((told[0], heading, *told[1:]))

    def pairs(self, example: str = "") -> tuple[Pair, ...]:
        """The worked examples as turns, but for that of the example which is scored: what was received is what the user says, but for
        earlier replies in it."""
        return tuple(pair for each in self.but(example) for pair in _pairs(each))

    def but(self, example: str) -> list[Demonstration]:
        """The worked examples that do not come from an example."""
        return [each for each in self.demonstrations if not (example and each.example == example)]


def _pairs(shown: Demonstration) -> Iterator[Pair]:
    """The inputs of a model's call are its messages by who says them: `user`, `assistant`, `user#2`."""
    user, reply = SPEAKERS
    said = [(reply if name.partition("#")[0] == reply else user, value) for name, value in shown.inputs.items()]
    said += [(reply, value) for value in shown.outputs.values()]
    turns = [(who, "\n\n".join(_plainly(value) for _, value in each)) for who, each in groupby(said, itemgetter(0))]
    told = [text for _, text in turns[turns[0][0] == reply :]] if turns else []  # a conversation begins with the user
    return zip(told[::2], told[1::2], strict=False)


def _form(data: Any) -> str:
    return "<tuned>" if isinstance(data, dict | TunedText) else "<text>"


_Text = Annotated[
    Annotated[str, Field(max_length=MOST_LETTERS), Tag("<text>")] | Annotated[TunedText, Tag("<tuned>")],
    Discriminator(_form),
]


class ProgramParameters(Closed):
    """Parameters of a `program` node: what the program declares, by name. What is not named is as in its source."""

    texts: dict[str, _Text] = Field(default_factory=dict, max_length=64)
    values: dict[str, Any] = Field(default_factory=dict, max_length=64)
    slots: dict[str, dict[str, Any]] = Field(default_factory=dict, max_length=32)
    """What fills places of the program: workflows as in a file, each with one output, which is one of its inputs."""

    @field_validator("values")
    @classmethod
    def _scalars(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name, value in values.items():
            if not isinstance(value, Scalar):
                context = {
                    "place": f"values.{name}",
                    "found": short(value),
                    "expected": "a number, a text, true or false",
                }
                raise PydanticCustomError("explained", "{place}: found {found}; expected {expected}", context)
        return values

    def text(self, name: str, example: str = "") -> str | None:
        """A text as the program reads it; None: as in its source."""
        found = self.texts.get(name)
        if not isinstance(found, TunedText):
            return found
        return found.text if found.turns else found.shown(example)

    def turns(self, name: str, example: str = "") -> tuple[Pair, ...] | None:
        """The worked examples of a text that the program sends as turns; None: as in its source."""
        found = self.texts.get(name)
        return found.pairs(example) if isinstance(found, TunedText) and found.turns else None

    def readable(self, name: str) -> str:
        """A text with all its worked examples, for people."""
        found = self.texts[name]
        return found.shown() if isinstance(found, TunedText) else found

    def plain_text(self, name: str) -> str:
        """A text without its worked examples; "" where it is as in the source."""
        found = self.texts.get(name, "")
        return found.text if isinstance(found, TunedText) else found

    def told(self, name: str) -> LLMParameters:
        """A text as the parameters of a model call that is told it."""
        found = self.texts.get(name, "")
        shown = found.demonstrations if isinstance(found, TunedText) else ()
        return LLMParameters(instruction=self.plain_text(name), demonstrations=shown)

    def with_told(self, name: str, told: LLMParameters) -> Self:
        """The same with these of a text: the instruction, the hint behind it, and worked examples. The program says the rest."""
        text = "\n".join(filter(None, (told.instruction, told.format_hint)))[:MOST_LETTERS]
        turns = self.turns(name) is not None
        tuned = TunedText(text=text, demonstrations=told.demonstrations, turns=turns)
        return self.model_copy(update={"texts": {**self.texts, name: tuned if told.demonstrations or turns else text}})


def _plainly(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class NoParameters(Closed):
    """`tool`, `loop` and `map` nodes have nothing to tune; the nodes of a body have their own."""


Parameters = LLMParameters | ChoiceParameters | CodeParameters | CoreParameters | ProgramParameters | NoParameters

PARAMETERS: dict[
    str,
    type[LLMParameters | ChoiceParameters | CodeParameters | CoreParameters | ProgramParameters | NoParameters],
] = {
    "llm": LLMParameters,
    "branch": ChoiceParameters,
    "merge": ChoiceParameters,
    "code": CodeParameters,
    "program": ProgramParameters,
    "core": CoreParameters,
    "tool": NoParameters,
    "loop": NoParameters,
    "map": NoParameters,
}
"""The class of parameters that goes with each kind of node."""

WRITABLE: Mapping[type[Parameters], tuple[str, ...]] = {
    LLMParameters: ("instruction", "messages", "format_hint", "demonstrations", "tools", "temperature", "samples"),
    ChoiceParameters: ("instruction",),
    CodeParameters: ("code",),
    CoreParameters: ("program", "tools"),
    ProgramParameters: ("texts", "values"),
    NoParameters: (),
}
"""What an edit that is read from data may set; of the messages of a step that has some, the texts alone. Which model is asked, and how much it may write, is the user's to say."""


def unwritable(parameters: Parameters) -> str:
    """Why an edit that is read from data may not bring these parameters, in words for who wrote it; "" where it may.

    Which tools there are the checker knows.
    """
    may = WRITABLE[type(parameters)]
    for name in sorted(parameters.model_fields_set):
        value = getattr(parameters, name)
        if name not in may and value != type(parameters).model_fields[name].get_default(call_default_factory=True):
            what = f"an edit sets {', '.join(may)}, and nothing else" if may else "an edit sets nothing here"
            return f"found {name} {value!r:.60}; {what}: leave {name} out, the step keeps its own"
    if isinstance(parameters, LLMParameters):
        if parameters.samples > CATALOGUE_SAMPLES:
            return f"found samples {parameters.samples}; ask for {CATALOGUE_SAMPLES} at most"
        if parameters.temperature > CATALOGUE_TEMPERATURE:
            return f"found temperature {parameters.temperature:g}; set {CATALOGUE_TEMPERATURE:g} at most"
    return ""
