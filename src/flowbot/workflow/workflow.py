"""A workflow: a sketch and the parameters of its nodes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from flowbot.fields import Field, stable_hash
from flowbot.fields.arguments import FILE, checked_arguments
from flowbot.fields.foreign import Closed
from flowbot.fields.words import brief, listed

from .captions import kind_text
from .file import FORMAT, read_parts, write_data
from .nodes import Sketch, node_at, walk
from .parameters import PARAMETERS, LLMParameters, Parameters, ProgramParameters


class HasFields(Protocol):
    """A task, as far as a workflow knows of it."""

    @property
    def inputs(self) -> tuple[Field, ...]: ...  # noqa: D102
    @property
    def outputs(self) -> tuple[Field, ...]: ...  # noqa: D102


class Workflow(Closed):
    """A sketch and the parameters of its nodes by address. Immutable; equal content has equal `hash`.

    A notebook shows its drawing, and the prompts below.

        >>> workflow = fb.Workflow.load("found.flow.yaml")
        >>> workflow.parameter("answer").instruction
        'Count how many items the customer orders in all.'
        >>> fb.Flow(workflow, lm="openai/gpt-4.1-mini")(note="Two pens, please")
        {'total': 2}
    """

    sketch: Sketch
    parameters: dict[str, Parameters]

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON of sketch and parameters.

        Canonical JSON sorts keys, so the orders that change what a run does are hashed beside it: of the nodes, and of
        each node's inputs, outputs and ways, and in what fills places of a program (a model that reasons before it answers is not one that reasons after).
        """
        order = [
            [
                path,
                list(getattr(node, "inputs", ())),
                list(node.gives),
                *([list(node.ways)] if node.kind == "branch" else []),
                *([json.dumps(told.slots)] if isinstance(told := self.parameters.get(path), ProgramParameters) else []),
            ]
            for path, node in walk(self.sketch)
        ]
        return stable_hash({"workflow": self.dump(), "order": order})

    def parameter(self, node: str) -> Parameters:
        """The parameters of the node at a path; those of its kind with nothing set where the file gives none. `app:plan` is the text
        `plan` of the program `app`, as the parameters of a call that is told it; `app:after/revise` the step `revise` of what fills its
        place `after`."""
        path, _, text = node.partition(":")
        given = self.parameters.get(path)
        if given is None:
            given = PARAMETERS[node_at(self.sketch, path).kind]()
        if not text or not isinstance(given, ProgramParameters):
            return given
        place, _, inner = text.partition("/")
        return self.filling(path, place).parameter(inner) if inner else given.told(text)

    def filling(self, path: str, place: str) -> Workflow:
        """What fills a place of the program at a path.

        Raises:
            KeyError: if nothing does.
            UserError: if what stands there is no workflow.
        """
        told = self.parameters[path]
        data = told.slots[place] if isinstance(told, ProgramParameters) else {}
        return Workflow.from_data({"flowbot": FORMAT, **data}, f"parameters.{path}.slots.{place}")

    def with_parameter(self, node: str, parameters: Parameters) -> Workflow:
        """The same workflow with other parameters for one node, or one text of a program."""
        path, _, text = node.partition(":")
        if text and isinstance(program := self.parameter(path), ProgramParameters):
            place, _, inner = text.partition("/")
            if inner:
                filling = self.filling(path, place).with_parameter(inner, parameters).dump()
                slots = {**program.slots, place: {name: part for name, part in filling.items() if name != "flowbot"}}
                return self.with_parameter(path, program.model_copy(update={"slots": slots}))
            assert isinstance(parameters, LLMParameters)  # as `parameter` gives them
            return self.with_parameter(path, program.with_told(text, parameters))
        return Workflow(sketch=self.sketch, parameters={**self.parameters, node: parameters})

    @staticmethod
    @checked_arguments(path=FILE)
    def load(path: str | Path) -> Workflow:
        """The workflow of a file. Reading it runs no code.

        Raises:
            UserError: if the file is missing, no YAML or JSON, or not in the format; names the file and every such place.
        """
        from flowbot.fields.yaml import read_data

        return Workflow.from_data(read_data(Path(path)), str(path))

    @staticmethod
    def from_data(data: Any, where: str = "workflow") -> Workflow:
        """The workflow of JSON data in the file format, as `dump` gives it.

        Args:
            data: what was read.
            where: how to name it in an error, such as the file's path.

        Raises:
            UserError: names the place, what was found and what was expected.
        """
        sketch, parameters = read_parts(data, where)
        return Workflow(sketch=sketch, parameters=parameters)

    @staticmethod
    def from_prompt(prompt: str | Sequence[Mapping[str, Any]], task: HasFields) -> Workflow:
        """One call that sends a prompt of your own as it stands, each input of the task at its places.

            >>> fb.Workflow.from_prompt("Which queue is this for?\\n\\n{subject}\\n{body}", task)

        Args:
            prompt: a text with places such as `{subject}`, `{{subject}}`, `$subject`, `%(subject)s` or `<subject>`; or messages as
                chat endpoints take them, `{"role": "system", "content": "…"}` each. Without any place the inputs follow it.
            task: the task, for its inputs and outputs.

        Raises:
            UserError: if it is empty, or a message is malformed.
        """
        from .starts.prompted import read_prompt

        read = read_prompt(prompt, "prompt", {field.name: () for field in task.inputs})
        sketch, parameters = read.call(task.inputs, task.outputs)
        return Workflow(sketch=sketch, parameters=parameters)

    def save(self, path: str | Path) -> None:
        """Write the workflow to a `.yaml`, `.yml` or `.json` file, replacing it at once or not at all.

        Raises:
            UserError: if the file's name ends in none of these, or it cannot be written.
        """
        write_data(self.dump(), path)

    def dump(self) -> dict[str, Any]:
        """The workflow as JSON data in the file format (DESIGN: `flowbot: 1`, inputs, outputs, nodes, parameters)."""
        dumped = {name: each.model_dump(mode="json", exclude_defaults=True) for name, each in self.parameters.items()}
        said = {name: each for name, each in dumped.items() if each}
        return {"flowbot": FORMAT, **self.sketch.dump(), **({"parameters": said} if said else {})}

    @property
    def summary(self) -> str:
        """What it takes and gives, and its steps, in a line: `note → total, 2 nodes: answer (llm), compute (code)`."""
        nodes = [f"{path} ({kind_text(node)})" for path, node in walk(self.sketch)]
        counted = f"{len(nodes)} node{'s' * (len(nodes) != 1)}"
        fields = f"{listed(self.sketch.inputs, 5)} → {listed(self.sketch.outputs, 5)}"
        return brief(f"{fields}, {counted}: {listed(nodes, 8)}", 400)

    def __repr__(self) -> str:
        return f"Workflow({self.summary})"

    __str__ = __repr__
