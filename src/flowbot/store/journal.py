"""The journal of a run: what was proposed, found and decided, one JSON line an event, in an order that replay repeats.

A run is a deterministic function of its responses, so the same command walks through the events that stand there and
writes only what comes after them. Events hold no wall-clock times.
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any, cast

from flowbot.fields import InfrastructureError, UserError, canonical_json

Event = dict[str, Any]


class Journal:
    """The events of one run.

    Failure policy: a line that a kill left unfinished is dropped; other damage is a `UserError` that names the line;
    a disk that fails while writing is an `InfrastructureError`, and what it wrote of the line is taken back, or dropped
    by whoever writes next. An event is on disk when `record` returns.
    """

    def __init__(self, path: Path, recorded: list[Event], size: int) -> None:
        """Use `Journal.open`."""
        self.path = path
        self._recorded = [canonical_json(event) for event in recorded]
        self._lines = len(recorded)
        self._size = size
        self._events: list[Event] = []
        self._file: FileIO | None = None
        self.diverged = False
        self.replayed = 0

    @staticmethod
    def open(path: Path) -> Journal:
        """Open the journal at `path`; a missing file is an empty journal. Nothing is written yet.

        Raises:
            UserError: if the file cannot be read or is damaged.
        """
        if not path.exists():
            return Journal(path, [], 0)
        events, size = _read(path)
        return Journal(path, events, size)

    def record(self, event: Event) -> None:
        """Note the next event: walk past it if it stands there already, else write it.

        A different event than the recorded one moves the recorded rest to `journal.<n>.jsonl` and goes on from here.

        Raises:
            InfrastructureError: if the disk fails.
            ValueError: for NaN, infinity or a value that JSON cannot hold.
        """
        text = canonical_json(event)
        line = json.dumps(event, allow_nan=False)
        place = len(self._events)
        if place < len(self._recorded):
            if self._recorded[place] == text:
                self.replayed += 1
                self._events.append(json.loads(line))
                return
            self._keep_aside(place)
        try:
            self._append(line.encode() + b"\n")
        except OSError as error:
            raise InfrastructureError(f"journal {self.path}: {error.strerror or error}", kind="disk") from None
        self._events.append(json.loads(line))

    def events(self) -> list[Event]:
        """The events recorded so far by this process, replayed ones included, in order."""
        return list(self._events)

    def close(self) -> None:
        """Close the file. May be called twice."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, line: bytes) -> None:
        file = self._file = self._file or self._open()
        self._require_place(file)
        try:
            # What is beyond the last whole line is the rest of a line that a kill or a full disk cut off.
            file.truncate(self._size)
            left = line
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):
                file.truncate(self._size)
            with suppress(OSError):
                self.close()
            self._file = None
            raise
        self._size += len(line)

    def _require_place(self, file: FileIO) -> None:
        """What is written to a file that was deleted or moved would be lost, and its place may be another run's by now."""
        held = os.fstat(file.fileno())
        try:
            stands = os.path.samestat(self.path.stat(), held) and held.st_size >= self._size
        except FileNotFoundError:
            stands = False
        if not stands:
            raise FileNotFoundError(errno.ENOENT, "it was moved, deleted or cut while the run was at work")

    def _open(self) -> FileIO:
        """The file, unbuffered: what a full disk refuses must not wait in memory for the next try."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return self.path.open("ab", buffering=0)

    def _keep_aside(self, place: int) -> None:
        try:
            lines = self.path.read_bytes()[: self._size].splitlines(keepends=True)
            aside = _free_name(self.path)
            with aside.open("wb") as file:
                file.writelines(lines[place:])
                file.flush()
                os.fsync(file.fileno())
            self._size = sum(map(len, lines[:place]))
        except OSError as error:
            raise InfrastructureError(f"journal {self.path}: {error.strerror or error}", kind="disk") from None
        del self._recorded[place:]
        self.diverged = True


def read_journal(path: Path) -> list[Event]:
    """All events of a journal file, in order, without opening it for writing; an unfinished last line is left out.

    Raises:
        UserError: if the file is missing, cannot be read or is damaged.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[list[Event], int]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"journal {path}", error.strerror or str(error), "a file that can be read") from None
    events: list[Event] = []
    size = 0
    lines = data.splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        last = number == len(lines)
        event = _event(line) if line.endswith(b"\n") else None
        if event is None:
            if last:
                break
            found = repr(line[:60].decode(errors="replace"))
            expected = "one JSON object a line; with the file moved away the same command writes it anew"
            raise UserError(f"journal {path}:{number}", found, expected)
        events.append(event)
        size += len(line)
    return events, size


def _event(line: bytes) -> Event | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return cast("Event", value) if isinstance(value, dict) else None


def _free_name(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    return aside
