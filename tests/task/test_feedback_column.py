"""People's words on a row: which column they are, and what is no words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowbot.fields import UserError
from flowbot.task import Example, Task


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Task]:
    def made(rows: list[dict[str, Any]], data: dict[str, Any] | None = None, **more: Any) -> Task:
        (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        form = {"flowbot": 1, "goal": "Do it.", "inputs": {"a": "str"}, "outputs": {"b": "str"}, "metric": "exact"}
        (tmp_path / "task.json").write_text(json.dumps({**form, "data": data or {"train": "d.jsonl"}, **more}))
        return Task.load(tmp_path / "task.json")

    return made


def words(task: Task) -> list[str]:
    return [example.feedback for example in task.train]


def test_a_column_of_that_name_is_taken_and_one_that_is_named(load: Callable[..., Task]) -> None:
    rows = [{"a": "1", "b": "x", "feedback": " Too short. ", "note": "No."}, {"a": "2", "b": "y", "note": None}]
    assert words(load(rows)) == ["Too short.", ""]
    assert words(load(rows, {"train": "d.jsonl", "feedback": "note"})) == ["No.", ""]


def test_feedback_that_is_a_field_or_no_text_is_none(load: Callable[..., Task]) -> None:
    assert words(load([{"a": "1", "b": "x", "feedback": 3}])) == [""]
    task = load([{"a": "1", "feedback": "good"}], outputs={"feedback": "str"})
    assert words(task) == [""]
    assert task.train[0].expected == {"feedback": "good"}


def test_words_belong_to_what_a_task_is(load: Callable[..., Task]) -> None:
    plain, said = Example("e", {"a": "1"}, {"b": "x"}), Example("e", {"a": "1"}, {"b": "x"}, feedback="Shorter.")
    one, other = (
        Task(goal="g", inputs={"a": "str"}, outputs={"b": "str"}, metric="exact", train=[e]) for e in (plain, said)
    )
    assert one.identity != other.identity
    assert other.train[0].feedback == "Shorter."
    assert words(
        Task(
            goal="g",
            inputs={"a": "str"},
            outputs={"b": "str"},
            metric="exact",
            train=[{"a": "1", "b": "x", "feedback": "Hm."}],
        )
    ) == ["Hm."]


@pytest.mark.parametrize(
    ("data", "where", "found"),
    [
        ({"train": "d.jsonl", "feedback": 3}, "data.feedback", "an int"),
        ({"train": "d.jsonl", "feedback": "said"}, "data.feedback", "in no file"),
        ({"train": "d.jsonl", "feedback": "b"}, "data.feedback", "a field"),
        ({"train": "d.jsonl", "feedback": "n"}, "d.jsonl:1: n", "3"),
    ],
)
def test_a_column_that_is_no_feedback_is_refused_with_its_place(
    load: Callable[..., Task], data: dict[str, Any], where: str, found: str
) -> None:
    with pytest.raises(UserError) as caught:
        load([{"a": "1", "b": "x", "n": 3}], data)
    assert caught.value.where.endswith(where)
    assert found in caught.value.found
