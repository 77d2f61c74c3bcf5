"""What the pages read: the runs below a folder as their files stand now. What was read is kept for as long as they stand so.

Nothing is known here that is not in the files, so any number of processes may show the same runs.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from flowbot.fields import UserError, stable_hash
from flowbot.fields.secrets import hide_text
from flowbot.report.report import render
from flowbot.run.examples import NAME as EXAMPLES
from flowbot.run.heartbeat import NAME as LIVE
from flowbot.run.heartbeat import PAUSE
from flowbot.run.journal import NAME as JOURNAL
from flowbot.run.listed_examples import ListedExample, list_examples
from flowbot.run.listing import DEEPEST, RunSummary, read_summary, run_folders
from flowbot.run.result import NAME as RESULT
from flowbot.run.sessions import NAME as SESSIONS
from flowbot.run.tail import Tail
from flowbot.run.view import RunView, read_run, view_of

KEPT = 16
"""Runs whose events are kept in memory: the last ones that were looked at."""
_LOOK = 60
"""Seconds after which a page has changed though no file has: it says how long ago things were."""


class Desk:
    """The runs below a folder, or the one run in it. Safe to use from several threads.

    Args:
        folder: where they are.

    Raises:
        UserError: if there is no such folder; see `run_folders`.
    """

    def __init__(self, folder: Path) -> None:
        _ = run_folders(folder)
        one = os.path.lexists(folder / JOURNAL)
        self.folder = folder.resolve() if one else folder
        self._base = self.folder.parent if one else folder
        self._of = lru_cache(KEPT)(_Read)
        self._shorts: dict[Path, tuple[str, RunSummary]] = {}

    def name(self, run_dir: Path) -> str:
        """What a run is called in addresses: its place below the folder. A name that is no UTF-8 has `?` there, and no page."""
        return run_dir.relative_to(self._base).as_posix().encode("utf-8", "replace").decode()

    def find(self, name: str) -> Path:
        """The folder of the run of that name.

        Raises:
            UserError: if it is none of those below the folder.
        """
        parts = name.split("/")
        plain = len(parts) <= DEEPEST and all(part and part[0] != "." and "\\" not in part for part in parts)
        steps = [self._base.joinpath(*parts[: number + 1]) for number in range(len(parts))] if plain else []
        own = self.folder in (self._base, *steps)
        if not own or not steps or any(map(os.path.islink, steps)) or not os.path.lexists(steps[-1] / JOURNAL):
            raise UserError(name, "no such run", f"one of those in {self.folder}")
        return steps[-1]

    def runs(self) -> list[RunSummary]:
        """All of them, in short."""
        return [self.summary(each) for each in run_folders(self.folder)]

    def summary(self, run_dir: Path) -> RunSummary:
        """One in short."""
        stamp = _stamp(run_dir, JOURNAL, LIVE, RESULT, SESSIONS)
        known = self._shorts.get(run_dir)
        if known is None or known[0] != stamp or known[1].status == "running":  # that it is killed changes no file
            known = self._shorts[run_dir] = (stamp, read_summary(run_dir))
        return known[1]

    def view(self, run_dir: Path) -> RunView:
        """One in full, but for its examples.

        Raises:
            UserError: if its files are damaged.
        """
        return self._of(run_dir).view()

    def examples(self, run_dir: Path) -> tuple[ListedExample, ...]:
        """Its examples in short; none where it has not written them yet.

        Raises:
            UserError: if the file is damaged.
        """
        return self._of(run_dir).examples()

    def report(self, run_dir: Path) -> str:
        """Its report; made anew once the run has gone on.

        Raises:
            UserError: if its files are damaged.
        """
        return self._of(run_dir).report()

    def state(self, run_dirs: Iterable[Path]) -> str:
        """What changes when a page of these runs does: their files, whether they are at work, a minute."""
        names = (JOURNAL, LIVE, RESULT, SESSIONS, EXAMPLES, PAUSE)
        stands = [(str(each), _stamp(each, *names), self.summary(each).status) for each in run_dirs]
        return stable_hash([stands, int(time.time() // _LOOK)])[:16]


class _Read:
    """What was read of one run, and how its files stood then."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._lock, self._reading, self._rendering = threading.Lock(), threading.Lock(), threading.Lock()
        """Of the journal, of the examples, which may be many, and of the report: none waits for another."""
        self._tail = Tail(run_dir / JOURNAL)
        self._view: tuple[str, RunView] | None = None
        self._examples: tuple[str, tuple[ListedExample, ...]] = ("", ())
        self._report: tuple[str, str] = ("", "")

    def view(self) -> RunView:
        with self._lock:
            stamp = _stamp(self._run_dir, RESULT, SESSIONS)
            if self._tail.read() or self._view is None or self._view[0] != stamp:
                self._view = None  # where it raises, the next one is not to find the old one
                self._view = (stamp, view_of(self._run_dir, self._tail.events, examples=False))
            return self._view[1]

    def examples(self) -> tuple[ListedExample, ...]:
        with self._reading:
            stamp = _stamp(self._run_dir, EXAMPLES)
            if self._examples[0] != stamp:
                there = os.path.lexists(self._run_dir / EXAMPLES)
                self._examples = (stamp, tuple(list_examples(self._run_dir)) if there else ())
            return self._examples[1]

    def report(self) -> str:
        with self._rendering:
            stamp = _stamp(self._run_dir, JOURNAL, RESULT, SESSIONS, EXAMPLES)
            if self._report[0] != stamp:
                self._report = (stamp, hide_text(render(read_run(self._run_dir))))
            return self._report[1]


def _stamp(run_dir: Path, *names: str) -> str:
    """How files stand: it is another one once one of them was written."""
    stands: list[str] = []
    for name in names:
        try:
            found = (run_dir / name).lstat()
            stands.append(f"{found.st_ino:x}.{found.st_size:x}.{found.st_mtime_ns:x}")
        except OSError:
            stands.append("-")
    return " ".join(stands)
