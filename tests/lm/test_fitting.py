"""Bounds of a local model's replies: where the schema has none of its own, and nowhere else."""

from __future__ import annotations

import copy
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from flowbot.fields import Field, Type, fields_schema
from flowbot.lm.local.fitting import Fitting

FITTING = Fitting(text=10, last=50, items=6)

types = st.recursive(
    st.sampled_from(["str", "int", "bool", "float", "object", "Literal['a', 'b']"]).map(Type.parse),
    lambda inner: (
        inner.map(lambda item: Type("list", item=item))
        | st.dictionaries(st.sampled_from("abcd"), inner, min_size=1, max_size=3).map(
            lambda members: Type("object", members=tuple(members.items()))
        )
    ),
    max_leaves=6,
)


def fitted(**kinds: str) -> dict[str, Any]:
    return FITTING.schema(fields_schema([Field.of(name, kind) for name, kind in kinds.items()]))["properties"]


def test_a_text_before_others_is_short_and_one_that_ends_the_reply_is_long() -> None:
    found = fitted(reasoning="str", label="Literal['x', 'y']", mail="str")
    assert found["reasoning"] == {"type": "string", "maxLength": 10}
    assert found["label"] == {"type": "string", "enum": ["x", "y"]}
    assert found["mail"] == {"type": "string", "maxLength": 50}


def test_the_end_of_the_reply_may_lie_within_the_last_object() -> None:
    found = fitted(first="{a: str, b: str}", second="{a: str, b: str}")
    lengths = [each["maxLength"] for part in found.values() for each in part["properties"].values()]
    assert lengths == [10, 10, 10, 50]


def test_lists_have_fewer_items_where_each_is_long() -> None:
    found = fitted(numbers="list[int]", texts="list[str]", objects="list[{a: str}]", lists="list[list[int]]")
    assert [each["maxItems"] for each in found.values()] == [6, 3, 2, 2]
    assert found["lists"]["items"]["maxItems"] == 6
    assert found["texts"]["items"]["maxLength"] == 10


def test_what_a_schema_says_itself_stands() -> None:
    own = {
        "type": "object",
        "properties": {
            "thought": {"type": "string", "maxLength": 300},
            "long": {"type": "string", "minLength": 20},
            "many": {"type": "array", "minItems": 9, "items": {"type": "integer"}},
            "day": {"type": "string", "format": "date"},
            "call": {"anyOf": [{"type": "object", "properties": {"code": {"type": "string"}}}, {"const": "end"}]},
        },
    }
    found = FITTING.schema(own)["properties"]
    assert found["thought"]["maxLength"] == 300
    assert found["long"]["maxLength"] == 20
    assert found["many"]["maxItems"] == 9
    assert found["day"] == {"type": "string", "format": "date"}
    assert found["call"]["anyOf"][0]["properties"]["code"]["maxLength"] == 50


@given(st.dictionaries(st.sampled_from("vwxyz"), types, min_size=1))
def test_every_text_and_list_is_bounded_and_nothing_else_changes(kinds: dict[str, Type]) -> None:
    schema = fields_schema([Field.of(name, str(kind)) for name, kind in kinds.items()])
    before = copy.deepcopy(schema)
    found = FITTING.schema(schema)
    assert schema == before
    assert stripped(found) == before


def stripped(schema: Any) -> Any:
    """The schema without bounds; each text and list must have one."""
    if isinstance(schema, list):
        return [stripped(each) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    schema = cast("dict[str, Any]", schema)
    if schema.get("type") == "string" and "enum" not in schema:
        assert schema["maxLength"] in (10, 50)
    if schema.get("type") == "array":
        assert schema["maxItems"] in (2, 3, 6)
    return {name: stripped(value) for name, value in schema.items() if name not in ("maxLength", "maxItems")}


@given(st.integers(1, 4000))
def test_one_text_or_list_leaves_room_for_what_follows(tokens: int) -> None:
    found = Fitting().within(tokens)
    assert found.text / 3 < max(tokens, 1)
    assert found.items // 3 * 20 <= max(tokens, 20)
    assert found.items >= 3
    if tokens >= 512:
        assert (found.text, found.items) == (Fitting().text, Fitting().items)


def test_a_body_is_fitted_and_the_one_given_left_alone() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    body: dict[str, Any] = {
        "model": "m",
        "max_tokens": 512,
        "response_format": {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}},
    }
    before = copy.deepcopy(body)
    found = Fitting(last=7, penalty=1.1).body(body)
    assert body == before
    assert found["response_format"]["json_schema"]["schema"]["properties"]["a"]["maxLength"] == 7
    assert found["response_format"]["json_schema"]["name"] == "reply"
    assert found["repeat_penalty"] == 1.1
    assert "repeat_penalty" not in FITTING.body(body)
    plain: dict[str, Any] = {"model": "m", "messages": []}
    assert Fitting(penalty=1.1).body(plain) == plain
