"""One pipeline as a program and as a typed workflow: score and calls of both, as they stand and after the same short search.

    python benchmarks/program_beside_typed.py OUT [--only TASK/METHOD] # goes on where it stopped

`benchmarks/beside.yaml` says what is run. The workflow is what `flowbot lift benchmarks/shop/plain.py:answer` makes of the program: the same
requests, so that as they stand the two can differ by nothing but how they are run. A search changes the one as a program, by its texts, and
the other as a workflow, by its steps.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

from flowbot.stats import estimate_mean, paired_difference

HERE = Path(__file__).parent
PAIRS = {"as they stand": ("typed", "program"), "after a search": ("typed-searched", "program-searched")}


def cells(out: Path, method: str) -> dict[str, dict[str, Any]]:
    """What a method came to, by seed, as far as it is done."""
    found = {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))
        for path in out.glob(f"shop/{method}/*/*/*/cell.json")
    }
    return {seed: each for seed, each in sorted(found.items()) if each["status"] == "done"}


def row(name: str, typed: list[dict[str, Any]], program: list[dict[str, Any]]) -> str:
    """One line: both, and what they differ by, paired by example; of several seeds the mean of each example."""
    assert len({tuple(each["examples"]) for each in (*typed, *program)}) == 1
    scores = [
        [fmean(of) for of in zip(*(each["scores"] for each in each_of), strict=True)] for each_of in (typed, program)
    ]
    told = [
        f"{100 * each.mean:.1f} ({100 * each.low:.1f} to {100 * each.high:.1f})" for each in map(estimate_mean, scores)
    ]
    gap = paired_difference(scores[1], scores[0])
    points = f"{100 * gap.mean:+.1f} ({100 * gap.low:+.1f} to {100 * gap.high:+.1f})"
    calls = [
        " and ".join(f"{fmean(each[part]['calls'] for each in of):.0f}" for of in (typed, program))
        for part in ("search", "test")
    ]
    return f"| {name} | {' | '.join([*told, points, *calls])} |"


def table(out: Path) -> str:
    """Both pairs, in Markdown: each seed, and all together."""
    lines = [
        "| | typed, test % | program, test % | difference, points (95 %) | search calls | test calls |",
        "|---|---|---|---|---|---|",
    ]
    for name, methods in PAIRS.items():
        typed, program = (cells(out, method) for method in methods)
        seeds = [seed for seed in typed if seed in program]
        more = [f"{name}, seed {seed}" for seed in seeds] if len(seeds) > 1 else [name] * len(seeds)
        lines += [row(told, [typed[seed]], [program[seed]]) for told, seed in zip(more, seeds, strict=True)]
        if len(seeds) > 1:
            lines.append(row(f"{name}, mean", [typed[each] for each in seeds], [program[each] for each in seeds]))
        if not seeds:
            lines.append(f"| {name} | not run | | | | |")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--bench", type=Path, default=HERE / "beside.yaml")
    options, more = parser.parse_known_args()  # what else is said is said to `flowbot bench`
    command = [sys.executable, "-m", "flowbot", "bench", str(options.bench), "--out", str(options.out), *more]
    ended = subprocess.run(command, check=False)
    print(table(options.out))
    sys.exit(ended.returncode)


if __name__ == "__main__":
    main()
