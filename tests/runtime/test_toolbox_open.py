"""Opening declared tools together: names, order, the interpreter, and what a flow and a task do with them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from flowbot.fields import UserError
from flowbot.runtime.flow import Flow
from flowbot.runtime.memo import Memo
from flowbot.runtime.sandbox.monty import MontySandbox
from flowbot.runtime.toolbox import opened_task, opened_tools
from flowbot.runtime.toolbox.interpreter import printing
from flowbot.runtime.tools import ToolRunner
from flowbot.store import Store
from flowbot.task import CalculatorSource, PythonSource, Task
from flowbot.workflow.workflow import Workflow


def lookup(name: str) -> str:
    """Look up."""
    return name


class Echo:
    """A sandbox that prints the script."""

    identity = "echo 1"
    closed = False

    async def run(self, code: str, inputs: Mapping[str, Any], *, seconds: float = 0, memory_mb: int = 0) -> Any:
        raise AssertionError

    async def script(self, code: str, *, seconds: float = 0, memory_mb: int = 0) -> str:
        return code

    async def close(self) -> None:
        self.closed = True


async def test_tools_keep_their_order_and_names_are_there_once() -> None:
    async with opened_tools([PythonSource(), lookup, CalculatorSource()], sandbox=Echo()) as tools:
        assert list(tools) == ["python", "lookup", "calculator"]
    for twice in ([lookup, lookup], [CalculatorSource(), CalculatorSource()]):
        with pytest.raises(UserError, match="twice"):
            async with opened_tools(twice):
                pass


async def test_a_script_gives_what_it_prints_and_a_fence_around_it_is_no_part_of_it() -> None:
    sandbox = Echo()
    async with opened_tools([PythonSource()], sandbox=sandbox) as tools:
        runner = ToolRunner(tools, None)
        for code in ("print(1)\n", "```python\nprint(1)\n```"):
            assert (await runner.call("python", {"code": code}))[0] == {"result": "print(1)", "error": ""}
        assert "printed nothing" in (await runner.call("python", {"code": " "}))[0]["error"]
        assert "echo 1" in tools["python"].identity
    assert not sandbox.closed  # it is the caller's


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        ("12", "12"),
        ("a = 2\na * 3", "6"),
        ("def f(n):\n    return n + 1\nf(1)", "2"),
        ("[1].append(2)", ""),
        ("a = 2", ""),
        ("if True:\n    3", ""),
        ("a = (", ""),
        ("(" * 9000, ""),
        ("# nothing", ""),
    ],
)
def test_the_value_of_a_scripts_last_line_is_shown_as_in_a_notebook(script: str, shown: str) -> None:
    said = subprocess.run([sys.executable, "-c", printing(script)], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == shown


class Queue(Echo):
    """A sandbox whose scripts end when they may."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()

    async def script(self, code: str, *, seconds: float = 0, memory_mb: int = 0) -> str:
        self.began.set()
        await self.may_end.wait()
        return code


async def test_neither_a_script_nor_its_wait_for_the_sandbox_takes_time_of_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    async with opened_tools([PythonSource()], sandbox=(sandbox := Queue())) as tools:
        runner = ToolRunner(tools, Memo(Store.memory()), seconds=0.01)
        asked = [asyncio.create_task(runner.call("python", {"code": f"print({n})"})) for n in range(2)]
        await sandbox.began.wait()
        await asyncio.sleep(0.05)  # longer than a tool may take that does not bound its own time
        sandbox.may_end.set()
        (first, slow), (second, quick) = await asyncio.gather(*asked)
    assert (first["error"], second["error"]) == ("", "")
    assert (slow, quick) == (0, 0)


async def test_scripts_run_in_the_sandbox_and_their_errors_are_feedback() -> None:
    async with opened_tools([PythonSource()], sandbox=(sandbox := MontySandbox())) as tools:
        runner = ToolRunner(tools, None)
        assert (await runner.call("python", {"code": "print(sum(range(5)))"}))[0] == {"result": "10", "error": ""}
        failed = (await runner.call("python", {"code": "print(1)\n1 / 0"}))[0]
        assert failed["result"] == ""
        assert "ZeroDivisionError" in failed["error"]
    await sandbox.close()


async def test_an_opened_task_has_tools_and_no_sources() -> None:
    row = {"q": "a", "a": "b"}
    task = Task(
        goal="Answer.", inputs={"q": "str"}, outputs={"a": "str"}, metric="exact", train=[row],
        tools=[CalculatorSource(), lookup],
    )  # fmt: skip
    async with opened_task(task) as opened:
        assert [tool.signature.name for tool in opened.tools] == ["lookup", "calculator"]
        assert opened.sources == ()
        assert opened.train == task.train
        _ = opened.identity


def test_a_flow_takes_declared_tools() -> None:
    workflow = Workflow.from_data(
        {
            "flowbot": 1,
            "inputs": {"sum": "str"},
            "outputs": {"value": "work.number"},
            "nodes": {
                "work": {
                    "kind": "tool",
                    "tool": "calculator",
                    "in": {"expression": "sum"},
                    "out": {"number": "float"},
                }
            },
        },
        "test",
    )
    with Flow(workflow, tools=[CalculatorSource()]) as flow:
        assert flow(sum="2 * 21") == {"value": 42.0}
    other = workflow.dump()
    other["nodes"]["work"]["tool"] = "search"
    with pytest.raises(UserError, match="no tool 'search'"):
        Flow(Workflow.from_data(other), tools=[CalculatorSource()])
