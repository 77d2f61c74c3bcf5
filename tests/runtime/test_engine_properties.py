"""Random workflows of every kind give the same trace whatever ends first, saved and loaded or not; defects never run."""

from __future__ import annotations

import ast
import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_workflows import TOOLS, damaged_data, workflows
from runtime_help import engine_on

from flowbot.fields import StepError, Type, UserError, object_schema, stable_hash
from flowbot.lm.client import Patience, Reply, Request
from flowbot.runtime.flow import Flow
from flowbot.runtime.together import together
from flowbot.runtime.trace import Trace
from flowbot.testing.fake import FakeClient
from flowbot.testing.fake_behaviours import fill
from flowbot.workflow.check import check
from flowbot.workflow.graph import topological
from flowbot.workflow.nodes import walk
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.workflow import Workflow


def measure(text: str, times: int = 1) -> int:
    """How long a text is."""
    return times * len(text)


def note() -> str:
    """A text that is always the same."""
    return "noted"


def made_up(schema: dict[str, Any], key: str) -> Any:
    """A value that fits a schema and depends on the key alone."""
    number = int(key[:4], 16) % 5
    listed = [(float(each), f"part {each}") for each in range(number)]
    return fill(schema, key, texts=lambda _schema, place: f"{key[:2]}{place}", listed=listed, total=number)


class Making:
    """A sandbox that starts no process: what the code returns names the types of values that are made up."""

    identity = "making"

    def __init__(self, bad: int) -> None:
        self.bad = bad

    async def run(self, code: str, inputs: Any, *, seconds: float = 0, memory_mb: int = 0) -> Any:
        key = stable_hash({"code": code, "inputs": inputs})
        if int(key[-4:], 16) % self.bad == 0:
            raise StepError("it fails")
        types = ast.literal_eval(code.split("return ", 1)[1].strip())
        return made_up(object_schema({name: Type.parse(text) for name, text in types.items()}), key)

    async def close(self) -> None: ...


class Late(FakeClient):
    """Replies with what is made from the request; what is told of time is not the time it took."""

    def __init__(self, delays: list[float], bad: int) -> None:
        super().__init__(self._answer, latency=1.0)
        self.delays, self.bad, self.waited = delays, bad, 0

    def _answer(self, request: Request) -> Any:
        key = stable_hash(request.dump())
        if int(key[-4:], 16) % self.bad == 0:
            return "[no value"
        return f"said {key[:4]}" if request.schema is None else made_up(dict(request.schema), key)

    async def complete(self, request: Request, patience: Patience | None = None) -> Reply:
        delay = self.delays[self.waited % len(self.delays)]
        self.waited += 1
        await self.clock.sleep(delay)
        return await super().complete(request)


async def traced(workflow: Workflow, delays: list[float], bad: int, concurrency: int) -> list[Trace]:
    types = {name: Type.parse(text).json_schema() for name, text in workflow.sketch.inputs.items()}
    given = [{name: made_up(schema, stable_hash([name, n])) for name, schema in types.items()} for n in range(2)]
    model = Late(delays, bad)
    async with engine_on(model, tools=[measure, note], sandbox=Making(bad), concurrency=concurrency) as engine:
        runs = [
            asyncio.create_task(engine.run(workflow, inputs, example=str(n), purpose="train", replicate=n))
            for n, inputs in enumerate(given)
        ]
        return await together(runs)


def calls_tools(workflow: Workflow) -> bool:
    """Whether the trace tells how long a tool really took."""
    told = workflow.parameters.values()
    offered = any(isinstance(each, LLMParameters) and each.tools for each in told)
    return offered or any(node.kind == "tool" for _, node in walk(workflow.sketch))


def without_seconds(trace: Trace) -> Trace:
    steps = (
        replace(step, seconds=0, calls=tuple(replace(call, seconds=0) for call in step.calls)) for step in trace.steps
    )
    return replace(trace, steps=tuple(steps), seconds=0)


DELAYS = st.lists(st.floats(0, 10), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(workflows(), DELAYS, DELAYS, st.sampled_from([3, 100_000]), st.sampled_from([".yaml", ".json"]))
async def test_the_trace_depends_neither_on_what_ends_first_nor_on_saving_and_loading(
    tmp_path_factory: pytest.TempPathFactory,
    workflow: Workflow,
    delays: list[float],
    others: list[float],
    bad: int,
    ending: str,
) -> None:
    path: Path = tmp_path_factory.mktemp("flow") / f"w{ending}"
    workflow.save(path)
    first = await traced(workflow, delays, bad, 1)
    again = await traced(Workflow.load(path), others, bad, 16)
    if calls_tools(workflow):
        assert [without_seconds(trace) for trace in again] == [without_seconds(trace) for trace in first]
    else:
        assert again == first
    for trace in first:
        assert (trace.outputs is None) == bool(trace.error)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(workflows(), st.sampled_from([3, 100_000]))
async def test_steps_come_in_order_after_what_they_read_and_only_on_ways_that_were_taken(
    workflow: Workflow, bad: int
) -> None:
    nodes = workflow.sketch.nodes
    for trace in await traced(workflow, [0.0], bad, 16):
        seen: set[str] = set()
        for step in trace.steps:
            assert step.address not in seen
            assert set(step.reads) <= seen, step
            seen.add(step.address)
        ran = list(dict.fromkeys(step.address.partition("#")[0] for step in trace.steps if "/" not in step.address))
        assert ran == [name for name in topological(workflow.sketch) if name in ran]
        taken = {step.address: (step.outputs or {}).get("way") for step in trace.steps if step.kind == "branch"}
        for name in ran:
            branch, _, way = (nodes[name].when or "").partition(".")
            assert not branch or taken[branch] == way


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(damaged_data())
def test_a_damaged_workflow_with_defects_is_refused_before_anything_runs(data: Any) -> None:
    try:
        workflow = Workflow.from_data(data)
    except UserError:
        return
    defects = check(workflow, tools=TOOLS)
    assume(defects)
    with pytest.raises(UserError):
        Flow(workflow, lm="fake/echo", tools=[measure, note])
