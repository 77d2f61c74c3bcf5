"""A task file is read with every fault at once, by what loads it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowbot.fields import UserError
from flowbot.task import Task
from flowbot.task.defects import read_whole
from flowbot.task.faults import MOST, RAISED, Faults

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a task, its data beside it; what is given replaces keys, None takes them away."""

    def make(files: Mapping[str, str] = {}, **changes: Any) -> Path:
        number = 0
        for split in ("train", "val", "test"):
            lines: list[str] = []
            for _ in range(4):
                number += 1
                lines.append(json.dumps({"note": f"{number} pens", "total": number}))
            (tmp_path / f"{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")
        for name, text in files.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        data: dict[str, Any] = {
            "flowbot": 1,
            "goal": "Count.",
            "inputs": {"note": "str"},
            "outputs": {"total": "int"},
            "metric": "exact",
            "data": {"train": "train.jsonl", "val": "val.jsonl", "test": "test.jsonl"},
        }
        data = {key: value for key, value in {**data, **changes}.items() if value is not None}
        path = tmp_path / "task.json"
        path.write_text(json.dumps(data), encoding="utf-8")
        return path

    return make


def _places(path: Path) -> list[str]:
    return [fault.where.removeprefix(f"{path.parent}/") for fault in read_whole(path).faults]


def test_a_sound_task_has_no_faults_and_is_the_task_that_loads(write: Write) -> None:
    path = write()
    read = read_whole(path)
    assert read.faults == ()
    assert read.task is not None
    assert read.task.identity == Task.load(path).identity
    assert read.rows["val"][0].place == str(path.parent / "val.jsonl:1")


def test_faults_that_have_nothing_to_do_with_each_other_are_all_told(write: Write) -> None:
    path = write(
        {"val.jsonl": '{"note": 1\n{"note": "x", "total": "many"}\n[]\n', "tools.py": "import no_such_module\n"},
        colour=1,
        goal=" ",
        inputs={"note": "string", "two words": "str"},
        metric="f2",
        tools=["tools.py:look", "other.py:look", {"sql": "none.db"}],
    )
    assert _places(path) == [
        "task.json",
        "task.json: goal",
        "task.json: inputs.note",
        "task.json: inputs",
        "val.jsonl:1",
        "val.jsonl:3",
        "task.json: metric",
        "task.json: tools[0].call",
        "task.json: tools[1].call",
        "task.json: tools[2].sql",
    ]


def test_every_key_that_lacks_is_told(write: Write) -> None:
    faults = read_whole(write(goal=None, metric=None, data=None)).faults
    assert [fault.found for fault in faults] == ["no 'goal'", "no 'metric'", "no 'data'"]


def test_every_row_with_a_fault_is_told_and_the_others_are_read(write: Write) -> None:
    path = write({"val.jsonl": '{"note": "a", "total": "x"}\n{"total": 2}\n{"note": "c", "total": 3}\n'})
    assert _places(path) == ["val.jsonl:1: total", "val.jsonl:2"]
    assert [row.inputs["note"] for row in read_whole(path).rows["val"]] == ["c"]


def test_rows_of_a_table_with_too_few_cells_are_all_told(write: Write) -> None:
    path = write({"val.csv": "note,total\na,1\nb\nc,3\nd\n"}, data={"train": "train.jsonl", "val": "val.csv"})
    assert _places(path) == ["val.csv:3", "val.csv:5"]


def test_of_very_many_faults_in_a_file_the_first_are_told_and_the_rest_counted(write: Write) -> None:
    rows = "\n".join(json.dumps({"note": f"n{number}", "total": "x"}) for number in range(100))
    faults = read_whole(write({"val.jsonl": rows})).faults
    assert len(faults) == MOST + 1
    assert faults[-1].found == f"{100 - MOST} more rows with a defect"


def test_every_leak_between_splits_is_told(write: Write) -> None:
    path = write({"test.jsonl": (json.dumps({"note": "1 pens", "total": 1}) + "\n") * 2})
    assert _places(path) == ["test.jsonl:1", "test.jsonl:2"]


def test_rows_without_labels_are_all_told_once(write: Write) -> None:
    path = write({"val.jsonl": '{"note": "a"}\n{"note": "b", "total": 2}\n{"note": "c"}\n'})
    assert _places(path) == ["val.jsonl:1", "val.jsonl:3"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n\nraise ValueError('no luck')\n", "ValueError: no luck at line 3"),
        ("def score(e, o):\n    return (1\n", "'(' was never closed at line 2"),
        ("def helper():\n    return missing\n\nhelper()\n", "at line 2"),
    ],
)
def test_python_that_cannot_be_imported_is_told_with_its_line(write: Write, text: str, said: str) -> None:
    (fault,) = read_whole(write({"metrics.py": text}, metric="metrics.py:score")).faults
    assert said in fault.found


def test_a_file_that_is_no_mapping_is_one_fault(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text("- a\n", encoding="utf-8")
    assert len(read_whole(path).faults) == 1
    assert read_whole(tmp_path / "none.yaml").faults[0].found == "no such file"


def test_loading_raises_the_first_of_the_faults(write: Write) -> None:
    path = write({"val.jsonl": "{\n"}, goal="", metric="f2")
    with pytest.raises(UserError) as caught:
        Task.load(path)
    first = read_whole(path).faults[0]
    assert (caught.value.where, caught.value.found) == (first.where, first.found)


def test_only_mistakes_of_the_user_are_kept() -> None:
    faults = Faults(keep=True)
    with faults:
        raise UserError("here", "this", "that")
    with pytest.raises(ValueError, match="a bug"), faults:
        raise ValueError("a bug")
    assert [fault.where for fault in faults.found] == ["here"]
    with pytest.raises(UserError), RAISED:
        raise UserError("here", "this", "that")


BROKEN: Mapping[str, tuple[Mapping[str, str], Mapping[str, Any]]] = {
    "key": ({}, {"colour": 1}),
    "version": ({}, {"flowbot": 2}),
    "goal": ({}, {"goal": 3}),
    "no inputs": ({}, {"inputs": None}),
    "type": ({}, {"inputs": {"note": "text"}}),
    "both": ({}, {"outputs": {"note": "str", "total": "int"}}),
    "metric": ({}, {"metric": "f2"}),
    "row": ({"val.jsonl": '{"note": "a"}\n{"note": "b", "total": 2}\n'}, {}),
    "leak": ({"test.jsonl": '{"note": "1 pens", "total": 1}\n'}, {}),
    "files": ({}, {"data": {"train": "none.jsonl"}}),
    "split": ({}, {"data": {"all": "train.jsonl", "split": [1, 1]}}),
    "tools": ({}, {"tools": ["tools.py:look"]}),
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.sets(st.sampled_from(sorted(BROKEN))))
def test_what_has_no_faults_loads_and_nothing_else(write: Write, chosen: set[str]) -> None:
    files: dict[str, str] = {}
    changes: dict[str, Any] = {}
    for name in sorted(chosen):
        files |= BROKEN[name][0]
        changes |= BROKEN[name][1]
    path = write(files, **changes)
    read = read_whole(path)
    assert bool(read.faults) == bool(chosen)
    if chosen:
        with pytest.raises(UserError):
            Task.load(path)
    else:
        assert read.task is not None
        assert Task.load(path).identity == read.task.identity
