"""The one console: rich where there is a terminal, plain lines where there is none, one JSON object for programs.

Results go to standard output; errors, and what to do next after a pause, go to standard error. Every text goes through
`shown`, and every object through `json_text` (text.py): no secret is printed, and nothing that a terminal could take for a command.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TextIO

from .logs import set_up
from .text import complain, json_text, shown, wrap

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.text import Text

    from .options import Output

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
_LAYOUT = "\n\t"

news: list[str] = []
"""What is to be told on standard error as soon as it is known how the verb is to speak."""


class OutputError(Exception):
    """Standard output takes no more: `__cause__` says why."""


@contextmanager
def _written() -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(error.strerror) from error


class Console:
    """Where a verb speaks.

    Args:
        mode: `rich` on a terminal, `plain` otherwise, `json`, or `quiet`.
    """

    def __init__(self, mode: Literal["rich", "plain", "json", "quiet"]) -> None:
        self.mode: Literal["rich", "plain", "json", "quiet"] = mode
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
            for line in news:
                complain(line)
        news.clear()
        if output.json:
            console = Console("json")
            sys.stdout = sys.stderr  # what a user's metric or tool prints is no part of the object
            return console
        if output.quiet:
            return Console("quiet")
        return Console("rich" if is_terminal(sys.stdout) else "plain")

    @property
    def width(self) -> int:
        """Columns to write in."""
        if self.mode != "rich":
            return WIDEST
        return max(40, min(WIDEST, self.rich().width))

    def rich(self) -> RichConsole:
        """The rich console on standard output, or on standard error where standard output is for a program."""
        if self._rich is None:
            from rich.console import Console as RichConsole

            self._rich = RichConsole(stderr=self.mode == "json", highlight=False, emoji=False, markup=False)
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

    def row(self, name: str, text: str, *, width: int = 10) -> None:
        """`name  text`, the text wrapped beside the name."""
        name = shown(name)
        for line in wrap(text, max(20, self.width - width - 4), break_long_words=False) or [""]:
            beside = f"  {name.ljust(width)}"
            if self.mode == "rich":
                self._print((beside, "soft"), (f"  {line}", ""))
            else:
                self.say(f"{beside}  {line}".rstrip())
            name = ""

    def paragraph(self, text: str, style: Style = "", *, indent: int = 0) -> None:
        """Running text, wrapped."""
        blank = " " * indent
        for line in wrap(text, min(self.width, 88), initial_indent=blank, subsequent_indent=blank):
            self.say(line, style)

    def styled(self, parts: Sequence[tuple[str, Style]], *, indent: int = 0) -> None:
        """Running text in several styles, wrapped; its own line ends stay."""
        if self.mode == "rich":
            from rich.padding import Padding

            self.rich().print(Padding(_text(parts), (0, 0, 0, indent)), width=self.width)
            return
        blank = " " * indent
        for line in "".join(part for part, _ in parts).split("\n"):
            for each in wrap(line, self.width - indent, break_long_words=False) or [""]:
                self.say(f"{blank}{each}".rstrip())

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
