"""The methods that the simulation knows, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from simulate.product import BY_CHANCE, Settings, search
from simulate.rivals.halving import halving
from simulate.rivals.peers import aflow, gepa, mipro, paper
from simulate.rivals.pool import VARIANTS, pool
from simulate.rivals.today import EFFORTS, today
from simulate.world import Program, Task

Method = Callable[[Task, int, int], tuple[Program, int]]
"""A task, a budget of calls and a seed in; the program found and the calls spent out."""

METHODS: dict[str, Method] = {
    "start": lambda task, budget, seed: (task.start, 0),
    **{f"today-{effort}": partial(today, effort=effort) for effort in EFFORTS},
    **{f"random-{effort}": partial(today, effort=effort, by_chance=True) for effort in ("medium", "high")},
    "gepa": gepa,
    "gepa+structure": partial(gepa, structure=True),
    "mipro": mipro,
    "aflow": aflow,
    "paper": paper,
    "halving": halving,
    "flowbot": search,
    "flowbot-open": partial(search, settings=Settings(joined=True)),
    "random": partial(search, settings=BY_CHANCE),
    **{name: partial(pool, settings=settings) for name, settings in VARIANTS.items()},
}
