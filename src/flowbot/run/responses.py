"""`responses.txt`: the keys of the stored responses that a run looked for or kept, one a line, so that they can go when the run goes.

They are added while the run works. Which folders have such a file the store's folder knows, by `runs.jsonl`: a response that
another run uses too is seen wherever that run stands.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Set
from contextlib import suppress
from glob import escape
from pathlib import Path

from flowbot.fields import UserError
from flowbot.fields.files import lines, open_own, opened, read_text, write_all

from .journal import NAME as JOURNAL

NAME = "responses.txt"
FOLDERS = "runs.jsonl"
"""Beside the store: the folders of the runs that used it, a JSON text a line."""
MOST_BYTES = 256_000_000
"""Bytes of the largest of these files that is read."""
_LONGEST = 200


class Responses:
    """Writes down which responses a run used, now and in earlier sessions.

    Failure policy: what a disk refuses is lost, and no run fails of it: those responses stay when the run is removed.

    Args:
        run_dir: the run's folder, which this process holds.
        keys: grows while the run works.
        store: the store's file; None where nothing is kept.
    """

    def __init__(self, run_dir: Path, keys: Set[str], store: Path | None) -> None:
        self._path = run_dir / NAME
        self._keys = keys
        self._stored = store is not None
        self._written: set[str] = set()
        with suppress(UserError):
            self._written = set(read_responses(run_dir) or ())
        if store is not None:
            _register(run_dir, store.parent)

    def note(self) -> None:
        """Write down what is new."""
        if not self._stored or not (new := sorted(self._keys - self._written)):
            return
        with suppress(OSError, UserError), open_own(self._path, "a") as file:
            write_all(file, b"\n" + b"".join(key.encode() + b"\n" for key in new))  # after what a kill left of a line
            self._written.update(new)


def read_responses(run_dir: Path) -> frozenset[str] | None:
    """The keys of the responses that a run used; None where that was not written down.

    Raises:
        UserError: if the file cannot be read.
    """
    path = run_dir / NAME
    if not os.path.lexists(path):
        return None
    with opened(path, limit=MOST_BYTES, links=False) as file:
        whole = (line[:-1].decode("ascii", "replace") for line in lines(file, str(path), most=_LONGEST))
        return frozenset(key for key in whole if key)


def known_folders(cache_dir: Path) -> frozenset[Path]:
    """The folders of the runs that used the store of that folder, but for those that were removed; others may have been moved.

    Raises:
        UserError: if the file cannot be read.
    """
    path = cache_dir / FOLDERS
    if not os.path.lexists(path):
        return frozenset()
    found: set[Path] = set()
    for line in read_text(path, limit=MOST_BYTES, links=False).splitlines():
        with suppress(ValueError):  # half a line
            match json.loads(line):
                case str(folder):
                    found.add(Path(folder))
                case {"gone": str(folder)}:
                    found.discard(Path(folder))
                case _:
                    pass
    return frozenset(found)


def asides(run_dir: Path) -> list[Path]:
    """The folders of the runs that stood there before, and were moved aside by `--fresh`."""
    found = run_dir.parent.glob(f"{escape(run_dir.name)}.[0-9]*")
    return sorted(each for each in found if each.suffix[1:].isdigit() and os.path.lexists(each / JOURNAL))


def forget(run_dir: Path, cache_dir: Path) -> None:
    """From now on no run of that folder needs a response.

    Raises:
        UserError: if that cannot be written.
    """
    _tell({"gone": str(run_dir.resolve())}, cache_dir)


def unused_by(folders: Iterable[Path], keys: Set[str]) -> set[str]:
    """Those of the keys whose responses none of these runs used.

    Raises:
        UserError: if a file cannot be read.
    """
    left = set(keys)
    for each in folders:  # one file at a time: together they may be larger than memory
        left -= read_responses(each) or frozenset()
    return left


def _register(run_dir: Path, cache_dir: Path) -> None:
    folder = run_dir.resolve()
    with suppress(UserError):
        if folder not in known_folders(cache_dir):
            _tell(str(folder), cache_dir)


def _tell(line: object, cache_dir: Path) -> None:
    try:
        with open_own(cache_dir / FOLDERS, "a") as file:
            write_all(file, b"\n" + json.dumps(line).encode() + b"\n")  # as in `note`
    except OSError as error:
        raise UserError(str(cache_dir / FOLDERS), str(error.strerror), "a file that can be written") from None
