"""Types: the notation, coercion and the schema agree with each other."""

from __future__ import annotations

import keyword
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbot.fields import Type, TypeSyntaxError, ValueMismatch, object_schema

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).filter(lambda text: not keyword.iskeyword(text))


def types(depth: int = 3) -> st.SearchStrategy[Type]:
    plain = st.sampled_from([Type("str"), Type("int"), Type("float"), Type("bool"), Type("object")])
    literal = st.lists(texts, min_size=1, max_size=4, unique=True).map(lambda o: Type("literal", options=tuple(o)))
    if depth == 0:
        return plain | literal
    inner = types(depth - 1)
    members = st.dictionaries(names, inner, min_size=1, max_size=3)
    return (
        plain
        | literal
        | inner.map(lambda item: Type("list", item=item))
        | members.map(lambda named: Type("object", members=tuple(named.items())))
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def fitting(kind: Type) -> st.SearchStrategy[Any]:
    """Values that a type takes, some in another guise."""
    match kind.kind:
        case "str":
            return texts | st.integers()
        case "int":
            return st.integers() | st.integers().map(str) | st.integers(-1000, 1000).map(float)
        case "float":
            return st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**6), 10**6).map(str)
        case "bool":
            return st.booleans() | st.sampled_from(["true", " False"])
        case "literal":
            return st.sampled_from(kind.options)
        case "list":
            assert kind.item is not None
            return st.lists(fitting(kind.item), max_size=3)
        case "object":
            extra = st.just({"one more": 1})
            named = st.fixed_dictionaries({name: fitting(member) for name, member in kind.members})
            return st.tuples(extra, named).map(lambda pair: {**pair[0], **pair[1]})


def conforms(value: Any, schema: dict[str, Any]) -> bool:
    """The part of JSON schema that types use."""
    match schema.get("type"):
        case "string":
            return isinstance(value, str) and value in schema.get("enum", [value])
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        case "boolean":
            return isinstance(value, bool)
        case "array":
            return isinstance(value, list) and all(conforms(each, schema["items"]) for each in value)
        case "object":
            if not isinstance(value, dict):
                return False
            known = schema.get("properties")
            if known is None:
                return True
            return (
                set(schema["required"]) <= set(value)
                and (set(value) <= set(known) or schema["additionalProperties"])
                and all(conforms(value[name], known[name]) for name in value)
            )
    raise AssertionError(schema)


@given(types())
def test_a_type_is_read_back_from_its_text(kind: Type) -> None:
    assert Type.parse(str(kind)) == kind


@given(types().flatmap(lambda kind: st.tuples(st.just(kind), fitting(kind))))
def test_a_fitting_value_coerces_to_what_the_schema_accepts_and_then_stays(pair: tuple[Type, Any]) -> None:
    kind, value = pair
    coerced = kind.coerce(value)
    assert conforms(coerced, kind.json_schema())
    assert kind.coerce(coerced) == coerced


@given(types(), json_values)
def test_any_json_value_either_fits_or_is_a_mismatch(kind: Type, value: Any) -> None:
    try:
        coerced = kind.coerce(value)
    except ValueMismatch:
        return
    assert conforms(coerced, kind.json_schema())
    assert kind.coerce(coerced) == coerced


@given(types(2), types(2).flatmap(lambda kind: st.tuples(st.just(kind), fitting(kind))))
def test_what_a_type_accepts_flows_without_a_mismatch(wanted: Type, pair: tuple[Type, Any]) -> None:
    given_type, value = pair
    if wanted.accepts(given_type):
        assert conforms(wanted.coerce(given_type.coerce(value)), wanted.json_schema())


@given(types())
def test_every_type_accepts_itself(kind: Type) -> None:
    assert kind.accepts(kind)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("float", "int"),
        ("str", "Literal['a', 'b']"),
        ("Literal['a', 'b']", "Literal['b']"),
        ("list[float]", "list[int]"),
        ("object", "{a: int}"),
        ("{a: float}", "{a: int, b: str}"),
    ],
)
def test_a_narrow_type_flows_into_a_wide_one_and_not_back(wide: str, narrow: str) -> None:
    assert Type.parse(wide).accepts(Type.parse(narrow))
    assert not Type.parse(narrow).accepts(Type.parse(wide))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "string",
        "list",
        "list[]",
        "list[str",
        "list[str]]",
        "Literal[]",
        "Literal['a', 'a']",
        "Literal['a' 'b']",
        "Literal[1]",
        r"Literal['\x']",
        r"Literal['\d']",
        r"Literal['\ud800']",
        "Literal['a\nb']",
        "{}",
        "{a: int, a: str}",
        "{a: int b: str}",
        "{a}",
        "int str",
        "int!",
        "list[" * 9 + "int" + "]" * 9,
    ],
)
def test_what_is_not_in_the_notation_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(TypeSyntaxError, match="type "):
        Type.parse(text)


@given(st.text(max_size=30) | st.text(alphabet="list[]{}:,'\"\\ aLiteralstr", max_size=30))
def test_any_text_is_a_type_or_a_syntax_error(text: str) -> None:
    try:
        kind = Type.parse(text)
    except TypeSyntaxError:
        return
    assert Type.parse(str(kind)) == kind


@pytest.mark.parametrize(
    ("kind", "value", "wanted"),
    [
        ("int", "12", 12),
        ("int", 12.0, 12),
        ("int", " 1,234 ", 1234),
        ("float", 12, 12.0),
        ("float", "-1,234.5", -1234.5),
        ("bool", "True", True),
        ("str", 12, "12"),
        ("str", True, "true"),
        ("Literal['Yes', 'No']", " yes ", "Yes"),
        ("Literal[' a', 'a']", " a", " a"),
        ("{a: int}", {"a": "1", "b": 2}, {"a": 1}),
    ],
)
def test_what_plainly_is_of_the_type_becomes_it(kind: str, value: Any, wanted: Any) -> None:
    coerced = Type.parse(kind).coerce(value)
    assert coerced == wanted
    assert type(coerced) is type(wanted)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int", 1.5),
        ("int", True),
        ("int", "1,5"),
        ("int", "inf"),
        ("int", "twelve"),
        ("float", "nan"),
        ("float", 10**400),
        ("bool", 1),
        ("bool", "yes"),
        ("str", None),
        ("str", ["a"]),
        ("str", "\ud800"),
        ("Literal['a', 'A']", "á"),
        ("list[int]", "12"),
        ("list[int]", [1, "x"]),
        ("object", []),
        ("{a: int}", {"b": 1}),
    ],
)
def test_what_is_not_of_the_type_is_a_mismatch(kind: str, value: Any) -> None:
    with pytest.raises(ValueMismatch):
        Type.parse(kind).coerce(value)


def test_a_mismatch_names_the_place_inside_the_value() -> None:
    with pytest.raises(ValueMismatch, match=r'^order\.items\[1\]\.n: found "x"; expected int$'):
        Type.parse("{items: list[{n: int}]}").coerce({"items": [{"n": 1}, {"n": "x"}]}, "order")


def test_an_object_schema_is_closed_and_keeps_the_declared_order() -> None:
    schema = object_schema({"b": Type("int"), "a": Type("str")})
    assert list(schema["properties"]) == ["b", "a"]
    assert schema["required"] == ["b", "a"]
    assert schema["additionalProperties"] is False


def test_a_type_that_is_too_long_is_refused_and_not_quoted_whole() -> None:
    with pytest.raises(TypeSyntaxError, match="longer than 50,000 characters") as caught:
        Type.parse("Literal[" + ",".join(f"'{number}'" for number in range(60_000)) + "]")
    assert len(str(caught.value)) < 300
