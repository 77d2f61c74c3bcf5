from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from runtime_help import code, single, workflow_of

from flowbot.fields import ModelError, UserError
from flowbot.run.load import load
from flowbot.runtime.flow import Flow
from flowbot.task import SearchSource, tool_of
from flowbot.workflow.parameters import CodeParameters
from flowbot.workflow.workflow import Workflow


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


@pytest.mark.parametrize("name", ["self", "cls", "inputs", "kwargs", "args", "address", "workflow", "given"])
async def test_an_input_may_have_any_name(name: str) -> None:
    workflow = Workflow.from_data(
        {
            "flowbot": 1,
            "inputs": {name: "int"},
            "outputs": {"twice": "d.n", "more": "t.result"},
            "nodes": {
                "d": {"kind": "code", "in": {name: name}, "out": {"n": "int"}},
                "t": {"kind": "tool", "tool": "add", "in": {name: "d.n"}, "out": {"result": "int"}},
            },
            "parameters": {"d": {"code": f"def run({name}):\n    return {{'n': {name} * 2}}"}},
        },
        "test",
    )
    space: dict[str, Any] = {}
    exec(f"def add({name}: int) -> int:\n    return {name} + 1", space)  # noqa: S102 - a parameter of any name
    with Flow(workflow, tools=[space["add"]]) as flow:
        wanted = {"twice": 8, "more": 9}
        assert flow(**{name: 4}) == wanted
        assert await flow.acall(**{name: 4}) == wanted
        assert flow.trace(**{name: 4}).outputs == (await flow.atrace(**{name: 4})).outputs == wanted


def test_a_flow_is_loaded_from_its_file(tmp_path: Path) -> None:
    doubling().save(tmp_path / "double.flow.yaml")
    with load(tmp_path / "double.flow.yaml") as flow:
        assert flow(n=4) == {"twice": 8}


def test_a_program_that_never_closes_its_flow_ends_quietly(tmp_path: Path) -> None:
    doubling().save(tmp_path / "double.flow.yaml")
    script = f"from flowbot.run.load import load\nprint(load({str(tmp_path / 'double.flow.yaml')!r})(n=4))"
    kept = f"from flowbot.run.load import load\nflow = load({str(tmp_path / 'double.flow.yaml')!r})\nprint(flow(n=4))"
    for each in (script, kept):
        done = subprocess.run([sys.executable, "-c", each], capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "{'twice': 8}", "")


def test_the_sandbox_is_the_one_that_is_asked_for() -> None:
    with pytest.raises(UserError, match="'none'"):
        Flow(doubling(), sandbox="none")
    with Flow(doubling(), sandbox="monty") as flow:
        assert flow(n=3) == {"twice": 6}


def test_indexes_go_where_they_are_told_and_news_is_said(tmp_path: Path) -> None:
    corpus = tmp_path / "notes.jsonl"
    corpus.write_text('{"text": "a red pear"}\n', encoding="utf-8")
    nodes = {"s": {"kind": "tool", "tool": "search", "in": {"query": "q"}, "out": {"results": "list[str]"}}}
    workflow = workflow_of({"q": "str"}, {"found": "s.results"}, nodes)
    said: list[str] = []
    workflow.save(tmp_path / "search.flow.yaml")
    tools = [SearchSource(corpus=corpus)]
    with load(tmp_path / "search.flow.yaml", tools=tools, cache_dir=tmp_path / "cache", say=said.append) as flow:
        assert flow(q="pear") == {"found": ["a red pear"]}
    assert len(list((tmp_path / "cache" / "corpora").iterdir())) == 1
    assert said == ["Indexing notes.jsonl for search; this is done once."]


async def test_a_call_that_is_given_up_ends_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def count(name: str) -> int:
        begun.set()
        go_on.wait(10)
        return len(name)

    with Flow(with_tool(), tools=[count]) as flow:
        call = asyncio.create_task(flow.acall(name="Ann"))
        await asyncio.to_thread(begun.wait, 10)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        go_on.set()
        assert await flow.acall(name="Bo") == {"n": 2}
    gc.collect()
    assert caplog.text == ""


def test_closing_while_another_thread_calls_ends_that_call_with_an_error() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(x: str) -> str:
        begun.set()
        go_on.wait(10)
        return x

    nodes = {
        "one": {"kind": "tool", "tool": "slow", "in": {"x": "q"}, "out": {"result": "str"}},
        "two": {"kind": "tool", "tool": "slow", "in": {"x": "one.result"}, "out": {"result": "str"}},
    }
    flow = Flow(
        Workflow.from_data({"flowbot": 1, "inputs": {"q": "str"}, "outputs": {"a": "two.result"}, "nodes": nodes}),
        tools=[slow],
    )
    came: list[Any] = []

    def call() -> None:
        try:
            came.append(flow(q="x"))
        except UserError as error:
            came.append(str(error))

    caller = threading.Thread(target=call, daemon=True)
    caller.start()
    begun.wait(10)
    closer = threading.Thread(target=flow.close, daemon=True)
    closer.start()
    closer.join(0.2)
    go_on.set()
    for thread in (closer, caller):
        thread.join(10)
        assert not thread.is_alive()
    assert "closed while a call was under way" in came[0]
