"""Loading a task: files beside it, the user's Python, and every fault named with its place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flowbot.fields import Field, Type, UserError, stable_hash
from flowbot.task import Example, MetricError, Task

TASK: dict[str, Any] = {
    "flowbot": 1,
    "goal": "Count the items.",
    "inputs": {"note": {"type": "str", "about": "as typed"}},
    "outputs": {"total": "int"},
    "metric": "numeric",
    "data": {"train": "train.jsonl", "val": "val.jsonl", "test": "test.jsonl"},
}
ORDERS = Path(__file__).parents[2] / "examples" / "orders"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a task with some keys changed (None removes one) and files beside it."""

    def write(files: dict[str, str] | None = None, /, **changes: Any) -> Path:
        data = {key: each for key, each in {**TASK, **changes}.items() if each is not None}
        rows = {f"{split}.jsonl": json.dumps({"note": split, "total": 1}) for split in ("train", "val", "test")}
        for name, text in {**rows, **(files or {})}.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / "task.json").write_text(json.dumps(data))
        return tmp_path / "task.json"

    return write


def test_the_example_task_loads_from_its_file_or_its_folder() -> None:
    task = Task.load(ORDERS / "task.yaml")
    assert task.name == "orders"
    assert task.inputs == (Field("note", Type("str"), "an order note as the customer typed it"),)
    assert {split: len(rows) for split, rows in task.splits.items()} == {"train": 40, "val": 40, "test": 100}
    assert task.train[0].id == "train-001"
    assert task.metric(task.train[0], task.train[0].expected).value == 1.0
    assert Task.load(str(ORDERS)).identity == task.identity


def test_json_lines_are_read_in_order_and_coerced(write: Callable[..., Path]) -> None:
    rows = '\ufeff{"id": 7, "note": "a\u2028b", "total": "12", "why": [1]}\r\n\n{"note": "c", "total": 3.0}\n'
    task = Task.load(write({"train.jsonl": rows}))
    assert task.train[0] == Example("7", {"note": "a\u2028b"}, {"total": 12}, extra={"why": [1]})
    assert task.train[1].expected == {"total": 3}
    assert task.train[1].id == stable_hash({"note": "c"})[:12]


def test_csv_is_read_by_the_types_of_the_fields(write: Callable[..., Path]) -> None:
    rows = '\ufeffid,note,total,tags,sure\na,"one,\n""two""","1,200","[""x""]",TRUE\nb,,3,[],false\n'
    path = write(
        {"train.csv": rows},
        outputs={"total": "int", "tags": "list[str]", "sure": "bool"},
        data={"train": "train.csv"},
        metric="exact",
    )
    first, second = Task.load(path).train
    assert first == Example("a", {"note": 'one,\n"two"'}, {"total": 1200, "tags": ["x"], "sure": True})
    assert second == Example("b", {"note": ""}, {"total": 3, "tags": [], "sure": False})


