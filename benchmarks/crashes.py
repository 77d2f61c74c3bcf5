"""What do kills cost? Runs of `optimize` that are killed again and again, held against undisturbed ones.

    python benchmarks/crashes.py OUT [--kills 200] [--seed 0]

Half of the kills come from outside at random moments (a random delay, or a random line of progress), half from inside
at a random passage of a random point of `crash_driver.py`. A run dies 5 to 10 times and is then left to finish. The
model is the fake one, with faults; the task is examples/orders. OUT/crashes.jsonl gets a line for every run, and the
same command goes on after the last of them; folders of runs with a violation are kept in OUT. Prints a table; exit
status 1 if anything was violated.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from crash_lives import Life, Run

POINTS = (
    "after-reply",
    "in-commit",
    "after-commit",
    "before-journal",
    "in-journal",
    "after-journal",
    "in-result",
    "in-migration",
)
CONFIGURATIONS = (
    ("--seed", "0", "--effort", "low"),
    ("--seed", "1", "--effort", "medium"),
    ("--seed", "2", "--effort", "medium", "--model", "fake/counter?p429=0.1&p500=0.05&preset=0.02&garbage=0.02&latency=1"),
    ("--seed", "3", "--effort", "high"),
)  # fmt: skip


def plan(rng: Random, calm: Life, *, first: bool, outside: bool) -> dict[str, Any]:
    """How the next life is to end, as arguments of `Run.live`."""
    if outside:
        if rng.random() < 0.5:
            return {"delay": rng.uniform(0, calm.seconds)}
        return {"line": rng.randrange(calm.lines)}
    passages: dict[str, int] = calm.told["passages"]
    point = rng.choice([each for each in POINTS if first or each != "in-migration"])
    # Passages on the way of what is not done yet: a life gets past a part of them only, the last file always.
    most = passages[point] if point.startswith("in-result") else max(1, passages[point] // 6)
    return {"die": f"{point}:{rng.randint(1, passages[point] if point == 'in-migration' else most)}"}


def one_run(index: int, seed: int, calm: Run, folder: Path, done: Counter[str], kills: int) -> dict[str, Any]:
    """A run that is killed a few times and then finishes, as the line that is kept of it."""
    rng = Random(f"{seed}/{index}")
    run = Run(folder, calm.options)
    ended: list[str] = []
    aim = min(rng.randint(5, 10), kills - done.total())
    while len(ended) < aim:
        counted = done + Counter(kind_of(each) for each in ended)
        outside = (counted["random"], rng.random()) < (counted["fail-point"], 0.5)
        how = plan(rng, calm.lives[0], first=not run.lives, outside=outside)
        if not run.live(**how).killed:
            break
        ended.append(how.get("die") or next(iter(how)))
    if not run.lives or run.lives[-1].killed:
        run.live()
    killed = [life for life in run.lives if life.killed]
    wrong = run.violations(calm)
    if not wrong:
        shutil.rmtree(folder)
    return {
        "run": index,
        "options": list(calm.options),
        "kills": ended,
        "violations": wrong,
        "made_again": sum(len(life.made_again) for life in run.lives),
        "lost": [len(life.lost) for life in killed],
        "lost_replies": [len(life.lost_replies) for life in killed],
        "stored": len(run.lives[-1].after),
    }


def kind_of(ended: str) -> str:
    """`fail-point` or `random`."""
    return "fail-point" if ":" in ended else "random"


def summary(rows: list[dict[str, Any]]) -> str:
    """The table."""
    ended = [each for row in rows for each in row["kills"]]
    kinds = Counter(kind_of(each) for each in ended)
    points = Counter(each.partition(":")[0] for each in ended)
    lost = [number for row in rows for number in row["lost"]]
    replies = [number for row in rows for number in row["lost_replies"]]
    facts = {
        "kills of a living process": len(ended),
        "at random moments": kinds["random"],
        "at fail-points": kinds["fail-point"],
        "runs": len(rows),
        "runs that ended as undisturbed ones": sum(not row["violations"] for row in rows),
        "stored calls made again": sum(row["made_again"] for row in rows),
        "calls in flight lost, most in one kill": max(lost, default=0),
        "calls in flight lost, in all": sum(lost),
        "of these replied to already, most in one kill": max(replies, default=0),
        "of these replied to already, in all": sum(replies),
        "different calls of all runs": sum(row["stored"] for row in rows),
    }
    table = ["| what | number |", "|---|---|", *(f"| {name} | {number} |" for name, number in facts.items())]
    where = ", ".join(f"{point} {number}" for point, number in sorted(points.items()))
    return "\n".join([*table, "", f"Kills by place: {where}."])


def main() -> int:
    """Kill, compare, keep, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    out: Path = given.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    raw = out / "crashes.jsonl"
    rows = [json.loads(line) for line in raw.read_text().splitlines()] if raw.exists() else []
    done = Counter(kind_of(each) for row in rows for each in row["kills"])
    calms: list[Run] = []
    if done.total() < given.kills:
        shutil.rmtree(out / "calm", ignore_errors=True)
        calms = [Run(out / "calm" / str(number), options) for number, options in enumerate(CONFIGURATIONS)]
        for calm in calms:
            calm.live()
    while done.total() < given.kills:
        index = len(rows)
        folder = out / f"run-{index}"
        shutil.rmtree(folder, ignore_errors=True)
        row = one_run(index, given.seed, calms[index % len(calms)], folder, done, given.kills)
        rows.append(row)
        done.update(kind_of(each) for each in row["kills"])
        with raw.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        found = "; ".join(row["violations"]) or "as undisturbed"
        print(f"run {index}: {len(row['kills'])} kills ({done.total()} of {given.kills} done), {found}", flush=True)
    shutil.rmtree(out / "calm", ignore_errors=True)
    print(summary(rows))
    return int(any(row["violations"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
