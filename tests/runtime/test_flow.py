from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from runtime_help import code, single, workflow_of

from flowbot.fields import ModelError, UserError
from flowbot.runtime import Flow, load
from flowbot.task import tool_of
from flowbot.workflow import CodeParameters, Workflow


def doubling() -> Workflow:
    nodes = {"d": code({"n": "n"}, {"n": "int"})}
    return workflow_of({"n": "int"}, {"twice": "d.n"}, nodes, {"d": {"code": "def run(n):\n    return {'n': n * 2}"}})


def with_tool() -> Workflow:
    nodes = {"t": {"kind": "tool", "tool": "count", "in": {"name": "name"}, "out": {"result": "int"}}}
    return workflow_of({"name": "str"}, {"n": "t.result"}, nodes)


def test_a_flow_is_called_from_plain_code() -> None:
    with Flow(single(), lm="fake/echo") as flow:
        assert flow(note="hello") == {"text": "hello"}
        assert flow.trace(note="hello").steps[0].messages[-1].content == "hello"


async def test_and_from_inside_a_running_loop_waiting_or_not() -> None:
    with Flow(single(), lm="fake/echo") as flow:
        assert await flow.acall(note="a") == {"text": "a"}
        assert flow(note="b") == {"text": "b"}
        assert (await flow.atrace(note="c")).outputs == {"text": "c"}


def test_and_from_several_threads_at_once() -> None:
    with Flow(doubling()) as flow:
        found: list[int] = []
        threads = [threading.Thread(target=lambda n=n: found.append(flow(n=n)["twice"])) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(found) == [2 * n for n in range(20)]


def test_it_may_be_closed_and_called_again() -> None:
    flow = Flow(doubling())
    flow.close()
    assert flow(n=1) == {"twice": 2}
    flow.close()
    assert flow(n=2) == {"twice": 4}
    flow.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "flowbot-flow"]


def test_one_that_nobody_holds_any_more_ends_its_thread() -> None:
    flow = Flow(doubling())
    assert flow(n=1) == {"twice": 2}
    del flow
    assert not [thread for thread in threading.enumerate() if thread.name == "flowbot-flow"]


def test_tools_are_called_for_real_every_time() -> None:
    calls: list[str] = []

    def count(name: str) -> int:
        calls.append(name)
        return len(calls)

    with Flow(with_tool(), tools=[tool_of(count, effects="writes", simulate=_pretend)]) as flow:
        assert [flow(name="x")["n"] for _ in range(3)] == [1, 2, 3]


def _pretend(name: str) -> int:
    raise AssertionError


@pytest.mark.parametrize(
    ("workflow", "told"),
    [(single(), "step answer: found no model"), (with_tool(), "no tool 'count'")],
    ids=["lm", "tool"],
)
def test_what_is_missing_is_said_at_once(workflow: Workflow, told: str) -> None:
    with pytest.raises(UserError) as caught:
        Flow(workflow)
    assert told in str(caught.value)


def test_wrong_inputs_and_failed_steps_are_errors() -> None:
    with Flow(doubling()) as flow, pytest.raises(UserError, match="no 'n'"):
        flow()
    broken = doubling().with_parameter("d", CodeParameters(code="def run(n):\n    return {'n': 1 // n}"))
    with Flow(broken) as flow:
        assert flow(n=1) == {"twice": 1}
        with pytest.raises(ModelError, match=r"^d: ZeroDivisionError"):
            flow(n=0)


def test_a_flow_is_loaded_from_its_file(tmp_path: Path) -> None:
    doubling().save(tmp_path / "double.flow.yaml")
    with load(tmp_path / "double.flow.yaml") as flow:
        assert flow(n=4) == {"twice": 8}


def test_a_program_that_never_closes_its_flow_ends_quietly(tmp_path: Path) -> None:
    doubling().save(tmp_path / "double.flow.yaml")
    script = f"from flowbot.runtime import load\nprint(load({str(tmp_path / 'double.flow.yaml')!r})(n=4))"
    kept = f"from flowbot.runtime import load\nflow = load({str(tmp_path / 'double.flow.yaml')!r})\nprint(flow(n=4))"
    for each in (script, kept):
        done = subprocess.run([sys.executable, "-c", each], capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "{'twice': 8}", "")
