"""Tools of MCP servers: a small one of our own over stdio and HTTP, and a published one in a workflow."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from flowbot.fields import InfrastructureError, StepError, UserError
from flowbot.runtime.flow import Flow
from flowbot.runtime.memo import Memo
from flowbot.runtime.toolbox import http_status, opened_tools
from flowbot.runtime.toolbox import mcp as mcp_module
from flowbot.runtime.tools import ToolRunner
from flowbot.store import Store
from flowbot.task import MCPSource
from flowbot.workflow.workflow import Workflow

SCRIPT = Path(__file__).with_name("mcp_test_server.py")


def names(*offered: str) -> dict[str, str]:
    return {name: name.replace("-", "_") for name in offered}


def stdio(*offered: str, **more: Any) -> MCPSource:
    arguments = more.pop("arguments", ())
    return MCPSource(only=names(*offered), command=(sys.executable, str(SCRIPT), *arguments), **more)


@pytest.fixture
def url() -> Iterator[str]:
    """The same server over HTTP, on a socket that listens already."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.set_inheritable(True)
        handle = listening.fileno()
        process = subprocess.Popen([sys.executable, str(SCRIPT), "--fd", str(handle)], pass_fds=[handle])
        port = listening.getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


async def called(source: MCPSource, name: str, /, **arguments: Any) -> Mapping[str, Any]:
    async with opened_tools([source]) as tools:
        outputs, _ = await ToolRunner(tools, None, allow_writes=True).call(name, arguments)
        return outputs


async def test_signatures_come_from_the_servers_schemas() -> None:
    async with opened_tools([stdio("add", "find-item", "show", "refund")]) as tools:
        told = {
            name: (
                [f"{field.name}: {field.type}" for field in tool.signature.inputs],
                [f"{field.name}: {field.type}" for field in tool.signature.outputs],
                set(tool.signature.optional),
                tool.signature.effects,
            )
            for name, tool in tools.items()
        }
    assert told == {
        "add": (["a: int", "b: int"], ["result: int"], {"b"}, "reads"),
        "find_item": (
            ["name: str", "kind: Literal['new', 'old']", "tags: list[str]"],
            ["result: object"],
            {"tags"},
            "reads",
        ),
        "show": (["text: str"], ["result: str"], set(), "reads"),
        "refund": (["order: str"], ["result: str"], set(), "writes"),
    }
    assert tools["add"].signature.about == "Add two numbers."


async def test_results_are_structured_where_the_tool_says_so_and_text_else() -> None:
    assert await called(stdio("add"), "add", a="2") == {"result": 3}
    found = await called(stdio("find-item"), "find_item", name="pear", kind="new", tags=["x"])
    assert found == {"result": {"count": 1, "shelf": None}}
    assert await called(stdio("show"), "show", text="hello") == {"result": "hello\n[image]"}


async def test_over_http_the_same(url: str) -> None:
    source = MCPSource(only=names("add", "find-item"), url=url)
    assert await called(source, "add", a=2, b=5) == {"result": 7}
    with pytest.raises(StepError, match="there is no such item"):
        await called(source, "find_item", name="none", kind="old")


async def test_only_declared_tools_are_callable() -> None:
    async with opened_tools([stdio("add")]) as tools:
        assert list(tools) == ["add"]
        with pytest.raises(UserError, match="'pid'"):
            await ToolRunner(tools, None).call("pid", {})


async def test_a_tool_that_the_server_does_not_offer_is_named_with_what_it_does() -> None:
    with pytest.raises(UserError, match=r"tools\.only: found 'sub'; .*add, die, die_once"):
        await called(stdio("sub"), "sub")


async def test_a_tool_without_a_read_only_hint_writes() -> None:
    def pretend(order: str) -> str:
        return f"would pay {order}"

    async with opened_tools([stdio("refund")]) as tools:
        with pytest.raises(UserError, match="simulate"):
            ToolRunner(tools, None)
    async with opened_tools([stdio("refund", simulate={"refund": pretend})]) as tools:
        assert tools["refund"].signature.simulated
        outputs, _ = await ToolRunner(tools, None).call("refund", {"order": "7"})
        assert outputs == {"result": "would pay 7"}
    async with opened_tools([stdio("refund", effects="reads")]) as tools:
        outputs, _ = await ToolRunner(tools, None).call("refund", {"order": "7"})
        assert outputs == {"result": "paid 7"}


async def test_a_stand_in_of_another_shape_is_refused() -> None:
    def pretend(number: str) -> str:
        return number

    with pytest.raises(UserError, match=r"simulate\.refund.*order: str"):
        await called(stdio("refund", simulate={"refund": pretend}), "refund")


async def test_an_error_of_the_tool_is_a_failed_step_and_the_connection_stays() -> None:
    async with opened_tools([stdio("find-item", "add")]) as tools:
        runner = ToolRunner(tools, None)
        with pytest.raises(StepError, match=r"tool find_item: .*there is no such item"):
            await runner.call("find_item", {"name": "none", "kind": "new"})
        assert (await runner.call("add", {"a": 1}))[0] == {"result": 2}


