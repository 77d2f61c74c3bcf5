"""The program that compares mathematical answers, in a process of its own: see `helper_process`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from flowbot.benchmark.sets.scorers.helper_process import serve

_CLOSE = 1e-3


def main() -> None:
    """Answer questions until there are no more."""
    library: Any = import_module("math_verify")  # before it says that it is ready: this takes a second
    sympy: Any = import_module("sympy")

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        try:
            return _compared(library, sympy, question["rule"], question["expected"], question["found"])
        except (Exception, RecursionError, MemoryError) as error:
            return {"equal": False, "read": True, "error": type(error).__name__}

    serve(answer)


def _compared(library: Any, sympy: Any, rule: str, expected: str, found: str) -> dict[str, Any]:
    wanted, given = (library.parse(text, parsing_timeout=None) for text in (expected, found))
    if rule == "close":
        equal = any(_close(sympy, one, other) for one in wanted for other in given)
    else:
        equal = library.verify(wanted, given, timeout_seconds=None)
    return {"equal": bool(equal), "read": bool(given)}


def _close(sympy: Any, one: Any, other: Any) -> bool:
    """Whether two expressions are the same, or their values differ by less than a thousandth."""
    if one == other or isinstance(one, str) or isinstance(other, str):
        return bool(one == other)
    try:
        difference = one - other
        return bool(sympy.simplify(difference) == 0 or abs(complex(sympy.N(difference))) < _CLOSE)
    except (
        TypeError,
        ValueError,
        AttributeError,
        NotImplementedError,
    ):  # a tuple and a number, or a letter without a value
        return False


if __name__ == "__main__":
    main()