def test_one_file_is_split_with_its_groups_whole(write: Callable[..., Path]) -> None:
    rows = "\n".join(json.dumps({"note": str(i), "total": i, "doc": i // 3}) for i in range(30))
    path = write({"all.jsonl": rows}, data={"all": "all.jsonl", "split": [0.4, 0.2, 0.4], "group": "doc"})
    task = Task.load(path)
    assert {split: len(each) for split, each in task.splits.items()} == {"train": 12, "val": 6, "test": 12}
    homes = {(row.group, split) for split, each in task.splits.items() for row in each}
    assert len(homes) == 10


def test_an_id_in_two_files_becomes_two_ids(write: Callable[..., Path]) -> None:
    files = {f"{s}.jsonl": json.dumps({"id": 1, "note": s, "total": 1}) for s in ("train", "val")}
    task = Task.load(write(files))
    assert (task.train[0].id, task.val[0].id) == ("train/1", "val/1")


@pytest.mark.parametrize(
    ("changes", "where", "said"),
    [
        ({"flowbot": None}, "task.json", "no 'flowbot'"),
        ({"flowbot": 2}, "task.json: flowbot", "2"),
        ({"flowbot": True}, "task.json: flowbot", "True"),
        ({"colour": 1}, "task.json", "the unknown key 'colour'; expected only flowbot, goal, inputs"),
        ({"goal": " "}, "task.json: goal", "nothing"),
        ({"goal": 3}, "task.json: goal", "an int"),
        ({"inputs": {}}, "task.json: inputs", "no fields"),
        ({"inputs": ["note"]}, "task.json: inputs", "other things than fields"),
        ({"inputs": "note"}, "task.json: inputs", "a str"),
        ({"inputs": {"a b": "str"}}, "task.json: inputs", "the name 'a b'"),
        ({"inputs": {"note": "string"}}, "task.json: inputs.note", "'string'"),
        ({"inputs": {"note": {"typ": "str"}}}, "task.json: inputs.note", "the key 'typ'"),
        ({"inputs": {"note": {"about": "x"}}}, "task.json: inputs.note", "no type"),
        ({"inputs": {"note": 3}}, "task.json: inputs.note", "an int"),
        ({"outputs": {"note": "str"}}, "task.json: outputs", "note, which is an input too"),
        ({"metric": "f2"}, "task.json: metric", "'f2'"),
        ({"metric": 2}, "task.json: metric", "2"),
        ({"metric": "scores.py:score"}, "task.json: metric", "scores.py"),
        ({"metric": {"call": "scores.py:score", "fast": 1}}, "task.json: metric", "'fast'"),
        ({"tools": "tools.py:x"}, "task.json: tools", "a str"),
        ({"tools": ["tools.py"]}, "task.json: tools[0].call", "'tools.py'"),
        ({"tools": [{"effects": "reads"}]}, "task.json: tools[0]", "the keys effects"),
        ({"tools": [{"mcp": {"command": ["x"]}}]}, "task.json: tools[0]", "no 'only'"),
        ({"data": None}, "task.json", "no 'data'"),
        ({"data": {}}, "task.json: data", "no files"),
        ({"data": {"train": "x.avro"}}, "x.avro", "'.avro'"),
        ({"data": {"train": "none.jsonl"}}, "none.jsonl", "no such file"),
        ({"data": {"train": 3}}, "task.json: data.train", "3"),
        ({"data": {"dev": "val.jsonl"}}, "task.json: data", "the unknown key 'dev'"),
        ({"data": {"all": "train.jsonl"}}, "task.json: data", "no 'split'"),
        ({"data": {"all": "train.jsonl", "split": "half"}}, "task.json: data.split", "half"),
        ({"data": {"all": "train.jsonl", "split": [1]}}, "task.json: data.split", "[1]"),
        ({"data": {"all": "train.jsonl", "split": [0.5, 0.5, 0]}}, "task.json: data.split", "only 1 row"),
        ({"data": {"train": "train.jsonl", "group": "doc"}}, "train.jsonl:1", "no 'doc'"),
    ],
)
def test_a_fault_of_the_task_file_is_named_with_its_place(
    write: Callable[..., Path], changes: dict[str, Any], where: str, said: str
) -> None:
    with pytest.raises(UserError) as caught:
        Task.load(write(**changes))
    assert caught.value.where.endswith(where)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "line", "said"),
    [
        ("d.jsonl", '{"note": "a", "total": 1}\n{"note": "b", "total": }', 2, "broken JSON"),
        ("d.jsonl", '{"note": "a", "total": 1}\n\n[1]', 3, "a list"),
        ("d.jsonl", '{"note": "a", "total": 1}\n{"total": 1}', 2, "no 'note' (there is total)"),
        ("d.jsonl", '{"note": "a", "total": "many"}', 1, 'total: found "many"; expected int'),
        ("d.jsonl", '{"note": ["a"], "total": 1}', 1, 'note: found ["a"]; expected str'),
        ("d.jsonl", '{"note": "a", "total": 1}\n{"note": "b"}', 2, "no 'total'"),
        ("d.jsonl", '{"note": "a"}', 1, "no 'total'; expected a value to compare with, for the metric numeric"),
        ("d.jsonl", '{"id": 1, "note": "a", "total": 1}\n{"id": "1", "note": "b", "total": 1}', 2, "d.jsonl:1 again"),
        ("d.jsonl", '{"id": [1], "note": "a", "total": 1}', 1, "id: found [1]"),
        ("d.jsonl", '{"note": "a", "total": NaN}', 1, "'NaN'"),
        ("d.csv", "note,total\na,1\nb,x\n", 3, 'total: found "x"; expected int'),
        ("d.csv", "note,total\na,1\nb\n", 3, "1 cells; expected 2"),
        ("d.csv", 'note,total\n"a\nb",1\nc,\n', 4, "no 'total'"),
        ("d.csv", "note,note\na,1\n", 1, "the column names note"),
        ("d.csv", 'note,total\na,1\n"b,2\n', 3, "broken CSV"),
        ("d.csv", "total\n1\n", 2, "no 'note' (there is total)"),
    ],
)
def test_a_fault_of_the_data_is_named_with_file_and_line(
    write: Callable[..., Path], name: str, text: str, line: int, said: str
) -> None:
    with pytest.raises(UserError) as caught:
        Task.load(write({name: text}, data={"train": name}))
    assert f"{name}:{line}" in caught.value.where
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["", "\n", "note,total\n"])
def test_a_data_file_without_rows_is_refused(write: Callable[..., Path], text: str) -> None:
    with pytest.raises(UserError, match="no rows"):
        Task.load(write({"d.csv": text}, data={"train": "d.csv"}))


