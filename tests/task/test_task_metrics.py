"""Metrics: what each built-in takes for right, what it says, and how users' callables are treated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbot.fields import Field, Score, UserError
from flowbot.task import METRICS, Example, Metric, MetricError, Part, Parts, Task

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def score(name: str, found: Any, expected: Any) -> float:
    return METRICS[name](Example("e", {}, {"out": expected}), {"out": found}).value


@pytest.mark.parametrize("name", METRICS)
@given(found=values, expected=values)
def test_every_metric_scores_any_values_and_says_what_is_wrong(name: str, found: Any, expected: Any) -> None:
    result = METRICS[name](Example("e", {}, {"out": expected}), {"out": found})
    assert 0.0 <= result.value <= 1.0
    assert (result.value == 1.0) == (result.feedback == "")


@pytest.mark.parametrize("name", METRICS)
@given(value=st.text(min_size=1) | st.integers() | st.booleans() | st.lists(st.text(min_size=1), min_size=1))
def test_the_expected_value_itself_is_right(name: str, value: Any) -> None:
    assert score(name, value, value) == 1.0


@pytest.mark.parametrize(
    ("name", "found", "expected", "value"),
    [
        ("exact", " 12\n", "12", 1.0),
        ("exact", "Paris", "paris", 0.0),
        ("exact", 1, 1.0, 1.0),
        ("exact", True, 1, 0.0),
        ("exact", ["a", 1], ["a", 1], 1.0),
        ("exact", ["a", 1], [1, "a"], 0.0),
        ("exact", {"a": 1, "b": 2}, {"b": 2, "a": 1}, 1.0),
        ("exact", None, "a", 0.0),
        ("normalised", "The  Eiffel-Tower!", "eiffeltower", 1.0),
        ("normalised", "(A)", "A", 1.0),
        ("normalised", "B", "A", 0.0),
        ("normalised", "+", "-", 0.0),
        ("normalised", ["The cat"], ["cat"], 1.0),
        ("normalised", "at 5 p.m.", "At 5 pm", 1.0),
        ("normalised", "COVID-19", "Covid19", 1.0),
        ("normalised", "**A**", "A", 1.0),
        ("normalised", "It was on Nov. 5th, 2024!", "it was on 2024-11-05", 1.0),
        ("normalised", "The total: $1,234.50", "total 1234.5 USD", 1.0),
        ("normalised", "ΟΔΌΣ", "οδο\u0301ς", 1.0),
        ("numeric", "so 3 + 4 = 7.", 7, 1.0),
        ("numeric", "about $1,234.50", 1234.5, 1.0),
        ("numeric", "-7", "minus: -7", 1.0),
        ("numeric", "from 3-7", 7, 1.0),
        ("numeric", 0.333333333, "0.3333333333", 1.0),
        ("numeric", 12345679, 12345678, 0.0),
        ("numeric", "seven", 7, 0.0),
        ("numeric", True, 1, 0.0),
        ("numeric", "The yes", "yes", 1.0),
        ("numeric", "from 3–7 to 5", "5", 1.0),
        ("numeric", "between 3 and 7", "3-7", 1.0),
        ("numeric", "$5", 5, 1.0),
        ("numeric", "so it is 7", "3 + 4 = 7", 1.0),
        ("numeric", "about 1.2 million", 1_200_000, 1.0),
        ("numeric", 10**400, 10**400, 1.0),
        ("numeric", 10**400, 10**400 + 1, 0.0),
        ("f1", "the cat sat", "a cat sat", 1.0),
        ("f1", "cat", "cat sat", 2 / 3),
        ("f1", "cat cat", "cat", 2 / 3),
        ("f1", "dog", "cat", 0.0),
        ("f1", "Obama", ["Barack Obama", "Obama"], 1.0),
        ("contains", "I think it is Paris, France.", "paris", 1.0),
        ("contains", "Paris,France", "Paris", 1.0),
        ("contains", "112", 12, 0.0),
        ("contains", "12.5", 12, 0.0),
        ("contains", "from 5-10 years", "10", 1.0),
        ("contains", "the answer is A", "A", 1.0),
        ("contains", "due 5.11.2024,unpaid", "2024-11-05", 1.0),
        ("contains", "it is :)", ":)", 1.0),
        ("contains", "", "cat", 0.0),
        ("contains", "a cat and a dog", ["cat", "dog", "cow", "hen"], 0.5),
        ("json_fields", '{"a": 1, "b": "x", "c": 3}', {"a": 1, "b": "y"}, 0.5),
        ("json_fields", {"a": {"b": [1, 2]}}, '{"a": {"b": [1, 3]}}', 0.5),
        ("json_fields", {"a": [1, 2, 3]}, {"a": [1, 2]}, 2 / 3),
        ("json_fields", {}, {"a": {"b": 1, "c": 2}, "d": 3}, 0.0),
        ("json_fields", {"d": 3}, {"a": {"b": 1, "c": 2}, "d": 3}, 1 / 3),
        ("json_fields", "no json", {"a": 1}, 0.0),
    ],
)
def test_what_a_metric_takes_for_right(name: str, found: Any, expected: Any, value: float) -> None:
    assert score(name, found, expected) == pytest.approx(value)


def test_feedback_says_what_was_found_and_expected() -> None:
    assert METRICS["numeric"](Example("e", {}, {"total": 14}), {"total": 12}).feedback == "total: found 12, expected 14"
    assert "no number" in METRICS["numeric"](Example("e", {}, {"total": 14}), {"total": "?"}).feedback
    missing = METRICS["json_fields"](Example("e", {}, {"order": {"a": 1, "b": 2}}), {"order": {"a": 1}})
    assert missing.feedback == "order: b is missing"


LABELS = "list[Literal['a', 'b', 'c']]"


@pytest.mark.parametrize(
    ("type_", "found", "expected", "value"),
    [
        (LABELS, ["b", "a"], ["a", "b"], 1.0),
        (LABELS, ["b", "c"], ["a", "b"], 1 / 3),
        (LABELS, ["a", "a"], ["a"], 1 / 2),
        (LABELS, list[str](), ["a"], 0.0),
        (LABELS, ["a"], list[str](), 0.0),
        (LABELS, list[str](), list[str](), 1.0),
        (LABELS, "a", ["a"], 0.0),
        (f"{{n: int, of: list[{{tags: {LABELS}}}]}}", {"n": 2, "of": [{"tags": ["b", "a"]}]}, {"n": 1, "of": [{"tags": ["a", "b"]}]}, 2 / 3),
        ("list[str]", ["b", "a"], ["a", "b"], 0.0),
        (f"list[{LABELS}]", [["a"], ["b"]], [["b"], ["a"]], 0.0),
    ],
)  # fmt: skip
def test_lists_of_labels_are_compared_in_any_order_and_others_item_by_item(
    type_: str, found: Any, expected: Any, value: float
) -> None:
    rows = [{"q": "x", "out": expected}]
    for metric in ("json_fields", Parts({"all": Part("json_fields", on="out")})):
        task = Task(goal="Do.", inputs={"q": str}, outputs={"out": type_}, metric=metric, test=rows)
        for each in (task, replace(task, goal="Do it.")):
            assert each.metric(task.test[0], {"out": found}).value == pytest.approx(value)


def test_a_metric_that_was_told_types_is_told_others_by_another_task() -> None:
    told = METRICS["json_fields"].for_outputs([Field.of("out", LABELS)])
    again = told.for_outputs([Field.of("out", "list[str]")])
    example = Example("e", {}, {"out": ["a", "b"]})
    assert [each(example, {"out": ["b", "a"]}).value for each in (told, again)] == [1.0, 0.0]
    assert told(example, {"out": ["c"]}).feedback == 'out: "a" is missing; "b" is missing; "c" is one too many'
    assert told.identity == METRICS["json_fields"].identity


@given(st.lists(st.sampled_from("abc"), max_size=5), st.lists(st.sampled_from("abc"), max_size=5), st.randoms())
def test_no_order_of_labels_changes_the_score(found: list[str], expected: list[str], rng: Random) -> None:
    metric = METRICS["json_fields"].for_outputs([Field.of("out", LABELS)])
    value = metric(Example("e", {}, {"out": expected}), {"out": found}).value
    assert (value == 1.0) == (sorted(found) == sorted(expected))
    rng.shuffle(found)
    assert metric(Example("e", {}, {"out": expected}), {"out": found}).value == value


def test_several_outputs_score_their_mean_and_each_is_a_part() -> None:
    example = Example("e", {}, {"a": 1, "b": "x"})
    result = METRICS["exact"](example, {"a": 1, "b": "y", "reasoning": "long"})
    assert (result.value, result.parts) == (0.5, {"a": 1.0, "b": 0.0})
    assert "b: " in result.feedback
    assert "a: " not in result.feedback


def test_an_output_that_is_missing_is_wrong() -> None:
    assert METRICS["contains"](Example("e", {}, {"a": ""}), {}).value == 0.0


@pytest.mark.parametrize("name", METRICS)
def test_no_outputs_score_0(name: str) -> None:
    assert METRICS[name](Example("e", {}, {"a": 1}), None).value == 0.0


@pytest.mark.parametrize(
    ("returned", "wanted"), [(0.25, Score(0.25)), (True, Score(1.0)), (0, Score(0.0)), (Score(0.5, "why"),) * 2]
)
def test_a_callable_may_return_a_number_a_bool_or_a_score(returned: Any, wanted: Score) -> None:
    assert Metric.of(lambda example, outputs: returned)(Example("e", {}, {}), {}) == wanted


@pytest.mark.parametrize("returned", [None, "1", 1.5, -0.1, float("nan"), [1]])
def test_anything_else_is_a_metric_error_with_the_examples_id(returned: Any) -> None:
    with pytest.raises(MetricError, match="example 'e7'") as caught:
        Metric.of(lambda example, outputs: returned)(Example("e7", {}, {}), {})
    assert caught.value.example == "e7"


def test_a_metric_that_raises_is_a_metric_error_with_its_text() -> None:
    def broken(example: Example, outputs: Any) -> float:
        return outputs["nothing"]

    with pytest.raises(MetricError, match=r"metric 'broken' failed on example 'e7': KeyError: 'nothing'"):
        Metric.of(broken)(Example("e7", {}, {}), {})


def test_a_callable_is_not_asked_about_outputs_that_are_not_there() -> None:
    asked: list[Any] = []
    assert Metric.of(lambda example, outputs: asked.append(outputs) or 1.0)(Example("e", {}, {}), None).value == 0.0
    assert asked == []


async def later(example: Example, outputs: Any) -> float:
    return 1.0


def test_an_async_metric_is_refused_at_once_and_a_hidden_one_when_called() -> None:
    with pytest.raises(UserError, match="async function later"):
        Metric.of(later)
    with pytest.raises(MetricError, match="coroutine"):
        Metric.of(lambda example, outputs: later(example, outputs))(Example("e", {}, {}), {})  # type: ignore[arg-type]


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError, match="found 'f2'; expected one of exact, normalised, numeric, f1, contains"):
        Metric.of("f2")
    with pytest.raises(UserError, match="found an int"):
        Metric.of(3)  # type: ignore[arg-type]


def test_identity_is_the_name_or_follows_the_source_file(tmp_path: Path) -> None:
    import importlib.util

    def made(text: str) -> Metric:
        file = tmp_path / "scoring.py"
        file.write_text(text)
        spec = importlib.util.spec_from_file_location("scoring", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return Metric.of(module.score)

    one = made("def score(example, outputs):\n    return 1.0\n")
    same = made("def score(example, outputs):\n    return 1.0\n")
    other = made("def score(example, outputs):\n    return 0.25\n")
    assert METRICS["f1"].identity.startswith("f1/")
    assert one.identity.startswith("score@")
    assert one.identity == same.identity != other.identity


def test_built_in_metrics_are_pure_and_a_users_only_if_declared() -> None:
    assert all(metric.pure for metric in METRICS.values())
    assert not Metric.of(lambda example, outputs: 1.0).pure
    assert Metric.of(lambda example, outputs: 1.0, pure=True).pure
