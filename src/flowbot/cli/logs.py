"""Where log lines of FlowBot go: standard error or a file, as text for people or JSON lines for programs."""

from __future__ import annotations

import io
import logging
import math
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flowbot.fields import UserError

from .text import complain, json_text, shown

if TYPE_CHECKING:
    from pathlib import Path

    from .options import Output

_STANDARD = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})
"""What every record has; the rest is what the place that logs gave as `extra`."""


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, then the record's own fields, and a traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD:
                line.setdefault(name, _plain(value))
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json_text(line, ascii_only=True)


class Lines(logging.Formatter):
    """`LEVEL logger: message`, a traceback below it, as the console shows texts.

    Args:
        timed: begin with the time; for a file, which is read later.
    """

    def __init__(self, *, timed: bool) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")
        self._timed = timed

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line; what is logged does not add another."""
        return shown(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """The line or lines, without the last end."""
        text = shown(super().format(record), keep="\n")
        return f"{_time(record)} {text}" if self._timed else text


class _Stderr(logging.Handler):
    """Log lines to what standard error is at the time: the live display takes its place while it is up."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, if anything can be written there."""
        with suppress(OSError):
            sys.stderr.write(self.format(record) + "\n")


class _File(logging.FileHandler):
    """Log lines behind those that the file holds. A full disk ends the log and not the run."""

    _broken = False

    def _open(self) -> io.TextIOWrapper:
        from pathlib import Path

        from flowbot.fields.files import open_log

        raw = io.BufferedWriter(open_log(Path(self.baseFilename)))
        return io.TextIOWrapper(raw, encoding=self.encoding, errors=self.errors)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        if not self._broken:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Say once why no more is logged."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        self._broken = True
        complain(f"--log-file {self.baseFilename}: {error.strerror}; no more is logged")


def set_up(output: Output) -> None:
    """Send FlowBot's log lines where the options say, in place of where they went before.

    Raises:
        UserError: if the log file cannot be written.
    """
    logger = logging.getLogger("flowbot")
    logger.setLevel(output.log_level.upper())
    handler = _Stderr() if output.log_file is None else _opened(output.log_file)
    handler.setFormatter(JsonLines() if output.log_format == "json" else Lines(timed=output.log_file is not None))
    before, logger.handlers[:] = logger.handlers[:], [handler]
    for each in before:
        with suppress(OSError):
            each.close()
    # What the MCP SDK logs of a server our own errors say; without a handler it would be printed with tracebacks.
    logging.getLogger("mcp").addHandler(logging.NullHandler())


def _opened(path: Path) -> logging.Handler:
    try:
        return _File(path, encoding="utf-8", errors="backslashreplace")
    except UserError as error:
        raise UserError("--log-file", f"{path} ({error.found})", mend=error.mend) from None
    except OSError as error:
        raise UserError("--log-file", f"{path} ({error.strerror})", "a file that can be written") from None


def _time(record: logging.LogRecord) -> str:
    made = datetime.fromtimestamp(record.created, UTC)
    return made.strftime("%Y-%m-%dT%H:%M:%S.") + f"{made.microsecond // 1000:03d}Z"


def _plain(value: Any) -> Any:
    """What JSON can hold as it is; anything else as text."""
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)
