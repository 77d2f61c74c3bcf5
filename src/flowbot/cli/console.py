"""The one console: rich where there is a terminal, plain lines where there is none, one JSON object for programs.

Results go to standard output; errors, and what to do next after a pause, go to standard error.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal, TextIO

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

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
        from .logs import set_up

        set_up(output)
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

    def say(self, text: str = "", style: Style = "") -> None:
        """A line for a person; programs and `--quiet` do not get it."""
        if self.mode in ("rich", "plain"):
            self._write(text, style)

    def row(self, name: str, text: str, *, width: int = 10) -> None:
        """`name  text`, the text wrapped beside the name."""
        import textwrap

        lines = textwrap.wrap(text, max(20, self.width - width - 4), break_on_hyphens=False, break_long_words=False)
        if self.mode == "rich":
            from rich.text import Text

            for number, line in enumerate(lines or [""]):
                self._print(Text.assemble(("  " + (name if not number else "").ljust(width), "dim"), "  ", line))
        else:
            for number, line in enumerate(lines or [""]):
                self.say(f"  {(name if not number else '').ljust(width)}  {line}".rstrip())

    def paragraph(self, text: str, style: Style = "", *, indent: int = 0) -> None:
        """Running text, wrapped."""
        import textwrap

        blank = " " * indent
        wrapped = textwrap.wrap(
            text, min(self.width, 88), initial_indent=blank, subsequent_indent=blank, break_on_hyphens=False
        )
        for line in wrapped:
            self.say(line, style)

    def styled(self, parts: Sequence[tuple[str, Style]], *, indent: int = 0) -> None:
        """Running text in several styles, wrapped; its own line ends stay."""
        if self.mode == "rich":
            from rich.padding import Padding
            from rich.text import Text

            text = Text.assemble(*((printable(part, keep="\n"), _STYLES[style]) for part, style in parts))
            self.rich().print(Padding(text, (0, 0, 0, indent)), width=self.width)
            return
        import textwrap

        blank = " " * indent
        for line in "".join(part for part, _ in parts).split("\n"):
            wrapped = textwrap.wrap(line, self.width - indent, break_on_hyphens=False, break_long_words=False)
            for each in wrapped or [""]:
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
                self._out.write(json.dumps(value, ensure_ascii=ascii_only, indent=2, allow_nan=False) + "\n")
                self._out.flush()

    def _write(self, text: str, style: Style) -> None:
        if self.mode == "rich":
            from rich.text import Text

            self._print(Text(printable(text, keep="\n"), _STYLES[style]))
        else:
            with _written():
                sys.stdout.write(printable(text, keep="\n") + "\n")
                sys.stdout.flush()  # who reads a pipe wants to see how it goes

    def _print(self, text: Any) -> None:
        with _written():
            self.rich().print(text, soft_wrap=True)


def is_terminal(stream: TextIO) -> bool:
    """Whether a person watches `stream` on something that can redraw a line."""
    return stream.isatty() and os.environ.get("TERM", "") != "dumb"


def complain(text: str) -> None:
    """One line on standard error, if anything can be written there."""
    with suppress(OSError):
        sys.stderr.write(f"flowbot: {printable(' '.join(text.split()))}\n")
        sys.stderr.flush()


def printable(text: str, *, keep: str = "") -> str:
    """The text without control characters, which a terminal could take for commands."""
    return "".join(each if each.isprintable() or each in keep else " " for each in text)


def command_line(*arguments: str) -> str:
    """A command to copy, quoted for a shell."""
    return shlex.join(arguments)
