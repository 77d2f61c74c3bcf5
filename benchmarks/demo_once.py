"""The demo on an empty store: how long, how much memory, and, if wished, what a `kill -9` in mid-run costs.

    python benchmarks/demo_once.py OUT [--seed 0] [--effort 200] [--kill-after SECONDS]

The cache folder is OUT/cache, with the models of the user's cache linked into it. Memory is the sum of the resident sets of all processes of
the run, sampled twice a second (Linux). With `--kill-after` the first process is killed that many seconds after its first stored
response, and the same command is given again; then once more, to see that the finished run is its own replay. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from flowbot.store import default_cache_dir

PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20 if hasattr(os, "sysconf") else 0.0


def resident(root: int) -> float:
    """Megabytes in memory of a process and all below it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    family, grown = {root}, True
    while grown:
        more = {each for each, parent in parents.items() if parent in family} - family
        family, grown = family | more, bool(more)
    total = 0.0
    for each in family:
        try:
            total += int(Path(f"/proc/{each}/statm").read_text().split()[1]) * PAGE_MB
        except OSError:
            continue
    return total


def stored(cache: Path) -> int:
    """Responses in the store."""
    path = cache / "store.sqlite"
    if not path.exists():
        return 0
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as store:
        try:
            return int(store.execute("select count(*) from responses where kind = 'lm'").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def once(command: list[str], cache: Path, kill_after: float | None) -> dict[str, Any]:
    """One process from beginning to end, or to its kill."""
    began, peak, first = time.monotonic(), 0.0, 0.0
    before = stored(cache)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        while process.poll() is None:
            peak = max(peak, resident(process.pid))
            if kill_after is not None:
                first = first or (time.monotonic() if stored(cache) > before else 0.0)
                if first and time.monotonic() - first > kill_after:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    break
            time.sleep(0.5)
        text = process.stdout.read() if process.stdout else ""
    facts: dict[str, Any] = {"exit": process.returncode, "minutes": round((time.monotonic() - began) / 60, 2)}
    facts |= {"peak_mb": round(peak), "stored_before": before, "stored_after": stored(cache)}
    if process.returncode == 0:
        result = json.loads(text)
        facts |= {
            key: result[key] for key in ("scores", "spent", "calls", "seconds", "replayed_events") if key in result
        }
    return facts


def main() -> None:
    """Run, kill, run again, replay."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--effort", help="planned search calls; the demo's own if it is left out")
    parser.add_argument("--kill-after", type=float)
    options = parser.parse_args()
    cache: Path = options.out / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    if not (cache / "models").exists():
        (cache / "models").symlink_to(default_cache_dir() / "models", target_is_directory=True)
    command = [sys.executable, "-m", "flowbot", "demo", "--json", "--seed", str(options.seed)]
    command += ["--cache-dir", str(cache), "--run-dir", str(options.out / "run")]
    command += ["--effort", options.effort] if options.effort else []
    runs = [once(command, cache, options.kill_after)] if options.kill_after is not None else []
    runs += [once(command, cache, None), once(command, cache, None)]
    print(json.dumps({"seed": options.seed, "runs": runs}, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
