"""The lives of one run: start it, kill it, start it again; then hold what came of it against an undisturbed run."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DRIVER = Path(__file__).with_name("crash_driver.py")
FILES = ("start.flow.yaml", "found.flow.yaml", "journal.jsonl", "examples.jsonl")
PAID_NOW = ("spent", "now", "sessions", "seconds", "replayed_events")
"""What a result tells of the last process alone."""


@dataclass(frozen=True, slots=True)
class Life:
    """One process of a run.

    Args:
        killed: whether a signal ended it; otherwise it came to its end.
        lines: how many lines of progress it told.
        seconds: from `ready` to its end.
        before: keys of the model's replies that were stored when it began.
        after: those that were stored when it had ended.
        sent: keys of the calls that reached the endpoint, one entry a try.
        replied: keys of the calls that were replied to.
        used: keys of the replies that somebody was given.
        journal: the run's journal as it left it.
        told: what it printed at the end; empty for one that was killed.
    """

    killed: bool
    lines: int
    seconds: float
    before: frozenset[str]
    after: frozenset[str]
    sent: tuple[str, ...]
    replied: tuple[str, ...]
    used: frozenset[str]
    journal: bytes
    told: dict[str, Any]

    @property
    def made_again(self) -> frozenset[str]:
        """Calls that it sent though their replies were stored before: must be none."""
        return frozenset(self.sent) & self.before

    @property
    def lost(self) -> frozenset[str]:
        """Calls that were in flight when it ended: sent, and nothing is stored."""
        return frozenset(self.sent) - self.after

    @property
    def lost_replies(self) -> frozenset[str]:
        """Those of the lost calls that had been replied to, and so paid for."""
        return frozenset(self.replied) - self.after

    @property
    def used_unstored(self) -> frozenset[str]:
        """Replies that somebody was given though they were not stored: must be none."""
        return self.used - self.after

    @property
    def vanished(self) -> frozenset[str]:
        """Stored replies that are gone: must be none."""
        return self.before - self.after


@dataclass(slots=True)
class Run:
    """A run in a folder of its own, life after life.

    Args:
        folder: holds `run/`, `cache/` and the logs of calls.
        options: of the driver.
    """

    folder: Path
    options: Sequence[str] = ()
    lives: list[Life] = field(default_factory=list["Life"])

    def live(self, *, die: str = "", line: int | None = None, delay: float | None = None) -> Life:
        """Live once more, to the end or until killed.

        Args:
            die: `POINT:N`: the process kills itself there.
            line: kill it when it has told so many lines of progress.
            delay: kill it so many seconds after it was ready.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / f"calls.{len(self.lives)}.log"
        before = stored(self.folder)
        command = [sys.executable, str(DRIVER), "--log", str(log), "--die", die, *self.options]
        process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        with process.stdout as out:
            first = out.readline()
            began = time.monotonic()
            if delay is not None:
                time.sleep(delay)
                process.kill()
            told: list[str] = []
            for each in out:
                if len(told) == line:
                    process.kill()
                told.append(each)
        status = process.wait()
        seconds = time.monotonic() - began
        if first != "ready\n" or status not in (0, -signal.SIGKILL):
            raise RuntimeError(f"{self.folder}: the process ended with status {status}")
        journal = self.folder / "run" / "journal.jsonl"
        noted = [each.split(" ") for each in log.read_text().splitlines()] if log.exists() else []
        life = Life(
            killed=status != 0,
            lines=len(told) if status else len(told) - 1,
            seconds=seconds,
            before=before,
            after=stored(self.folder),
            sent=tuple(key for mark, key in noted if mark == ">"),
            replied=tuple(key for mark, key in noted if mark == "<"),
            used=frozenset(key for mark, key in noted if mark == "="),
            journal=journal.read_bytes() if journal.exists() else b"",
            told=json.loads(told[-1]) if status == 0 else {},
        )
        self.lives.append(life)
        return life

    def outcome(self) -> dict[str, Any]:
        """What must not depend on disturbances, whole: the files to the letter, and the result but for what it cost now."""
        found: dict[str, Any] = {name: (self.folder / "run" / name).read_text(encoding="utf-8") for name in FILES}
        result = json.loads((self.folder / "run" / "result.json").read_text(encoding="utf-8"))
        return {**found, "result": {key: value for key, value in result.items() if key not in PAID_NOW}}

    def violations(self, calm: Run) -> list[str]:
        """What is wrong with this run, ended, in the light of an undisturbed one; empty if nothing is."""
        wrong: list[str] = []
        for number, life in enumerate(self.lives, start=1):
            if life.made_again:
                wrong.append(f"life {number} made {len(life.made_again)} stored calls again")
            if life.vanished:
                wrong.append(f"life {number} lost {len(life.vanished)} stored replies")
            if life.used_unstored:
                wrong.append(f"life {number} used {len(life.used_unstored)} replies that were not stored")
            if not calm.lives[-1].journal.startswith(life.journal):
                wrong.append(f"life {number} left another journal")
        mine, other = self.outcome(), calm.outcome()
        wrong.extend(f"{name} differs" for name in other if mine[name] != other[name])
        last = self.lives[-1]
        if last.after != calm.lives[-1].after:
            wrong.append("other calls are stored")
        if len(set(last.replied)) != last.told["result"]["now"]["calls"]:
            wrong.append(f"{len(set(last.replied))} calls replied to, {last.told['result']['now']['calls']} counted")
        return wrong


def stored(folder: Path) -> frozenset[str]:
    """Keys of the model's replies in the store, read from a copy: what a kill left behind stays as it is."""
    from flowbot.store import Store

    async def keys(path: Path) -> frozenset[str]:
        store = Store.open(path)
        try:
            return frozenset(await store.items("lm"))
        finally:
            await store.close()

    with tempfile.TemporaryDirectory() as temporary:
        for name in ("store.sqlite", "store.sqlite-wal"):
            if (folder / "cache" / name).exists():
                shutil.copy(folder / "cache" / name, temporary)
        path = Path(temporary) / "store.sqlite"
        return asyncio.run(keys(path)) if path.exists() else frozenset()
