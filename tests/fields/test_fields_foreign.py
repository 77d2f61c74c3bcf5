"""Data from outside as records of known types, and the numbers that a user gives."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbot.fields import Type, UserError, ValueMismatch
from flowbot.fields.foreign import Amount, Count, Gain, Record, Share, Tokens, checked, short
from flowbot.fields.numbers import MOST, require_above_0, shown
from flowbot.fields.paths import home_path
from flowbot.fields.yaml import parse_data, parse_json


class Inner(Record):
    name: str
    share: Share = 0.0


class Outer(Record):
    kind: Literal["a", "b"]
    number: Count
    gain: Gain | None = None
    cost: Amount = 0.0
    inner: list[Inner] = [Inner(name="none")]  # noqa: RUF012
    more: dict[str, Any] | None = None


GOOD: dict[str, Any] = {"kind": "a", "number": 3, "inner": [{"name": "x", "share": 0.5}], "unknown": [1]}


def test_data_of_the_right_types_is_a_record() -> None:
    found = checked(Outer, GOOD, "here")
    assert (found.kind, found.number, found.inner[0].share, found.cost) == ("a", 3, 0.5, 0.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "c"}, "file.json:3: kind: found 'c'; expected 'a' or 'b'"),
        ({"kind": None}, "kind: found null"),
        ({"number": "3"}, "number: found '3'; expected a valid integer"),
        ({"number": True}, "number: found true"),
        ({"number": -1}, "number: found -1; expected greater than or equal to 0"),
        ({"number": 10**400}, "number: found a number of more than 300 digits"),
        ({"cost": math.nan}, "cost: found NaN"),
        ({"cost": 1e308}, "cost: found 1e+308"),
        ({"cost": 10**400}, "cost: found a number of more than 300 digits"),
        ({"gain": -1.5}, "gain: found -1.5"),
        ({"inner": {}}, "inner: found {}; expected a list"),
        ({"inner": [3]}, "inner[0]: found 3; expected a mapping"),
        ({"inner": [{"name": "x", "share": 2}]}, "inner[0].share: found 2"),
        ({"inner": [{}]}, "inner[0]: found no 'name'; expected one"),
        ({"more": []}, "more: found []; expected a mapping"),
    ],
)
def test_what_does_not_fit_is_named_with_its_member(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        checked(Outer, {**GOOD, **change}, "file.json:3", "mend it")
    assert said in str(caught.value)
    assert str(caught.value).endswith("; mend it")


def test_half_a_surrogate_pair_is_a_text_like_any_other() -> None:
    assert checked(Inner, {"name": "\ud800"}, "here").name == "\ud800"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_any_data_fits_or_is_told_in_one_line(data: Any) -> None:
    for kind in (Outer, Tokens):
        try:
            said = str(checked(kind, data, "here").model_dump()) and ""
        except UserError as error:
            said = str(error)
        assert len(said) < 600
        assert "\n" not in said


@given(JSON)
def test_a_value_is_shown_short(data: Any) -> None:
    assert len(short(data)) <= 60
    assert len(shown(data)) <= 80


@pytest.mark.parametrize("value", [None, 1, 2.5, MOST, 1e-12])
def test_a_limit_above_0_is_let_be(value: Any) -> None:
    require_above_0(value, "limit")


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, 10**400, 1e16, 1e-13, True, "3", [], object()])
def test_a_limit_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(UserError, match=r"limit: found .*; expected a number above 0"):
        require_above_0(value, "limit")


def test_half_a_call_is_no_limit() -> None:
    with pytest.raises(UserError, match="more than 300 digits"):
        require_above_0(10**5000, "calls")
    require_above_0(1e6, "calls", whole=True)
    with pytest.raises(UserError, match="a whole number above 0"):
        require_above_0(1.5, "calls", whole=True)


def test_a_home_folder_of_nobody_is_refused() -> None:
    assert home_path("~/x", "here") == Path.home() / "x"
    with pytest.raises(UserError, match="here: found '~nobody_of_this_name/x'"):
        home_path("~nobody_of_this_name/x", "here")


@pytest.mark.parametrize("digits", [307, 400, 5000])
def test_whole_numbers_of_files_fit_a_float(digits: int) -> None:
    text = "9" * digits
    for parse in (parse_json, parse_data):
        if digits < 308:
            assert float(parse(text, "here")) > 1e306
        else:
            with pytest.raises(UserError, match="more than 300 digits"):
                parse(text, "here")
    if digits > 307:
        with pytest.raises(ValueMismatch):
            Type.parse("int").coerce(text, "n")


def test_json_may_be_let_nest_deeper_and_hold_halves() -> None:
    deep = "[" * 100 + "]" * 100
    with pytest.raises(UserError, match="at most 64 levels"):
        parse_json(deep, "here")
    assert json.dumps(parse_json(deep, "here", depth=100)) == deep
    with pytest.raises(UserError, match="surrogate"):
        parse_json('"\\ud800"', "here")
    assert parse_json('"\\ud800"', "here", halves=True) == "\ud800"
