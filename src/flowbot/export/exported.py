"""What every target needs of a workflow: its steps in order, and what each asks a model, as it goes over the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from flowbot.fields import Field, ToolSignature
from flowbot.workflow.nodes import CodeNode, LLMNode, Node, ToolNode
from flowbot.workflow.parameters import CodeParameters, LLMParameters
from flowbot.workflow.workflow import Workflow

Grade = Literal["exact", "scored"]
"""How a target is checked: its requests are those of the run, or it scores the same."""
LABELS, CANDIDATES = "choice.labels", "choice.candidates"
"""Places in the messages of a merge that a model judges, which joins what has arrived: the labels that may be chosen, as
`"A" or "B"`, and what they stand for, a line `A: …` each. What it is given beside them has its own name."""
STEPS = frozenset({"llm", "tool", "code", "branch", "merge", "loop", "map"})
"""The kinds of steps that there is a way of saying; one that comes later is said by no target until it names it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a message an input of the step stands: a text as it is, anything else as JSON."""

    name: str


@dataclass(frozen=True, slots=True)
class WireMessage:
    """One message as an endpoint gets it, but for the inputs.

    Args:
        role: who speaks.
        parts: texts and places in order; no two texts stand side by side.
    """

    role: Literal["system", "user", "assistant"]
    parts: tuple[str | Place, ...]

    def text(self, show: Callable[[str], str]) -> str:
        """The message, with what `show` says of an input at each of its places."""
        return "".join(show(part.name) if isinstance(part, Place) else part for part in self.parts)


@dataclass(frozen=True, slots=True)
class WireModel:
    """The model that a step asks.

    Args:
        name: its model string, as `openai/gpt-4.1-mini`.
        provider: what stands before the slash.
        wire: what the endpoint calls it.
        base_url: where that is; "" where only the user can know it.
        key: the environment variable that holds the key; "" where none is needed.
        base_variable: the one that names another place; "" where there is none.
    """

    name: str
    provider: str
    wire: str
    base_url: str
    key: str
    base_variable: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What a step asks a model.

    Args:
        model: which.
        messages: all of them in order: the system's, the demonstrations as turns, the request.
        shown: numbers of the first message of the demonstrations, and of the first behind them; equal where there are none.
        fields: what is asked for, in the order in which it is written.
        settings: the other members of a request's body, as they are sent: temperature, the ceiling of a reply…
        response_format: the member of that name; None where the reply is plain text.
        plain: whether the reply is the value itself, a text.
        own_words: whether it is a prompt of the user's own: nothing is added to it, and no reply is asked for again.
        samples: how often the model is asked, with other seeds.
        tools: names of the tools that it may call first.
        rounds: most rounds of such calls.
        seeds: whether the endpoint takes a seed.
        native_tools: whether the endpoint has tool calls of its own.
    """

    model: WireModel
    messages: tuple[WireMessage, ...]
    shown: tuple[int, int]
    fields: tuple[Field, ...]
    settings: Mapping[str, Any]
    response_format: Mapping[str, Any] | None
    plain: bool
    own_words: bool = False
    samples: int = 1
    tools: tuple[str, ...] = ()
    rounds: int = 0
    seeds: bool = True
    native_tools: bool = True

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """The JSON schema of the reply; None where it is plain text."""
        return None if self.response_format is None else self.response_format.get("json_schema", {}).get("schema")

    @property
    def system(self) -> str:
        """The system's message; "" where there is none. Only in a prompt of the user's own may it have places, shown as `{{name}}`."""
        first = self.messages[0]
        return first.text(mark) if first.role == "system" else ""

    @property
    def demonstrations(self) -> tuple[tuple[str, str], ...]:
        """The worked examples, each as the user's turn and the assistant's."""
        turns = [message.text(mark) for message in self.messages[slice(*self.shown)]]
        return tuple(zip(turns[::2], turns[1::2], strict=True))

    @property
    def user(self) -> WireMessage:
        """The request: the last message."""
        return self.messages[-1]


@dataclass(frozen=True, slots=True)
class ExportedStep:
    """One step.

    Args:
        path: as `refine/critic` for a step of a body.
        node: its kind, inputs and outputs.
        inputs: what it reads, by name; empty for steps with a body, and for merges but for what a judge is given.
        asked: what it asks a model; None where it asks none.
    """

    path: str
    node: Node
    inputs: Mapping[str, str]
    asked: Asked | None = None


@dataclass(frozen=True, slots=True)
class ExportedTool:
    """A tool that the workflow calls.

    Args:
        signature: its name, arguments and results.
        plain: whether it returns its one output `result` itself, not outputs by name.
        module: the module that it can be imported from; "" where it cannot.
        name: what it is called there.
        lacking: why it cannot be imported, in words; "" where it can.
    """

    signature: ToolSignature
    plain: bool = True
    module: str = ""
    name: str = ""
    lacking: str = ""


@dataclass(frozen=True, slots=True)
class Exported:
    """A workflow to be written in another form.

    Args:
        workflow: valid.
        name: of the workflow, an identifier.
        goal: what it is for, in a sentence; "" where nobody said.
        origin: where it comes from, in a line.
        steps: all of them, each after those that it waits for, a body's after the step that has it.
        tools: those that it calls, by name.
        trust_code: whether the code of its steps may be run outside of a sandbox.
    """

    workflow: Workflow
    name: str
    goal: str
    origin: str
    steps: tuple[ExportedStep, ...]
    tools: Mapping[str, ExportedTool] = field(default_factory=dict[str, ExportedTool])
    trust_code: bool = False

    def step(self, path: str) -> ExportedStep:
        """The step at a path.

        Raises:
            KeyError: if there is none.
        """
        found = next((step for step in self.steps if step.path == path), None)
        if found is None:
            raise KeyError(path)
        return found

    @property
    def asking(self) -> tuple[ExportedStep, ...]:
        """The steps that ask a model."""
        return tuple(step for step in self.steps if step.asked is not None)

    @property
    def models(self) -> tuple[WireModel, ...]:
        """The models that are asked, each once, in the order of the steps."""
        return tuple(dict.fromkeys(step.asked.model for step in self.steps if step.asked is not None))

    def code(self, path: str) -> str:
        """The text of the code step at a path."""
        parameters = self.workflow.parameter(path)
        return parameters.code if isinstance(parameters, CodeParameters) else ""


def mark(name: str) -> str:
    """How a place is written in a file: `{{name}}`."""
    return f"{{{{{name}}}}}"


def code_refusals(exported: Exported) -> list[str]:
    """A sentence for each code step that nobody has said may run outside of the sandbox."""
    return [
        f"step {step.path} runs code, which would run there without a sandbox: --trust-code embeds it"
        for step in exported.steps
        if isinstance(step.node, CodeNode) and not exported.trust_code
    ]


def tool_refusals(exported: Exported) -> list[str]:
    """A sentence for each tool of a step that cannot be imported by name."""
    said: list[str] = []
    for step in exported.steps:
        parameters = exported.workflow.parameter(step.path)
        called = (step.node.tool,) if isinstance(step.node, ToolNode) else ()
        if isinstance(step.node, LLMNode) and isinstance(parameters, LLMParameters):
            called = parameters.tools
        said += [
            f"step {step.path} calls the tool {name}: {exported.tools[name].lacking}"
            for name in called
            if exported.tools[name].lacking
        ]
    return said
