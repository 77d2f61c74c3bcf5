"""Runs as things: every run below a folder with what it is, how it stands and what it took, read without opening what is large."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from flowbot.fields import UserError
from flowbot.fields.arguments import FOLDER as PATH
from flowbot.fields.arguments import checked_arguments

from .events import Measure, Started
from .folders import FOLDER
from .heartbeat import Heartbeat, at_work, read_heartbeat
from .journal import NAME as JOURNAL
from .journal import read_start
from .result import NAME as RESULT
from .result import NOTHING, StoredResult, read_result
from .sessions import NAME as SESSIONS
from .sessions import Spent, read_sessions, spent_in_all

Standing: TypeAlias = Literal["running", "done", "paused", "failed", "dead", "damaged"]
"""`failed`: a model refused the key or the name; `dead`: its process ended without a word, and the command that began it goes on;
`damaged`: a file of it cannot be read."""
DEEPEST = 3
"""Folders below the one that is looked at: a comparison has its runs in folders of its own."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run in short.

    Args:
        name: its folder's name.
        run_dir: its folder.
        status: how it stands now.
        changed: when something was last written of it, in seconds since 1970.
        started: what it began with; None where that cannot be read.
        start: the start as it was given: a file, a start's name, a run; "" for the call that a search begins with by itself, and
            of runs that did not write it down.
        split: of what the scores are: the test, else validation.
        start_score, final_score: of start and found workflow; None while nobody knows.
        best: the best score on validation so far, of a run without a result.
        calls: logical model calls.
        spent: what all its sessions paid.
        seconds: how long they worked.
        reason: why it paused, or what is damaged.
        heard: what was last heard of its process.
    """

    name: str
    run_dir: Path
    status: Standing
    changed: float
    started: Started | None = None
    start: str = ""
    split: Literal["test", "val"] = "test"
    start_score: Measure | None = None
    final_score: Measure | None = None
    best: float | None = None
    calls: int = 0
    spent: Spent = NOTHING
    seconds: float = 0.0
    reason: str = ""
    heard: Heartbeat | None = field(default=None, repr=False)

    @property
    def age(self) -> float:
        """Seconds since something was last written of it."""
        return max(0.0, time.time() - self.changed)

    def dump(self) -> dict[str, Any]:
        """The object that `runs --json` prints of it."""
        begun = self.started
        told: Mapping[str, Any] = (
            {"run_id": begun.run, "task": begun.task, "method": begun.method_text, "seed": begun.seed, "effort": begun.effort,
             "models": dict(begun.models)} if begun is not None else {}
        )  # fmt: skip
        scores = {"start": self.start_score, "final": self.final_score}
        return {
            "name": self.name,
            "run_dir": str(self.run_dir),
            "status": self.status,
            **told,
            "start": self.start,
            "split": self.split,
            "scores": {who: score and score.model_dump() for who, score in scores.items()},
            "best": self.best,
            "calls": self.calls,
            "spent": self.spent.model_dump(),
            "seconds": round(self.seconds, 2),
            "age": round(self.age),
            "reason": self.reason,
            "heard": self.heard and self.heard.model_dump(),
        }


@checked_arguments(folder=PATH)
def runs(folder: Path | str = FOLDER) -> tuple[RunSummary, ...]:
    """The runs below a folder, the newest first. Asks no model.

        >>> [(run.name, run.status, run.final_score) for run in fb.runs()]

    Args:
        folder: where they are; a run's own folder gives that run.

    Raises:
        UserError: if there is no such folder, `runs` apart, which the first run makes.
    """
    found = map(read_summary, run_folders(Path(folder)))
    return tuple(sorted(found, key=lambda each: (-each.changed, str(each.run_dir))))


def run_folders(folder: Path) -> list[Path]:
    """The folders of the runs below a folder; its own, where it is a run's.

    Raises:
        UserError: as `runs`.
    """
    if folder.is_dir():
        return list(_below(folder))
    if folder == FOLDER and not os.path.lexists(folder):
        return []
    raise UserError(str(folder), "a file" if folder.exists() else "no such folder", "a folder of runs")


def read_summary(run_dir: Path) -> RunSummary:
    """One run in short; what cannot be read of it is said in `reason`."""
    changed = max((_changed(run_dir / name) for name in (JOURNAL, RESULT, SESSIONS)), default=0.0)
    name = run_dir.resolve().name
    try:
        heard = read_heartbeat(run_dir)
        working = at_work(run_dir, heard)
        started = read_start(run_dir / JOURNAL)
        sessions = read_sessions(run_dir)
        result = read_result(run_dir) if os.path.lexists(run_dir / RESULT) else None
    except UserError as error:
        return RunSummary(name, run_dir, "damaged", changed, reason=str(error))
    seconds = sum(each.seconds for each in sessions)
    split, first, last = _scores(result)
    live = heard if working else None
    status = (
        "running" if working
        else "failed" if sessions and sessions[-1].status == "failed" and (result is None or result.status != "done")
        else "dead" if result is None or (result.status != "done" and heard is not None and not heard.ended)
        else result.status
    )  # fmt: skip
    calls = live.calls if live else sum(result.calls.values()) if result else heard.calls if heard else 0
    return RunSummary(
        name=name, run_dir=run_dir, status=status, changed=max(changed, heard.beat if heard else 0.0), started=started,
        start=heard.start if heard else "", split=split, start_score=first, final_score=last,
        best=heard.best if heard and last is None else None, calls=calls,
        spent=spent_in_all(sessions) if sessions else NOTHING,
        seconds=seconds, reason="" if result is None or working else result.reason, heard=heard,
    )  # fmt: skip


def _scores(result: StoredResult | None) -> tuple[Literal["test", "val"], Measure | None, Measure | None]:
    if result is None:
        return "test", None, None
    start, final = result.scores.start, result.scores.final
    if start.test is None and final.test is None and (start.val or final.val):
        return "val", start.val, final.val
    return "test", start.test, final.test


def _below(folder: Path, depth: int = DEEPEST) -> Iterator[Path]:
    """The runs' folders in and below a folder; links are not followed, and no run is looked for in a run."""
    if os.path.lexists(folder / JOURNAL):
        yield folder
        return
    if depth:
        with suppress(OSError), os.scandir(folder) as there:
            inside = sorted(each.name for each in there if each.is_dir(follow_symlinks=False) and each.name[:1] != ".")
            for name in inside:
                yield from _below(folder / name, depth - 1)


def _changed(path: Path) -> float:
    with suppress(OSError):
        return path.lstat().st_mtime
    return 0.0
