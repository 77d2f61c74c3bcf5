"""Evaluations of many examples: how many are worked on at once, in which order, and what is kept of them."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest
from runtime_help import engine_on

from flowbot.fields import Paused, Usage
from flowbot.lm.client import Identity, Patience, Reply, Request
from flowbot.lm.clock import VirtualClock
from flowbot.runtime.evaluation import OBJECTS, Row, evaluate_each, fewer_collections
from flowbot.task import Example, Task
from flowbot.workflow.workflow import Workflow

TASK = Task(
    goal="Say it again.",
    inputs={"note": "str"},
    outputs={"said": "str"},
    metric="exact",
    val=[{"note": "a", "said": "a"}],
)


def chain() -> Workflow:
    """plan -> said."""
    return Workflow.from_data(
        {
            "flowbot": 1,
            "inputs": {"note": "str"},
            "outputs": {"said": "say.said"},
            "nodes": {
                "plan": {"kind": "llm", "in": {"note": "note"}, "out": {"plan": "str"}},
                "say": {"kind": "llm", "in": {"note": "note", "plan": "plan.plan"}, "out": {"said": "str"}},
            },
            "parameters": {"plan": {"instruction": "Plan."}, "say": {"instruction": "Say."}},
        }
    )


def examples(count: int) -> list[Example]:
    return [Example(str(n), {"note": f"note {n}"}, {"said": "yes"}) for n in range(count)]


class Steady:
    """Answers after a second; keeps the prompts in the order in which they came."""

    def __init__(self) -> None:
        self.identity = Identity("fake", "", "steady")
        self.default_concurrency = 4
        self.price_ref = "free"
        self.clock = VirtualClock()
        self.asked: list[str] = []

    async def complete(self, request: Request, patience: Patience | None = None) -> Reply:
        self.asked.append(request.messages[0].content)
        await self.clock.sleep(1.0)
        return Reply("yes", "stop", Usage(1, 1, 1), 1.0)

    async def close(self) -> None: ...


async def test_rows_are_handed_over_and_not_kept() -> None:
    alive: list[weakref.ref[object]] = []
    most = 0

    class Watched(Example):
        pass

    def coming() -> Iterator[Example]:
        for n in range(600):
            yield Watched(str(n), {"note": f"note {n}"}, {"said": "yes"})

    def take(number: int, row: Row | None) -> None:
        nonlocal most
        assert row is not None
        assert row.score.value == 1.0
        alive.append(weakref.ref(row.trace.steps[0].inputs))  # type: ignore[arg-type]
        if number % 100 == 0:
            gc.collect()
            most = max(most, sum(each() is not None for each in alive))

    class Inputs(dict[str, object]):
        pass

    async with engine_on(Steady(), concurrency=4) as engine:
        engine.run = kept_inputs(engine.run, Inputs)  # type: ignore[method-assign]
        await evaluate_each(engine, chain(), TASK, coming(), purpose="t", take=take)
    assert len(alive) == 600
    assert most < 150  # of what has ended little is left; at once no more than the width is worked on


def kept_inputs(run, kind):  # type: ignore[no-untyped-def]
    """`Engine.run` whose traces hold inputs that can be watched."""
    from dataclasses import replace

    async def watched(*given, **named):  # type: ignore[no-untyped-def]
        trace = await run(*given, **named)
        first = replace(trace.steps[0], inputs=kind(trace.steps[0].inputs))
        return replace(trace, steps=(first, *trace.steps[1:]))

    return watched


async def test_calls_of_a_step_are_sent_together_and_every_slot_is_used() -> None:
    client = Steady()
    async with engine_on(client, concurrency=4) as engine:
        await evaluate_each(engine, chain(), TASK, examples(40), purpose="t", take=lambda number, row: None)
    assert client.clock.now() == 20.0  # 80 calls, 4 at once, a second each: none to spare
    changes = sum(one != other for one, other in zip(client.asked, client.asked[1:], strict=False))
    assert changes <= 6


async def test_an_iterator_longer_than_the_width_is_read_as_it_goes() -> None:
    read: list[int] = []
    done: list[int] = []
    ahead: list[int] = []

    def coming() -> Iterator[Example]:
        for each in examples(500):
            read.append(1)
            yield each

    def take(number: int, row: Row | None) -> None:
        done.append(number)
        ahead.append(len(read) - len(done))

    async with engine_on(Steady(), concurrency=4) as engine:
        width = engine.session.connections.width
        await evaluate_each(engine, chain(), TASK, coming(), purpose="t", take=take)
    assert sorted(done) == list(range(500))
    assert max(ahead) <= width < 500


def test_the_collector_is_as_it_was_afterwards_however_blocks_overlap() -> None:
    before = gc.get_threshold()
    first, second = fewer_collections(), fewer_collections()
    first.__enter__()
    second.__enter__()
    assert gc.get_threshold()[0] == OBJECTS
    first.__exit__(None, None, None)
    assert gc.get_threshold()[0] == OBJECTS
    second.__exit__(None, None, None)
    assert gc.get_threshold() == before


def test_a_collector_that_is_off_stays_off() -> None:
    before = gc.get_threshold()
    gc.set_threshold(0)
    try:
        with fewer_collections():
            assert gc.get_threshold()[0] == 0
    finally:
        gc.set_threshold(*before)


async def test_a_wish_to_stop_is_heard_while_metrics_run() -> None:
    asked: list[str] = []

    def slow(example: Example, outputs: dict[str, object]) -> float:
        asked.append(example.id)
        engine.session.stop.set()
        return 1.0

    task = Task(
        goal="g", inputs={"note": "str"}, outputs={"said": "str"}, metric=slow, val=[{"note": "a", "said": "a"}]
    )
    async with engine_on(Steady(), concurrency=4) as engine:
        with pytest.raises(Paused):
            await evaluate_each(engine, chain(), task, examples(8), purpose="t", take=lambda number, row: None)
    assert len(asked) < 8


async def test_a_metric_that_changes_what_it_gets_changes_neither_task_nor_trace() -> None:
    def spoil(example: Example, outputs: dict[str, object]) -> float:
        example.inputs["note"] = outputs["said"] = "spoiled"  # type: ignore[index]
        return 1.0

    task = Task(
        goal="g", inputs={"note": "str"}, outputs={"said": "str"}, metric=spoil, val=[{"note": "a", "said": "a"}]
    )
    rows: list[Row | None] = []
    async with engine_on(Steady(), concurrency=4) as engine:
        given = examples(3)
        await evaluate_each(engine, chain(), task, given, purpose="t", take=lambda number, row: rows.append(row))
    assert [each.inputs["note"] for each in given] == ["note 0", "note 1", "note 2"]
    assert [row.trace.outputs for row in rows if row is not None] == [{"said": "yes"}] * 3
