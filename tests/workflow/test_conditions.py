"""Conditions: what they mean, how they are said, and which of them make no sense."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from flowbot.workflow import conditions
from flowbot.workflow.check import check
from flowbot.workflow.conditions import Condition, holds, say
from flowbot.workflow.workflow import Workflow

READ: TypeAdapter[Condition] = TypeAdapter(Condition)
OPS = ["==", "!=", "<", "<=", ">", ">=", "in", "contains", "empty"]


def comparison(ref: str, op: str, value: Any) -> dict[str, Any]:
    return {"ref": ref, "op": op} | ({} if op == "empty" else {"value": value})


@pytest.mark.parametrize(
    ("op", "value", "true", "false"),
    [
        ("==", 3, [3, 3.0], [4]),
        ("!=", 3, [4], [3]),
        ("<", 3, [2], [3, 4]),
        ("<=", 3, [2, 3], [4]),
        (">", 3, [4], [3, 2]),
        (">=", 3, [3, 4], [2]),
        ("in", ["a", "b"], ["a", "b"], ["c", ""]),
        ("contains", "b", ["abc", ["a", "b"]], ["ac", ["a"]]),
        ("empty", None, ["", " \n", [], {}, None], ["a", [0], 0, False]),
    ],
)
def test_each_operator_compares_as_it_says(op: str, value: Any, true: list[Any], false: list[Any]) -> None:
    condition = READ.validate_python(comparison("n", op, value))
    assert [holds(condition, {"n": each}.__getitem__) for each in [*true, *false]] == [True] * len(true) + [
        False
    ] * len(false)


Predicate = Callable[[Mapping[str, bool]], bool]


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> tuple[dict[str, Any], Predicate]:
    """A condition over a, b and c, and what it means."""
    form = draw(st.sampled_from(["test", "all", "any", "not"] if depth else ["test"]))
    if form == "test":
        name = draw(st.sampled_from("abc"))
        return {"ref": name, "op": "==", "value": True}, lambda values: values[name]
    if form == "not":
        data, meaning = draw(trees(depth - 1))
        return {"not": data}, lambda values: not meaning(values)
    parts = draw(st.lists(trees(depth - 1), min_size=1, max_size=3))
    joined = all if form == "all" else any
    return {form: [data for data, _ in parts]}, lambda values: joined(meaning(values) for _, meaning in parts)


@given(trees(), st.fixed_dictionaries({name: st.booleans() for name in "abc"}))
def test_joined_comparisons_mean_all_any_and_not(
    tree: tuple[dict[str, Any], Predicate], values: dict[str, bool]
) -> None:
    data, meaning = tree
    condition = READ.validate_python(data)
    assert holds(condition, values.__getitem__) == meaning(values)
    assert {test.ref for test in conditions.tests_of(condition)} <= set(values)
    assert READ.validate_python(READ.dump_python(condition, by_alias=True)) == condition


def test_a_condition_is_said_in_words_that_keep_its_meaning() -> None:
    a, b, c = ({"ref": name, "op": ">", "value": 1} for name in "abc")
    said = say(
        READ.validate_python({"all": [a, {"any": [b, {"not": c}]}, {"not": {"all": [a, {"ref": "d", "op": "empty"}]}}]})
    )
    assert said == "a > 1 and (b > 1 or not c > 1) and not (a > 1 and d is empty)"


def faults(kind: str, condition: Any) -> list[str]:
    """Defects of a branch on this condition, whose input `x` has this type."""
    ways = {"one": condition, "other": "else"}
    nodes = {
        "b": {"kind": "branch", "in": {"x": "v"}, "ways": ways},
        "n": {"kind": "merge", "how": "first", "when": "b.one", "in": ["v"], "out": {"o": kind}},
        "m": {"kind": "merge", "how": "first", "in": ["n.o", "v"], "out": {"o": kind}},
    }
    data = {"flowbot": 1, "inputs": {"v": kind}, "outputs": {"o": "m.o"}, "nodes": nodes}
    return [
        f"{defect.what}; {defect.mend}"
        for defect in check(Workflow.from_data(data))
        if defect.where == "nodes.b.ways.one"
    ]


@pytest.mark.parametrize(
    ("kind", "op", "value", "says"),
    [
        ("int", "==", "a", "x is int, and `==` cannot compare that with 'a'; give a `value` of type int"),
        ("int", "==", 1.5, "x is int, and `==` cannot compare that with 1.5; give a `value` of type int"),
        ("int", "==", True, "x is int, and `==` cannot compare that with true; give a `value` of type int"),
        ("bool", "==", 1, "x is bool, and `==` cannot compare that with 1; give a `value` of type bool"),
        ("bool", "<", True, "x is bool, which has no order; compare by `==`, `!=` or `in`"),
        ("list[int]", ">", 3, "x is list[int], which has no order; compare by `contains` or `empty`"),
        ("object", "contains", "a", "x is object, which contains nothing; compare by `==`, `!=` or `empty`"),
        ("list[int]", "contains", "a", "x is list[int], and `contains` cannot compare that with 'a'"),
        ("str", "in", "abc", "`in` needs a list of values, and 'abc' is given; give a list whose items are str"),
        ("str", "in", ["a", 1], "x is str, and `in` cannot compare that with 1; give values of type str"),
        ("str", "==", None, "x is str, and `==` needs a value to compare with; give a `value` of type str"),
        ("Literal['a', 'b']", "==", "c", "x is Literal['a', 'b'], and `==` cannot compare that with 'c'"),
    ],
)
def test_a_comparison_that_makes_no_sense_is_named(kind: str, op: str, value: Any, says: str) -> None:
    [fault] = faults(kind, comparison("x", op, value))
    assert fault.startswith(says)


def test_empty_takes_no_value_and_conditions_read_only_the_branchs_inputs() -> None:
    [fault] = faults("str", {"ref": "x", "op": "empty", "value": 3})
    assert fault == "`empty` compares with nothing, and `value: 3` is given; remove the value"
    [fault] = faults("str", {"not": {"all": [{"ref": "v", "op": "empty"}]}})
    assert fault == "the branch has no input 'v'; compare x; a condition reads the branch's own inputs"


@given(
    st.sampled_from(["int", "float", "str", "bool", "list[int]", "list[str]", "object", "Literal['a', 'b']"]),
    st.sampled_from(OPS),
    st.one_of(
        st.none(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.booleans(),
        st.sampled_from(["a", "b", "c"]),
        st.lists(st.one_of(st.integers(), st.sampled_from(["a", "b"])), max_size=2),
    ),
)
def test_what_the_checker_lets_pass_can_be_told_of_every_value(kind: str, op: str, value: Any) -> None:
    if faults(kind, comparison("x", op, value)):
        return
    condition = READ.validate_python(comparison("x", op, value))
    examples: dict[str, list[Any]] = {"int": [0, 10**30], "float": [0.5], "str": ["", "a"], "bool": [True, False]}
    examples |= {"list[int]": [[], [1]], "list[str]": [[], ["a"]], "object": [{}], "Literal['a', 'b']": ["a", "b"]}
    for each in examples[kind]:
        assert holds(condition, {"x": each}.__getitem__) in (True, False)