async def test_a_slow_tool_is_left_and_its_time_out_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_module, "SECONDS", 0.2)
    memo = Memo(Store.memory())
    async with opened_tools([stdio("slow")]) as tools:
        for _ in range(2):
            with pytest.raises(StepError, match=r"took longer than 0\.2 s"):
                await ToolRunner(tools, memo).call("slow", {})
    assert len(await memo.store.items("tool")) == 1


async def test_a_result_that_is_too_large_is_a_failed_step_that_says_how_large() -> None:
    with pytest.raises(StepError, match=r"300,0\d\d bytes, larger than 100,000"):
        await called(stdio("huge"), "huge")


@pytest.mark.parametrize("transport", ["stdio", "http"])
async def test_a_server_that_dies_in_mid_call_is_no_result(
    transport: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_status, "FIRST_WAIT", 0.01)
    source = stdio("die", "add") if transport == "stdio" else MCPSource(only=names("die", "add"), url=url)
    memo = Memo(Store.memory())
    async with opened_tools([source]) as tools:
        runner = ToolRunner(tools, memo)
        with pytest.raises(InfrastructureError, match="MCP server"):
            await runner.call("die", {})
        assert len(await memo.store.items("tool")) == 0
        if transport == "stdio":
            assert (await runner.call("add", {"a": 1}))[0] == {"result": 2}
        else:
            with pytest.raises(InfrastructureError, match="MCP server"):
                await runner.call("add", {"a": 1})


async def test_the_server_ends_with_the_run_also_when_that_fails() -> None:
    found: list[int] = []

    async def run() -> None:
        async with opened_tools([stdio("pid")]) as tools:
            outputs, _ = await ToolRunner(tools, None).call("pid", {})
            found.append(outputs["result"])
            os.kill(found[0], 0)
            raise ValueError("the run failed")

    with pytest.raises(ValueError, match="the run failed"):
        await run()
    with pytest.raises(ProcessLookupError):
        os.kill(found[0], 0)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("no-such-program",), "no program 'no-such-program'"),
        ((sys.executable, "-c", "import sys; sys.exit('it is broken')"), "it is broken"),
        ((sys.executable, "-c", "pass"), "Connection closed"),
    ],
)
async def test_a_program_that_is_no_server_is_the_users_error(command: tuple[str, ...], said: str) -> None:
    with pytest.raises(UserError, match=said):
        await called(MCPSource(only=names("add"), command=command), "add")


async def test_a_server_elsewhere_that_cannot_be_reached_is_an_infrastructure_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(InfrastructureError) as caught:
        await called(MCPSource(only=names("add"), url=f"http://me:pass@127.0.0.1:{port}/mcp?key=hidden"), "add")
    assert f"127.0.0.1:{port}/mcp" in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert "pass" not in str(caught.value)


async def test_only_named_variables_reach_the_server_and_their_values_are_not_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHELF_KEY", "s3cret-value")
    monkeypatch.setenv("OTHER_KEY", "other")
    source = stdio("secret", env=("SHELF_KEY",))
    assert await called(source, "secret") == {"result": "[secret] None"}
    async with opened_tools([source]) as tools:
        before = tools["secret"].identity
    monkeypatch.setenv("SHELF_KEY", "another-value")
    async with opened_tools([source]) as tools:
        assert tools["secret"].identity == before
    with pytest.raises(UserError) as caught:
        await called(stdio("secret", env=("SHELF_KEY",), arguments=("--refuse",)), "secret")
    assert "is not valid" in str(caught.value)
    assert "another-value" not in str(caught.value)
    monkeypatch.delenv("SHELF_KEY")
    with pytest.raises(UserError, match="no environment variable SHELF_KEY"):
        await called(source, "secret")


async def test_the_identity_changes_with_the_servers_file(tmp_path: Path) -> None:
    identities: set[str] = set()
    for text in ("", "\n# changed"):
        (tmp_path / "server.py").write_text(SCRIPT.read_text(encoding="utf-8") + text, encoding="utf-8")
        source = MCPSource(only=names("add"), command=(sys.executable, "server.py"), folder=tmp_path)
        for _ in range(2):
            async with opened_tools([source]) as tools:
                identities.add(tools["add"].identity)
    assert len(identities) == 2


def test_a_flow_opens_a_server_and_ends_it() -> None:
    workflow = Workflow.from_data(
        {
            "flowbot": 1,
            "inputs": {"n": "int"},
            "outputs": {"sum": "add.result", "process": "pid.result"},
            "nodes": {
                "add": {"kind": "tool", "tool": "add", "in": {"a": "n"}, "out": {"result": "int"}},
                "pid": {"kind": "tool", "tool": "pid", "in": {}, "out": {"result": "int"}},
            },
        },
        "test",
    )
    with Flow(workflow, tools=[stdio("add", "pid")]) as flow:
        first = flow(n=4)
        assert first["sum"] == 5
        assert flow(n=5)["process"] == first["process"]
    with pytest.raises(ProcessLookupError):
        os.kill(first["process"], 0)
    with pytest.raises(UserError, match="add"):
        Flow(workflow, tools=[stdio("pid")])
