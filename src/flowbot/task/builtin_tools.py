"""The tools that are at hand without a declaration: arithmetic, and a Python interpreter in the sandbox. They read no data and change nothing.

Here is what they take and give; `flowbot.runtime.toolbox` makes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from flowbot.fields import Field, ToolSignature

from .tools import Tool

FUNCTIONS = (
    "abs", "round", "min", "max", "sum", "sqrt", "floor", "ceil", "exp", "log", "log2", "log10", "sin", "cos", "tan", "factorial",
    "gcd",
)  # fmt: skip
"""What the calculator knows by name."""
CALCULATOR = ToolSignature(
    "calculator",
    "Work out an arithmetic expression, such as (12.5 + 3) * 4 or sqrt(2).",
    (Field.of("expression", "str", "numbers, + - * / // % **, parentheses, and " + ", ".join(FUNCTIONS)),),
    (Field.of("result", "str", "the value, exact where it can be"), Field.of("number", "float", "the same")),
    pure=True,
)
PYTHON = ToolSignature(
    "python",
    "Run a Python script and see what it prints. It has no files and no network.",
    (Field.of("code", "str", "the script; it prints what is wanted"),),
    (Field.of("result", "str", "what it printed"), Field.of("error", "str", "why it failed, if it did")),
)
BUILTIN_TOOLS: Mapping[str, ToolSignature] = MappingProxyType({each.name: each for each in (CALCULATOR, PYTHON)})
"""By the names that workflows call them by; a declared tool of such a name takes its place."""


def signatures_of(tools: Iterable[Tool], *, builtin: bool = True) -> dict[str, ToolSignature]:
    """What a workflow may call, by name: these tools, then those that are at hand without a declaration.

    Args:
        tools: declared tools, opened.
        builtin: False: the declared ones alone.
    """
    declared = {tool.signature.name: tool.signature for tool in tools}
    return {
        **declared,
        **({name: each for name, each in BUILTIN_TOOLS.items() if name not in declared} if builtin else {}),
    }
