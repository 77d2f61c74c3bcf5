"""kill -9 at ten random moments: the same command goes on, ends as an undisturbed run does, and pays for nothing twice."""

from __future__ import annotations

import json
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


def finish(folder: Path) -> dict[str, Any]:
    out, _ = start(folder).communicate()
    return json.loads(out.splitlines()[-1])


def kill_at(folder: Path, line: int) -> None:
    """Kill the run without warning once it has told so many lines of progress."""
    process = start(folder)
    assert process.stdout is not None
    with process.stdout:
        for number, _ in enumerate(process.stdout):
            if number >= line:
                process.kill()
                break
    process.wait()


def test_ten_kills_change_nothing_and_no_stored_call_is_made_again(tmp_path: Path) -> None:
    undisturbed = finish(tmp_path / "undisturbed")
    total = stored(tmp_path / "undisturbed")
    assert undisturbed["spent"]["calls"] == total
    disturbed = tmp_path / "disturbed"
    rng = Random(20261121)
    for line in sorted(rng.randrange(2, 900) for _ in range(10)):
        kill_at(disturbed, line)
    before = stored(disturbed)
    assert before > 0
    result = finish(disturbed)
    same = ("scores", "calls", "nodes", "kept_from", "curve", "status")
    assert {key: result[key] for key in same} == {key: undisturbed[key] for key in same}
    assert (disturbed / "run" / "found.flow.yaml").read_text() == (
        tmp_path / "undisturbed" / "run" / "found.flow.yaml"
    ).read_text()
    assert (disturbed / "run" / "journal.jsonl").read_text() == (
        tmp_path / "undisturbed" / "run" / "journal.jsonl"
    ).read_text()
    assert result["spent"]["calls"] == total - before
    assert stored(disturbed) == total
