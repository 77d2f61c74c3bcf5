"""One life of a run that may kill itself at a named point: what the tests and the benchmark of crashes start.

    python benchmarks/crash_driver.py --log LOG [--die POINT:N] [--task T --model M --effort E --seed S]

Runs `optimize` in the working directory (`run/` and `cache/` there), prints `ready`, a line for every step of
progress and, at the end, one JSON object. `--die POINT:N` sends SIGKILL to the own process at the N-th passage of a
point. Nothing in FlowBot knows of the points: they are put around its functions here.

| point | where |
|---|---|
| after-reply | the endpoint has replied, nothing is stored |
| in-commit | rows are inserted, the transaction is open |
| after-commit | committed, nobody has been told |
| before-journal | everything is stored that an event tells of, the event is not written |
| in-journal | half of an event's line is on disk |
| after-journal | the event is on disk, the run has not gone on |
| in-result | a file of the run is half written, or written and not yet at its place |
| in-migration | between two statements of the migration of the store's file |

LOG gets a line `> KEY` for every call that reaches the endpoint, `< KEY` for every reply and `= KEY` for every reply that
somebody was given, each in the file before anything else happens; KEY is that of the store.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import time
from collections import Counter
from contextvars import ContextVar
from pathlib import Path
from typing import Any, cast

ORDERS = Path(__file__).parents[1] / "examples" / "orders" / "task.yaml"
MODEL = "fake/counter?p429=0.05&p500=0.02&latency=0.2"


class Fuse:
    """Counts passages of points, and ends the process at the one that was named.

    Args:
        die: `POINT:N`; "" never ends it.
    """

    def __init__(self, die: str) -> None:
        self._point, _, number = die.partition(":")
        self._number = int(number or 0)
        self.passages: Counter[str] = Counter()

    def passing(self, point: str) -> None:
        """The process is at `point`."""
        if self.next(point):
            os.kill(os.getpid(), signal.SIGKILL)

    def next(self, point: str) -> bool:
        """Count a passage of `point`; whether it is the one to die at."""
        self.passages[point] += 1
        return point == self._point and self.passages[point] == self._number


def watch_calls(fuse: Fuse, log: Path) -> None:
    """Note every call that reaches the fake endpoint under its key, every reply, and every reply that is handed on."""
    from flowbot.lm.lm import LM
    from flowbot.testing.fake import FakeClient

    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    asked: ContextVar[str] = ContextVar("asked")
    key_of, ask, complete = LM.key, LM.ask, FakeClient.complete

    def note(mark: str) -> None:
        os.write(file, f"{mark} {asked.get()}\n".encode())

    def key(self: LM, *given: Any, **named: Any) -> str:
        found = key_of(self, *given, **named)
        asked.set(found)  # a call's own task, which is made after this, inherits it
        return found

    async def noted(self: FakeClient, *given: Any, **named: Any) -> Any:
        note(">")
        reply = await complete(self, *given, **named)
        note("<")
        fuse.passing("after-reply")
        return reply

    async def answered(self: LM, *given: Any, **named: Any) -> Any:
        reply = await ask(self, *given, **named)
        note("=")
        return reply

    LM.key = key
    LM.ask = answered
    FakeClient.complete = noted


def watch_commits(fuse: Fuse) -> None:
    """Put points around every transaction that inserts rows, and into the store's migration."""
    connect = sqlite3.connect

    class Inserting(sqlite3.Cursor):
        def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
            done = super().execute(sql, *given)
            if sql.strip().upper().startswith("INSERT"):
                cast("Watched", self.connection).inserted = True
            return done

    class Watched(sqlite3.Connection):
        inserted = False

        def cursor(self, *given: Any) -> Any:
            return super().cursor(*given or (Inserting,))

        def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
            said = sql.strip().upper()
            if said.startswith("COMMIT") and self.inserted:
                if fuse.next("in-commit"):
                    time.sleep(0.05)  # whoever was told too early has time to make use of it
                    os.kill(os.getpid(), signal.SIGKILL)
                done = super().execute(sql, *given)
                fuse.passing("after-commit")
                return done
            done = super().execute(sql, *given)
            if said.startswith(("BEGIN", "ROLLBACK")):
                self.inserted = False
            elif self.in_transaction and said.startswith(("CREATE", "ALTER", "PRAGMA USER_VERSION =")):
                fuse.passing("in-migration")
            return done

    def watched(*given: Any, **named: Any) -> sqlite3.Connection:
        if given == (":memory:",):  # what a store's schema is compared with
            return connect(*given, **named)
        return connect(*given, factory=Watched, **named)

    sqlite3.connect = watched


def watch_journal(fuse: Fuse) -> None:
    """Put points before, into and after the writing of a journal line."""
    from flowbot.run.journal import Journal

    append = Journal._append  # pyright: ignore[reportPrivateUsage]

    def watched(self: Journal, line: bytes) -> None:
        fuse.passing("before-journal")
        if fuse.next("in-journal"):
            append(self, line[: len(line) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        append(self, line)
        fuse.passing("after-journal")

    Journal._append = watched  # pyright: ignore[reportPrivateUsage]


def watch_files(fuse: Fuse, folder: Path) -> None:
    """Put points into the writing of the run's other files, and before each is moved to its place."""
    from flowbot.run.heartbeat import NAME

    fsync, replace, folder = os.fsync, os.replace, folder.absolute()

    def half(file: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{file}"))
        # A file that takes another's place is written beside it, under a hidden name.
        if path.parent == folder and path.name.startswith(".") and fuse.next("in-result"):
            os.truncate(file, os.fstat(file).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(file)

    def watched(old: Any, new: Any, **named: Any) -> None:
        if Path(new).absolute().parent == folder and Path(new).name != NAME:  # that is written by the clock
            fuse.passing("in-result")
        replace(old, new, **named)

    os.fsync = half
    os.replace = watched


def main() -> None:
    """Live once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--die", default="")
    parser.add_argument("--task", type=Path, default=ORDERS)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--effort", choices=["low", "medium", "high"], default="low")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()

    from flowbot.optimizer.run import optimize
    from flowbot.report.report import write_report
    from flowbot.task import Task

    fuse, folder = Fuse(given.die), Path("run")
    watch_calls(fuse, given.log)
    watch_commits(fuse)
    watch_journal(fuse)
    watch_files(fuse, folder)
    task = Task.load(given.task)
    print("ready", flush=True)
    result = optimize(
        task,
        lm=given.model,
        effort=given.effort,
        seed=given.seed,
        run_dir=folder,
        cache_dir=Path("cache"),
        progress=lambda event: print(event.calls, flush=True),
    )
    write_report(result.run_dir)
    print(json.dumps({"result": result.to_json(), "passages": fuse.passages}), flush=True)


if __name__ == "__main__":
    main()
