"""The demo's figures: seeds 0, 1 and 2; method `flowbot`, method `random`, and an answer-only start.

    python benchmarks/demo_seeds.py OUT [--seeds 0 1 2] [--effort 200]

Every run is `flowbot demo --json ...`, resumable: the same command goes on where it stopped. One JSON line a run is kept in
OUT/demo_seeds.jsonl, and a table is printed. The seeds are fixed; none is left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

VARIANTS = {
    "flowbot": [],
    "answer-only start": ["--start", "answer-only"],
    "random": ["--method", "random"],
}


def run(variant: str, seed: int, out: Path, effort: str | None) -> dict[str, Any]:
    """One demo run as its JSON object; a paused one is run again."""
    folder = out / f"{variant.replace(' ', '-')}-{seed}"
    command = [sys.executable, "-m", "flowbot", "demo", "--json", "--seed", str(seed), "--run-dir", str(folder)]
    command += ["--effort", effort] if effort else []
    for _ in range(3):
        done = subprocess.run([*command, *VARIANTS[variant]], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return {"variant": variant, **json.loads(done.stdout)}
    raise SystemExit(f"{variant}, seed {seed}: exit status {done.returncode}\n{done.stderr}")


def main() -> None:
    """Run all, keep the raw results, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--effort", help="planned search calls; the demo's own if it is left out")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    results = [
        run(variant, seed, options.out, options.effort) for variant in options.variants for seed in options.seeds
    ]
    with (options.out / "demo_seeds.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(result, ensure_ascii=False) + "\n" for result in results)
    print(
        "| variant | seed | start test | found test | difference (95 %) | logical calls | minutes | kept change from |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for result in results:
        scores = result["scores"]
        gap = scores["difference"]["test"]
        print(
            f"| {result['variant']} | {result['seed']} | {scores['start']['test']['mean']:.2f} "
            f"| {scores['final']['test']['mean']:.2f} | {gap['mean']:+.2f} ({gap['low']:+.2f} to {gap['high']:+.2f}) "
            f"| {sum(result['calls'].values())} | {result['seconds'] / 60:.1f} | {'; '.join(result['kept_from'])} |"
        )


if __name__ == "__main__":
    main()
