"""Candidates that are tried side by side take less time than one after the other, on the clock of a model of fixed latency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from flowbot.lm.client import Request
from flowbot.lm.clock import VirtualClock
from flowbot.lm.lm import LM
from flowbot.lm.session import Session
from flowbot.optimizer.allocator import FIRST, Thompson
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.judge import PRIOR_SPREAD, PosteriorJudge
from flowbot.optimizer.planner import Bandit
from flowbot.optimizer.pool import OPENING, Pool
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.optimizer.search import Search
from flowbot.run.events import Arm
from flowbot.run.journal import Journal
from flowbot.runtime.engine import Engine
from flowbot.runtime.program import WorkflowProgram
from flowbot.store import Store
from flowbot.task import Task
from flowbot.testing.fake import FakeClient, ReplyContent
from flowbot.workflow.starts import single_call

LATENCY = 2.0
WORDS = 20
Program = WorkflowProgram


class Fixed(FakeClient):
    """Each call takes the same time."""

    def __init__(self, reply: object, clock: VirtualClock) -> None:
        super().__init__(reply, clock=clock, concurrency=200)  # pyright: ignore[reportArgumentType]

    async def complete(self, request: Request, patience: object = None) -> object:  # pyright: ignore[reportIncompatibleMethodOverride]
        await self.clock.sleep(LATENCY)
        return await super().complete(request)


class Wordings:
    """Tells the step something else: one question to the meta model, and no gain in what comes of it."""

    def options(self, parent: Candidate[Program], context: Context[Program]) -> Sequence[Option]:
        return [
            Option(
                Arm(kind=f"word {number}"), f"{parent.program.hash}/{number}", f"word {number}",
                Belief(0.0, PRIOR_SPREAD), cost=1, level="parameters",
            )
            for number in range(WORDS)
        ]  # fmt: skip

    async def propose(
        self, parent: Candidate[Program], focus: Focus, want: int, context: Context[Program]
    ) -> Sequence[Proposal[Program]]:
        word = await context.ask_text(f"A word for {focus.option.title}?", "proposals")
        told = parent.program.workflow.parameter("answer").model_copy(update={"instruction": f"Count. {word}."})
        return [Proposal(parent.program.with_slot("answer", told), focus.option.title, "meta")]


async def searched(task: Task, folder: Path, width: int, planned: int) -> tuple[float, Search]:
    """Seconds on the model's clock that a search takes with so many challengers, and the search."""
    clock = VirtualClock()

    def reply(request: Request) -> ReplyContent:
        text = request.messages[-1].content
        return text.split()[-1] if text.startswith("A word") else {"reasoning": "", "total": 3}

    session = Session(Store.memory())
    lm = LM(Fixed(reply, clock), session)
    engine = Engine(lm, session)
    journal = Journal.open(folder / f"{width}.jsonl")
    start = single_call(task.inputs, task.outputs, task.goal, reasoning=True)
    search = Search(task, Program(start), engine, lm, session, journal, seed=0, planned=planned, model="fake")
    try:
        pool = Pool[Program](Bandit([Wordings()]), Thompson(width=width), PosteriorJudge(), width=width)
        assert await pool.search(search) == "the planned calls are used"
    finally:
        await engine.close()
        await session.store.close()
        journal.close()
    return clock.now(), search


async def test_a_round_takes_as_long_as_one_candidate_however_many_there_are(orders: Task, tmp_path: Path) -> None:
    for width in (1, 2, 5):
        once = OPENING + width * (1 + FIRST)
        seconds, search = await searched(orders, tmp_path, width, once)
        assert search.spent == once
        assert seconds == pytest.approx(3 * LATENCY), "the start's rows, the proposals, the candidates' rows"


async def test_the_wider_a_search_is_the_less_time_the_same_number_of_calls_takes(orders: Task, tmp_path: Path) -> None:
    task = replace(orders, splits={**orders.splits, "train": orders.splits["train"][:24]})
    found = {width: await searched(task, tmp_path, width, 220) for width in (1, 2, 5)}
    rate = {width: seconds / search.spent for width, (seconds, search) in found.items()}
    assert rate[1] > rate[2] > rate[5]
    assert rate[5] < 0.4 * rate[1], rate
    assert all(search.spent >= 0.9 * 220 for _, search in found.values())
