"""How many choices of the meta model change when only the mistakes that it is shown are swapped.

The product asks its own questions three times, greedily: as they are, with other mistakes of the same program in place of those
that were shown, and without any. Order of options, system prompt and everything else stay. A critic that reads what it is shown
changes its mind; one that does not is worth what it says without looking.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal, NamedTuple

from flowbot.fields import Field
from flowbot.optimizer.feedback.ballots import BallotCritic
from flowbot.optimizer.feedback.blame import Blame
from flowbot.optimizer.feedback.runs import failing
from flowbot.optimizer.search import Search
from flowbot.optimizer.structure.catalogue_changes import CatalogueChanges
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.task import Task
from flowbot.workflow.workflow import Workflow

from .searching import Ground, searching

Shown = Literal["as asked", "other mistakes", "no mistakes"]
SHOWN: tuple[Shown, ...] = ("as asked", "other mistakes", "no mistakes")


class Question(NamedTuple):
    """What stays when mistakes are swapped: the system prompt, and which of the questions that begin with it."""

    system: str
    number: int


@dataclass
class Listening(Search):
    """A search that keeps which label each question to the meta model was answered with.

    Args:
        swaps: whether other mistakes of the same program are shown than were asked about.
    """

    swaps: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.chosen: dict[Question, tuple[str, str]] = {}
        """By question: what was shown of mistakes, and what was chosen."""
        self._numbers: Counter[str] = Counter()

    def told(self, program: WorkflowProgram, rows: Sequence[Row]) -> list[Row]:
        """As of `Context`, of other rows where they are swapped and there are enough."""
        ids = [row.example.id for row in rows]
        others = [row for row in failing(self.recorded(program, self.training)) if row.example.id not in ids]
        if not self.swaps or len(others) < len(rows):
            return super().told(program, rows)
        return Random(f"{self.seed}/swap/{ids}").sample(others, k=len(rows))

    async def ask_fields(
        self, system: str, user: str, fields: Sequence[Field], purpose: str, **how: Any
    ) -> dict[str, Any] | None:
        """As of `Context`, greedily: no change is one of chance."""
        question = Question(system, self._numbers[system])
        self._numbers[system] += 1
        reply = await super().ask_fields(system, user, fields, purpose, **{**how, "draw": 0})
        labels = [each.name for each in fields if each.type.options]
        if labels:
            self.chosen[question] = (user, "" if reply is None else str(reply[labels[0]]))
        return reply


async def listened(
    ground: Ground, task: Task, start: Workflow, shown: Shown, ballots: int
) -> dict[Question, tuple[str, str]]:
    """The choices of one way of showing: ballots on what to change, or, where `ballots` is 0, which step is to blame."""
    more: dict[str, Any] = {"make": Listening, "swaps": shown == "other mistakes"}
    async with searching(ground, task, start, "blind" if shown == "no mistakes" else "real", **more) as search:
        assert isinstance(search, Listening)
        if ballots:
            parent = search.population.start
            await BallotCritic(ballots).vote(parent, CatalogueChanges().options(parent, search), search)
        else:
            await Blame().of(search, search.start)
        return search.chosen


@dataclass(frozen=True, slots=True)
class Changed:
    """Of the questions whose mistakes could be swapped, how many were answered otherwise."""

    questions: int
    swapped: int
    blind: int


def changed(choices: Sequence[dict[Shown, dict[Question, tuple[str, str]]]]) -> Changed:
    """Count what changed.

    Args:
        choices: of each program the choices in every way of showing.
    """
    questions = swapped = blind = 0
    for each in choices:
        real, other, none = (each[shown] for shown in SHOWN)
        for question, (user, choice) in real.items():
            if question in other and question in none and user not in (other[question][0], none[question][0]):
                questions += 1
                swapped += choice != other[question][1]
                blind += choice != none[question][1]
    return Changed(questions, swapped, blind)
