"""The library of starts: hand-written workflows of the literature, one file each beside this module.

A file is an ordinary workflow. The comment lines above it say what it is, its goal (the sentence that `fit` replaces by that
of a task), its source, and perhaps a note. Its first input stands for whatever a task gives, its first output for whatever a
task wants. A further output is what it is, for tasks that have one of that name and type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from importlib.resources import files
from types import MappingProxyType

from flowbot.fields import UserError
from flowbot.fields.yaml import parse_data
from flowbot.workflow.nodes import LLMNode, ToolNode, walk
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.scope import Scope
from flowbot.workflow.workflow import Workflow

PACKAGE = "flowbot.workflow.starts"

NAMES = (
    "single-call",
    "chain-of-thought",
    "self-consistency",
    "react",
    "self-refine",
    "debate",
    "program-of-thought",
    "plan-and-solve",
    "retrieve-then-read",
    "multi-hop-qa",
    "multi-hop-claims",
    "papillon",
    "generate-test-revise",
)
"""The starts there are, in the order in which they are listed."""


@dataclass(frozen=True)
class Start:
    """One start.

    Args:
        name: how it is asked for.
        text: its file, whole.
        what: what it does, in a sentence.
        goal: the sentence in its instructions that stands for a task's goal.
        source: where it comes from.
        note: what else a user should know; may be empty.
    """

    name: str
    text: str
    what: str
    goal: str
    source: str
    note: str = ""

    @cached_property
    def workflow(self) -> Workflow:
        """The workflow as the file has it."""
        where = f"{self.name}.flow.yaml"
        return Workflow.from_data(parse_data(self.text, where), where)

    @property
    def input(self) -> str:
        """The input that stands for all inputs of a task."""
        return next(iter(self.workflow.sketch.inputs))

    @property
    def inputs(self) -> Mapping[str, str]:
        """The inputs that a task must have by name: name to type."""
        return MappingProxyType({n: kind for n, kind in self.workflow.sketch.inputs.items() if n != self.input})

    @property
    def output(self) -> str:
        """The output that stands for all outputs of a task."""
        return next(iter(self.workflow.sketch.outputs))

    @property
    def tools(self) -> tuple[str, ...]:
        """Names of the tools that its steps call."""
        called = (node.tool for _, node in walk(self.workflow.sketch) if isinstance(node, ToolNode))
        return tuple(dict.fromkeys(called))

    @property
    def chooses_tools(self) -> bool:
        """Whether a model picks among the tools of the task."""
        return any(isinstance(told, LLMParameters) and told.tools for told in self.workflow.parameters.values())

    @property
    def wants(self) -> str | None:
        """The type of the one output that a task must have; None where any outputs will do, since a model gives them."""
        sketch = self.workflow.sketch
        if any(isinstance(node, LLMNode) and self.output in node.out for _, node in walk(sketch)):
            return None
        return str(Scope.of(sketch).type_of(sketch.outputs[self.output]))

    @property
    def models(self) -> Mapping[str, str]:
        """The models that its steps name: step to model string."""
        told = self.workflow.parameters.items()
        return MappingProxyType(
            {path: each.model for path, each in told if isinstance(each, LLMParameters) and each.model}
        )

    @property
    def needs(self) -> tuple[str, ...]:
        """What a task must have, and which models the steps name, in words."""
        found = [f"the tool {name}" for name in self.tools]
        found += ["a tool" if self.chooses_tools else ""]
        found += [f"an input {name}: {kind}" for name, kind in self.inputs.items()]
        found += [f"one output of type {self.wants}" if self.wants else ""]
        found += [f"{model} for {path}" for path, model in self.models.items()]
        return tuple(each for each in found if each)


def list_starts() -> tuple[Start, ...]:
    """All starts, the simplest first."""
    return tuple(_read(name) for name in NAMES)


def find_start(name: str) -> Start:
    """The start of that name.

    Raises:
        UserError: if there is none; names those that are near.
    """
    if name not in NAMES:
        near = get_close_matches(name, NAMES, n=2)
        raise UserError("start", repr(name), " or ".join(near) or f"one of {', '.join(NAMES)}")
    return _read(name)


def _read(name: str) -> Start:
    text = (files(PACKAGE) / f"{name}.flow.yaml").read_text(encoding="utf-8")
    what, *said = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ")]
    header = dict(line.split(": ", 1) for line in said)
    return Start(name, text, what, header["Goal"], header["Source"], header.get("Note", ""))
