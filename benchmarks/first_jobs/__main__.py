"""Four jobs from nothing, as a new user would do them, against a model that thinks before it answers.

    python benchmarks/first_jobs OUT [--job triage] [--usd 0.6]

Each job begins in an empty folder with the files that a person would come with; the commands are typed as they stand in `jobs.py`. The
endpoint keeps its own count, so that what FlowBot says it spent is held against what was served. One JSON line a job goes to
OUT/first_jobs.jsonl, all that was printed to OUT/JOB.txt, and a table is printed. Exit status 1: a command failed, a ceiling was
passed, or the two counts differ.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from jobs import JOBS, Job
from model import Thinker

_ROOT = Path(__file__).resolve().parents[2]


def do(job: Job, ceiling: float, out: Path) -> dict[str, Any]:
    """One job from nothing, as its line of the raw results."""
    typed: list[dict[str, Any]] = []
    said: list[str] = []
    with tempfile.TemporaryDirectory(prefix="flowbot-first-") as name, Thinker(job.mind) as endpoint:
        folder = Path(name)
        for file, text in job.files().items():
            (folder / file).write_text(text, encoding="utf-8")
        environment = {
            **{each: os.environ[each] for each in ("PATH", "LANG", "TMPDIR") if each in os.environ},
            "HOME": str(folder),
            "FLOWBOT_CACHE_DIR": str(folder / "cache"),
            "PYTHONPATH": str(_ROOT / "src"),
            "OPENAI_BASE_URL": endpoint.url,
            "OPENAI_API_KEY": "sk-first-0123456789abcdef",
            "NO_COLOR": "1",
            "COLUMNS": "100",
        }
        for each in job.commands:
            command = each.format(ceiling=f"{ceiling:g}")
            began = time.monotonic()
            done = subprocess.run(
                [sys.executable, "-m", "flowbot", *shlex.split(command)],
                cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            )  # fmt: skip
            said.append(f"$ flowbot {command}\n{done.stdout}{done.stderr}(exit status {done.returncode})\n")
            seconds = round(time.monotonic() - began, 1)
            typed.append({"command": f"flowbot {command}", "status": done.returncode, "seconds": seconds})
        results = folder / "run" / "result.json"
        result: dict[str, Any] = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{job.name}.txt").write_text("\n".join(said), encoding="utf-8")
    count = endpoint.count
    return {
        "job": job.name,
        "about": job.about,
        "typed": typed,
        "ceiling": ceiling,
        "served": {
            "requests": count.requests,
            "empty": count.empty,
            "thought": count.thought,
            "usd": round(count.usd, 4),
        },
        **{name: result.get(name) for name in ("status", "stopped_by", "scores", "calls", "spent", "nodes")},
    }


def faults(line: dict[str, Any]) -> list[str]:
    """What is wrong with a job, in words."""
    found = [f"{each['command']}: exit status {each['status']}" for each in line["typed"] if each["status"]]
    spent, served = (line["spent"] or {}).get("usd"), line["served"]["usd"]
    if spent is None or spent > line["ceiling"] + 1e-9:
        found.append(f"spent {spent} under a ceiling of {line['ceiling']}")
    elif not spent <= served <= spent + 0.02:  # the check's own probe is served beside the run
        found.append(f"spent {spent} by FlowBot's count, {served} by the endpoint's")
    return found


def main() -> None:
    """Do them all, keep the raw results, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--job", choices=[job.name for job in JOBS], action="append")
    parser.add_argument("--usd", type=float, help="the ceiling of each; otherwise the job's own")
    given = parser.parse_args()
    wrong: list[str] = []
    print("| job | typed | ceiling | spent | served | empty replies | start | found | test rows |")
    print("|---|---|---|---|---|---|---|---|---|")
    for job in JOBS:
        if given.job and job.name not in given.job:
            continue
        line = do(job, given.usd or job.ceiling, given.out)
        with (given.out / "first_jobs.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        scores = line["scores"] or {}
        start, final = ((scores.get(which) or {}).get("test") or {} for which in ("start", "final"))
        shown = [f"{each['mean']:.0%}" if each else "-" for each in (start, final)]
        usd = (line["spent"] or {}).get("usd")
        print(
            f"| {job.name} | {len(line['typed'])} commands | ${line['ceiling']:g} | {'-' if usd is None else f'${usd:.4f}'} | "
            f"${line['served']['usd']:.4f} | {line['served']['empty']} of {line['served']['requests']} | {shown[0]} | {shown[1]} | "
            f"{final.get('n', '-')} |",
            flush=True,
        )
        wrong += [f"{job.name}: {each}" for each in faults(line)]
    for each in wrong:
        print(each, file=sys.stderr)
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
