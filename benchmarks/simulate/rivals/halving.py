"""Successive halving over proposals drawn from arms: the pool's arms and statistics without its allocation of rows."""

from __future__ import annotations

from collections import Counter

from simulate.rivals.arms import (
    BALLOTS,
    BLOCK,
    CALL,
    DRAWS,
    FIRST,
    SD,
    VOTE,
    Arm,
    Belief,
    both,
    made,
    mistakes,
    paired,
    posterior,
    worth_its_calls,
)
from simulate.rivals.env import BudgetSpent, Env
from simulate.world import ADD, KINDS, REMOVE, Program, Task


def halving(task: Task, budget: int, seed: int) -> tuple[Program, int]:
    """Successive halving in rounds: 8 proposals on 6 rows, the better half on twice as many, until one is left; two rounds without gain end it."""
    env = Env(task, budget, seed)
    rows = both(env)
    incumbent, without_gain = task.start, 0
    tried: set[tuple[frozenset[str], str]] = set()
    draws: Counter[tuple[str, str]] = Counter()

    def candidates() -> list[Program]:
        """The 8 of all arms that are drawn highest."""
        structure, rng = incumbent.structure, env.rng
        options = [k for k in task.kinds if k not in structure and (structure, k) not in tried]
        votes: Counter[str] = Counter()
        for _ in range(BALLOTS if options else 0):
            env.pay(1)
            votes[task.ballot(incumbent, options, rng)] += 1
        drawn: list[tuple[float, Arm]] = []
        for kind in options:
            mean = ADD[kind] + VOTE * votes[kind] / BALLOTS - CALL * KINDS[kind].calls
            drawn.append((rng.gauss(mean, 0.09), Arm("add", kind)))
        for kind in sorted(structure):
            if (structure, f"-{kind}") not in tried:
                drawn.append((rng.gauss(REMOVE, 0.09), Arm("remove", kind)))
        for operator in ("demos", "instruct"):
            for _ in range(2):
                if draws[incumbent.hash, operator] < DRAWS:
                    draws[incumbent.hash, operator] += 1
                    drawn.append((rng.gauss(0.025, 0.09), Arm(operator)))
        arms = [arm for _, arm in sorted(drawn, key=lambda each: -each[0])[:8]]
        tried.update((structure, arm.change) for arm in arms if arm.kind)
        return [made(env, incumbent, arm, mistakes(env, incumbent, rows[:FIRST])) for arm in arms]

    def belief(program: Program, pairs: int) -> Belief:
        block = [i for i in rows if i not in program.instruction.mends][:pairs]
        mine = env.scores(program, block)
        return posterior(Belief(0.0, SD), paired(mine, env.scores(incumbent, block)))

    try:
        env.scores(incumbent, rows[:FIRST])
        while without_gain < 2:
            left = candidates()
            if not left:
                break
            pairs = BLOCK
            while True:
                ranked = sorted(((belief(each, pairs), each) for each in left), key=lambda each: -each[0].mean)
                of_best, best = ranked[0]
                if len(ranked) == 1 and (pairs >= len(rows) or of_best.p_better >= 0.9 or of_best.mean < 0):
                    break
                left = [each for _, each in ranked[: max(1, len(ranked) // 2)]]
                pairs = min(2 * pairs, len(rows))
            if of_best.p_better >= 0.8 and worth_its_calls(of_best.mean, best, incumbent):
                incumbent, without_gain = best, 0
            else:
                without_gain += 1
    except BudgetSpent:
        pass
    return incumbent, env.spent
