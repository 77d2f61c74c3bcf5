"""Where a user's function is, as data, and the function that is there: what one process tells another of it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import reduce
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from flowbot.fields import UserError
from flowbot.fields.files import sha256
from flowbot.task.modules import PREFIX, Modules

from .loop import is_async
from .protocol import Address, Kind, Unsendable


def address_of(function: Callable[..., Any], kind: Kind = "tool") -> Address:
    """Where a function of that kind can be found again.

    Raises:
        Unsendable: for what its module does not hold under its own name (a lambda, an inner function, a method of an
            object, a partial), and for functions of the main program, which must not be run a second time, and of
            FlowBot itself, which are quick.
    """
    module_name: Any = getattr(function, "__module__", None)
    name: Any = getattr(function, "__qualname__", None)
    module = sys.modules.get(module_name) if isinstance(module_name, str) else None
    if kind != "program" and is_async(function):
        raise Unsendable("it is a coroutine function")
    if module is None or not isinstance(name, str) or _held(module, name) is not function:
        raise Unsendable("no module holds it under its own name")
    if module_name == "__main__":
        raise Unsendable("it stands in the main program and not in a module")
    if module_name.partition(".")[0] == "flowbot":
        raise Unsendable("it is FlowBot's own")
    if module.__spec__ is None:
        raise Unsendable("its module was not imported from anywhere")
    file = _file(module)
    if module_name.startswith(PREFIX):
        module_name = ""
    return Address(name, module_name, file, fingerprint(file))


class Functions:
    """The functions that addresses name. A module is imported once and kept."""

    def __init__(self) -> None:
        self._files = Modules(run=True)
        self._found: dict[Address, Callable[..., Any]] = {}

    def find(self, address: Address) -> Callable[..., Any]:
        """The function at `address`. Its module's folder stays importable, for what functions import when called.

        Raises:
            Unsendable: if it is not there, or not the same.
        """
        if address not in self._found:
            if address.file and fingerprint(address.file) != address.sha256:
                raise Unsendable(f"{address.file} was changed since it was imported")
            self._found[address] = self._imported(address)
        return self._found[address]

    def _imported(self, address: Address) -> Callable[..., Any]:
        if not address.module:
            first, _, rest = address.name.partition(".")
            try:
                found: Any = self._files.load(Path(address.file), first, address.file)
            except UserError as error:
                raise Unsendable(error.found) from error
            _reach(Path(address.file).parent)
            return _held(found, rest) if rest else found
        try:
            if address.file and find_spec(address.module.partition(".")[0]) is None:
                _reach(root_of(address))
            module = importlib.import_module(address.module)
        except (Exception, SystemExit) as error:
            raise Unsendable(f"module {address.module} cannot be imported elsewhere ({error})") from error
        found, file = _held(module, address.name), _file(module)
        same = file == address.file if address.file else fingerprint(file) == address.sha256
        if not same or not callable(found):
            raise Unsendable(f"module {address.module} is another one elsewhere")
        return found


def _held(holder: Any, name: str) -> Any:
    return reduce(lambda found, part: getattr(found, part, None), name.split("."), holder)


def _file(module: ModuleType) -> str:
    spec = module.__spec__
    return str(Path(spec.origin).resolve()) if spec is not None and spec.has_location and spec.origin else ""


def fingerprint(file: str) -> str:
    """Of a Python file's content; "" for other files.

    Raises:
        Unsendable: if it cannot be read.
    """
    if not file.endswith(".py"):
        return ""
    try:
        return sha256(Path(file))
    except UserError as error:
        raise Unsendable(f"{file} cannot be read") from error


def root_of(address: Address) -> Path:
    """The folder that a module is imported from; of a file that is imported by its path, the one that it is in."""
    path = Path(address.file)
    if not address.module:
        return path.parent
    up = address.module.count(".") + (1 if path.stem == "__init__" else 0)
    return path.parents[up]


def _reach(folder: Path) -> None:
    """Make a folder importable, behind all others."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
