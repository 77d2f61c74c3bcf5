"""The seam to a target, and which there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from flowbot.fields import UserError
from flowbot.fields.near import one_of

from .exported import Exported, Grade


class Target(Protocol):
    """A form that a workflow can be written in. It calls nothing, and writes nothing itself.

    Failure policy: what it cannot say it names in `refuses`; what `refuses` lets pass it writes.
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

    def refuses(self, exported: Exported) -> list[str]:
        """What it cannot say, a sentence each that names the step; none where it can say all."""
        ...

    def files(self, exported: Exported) -> Mapping[str, str]:
        """The texts of its files by their path in the folder."""
        ...


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
        raise UserError("--to", repr(name), one_of(name, known))
    return known[name]
