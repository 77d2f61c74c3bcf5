"""Two users, each with a process and a file of their own, on one PostgreSQL: what is paid twice between them, and whether their journals are equal.

python benchmarks/shared_store.py [--repeats 3] [--out benchmarks/results/shared_store.jsonl]

Each scenario is a search of `flowbot optimize` against an endpoint on this machine that counts each request by its whole body:
`one` user with a file alone; one user with `two tiers`; `two users` at once; the same where the server is killed in mid-run and brought back
(`short`: within the time for which it is waited; `long`: after both have paused, and are run again).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from first_jobs.model import Thinker
from mocked import anything
from postgres_here import Postgres

USERS = ("ada", "bob")
PAUSED = 3


class Counting(Thinker):
    """An endpoint that takes its time, and counts equal requests."""

    def __init__(self) -> None:
        super().__init__(anything)
        self.asked = Counter[str]()

    def reply(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """As the thinker's."""
        with self._lock:
            self.asked[json.dumps(body, sort_keys=True)] += 1
        time.sleep(0.05)
        return super().reply(body)


def task(folder: Path) -> Path:
    """Adding up, in four dozen rows."""
    folder.mkdir(parents=True)
    for split, size in (("train", 24), ("val", 12), ("test", 12)):
        rows = [
            {"id": f"{split}-{n}", "note": f"{n} pens and {n + len(split)} cups", "total": 2 * n + len(split)}
            for n in range(size)
        ]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / "task.yaml"
    data = "{train: train.jsonl, val: val.jsonl, test: test.jsonl}"
    path.write_text(
        f"flowbot: 1\ngoal: Add up.\ninputs: {{note: str}}\noutputs: {{total: int}}\nmetric: numeric\ndata: {data}\n"
    )
    return path


def started(folder: Path, user: str, endpoint: str, url: str) -> subprocess.Popen[str]:
    """A user's process."""
    around = {**os.environ, "OPENAI_BASE_URL": endpoint, "OPENAI_API_KEY": "none", "FLOWBOT_STORE": url}
    verb = [
        sys.executable,
        "-m",
        "flowbot",
        "optimize",
        str(folder / "task" / "task.yaml"),
        "--model",
        "openai/mini",
        "--meta-model",
        "openai/large",
    ]
    more = [
        "--effort",
        "120",
        "--seed",
        "1",
        "--quiet",
        "--run-dir",
        str(folder / user / "run"),
        "--cache-dir",
        str(folder / user / "cache"),
        "--concurrency",
        "8",
    ]
    return subprocess.Popen([*verb, *more], env=around, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def journal(folder: Path, user: str) -> str:
    """A hash of all that a run decided, but for its name, which the task's folder is part of, and the seconds that the endpoint took."""
    text = (folder / user / "run" / "journal.jsonl").read_text()
    text = re.sub(r'"run": "task-\w+"', "", text, count=1)
    return hashlib.sha256(re.sub(r'"seconds": [\d.e-]+', "", text).encode()).hexdigest()[:16]


def scenario(name: str, server: Postgres) -> dict[str, Any]:
    """What came of one."""
    with tempfile.TemporaryDirectory() as temporary, Counting() as endpoint:
        folder = Path(temporary)
        task(folder / "task")
        users = USERS if name in ("two users", "short", "long") else USERS[:1]
        url = "" if name == "one" else server.url
        server.ask_nothing("DROP TABLE IF EXISTS flowbot_responses, flowbot_claims")
        began = time.monotonic()
        at_work = [started(folder, user, endpoint.url, url) for user in users]
        ends: list[list[int]] = []
        if name in ("short", "long"):
            while endpoint.count.requests < 40:
                time.sleep(0.02)
            server.kill()
            if name == "long":
                ends.append([each.wait() for each in at_work])
                assert all(server.url not in (each.stderr.read() if each.stderr else "") for each in at_work)
            else:
                time.sleep(3)
            server.start()
            if name == "long":
                at_work = [started(folder, user, endpoint.url, url) for user in users]
        said = [each.communicate() for each in at_work]
        ends.append([each.returncode for each in at_work])
        journals = {journal(folder, user) for user in users}
        return {
            "scenario": name,
            "exit": ends,
            "requests": endpoint.count.requests,
            "different": len(endpoint.asked),
            "paid_twice": sum(number - 1 for number in endpoint.asked.values()),
            "journals": sorted(journals),
            "seconds": round(time.monotonic() - began, 1),
            "said": "" if ends[-1] == [0] * len(users) else " | ".join(err.strip()[-200:] for _, err in said),
        }


def main() -> None:
    """Run all scenarios; exit status 1 where one shows what it should not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=["one", "two tiers", "two users", "short", "long"])
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    journals: set[str] = set()
    wrong = 0
    with Postgres() as server:
        for repeat in range(asked.repeats):
            for name in asked.only:
                found = {"repeat": repeat, **scenario(name, server)}
                journals |= set(found["journals"])
                paused = name == "long" and found["exit"][0] != [PAUSED] * 2
                wrong += found["paid_twice"] > 0 or any(found["exit"][-1]) or paused
                print(json.dumps(found), flush=True)
                if asked.out is not None:
                    with asked.out.open("a") as file:
                        file.write(json.dumps(found) + "\n")
    print(f"{len(journals)} different journal(s), {wrong} scenario(s) wrong")
    sys.exit(bool(wrong) or len(journals) != 1)


if __name__ == "__main__":
    main()
