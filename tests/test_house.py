"""How the house is built: no file of the package imports itself by way of others.

Imports inside functions and under TYPE_CHECKING count like any other: they tell what a reader has to know. A package's
`__init__.py` is a file as any other, so a module that takes a name from the face of its own package closes a circle.
That importing a module also runs the `__init__.py` of the packages above it is not counted. The floors are a contract of
import-linter, in pyproject.toml.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"


def module_of(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.AST, package: str) -> Iterator[str]:
    """The dotted names that a file imports, a name taken from a module as `module.name`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{each.name}" for each in node.names)


def graph(root: Path) -> dict[str, set[str]]:
    """Each file under `root`, with the files that it imports."""
    files = {module_of(path, root): path for path in sorted(root.rglob("*.py"))}

    def file_of(name: str) -> str | None:
        return name if name in files else next((m for m in [name.rpartition(".")[0]] if m in files), None)

    found: dict[str, set[str]] = {}
    for module, path in files.items():
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        names = imported(ast.parse(path.read_text(encoding="utf-8")), package)
        found[module] = {file for name in names if (file := file_of(name)) is not None} - {module}
    return found


def circles(edges: Mapping[str, set[str]]) -> list[set[str]]:
    """The strongly connected parts of more than one file: each file of one reaches all the others."""
    reached: dict[str, set[str]] = {}
    for start in edges:
        seen, waiting = set[str](), list(edges[start])
        while waiting:
            each = waiting.pop()
            if each not in seen:
                seen.add(each)
                waiting += edges[each]
        reached[start] = seen
    found: list[set[str]] = []
    for start in edges:
        if start in reached[start] and not any(start in circle for circle in found):
            found.append({each for each in reached[start] if start in reached[each]})
    return found


def test_no_file_imports_itself_by_way_of_others() -> None:
    assert circles(graph(SOURCE)) == []


@pytest.mark.parametrize(
    "closing",
    [
        "import p.a",
        "from p.a import x",
        "from .. import a",
        "from ..a import x",
        "def f():\n    from ..a import x",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..a import x",
    ],
)
def test_a_circle_is_seen_however_it_is_closed(tmp_path: Path, closing: str) -> None:
    files = {
        "p/__init__.py": "",
        "p/a.py": "from p.q import c",
        "p/q/__init__.py": "from .b import c",
        "p/q/b.py": closing,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert circles(graph(tmp_path)) == [{"p.a", "p.q", "p.q.b"}]
    (tmp_path / "p/q/b.py").write_text("import json", encoding="utf-8")
    assert circles(graph(tmp_path)) == []
