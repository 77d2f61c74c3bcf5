"""FlowBot as a teleprompter: it takes what DSPy's take, and gives back a student with other instructions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from flowbot.fields import UserError

dspy: Any = pytest.importorskip("dspy", reason="the extra [dspy]")
bridge: Any = pytest.importorskip("flowbot.bridges.dspy")
pytestmark = pytest.mark.filterwarnings("ignore")
WRITTEN = "Add both numbers, and give the sum."


def examples(first: int, count: int) -> list[Any]:
    return [
        dspy.Example(question=f"{n} and {n + 3}", answer=2 * n + 3).with_inputs("question")
        for n in range(first, first + count)
    ]


class Model:
    """Adds where it is told to; asked for instructions, it writes one that says so."""

    name = "scripted/adder"

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, messages: list[dict[str, Any]]) -> str:
        self.calls += 1
        text = "\n".join(each["content"] for each in messages)
        if not messages[0]["content"].startswith("Your input fields"):  # a question of the search
            return WRITTEN
        first, second = messages[-1]["content"].partition("## ]]\n")[2].partition("\n")[0].split(" and ")
        total = int(first) + int(second) if "sum" in text else 0
        return f"[[ ## answer ## ]]\n{total}\n\n[[ ## completed ## ]]"


def right(example: Any, prediction: Any, trace: Any = None) -> Any:
    ok = example.answer == prediction.answer
    return dspy.Prediction(score=float(ok), feedback="" if ok else "it is the sum that is wanted")


def student() -> Any:
    return dspy.Predict(dspy.Signature("question -> answer: int", "Answer."))


def flowbot(model: Model, **more: Any) -> Any:
    settings = {"method": "none+textgrad", "effort": 60, "cache_dir": os.getcwd(), **more}
    return bridge.FlowBot(right, lm=model, **settings)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_student_comes_back_with_what_was_found_and_the_same_again_pays_nothing() -> None:
    given, model = student(), Model()
    optimiser = flowbot(model)
    better = optimiser.compile(given, trainset=examples(0, 12), valset=examples(20, 20))
    assert better.signature.instructions == WRITTEN
    assert better._compiled
    assert given.signature.instructions == "Answer."
    assert optimiser.result.final_scores.test.mean == 1.0
    again = Model()
    same = flowbot(again).compile(student(), trainset=examples(0, 12), valset=examples(20, 20))
    assert same.signature.instructions == WRITTEN
    assert again.calls == 0


def test_a_metric_of_five_arguments_is_called_with_five() -> None:
    assert bridge._arguments(lambda gold, pred, trace, name, name_trace: 1) == (None, None, None)
    assert bridge._arguments(right) == ()


def test_splits_are_made_of_what_is_given() -> None:
    train, val, test = bridge._split(list(range(12)), None, None)
    assert sorted([*train, *val, *test]) == list(range(12))
    assert (len(train), len(val), len(test)) == (8, 2, 2)
    assert bridge._split([1], [2, 3], [4]) == ([1], [2, 3], [4])


def test_what_it_has_no_use_for_is_refused() -> None:
    with pytest.raises(UserError, match="a teacher"):
        flowbot(Model()).compile(student(), trainset=examples(0, 4), teacher=student())