def test_a_missing_or_broken_task_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"task\.yaml: found no such file"):
        Task.load(tmp_path)
    (tmp_path / "task.yaml").write_text("flowbot: 1\ngoal: [")
    with pytest.raises(UserError, match=r"task\.yaml:2: found broken YAML"):
        Task.load(tmp_path)
    (tmp_path / "task.yaml").write_text("- 1")
    with pytest.raises(UserError, match="a list; expected a mapping"):
        Task.load(tmp_path)


PYTHON = """
from dataclasses import dataclass
from helper import HALF
(__import__("pathlib").Path(__file__).parent / "imported").touch()

@dataclass
class Found:
    count: int

def score(example, outputs):
    return HALF

def lookup(name: str) -> Found:
    "Find it."
    return Found(1)
"""


def test_python_beside_the_task_gives_metric_and_tools(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    files = {"user.py": PYTHON, "helper.py": "HALF = 0.5"}
    before = list(sys.path)
    path = write(
        files, metric={"call": "user.py:score", "pure": True}, tools=[{"call": "user.py:lookup", "pure": True}]
    )
    task = Task.load(path)
    assert task.metric(task.train[0], {"total": 1}).value == 0.5
    assert (task.metric.name, task.metric.pure) == ("score", True)
    assert task.tools[0].signature.about == "Find it."
    assert task.tools[0].signature.outputs == (Field("count", Type("int")),)
    assert sys.path == before
    # Changed within the clock's resolution, to a text of the same size: kept bytecode would pass for it.
    before_change = (tmp_path / "user.py").stat()
    (tmp_path / "user.py").write_text(PYTHON.replace("return HALF", "return 0.25"))
    os.utime(tmp_path / "user.py", ns=(before_change.st_atime_ns, before_change.st_mtime_ns))
    changed = Task.load(path)
    assert changed.metric(task.train[0], {"total": 1}).value == 0.25
    assert changed.metric.identity != task.metric.identity
    sys.modules.pop("helper")


def test_python_is_not_imported_unless_asked(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write({"user.py": PYTHON, "helper.py": "HALF = 0.5"}, metric="user.py:score", tools=["user.py:lookup"])
    quiet = Task.load(path, callables=False)
    assert not (tmp_path / "imported").exists()
    with pytest.raises(MetricError, match="loaded without its Python"):
        quiet.metric(quiet.train[0], {"total": 1})
    loaded = Task.load(path)
    assert (tmp_path / "imported").exists()
    assert loaded.metric.identity == quiet.metric.identity
    sys.modules.pop("helper")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("def score(:", "SyntaxError"),
        ("raise SystemExit(1)", "SystemExit"),
        ("x = 1", "no 'score'"),
        ("score = 1", "an int"),
        ("async def score(example, outputs): ...", "the async function score"),
    ],
)
def test_python_that_does_not_give_a_metric_is_a_user_error(write: Callable[..., Path], text: str, said: str) -> None:
    with pytest.raises(UserError, match=r"task\.json: metric") as caught:
        Task.load(write({"user.py": text}, metric="user.py:score"))
    assert said in caught.value.found


