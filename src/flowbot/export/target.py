"""The seam to a target, and which there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from flowbot.fields import UserError
from flowbot.fields.near import one_of
from flowbot.workflow.nodes import CoreNode, Node, ProgramNode

from .exported import Exported, Grade


class Target(Protocol):
    """A form that a workflow can be written in. It calls nothing, and writes nothing itself.

    Failure policy: what it cannot say is refused, see `refusals`; what is not, it writes.
    """

    @property
    def name(self) -> str:
        """As `--to` has it."""
        ...

    @property
    def about(self) -> str:
        """What is written, in a few words."""
        ...

    @property
    def grade(self) -> Grade:
        """How it is checked: `exact`, it makes the requests of the run, byte for byte; `scored`, its wire format differs, and it is to score
        the same."""
        ...

    @property
    def says(self) -> frozenset[str]:
        """The kinds of steps that it can say; one that is not named here is refused."""
        ...

    def refuses(self, exported: Exported) -> list[str]:
        """What it cannot say of steps of these kinds, a sentence each that names the step; none where it can say all."""
        ...

    def files(self, exported: Exported) -> Mapping[str, str]:
        """The texts of its files by their path in the folder."""
        ...


def refusals(target: Target, exported: Exported) -> list[str]:
    """What a target cannot say of a workflow, a sentence each that names the step; none where it can say all."""
    unsaid = [step for step in exported.steps if step.node.kind not in target.says]
    return [f"step {step.path} {_unsaid(step.node, target)}" for step in unsaid] or target.refuses(exported)


def _unsaid(node: Node, target: Target) -> str:
    if isinstance(node, ProgramNode):
        return f"runs {node.call}, a program already: fb.use(FILE) lets it run as it was found, and --to source writes that into its files"
    if isinstance(node, CoreNode):
        return "is a program in words, which FlowBot carries out: flowbot import --lift makes steps of it"
    return f"is of the kind {node.kind}, which {target.name} cannot say"


def targets() -> Mapping[str, Target]:
    """All targets by name."""
    from .dspy import DSPy
    from .langgraph import LangGraph
    from .prompts import Prompts
    from .pydantic_ai import PydanticAI
    from .python import Python

    known: Sequence[Target] = (Prompts(), Python(), LangGraph(), DSPy(), PydanticAI())
    return {target.name: target for target in known}


def find_target(name: str) -> Target:
    """The target of that name.

    Raises:
        UserError: if there is none.
    """
    known = targets()
    if name not in known:
        raise UserError("--to", repr(name), one_of(name, [*known, "core", "source"]))  # the verb knows these two
    return known[name]
