"""A critic that votes by letter, asked as the meta model is able.

A small one takes one short decision at a time: shown two mistakes, it names the fault and picks the change that would remove it. It is
asked twice, the second time with the options in reverse, since small models favour a letter; and once a sketch without any mistake, since
they favour a change, too: a vote that names what it named then, or by the same letter, is no news and counts nothing. A large one
is asked once, for several changes at once; see `chooser`. What votes are worth the planner learns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from flowbot.fields import Field, Type, stable_hash
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.rendering import mistake_text, sentence
from flowbot.optimizer.seams import Ballots, Context, Option
from flowbot.run.events import Feedback
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.together import all_of

from .chooser import choose
from .runs import PERFECT

LETTERS = "ABCDEFGHIJKL"
"""As many options as a small model can read."""
LIKED = 8
"""Of them the most likely ones; the rest are drawn, so that what is thought unlikely is named at times."""
MISTAKES = 2
PURPOSE = "gradients"
MAX_TOKENS = 150
UNSEEN = "No mistake is shown. Which fault is the likeliest?"


class _Ballot(NamedTuple):
    option: Option
    letter: str
    fault: str
    feedback: tuple[Feedback, ...]


@dataclass(slots=True)
class BallotCritic:
    """Votes by the meta model.

    Args:
        ballots: of a small one, each one call.
    """

    ballots: int = 2
    _blind: dict[str, _Ballot | None] = field(default_factory=dict[str, "_Ballot | None"])

    @property
    def cost(self) -> int:
        """The ballots, and the same question without the mistakes."""
        return self.ballots + 1

    async def vote(
        self, parent: Candidate[WorkflowProgram], options: Sequence[Option], context: Context[WorkflowProgram]
    ) -> Ballots:
        """As of `Critic`: ballots on the mistakes of the parent's recorded runs; none where it made none. A ballot that the model
        fails to cast, or casts as it would without the mistakes, counts as asked and names nothing."""
        program = parent.program
        rows = context.recorded(program, context.training)
        wrong = [row for row in rows if row.score.value < PERFECT]
        if not wrong or not options:
            return Ballots(0, {}, {}, {})
        sketch = stable_hash(program.workflow.sketch.dump())
        rng = context.rng(f"ballots/{sketch}")
        order = rng.sample(shown := _shown(options, rng), k=len(shown))
        if context.meta_mode == "large":
            context.watch.step("asking the meta model what to change")
            return await choose(parent, order, LETTERS, wrong, context)
        context.watch.step(f"asking the meta model {self.ballots} times what to change")
        asked = [self._ballot(context, program, order, wrong, number) for number in range(self.ballots)]
        if sketch in self._blind:
            cast = await all_of(asked)
        else:
            self._blind[sketch], *cast = await all_of([self._ballot(context, program, order, [], 0), *asked])
        blind = self._blind[sketch]
        return _counted(self.ballots, [each for each in cast if each is not None], blind)

    async def _ballot(
        self,
        search: Context[WorkflowProgram],
        program: WorkflowProgram,
        order: Sequence[Option],
        wrong: Sequence[Row],
        number: int,
    ) -> _Ballot | None:
        """One ballot; of every second one the order is reversed."""
        order = order[::-1] if number % 2 else order
        rng = search.rng(f"ballots/{program.hash}/{number}")
        mistakes = rng.sample(wrong, k=min(MISTAKES, len(wrong)))
        letters = LETTERS[: len(order)]
        several = len({each.arm.place for each in order}) > 1
        changes = [
            {"letter": letter, "title": each.title, "place": each.arm.place if several else ""}
            for letter, each in zip(letters, order, strict=True)
        ]
        system = fill("choose_change", goal=search.task.goal, workflow=sentence(program.workflow), changes=changes)
        told = search.told(program, mistakes)
        texts = [mistake_text(row, index, search.task.metric) for index, row in enumerate(told, start=1)] or [UNSEEN]
        fields = [Field.of("fault", "str"), Field("choice", Type("literal", options=tuple(letters)))]
        reply = await search.ask_fields(
            system, "\n\n".join([*texts, "Fault and choice?"]), fields, PURPOSE, max_tokens=MAX_TOKENS, draw=number
        )
        if reply is None:
            return None
        fault, letter = str(reply["fault"]).strip(), str(reply["choice"])
        said = tuple(search.feedback(program.hash, row.example.id, "", fault) for row in mistakes) if fault else ()
        return _Ballot(order[letters.index(letter)], letter, fault, said)


def _shown(options: Sequence[Option], rng: Random) -> list[Option]:
    """The options that are put to the vote: those with the best priors, and some of the others by lot."""
    ranked = sorted(options, key=lambda each: -each.prior.mean)
    if len(ranked) <= len(LETTERS):
        return ranked
    return [*ranked[:LIKED], *rng.sample(ranked[LIKED:], k=len(LETTERS) - LIKED)]


def _counted(asked: int, cast: Sequence[_Ballot], blind: _Ballot | None) -> Ballots:
    """Each vote's weight is its lift over the answer without the mistakes: 1 or 0. What was said stands all the same."""
    won: Counter[str] = Counter()
    reasons: dict[str, str] = {}
    because: dict[str, list[str]] = {}
    for ballot in cast:
        if blind is not None and (ballot.option.title, ballot.option.arm) == (blind.option.title, blind.option.arm):
            continue
        if blind is not None and ballot.letter == blind.letter:
            continue
        won[ballot.option.key] += 1
        reasons.setdefault(ballot.option.key, ballot.fault)
        because.setdefault(ballot.option.key, []).extend(each.id for each in ballot.feedback)
    return Ballots(
        asked=asked,
        won=won,
        reasons=reasons,
        because={key: tuple(dict.fromkeys(ids)) for key, ids in because.items()},
        feedback=tuple(each for ballot in cast for each in ballot.feedback),
    )
