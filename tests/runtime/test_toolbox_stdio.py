"""The transport to an MCP server that is a program: lines of bounded size, and programs that keep to nothing."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbot.fields import InfrastructureError, StepError
from flowbot.runtime.memo import Memo
from flowbot.runtime.toolbox import mcp as mcp_module
from flowbot.runtime.toolbox import opened_tools, stdio
from flowbot.runtime.toolbox.stdio import MOST_MARKS, TOO_LARGE, Broken, Lines, _message
from flowbot.runtime.tools import ToolRunner
from flowbot.store import Store
from flowbot.task import MCPSource


@given(st.lists(st.binary(max_size=20)), st.data())
def test_lines_are_the_same_however_they_come_in_pieces(given_lines: list[bytes], data: st.DataObject) -> None:
    lines = [line.replace(b"\n", b"") for line in given_lines]
    whole = b"".join(line + b"\n" for line in lines)
    reader, found = Lines(), []
    while whole:
        size = data.draw(st.integers(1, len(whole)))
        found += reader.feed(whole[:size])
        whole = whole[size:]
    assert found == [(line, False) for line in lines]


def test_of_a_line_that_is_too_long_the_ends_are_kept() -> None:
    reader = Lines(1000)
    assert list(reader.feed(b"a" * 700)) == []
    for _ in range(100):
        assert list(reader.feed(b"x" * 900)) == []
    ((line, long), (after, long_too)) = reader.feed(b"z" * 500 + b"\nnext\n")
    assert (long, long_too, after) == (True, False, b"next")
    assert line[:400] == b"a" * 400
    assert line[-400:] == b"z" * 400
    assert len(line) < 2000


def test_a_line_without_end_is_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stdio, "_MOST_LINE", 5000)
    reader = Lines(1000)
    for _ in range(2):
        assert len(list(reader.feed(b"x" * 4000 + b"\n"))) == 1
    list(reader.feed(b"x" * 4000))
    with pytest.raises(Broken, match="line without end"):
        list(reader.feed(b"x" * 4000))


@pytest.mark.parametrize(
    ("line", "long", "told"),
    [
        (b'{"jsonrpc":"2.0","id":7,"result":{"text":"\\ud800"}}', False, "no JSON in valid Unicode"),
        (b'{"result":{"id":3,"text":"\\ud800"},"id":7,"jsonrpc":"2.0"}', False, "no JSON in valid Unicode"),
        (b'{"id":7,"result":"' + b"x" * 500, True, TOO_LARGE),
        (b'{"id":7,"result":[' + b"[]," * MOST_MARKS + b"[]]}", False, TOO_LARGE),
    ],
)
def test_an_answer_that_cannot_be_taken_is_an_error_to_whoever_asked(line: bytes, long: bool, told: str) -> None:
    message = _message(line, long)
    assert message.id == 7
    assert told in message.error.message


def test_whose_answer_is_not_told_by_what_it_holds() -> None:
    with pytest.raises(Broken):
        _message(b'{"result":{"id":3,"text":"\\ud800"}}', False)


def test_what_is_printed_in_between_is_no_message() -> None:
    assert _message(b"Listening...", False) is None


SERVER = """
import json, sys, time
def say(own, **more):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": own, **more}) + "\\n")
    sys.stdout.flush()
for line in sys.stdin:
    asked = json.loads(line)
    if asked["method"] == "initialize":
        print("Listening...", flush=True)
        say(own := asked["id"], result={"protocolVersion": asked["params"]["protocolVersion"],
            "capabilities": {"tools": {}}, "serverInfo": {"name": "odd", "version": "1"}})
    elif asked["method"] == "tools/list":
        say(asked["id"], result={"tools": [{"name": "look", "inputSchema": {"type": "object", "properties": {}},
            "annotations": {"readOnlyHint": True}}]})
    elif asked["method"] == "tools/call":
        {how}
    elif "id" in asked and {there}:
        say(asked["id"], error={"code": -32601, "message": "no such method"})
