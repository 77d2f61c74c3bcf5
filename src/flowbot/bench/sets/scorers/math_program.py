"""The program that compares mathematical answers, in a process of its own: see `helper_process`. It imports nothing of FlowBot."""

from __future__ import annotations

import faulthandler
import json
import os
import sys
from importlib import import_module
from typing import Any

_MEMORY = 4 << 30
_CLOSE = 1e-3


def main() -> None:
    """Answer questions until there are no more."""
    with open(os.devnull, "w") as nothing:
        try:
            import resource

            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        except (ImportError, ValueError, OSError):  # not on every system
            pass
        library: Any = import_module("math_verify")  # before it says that it is ready: this takes a second
        sympy: Any = import_module("sympy")
        _say({"ready": True})
        for line in sys.stdin:
            question = json.loads(line)
            faulthandler.dump_traceback_later(question["seconds"], exit=True, file=nothing)
            try:
                answer = _compared(library, sympy, question["rule"], question["expected"], question["found"])
            except (Exception, RecursionError, MemoryError) as error:
                answer = {"equal": False, "read": True, "error": type(error).__name__}
            faulthandler.cancel_dump_traceback_later()
            _say(answer)


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


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
