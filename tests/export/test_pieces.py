"""The pieces of exported files read replies as FlowBot does, and say the same of those that are of no use."""

from __future__ import annotations

from typing import Any

import pytest
from export_help import evaluated
from hypothesis import given
from hypothesis import strategies as st

from flowbot.export.pieces import joining, reading
from flowbot.export.python_text import kind_source
from flowbot.fields import Field, Type, fields_schema
from flowbot.lm.answers import read_values
from flowbot.runtime.merge import merge

TYPES = (
    *("str", "int", "float", "bool", "object", "Literal['yes', 'no']", "list[int]", "list[{what: str, n: int}]"),
    "{a: {b: bool}}",
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.floats(-1e6, 1e6)
    | st.sampled_from(["yes", " No", "12", "1,234", "1.0", "true", "x", ""])
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["what", "n", "a", "b"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def kind(text: str) -> Any:
    return evaluated(kind_source(Type.parse(text)), str=str, int=int, float=float, bool=bool, dict=dict)


def outcome(function: Any, *arguments: Any) -> tuple[Any, str]:
    try:
        return function(*arguments), ""
    except ValueError as error:
        return None, str(error)


@given(values, st.sampled_from(TYPES))
def test_a_value_fits_as_it_does_in_a_run(value: Any, text: str) -> None:
    wanted = outcome(Type.parse(text).coerce, value, "place")
    found = outcome(reading.fit, value, kind(text), "place")
    assert found == wanted
    assert type(found[0]) is type(wanted[0])


@pytest.mark.parametrize(
    "reply",
    [
        '{"n": 3, "why": "a"}',
        '```json\n{"n": 3, "why": "a"}\n```',
        '[{"n": 1, "why": "b"}, {"n": 2, "why": "c"}]',
        'So: {"n": 3, "why": "a"}',
        '{"n": 3}',
        "I cannot say.",
        '{"n": "x", "why": "a"}',
        "[1, 2]",
        "3",
    ],
)
def test_a_reply_is_read_as_in_a_run(reply: str) -> None:
    fields = [Field.of("n", "int"), Field.of("why", "str")]
    assert outcome(reading.read, reply, {"n": int, "why": str}) == outcome(read_values, reply, fields)


@given(st.lists(st.sampled_from(TYPES), min_size=1, max_size=3))
def test_the_form_of_a_reply_is_that_of_a_run(texts: list[str]) -> None:
    fields = [Field.of(f"f{number}", text) for number, text in enumerate(texts)]
    form = reading.reply_format({field.name: kind(str(field.type)) for field in fields})
    if texts == ["str"]:
        assert form == {}
    else:
        assert form["response_format"]["json_schema"]["schema"] == fields_schema(fields)


@given(st.lists(st.sampled_from(["Yes", "yes ", "no", "", "Straße", "strasse"]) | st.integers(0, 2), min_size=1))
def test_values_are_joined_as_in_a_run(joined: list[Any]) -> None:
    assert joining.first_filled(joined) == merge("first", joined)
    assert joining.majority_vote(joined) == merge("vote", joined)
    assert joining.join_values(joined) == merge("concat", joined)