"""


async def called(tmp_path: Path, how: str, *, there: bool = True) -> tuple[str, int]:
    """What a call came to, and how many results are stored."""
    script = SERVER.replace("{how}", how).replace("{there}", str(there))
    (tmp_path / "odd.py").write_text(script, encoding="utf-8")
    memo = Memo(Store.memory())
    source = MCPSource(only={"look": "look"}, command=(sys.executable, "odd.py"), folder=tmp_path)
    async with opened_tools([source]) as tools:
        try:
            told: Any = (await ToolRunner(tools, memo).call("look", {}))[0]
        except (StepError, InfrastructureError) as error:
            told = f"{type(error).__name__}: {error}"
    return str(told), len(await memo.store.items("tool"))


async def test_a_program_that_answers_nothing_any_more_is_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_module, "SECONDS", 0.2)
    monkeypatch.setattr(mcp_module, "_PING_SECONDS", 0.2)
    assert await called(tmp_path, "continue", there=False) == (
        "InfrastructureError: MCP server odd: no answer within 0.2 s",
        0,
    )
    assert await called(tmp_path, "continue") == ("StepError: tool look: took longer than 0.2 s", 1)


@pytest.mark.parametrize("message", [{"method": "x"}, {"id": 999, "result": {}}, {"id": "a", "method": "ping"}])
async def test_a_flood_of_what_nobody_asked_for_ends_the_connection(tmp_path: Path, message: dict[str, Any]) -> None:
    line = json.dumps({"jsonrpc": "2.0", **message}) + "\n"
    told, stored = await called(tmp_path, f"exec({f'while True: sys.stdout.write({line!r} * 9999)'!r})")
    assert "sends without end" in told
    assert stored == 0


async def test_what_a_program_asks_is_answered_here(tmp_path: Path) -> None:
    how = (
        'say("a", method="ping"); first = json.loads(sys.stdin.readline()); '
        'say("b", method="sampling/createMessage"); second = json.loads(sys.stdin.readline()); '
        'say(asked["id"], result={"content": [{"type": "text", "text": json.dumps([first, second])}]})'
    )
    told, _ = await called(tmp_path, how)
    answers = json.loads(eval(told)["result"])  # noqa: S307 - our own dict
    assert [each["id"] for each in answers] == ["a", "b"]
    assert answers[0]["result"] == {}
    assert answers[1]["error"]["code"] == -32601


@pytest.mark.parametrize(("own", "most", "answered"), [("a" * 200, 0, True), ("a" * 201, 0, False), ("a", -1, False)])
async def test_what_a_program_asks_is_answered_only_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, most: int, answered: bool
) -> None:
    monkeypatch.setattr(stdio, "_MOST_UNREAD", most)
    how = (
        f"import select; say({own!r}, method='ping'); came = select.select([sys.stdin], [], [], {5.0 if answered else 0.3}); "
        "say(asked['id'], result={'content': [{'type': 'text', 'text': str(bool(came[0]))}]})"
    )
    told, _ = await called(tmp_path, how)
    assert eval(told)["result"] == str(answered)  # noqa: S307 - our own dict


async def test_a_program_that_heeds_nothing_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stdio, "_END_SECONDS", 0.2)
    how = (
        "import os, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        'say(asked["id"], result={"content": [{"type": "text", "text": str(os.getpid())}]}); time.sleep(600)'
    )
    told, _ = await called(tmp_path, how)
    with pytest.raises(ProcessLookupError):
        os.kill(int(eval(told)["result"]), 0)  # noqa: S307 - our own dict


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
async def test_what_a_program_started_is_ended_also_where_it_ends_first(tmp_path: Path) -> None:
    how = (
        "import subprocess; child = subprocess.Popen(['sleep', '600'], stdin=subprocess.DEVNULL); "
        'say(asked["id"], result={"content": [{"type": "text", "text": str(child.pid)}]})'
    )
    told, _ = await called(tmp_path, how)
    child = int(eval(told)["result"])  # noqa: S307 - our own dict
    for _ in range(200):
        if _has_ended(child):
            break
        await asyncio.sleep(0.01)
    assert _has_ended(child)


def _has_ended(pid: int) -> bool:
    """Also one that nobody has taken notice of yet."""
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(") ")[2].startswith("Z")
