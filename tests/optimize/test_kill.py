"""kill -9 at ten random moments: the same command goes on, ends as an undisturbed run does, and pays for nothing twice."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).parents[2]
SCRIPT = """
import json, sys
from pathlib import Path
from flowbot.optimize import optimize
from flowbot.task import Task

task = Task.load(sys.argv[1])
say = lambda event: print(event.calls, flush=True)
result = optimize(task, lm="fake/counter?p429=0.05&latency=0.2", run_dir=Path(sys.argv[2]), cache_dir=Path(sys.argv[3]), progress=say)
print(json.dumps(result.to_json()), flush=True)
"""


def start(folder: Path) -> subprocess.Popen[str]:
    task = str(ROOT / "examples" / "orders" / "task.yaml")
    command = [sys.executable, "-c", SCRIPT, task, str(folder / "run"), str(folder / "cache")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def stored(folder: Path) -> int:
    connection = sqlite3.connect(folder / "cache" / "store.sqlite")
    try:
        return int(connection.execute("SELECT count(*) FROM responses WHERE kind = 'lm'").fetchone()[0])
    finally:
        connection.close()


def finish(folder: Path) -> tuple[dict[str, Any], int]:
    """The result of a run that is left alone, and how many lines of progress it told."""
    lines = start(folder).communicate()[0].splitlines()
    return json.loads(lines[-1]), len(lines) - 1


def kill_at(folder: Path, line: int) -> None:
    """Kill the run without warning once it has told so many lines of progress."""
    process = start(folder)
    assert process.stdout is not None
    with process.stdout:
        for number, _ in enumerate(process.stdout):
            if number >= line:
                process.kill()
                break
    assert process.wait() == -signal.SIGKILL


def outcome(folder: Path, result: dict[str, Any]) -> dict[str, Any]:
    """What must not depend on disturbances: scores, logical calls, the workflow's file and the journal, to the letter."""
    same = ("scores", "calls", "nodes", "kept_from", "curve", "status")
    files = {name: (folder / "run" / name).read_text() for name in ("found.flow.yaml", "journal.jsonl")}
    return {**{key: result[key] for key in same}, **files}


def test_a_kill_at_any_of_ten_moments_changes_nothing_and_no_stored_call_is_made_again(tmp_path: Path) -> None:
    calm = tmp_path / "calm"
    undisturbed, lines = finish(calm)
    total = stored(calm)
    assert undisturbed["spent"]["calls"] == total
    rng = Random(20261121)
    for moment in sorted(rng.sample(range(1, lines - 20), k=10)):
        folder = tmp_path / str(moment)
        kill_at(folder, moment)
        before = stored(folder)
        result, _ = finish(folder)
        assert outcome(folder, result) == outcome(calm, undisturbed), f"killed after {moment} lines"
        assert result["spent"]["calls"] == total - before, f"killed after {moment} lines"
        assert stored(folder) == total
