"""A critic that votes by letter: shown two mistakes, the meta model names the fault and picks the change that would remove it.

It is one short decision, since a small model can do no more; and it is asked several times, with the options in other orders and
other mistakes, since small models favour a letter. What its votes are worth the planner learns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from flowbot.fields import Field, Type
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.rendering import mistake_text, sentence
from flowbot.optimizer.seams import Ballots, Context, Option
from flowbot.run.events import Feedback
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.together import all_of

LETTERS = "ABCDEFGHIJKL"
"""As many options as a small model can read."""
LIKED = 8
"""Of them the most likely ones; the rest are drawn, so that what is thought unlikely is named at times."""
MISTAKES = 2
PERFECT = 1.0
PURPOSE = "gradients"
MAX_TOKENS = 150


class _Ballot(NamedTuple):
    option: Option
    fault: str
    feedback: tuple[Feedback, ...]


@dataclass(slots=True)
class BallotCritic:
    """Votes by the meta model.

    Args:
        cost: ballots, each one call.
    """

    cost: int = 2

    async def vote(
        self, parent: Candidate[WorkflowProgram], options: Sequence[Option], context: Context[WorkflowProgram]
    ) -> Ballots:
        """As of `Critic`: ballots on the mistakes of the parent's recorded runs; none where it made none. A ballot that the model
        fails to cast counts as asked and names nothing."""
        rows = context.recorded(parent.program, context.training)
        wrong = [row for row in rows if row.score.value < PERFECT]
        if not wrong or not options:
            return Ballots(0, {}, {}, {})
        label = f"ballots/{parent.program.hash}"
        shown = _shown(options, context.rng(label))
        context.watch.step(f"asking the meta model {self.cost} times what to change")
        cast = await all_of(
            self._ballot(context, parent.program, shown, wrong, number, context.rng(f"{label}/{number}"))
            for number in range(self.cost)
        )
        return _counted(self.cost, [each for each in cast if each is not None])

    async def _ballot(
        self,
        search: Context[WorkflowProgram],
        program: WorkflowProgram,
        shown: Sequence[Option],
        wrong: Sequence[Row],
        number: int,
        rng: Random,
    ) -> _Ballot | None:
        order = rng.sample(shown, k=len(shown))
        mistakes = rng.sample(wrong, k=min(MISTAKES, len(wrong)))
        letters = LETTERS[: len(order)]
        several = len({each.arm.place for each in shown}) > 1
        changes = [
            {"letter": letter, "title": each.title, "place": each.arm.place if several else ""}
            for letter, each in zip(letters, order, strict=True)
        ]
        system = fill("choose_change", goal=search.task.goal, workflow=sentence(program.workflow), changes=changes)
        texts = [mistake_text(row, index, search.task.metric) for index, row in enumerate(mistakes, start=1)]
        fields = [Field.of("fault", "str"), Field("choice", Type("literal", options=tuple(letters)))]
        reply = await search.ask_fields(
            system, "\n\n".join([*texts, "Fault and choice?"]), fields, PURPOSE, max_tokens=MAX_TOKENS, draw=number
        )
        if reply is None:
            return None
        fault = str(reply["fault"]).strip()
        said = tuple(search.feedback(program.hash, row.example.id, "", fault) for row in mistakes) if fault else ()
        return _Ballot(order[letters.index(reply["choice"])], fault, said)


def _shown(options: Sequence[Option], rng: Random) -> list[Option]:
    """The options that are put to the vote: those with the best priors, and some of the others by lot."""
    ranked = sorted(options, key=lambda each: -each.prior.mean)
    if len(ranked) <= len(LETTERS):
        return ranked
    return [*ranked[:LIKED], *rng.sample(ranked[LIKED:], k=len(LETTERS) - LIKED)]


def _counted(asked: int, cast: Sequence[_Ballot]) -> Ballots:
    reasons: dict[str, str] = {}
    because: dict[str, list[str]] = {}
    for ballot in cast:
        reasons.setdefault(ballot.option.key, ballot.fault)
        because.setdefault(ballot.option.key, []).extend(each.id for each in ballot.feedback)
    return Ballots(
        asked=asked,
        won=Counter(ballot.option.key for ballot in cast),
        reasons=reasons,
        because={key: tuple(dict.fromkeys(ids)) for key, ids in because.items()},
        feedback=tuple(each for ballot in cast for each in ballot.feedback),
    )
