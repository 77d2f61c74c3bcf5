"""What a change of a structure is, and what one can know of the step that it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from flowbot.fields import Type
from flowbot.optimizer.step_models import StepModels
from flowbot.runtime.evaluation import Row
from flowbot.task import Task
from flowbot.workflow.edits.basic import ReplaceNode
from flowbot.workflow.edits.edit import Edit
from flowbot.workflow.graph import all_names, free_name
from flowbot.workflow.nodes import LLMNode, Node
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.scope import Scope
from flowbot.workflow.starts import REASONING
from flowbot.workflow.workflow import Workflow

NO_CHOICE = StepModels()
"""Every step has the task model."""


@dataclass(frozen=True, slots=True)
class Change:
    """A concrete change of one structure.

    Args:
        kind: what is believed of its gain goes by this.
        place: path of the step that it is about.
        title: what it does, in a neutral sentence.
        build: the edits, from what the meta model writes for it: the code of the new computing step, or kinds of inputs (else "").
        variant: what sets it apart from others of its kind at this place.
        computes: the inputs and outputs (name to type text) of a new computing step that the meta model may write code for, or None.
        prior_code: what that step does while nobody has said better; "" where only the meta model can say.
        names_kinds: whether the meta model names the kinds of inputs that it is about, a line each, `name: what such an input is`.
        known: what that step would receive and is to give by the training rows, each with its id; code must be right on nearly all.
        gain: what it would gain in score on a recorded run, where one can tell without running it.
    """

    kind: str
    place: str
    title: str
    build: Callable[[str], list[Edit]]
    variant: str = ""
    computes: tuple[dict[str, str], dict[str, str]] | None = None
    prior_code: str = ""
    names_kinds: bool = False
    known: tuple[tuple[str, Mapping[str, Any], Mapping[str, Any]], ...] = ()
    gain: Callable[[Row], float] | None = None

    @property
    def key(self) -> str:
        """Its stable name among the changes of a workflow."""
        return ":".join(part for part in (self.kind, self.variant, self.place) if part)


@dataclass(frozen=True, slots=True)
class Place:
    """A step that changes are about.

    Args:
        workflow: that it is a step of.
        task: what is to be solved.
        path: where it stands.
        node: the step itself.
        scope: of the body that it stands in.
        models: those that a step may be given.
    """

    workflow: Workflow
    task: Task
    path: str
    node: Node
    scope: Scope
    models: StepModels = NO_CHOICE

    @property
    def name(self) -> str:
        """Its name in its body."""
        return self.path.rpartition("/")[2]

    def fresh(self, name: str) -> str:
        """The name, or it with a number, that nothing in the workflow has."""
        return free_name(name, all_names(self.workflow.sketch))

    def leaves(self) -> tuple[str, ...]:
        """What leaves its body: the references that the workflow's outputs, or a loop or map, take from it."""
        return self.scope.holder.ends()

    def unread(self, names: Iterable[str]) -> list[Edit]:
        """Edits that make the LLM calls beside it that read these of its outputs go on without them."""
        gone = {f"{self.name}.{name}" for name in names}
        edits: list[Edit] = []
        for name, reader in self.scope.nodes.items():
            if isinstance(reader, LLMNode) and gone & set(reader.inputs.values()):
                left = {key: ref for key, ref in reader.inputs.items() if ref not in gone}
                edits.append(
                    ReplaceNode(id=f"{self.scope.path}{name}", node=reader.model_copy(update={"inputs": left}))
                )
        return edits


@dataclass(frozen=True, slots=True)
class Call(Place):
    """A step that is an LLM call."""

    node: LLMNode

    @property
    def answers(self) -> dict[str, str]:
        """What it gives, but for its reasoning."""
        return {name: type_ for name, type_ in self.node.out.items() if name != REASONING}

    @property
    def told(self) -> LLMParameters:
        """Its parameters."""
        own = self.workflow.parameter(self.path)
        return own if isinstance(own, LLMParameters) else LLMParameters()

    def kinds(self) -> set[str]:
        """The kinds of types of its answers."""
        return {Type.parse(text).kind for text in self.answers.values()}

    def gives_parts(self) -> bool:
        """Whether an answer is more than a number or a label: a text, a list or an object."""
        return bool(self.kinds() & {"str", "list", "object"})

    def gives_text(self) -> bool:
        """Whether it gives free text that leaves its body: an answer, and not a note for another step."""
        return any(text == "str" and f"{self.name}.{name}" in self.leaves() for name, text in self.answers.items())

    def input_types(self) -> dict[str, Type]:
        """The types of what it reads, by input."""
        types = {name: self.scope.type_of(reference) for name, reference in self.node.inputs.items()}
        return {name: type_ for name, type_ in types.items() if type_ is not None}


Pattern: TypeAlias = Callable[[Place], Iterator[Change]]
"""Finds changes about a step; it yields none where it has none."""
