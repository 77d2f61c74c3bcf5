"""Which of the pieces a file needs, as they stand in theirs."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from flowbot.fields.files import read_text

_FOLDER = Path(__file__).with_name("pieces")
_FILES = ("asking", "calling", "reading", "joining")
_MOST = 1_000_000


@cache
def pieces() -> Mapping[str, str]:
    """The pieces by name."""
    defined, found = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef), dict[str, str]()
    for text in _texts():
        lines = text.splitlines()
        nodes = (node for node in ast.parse(text).body if isinstance(node, defined))
        found |= {
            node.name: "\n".join(lines[min(each.lineno for each in (node, *node.decorator_list)) - 1 : node.end_lineno])
            for node in nodes
        }
    return MappingProxyType(found)


def needed(source: str) -> list[str]:
    """The pieces that a source needs, and those that they need, in the order of their files."""
    wanted, waiting = set[str](), [source]
    while waiting:
        new = {name for name in names_in(waiting.pop()) if name in pieces()} - wanted
        wanted |= new
        waiting += [pieces()[name] for name in new]
    return [text for name, text in pieces().items() if name in wanted]


def imports_of(sources: Iterable[str]) -> set[str]:
    """The import lines of what sources use of the standard library."""
    used = frozenset(name for each in sources for name in names_in(each))
    lines = set[str]()
    taken: dict[str, dict[str, None]] = {}
    for node in (node for text in _texts() for node in ast.parse(text).body):
        if isinstance(node, ast.Import):
            lines |= {f"import {each.name}" for each in node.names if each.name in used}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            taken.setdefault(node.module, {}).update({each.name: None for each in node.names if each.name in used})
    return lines | {f"from {module} import {', '.join(sorted(names))}" for module, names in taken.items() if names}


@cache
def imported() -> frozenset[str]:
    """The names that the pieces import."""
    lines = [
        node for text in _texts() for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    return frozenset(each.name for node in lines for each in node.names)


def names_in(source: str) -> frozenset[str]:
    """The names that a source uses."""
    return frozenset(node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name))


def _texts() -> Iterator[str]:
    return (read_text(_FOLDER / f"{name}.py", limit=_MOST) for name in _FILES)
