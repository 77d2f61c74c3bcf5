"""What a user's metric may return, and what is said of anything else."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

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
        ((0.5, 3), "feedback that is an int"),
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


@given(value=st.floats(0, 1), feedback=st.text())
def test_the_pair_and_the_mapping_say_the_same(value: float, feedback: str) -> None:
    assert scored((value, feedback)) == scored({"score": value, "feedback": feedback}) == Score(value, feedback)
