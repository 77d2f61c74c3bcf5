"""What a procedure sees of a task: rows in an order, scores that cost calls, a budget."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from simulate.world import Program, Task


class BudgetSpent(Exception):
    """The next call would pass the budget."""


class Env:
    """A run's ledger: counts calls, pays for a (program, row) once.

    Raises:
        BudgetSpent: From `pay`, `scores` and `mean`.
    """

    def __init__(self, task: Task, budget: int, seed: int) -> None:
        self.task, self.budget, self.spent = task, budget, 0
        self.rng = Random(f"{seed}/run")
        self.training, self.validation = list(range(task.n)), list(range(task.n, 2 * task.n))
        order = Random(f"{seed}/order")
        order.shuffle(self.training)
        order.shuffle(self.validation)
        self._seen: dict[str, set[int]] = {}

    @property
    def left(self) -> int:
        """Calls left."""
        return self.budget - self.spent

    def pay(self, calls: int) -> None:
        """Count calls."""
        if calls > self.left:
            raise BudgetSpent
        self.spent += calls

    def seen(self, program: Program) -> set[int]:
        """The rows that were paid for."""
        return self._seen.setdefault(program.hash, set())

    def scores(self, program: Program, rows: Sequence[int]) -> list[int]:
        """The program's scores on these rows, those not seen yet paid for one by one."""
        seen, scores = self.seen(program), self.task.rows(program)
        for i in rows:
            if i not in seen:
                self.pay(program.cost)
                seen.add(i)
        return [scores[i] for i in rows]

    def mean(self, program: Program, rows: Sequence[int]) -> float:
        """The mean of `scores`."""
        return sum(self.scores(program, rows)) / len(rows)
