"""Pipelines built on frameworks, each framework in an environment of its own: how many of their true edges are found, and whether a run
comes again from its store without a request. Writes the table of docs/program-edges.md.

    python benchmarks/pipelines [--write docs/program-edges.md] [--only ENVIRONMENT] [--cache-dir CACHE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
BEGIN, END = "<!-- pipelines: made by benchmarks/pipelines -->", "<!-- pipelines end -->"


async def environment(name: str, needs: list[str], cache_dir: Path) -> Path:
    """The interpreter of an environment with FlowBot's own needs and those of a framework."""
    from flowbot.benchmark.environment import make_environment
    from flowbot.lm.stop import StopSignal

    own: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    requirements = cache_dir / f"{name}.txt"
    requirements.parent.mkdir(parents=True, exist_ok=True)
    requirements.write_text("\n".join([*own, *needs]), encoding="utf-8")
    return await make_environment(requirements, cache_dir, stop=StopSignal(), say=print) / "bin" / "python"


def outcomes(python: Path, name: str) -> list[dict[str, Any]]:
    """Of each pipeline of an environment."""
    path = os.pathsep.join(str(ROOT / each) for each in ("src", "benchmarks"))
    ended = subprocess.run(
        [python, "-m", "pipelines.ran", name],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in ended.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise SystemExit(f"{name}: {ended.stderr[-2000:]}")
    return [json.loads(line) for line in lines]


def table(found: list[tuple[str, dict[str, Any]]]) -> str:
    """All of it, in Markdown."""
    lines = [
        "| environment | pipeline | true edges | found | right | requests | asked again in a replay |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, each in found:
        if each["error"]:
            lines.append(f"| {name} | `{each['name']}` | {each['true']} | failed: {each['error'][:120]} | | | |")
            continue
        again = f"{each['replayed']}" + ("" if each["same"] else ", and the trace differs")
        counts = [each[key] for key in ("true", "found", "right", "requests")]
        lines.append(f"| {name} | `{each['name']}` | {' | '.join(map(str, counts))} | {again} |")
    true, made, right = (sum(each.get(key, 0) for _, each in found) for key in ("true", "found", "right"))
    lines.append(f"\nPrecision {right / max(1, made):.3f}, recall {right / max(1, true):.3f} of {true} edges.")
    return "\n".join(lines)


def main() -> None:
    """See the top."""
    from pipelines.framed import CASES, NEEDS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--cache-dir", type=Path, default=Path(tempfile.gettempdir()) / "flowbot-pipelines")
    options = parser.parse_args()
    found: list[tuple[str, dict[str, Any]]] = []
    for name in CASES:
        if options.only in name:
            python = asyncio.run(environment(name, NEEDS[name], options.cache_dir))
            for each in outcomes(python, name):
                found.append((name, each))
                print(json.dumps(each), flush=True)
    made = table(found)
    print(made)
    if options.write is not None:
        before, _, rest = options.write.read_text(encoding="utf-8").partition(BEGIN)
        options.write.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
