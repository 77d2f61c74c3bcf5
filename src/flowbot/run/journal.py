"""The journal of a run: its events, one JSON line each, in an order that replay repeats.

A run is a deterministic function of its responses, so the same command walks through the events that stand there and
writes only what comes after them. A line holds no secrets but for what a program itself holds.
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

from flowbot.fields import InfrastructureError, UserError, canonical_json
from flowbot.fields.files import new_file, open_own, opened, read_bytes, write_all
from flowbot.fields.secrets import hide
from flowbot.store import rows

from .events import VERSION, Event, Started, dump, load

NAME = "journal.jsonl"
"""Of the file in a run's folder."""
MOST_JOURNAL = 256_000_000
"""Bytes of the largest journal that is read."""
_WHOLE = "one JSON object a line; with the file moved away the same command writes it anew"
_PROGRAMS = ("program", "dump")
"""Members of events that hold whole programs, which must not be changed."""


class Journal:
    """The events of one run.

    Failure policy: a line that a kill left unfinished is dropped; other damage is a `UserError` that names the line;
    a disk that fails while writing is an `InfrastructureError`, and what it wrote of the line is taken back, or dropped
    by whoever writes next. An event is on disk when `record` returns.
    """

    def __init__(self, path: Path, recorded: list[dict[str, Any]], size: int, before: list[Event]) -> None:
        """Use `Journal.open`."""
        self.path = path
        self._recorded = [canonical_json(_without_secrets(line)) for line in recorded]
        self._size = size
        self._before = before
        self._events: list[Event] = []
        self._file: FileIO | None = None
        self.diverged = False
        self.replayed = 0

    @staticmethod
    def open(path: Path) -> Journal:
        """Open the journal at `path`; a missing file is an empty journal. Nothing is written yet.

        Raises:
            UserError: as of `read_events`.
        """
        if not os.path.lexists(path):
            return Journal(path, [], 0, [])
        lines, size = _read(path)
        return Journal(path, lines, size, _events(path, lines))

    def record(self, event: Event) -> None:
        """Note the next event: walk past it if it stands there already, else write it.

        A different event than the recorded one moves the recorded rest to `journal.<n>.jsonl` and goes on from here.

        Raises:
            InfrastructureError: if the disk fails.
            ValueError: for NaN, infinity or a value that JSON cannot hold.
        """
        data = _without_secrets(dump(event))
        text = canonical_json(data)
        place = len(self._events)
        if place < len(self._recorded):
            if self._recorded[place] == text:
                self.replayed += 1
                self._events.append(event)
                return
            self._keep_aside(place)
        try:
            self._append(json.dumps(data, allow_nan=False).encode() + b"\n")
        except OSError as error:
            raise InfrastructureError(f"journal {self.path}: {error.strerror or error}", kind="disk") from None
        self._events.append(event)

    @property
    def ahead(self) -> Event | None:
        """The event that a replay comes to next; None where nothing is replayed."""
        place = len(self._events)
        return self._before[place] if place < len(self._before) else None

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
            write_all(file, line)
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
        return open_own(self.path, "a")

    def _keep_aside(self, place: int) -> None:
        try:
            lines = _bytes(self.path)[: self._size].splitlines(keepends=True)
            new_file(_free_name(self.path), b"".join(lines[place:]))
            self._size = sum(map(len, lines[:place]))
        except OSError as error:
            raise InfrastructureError(f"journal {self.path}: {error.strerror or error}", kind="disk") from None
        del self._recorded[place:], self._before[place:]
        self.diverged = True


def read_events(path: Path) -> list[Event]:
    """All events of a journal file, in order, without opening it for writing; an unfinished last line is left out.

    Secrets are masked, also where somebody else wrote the file: once a text is cut for show, they would not be known.

    Raises:
        UserError: if the file is missing, cannot be read or is damaged, naming line and member; or if another version of
            FlowBot wrote it.
    """
    return _events(path, read_lines(path))


def read_start(path: Path) -> Started:
    """The first event of a journal, whose rest is not read.

    Raises:
        UserError: as `read_events`, or if it is not the beginning of a run.
    """
    with opened(path, limit=MOST_JOURNAL, links=False) as file:
        line = file.readline(MOST_JOURNAL)
    try:
        first = _events(path, [_without_secrets(_object(line))])[0] if line else None
    except ValueError as error:
        raise UserError(f"journal {path}:1", str(error), "one JSON object a line") from None
    if not isinstance(first, Started):
        raise UserError(f"journal {path}:1", "no beginning of a run", "the event `started`")
    return first


def events_in(path: Path, data: bytes, first: int) -> list[Event]:
    """The events of some whole lines of a journal, for who reads on in one that grows.

    Args:
        path: the file, for errors.
        data: the lines.
        first: number of the first of them, from 1.

    Raises:
        UserError: as `read_events`.
    """
    found: list[dict[str, Any]] = []
    for number, line in enumerate(data.splitlines(keepends=True), start=first):
        try:
            found.append(_without_secrets(_object(line)))
        except ValueError as error:
            raise UserError(f"journal {path}:{number}", str(error), _WHOLE) from None
    return _events(path, found, first)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON objects of a file that has one a line; otherwise as `read_events`."""
    return [_without_secrets(line) for line in _read(path)[0]]


def _events(path: Path, lines: list[dict[str, Any]], number: int = 1) -> list[Event]:
    first = lines[0] if lines and number == 1 else {}
    version = (
        first.get("version") if first.get("event") == "started" else 1 if first.get("event") == "start" else VERSION
    )
    if version != VERSION:
        wrote = "FlowBot 0.1" if version == 1 else f"another FlowBot (version {version!r:.20} of the format)"
        expected = f"version {VERSION}: `--fresh` (fresh=True) moves the old run aside and starts anew"
        raise UserError(f"journal {path}", f"a journal of {wrote}", expected)
    return [load(line, f"journal {path}:{place}") for place, line in enumerate(lines, start=number)]


def _read(path: Path) -> tuple[list[dict[str, Any]], int]:
    data = _bytes(path)
    read: list[dict[str, Any]] = []
    size = 0
    lines = data.splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        try:
            read.append(_object(line))
        except ValueError as error:
            if number == len(lines):
                break
            raise UserError(f"journal {path}:{number}", str(error), _WHOLE) from None
        size += len(line)
    return read, size


def _bytes(path: Path) -> bytes:
    try:
        return read_bytes(path, limit=MOST_JOURNAL, links=False)
    except UserError as error:
        raise error.at(f"journal {error.where}") from None


def _object(line: bytes) -> dict[str, Any]:
    """What a line holds.

    Raises:
        ValueError: saying what stands there instead.
    """
    if not line.endswith(b"\n"):
        raise ValueError("half a line")
    return rows.load(line)


def _without_secrets(line: dict[str, Any]) -> dict[str, Any]:
    """A line with its secrets masked; its programs are as they are."""
    return {name: value if name in _PROGRAMS else hide(value) for name, value in line.items()}


def _free_name(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.stem}.{number}{path.suffix}")) and os.path.lexists(aside):
        number += 1
    return aside
