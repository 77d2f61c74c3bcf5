"""The one console: rich where there is a terminal, plain lines where there is none, one JSON object for programs.

Results go to standard output; errors, and what to do next after a pause, go to standard error. Every text goes through
`shown`, and every object through `json_text` (text.py): no secret is printed, and nothing that a terminal could take for a command.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TextIO

from .logs import set_up
from .text import complain, json_text, shown, wrap

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.console import RenderableType
    from rich.text import Text

    from .options import Output

Mode = Literal["rich", "plain", "json", "quiet"]
Style = Literal["", "title", "soft", "good", "bad", "warn", "accent"]

_STYLES: dict[Style, str] = {
    "": "",
    "title": "bold",
    "soft": "dim",
    "good": "green",
    "bad": "red",
    "warn": "yellow",
    "accent": "cyan",
}
WIDEST = 100
"""Columns that running text and drawings use at most."""
_PAGE = 80
"""The same for pages that are read from top to bottom."""
_LAYOUT = "\n\t"

notices: list[str] = []
"""Lines for standard error that wait until it is known whether they are wanted there."""


class OutputError(Exception):
    """Standard output takes no more: `__cause__` says why."""


@contextmanager
def _written() -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(error.strerror) from error


class Console:
    """Where a verb writes.

    Args:
        mode: `rich` on a terminal, `plain` otherwise, `json`, or `quiet`.
        widest: columns to write in at most.
    """

    def __init__(self, mode: Mode, widest: int = WIDEST) -> None:
        self.mode: Mode = mode
        self._widest = widest
        self._rich: RichConsole | None = None
        self._out = sys.stdout

    @staticmethod
    def open(output: Output) -> Console:
        """The console that these options ask for; log lines of FlowBot go where they say from now on.

        Raises:
            UserError: if the log file cannot be written.
        """
        set_up(output)
        if not output.quiet:
            for line in notices:
                complain(line)
        notices.clear()
        if output.json:
            console = Console("json")
            sys.stdout = sys.stderr  # what a user's metric or tool prints is no part of the object
            return console
        if output.quiet:
            return Console("quiet")
        return Console("rich" if is_terminal(sys.stdout) else "plain")

    def page(self) -> Console:
        """The console for a page that is the result itself, also with `--quiet`: at most 80 columns."""
        return Console("plain" if self.mode == "quiet" else self.mode, _PAGE)

    @property
    def width(self) -> int:
        """Columns to write in."""
        return max(40, min(self._widest, self.rich().width)) if self.mode == "rich" else self._widest

    def rich(self) -> RichConsole:
        """The rich console on standard output, or on standard error where standard output is for a program."""
        if self._rich is None:
            from rich.console import Console as RichConsole

            plain = self.mode == "plain"
            self._rich = RichConsole(
                stderr=self.mode == "json",
                highlight=False,
                emoji=False,
                markup=False,
                color_system=None if plain else "auto",
                force_terminal=False if plain else None,
                width=WIDEST if plain else None,
            )
        return self._rich

    @property
    def asks(self) -> bool:
        """Whether there is a person who can be asked."""
        return self.mode == "rich" and sys.stdin.isatty()

    def ask(self, question: str) -> str:
        """What a person answers; "" at the end of the input."""
        self._write(question, "accent")
        return sys.stdin.readline().strip()

    def say(self, text: str = "", style: Style = "") -> None:
        """A line for a person; programs and `--quiet` do not get it."""
        if self.mode in ("rich", "plain"):
            self._write(text, style)

    def rows(self, rows: Iterable[tuple[str, str]], *, width: int = 0) -> None:
        """Lines `name  text`, each text wrapped beside its name.

        Args:
            rows: names and texts.
            width: columns of the names; as many as the longest takes when 0.
        """
        rows = [(shown(name), text) for name, text in rows]
        width = width or max(len(name) for name, _ in rows)
        for name, text in rows:
            for number, line in enumerate(wrap(text, max(20, self.width - width - 4), break_long_words=False) or [""]):
                beside = f"  {'' if number else name:<{width}}"
                if self.mode == "rich":
                    self._print((beside, "soft"), (f"  {line}", ""))
                else:
                    self.say(f"{beside}  {line}".rstrip())

    def row(self, name: str, text: str) -> None:
        """One line of `rows`; several calls make one table."""
        self.rows([(name, text)], width=10)

    def paragraph(self, text: str, style: Style = "", *, indent: int = 0, hang: int = 0) -> None:
        """Running text, wrapped; `hang` more blanks before all lines but the first."""
        blank = " " * indent
        for line in wrap(text, min(self.width, 88), initial_indent=blank, subsequent_indent=blank + " " * hang):
            self.say(line, style)

    def styled(self, parts: Sequence[tuple[str, Style]], *, indent: int = 0) -> None:
        """Running text in several styles, wrapped; its own line ends stay."""
        self.print(_text(parts), indent=indent)

    def table(
        self,
        head: Sequence[str],
        rows: Iterable[Sequence[str]],
        *,
        left: Collection[int] = (0,),
        styles: Sequence[Style] = (),
    ) -> None:
        """A table without lines.

        Args:
            head: the columns' names.
            rows: the cells.
            left: the columns that begin left; the others end right, as numbers do.
            styles: of each row.
        """
        from rich.table import Table

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=_STYLES["soft"])
        for place, name in enumerate(head):
            table.add_column(name, justify="left" if place in left else "right", overflow="fold")
        for number, row in enumerate(rows):
            style = _STYLES[styles[number]] if styles else ""
            table.add_row(*(_text([(cell, "")]) for cell in row), style=style)
        self.print(table)

    def print(self, what: RenderableType, *, indent: int = 0) -> None:
        """What rich sets, such as a table, in at most `width` columns; programs and `--quiet` do not get it."""
        if self.mode not in ("rich", "plain"):
            return
        rich = self.rich()
        with rich.capture() as captured:
            rich.print(what, width=self.width - indent)
        with _written():
            sys.stdout.write(
                "".join(f"{' ' * indent}{line}".rstrip() + "\n" for line in captured.get().split("\n")[:-1])
            )
            sys.stdout.flush()

    def result(self, text: str, style: Style = "") -> None:
        """A line of the result itself: also with `--quiet`."""
        if self.mode != "json":
            self._write(text, style)

    def json(self, value: Any) -> None:
        """The object for programs; nothing in the other modes."""
        if self.mode == "json":
            ascii_only = "utf" not in (self._out.encoding or "").casefold()
            with _written():
                self._out.write(json_text(value, indent=2, ascii_only=ascii_only) + "\n")
                self._out.flush()

    def _write(self, text: str, style: Style) -> None:
        if self.mode == "rich":
            self._print((text, style))
        else:
            with _written():
                sys.stdout.write(shown(text, keep=_LAYOUT) + "\n")
                sys.stdout.flush()  # who reads a pipe wants to see how it goes

    def _print(self, *parts: tuple[str, Style]) -> None:
        with _written():
            self.rich().print(_text(parts), soft_wrap=True)


def _text(parts: Sequence[tuple[str, Style]]) -> Text:
    from rich.text import Text

    return Text.assemble(*((shown(part, keep=_LAYOUT), _STYLES[style]) for part, style in parts))


def is_terminal(stream: TextIO) -> bool:
    """Whether a person watches `stream` on something that can redraw a line."""
    return stream.isatty() and os.environ.get("TERM", "") != "dumb"
