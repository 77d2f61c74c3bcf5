"""Reads on in a journal that another process is writing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from flowbot.fields import UserError
from flowbot.fields.files import opened

from .events import Event
from .journal import MOST_JOURNAL, events_in

_REMEMBERED = 512
"""Bytes at the end of what was read that must still stand there."""


class Tail:
    """The events of a journal so far. `read` takes what is new of it, however long it is by now.

    Failure policy: an unfinished last line is left for the next time. A journal that was cut or replaced, as where a run took
    another course or began anew, is read from its beginning, in place of what was read before. Damage is a `UserError`.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._forget()

    @property
    def events(self) -> Sequence[Event]:
        """Those read so far, in order."""
        return self._events

    def read(self) -> bool:
        """Take what is new; gives whether anything is.

        Raises:
            UserError: if the file is missing, cannot be read, is too large or damaged, or of another version.
        """
        try:
            with opened(self.path, limit=MOST_JOURNAL, links=False) as file:
                found = os.fstat(file.fileno())
                course = (found.st_dev, found.st_ino, len(list(self.path.parent.glob("journal.*.jsonl"))))
                anew = course != self._course or found.st_size < self._place or not self._stands(file)
                if anew:
                    self._forget()
                    self._course = course
                file.seek(self._place)
                data = file.read(found.st_size - self._place)
        except OSError as error:
            raise UserError(
                f"journal {self.path}", f"no way to read it ({error.strerror or error})", "a file"
            ) from None
        whole = data[: data.rfind(b"\n") + 1]
        self._events += events_in(self.path, whole, len(self._events) + 1)
        self._place += len(whole)
        self._last = (self._last + whole)[-_REMEMBERED:]
        return anew or bool(whole)

    def _stands(self, file: BinaryIO) -> bool:
        """Whether what was read last stands where it stood."""
        file.seek(self._place - len(self._last))
        return file.read(len(self._last)) == self._last

    def _forget(self) -> None:
        self._course: tuple[int, int, int] | None = None
        self._events: list[Event] = []
        self._place, self._last = 0, b""
