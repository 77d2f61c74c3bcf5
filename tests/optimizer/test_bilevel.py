"""The paper's loop with a judge: rows that an endpoint refuses do not hold it up."""

from __future__ import annotations

from collections.abc import Sequence

from pool_world import Lookup, Named

from flowbot.optimizer.belief import Belief
from flowbot.optimizer.bilevel import Bilevel
from flowbot.optimizer.judge import PosteriorJudge
from flowbot.optimizer.planner import Bandit
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.progress import Watch
from flowbot.optimizer.seams import Focus, Option, Proposal
from flowbot.optimizer.tuned import Tuner
from flowbot.run.events import Arm


class Refusing(Lookup):
    """One training row is refused to all but the start."""

    watch = Watch()
    idle = 0

    async def run(self, program: Named, rows: Sequence[str], why: str) -> None:
        missing = self.population.missing(program, [row for row in rows if row in (*self.rows, *self.validation)])
        self.idle = 0 if missing else self.idle + 1
        assert self.idle < 10, "the same rows are asked for again and again"
        await super().run(program, [row for row in missing if row != "3" or program.hash == "start"], why)
        if "3" in missing and program.hash != "start":
            self.rows = [row for row in self.rows if row != "3"]


class Same:
    """Offers one change that changes no score."""

    def options(self, parent: Candidate[Named], context: Lookup) -> list[Option]:
        return [Option(Arm(kind="same"), "same", "same", Belief(0.0, 0.12), level="parameters")]

    async def propose(
        self, parent: Candidate[Named], focus: Focus, want: int, context: Lookup
    ) -> list[Proposal[Named]]:
        return [Proposal(Named("same"), "same", "prior")]


async def test_a_row_that_is_refused_in_the_middle_does_not_hold_up_the_judge() -> None:
    context = Refusing(lambda program, row: float(row % 2), 10, 1000)
    loop = Bilevel(tuner=Tuner(Bandit([Same()], wanders=False), PosteriorJudge()))
    await context.run(context.population.start.program, loop.opening(context), "val")
    assert await loop.search(context)
    (verdict,) = [each for each in context.events if each.event == "verdict"]
    assert (verdict.decision, verdict.n) == ("set aside", 9)


async def test_where_all_of_validation_is_refused_the_start_is_returned() -> None:
    context = Refusing(lambda program, row: 0.0, 10, 1000)
    context.validation = []
    loop = Bilevel()
    assert await loop.search(context)
    assert await loop.choose(context) is context.population.start
