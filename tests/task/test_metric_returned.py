"""What a user's metric may return, and what is said of anything else."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbot.fields import Score
from flowbot.task import Example, Metric, MetricError

EXAMPLE = Example("e1", {"q": "x"}, {"a": 1})


def scored(returned: Any) -> Score:
    return Metric.of(lambda example, outputs: returned)(EXAMPLE, {"a": 1})


@pytest.mark.parametrize(
    ("returned", "score"),
    [
        (True, Score(1.0)),
        (0.25, Score(0.25)),
        (Fraction(1, 4), Score(0.25)),
        (Decimal("0.5"), Score(0.5)),
        ((0.5, "half of it"), Score(0.5, "half of it")),
        ((False, None), Score(0.0)),
        ([1, "fine"], Score(1.0, "fine")),
        ({"score": 0.5, "feedback": "half"}, Score(0.5, "half")),
        ({"value": 1}, Score(1.0)),
        (
            {"score": 0.5, "feedback": None, "parts": {"tone": 1, "facts": False}},
            Score(0.5, "", {"tone": 1.0, "facts": 0.0}),
        ),
    ],
)
def test_every_friendly_form_is_a_score(returned: Any, score: Score) -> None:
    assert scored(returned) == score


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (None, "None"),
        ("0.5", "a str"),
        ((1,), "a tuple"),
        ((0.5, 3), "feedback that is a int"),
        (("good", 0.5), "a tuple with a str"),
        ({"feedback": "no number"}, "no score"),
        ({"score": 1, "value": 1}, "score and value"),
        ({"score": 1, "note": ""}, "'note'"),
        ({"score": "high"}, "a score that is a str"),
        ({"score": 1, "parts": [1]}, "parts that are a list"),
        ({"score": 1, "parts": {"tone": "good"}}, "'tone'"),
        (85, "from 0 to 1"),
        ((1.5, "too good"), "from 0 to 1"),
        (float("nan"), "from 0 to 1"),
    ],
)
def test_what_is_no_score_is_named_with_the_example(returned: Any, said: str) -> None:
    with pytest.raises(MetricError) as caught:
        scored(returned)
    assert said in str(caught.value)
    assert caught.value.example == "e1"


@pytest.mark.parametrize(
    "value", [1.0000001, 1.0 + 1e-6, np.float32(1.0000001), np.float64(1.0), np.int64(1), np.array(1.0)]
)
def test_what_rounding_in_32_bits_adds_to_1_is_taken_off(value: Any) -> None:
    for returned in (value, (value, "same"), {"score": value, "parts": {"close": value}}):
        found = scored(returned)
        assert found.value == 1.0
        assert type(found.value) is float
        assert all(each == 1.0 for each in found.parts.values())


@pytest.mark.parametrize("value", [-1e-7, np.float32(-1e-7)])
def test_what_rounding_takes_from_0_is_added(value: Any) -> None:
    assert scored(value).value == 0.0


@pytest.mark.parametrize("value", [1.00001, -0.00001, np.float32(1.001)])
def test_more_than_rounding_is_no_score(value: Any) -> None:
    with pytest.raises(MetricError, match="from 0 to 1"):
        scored(value)


class Prediction:
    """As some libraries make them: attributes out of a table, other ones beside, a number when asked."""

    def __init__(self, **given: Any) -> None:
        self._given = given

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._given:
            raise AttributeError(name)
        return self._given[name]

    def __float__(self) -> float:
        return float(self._given["score"])

    def __iter__(self) -> Any:
        return iter(self._given)


class Verdict(NamedTuple):
    feedback: str
    score: float


@pytest.mark.parametrize(
    ("returned", "score"),
    [
        (Prediction(score=0.5, feedback="half"), Score(0.5, "half")),
        (Prediction(score=1, feedback=None, tokens=12), Score(1.0)),
        (Prediction(score=0.5), Score(0.5)),
        (SimpleNamespace(score=0.25, feedback="low", parts={"a": 1}), Score(0.25, "low", {"a": 1.0})),
        (Verdict("why", 0.75), Score(0.75, "why")),
    ],
)
def test_an_object_that_has_a_score_keeps_its_feedback(returned: Any, score: Score) -> None:
    assert scored(returned) == score


def test_an_object_whose_score_is_no_number_is_named() -> None:
    with pytest.raises(MetricError, match="a score that is a str"):
        scored(Prediction(score="high"))


@given(value=st.floats(0, 1), feedback=st.text())
def test_the_pair_and_the_mapping_say_the_same(value: float, feedback: str) -> None:
    assert scored((value, feedback)) == scored({"score": value, "feedback": feedback}) == Score(value, feedback)
