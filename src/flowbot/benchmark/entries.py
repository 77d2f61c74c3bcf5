"""The parts of a bench file: tasks of sets, methods, models and ceilings, as they stand in it."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import ConfigDict, Field

from flowbot.fields.foreign import Closed
from flowbot.fields.numbers import LEAST, MOST
from flowbot.lm.budget import Budget
from flowbot.optimizer.seams import AskedMode, FeedbackMode, Order

from .peer import SECONDS


class _Entry(Closed):
    """A part of the file. Types are strict: `"1"` and `true` are no numbers."""

    model_config = ConfigDict(strict=True)


_Rows: TypeAlias = Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=3, max_length=3)] | None


class TaskOfFile(_Entry):
    """A task file, or its folder, and how many of its rows.

    Args:
        file: relative to the bench file.
        rows: the first so many of train, val and test; all when None.
    """

    file: str
    rows: _Rows = None


class TaskOfSet(_Entry):
    """A task made of a set of the field.

    Args:
        set: its name.
        data: folder or file of its rows, relative to the bench file, or `hf:…`.
        rows: how many of train, val and test; all when None.
        variant: which form of the task; the usual one when "".
    """

    set: str
    data: str
    rows: _Rows = None
    variant: str = ""


class _Method(_Entry):
    """Any method.

    Args:
        tasks: names of the tasks that it is run on, where it does not fit all of them; all when None.
    """

    tasks: Annotated[list[str], Field(min_length=1)] | None = None


class StartMethod(_Method):
    """A workflow as it stands: nothing is searched, validation and test are run."""

    start: str


class SearchMethod(_Method):
    """A method of `optimize`.

    Args:
        method: its name.
        start: the workflow that it improves; a single call that reasons when None.
        meta_mode: how the meta model is asked, as in `optimize`.
        feedback: what it is told of mistakes, as in `optimize`.
        order: which changes are tried first, as in `optimize`.
        objective, max_calls_per_example, max_nodes, max_latency, freeze: what is better and what no workflow may do, likewise.
    """

    method: str
    start: str | None = None
    meta_mode: AskedMode = "auto"
    feedback: FeedbackMode = "real"
    order: Order = "free"
    objective: str = "score"
    max_calls_per_example: Annotated[int, Field(ge=1, le=MOST)] | None = None
    max_nodes: Annotated[int, Field(ge=1, le=MOST)] | None = None
    max_latency: Annotated[float, Field(ge=LEAST, le=MOST)] | None = None
    freeze: Annotated[list[str], Field(default_factory=list[str])]

    def options(self) -> dict[str, Any]:
        """What `optimize` takes besides method and start."""
        return self.model_dump(exclude={"method", "start", "tasks"})


class PeerMethod(_Method):
    """A program of anybody's that searches, run as a command in an environment of its own.

    Args:
        command: its words; files are relative to the bench file.
        requirements: a requirements file of what it needs.
        seconds: that it may run.
    """

    command: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    requirements: str | None = None
    seconds: Annotated[float, Field(gt=0, le=30 * 86_400)] = SECONDS


MethodEntry: TypeAlias = StartMethod | SearchMethod | PeerMethod


class ModelsEntry(_Entry):
    """Model strings: what runs the steps, what writes feedback and changes, what judges; and `others` that a search may give to steps,
    as the `models` of `optimize`. Those that are None as there."""

    task: str
    meta: str | None = None
    judge: str | None = None
    others: Annotated[list[str], Field(max_length=20)] | None = None


class Ceilings(_Entry):
    """As of `Budget`."""

    calls: Annotated[int, Field(gt=0, le=MOST)] | None = None
    tokens: Annotated[int, Field(gt=0, le=MOST)] | None = None
    usd: Annotated[float, Field(ge=LEAST, le=MOST)] | None = None
    seconds: Annotated[float, Field(ge=LEAST, le=MOST)] | None = None

    def budget(self, name: str) -> Budget:
        """A new budget with these ceilings.

        Args:
            name: whose they are.
        """
        return Budget(self.calls, self.tokens, self.usd, self.seconds, name=name)


class SharedCeilings(Ceilings):
    """Ceilings over all cells together, and those of each `cell` within them."""

    cell: Ceilings = Ceilings()
