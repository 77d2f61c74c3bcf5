from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbot.fields import Field, StepError
from flowbot.fields.bounds import VALUE_BYTES
from flowbot.fields.yaml_core import MOST_BITS
from flowbot.runtime import plain_json
from flowbot.runtime.jsonlike import to_json, to_outputs

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(JSON)
def test_json_values_stay_what_they_are(value: Any) -> None:
    assert to_json(value) == value


@given(
    st.recursive(
        st.integers() | st.binary(max_size=2) | st.complex_numbers() | st.text(),
        lambda i: st.tuples(i, i) | st.lists(i, max_size=3),
    )
)
def test_what_passes_can_be_written_as_json(value: Any) -> None:
    try:
        plain = to_json(value)
    except StepError:
        return
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_dataclasses_and_sets_become_json() -> None:
    @dataclass
    class Found:
        names: set[str]

    assert to_json([Found({"b", "a"})]) == [{"names": ["a", "b"]}]


@pytest.mark.parametrize("value", [float("inf"), b"x", object(), "\ud800", {True: 1}, {(1,): 1}, {1.5: 2}])
def test_refuses_what_json_cannot_hold(value: Any) -> None:
    with pytest.raises(StepError, match="result"):
        to_json({"a": value})


def test_names_the_place_of_the_fault() -> None:
    with pytest.raises(StepError, match=r"result\.items\[1\]: found bytes"):
        to_json({"items": [1, b""]})


def test_outputs_are_coerced_and_others_dropped() -> None:
    fields = [Field.of("n", "int"), Field.of("x", "float")]
    outputs = to_outputs({"x": 2, "n": "12", "more": 1}, fields)
    assert list(outputs.items()) == [("n", 12), ("x", 2.0)]


def test_a_value_stands_for_the_only_output() -> None:
    assert to_outputs([1, 2], [Field.of("items", "list[int]")]) == {"items": [1, 2]}


@pytest.mark.parametrize(
    ("value", "types", "told"),
    [
        ({"m": 1}, {"n": "int"}, "n is missing; found m"),
        (3, {"n": "int", "m": "int"}, "expected an object with n, m"),
        ({"n": "many"}, {"n": "int"}, 'n: found "many"; expected int'),
    ],
)
def test_says_what_is_wrong_with_outputs(value: Any, types: dict[str, str], told: str) -> None:
    with pytest.raises(StepError) as caught:
        to_outputs(value, [Field.of(name, text) for name, text in types.items()])
    assert told in str(caught.value)


def test_numbers_and_empty_lists_count_for_what_they_take() -> None:
    for value in (
        [1] * 5_000_000,
        [2**1000] * 4000,
        [[]] * 100_000,
        {"k" * 300_000: ["x"] * 150_000},
        ["\x00"] * 150_000,
    ):
        with pytest.raises(StepError, match="larger than 1,000,000 bytes") as caught:
            to_json(value)
        assert len(str(caught.value)) < 400


def test_the_bounds_are_those_of_all_values() -> None:
    assert (plain_json.MAX_BYTES, plain_json.MAX_INT_BITS) == (VALUE_BYTES, MOST_BITS)


@given(JSON)
def test_what_passes_is_no_larger_as_json_than_it_counts(value: Any) -> None:
    counting = plain_json.Plain()
    counting.value(value)
    assert len(json.dumps(value, ensure_ascii=False).encode()) <= VALUE_BYTES - counting.left + 32
