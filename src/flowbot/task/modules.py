"""The user's own Python beside a task file: found by `FILE.py:NAME`, imported only when asked to."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from traceback import walk_tb
from types import ModuleType
from typing import Any

from flowbot.fields import UserError
from flowbot.fields.bounds import raised
from flowbot.fields.files import read_bytes
from flowbot.fields.words import kind_of

MOST_SOURCE = 10_000_000
"""Bytes of the largest Python file that is imported."""
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
        """The callable `name` of a file.

        Raises:
            UserError: if the file cannot be imported, has no such name, or it is no callable.
        """
        if not self.run:
            raise AssertionError("this task is to be loaded without its Python")
        key = file.resolve()
        if key not in self._loaded:
            self._loaded[key] = _import(key, where)
        found = getattr(self._loaded[key], name, None)
        if not callable(found):
            what = f"no {name!r} in {file}" if found is None else f"{name!r} in {file}, {kind_of(found)}"
            raise UserError(where, what, "the name of a callable")
        return found


def _import(file: Path, where: str) -> ModuleType:
    from importlib.machinery import ModuleSpec, SourceFileLoader
    from importlib.util import module_from_spec

    class Fresh(SourceFileLoader):
        """Compiles the source as it is now: bytecode that is kept by time stamp can be older."""

        def get_code(self, fullname: str) -> Any:
            return self.source_to_code(read_bytes(Path(self.path), limit=MOST_SOURCE), self.path)

    name = f"{PREFIX}{hashlib.sha256(str(file).encode()).hexdigest()[:12]}_{file.stem}"
    spec = ModuleSpec(name, Fresh(name, str(file)), origin=str(file))
    spec.has_location = True
    module = module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses and type hints look their module up by name
    sys.path.insert(0, str(file.parent))
    try:
        assert spec.loader is not None
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        said = f"SyntaxError: {error.msg}" if type(error) is SyntaxError else raised(error).splitlines()[0]
        found = f"{file}, which cannot be imported ({said}{_place(error, file)})"
        raise UserError(where, found, "a Python file that runs") from error
    finally:
        sys.path.remove(str(file.parent))
    return module


def _place(error: BaseException, file: Path) -> str:
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
