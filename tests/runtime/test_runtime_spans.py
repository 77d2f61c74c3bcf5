"""Spans of runs and of tools: one for each that is really made, with the faults that are part of a result marked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode
from runtime_help import engine_on, workflow_of
from span_help import Recorded, recording

LOOKED_UP = workflow_of(
    {"name": "str"},
    {"result": "find.result"},
    {"find": {"kind": "tool", "tool": "find", "in": {"name": "name"}, "out": {"result": "str"}}},
)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    return recording(monkeypatch)


def find(name: str) -> str:
    if name == "plum":
        raise ValueError("no plum here")
    return f"a {name}"


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    assert span.attributes is not None
    return span.attributes


async def test_a_tool_that_is_called_has_a_span_inside_that_of_the_run(recorded: Recorded) -> None:
    async with engine_on(tools=[find]) as engine:
        for _ in range(2):
            await engine.run(LOOKED_UP, {"name": "pear"}, example="e1", purpose="train")
    tool, run, stored = recorded.spans
    assert [each.name for each in (tool, run, stored)] == ["execute_tool find", "invoke_workflow", "invoke_workflow"]
    assert run.context is not None
    assert tool.parent is not None
    assert tool.parent.span_id == run.context.span_id
    assert dict(attributes(tool)) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "find",
        "gen_ai.tool.type": "function",
    }
    assert attributes(run)["flowbot.example"] == "e1"
    assert {each.status.status_code for each in (tool, run, stored)} == {StatusCode.UNSET}


async def test_a_step_that_fails_marks_its_tool_and_its_run(recorded: Recorded) -> None:
    async with engine_on(tools=[find]) as engine:
        trace = await engine.run(LOOKED_UP, {"name": "plum"}, purpose="train")
    assert trace.outputs is None
    tool, run = recorded.spans
    assert (attributes(tool)["error.type"], attributes(run)["error.type"]) == ("ValueError", "missing_outputs")
    assert {each.status.status_code for each in (tool, run)} == {StatusCode.ERROR}
    assert "plum" not in tool.to_json() + run.to_json()
