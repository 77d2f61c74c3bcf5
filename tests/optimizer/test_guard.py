"""What a model proposes must not carry training answers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbot.fields import Field
from flowbot.optimizer.guard import RUN, Guard, unsourced
from flowbot.task import METRICS, Example, Task
from flowbot.workflow.parameters import Demonstration, LLMParameters
from flowbot.workflow.starts import single_call
from flowbot.workflow.workflow import Workflow

KEPT_BACK = "it holds an answer of an example kept back"


def examples(*pairs: tuple[str, object], prefix: str = "e") -> list[Example]:
    return [Example(f"{prefix}{n}", {"text": asked}, {"answer": answer}) for n, (asked, answer) in enumerate(pairs)]


def task_of(
    train: Sequence[Example],
    *,
    val: Sequence[Example] = (),
    test: Sequence[Example] = (),
    type: str = "str",
    goal: str = "Answer.",
) -> Task:
    return Task(
        goal=goal,
        inputs=(Field.of("text", "str"),),
        outputs=(Field.of("answer", type),),
        metric=METRICS["exact"],
        splits={"train": train, "val": val, "test": test},
    )


def start_of(task: Task, instruction: str = "Answer.") -> Workflow:
    return single_call(task.inputs, task.outputs, instruction, reasoning=False)


def why_not(text: str, task: Task, instruction: str = "Answer.") -> str:
    return Guard(task).copied_text(text, start_of(task, instruction))


def test_a_long_answer_in_an_instruction_is_refused() -> None:
    task = task_of(examples(("When?", "the treaty of Utrecht")))
    found = why_not("Say 'The Treaty of Utrecht!' if asked.", task)
    assert "e0" in found
    assert "answer" in found


def test_labels_numbers_and_short_answers_are_exempt() -> None:
    task = task_of(examples(("a", "billing problem"), ("b", "billing problem"), ("c", "12"), ("d", "yes")))
    assert why_not("Choose 'billing problem' for invoices; 12 and yes are fine.", task) == ""


def test_a_copied_stretch_of_an_input_is_refused() -> None:
    task = task_of(examples(("please send half a dozen lamps to the old harbour office", "6")))
    assert "e0" in why_not("If it says please send half a dozen lamps to the old harbour, say so.", task)
    assert why_not("Half a dozen is 6.", task) == ""


@given(st.lists(st.sampled_from("ab"), max_size=30), st.lists(st.sampled_from("ab"), max_size=30))
def test_a_stretch_is_a_copy_from_its_length_on_wherever_it_stands(input_: list[str], told: list[str]) -> None:
    input_, told = [f"{word}word" for word in input_], [f"{word}word" for word in told]
    task = task_of(examples((" ".join(input_), "6")))
    runs = {tuple(input_[n : n + RUN]) for n in range(len(input_) - RUN + 1)}
    shared = any(tuple(told[n : n + RUN]) in runs for n in range(len(told) - RUN + 1))
    assert bool(why_not(", ".join(told), task)) == shared


LABELS = (
    "billing problem",
    "delivery problem",
    "broken product",
    "account question",
    "refund request",
    "other matters",
)
LISTED = f"Choose one of: {', '.join(LABELS)}."


def test_a_label_of_all_splits_is_no_answer_kept_back() -> None:
    train = examples(*((f"q{n}", LABELS[0]) for n in range(3)))
    test = examples(("x", LABELS[0]), ("y", "the treaty of Utrecht"), prefix="t")
    task = task_of(train, test=test)
    assert why_not(LISTED, task) == ""
    assert why_not("Say the treaty of Utrecht.", task) == KEPT_BACK


@pytest.mark.parametrize("form", ["{}", "list[{}]", "{{of: {}}}"])
def test_the_options_of_an_output_may_be_listed(form: str) -> None:
    def answer(number: int) -> object:
        label = LABELS[number]
        return {"{}": label, "list[{}]": [label, LABELS[number + 1]]}.get(form, {"of": label})

    literal = f"Literal[{', '.join(map(repr, LABELS))}]"
    train = examples(*((f"q{n}", answer(0)) for n in range(3)), ("z", answer(2)))
    task = task_of(train, test=examples(("x", answer(0)), prefix="t"), type=form.format(literal))
    assert why_not(LISTED, task) == ""


def test_what_the_goal_or_the_old_workflow_says_may_be_said() -> None:
    rows = examples(("please send half a dozen lamps to the old harbour office", "the treaty of Utrecht"))
    for text in ("Say the treaty of Utrecht.", "Please send half a dozen lamps to the old."):
        assert why_not(text, task_of(rows)) != ""
        assert why_not(text, task_of(rows, goal=f"Mind this. {text}")) == ""
        assert why_not(text, task_of(rows), f"Mind this. {text}") == ""


def test_demonstrations_that_no_training_example_stands_behind_are_refused() -> None:
    def shown(*names: str) -> Workflow:
        demonstrations = tuple(Demonstration(inputs={"q": "a"}, outputs={"a": "b"}, example=name) for name in names)
        return before.with_parameter("s", LLMParameters(instruction="Go.", demonstrations=demonstrations))

    node = {"kind": "llm", "in": {"q": "q"}, "out": {"a": "str"}}
    before = Workflow.from_data({"flowbot": 1, "inputs": {"q": "str"}, "outputs": {"a": "s.a"}, "nodes": {"s": node}})
    rows = examples(("a", "b"))
    assert unsourced(before, shown("e0"), rows) == ""
    assert "s: a demonstration names as example 'x'" in unsourced(before, shown("e0", "x"), rows)
    assert "''" in unsourced(before, shown(""), rows)
    assert unsourced(shown("old"), shown("old", "e0"), rows) == ""


TREATY = "the treaty of Utrecht"


@pytest.fixture
def task() -> Task:
    train, val, test = (
        [row]
        for row in examples(
            ("When?", TREATY), ("Who?", "the second duke of Burgundy"), ("Where?", "the chapel of Agnes")
        )
    )
    return task_of(train, val=val, test=test)


def test_an_answer_kept_back_is_refused_without_a_word_on_the_row(task: Task) -> None:
    for answer in ("the second duke of Burgundy", "the chapel of Agnes"):
        assert why_not(f"If in doubt say {answer}.", task) == KEPT_BACK
    assert "e0" in why_not(f"Say {TREATY}.", task)
    assert why_not("Where? Who? Say it.", task) == ""


@pytest.mark.parametrize("told", ["instruction", "format_hint"])
def test_every_new_text_of_a_workflow_is_looked_at_and_no_old_one(task: Task, told: str) -> None:
    start = start_of(task)
    guard = Guard(task)
    name = next(iter(start.parameters))
    changed = start.with_parameter(name, start.parameter(name).model_copy(update={told: f"Say {TREATY}."}))
    assert "e0" in guard.copied(changed, start)
    assert guard.copied(changed, changed) == guard.copied(start, changed) == ""


def test_an_answer_that_stands_in_a_worked_example_is_no_less_an_answer(task: Task) -> None:
    start = single_call(task.inputs, task.outputs, task.goal, reasoning=False)
    name = next(iter(start.parameters))
    shown = Demonstration(inputs={"text": "When?"}, outputs={"answer": TREATY}, example="e0")
    old = start.with_parameter(name, LLMParameters(instruction="Go.", demonstrations=(shown,)))
    assert "e0" in Guard(task).copied_text(f"Say {TREATY}.", old)
