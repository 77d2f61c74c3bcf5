"""How other optimisers select, all handed the same critic: GEPA, MIPROv2, AFlow, and the FlowBot paper's own protocol."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from simulate.rivals.env import BudgetSpent, Env
from simulate.world import Program, Task


def gepa(task: Task, budget: int, seed: int, structure: bool = False) -> tuple[Program, int]:
    """GEPA (gepa-ai/gepa): minibatches of 3, strictly better in sum, then full validation; parents from the Pareto front.

    Args:
        structure: Half of the proposals are structural, as where GEPA rewrites the whole program.
    """
    env = Env(task, budget, seed)
    rng = env.rng
    pool: list[tuple[Program, list[int]]] = []
    queue: list[int] = []
    parents: Counter[int] = Counter()
    try:
        pool.append((task.start, env.scores(task.start, env.validation)))
        while True:
            parents = parents or _pareto([scores for _, scores in pool])
            parent = rng.choices([pool[j][0] for j in parents], list(parents.values()))[0]
            if len(queue) < 3:
                queue += rng.sample(env.training, len(env.training))
            batch, queue = queue[:3], queue[3:]
            env.pay(parent.cost * len(batch))  # the parent runs again each time
            before = [task.rows(parent)[i] for i in batch]
            if all(before):
                continue
            env.pay(1)
            if structure and rng.random() < 0.5:
                options = task.additions(parent)
                if not options:
                    continue
                child = task.apply(parent, task.ballot(parent, options, rng))
            else:
                child = task.instruct(parent, rng, [i for i, score in zip(batch, before, strict=True) if not score])
            if sum(env.scores(child, batch)) > sum(before):
                pool.append((child, env.scores(child, env.validation)))
                parents = Counter()
    except BudgetSpent:
        pass
    return _highest(task, [(sum(scores), program) for program, scores in pool]), env.spent


def _pareto(scores: Sequence[Sequence[int]]) -> Counter[int]:
    """The programs that no others dominate, with the number of rows on which each is among the best.

    As GEPA removes them: from the lowest sum up, a program goes when on each row where it is best another one that stays is too.
    """
    best = [[j for j, score in enumerate(row) if score == max(row)] for row in zip(*scores, strict=True)]
    wins = Counter(j for row in best for j in row)
    fronts = [set(row) for row in {tuple(row) for row in best}]
    stay = set(wins)
    for j in sorted(wins, key=lambda j: sum(scores[j])):
        if len(stay) > 1 and all(len(front & stay) > 1 for front in fronts if j in front):
            stay.discard(j)
    return Counter({j: wins[j] for j in sorted(stay)})


def mipro(task: Task, budget: int, seed: int) -> tuple[Program, int]:
    """MIPROv2 (DSPy): 6 instructions x 6 demonstration sets, TPE on minibatches of 35, a full evaluation each 5 trials, 200 at most."""
    env = Env(task, budget, seed)
    rng = env.rng
    size = 6
    full: list[tuple[float, Program]] = []
    trials: list[tuple[float, tuple[int, int]]] = []
    try:
        env.scores(task.start, env.training[:12])
        env.pay(size + 2)
        instructions = [task.start, *(task.instruct(task.start, rng) for _ in range(size - 1))]
        sets = [task.start, *(task.demos(task.start, rng) for _ in range(size - 1))]
        programs = {
            (i, d): task.program(frozenset(), instructions[i].instruction, sets[d].demonstrations)
            for i in range(size)
            for d in range(size)
        }
        full.append((env.mean(task.start, env.validation), task.start))
        means: dict[tuple[int, int], list[float]] = {}

        def tpe(place: int) -> int:
            """Of 8 draws by how often an option is among the best quarter, the one of the highest ratio to the rest."""
            cut = max(2, len(trials) // 4)
            good = Counter(at[place] for _, at in trials[:cut])
            poor = Counter(at[place] for _, at in trials[cut:])
            drawn = rng.choices(range(size), [good[j] + 1 for j in range(size)], k=8)
            smoothed = cut + size, len(trials) - cut + size
            return max(drawn, key=lambda j: ((good[j] + 1) / smoothed[0]) / ((poor[j] + 1) / smoothed[1]))

        for trial in range(1, 201):
            if len(trials) < 5:
                at = rng.randrange(size), rng.randrange(size)
            else:
                trials.sort(key=lambda each: -each[0])
                at = tpe(0), tpe(1)
            mean = env.mean(programs[at], rng.sample(env.validation, min(35, task.n)))
            trials.append((mean, at))
            means.setdefault(at, []).append(mean)
            if trial % 5 == 0:
                done = {program.hash for _, program in full}
                rest = [(sum(v) / len(v), at) for at, v in means.items() if programs[at].hash not in done]
                if rest:
                    best = programs[max(rest)[1]]
                    full.append((env.mean(best, env.validation), best))
                elif len(done) == size * size:
                    break
    except BudgetSpent:
        pass
    return _highest(task, full), env.spent


def aflow(task: Task, budget: int, seed: int) -> tuple[Program, int]:
    """AFlow: a parent by mixed uniform and softmax probability among the top 3 and the start, one change, full validation."""
    env = Env(task, budget, seed)
    rng = env.rng
    pool: list[tuple[float, Program]] = []
    tried: set[tuple[str, str]] = set()
    try:
        pool.append((env.mean(task.start, env.validation), task.start))
        while True:
            top = [pool[0], *sorted(pool[1:], key=lambda each: -each[0])[:3]]
            highest = max(100 * mean for mean, _ in top)
            weights = [0.2 * math.exp(0.2 * (100 * mean - highest)) for mean, _ in top]
            mixed = [0.3 / len(top) + 0.7 * weight / sum(weights) for weight in weights]
            parent = rng.choices([program for _, program in top], mixed)[0]
            env.pay(1)
            options = [k for k in task.additions(parent) if (parent.hash, k) not in tried]
            if options and rng.random() < 0.6:
                change = task.ballot(parent, options, rng)
                tried.add((parent.hash, change))
                child = task.apply(parent, change)
            else:
                child = task.instruct(parent, rng)
            pool.append((env.mean(child, env.validation), child))
    except BudgetSpent:
        pass
    return _highest(task, pool), env.spent


def paper(task: Task, budget: int, seed: int) -> tuple[Program, int]:
    """The FlowBot paper: batches of 5, twice an outer step and five inner ones on each, no race, validation after each batch."""
    env = Env(task, budget, seed)
    rng = env.rng
    program = task.start
    validated: list[tuple[float, Program]] = []
    try:
        validated.append((env.mean(program, env.validation), program))
        for begin in range(0, task.n, 5):
            batch = env.training[begin : begin + 5]
            for _ in range(2):
                env.scores(program, batch)
                env.pay(len(batch) + 1)
                options = [each.change for each in task.offers(program)]
                program = task.apply(program, task.ballot(program, options, rng))
                for _ in range(5):
                    env.scores(program, batch)
                    env.pay((len(batch) + 1) * program.cost)
                    program = task.instruct(program, rng, batch)
            validated.append((env.mean(program, env.validation), program))
    except BudgetSpent:
        pass
    return _highest(task, validated), env.spent


def _highest(task: Task, means: Sequence[tuple[float, Program]]) -> Program:
    return max(means, key=lambda each: each[0], default=(0.0, task.start))[1]
