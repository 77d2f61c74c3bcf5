"""Random workflows give the same trace whatever ends first."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runtime_help import code, engine_on, llm, workflow_of

from flowbot.fields import StepError, stable_hash
from flowbot.lm import Request
from flowbot.lm.client import Reply
from flowbot.lm.fake import FakeClient
from flowbot.runtime import Sandbox, Trace
from flowbot.runtime.together import together
from flowbot.workflow import Workflow, topological


class Adding:
    """A sandbox that starts no process: the code is a number to add, or `fail`."""

    identity = "adding"

    async def run(self, code: str, inputs: Any, *, seconds: float = 0, memory_mb: int = 0) -> Any:
        if "fail" in code:
            raise StepError("it fails")
        return {"n": sum(inputs.values()) + len(code)}

    async def close(self) -> None: ...


class Late(FakeClient):
    """Replies with a number made from the request; what is told of time is not the time it took."""

    def __init__(self, delays: list[float], bad: int) -> None:
        super().__init__(self._number, latency=1.0)
        self.delays, self.bad, self.waited = delays, bad, 0

    def _number(self, request: Request) -> str:
        number = int(stable_hash(request.dump())[:6], 16)
        return "no number" if number % self.bad == 0 else f'{{"n": {number}}}'

    async def complete(self, request: Request) -> Reply:
        delay = self.delays[self.waited % len(self.delays)]
        self.waited += 1
        await self.clock.sleep(delay)
        return await super().complete(request)


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    nodes: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    known = ["a", "b"]
    for index in range(draw(st.integers(1, 7))):
        name = f"n{index}"
        reads = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3, unique=True))
        named = {f"x{place}": reference for place, reference in enumerate(reads)}
        match draw(st.sampled_from(["llm", "code", "merge"])):
            case "llm":
                nodes[name] = llm(named, {"n": "int"})
                parameters[name] = {"instruction": name, "temperature": draw(st.sampled_from([0.0, 1.0]))}
            case "code":
                nodes[name] = code(named, {"n": "int"})
                body = draw(st.sampled_from(["ok", "fail"]))
                parameters[name] = {"code": f"def run({', '.join(named)}):\n    return {{'n': '{body}'}}"}
            case _:
                how = draw(st.sampled_from(["first", "vote"]))
                nodes[name] = {"kind": "merge", "how": how, "in": reads, "out": {"n": "int"}}
        known.append(f"{name}.n")
    # All that nobody reads is an output, so that no node is unused; written in any order in the file.
    read = {
        reference
        for node in nodes.values()
        for reference in (node["in"] if isinstance(node["in"], list) else node["in"].values())
    }
    ends = [f"{name}.n" for name in nodes if f"{name}.n" not in read]
    nodes["end"] = {"kind": "merge", "how": "vote", "in": ends, "out": {"n": "int"}}
    order = draw(st.permutations(list(nodes)))
    return workflow_of({"a": "int", "b": "int"}, {"n": "end.n"}, {name: nodes[name] for name in order}, parameters)


async def traced(workflow: Workflow, delays: list[float], bad: int, concurrency: int) -> list[Trace]:
    sandbox: Sandbox = Adding()
    async with engine_on(Late(delays, bad), sandbox=sandbox, concurrency=concurrency) as engine:
        runs = [
            asyncio.create_task(engine.run(workflow, {"a": n, "b": 7}, example=str(n), purpose="train", replicate=n))
            for n in range(3)
        ]
        return await together(runs)


DELAYS = st.lists(st.floats(0, 10), min_size=1, max_size=8)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(workflows(), DELAYS, DELAYS, st.sampled_from([3, 1000]))
async def test_the_trace_does_not_depend_on_what_ends_first(
    workflow: Workflow, delays: list[float], others: list[float], bad: int
) -> None:
    first = await traced(workflow, delays, bad, 1)
    assert await traced(workflow, others, bad, 16) == first
    for trace in first:
        ran = [step.address for step in trace.steps]
        assert ran == [name for name in topological(workflow.sketch) if name in ran]
        assert (trace.outputs is None) == bool(trace.error)
