"""Which of the pieces a file needs, as they stand in theirs."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from flowbot.fields.files import read_text

_FILE = Path(__file__).with_name("pieces.py")
_MOST = 1_000_000


@cache
def pieces() -> Mapping[str, str]:
    """The pieces by name."""
    lines, defined = _text().splitlines(), (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    found = (node for node in ast.parse(_text()).body if isinstance(node, defined))
    return MappingProxyType({node.name: "\n".join(lines[node.lineno - 1 : node.end_lineno]) for node in found})


def needed(source: str) -> list[str]:
    """The pieces that a source needs, and those that they need, in the order of their file."""
    wanted, waiting = set[str](), [source]
    while waiting:
        new = {name for name in names_in(waiting.pop()) if name in pieces()} - wanted
        wanted |= new
        waiting += [pieces()[name] for name in new]
    return [text for name, text in pieces().items() if name in wanted]


def imports_of(sources: Iterable[str]) -> list[str]:
    """The import lines of what sources use of the standard library, in the order of the pieces' file."""
    used = frozenset(name for each in sources for name in names_in(each))
    lines: list[str] = []
    for node in ast.parse(_text()).body:
        if isinstance(node, ast.Import):
            lines += [f"import {each.name}" for each in node.names if each.name in used]
        elif isinstance(node, ast.ImportFrom) and (taken := [each.name for each in node.names if each.name in used]):
            lines.append(f"from {node.module} import {', '.join(taken)}")
    return lines


def names_in(source: str) -> frozenset[str]:
    """The names that a source uses."""
    return frozenset(node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name))


def _text() -> str:
    return read_text(_FILE, limit=_MOST)
