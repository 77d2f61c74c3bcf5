"""The user's own Python beside a task file: found by `FILE.py:NAME`, imported only when asked to."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from traceback import walk_tb
from types import FunctionType, ModuleType
from typing import Any

from flowbot.fields import UserError
from flowbot.fields.bounds import raised
from flowbot.fields.files import read_bytes, sha256
from flowbot.fields.words import kind_of

from .at_import import no_models
from .frameworks import framework_of
from .imports import MOST_SOURCE, is_installed, own_imports
from .source_code import is_current

PREFIX = "flowbot_task_"
"""Begins the names of modules that are imported here, by their paths; no other module's name does."""
_REFERENCE = re.compile(r"(?P<file>.+\.py):(?P<name>[A-Za-z_]\w*)\Z")


def reference(text: Any, where: str, folder: Path) -> tuple[Path, str]:
    """File and name of `FILE.py:NAME`, the file looked up from `folder`.

    Raises:
        UserError: if it is not of that form or there is no such file.
    """
    match = _REFERENCE.match(text) if isinstance(text, str) else None
    if match is None:
        raise UserError(where, "nothing" if text is None else repr(text), "FILE.py:NAME")
    file = folder / match["file"]
    if not file.is_file():
        raise UserError(where, f"no file {file}", "a Python file beside the task file")
    return file, match["name"]


class Modules:
    """The imported files of one task. Each is run once, fresh from its source, with its folder importable meanwhile.

    Args:
        run: False: nothing may be imported.
    """

    def __init__(self, *, run: bool) -> None:
        self.run = run
        self._loaded: dict[Path, ModuleType] = {}

    def load(self, file: Path, name: str, where: str) -> Callable[..., Any]:
        """The callable `name` of a file, or what a framework runs in another way.

        Raises:
            UserError: if the file cannot be imported, has no such name, or it is no callable.
        """
        if not self.run:
            raise AssertionError("this task is to be loaded without its Python")
        key = file.resolve()
        if key not in self._loaded:
            self._loaded[key] = _import(key, where)
        found: Any = getattr(self._loaded[key], name, None)
        if not callable(found) and framework_of(found) is None:
            what = f"no {name!r} in {file}" if found is None else f"{name!r} in {file}, {kind_of(found)}"
            raise UserError(where, what, "the name of a callable")
        return found


class _Fresh(SourceFileLoader):
    """Compiles the source as it is now: bytecode that is kept by time stamp can be older."""

    sha256 = ""

    def get_code(self, fullname: str) -> Any:
        source = read_bytes(Path(self.path), limit=MOST_SOURCE)
        self.sha256 = hashlib.sha256(source).hexdigest()
        return self.source_to_code(source, self.path)


class _Finder(PathFinder):
    """Finds the files that a task's Python imports of its own as it finds that itself: fresh.

    Args:
        files: their paths.
    """

    def __init__(self, files: Collection[Path]) -> None:
        self._files = files

    def find_spec(  # pyright: ignore[reportIncompatibleMethodOverride] - an instance may stand where a class does
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or not spec.origin or Path(spec.origin).resolve() not in self._files:
            return None
        spec.loader = _Fresh(fullname, spec.origin)
        return spec


@contextmanager
def _importable(file: Path) -> Generator[None]:
    """While inside, what a file imports of its user's own is what stands beside it, as it is now.

    Modules of these names are forgotten if one was changed since its import, for another may hold what it defined, or stands
    elsewhere: that is another task's, or the program's, which gets it back.
    """
    files, folder = own_imports(file), file.parent
    names = {each.relative_to(folder).with_suffix("").parts[0] for each in files if each.is_relative_to(folder)}
    there = {name: each for name, each in tuple(sys.modules.items()) if name.partition(".")[0] in names}
    there = {name: each for name, each in there.items() if (path := _path(each)) and not is_installed(path)}
    others = {name: each for name, each in there.items() if not _is_in(folder, each)}
    if others or any(map(_is_old, there.values())):
        for name in there:
            del sys.modules[name]
    finder = _Finder(files)
    sys.path.insert(0, str(folder))
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        sys.meta_path.remove(finder)
        sys.modules.update({name: each for name, each in others.items() if not isinstance(_loader(each), _Fresh)})


def _path(module: ModuleType) -> Path | None:
    file: object = getattr(module, "__file__", None)
    return Path(file).resolve() if isinstance(file, str) else None


def _is_in(folder: Path, module: ModuleType) -> bool:
    path = _path(module)
    return path is not None and path.is_relative_to(folder)


def _loader(module: ModuleType) -> object:
    return module.__spec__ and module.__spec__.loader


def _is_old(module: ModuleType) -> bool:
    """Whether its file changed: by what was read of it; where Python itself imported it, by the functions in it."""
    loader, path = _loader(module), _path(module)
    if path is None or not path.is_file():
        return True
    if isinstance(loader, _Fresh):
        return loader.sha256 != sha256(path)
    return not all(is_current(each) for each in vars(module).values() if isinstance(each, FunctionType))


def _import(file: Path, where: str) -> ModuleType:
    from importlib.util import module_from_spec

    name = f"{PREFIX}{hashlib.sha256(str(file).encode()).hexdigest()[:12]}_{file.stem}"
    spec = ModuleSpec(name, _Fresh(name, str(file)), origin=str(file))
    spec.has_location = True
    module = module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses and type hints look their module up by name
    try:
        with no_models(file, where), _importable(file):
            assert spec.loader is not None
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        if isinstance(error, UserError) and error.where == where:
            raise
        said = f"SyntaxError: {error.msg}" if type(error) is SyntaxError else raised(error).splitlines()[0]
        found = f"{file}, which cannot be imported ({said}{_line(error, file)})"
        raise UserError(where, found, "a Python file that runs") from error
    return module


def _line(error: BaseException, file: Path) -> str:
    """Where in the file an error arose: the line of it that ran last."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return f" at line {error.lineno}" if error.lineno else ""
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == str(file)]
    return f" at line {lines[-1]}" if lines else ""


def own_line(error: BaseException) -> str:
    """`FILE.py:LINE` of the line of the user's own Python that ran last before `error`; "" if there is none."""
    found = ""
    for frame, line in walk_tb(error.__traceback__):
        if str(frame.f_globals.get("__name__", "")).startswith(PREFIX):
            found = f"{Path(frame.f_code.co_filename).name}:{line}"
    return found
