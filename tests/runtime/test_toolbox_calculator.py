from __future__ import annotations

import contextlib
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbot.fields import StepError
from flowbot.runtime.toolbox.calculator import calculate, calculator, written
from flowbot.runtime.tools import ToolRunner


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("0.1 + 0.2", "0.3"),
        ("12 / 4", "3"),
        ("1 / 8", "0.125"),
        ("-1 / 3", "-0.333333333333333"),
        ("1 / 3 * 3", "1"),
        ("-7 // 2", "-4"),
        ("-7 % 3", "2"),
        ("-2 ** 2", "-4"),
        ("2 ^ 10", "1024"),
        ("2 ** -2", "0.25"),
        ("3 × (4 − 1) ÷ 2", "4.5"),
        ("1e3 + .5 =", "1000.5"),
        ("1_000 * 2", "2000"),
        ("factorial(25)", "15511210043330985984000000"),
        ("sqrt(16) + sqrt(1/4)", "4.5"),
        ("sqrt(2)", "1.4142135623731"),
        ("round(2.675, 2)", "2.68"),
        ("round(-0.5)", "-1"),
        ("max(1, 2.5, 2) - min(3, 1)", "1.5"),
        ("gcd(12, 18)", "6"),
        ("2 * pi", "6.28318530717959"),
    ],
)
async def test_arithmetic_is_exact_where_it_can_be(expression: str, result: str) -> None:
    outputs, _ = await ToolRunner({"calculator": calculator()}, None).call("calculator", {"expression": expression})
    assert outputs["result"] == result
    assert outputs["number"] == pytest.approx(float(result))


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "0 characters"),
        ("1 +", "no arithmetic"),
        ("1 / 0", "by zero"),
        ("0 ** -1", "by zero"),
        ("9 ** 9 ** 9", "too large"),
        ("(1 + 1/7) ** 999", "too large"),
        ("2.5 ** 1e9", "too large"),
        ("exp(1000)", "too large"),
        ("factorial(100000)", "too large"),
        ("round(1, 10**9)", "too large"),
        ("9" * 999, "too large"),
        ("(" * 400 + "1" + ")" * 400, "no arithmetic|too large"),
        ("-" * 990 + "1", "too large|no arithmetic"),
        ("(-8) ** 0.5", "no real root"),
        ("sqrt(-1)", "sqrt"),
        ("1,234 + 1", "comma"),
        ("'a' * 9", "cannot stand"),
        ("True + 1", "cannot stand"),
        ("x + 1", "'x' cannot stand"),
        ("(1).__class__", "cannot stand"),
        ("__import__('os').system('true')", "cannot stand"),
        ("[1 for _ in range(9)]", "cannot stand"),
        ("abs(x=1)", "cannot stand"),
        ("max()", "max takes 1 or more"),
        ("gcd(1.5)", "whole numbers"),
    ],
)
def test_what_is_no_arithmetic_is_said(expression: str, said: str) -> None:
    with pytest.raises(StepError, match=said):
        calculate(expression)


numbers = st.integers(-(10**9), 10**9).map(str) | st.decimals(-1000, 1000, places=4).map(lambda value: f"{value:f}")
expressions = st.recursive(
    numbers, lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda parts: f"({' '.join(parts)})"), max_leaves=8
)  # fmt: skip


@given(expressions)
def test_sums_and_products_of_decimals_have_no_error(expression: str) -> None:
    value = calculate(expression)
    assert isinstance(value, Fraction)
    text = written(value)
    if value.denominator <= 10**30:
        assert Fraction(text) == value


@given(st.text(max_size=60))
def test_any_text_is_a_number_or_a_failed_step(text: str) -> None:
    with contextlib.suppress(StepError):
        written(calculate(text))
