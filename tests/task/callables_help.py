"""Callables that are alike to the eye: of one name, one line or one source, and of different minds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cache, partial, wraps
from http.cookiejar import Cookie, CookieJar
from typing import Any, NamedTuple

Call = Callable[..., Any]
LIMIT = 3


def always(value: float) -> Call:
    def score(example: Any, outputs: Any) -> float:
        return value

    return score


def by_default(value: float) -> Call:
    def score(example: Any, outputs: Any, value: float = value) -> float:
        return value

    return score


def by_keyword(value: float) -> Call:
    def score(example: Any, outputs: Any, *, value: float = value) -> float:
        return value

    return score


def strict(example: Any, outputs: Any) -> float:
    return 0.0


first_strict = strict


def strict(example: Any, outputs: Any) -> float:  # type: ignore[no-redef]
    return 1.0


def replaced_by(value: float, function: Call) -> Call:
    @wraps(function)
    def instead(example: Any, outputs: Any) -> float:
        return value

    return instead


def upside_down(function: Call) -> Call:
    @wraps(function)
    def instead(example: Any, outputs: Any) -> float:
        return 1 - function(example, outputs)

    return instead


def below_limit(example: Any, outputs: Any) -> bool:
    return outputs["n"] < LIMIT


def through_another(example: Any, outputs: Any) -> bool:
    return below_limit(example, outputs)


class Judge:
    def __init__(self, value: float) -> None:
        self.value = value

    def score(self, example: Any, outputs: Any) -> float:
        return self.value

    def __call__(self, example: Any, outputs: Any) -> float:
        return self.value


class Pair(NamedTuple):
    one: int
    other: set[int]


@dataclass(frozen=True)
class Fixed:
    value: int


@dataclass(frozen=True, slots=True)
class Slotted:
    value: int


@dataclass(frozen=True)
class FrozenJudge:
    value: float

    def score(self, example: Any, outputs: Any) -> float:
        return self.value

    def __call__(self, example: Any, outputs: Any) -> float:
        return self.value


def holding(jar: CookieJar) -> Call:
    return lambda example, outputs: len(jar)


def session_cookies() -> CookieJar:
    """A jar with one cookie."""
    jar = CookieJar()
    jar.set_cookie(
        Cookie(0, "s", "1", None, False, "shop.example", True, False, "/", True, False, None, True, None, None, {})
    )
    return jar


ALIKE: dict[str, tuple[Call, ...]] = {
    "lambdas of one line": (lambda example, outputs: 0, lambda example, outputs: 1),
    "lambdas with equal text": (lambda e, o, x=0: x, lambda e, o, x=1: x),
    "a variable closed over": (always(0), always(1)),
    "a default bound in a loop": tuple(by_default(value) for value in (0, 1)),
    "a keyword's default": (by_keyword(0), by_keyword(1)),
    "a later def of one name": (first_strict, strict),
    "what wraps it": (replaced_by(0, strict), replaced_by(1, strict), upside_down(strict), strict),
    "what is wrapped": (upside_down(first_strict), upside_down(strict)),
    "arguments of a partial": (partial(always(0), "x"), partial(always(1), "x"), partial(always(1), "y")),
    "a cache around it": (cache(first_strict), cache(strict)),
    "dates": (by_default(date(2026, 1, 1)), by_default(date(2026, 1, 2))),  # type: ignore[arg-type]
    "named tuples": (by_default(Pair(1, {2})), by_default(Pair(1, {3}))),  # type: ignore[arg-type]
    "frozen dataclasses": (by_default(Fixed(1)), by_default(Fixed(2)), by_default(Slotted(2))),  # type: ignore[arg-type]
    "sets and patterns": tuple(by_default(value) for value in ({1}, {2}, {1, 2})),  # type: ignore[arg-type]
}
OBJECTS: tuple[tuple[Call, Call], ...] = ((Judge(0).score, Judge(1).score), (Judge(0), Judge(1)))
