"""The code of a step as a function of a file."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable

from .python_text import STEP


def function_of(name: str, inputs: Iterable[str], code: str) -> str:
    """A code step as a function: its text within, and the call of its `run`."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    spans = any(
        token.start[0] != token.end[0] and token.type not in (tokenize.NEWLINE, tokenize.NL) for token in tokens
    )
    if spans:  # a literal of several lines must not be moved: it is written anew
        code = ast.unparse(ast.parse(code))
    lines = [f"def {name}({', '.join(f'{each}: Any' for each in inputs)}) -> Any:"]
    lines += [f"{STEP}{line}" if line.strip() else "" for line in code.strip("\n").splitlines()]
    return "\n".join([*lines, "", f"{STEP}return run({', '.join(f'{each}={each}' for each in inputs)})"])


def unfit(code: str) -> str:
    """What of a code's text cannot stand within a function; "" for nothing."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Global):
            return "`global`"
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            return f"`from {node.module} import *`"
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            return "`from __future__ import`"
    return ""
