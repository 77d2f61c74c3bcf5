"""The file format: what is read, what is refused and how, what is written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flowbot.fields import UserError
from flowbot.workflow.messages import FormatError
from flowbot.workflow.parameters import CodeParameters, LLMParameters
from flowbot.workflow.workflow import Workflow

TEXT = """\
flowbot: 1
inputs: {question: str}
outputs: {answer: count.n}
nodes:
  list: {kind: llm, in: {question: question}, out: {items: "list[str]"}}
  count: {kind: code, in: {items: list.items}, out: {n: int}}
parameters:
  list: {instruction: List the things that are asked about., samples: 1, temperature: 0}
  count:
    code: |-
      def run(items):
          return {'n': len(items)}
"""


def written(tmp_path: Path, text: str = TEXT, name: str = "a.flow.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_parameters_are_read_as_those_of_their_nodes_kind(tmp_path: Path) -> None:
    workflow = Workflow.load(written(tmp_path))
    assert workflow.parameters == {
        "list": LLMParameters(instruction="List the things that are asked about."),
        "count": CodeParameters(code="def run(items):\n    return {'n': len(items)}"),
    }


def test_what_is_saved_is_readable_and_says_nothing_twice(tmp_path: Path) -> None:
    workflow = Workflow.load(written(tmp_path))
    workflow.save(tmp_path / "b.yaml")
    text = (tmp_path / "b.yaml").read_text(encoding="utf-8")
    assert "  count: {kind: code, in: {items: list.items}, out: {n: int}}\n" in text
    assert "      def run(items):\n          return {'n': len(items)}\n" in text
    assert "frozen" not in text
    assert "samples" not in text
    assert Workflow.load(tmp_path / "b.yaml").hash == workflow.hash


def test_the_hash_sees_orders_that_matter_and_no_others() -> None:
    def hashed(**changes: Any) -> str:
        node = {"kind": "llm", "in": {"a": "a", "b": "b"}, "out": {"why": "str", "n": "int"}}
        data = {"flowbot": 1, "inputs": {"a": "str", "b": "str"}, "outputs": {"n": "x.n"}, "nodes": {"x": node}}
        return Workflow.from_data(
            {**data, **{k: v for k, v in changes.items() if k != "x"}, "nodes": {"x": {**node, **changes.get("x", {})}}}
        ).hash

    same = hashed()
    assert hashed(inputs={"b": "str", "a": "str"}) == same
    assert hashed(x={"frozen": False}) == same
    assert hashed(parameters={"x": {"samples": 1}}) == same
    assert hashed(x={"out": {"n": "int", "why": "str"}}) != same
    assert hashed(x={"in": {"b": "b", "a": "a"}}) != same
    assert hashed(parameters={"x": {"temperature": 0.5}}) != same


def test_loading_never_runs_code(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    path = written(tmp_path, TEXT.replace("def run(items):", f"open({str(mark)!r}, 'w')\n      def run(items):"))
    Workflow.load(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("flowbot: 1", "flowbot: 2", "found flowbot: 2; expected flowbot: 1"),
        ("flowbot: 1\n", "", "found no key 'flowbot'"),
        ("nodes:", "node:", "unknown key 'node'"),
        (
            "kind: llm",
            "kind: lm",
            "nodes.list: found 'lm'; expected one of 'llm', 'tool', 'code', 'program', 'core', 'branch', 'merge', 'loop', 'map'",
        ),
        ("kind: llm, ", "", "nodes.list: found no 'kind'"),
        ("in: {question: question}", "in: question", "nodes.list.in: found 'question'; expected a mapping"),
        ("out: {n: int}", "out: {n: 3}", "nodes.count.out.n: found 3; expected a text"),
        ("kind: code, ", "kind: code, whem: x, ", "nodes.count: found the unknown key 'whem'"),
        ("kind: code, ", "kind: code, when: 3, ", "nodes.count.when: found 3; expected a text"),
        (
            "kind: code, in: {items: list.items}",
            "kind: branch, in: {}, ways: {a: maybe}",
            "nodes.count.ways.a: found 'maybe'; expected a condition, as {ref: n",
        ),
        (
            "kind: code, in: {items: list.items}",
            "kind: branch, in: {}, ways: {a: {not: {all: [{ref: n, op: '~'}]}}}",
            "nodes.count.ways.a.not.all[0].op: found '~'; expected '==', '!='",
        ),
        (
            "kind: code,",
            "kind: map, over: list.items, nodes: {x: {kind: lm}},",
            "nodes.count.nodes.x: found 'lm'; expected one of 'llm'",
        ),
        (
            "kind: code,",
            "kind: loop, carry: {}, nodes: {llm: {kind: llm, in: {}, out: 3}},",
            "nodes.count.nodes.llm.out: found 3; expected a mapping",
        ),
        ("temperature: 0", "temperature: 9", "parameters.list.temperature: found 9; expected less than or equal to 2"),
        ("samples: 1", "code: x", "parameters.list: found the unknown key 'code'"),
        ("parameters:", "parameters: 3\nx:", "unknown key 'x'"),
    ],
)
def test_a_malformed_file_is_refused_with_its_name_and_place(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in TEXT
    path = written(tmp_path, TEXT.replace(old, new, 1))
    with pytest.raises(UserError) as caught:
        Workflow.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)


def test_all_that_is_not_in_the_format_is_told_at_once(tmp_path: Path) -> None:
    text = TEXT.replace("kind: llm", "kind: lm").replace("in: {items: list.items}", "in: 3")
    path = written(tmp_path, text.replace("temperature: 0", "temperature: 9") + "extra: 1\n")
    with pytest.raises(FormatError, match=r"unknown key 'extra'; .*\(and 3 more\)") as caught:
        Workflow.load(path)
    assert [str(defect) for defect in caught.value.defects] == [
        "workflow: found the unknown key 'extra'; expected only flowbot, inputs, outputs, nodes, parameters",
        "nodes.list: found 'lm'; expected one of 'llm', 'tool', 'code', 'program', 'core', 'branch', 'merge', 'loop', 'map'",
        "nodes.count.in: found 3; expected a mapping",
        "parameters.list.temperature: found 9; expected less than or equal to 2",
    ]


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), "\ud800", {1: "x"}, {"\ud800": 1}, 10**400, object(), b"x"],
    ids=lambda value: type(value).__name__,
)
def test_data_that_json_cannot_hold_is_refused(value: Any) -> None:
    data = {"flowbot": 1, "inputs": {}, "outputs": {}, "nodes": {}, "parameters": {"x": {"demonstrations": [value]}}}
    with pytest.raises(UserError, match="plain data, as JSON holds it"):
        Workflow.from_data(data)


def test_endless_nesting_is_refused() -> None:
    deep: Any = []
    deep.append(deep)
    with pytest.raises(UserError, match="nesting deeper than 40; expected at most 40 levels"):
        Workflow.from_data({"flowbot": 1, "inputs": deep})


def test_files_that_cannot_be_read_or_written_are_user_errors(tmp_path: Path) -> None:
    workflow = Workflow.load(written(tmp_path))
    with pytest.raises(UserError, match="no such file"):
        Workflow.load(tmp_path / "none.yaml")
    with pytest.raises(UserError, match=r"ends in \.yaml, \.yml or \.json"):
        workflow.save(tmp_path / "a.txt")
    with pytest.raises(UserError, match="expected a place that can be written"):
        workflow.save(tmp_path / "no" / "a.yaml")


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path)
    workflow: Workflow = Workflow.load(path)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left"):
        workflow.save(path)
    assert path.read_text(encoding="utf-8") == TEXT
    assert list(tmp_path.iterdir()) == [path]


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ("ruamel", "jinja2", "aiohttp", "asyncio", "rich", "sqlite3")
    code = f"import sys, flowbot.workflow; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
