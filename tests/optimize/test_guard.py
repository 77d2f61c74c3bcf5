"""What a model proposes must not carry training answers."""

from __future__ import annotations

import pytest

from flowbot.fields import Field
from flowbot.optimize.guard import copied, copied_answer, copied_text, unsourced
from flowbot.task import METRICS, Example, Task
from flowbot.workflow import Demonstration, LLMParameters, Workflow, from_data, single_call


def examples(*pairs: tuple[str, str]) -> list[Example]:
    return [Example(f"e{n}", {"text": given}, {"answer": answer}) for n, (given, answer) in enumerate(pairs)]


def test_a_long_answer_in_an_instruction_is_refused() -> None:
    found = copied_answer("Say 'The Treaty of Utrecht!' if asked.", examples(("When?", "the treaty of Utrecht")))
    assert "e0" in found
    assert "answer" in found


def test_labels_numbers_and_short_answers_are_exempt() -> None:
    rows = examples(("a", "billing problem"), ("b", "billing problem"), ("c", "12"), ("d", "yes"))
    assert copied_answer("Choose 'billing problem' for invoices; 12 and yes are fine.", rows) == ""


def test_a_copied_stretch_of_an_input_is_refused() -> None:
    rows = examples(("please send half a dozen lamps to the old harbour office", "6"))
    assert "e0" in copied_answer("If it says please send half a dozen lamps to the old harbour, say so.", rows)
    assert copied_answer("Half a dozen is 6.", rows) == ""


def test_demonstrations_that_no_training_example_stands_behind_are_refused() -> None:
    def shown(*names: str) -> Workflow:
        demonstrations = tuple(Demonstration(inputs={"q": "a"}, outputs={"a": "b"}, example=name) for name in names)
        return before.with_parameter("s", LLMParameters(instruction="Go.", demonstrations=demonstrations))

    node = {"kind": "llm", "in": {"q": "q"}, "out": {"a": "str"}}
    before = from_data({"flowbot": 1, "inputs": {"q": "str"}, "outputs": {"a": "s.a"}, "nodes": {"s": node}})
    rows = examples(("a", "b"))
    assert unsourced(before, shown("e0"), rows) == ""
    assert "s: a demonstration names as example 'x'" in unsourced(before, shown("e0", "x"), rows)
    assert "''" in unsourced(before, shown(""), rows)
    assert unsourced(shown("old"), shown("old", "e0"), rows) == ""


TREATY = "the treaty of Utrecht"


@pytest.fixture
def task() -> Task:
    rows = examples(("When?", TREATY), ("Who?", "the second duke of Burgundy"), ("Where?", "the chapel of Saint Agnes"))
    return Task(
        name="history",
        goal="Answer.",
        inputs=(Field.of("text", "str"),),
        outputs=(Field.of("answer", "str"),),
        metric=METRICS["exact"],
        splits=dict(zip(("train", "val", "test"), ((row,) for row in rows), strict=True)),
    )


def test_an_answer_kept_back_is_refused_without_a_word_on_the_row(task: Task) -> None:
    for answer in ("the second duke of Burgundy", "the chapel of Saint Agnes"):
        why = copied_text(f"If in doubt say {answer}.", task)
        assert why == "it holds an answer of an example kept back"
    assert "e0" in copied_text(f"Say {TREATY}.", task)
    assert copied_text("Where? Who? Say it.", task) == ""


@pytest.mark.parametrize("told", ["instruction", "format_hint"])
def test_every_new_text_of_a_workflow_is_looked_at_and_no_old_one(task: Task, told: str) -> None:
    start = single_call(task.inputs, task.outputs, task.goal, reasoning=False)
    name = next(iter(start.parameters))
    changed = start.with_parameter(name, start.parameter(name).model_copy(update={told: f"Say {TREATY}."}))
    assert "e0" in copied(changed, start, task)
    assert copied(changed, changed, task) == copied(start, changed, task) == ""
