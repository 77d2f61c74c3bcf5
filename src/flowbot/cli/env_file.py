"""`.env` in the working directory: keys and base URLs of providers, for the command line alone.

The folder may be anybody's, as one that was cloned, so the file is data: it says nothing of where files are written or what
is allowed, it sends no key that it does not hold itself anywhere, and one line names what is taken from it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from flowbot.fields import UserError
from flowbot.fields.secrets import declare_named

NAME = ".env"
MOST_BYTES = 65_536
_OURS = "FLOWBOT_"
"""Begins the names of our own settings: what is called, where is written and what is allowed is not a folder's to say."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a `.env` gives.

    Args:
        values: variables by name.
        left_out: names of variables that FlowBot knows and does not take, each with the reason.
        unread: why the file is not read at all, or "".
    """

    values: Mapping[str, str]
    left_out: Mapping[str, str]
    unread: str = ""

    @property
    def notice(self) -> str:
        """One line with names, never values; "" where there is nothing to tell."""
        lines = [f"{NAME} is not read: {self.unread}"] if self.unread else []
        lines += [f"taken from {NAME}: {', '.join(self.values)}"] if self.values else []
        lines += [f"{name} in {NAME} is not used: {why}" for name, why in self.left_out.items()]
        return "; ".join(lines)


@contextmanager
def env_file(folder: Path | None = None) -> Generator[Taken]:
    """The variables of `.env` in the environment, while inside; those that are set already win.

    Args:
        folder: where it lies; the working directory when None.
    """
    taken = _chosen(_read((folder or Path()) / NAME), os.environ)
    declare_named(taken.values)  # also for errors that are shown after it has left the environment
    before = {name: os.environ.get(name) for name in taken.values}
    os.environ.update(taken.values)
    try:
        yield taken
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _read(path: Path) -> dict[str, str] | str:
    """The variables; a text that says why the file is not read."""
    from flowbot.fields.files import read_bytes

    if not os.path.lexists(path) or (path.is_dir() and not path.is_symlink()):
        return {}  # a folder is how many call a virtual environment
    try:
        content = read_bytes(path, limit=MOST_BYTES, links=False)
    except UserError as error:
        return error.found
    try:
        return _parsed(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return "bytes that are no text"


def _parsed(text: str) -> dict[str, str] | str:
    from dotenv.parser import parse_stream

    found: dict[str, str] = {}
    for each in parse_stream(StringIO(text)):
        if each.error or (each.key and not re.fullmatch(r"[A-Za-z_][\w.-]*", each.key)):
            blank = len(each.original.string) - len(each.original.string.lstrip())
            line = each.original.line + each.original.string[:blank].count("\n")
            return f"line {line} is no NAME=VALUE with quotes that are closed"
        if each.key and each.value and "\0" not in each.value:
            found[each.key] = each.value
    return found


def _chosen(found: dict[str, str] | str, environment: Mapping[str, str]) -> Taken:
    """What is taken of a file's variables."""
    from flowbot.lm.providers import providers

    if isinstance(found, str):
        return Taken({}, {}, unread=found)
    new = {name: value for name, value in found.items() if not environment.get(name)}
    taken: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for provider in providers().values():
        taken |= {name: new[name] for name in provider.keys if name in new}
    for provider in providers().values():
        base = provider.base_variable
        if base in new:
            own = any(name in new for name in provider.keys) and not any(
                environment.get(name) for name in provider.keys
            )
            if own:
                taken[base] = new[base]
            else:
                left_out[base] = f"a base URL is taken with a key of the same file alone ({' or '.join(provider.keys)})"
    left_out |= {name: "only keys and base URLs are taken from a file" for name in new if name.startswith(_OURS)}
    return Taken(taken, left_out)
