"""The environment variables of options: FLOWBOT_ and the option's name, as FLOWBOT_MAX_USD is that of `--max-usd`.

Every option that means the same everywhere has one (see `options`); an option that is typed wins. They are read from the
environment alone: a `.env` may be anybody's and sets none (see `env_file`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import Token
from cyclopts.config import Env

from flowbot.fields.near import nearest
from flowbot.fields.paths import home_path
from flowbot.store.postgres import VARIABLE as STORE

from .console import notices
from .options import OWN

if TYPE_CHECKING:
    from cyclopts import App, Argument, ArgumentCollection

    from flowbot.fields import UserError

PREFIX = "FLOWBOT_"

_taken: dict[str, tuple[str, str]] = {}
"""Of the command that runs: variables that gave an option its value, each with the option and the value."""


class Variables(Env):
    """Gives options that were not typed the values of their variables; one that is empty counts as not set. A variable that
    sets no option of any verb is named in a line: its name may have a typing error.

    Args:
        app: gives the app of all verbs.
    """

    def __init__(self, app: Callable[[], App]) -> None:
        super().__init__(PREFIX, command=False)
        self._app = app

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Add the values to `arguments`, and a notice of variables that set nothing."""
        _taken.clear()
        own = {variable(argument): argument for argument in arguments if argument.parameter.show_env_var}
        for name, argument in own.items():
            value = os.environ.get(name)
            if value and not argument.has_tokens:
                _taken[name] = (argument.name, value)
                argument.append(Token(keyword=name, value=_place(argument, value, name), source="environment"))
        others = {name for name, value in os.environ.items() if name.startswith(PREFIX) and value} - own.keys()
        known = {STORE, *_all(self._app())} if others else set[str]()
        if others - known:
            notices.append("; ".join(_no_option(name, known) for name in sorted(others - known)))


def variable(argument: Argument) -> str:
    """The name of an option's variable."""
    return PREFIX + argument.name.removeprefix("--").replace("-", "_").upper()


def _place(argument: Argument, value: str, name: str) -> str:
    """The value; where it is a path, `~` in it is the home folder, which no shell has put there."""
    return str(home_path(value, name)) if argument.hint in (Path, Path | None) else value


def _all(app: App) -> Iterator[str]:
    """The variables of all verbs."""
    for name in app:
        if not name.startswith("-"):
            yield from _all(app[name])
    if app.default_command is not None:
        found = app.assemble_argument_collection(default_parameter=OWN)
        yield from (variable(argument) for argument in found if argument.parameter.show_env_var)


def _no_option(name: str, known: set[str]) -> str:
    near = nearest(name.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in known])
    return f"{name} sets no option" + (f" (did you mean {PREFIX}{near}?)" if near else "")


def of_environment(error: UserError) -> str:
    """Which variables an error is about, to be added to it: the option or its value stands in it, and nobody typed it."""
    text = str(error)
    named = [
        name
        for name, (option, value) in _taken.items()
        if not _stands(name, text)
        and (error.where == option.removeprefix("--") or any(_stands(each, text) for each in (option, value)))
    ]
    return f" (set by {', '.join(named)})" if named else ""


def _stands(word: str, text: str) -> bool:
    return len(word) > 2 and re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None
