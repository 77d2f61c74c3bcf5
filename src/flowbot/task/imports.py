"""What a Python file imports of its user's own files, read from its text: nothing is run."""

from __future__ import annotations

import ast
import sysconfig
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

from flowbot.fields import UserError, stable_hash
from flowbot.fields.files import read_bytes, sha256

MOST_SOURCE = 10_000_000
"""Bytes of the largest Python file that is read."""
MOST_FILES = 500
"""Files that one imports, directly or through others, of which it is told whether they changed."""


def content_hash(path: Path) -> str:
    """SHA-256 of a Python file; where it imports files of the user's own, then `+` and a hash of theirs.

    Raises:
        UserError: if one of the files cannot be read.
    """
    root = _root(path)
    more = {each.relative_to(root).as_posix(): sha256(each) for each in own_imports(path)}
    return sha256(path) + (f"+{stable_hash(more)[:16]}" if more else "")


def own_imports(path: Path) -> list[Path]:
    """The files that a Python file imports, directly or through others, from its own folder or package.

    What is installed, or belongs to Python, is not looked into; nor is what is imported by a name that is made when the
    program runs.
    """
    path = path.resolve()
    if is_installed(path):
        return []
    looked_up = cache(_found)
    roots = (path.parent, _root(path))
    found, waiting = {path}, [path]
    for file in waiting:  # which grows meanwhile
        for folders, names in _imported(file, roots):
            for target in looked_up(folders, names):
                if target not in found and len(found) <= MOST_FILES:
                    found.add(target)
                    waiting.append(target)
    return sorted(found - {path})


def is_installed(path: Path) -> bool:
    """Whether a file belongs to Python or to an installed package: a version tells of these, and not their content."""
    resolved = path.resolve()
    packages = {"site-packages", "dist-packages"}
    return not packages.isdisjoint(resolved.parts) or any(resolved.is_relative_to(each) for each in _libraries())


@cache
def _libraries() -> tuple[Path, ...]:
    return tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib"))


def _root(path: Path) -> Path:
    """The folder that a file's outermost package stands in; its own folder for a file of no package."""
    folder = path.resolve().parent
    while (folder / "__init__.py").is_file() and folder.parent != folder:
        folder = folder.parent
    return folder


def _imported(file: Path, roots: tuple[Path, ...]) -> Iterator[tuple[tuple[Path, ...], tuple[str, ...]]]:
    """The names that a file imports, each with the folders to look for it in."""
    try:
        source = read_bytes(file, limit=MOST_SOURCE)
    except UserError:
        return  # whoever imports it will say so
    for level, names in _named(source):
        folders = roots if not level else (file.parents[min(level, len(file.parents)) - 1],)
        yield folders, names


@lru_cache(maxsize=2 * MOST_FILES)
def _named(source: bytes) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """What a source imports: dots in front, and the names between dots."""
    try:
        try:
            tree = ast.parse(source)
        except (
            SystemError
        ):  # CPython 3.11, where something is parsed by what a garbage collection runs in the middle of this
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    found: list[tuple[int, tuple[str, ...]]] = []
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found += [(0, tuple(each.name.split("."))) for each in names]
            case ast.ImportFrom(module=module, names=names, level=level):
                base = module.split(".") if module else []
                found += [(level, (*base, each.name)) for each in names]
            case _:
                pass
    return tuple(dict.fromkeys(found))


def _found(folders: tuple[Path, ...], names: tuple[str, ...]) -> list[Path]:
    """The files of `a.b.c` in the first folder that has an `a`: its packages and, if it is a module, itself."""
    for folder in folders:
        place, found = folder, list[Path]()
        for name in names:
            place /= name
            target = next((each for each in (place / "__init__.py", place.with_suffix(".py")) if each.is_file()), None)
            if target is not None:
                found.append(target.resolve())
            elif not place.is_dir():
                break
        if found:
            return found
    return []
