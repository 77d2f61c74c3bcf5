"""The one console: rich where there is a terminal, plain lines where there is none, one JSON object for programs.

Results go to standard output; errors, and what to do next after a pause, go to standard error. Every text goes through
`shown`, and every object through `json_text`: no secret is printed, and nothing that a terminal could take for a command.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal, TextIO

from flowbot.fields.secrets import hide, hide_text
from flowbot.fields.words import printable

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
_JOINERS = "\u200c\u200d"
"""Of letters in Persian and Indic scripts, and of emoji: neither moves anything."""
_HIDDEN = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)
"""What JSON leaves as it is and a terminal may take for a command, a change of direction, or shows not at all."""


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
        from .logs import set_up

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


def shown(text: str, *, keep: str = "") -> str:
    """A text as it may be printed: without secrets and without control and direction characters; `keep`: see `printable`."""
    return printable(hide_text(text), keep=keep + _JOINERS)


def wrap(text: str, width: int, **options: Any) -> list[str]:
    """Lines of at most `width` columns of a text as it may be printed. Where a secret was cut in two it would not be known.

    Args:
        text: the text; its own line ends count as blanks.
        width: columns.
        options: as of `textwrap.wrap`.
    """
    import textwrap

    return textwrap.wrap(shown(text, keep="\t"), width, break_on_hyphens=False, **options)


def json_text(value: Any, *, indent: int | None = None, ascii_only: bool = False) -> str:
    """An object as JSON, as it may be printed: any reader of JSON sees the same texts, less the secrets.

    Raises:
        ValueError: for NaN or infinity.
    """
    text = json.dumps(hide(value), ensure_ascii=ascii_only, indent=indent, allow_nan=False)
    return (
        text if text.isascii() and "\x7f" not in text else _HIDDEN.sub(lambda match: json.dumps(match[0])[1:-1], text)
    )


def _text(parts: Sequence[tuple[str, Style]]) -> Text:
    from rich.text import Text

    return Text.assemble(*((shown(part, keep=_LAYOUT), _STYLES[style]) for part, style in parts))


def is_terminal(stream: TextIO) -> bool:
    """Whether a person watches `stream` on something that can redraw a line."""
    return stream.isatty() and os.environ.get("TERM", "") != "dumb"


def complain(text: str) -> None:
    """One line on standard error, if anything can be written there."""
    with suppress(OSError):
        sys.stderr.write(f"flowbot: {shown(' '.join(text.split()))}\n")
        sys.stderr.flush()


def command_line(*arguments: str) -> str:
    """A command to copy, quoted for a shell."""
    return shlex.join(arguments)
