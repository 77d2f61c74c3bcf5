"""The bilevel loop, on one screen.

    minimise over sketches S:      loss on validation of (S, theta*(S)) and its cost
    where theta*(S) roughly minimises: loss on training of (S, theta)

(FlowBot, arXiv 2604.26258.) For each batch and each loop: one outer step, which changes the sketch, then inner steps, which
tune what the sketch holds. The method `paper` walks once through the training set in batches of 5 and validates after each;
ours looks at one seeded order of the training set, since its races stop early, and validates its finalists once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flowbot.task import Example
from flowbot.workflow.workflow import Workflow

from .inner import Inner
from .outer import Outer
from .search import Member, Search


@dataclass(frozen=True, slots=True)
class Schedule:
    """How often what is done.

    Args:
        batches: the training examples, batch by batch.
        loops: bilevel loops for each batch.
        inner_steps: inner steps in each loop.
        validate: True: after every batch the workflow that stands joins the pool, as in the paper.
    """

    batches: Sequence[Sequence[Example]]
    loops: int
    inner_steps: int
    validate: bool


async def bilevel(search: Search, start: Workflow, outer: Outer, inner: Inner, schedule: Schedule) -> None:
    """Search from `start`; what is found stands in the search's pool, also when a ceiling ends it early."""
    workflow = start
    number = 0
    for batch in schedule.batches:
        for _ in range(schedule.loops):
            workflow = await outer.step(search, workflow, batch, number)
            search.watch.passed()
            for step in range(schedule.inner_steps):
                workflow = await inner.step(search, workflow, batch, number * schedule.inner_steps + step)
                search.watch.passed()
            number += 1
        if schedule.validate:
            rows = await search.score(workflow, batch, "train")
            mean = sum(row.score.value for row in rows) / max(1, len(rows))
            search.pool.append(
                Member(
                    workflow,
                    mean,
                    "meta" if workflow.hash != start.hash else "start",
                    f"after batch {len(search.pool) + 1}",
                )
            )
            await search.score_split(workflow, "val", "candidate", search.order("val"))
