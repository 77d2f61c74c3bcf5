"""Canonical JSON, fields, scores, usage and errors."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbot.fields import Field, Score, Type, Usage, UserError, canonical_json, fields_schema, is_name, stable_hash

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def shuffled(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict):
        items = [(key, shuffled(each, rng)) for key, each in value.items()]
        rng.shuffle(items)
        return dict(items)
    return [shuffled(each, rng) for each in value] if isinstance(value, list) else value


@given(json_values, st.randoms(use_true_random=False))
def test_the_order_of_keys_changes_neither_text_nor_hash(value: Any, rng: random.Random) -> None:
    other = shuffled(value, rng)
    assert canonical_json(other) == canonical_json(value)
    assert stable_hash(other) == stable_hash(value)


@given(json_values)
def test_canonical_json_is_read_back_as_the_same_value(value: Any) -> None:
    assert json.loads(canonical_json(value)) == value


def test_the_hash_is_the_same_on_every_machine_and_tells_values_apart() -> None:
    assert stable_hash({"b": [1, "ä"], "a": None}) == "5d4c789751acdad9ba305072d1a6ccdc5864fd7c7a1bcc0f38a794e5a4417e02"
    assert stable_hash({"a": 1}) != stable_hash({"a": "1"})


def test_nan_has_no_canonical_json() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": float("nan")})
    with pytest.raises(TypeError):
        canonical_json({"a": {1}})


def test_a_field_is_made_from_the_notation() -> None:
    assert Field.of("total", "list[int]", "sums") == Field("total", Type("list", item=Type("int")), "sums")


@pytest.mark.parametrize("text", ["a", "_x1", "A" * 64])
def test_identifiers_are_names(text: str) -> None:
    assert is_name(text)


@pytest.mark.parametrize("text", ["", "1a", "a-b", "a b", "class", "A" * 65, "a\n", "é"])
def test_other_texts_are_no_names(text: str) -> None:
    assert not is_name(text)


def test_a_fields_schema_describes_fields_in_order() -> None:
    schema = fields_schema([Field.of("b", "int", "how many"), Field.of("a", "str")])
    assert schema == {
        "type": "object",
        "properties": {"b": {"type": "integer", "description": "how many"}, "a": {"type": "string"}},
        "required": ["b", "a"],
        "additionalProperties": False,
    }
    assert list(schema["properties"]) == ["b", "a"]


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_score_outside_0_to_1_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"Score\.value"):
        Score(value)
    with pytest.raises(ValueError, match=r"Score\.part"):
        Score(1.0, parts={"part": value})


def test_a_sum_of_weights_that_misses_one_by_its_rounding_is_one() -> None:
    assert 0.7 + 0.2 + 0.1 < 1
    score = Score(0.7 + 0.2 + 0.1, parts={"a": 1.0000000000000002, "b": -1e-17, "c": 0.9999})
    assert score.value == 1
    assert score.parts == {"a": 1.0, "b": 0.0, "c": 0.9999}


def test_usage_adds_up_and_an_unknown_price_stays_unknown() -> None:
    one = Usage(calls=1, input_tokens=10, output_tokens=2, cached_tokens=4, usd=0.5, seconds=1.0)
    assert one + one == Usage(2, 20, 4, 8, 1.0, 2.0)
    assert (one + one).tokens == 24
    assert (one + Usage(calls=1, usd=None)).usd is None
    assert sum([one, one], Usage()) == one + one


def test_a_user_error_says_where_what_was_found_and_expected() -> None:
    error = UserError("task.yaml: metric", "'f2'", "one of exact, f1")
    assert str(error) == "task.yaml: metric: found 'f2'; expected one of exact, f1"
    assert (error.where, error.found, error.expected) == ("task.yaml: metric", "'f2'", "one of exact, f1")
    assert (error.what, error.mend) == ("found 'f2'", "expected one of exact, f1")


def test_a_user_error_says_a_clause_and_what_to_do_in_their_own_words() -> None:
    error = UserError("tools", "no bm25s", mend="install it")
    assert str(error) == "tools: found no bm25s; install it"
    error = UserError("nodes.a.tool", what="there is no tool 'search'", mend="use to_euros")
    assert str(error) == "nodes.a.tool: there is no tool 'search'; use to_euros"
    assert str(error.at("my.flow.yaml")) == "my.flow.yaml: there is no tool 'search'; use to_euros"
    assert (error.found, error.expected) == ("there is no tool 'search'", "use to_euros")
