"""Declared tools: what a task says of a server, a corpus, a database or a built-in tool. Data only.

A source becomes one or more `Tool`s when a run opens it (`flowbot.runtime.toolbox.opened_tools`); nothing is started, read or
imported before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from flowbot.fields import UserError, is_name
from flowbot.fields.numbers import is_number, shown
from flowbot.fields.words import kind_of

from .tools import Effects

MOST_RESULTS = 50
"""The most documents that one search may be declared to give."""
MOST_SECONDS = 3600.0
"""That a server may be allowed to start."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class MCPSource:
    """Tools of a Model Context Protocol server, which is started (or connected to) and closed with the run.

    Args:
        only: the tools that may be called, by the server's names; each with the name that workflows call it by.
        command: program and arguments of a server that speaks on its standard input and output; or
        url: address of a server that speaks HTTP.
        env: names of environment variables that are passed on to a command. Values are never kept.
        headers: HTTP headers; `$NAME` in a value stands for an environment variable.
        effects: what the user vouches for; None: `reads` for a tool that says it is read-only, else `writes`.
        simulate: stand-ins by the server's tool names.
        seconds: that the server may take to start, or to be connected to, and to say what it offers.
        folder: where a command runs.
        where: how errors name the declaration.

    Raises:
        UserError: naming `where`, for anything wrong that can be seen without connecting.
    """

    only: Mapping[str, str]
    command: tuple[str, ...] = ()
    url: str = ""
    env: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    effects: Effects | None = None
    simulate: Mapping[str, Callable[..., Any]] = field(default_factory=dict[str, Callable[..., Any]])
    seconds: float = 30.0
    folder: Path | str = Path()
    where: str = "tools"

    def __post_init__(self) -> None:
        place = f"{self.where}.mcp"
        for name in ("command", "env"):
            object.__setattr__(self, name, texts(getattr(self, name), f"{place}.{name}"))
        require_pairs(self.headers, f"{place}.headers")
        require_pairs(self.only, f"{self.where}.only")
        require_text(self.url, f"{place}.url")
        if self.effects not in (None, "reads", "writes"):
            raise UserError(f"{self.where}.effects", repr(self.effects), "reads or writes")
        if not is_number(self.seconds) or not 0 < self.seconds <= MOST_SECONDS:
            raise UserError(f"{place}.seconds", shown(self.seconds), f"seconds, at most {MOST_SECONDS:g}")
        if bool(self.command) == bool(self.url):
            raise UserError(place, "both" if self.url else "neither", "either command or url")
        if self.url and not _is_address(self.url):
            raise UserError(f"{place}.url", repr(self.url), "an address such as http://localhost:8000/mcp")
        if (self.url and self.env) or (self.command and self.headers):
            raise UserError(place, "env with url, or headers with command", "the one that belongs to it")
        for name in self.env:
            if not _VARIABLE.match(name):
                raise UserError(f"{place}.env", repr(name), "the name of an environment variable, no value")
        if not self.only:
            raise UserError(f"{self.where}.only", "nothing", "the names of the server's tools that may be called")
        for own in self.only.values():
            _require_name(own, f"{self.where}.only")
        strange = [name for name in self.simulate if name not in self.only]
        if strange:
            raise UserError(f"{self.where}.simulate", repr(strange[0]), f"only {', '.join(self.only)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSource:
    """Full-text search over a corpus: a JSONL file of documents with `text`, or `sentences` that make one, and perhaps `title` and `id`.

    Args:
        corpus: the file.
        name: how workflows call the tool.
        k: how many documents a search gives at most.
        about: what the corpus holds, for models.
        where: how errors name the declaration.

    Raises:
        UserError: naming `where`, if there is no such file or another value is wrong.
    """

    corpus: Path | str
    name: str = "search"
    k: int = 5
    about: str = ""
    where: str = "tools"

    def __post_init__(self) -> None:
        _require_file(self.corpus, f"{self.where}.search", "a .jsonl file of documents beside the task file")
        _require_name(self.name, f"{self.where}.name")
        require_text(self.about, f"{self.where}.about")
        if type(self.k) is not int or not 1 <= self.k <= MOST_RESULTS:
            raise UserError(f"{self.where}.k", shown(self.k), f"a whole number from 1 to {MOST_RESULTS}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SQLSource:
    """Questions in SQL to a read-only SQLite file.

    Args:
        file: the database.
        name: how workflows call the tool.
        about: what the database holds, for models; its tables are told in any case.
        where: how errors name the declaration.

    Raises:
        UserError: naming `where`, if there is no such file or another value is wrong.
    """

    file: Path | str
    name: str = "sql"
    about: str = ""
    where: str = "tools"

    def __post_init__(self) -> None:
        _require_file(self.file, f"{self.where}.sql", "an SQLite file beside the task file")
        _require_name(self.name, f"{self.where}.name")
        require_text(self.about, f"{self.where}.about")


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonSource:
    """A Python interpreter in the sandbox."""

    where: str = "tools"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalculatorSource:
    """A calculator for arithmetic."""

    where: str = "tools"


ToolSource = MCPSource | SearchSource | SQLSource | PythonSource | CalculatorSource
"""A declared tool, or several of one server, not yet opened."""


def own_name(offered: str) -> str:
    """The name by which workflows call a tool that a server offers under `offered`: other characters become `_`."""
    return re.sub(r"[^A-Za-z0-9_]", "_", offered)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", url)
        )
    except ValueError:  # brackets without an end, a port that is none
        return False


def require_text(value: object, where: str) -> None:
    """Refuse what is no text."""
    if not isinstance(value, str):
        raise UserError(where, kind_of(value), "a text")


def _require_name(name: str, where: str) -> None:
    require_text(name, where)
    if not is_name(name):
        raise UserError(where, repr(name), "an identifier")


def _require_file(file: Path | str, where: str, expected: str) -> None:
    if not isinstance(file, Path):
        require_text(file, where)
    if not Path(file).is_file():
        raise UserError(where, f"no file {file}", expected)


def texts(value: object, where: str) -> tuple[str, ...]:
    """The texts of a list, none of them empty; anything else is refused."""
    if not isinstance(value, list | tuple):
        raise UserError(where, kind_of(value), "a list of texts")
    for index, each in enumerate(items := cast("Sequence[object]", value)):
        if not isinstance(each, str) or not each:
            raise UserError(f"{where}[{index}]", repr(each), "a text")
    return tuple(cast("Sequence[str]", items))


def require_pairs(pairs: object, where: str) -> None:
    """Refuse what is no mapping of texts that are not empty."""
    if not isinstance(pairs, Mapping):
        raise UserError(where, kind_of(pairs), "NAME: TEXT, …")
    for name, value in cast("Mapping[object, object]", pairs).items():
        if not isinstance(value, str) or not value:
            raise UserError(f"{where}.{name}", repr(value), "a text")
