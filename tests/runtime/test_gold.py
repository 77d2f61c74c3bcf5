"""The metric is asked about answers whose worth is known."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from flowbot.lm.session import Session
from flowbot.runtime.engine import Engine
from flowbot.runtime.gold import lopsided, score_baseline, score_gold, spread, telling_apart
from flowbot.store import Store
from flowbot.task import Example, Task
from flowbot.task.examples import checked_examples


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    made = Engine(None, Session(store=Store.memory()))
    yield made
    await made.close()


def _task(metric: Any) -> tuple[Task, Sequence[Example]]:
    task = Task(goal="Count.", inputs={"note": str}, outputs={"total": int}, metric=metric)
    rows = [{"note": f"{number} pens", "total": number % 4} for number in range(8)]
    return task, checked_examples(rows, where="train", inputs=task.inputs, outputs=task.outputs)


def _right(example: Example, outputs: Mapping[str, Any]) -> bool:
    return outputs["total"] == example.expected["total"]


@pytest.mark.parametrize("metric", ["exact", "numeric", _right])
async def test_what_is_expected_scores_one(engine: Engine, metric: Any) -> None:
    task, rows = _task(metric)
    assert [row.score for row in await score_gold(engine, task, rows)] == [1.0] * 8
    assert await telling_apart(engine, task, rows) == []


async def test_a_row_that_its_metric_does_not_take_is_told_with_the_feedback(engine: Engine) -> None:
    def picky(example: Example, outputs: Mapping[str, Any]) -> tuple[float, str]:
        return (0.5, "three is too many") if outputs["total"] == 3 else (1.0, "")

    task, rows = _task(picky)
    wrong = [row for row in await score_gold(engine, task, rows) if row.score != 1]
    assert [(row.example.place, row.score, row.said) for row in wrong] == [
        ("train[3]", 0.5, "three is too many"),
        ("train[7]", 0.5, "three is too many"),
    ]


async def test_a_metric_that_raises_is_told_and_the_other_rows_are_scored(engine: Engine) -> None:
    def brittle(example: Example, outputs: Mapping[str, Any]) -> float:
        return outputs["total"] / outputs["total"]

    task, rows = _task(brittle)
    scores = await score_gold(engine, task, rows)
    assert [row.score for row in scores] == [None, 1, 1, 1, None, 1, 1, 1]
    assert scores[0].said == "ZeroDivisionError: division by zero"


async def test_a_metric_that_gives_one_to_everything_tells_nothing_apart(engine: Engine) -> None:
    def lenient(example: Example, outputs: Mapping[str, Any]) -> float:
        return 1.0

    task, rows = _task(lenient)
    (remark,) = await telling_apart(engine, task, rows)
    assert "on all 8 rows" in remark.what
    assert "tells nothing apart" in remark.mend


async def test_a_metric_that_takes_an_empty_answer_for_right_is_told(engine: Engine) -> None:
    def lazy(example: Example, outputs: Mapping[str, Any]) -> bool:
        return outputs["total"] in (0, example.expected["total"])

    task, rows = _task(lazy)
    (remark,) = await telling_apart(engine, task, [row for row in rows if row.expected["total"]])
    assert "1 to empty values" in remark.what


async def test_a_metric_that_fails_on_a_wrong_answer_is_told(engine: Engine) -> None:
    def brittle(example: Example, outputs: Mapping[str, Any]) -> float:
        if outputs["total"] != example.expected["total"]:
            raise LookupError("not that one")
        return 1.0

    remarks = await telling_apart(engine, *_task(brittle))
    assert [remark.what.partition(":")[0] for remark in remarks] == [
        "it fails on what another example expects",
        "it fails on empty values",
    ]
    assert "LookupError: not that one (train[0], train[1], train[2] and 5 more)" in remarks[0].what


async def test_always_the_commonest_answer_is_scored_on_what_is_held_out(engine: Engine) -> None:
    task, rows = _task("exact")
    train = [row for row in rows if row.expected["total"] != 3]
    found = await score_baseline(engine, task, train, rows)
    assert found is not None
    assert (dict(found.outputs), found.share, found.mean, found.n) == ({"total": 0}, 2 / 6, 0.25, 8)
    assert lopsided(found) == []
    most = await score_baseline(engine, task, [rows[1], rows[5], rows[0]], rows)
    assert most is not None
    assert "67% of the training rows expect the same (total: 1)" in lopsided(most)[0].what
    assert await score_baseline(engine, task, rows[:4], rows) is None  # no answer occurs twice


async def test_few_of_many_rows_are_spread_over_all(engine: Engine) -> None:
    _, rows = _task("exact")
    assert [row.place for row in spread(rows, 3)] == ["train[0]", "train[2]", "train[5]"]
    assert spread(rows, 100) == list(rows)
