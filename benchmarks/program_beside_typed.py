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
from typing import Any

from flowbot.stats import estimate_mean, paired_difference

HERE = Path(__file__).parent
PAIRS = {"as they stand": ("typed", "program"), "after a search": ("typed-searched", "program-searched")}


def cell(out: Path, method: str) -> dict[str, Any] | None:
    """What a method came to; None where it is not done."""
    for path in out.glob(f"shop/{method}/*/*/*/cell.json"):
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["status"] == "done":
            return found
    return None


def shown(found: dict[str, Any]) -> str:
    """A score in percent with its interval."""
    each = estimate_mean(found["scores"])
    return f"{100 * each.mean:.1f} ({100 * each.low:.1f} to {100 * each.high:.1f})"


def table(out: Path) -> str:
    """Both pairs, in Markdown."""
    lines = [
        "| | typed, test % | program, test % | difference, points (95 %) | search calls | test calls |",
        "|---|---|---|---|---|---|",
    ]
    for name, methods in PAIRS.items():
        typed, program = (cell(out, method) for method in methods)
        if typed is None or program is None:
            lines.append(f"| {name} | not run | | | | |")
            continue
        assert typed["examples"] == program["examples"]
        gap = paired_difference(program["scores"], typed["scores"])
        calls = [f"{typed[part]['calls']} and {program[part]['calls']}" for part in ("search", "test")]
        points = f"{100 * gap.mean:+.1f} ({100 * gap.low:+.1f} to {100 * gap.high:+.1f})"
        lines.append(f"| {name} | {shown(typed)} | {shown(program)} | {points} | {' | '.join(calls)} |")
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
