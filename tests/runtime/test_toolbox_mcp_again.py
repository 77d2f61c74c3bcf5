"""MCP servers that end in mid-run and are there again: what is asked again, what is not, and what is said of it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from flowbot.fields import InfrastructureError, UserError
from flowbot.runtime.toolbox import http_status, opened_tools
from flowbot.runtime.tools import ToolRunner
from flowbot.task import MCPSource, Task

SCRIPT = Path(__file__).with_name("mcp_test_server.py")


def stdio(*offered: str, **more: Any) -> MCPSource:
    only = {name: name for name in offered}
    return MCPSource(only=only, command=(sys.executable, str(SCRIPT), *more.pop("arguments", ())), **more)


class Remote:
    """The server over HTTP on one port: it can be ended and started anew."""

    def __init__(self) -> None:
        self.port = 0
        self.process: subprocess.Popen[bytes]
        self.start()

    def start(self) -> None:
        with socket.create_server(("127.0.0.1", self.port), reuse_port=False) as listening:
            listening.set_inheritable(True)
            handle = listening.fileno()
            self.process = subprocess.Popen([sys.executable, str(SCRIPT), "--fd", str(handle)], pass_fds=[handle])
            self.port = listening.getsockname()[1]

    def end(self) -> None:
        self.process.kill()
        self.process.wait()

    def source(self, *offered: str, **more: Any) -> MCPSource:
        return MCPSource(only={name: name for name in offered}, url=f"http://127.0.0.1:{self.port}/mcp", **more)


@pytest.fixture
def remote() -> Iterator[Remote]:
    found = Remote()
    yield found
    found.end()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_status, "FIRST_WAIT", 0.01)


async def test_a_program_that_was_killed_is_started_again_by_the_next_call() -> None:
    async with opened_tools([stdio("pid", "add")]) as tools:
        runner = ToolRunner(tools, None)
        first = (await runner.call("pid", {}))[0]["result"]
        os.kill(first, signal.SIGKILL)
        assert (await runner.call("add", {"a": 1}))[0] == {"result": 2}
        second = (await runner.call("pid", {}))[0]["result"]
        assert second != first
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)


async def test_calls_side_by_side_start_one_server_and_not_one_each() -> None:
    async with opened_tools([stdio("pid")]) as tools:
        runner = ToolRunner(tools, None)
        first = (await runner.call("pid", {}))[0]["result"]
        os.kill(first, signal.SIGKILL)
        found = await asyncio.gather(*(runner.call("pid", {}) for _ in range(8)))
    assert len({outputs["result"] for outputs, _ in found} - {first}) == 1


async def test_a_call_that_only_reads_is_made_again_when_the_server_dies_over_it(tmp_path: Path) -> None:
    async with opened_tools([stdio("die_once")]) as tools:
        found, _ = await ToolRunner(tools, None).call("die_once", {"mark": str(tmp_path / "mark")})
    assert found == {"result": "alive"}


async def test_a_call_that_may_have_written_is_not_made_again_and_the_next_one_is(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    async with opened_tools([stdio("pay_and_die", "pay")]) as tools:
        runner = ToolRunner(tools, None, allow_writes=True)
        with pytest.raises(InfrastructureError, match="whether pay_and_die was carried out is not known") as caught:
            await runner.call("pay_and_die", {"ledger": str(ledger)})
        assert caught.value.kind == "connection"
        assert ledger.read_text() == "paid\n"
        assert (await runner.call("pay", {"ledger": str(ledger)}))[0] == {"result": "paid"}
    assert ledger.read_text() == "paid\npaid\n"


async def test_a_server_elsewhere_that_was_started_anew_is_initialised_anew(remote: Remote, tmp_path: Path) -> None:
    """It knows no session of before, and says so before it does anything: then also what writes is sent again."""
    ledger = tmp_path / "ledger"
    async with opened_tools([remote.source("add", "pay")]) as tools:
        runner = ToolRunner(tools, None, allow_writes=True)
        assert (await runner.call("add", {"a": 1}))[0] == {"result": 2}
        for _ in range(2):
            remote.end()
            remote.start()
            assert (await runner.call("pay", {"ledger": str(ledger)}))[0] == {"result": "paid"}
            remote.end()
            remote.start()
            assert (await runner.call("add", {"a": 2}))[0] == {"result": 3}
    assert ledger.read_text() == "paid\n" * 2


async def test_a_server_elsewhere_that_stays_away_fails_each_call_until_it_is_there(remote: Remote) -> None:
    async with opened_tools([remote.source("add")]) as tools:
        runner = ToolRunner(tools, None)
        remote.end()
        for _ in range(2):
            with pytest.raises(InfrastructureError) as caught:
                await runner.call("add", {"a": 1})
            assert caught.value.kind == "connection"
        remote.start()
        assert (await runner.call("add", {"a": 1}))[0] == {"result": 2}


async def test_another_server_in_its_place_ends_a_run_and_not_a_workflow_in_use(tmp_path: Path) -> None:
    server = tmp_path / "server.py"
    text = SCRIPT.read_text(encoding="utf-8")
    for pinned in (True, False):
        server.write_text(text, encoding="utf-8")
        source = MCPSource(only={"pid": "pid"}, command=(sys.executable, "server.py"), folder=tmp_path)
        async with opened_tools([source], pinned=pinned) as tools:
            runner = ToolRunner(tools, None)
            os.kill((await runner.call("pid", {}))[0]["result"], signal.SIGKILL)
            server.write_text(text.replace('version="1.2"', 'version="1.3"'), encoding="utf-8")
            if pinned:
                with pytest.raises(UserError, match=r"another server than before \(shelf 1\.3\)"):
                    await runner.call("pid", {})
            else:
                assert (await runner.call("pid", {}))[0]["result"] > 0


async def test_a_tool_that_changed_with_the_server_is_no_longer_called(tmp_path: Path) -> None:
    server = tmp_path / "server.py"
    text = SCRIPT.read_text(encoding="utf-8")
    server.write_text(text, encoding="utf-8")
    source = MCPSource(only={"pid": "pid", "add": "add"}, command=(sys.executable, "server.py"), folder=tmp_path)
    async with opened_tools([source], pinned=False) as tools:
        runner = ToolRunner(tools, None)
        os.kill((await runner.call("pid", {}))[0]["result"], signal.SIGKILL)
        server.write_text(text.replace("def add(a: int,", "def add(a: str,"), encoding="utf-8")
        with pytest.raises(UserError, match="tool add: found another tool than before"):
            await runner.call("add", {"a": 1})


async def test_a_server_that_is_slow_to_start_may_be_given_time(tmp_path: Path) -> None:
    turn = tmp_path / "turn"
    os.mkfifo(turn)
    late = stdio("add", arguments=("--late", str(turn)), seconds=0.2)
    with pytest.raises(UserError, match=r"no answer within 0\.2 s; `seconds:` allows more"):
        async with opened_tools([late]):
            pass


@pytest.mark.parametrize(
    ("given", "said"), [(0, "0"), (-1, "-1"), ("long", "'long'"), (True, "True"), (99999, "99999")]
)
def test_the_seconds_of_a_server_are_checked(tmp_path: Path, given: Any, said: str) -> None:
    import json

    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps({"q": q, "a": q}) for q in "abc"))
    data = {
        "flowbot": 1, "goal": "g", "inputs": {"q": "str"}, "outputs": {"a": "str"}, "metric": "exact",
        "data": {"all": "rows.jsonl", "split": [0.34, 0.33, 0.33]},
        "tools": [{"mcp": {"command": ["x"], "seconds": given}, "only": ["a"]}],
    }  # fmt: skip
    (tmp_path / "task.json").write_text(json.dumps(data))
    with pytest.raises(UserError, match=rf"tools\[0\]\.mcp\.seconds: found {said}"):
        Task.load(tmp_path / "task.json")
    data["tools"][0]["mcp"]["seconds"] = 90
    (tmp_path / "task.json").write_text(json.dumps(data))
    (source,) = Task.load(tmp_path / "task.json").sources
    assert isinstance(source, MCPSource)
    assert source.seconds == 90


@pytest.mark.parametrize("path", ["/sse", "/other"])
async def test_the_old_transport_gets_a_hint(path: str) -> None:
    async def stream(request: web.Request) -> web.Response:
        return web.Response(text="event: endpoint\ndata: /messages\n\n", content_type="text/event-stream")

    app = web.Application()
    app.router.add_get(path, stream)  # a POST is answered with 405
    server = TestServer(app)
    await server.start_server()
    try:
        with pytest.raises(InfrastructureError, match="the old SSE transport is not spoken"):
            async with opened_tools([MCPSource(only={"add": "add"}, url=str(server.make_url(path)))]):
                pass
    finally:
        await server.close()


async def test_whole_numbers_stay_whole() -> None:
    async with opened_tools([stdio("told")]) as tools:
        given = {"n": 3, "more": {"a": 4.0, "b": [5.0, 5.5], "c": 1e300}}
        found, _ = await ToolRunner(tools, None).call("told", given)
    assert found == {"result": "3 {'a': 4, 'b': [5, 5.5], 'c': 1e+300}"}


async def test_files_keep_their_addresses_and_pictures_are_only_named() -> None:
    async with opened_tools([stdio("files", "gallery")]) as tools:
        runner = ToolRunner(tools, None)
        files, _ = await runner.call("files", {})
        gallery, _ = await runner.call("gallery", {})
    assert files == {"result": "[file:///a.txt]\ninside\n[file:///b.bin]\n[c: file:///c]"}
    assert gallery["result"] == {"shown": [{"type": "image", "data": "[image]", "mimeType": "image/png"}], "n": 1}
