"""The code review: diffs whose numbers are right, code that parses, and a metric that cannot be had by guessing."""

from __future__ import annotations

import ast
import json
import re
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from flowbot.fields import Score
from flowbot.task import Example, Task

FOLDER = Path(__file__).parents[2] / "examples" / "review"
SPLITS = ("train", "val", "test")
LINE = re.compile(r"(?P<number>[ \d]{2}\d| {3})(?: (?P<mark>[+ -])(?P<text>.*))?")


@pytest.fixture(scope="module")
def task() -> Task:
    return Task.load(FOLDER)


@pytest.fixture(scope="module")
def rows() -> dict[str, list[dict[str, Any]]]:
    return {
        split: [json.loads(line) for line in (FOLDER / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]
        for split in SPLITS
    }


def every(rows: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [row for split in SPLITS for row in rows[split]]


def lines_of(diff: str) -> list[tuple[int | None, str, str]]:
    """Number in the new file, mark and text of each line below the heading."""
    found: list[tuple[int | None, str, str]] = []
    for line in diff.splitlines()[3:]:
        match = LINE.fullmatch(line)
        assert match is not None, line
        found.append(
            (int(match["number"]) if match["number"].strip() else None, match["mark"] or " ", match["text"] or "")
        )
    return found


def test_the_numbers_in_the_margin_are_those_of_the_new_file(rows: dict[str, list[dict[str, Any]]]) -> None:
    for row in every(rows):
        heading = re.fullmatch(r"@@ -(\d+),(\d+) \+(\d+),(\d+) @@", row["diff"].splitlines()[2])
        assert heading is not None
        lines = lines_of(row["diff"])
        old_count, start, new_count = int(heading[2]), int(heading[3]), int(heading[4])
        assert [number for number, _, _ in lines if number is not None] == list(range(start, start + new_count))
        assert all((number is None) == (mark == "-") for number, mark, _ in lines)
        assert sum(mark != "+" for _, mark, _ in lines) == old_count


def test_the_faulty_line_is_an_added_one_and_a_clean_change_has_none(rows: dict[str, list[dict[str, Any]]]) -> None:
    for row in every(rows):
        if row["kind"] == "none":
            assert row["line"] == 0
        else:
            assert (row["line"], "+") in {(number, mark) for number, mark, _ in lines_of(row["diff"])}, row["id"]


def test_the_python_among_it_parses_before_and_with_the_defect(rows: dict[str, list[dict[str, Any]]]) -> None:
    for row in every(rows):
        if row["file"].endswith(".py"):
            new = "\n".join(text for number, _, text in lines_of(row["diff"]) if number is not None)
            ast.parse(textwrap.dedent(new))


def test_diffs_are_short(rows: dict[str, list[dict[str, Any]]]) -> None:
    assert max(len(row["diff"].splitlines()) for row in every(rows)) <= 30


def test_no_change_is_in_two_splits_and_none_is_like_another(rows: dict[str, list[dict[str, Any]]]) -> None:
    code: dict[str, tuple[str, set[str]]] = {}
    for split in SPLITS:
        for row in rows[split]:
            other, lines = code.setdefault(row["file"], (split, set()))
            assert other == split
            lines |= {text.strip() for _, mark, text in lines_of(row["diff"]) if mark == "+" and len(text.strip()) > 12}
    found = list(code.values())
    for index, (_, lines) in enumerate(found):
        for _, others in found[:index]:
            assert len(lines & others) / len(lines | others) < 0.15, lines & others


def test_every_kind_is_in_every_split_and_none_is_common(rows: dict[str, list[dict[str, Any]]], task: Task) -> None:
    (field,) = (field for field in task.outputs if field.name == "kind")
    for split in SPLITS:
        counts = Counter(row["kind"] for row in rows[split])
        assert counts.keys() == set(field.type.options)
        assert max(counts.values()) <= 0.25 * len(rows[split])


# The metric


def score(task: Task, given: Example, **changed: Any) -> Score:
    return task.metric(given, {**given.expected, **changed})


def a_defect(task: Task) -> Example:
    return next(each for each in task.train if each.expected["kind"] == "resource-leak")


def a_clean_one(task: Task) -> Example:
    return next(each for each in task.train if each.expected["kind"] == "none")


def test_each_part_is_scored_by_itself(task: Task) -> None:
    given = a_defect(task)
    assert score(task, given, kind="race").parts == {"kind": 0, "line": 1, "why": 1}
    assert score(task, given, why="It is bad.").value == 0.7
    assert score(task, given, line=given.expected["line"] + 1).value == 0.85
    far = score(task, given, line=given.expected["line"] + 2)
    assert far.value == 0.7
    assert f"it is in line {given.expected['line']}, not" in far.feedback


def test_calling_everything_clean_scores_the_clean_ones_alone(task: Task) -> None:
    assert score(task, a_defect(task), kind="none", line=0).value == 0
    assert score(task, a_clean_one(task), why="").value == 1
    accused = score(task, a_clean_one(task), kind="race", line=3)
    assert (accused.value, accused.feedback) == (0, "the change is right, there is no race")


def test_a_reason_for_another_change_seldom_passes(task: Task) -> None:
    defects = [each for split in SPLITS for each in task.splits[split] if each.expected["kind"] != "none"]
    passed = [
        score(task, given, why=other.expected["why"]).parts["why"]
        for given in defects
        for other in defects
        if other.group != given.group
    ]
    share = round(100 * sum(passed) / len(passed))
    assert f"change has one in {share} of 100 cases" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_a_list_of_guesses_is_no_reason(task: Task) -> None:
    given = a_defect(task)
    guesses = " or ".join([given.expected["why"], *["the operator is wrong"] * 10])
    assert score(task, given, why=guesses).parts["why"] == 0