def test_a_tool_whose_types_cannot_be_read_is_named_with_its_place(write: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match=r"task\.json: tools\[0\]: tool f, parameter x: found no type hint"):
        Task.load(write({"user.py": "def f(x): ..."}, tools=["user.py:f"]))
    with pytest.raises(UserError, match=r"tools: found f twice"):
        Task.load(write({"user.py": "def f(x: int) -> int: ..."}, tools=["user.py:f", "user.py:f"]))


def make(**changes: Any) -> Task:
    given: dict[str, Any] = {
        "goal": "Add.",
        "inputs": {"a": "int", "b": {"type": "int", "about": "second"}},
        "outputs": [Field.of("sum", "int")],
        "metric": lambda example, outputs: outputs["sum"] == example.extra["right"],
        "train": [{"a": 1, "b": "2", "right": 3}, Example("x", {"a": 2, "b": 2}, {}, extra={"right": 4})],
    }
    return Task(**{**given, **changes})


def test_a_task_is_made_in_python_from_dicts_and_examples() -> None:
    task = make(name="my task!")
    assert task.inputs == (Field.of("a", "int"), Field.of("b", "int", "second"))
    assert task.train[0].inputs == {"a": 1, "b": 2}
    assert task.train[1] == Example("x", {"a": 2, "b": 2}, {}, extra={"right": 4})
    assert task.metric(task.train[0], {"sum": 3}).value == 1.0
    assert (task.name, task.val, task.source) == ("my-task", (), None)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"train": [{"a": 1}]}, "train[0]"),
        ({"train": [{"a": 1, "b": 2, "sum": 3}, {"a": 2, "b": 2}]}, "train[1]"),
        ({"train": [{"a": 1, "b": 2}, {"a": 2, "b": 2, "sum": 4}]}, "train[0]"),
        ({"val": [3]}, "val[0]"),
        ({"val": [Example("x", {"a": 5, "b": 2}, {"total": 3})]}, "val[0]"),
        ({"tools": [len]}, "tool len"),
        ({"metric": "numeric"}, "train[0]"),
    ],
)
def test_a_fault_of_a_task_made_in_python_is_named(changes: dict[str, Any], where: str) -> None:
    with pytest.raises(UserError) as caught:
        make(**changes)
    assert caught.value.where.startswith(where)


def test_a_task_cannot_be_changed_but_replaced_in_part() -> None:
    task = make()
    with pytest.raises(AttributeError):
        task.goal = "Subtract."  # type: ignore[misc]
    short = replace(task, splits={"train": task.train[:1]})
    assert short.train == task.train[:1]
    assert short.identity != task.identity
    assert replace(task, name="other").identity == task.identity


@pytest.mark.parametrize(
    "changes",
    [
        {"goal": "Add up."},
        {"inputs": {"a": "int", "b": "int"}},
        {"outputs": {"sum": "float"}},
        {"metric": max},
        {"train": [{"a": 1, "b": 2, "right": 4}]},
    ],
)
def test_identity_follows_whatever_the_task_is(changes: dict[str, Any]) -> None:
    assert make().identity == make(source=Path("elsewhere.yaml")).identity
    assert make(**changes).identity != make().identity
    assert json.loads(json.dumps(make().identity)) == make().identity


def test_importing_tasks_is_light() -> None:
    heavy = ["ruamel.yaml", "flowbot.task.load", "flowbot.task.signature", "pydantic", "aiohttp", "jinja2"]
    code = f"import sys, flowbot.task; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
