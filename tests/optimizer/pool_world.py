"""A search without a model: programs that are names, scores looked up, and everything that an answer's order could disturb."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from flowbot.optimizer.belief import Belief
from flowbot.optimizer.population import Candidate, Outcome, Population
from flowbot.run.events import Arm, Event


@dataclass(frozen=True)
class Named:
    """A program."""

    hash: str

    def dump(self) -> dict[str, str]:
        return {"name": self.hash}


START = Named("start")


def judged(
    mine: Sequence[float], theirs: Sequence[float], prior: Belief, shown: Sequence[str] = ()
) -> tuple[Candidate[Named], Population[Named], list[str]]:
    """A candidate and the start, both run on all rows."""
    population = Population(START)
    candidate = Candidate("p1", Named("changed"), population.start, Arm(kind="change"), prior, shown=frozenset(shown))
    population.add(candidate)
    rows = [str(row) for row in range(len(mine))]
    for row, left, right in zip(rows, mine, theirs, strict=True):
        population.record("changed", row, Outcome(left))
        population.record("start", row, Outcome(right))
    return candidate, population, rows


class Lookup:
    """A context that looks scores up. With `late` set, runs end in random order."""

    def __init__(
        self,
        score: Callable[[str, int], float],
        rows: int,
        planned: float,
        *,
        seed: int = 0,
        late: Random | None = None,
    ) -> None:
        self.score, self.planned, self.seed, self.late = score, planned, seed, late
        self.population = Population(START)
        self.rows = self.training = [str(row) for row in range(rows)]
        self.validation = [str(row) for row in range(rows, 2 * rows)]
        self.spent = 0
        self.events: list[Event] = []
        self.running: set[str] = set()
        self.together = 0

    @property
    def left(self) -> float:
        return self.planned - self.spent

    def rng(self, label: str) -> Random:
        return Random(f"{self.seed}/{label}")

    def calls_of(self, program: Named) -> float:
        return 1.0 + program.hash.count("!")

    async def run(self, program: Named, rows: Sequence[str], why: str) -> None:
        assert program.hash not in self.running, "a program is run twice side by side"
        self.running.add(program.hash)
        self.together = max(self.together, len(self.running))
        shuffled = list(rows)
        if self.late is not None:
            self.late.shuffle(shuffled)
            for _ in range(self.late.randrange(5)):
                await asyncio.sleep(0)
        for row in shuffled:
            await asyncio.sleep(0)
            assert row not in self.population.outcomes(program), "a row is paid for twice"
            self.population.record(
                program.hash, row, Outcome(self.score(program.hash, int(row)), self.calls_of(program))
            )
            self.spent += int(self.calls_of(program))
        self.running.remove(program.hash)

    def settle(self) -> None:
        """No ceiling cuts anything short here."""

    def record(self, event: Event) -> None:
        self.events.append(event)
