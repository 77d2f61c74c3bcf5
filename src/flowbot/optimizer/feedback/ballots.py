"""A critic that votes by letter, asked as the meta model is able.

A small one takes one short decision at a time: shown two mistakes, it names the fault and picks the change that would remove it. It is
asked twice, the second time with the options in reverse, since small models favour a letter; and once a sketch without any mistake, since
they favour a change, too: a vote that names what it named then, or by the same letter, is no news and counts nothing. A large one
diagnoses run by run, and its diagnoses vote; see `structure`. What votes are worth the planner learns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import NamedTuple

from flowbot.fields import Field, Type, stable_hash
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.rendering import mistake_texts, sentence
from flowbot.optimizer.seams import Ballots, Context, Option
from flowbot.run.events import Feedback, Mends
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.together import all_of

from .question import LETTERS
from .runs import PERFECT
from .structure import diagnose

MENDS: Mapping[str, Mends] = {"A": "yes", "B": "no", "C": "unsure"}
"""What the letters stand for, where it is asked whether another prompt could mend the mistakes."""
LIKED = 8
"""Of them the most likely ones; the rest are drawn, so that what is thought unlikely is named at times."""
MISTAKES = 2
PURPOSE = "gradients"
MAX_TOKENS = 150
LETTER_TOKENS = 30
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
        asks_mends: whether a small one is also asked if another prompt could mend the mistakes; a large one says so by itself.
    """

    ballots: int = 2
    asks_mends: bool = False
    _blind: dict[str, _Ballot | None] = field(default_factory=dict[str, "_Ballot | None"])

    @property
    def cost(self) -> int:
        """Of a small model the ballots, the same question without the mistakes, and whether a prompt could mend them. A large one is
        asked of as many runs as there is room for."""
        return self.ballots + 1 + self.asks_mends

    async def vote(self, parent: Candidate, options: Sequence[Option], context: Context) -> Ballots:
        """As of `Critic`: ballots on the mistakes of the parent's recorded runs; none where it made none. A ballot that the model
        fails to cast, or casts as it would without the mistakes, counts as asked and names nothing."""
        program = parent.program
        rows = context.recorded(program, context.training)
        wrong = [row for row in rows if row.score.value < PERFECT]
        if not wrong or not options:
            return Ballots(0, {}, {}, {})
        sketch = stable_hash(program.workflow.sketch.dump())
        rng = context.rng(f"ballots/{sketch}")
        order = rng.sample(shown := put_to_the_vote(options, rng), k=len(shown))
        if context.meta_mode == "large":
            return await diagnose(parent, order, wrong, context)
        context.watch.step(f"asking the meta model {self.ballots} times what to change")
        asked = [self._ballot(context, program, order, wrong, number) for number in range(self.ballots)]
        mends = [self._mends(context, program, wrong)] if self.asks_mends else []
        if sketch in self._blind:
            cast = await all_of(asked)
        else:
            self._blind[sketch], *cast = await all_of([self._ballot(context, program, order, [], 0), *asked])
        blind = self._blind[sketch]
        found = _counted(self.ballots, [each for each in cast if each is not None], blind)
        said = [each for each in await all_of(mends) if each is not None]
        beyond = {each.key for each in options} if any(each.mends == "no" for each in said) else set[str]()
        return replace(found, feedback=(*found.feedback, *said), beyond=frozenset(beyond))

    async def _mends(self, search: Context, program: WorkflowProgram, wrong: Sequence[Row]) -> Feedback | None:
        """Whether another prompt could mend the mistakes of the first ballot, by letter."""
        rows = search.rng(f"ballots/{program.hash}/0").sample(wrong, k=min(MISTAKES, len(wrong)))
        texts = mistake_texts(search.told(program, rows), search.task.metric)
        system = fill("prompt_mends", goal=search.task.goal, workflow=sentence(program.workflow))
        fields = [Field("choice", Type("literal", options=tuple(MENDS)))]
        reply = await search.ask_fields(
            system, "\n\n".join([*texts, "Choice?"]), fields, PURPOSE, max_tokens=LETTER_TOKENS
        )
        if reply is None:
            return None
        mends = MENDS[str(reply["choice"])]
        said = search.feedback(program.hash, "", "", f"Could another prompt mend the mistakes: {mends}")
        return said.model_copy(update={"mends": mends})

    async def _ballot(
        self, search: Context, program: WorkflowProgram, order: Sequence[Option], wrong: Sequence[Row], number: int
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
        texts = mistake_texts(search.told(program, mistakes), search.task.metric) or [UNSEEN]
        fields = [Field.of("fault", "str"), Field("choice", Type("literal", options=tuple(letters)))]
        reply = await search.ask_fields(
            system, "\n\n".join([*texts, "Fault and choice?"]), fields, PURPOSE, max_tokens=MAX_TOKENS, draw=number
        )
        if reply is None:
            return None
        fault, letter = str(reply["fault"]).strip(), str(reply["choice"])
        said = tuple(search.feedback(program.hash, row.example.id, "", fault) for row in mistakes) if fault else ()
        return _Ballot(order[letters.index(letter)], letter, fault, said)


def put_to_the_vote(options: Sequence[Option], rng: Random) -> list[Option]:
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
