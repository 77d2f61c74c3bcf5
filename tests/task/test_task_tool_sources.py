"""Declared tools in a task file: what is read, and what is found wrong before anything is opened."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flowbot.fields import UserError
from flowbot.fields.yaml import read_data
from flowbot.task import CalculatorSource, MCPSource, PythonSource, SearchSource, SQLSource, Task, Tool

TOOLS = """
def lookup(name: str) -> int:
    return 1

def pretend(order: str) -> str:
    return order
"""


def write(folder: Path, tools: Any) -> Path:
    (folder / "tools.py").write_text(TOOLS, encoding="utf-8")
    (folder / "docs.jsonl").write_text('{"text": "a"}\n', encoding="utf-8")
    (folder / "shop.sqlite").write_bytes(b"")
    (folder / "rows.jsonl").write_text('{"q": "a", "a": "b"}\n', encoding="utf-8")
    task = {
        "flowbot": 1,
        "goal": "Answer.",
        "inputs": {"q": "str"},
        "outputs": {"a": "str"},
        "metric": "exact",
        "data": {"train": "rows.jsonl"},
        "tools": tools,
    }
    path = folder / "task.json"
    path.write_text(json.dumps(task), encoding="utf-8")
    return path


def test_every_kind_of_tool_can_be_declared(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        [
            "tools.py:lookup",
            {
                "mcp": {"command": ["server", "--stdio"], "env": ["TOKEN"]},
                "only": ["find-it", "refund"],
                "simulate": {"refund": "tools.py:pretend"},
            },
            {
                "mcp": {"url": "http://localhost:1/mcp", "headers": {"Authorization": "Bearer $TOKEN"}},
                "only": {"find": "look"},
                "effects": "reads",
            },
            {"search": "docs.jsonl", "name": "papers", "k": 3, "about": "Papers."},
            {"sql": "shop.sqlite", "about": "Orders."},
            "python",
            "calculator",
        ],
    )
    task = Task.load(path)
    assert [tool.signature.name for tool in task.tools] == ["lookup"]
    server, address, search, sql, python, calculator = task.sources
    assert isinstance(server, MCPSource)
    assert (server.command, server.env, server.folder) == (("server", "--stdio"), ("TOKEN",), tmp_path)
    assert dict(server.only) == {"find-it": "find_it", "refund": "refund"}
    assert server.simulate["refund"](order="7") == "7"
    assert server.effects is None
    assert isinstance(address, MCPSource)
    assert (address.url, dict(address.only), address.effects) == ("http://localhost:1/mcp", {"find": "look"}, "reads")
    assert isinstance(search, SearchSource)
    assert (search.corpus, search.name, search.k, search.about) == (tmp_path / "docs.jsonl", "papers", 3, "Papers.")
    assert isinstance(sql, SQLSource)
    assert (sql.file, sql.name) == (tmp_path / "shop.sqlite", "sql")
    assert isinstance(python, PythonSource)
    assert isinstance(calculator, CalculatorSource)
    assert Task.load(path, callables=False).sources == ()


@pytest.mark.parametrize(
    ("tool", "where", "said"),
    [
        (3, "tools[0]", "an int"),
        (None, "tools[0]", "nothing"),
        ("java", "tools[0].call", "'java'"),
        ({"find": "docs.jsonl"}, "tools[0]", "the keys find"),
        ({"search": "none.jsonl"}, "tools[0].search", "no file"),
        ({"search": None}, "tools[0].search", "nothing"),
        ({"search": "docs.jsonl", "k": 0}, "tools[0].k", "0"),
        ({"search": "docs.jsonl", "k": True}, "tools[0].k", "True"),
        ({"search": "docs.jsonl", "name": "a b"}, "tools[0].name", "'a b'"),
        ({"search": "docs.jsonl", "top": 3}, "tools[0]", "'top'"),
        ({"sql": "none.sqlite"}, "tools[0].sql", "no file"),
        ({"mcp": "server", "only": ["a"]}, "tools[0].mcp", "a str"),
        ({"mcp": {"command": ["server"]}}, "tools[0]", "no 'only'"),
        ({"mcp": {"command": ["server"]}, "only": []}, "tools[0].only", "nothing"),
        ({"mcp": {"command": ["server"]}, "only": "a"}, "tools[0].only", "a str"),
        ({"mcp": {"command": ["server"]}, "only": {"a": "b c"}}, "tools[0].only", "'b c'"),
        ({"mcp": {"command": "server --stdio"}, "only": ["a"]}, "tools[0].mcp.command", "a str"),
        ({"mcp": {"command": ["server", 3]}, "only": ["a"]}, "tools[0].mcp.command[1]", "3"),
        ({"mcp": {}, "only": ["a"]}, "tools[0].mcp", "neither"),
        ({"mcp": {"command": ["x"], "url": "http://x"}, "only": ["a"]}, "tools[0].mcp", "both"),
        ({"mcp": {"url": "localhost:1"}, "only": ["a"]}, "tools[0].mcp.url", "'localhost:1'"),
        ({"mcp": {"url": "http://[::1"}, "only": ["a"]}, "tools[0].mcp.url", "'http://[::1'"),
        ({"mcp": {"url": "http://localhost:99999/mcp"}, "only": ["a"]}, "tools[0].mcp.url", "99999"),
        ({"mcp": {"url": "http:///mcp"}, "only": ["a"]}, "tools[0].mcp.url", "'http:///mcp'"),
        ({"mcp": {"url": "http://x", "env": ["A"]}, "only": ["a"]}, "tools[0].mcp", "env with url"),
        ({"mcp": {"command": ["x"], "headers": {"A": "b"}}, "only": ["a"]}, "tools[0].mcp", "headers with command"),
        ({"mcp": {"command": ["x"], "env": ["A=b"]}, "only": ["a"]}, "tools[0].mcp.env", "'A=b'"),
        ({"mcp": {"command": ["x"], "shell": True}, "only": ["a"]}, "tools[0].mcp", "'shell'"),
        ({"mcp": {"command": ["x"]}, "only": ["a"], "effects": "none"}, "tools[0].effects", "'none'"),
        (
            {"mcp": {"command": ["x"]}, "only": ["a"], "simulate": {"b": "tools.py:pretend"}},
            "tools[0].simulate",
            "'b'",
        ),
        (
            {"mcp": {"command": ["x"]}, "only": ["a"], "simulate": {"a": "tools.py:none"}},
            "tools[0].simulate.a",
            "no 'none'",
        ),
    ],
)
def test_a_fault_is_named_with_its_place(tmp_path: Path, tool: Any, where: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        Task.load(write(tmp_path, [tool]))
    assert caught.value.where == f"{tmp_path / 'task.json'}: {where}"
    assert said in caught.value.found


def test_what_the_documentation_declares_can_be_read(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "tools.md").read_text(encoding="utf-8")
    shown = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert shown is not None
    path = write(tmp_path, [])
    given = json.loads(path.read_text(encoding="utf-8"))
    (tmp_path / "shown.yaml").write_text(shown.group(1), encoding="utf-8")
    path.write_text(json.dumps({**given, **read_data(tmp_path / "shown.yaml")}), encoding="utf-8")
    (tmp_path / "papers.jsonl").write_text('{"text": "a"}\n', encoding="utf-8")
    (tmp_path / "tools.py").write_text(
        TOOLS + "def refund(order: str) -> str:\n    return order\npretend_refund = refund\n", encoding="utf-8"
    )
    task = Task.load(path)
    assert (len(task.tools), len(task.sources)) == (2, 6)


def test_a_task_has_its_identity_only_when_its_tools_are_opened(tmp_path: Path) -> None:
    task = Task.load(write(tmp_path, ["tools.py:lookup", "calculator"]))
    with pytest.raises(ValueError, match="opened"):
        _ = task.identity
    assert [each[0] for each in replace(task, sources=()).identity["tools"]] == ["lookup"]
    assert len(replace(task, goal="Other.").sources) == 1


def test_a_callable_of_a_file_is_told_by_its_name_there_and_may_be_told_more(tmp_path: Path) -> None:
    def loaded(tool: Any) -> Tool:
        path = write(tmp_path, [tool])
        (tmp_path / "tools.py").write_text(OBJECTS, encoding="utf-8")
        return Task.load(path).tools[0]

    north, south = loaded("tools.py:north"), loaded("tools.py:south")
    assert north.kept
    assert south.kept
    assert north.identity == loaded("tools.py:north").identity != south.identity
    prices = [loaded({"call": "tools.py:north", "identity": year}).identity for year in ("2025", "2026")]
    assert len({north.identity, *prices}) == 3


OBJECTS = """
class Shelf:
    def find(self, name: str) -> str:
        return name

north = Shelf().find
south = Shelf().find
"""


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (lambda file: SearchSource(corpus=file, k="5"), "tools.k"),
        (lambda file: SearchSource(corpus=file, name=3), "tools.name"),
        (lambda file: SearchSource(corpus=file, about=None), "tools.about"),
        (lambda file: SearchSource(corpus=3), "tools.search"),
        (lambda file: SQLSource(file=file, about=["Orders"]), "tools.about"),
        (lambda file: MCPSource(only=["find"], command=("x",)), "tools.only"),
        (lambda file: MCPSource(only={"find": "find"}, command="x --stdio"), "tools.mcp.command"),
        (lambda file: MCPSource(only={"find": "find"}, command=["x"], seconds="30"), "tools.mcp.seconds"),
        (lambda file: MCPSource(only={"find": "find"}, command=["x"], effects="none"), "tools.effects"),
    ],
)
def test_a_source_made_in_python_names_the_place_of_a_value_of_another_type(
    tmp_path: Path, make: Any, where: str
) -> None:
    file = tmp_path / "docs.jsonl"
    file.write_text("{}\n", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        make(file)
    assert caught.value.where == where
