"""The calculator: arithmetic, worked out exactly where that is possible, from an allow-list of what may stand in it.

Whole numbers stay whole and decimals are fractions, so that 0.1 + 0.2 is 0.3; roots and logarithms that are not exact
are floats. The expression is parsed and walked, never executed.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from flowbot.fields import StepError
from flowbot.task import Tool
from flowbot.task.builtin_tools import CALCULATOR

Number = Fraction | float

VERSION = 1
"""Of the semantics: part of the tool's identity."""
_MOST_CHARACTERS = 1000
_MOST_BITS = 1000  # of a numerator or denominator: such a number is a finite float too
_MOST_PLACES = 30
_SPELLINGS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-"})
_CONSTANTS: dict[str, Number] = {"pi": math.pi, "e": math.e}
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda left, right: left + right,
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
    ast.Div: lambda left, right: left / right,
    ast.FloorDiv: lambda left, right: left // right,
    ast.Mod: lambda left, right: left % right,
}


def calculator() -> Tool:
    """The tool `calculator`: `expression` in, `result` as text and `number` as a float out. Pure."""
    return Tool(CALCULATOR, _answer, None, f"calculator {VERSION}", plain=False)


def calculate(expression: str) -> Number:
    """The value of an arithmetic expression: a `Fraction` where it is exact, else a float.

    Raises:
        StepError: if it is no arithmetic, divides by zero or grows too large; says what is wrong with it.
    """
    text = expression.strip().translate(_SPELLINGS).replace("^", "**").rstrip("= ")
    if not text or len(text) > _MOST_CHARACTERS:
        raise StepError(f"an expression of {len(text)} characters; expected 1 to {_MOST_CHARACTERS}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `3(4)` is a fault of the expression and no warning of ours
            tree = ast.parse(text, mode="eval")
        return _value(tree.body, text)
    except SyntaxError:
        raise StepError(f"{_short(text)} is no arithmetic expression; write one such as (12.5 + 3) * 4") from None
    except ZeroDivisionError:
        raise StepError(f"{_short(text)} divides by zero") from None
    except (OverflowError, RecursionError, MemoryError):
        raise StepError(f"{_short(text)} is too large to work out") from None
    except ValueError as error:  # such as the square root of a negative number
        raise StepError(f"{_short(text)}: {error}") from None


def _answer(expression: str) -> dict[str, Any]:
    value = calculate(expression)
    return {"result": written(value), "number": float(value)}


def written(value: Number) -> str:
    """A number as text: whole or with all its decimals where they end within 30 places, else 15 digits."""
    if isinstance(value, Fraction):
        if value.denominator == 1:
            return str(value.numerator)
        for places in range(1, _MOST_PLACES + 1):
            if 10**places % value.denominator == 0:
                digits = str(abs(value.numerator) * (10**places // value.denominator)).rjust(places + 1, "0")
                return f"{'-' * (value < 0)}{digits[:-places]}.{digits[-places:]}"
    return format(float(value), ".15g")


def _value(node: ast.expr, text: str) -> Number:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            # From its digits, not from the float that they were read as. Hexadecimal and the like are whole numbers.
            digits = (ast.get_source_segment(text, node) or "").replace("_", "")
            exact = re.fullmatch(r"\d*\.?\d*(?:[eE][+-]?\d{1,3})?", digits)
            return _bounded(Fraction(digits) if exact else Fraction(value))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, text)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand, text)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_value(left, text), _value(right, text))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _bounded(_OPERATORS[type(op)](_value(left, text), _value(right, text)))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            least, most, function = _FUNCTIONS[name]
            if not least <= len(arguments) <= most:
                raise StepError(f"{name} takes {least if least == most else f'{least} or more'} numbers")
            return _bounded(function(*(_value(each, text) for each in arguments)))
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.Tuple():
            raise StepError(f"{_short(text)} has a comma outside a function: write numbers without separators")
        case _:
            pass
    found = ast.get_source_segment(text, node) or text
    raise StepError(f"{_short(found)} cannot stand in an expression; it may hold numbers, operators, parentheses and "
                    f"{', '.join((*_FUNCTIONS, *_CONSTANTS))}")  # fmt: skip


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        # 1 and -1 to any power stay small, but not to one that is worked out by a million steps.
        if bits * abs(exponent.numerator) > 2 * _MOST_BITS:
            raise OverflowError
        return _bounded(base**exponent.numerator)
    if base < 0:
        raise ValueError("a negative number has no real root of that power")
    return _bounded(float(base) ** float(exponent))


def _bounded(value: Any) -> Number:
    if isinstance(value, int):
        value = Fraction(value)
    if isinstance(value, Fraction):
        if max(value.numerator.bit_length(), value.denominator.bit_length()) > _MOST_BITS:
            raise OverflowError
    elif not math.isfinite(value):
        raise OverflowError
    return value


def _whole(value: Number, name: str) -> int:
    if value != int(value):
        raise ValueError(f"{name} takes whole numbers")
    return int(value)


def _root(value: Number) -> Number:
    """The square root, exact for squares of fractions."""
    if isinstance(value, Fraction) and value >= 0:
        parts = math.isqrt(value.numerator), math.isqrt(value.denominator)
        if parts[0] ** 2 == value.numerator and parts[1] ** 2 == value.denominator:
            return Fraction(*parts)
    return math.sqrt(value)


def _rounded(value: Number, places: Number = Fraction(0)) -> Number:
    """Half away from zero, as people round, and not to the even neighbour."""
    count = _whole(places, "round")
    if abs(count) > _MOST_PLACES:
        raise OverflowError
    scaled = abs(Fraction(value)) * Fraction(10) ** count + Fraction(1, 2)
    return (1 if value >= 0 else -1) * Fraction(math.floor(scaled)) / Fraction(10) ** count


def _factorial(value: Number) -> int:
    number = _whole(value, "factorial")
    if number > _MOST_BITS:
        raise OverflowError
    return math.factorial(number)


_MANY = 1000
_FUNCTIONS: dict[str, tuple[int, int, Callable[..., Any]]] = {
    "abs": (1, 1, abs),
    "round": (1, 2, _rounded),
    "min": (1, _MANY, lambda *each: min(each)),
    "max": (1, _MANY, lambda *each: max(each)),
    "sum": (1, _MANY, lambda *each: sum(each)),
    "sqrt": (1, 1, _root),
    "floor": (1, 1, math.floor),
    "ceil": (1, 1, math.ceil),
    "exp": (1, 1, math.exp),
    "log": (1, 2, math.log),
    "log2": (1, 1, math.log2),
    "log10": (1, 1, math.log10),
    "sin": (1, 1, math.sin),
    "cos": (1, 1, math.cos),
    "tan": (1, 1, math.tan),
    "factorial": (1, 1, _factorial),
    "gcd": (1, _MANY, lambda *each: math.gcd(*(_whole(value, "gcd") for value in each))),
}
"""Least and most arguments, and the function, by name."""


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:59] + "…")
