"""What an attacker may try, tried: flow files, data files, replies, endpoints, MCP servers and run folders that mean harm.

    python benchmarks/attack OUT [GROUP...] [--quick] [--only NAME] [--jobs N] [--real]

Each attempt has a folder and a process of its own, and runs the command line in further ones. One line an attempt is appended
to OUT/attack.jsonl, and the table of docs/security.md is printed at the end. Exit status 1 if any got through. What asks a
real local model takes minutes, wants the machine for itself, and runs with `--real` alone.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])
__spec__ = None  # a folder that is run as a program cannot be imported by name in further processes, its file can

import attack  # noqa: E402
from attack.ground import ground  # noqa: E402


def _arguments() -> argparse.Namespace:
    first, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="benchmarks/attack", description=first, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("groups", nargs="*", metavar="GROUP")
    parser.add_argument("--quick", action="store_true", help="only what takes about two seconds or less")
    parser.add_argument("--only", default="", metavar="NAME", help="attempts whose name contains this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="attempts side by side")
    parser.add_argument("--real", action="store_true", help="only what asks a real local model")
    return parser.parse_args()


def tried(name: str) -> dict[str, object]:
    """What came of the attempt of that name, as a line of the results."""
    each = next(each for each in attack.attempts() if each.name == name)
    began = time.monotonic()
    breach = ""
    with ground() as here:
        try:
            each.run(here)
        except Exception as error:
            breach = f"{type(error).__name__}: {error}"
    facts = {
        "name": name,
        "group": each.group,
        "attempt": each.run.__name__,
        "attacker": each.attacker,
        "about": each.about,
    }
    return {**facts, "held": not breach, "breach": breach, "seconds": round(time.monotonic() - began, 2)}


def main() -> int:
    """Make the attempts that are asked for."""
    asked = _arguments()
    everything = attack.attempts()
    groups = {each.group for each in everything}
    if unknown := set(asked.groups) - groups:
        sys.exit(f"found {', '.join(sorted(unknown))}; groups are {', '.join(sorted(groups))}")
    chosen = [
        each
        for each in everything
        if (not asked.groups or each.group in asked.groups)
        and not (asked.quick and each.slow)
        and asked.only in each.name
        and each.real == asked.real
    ]
    asked.out.mkdir(parents=True, exist_ok=True)
    tally: dict[str, Counter[str]] = {}
    began = time.monotonic()
    slowest_first = sorted(chosen, key=lambda each: not each.slow)
    jobs = 1 if asked.real else asked.jobs
    with (
        (asked.out / "attack.jsonl").open("a", encoding="utf-8") as file,
        ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool,
    ):
        for done in as_completed([pool.submit(tried, each.name) for each in slowest_first]):
            line = done.result()
            file.write(json.dumps({**line, "python": platform.python_version()}) + "\n")
            file.flush()
            tally.setdefault(str(line["group"]), Counter())["held" if line["held"] else "open"] += 1
            said = "held" if line["held"] else f"OPEN: {line['breach']}"
            print(f"{line['seconds']:6.1f} s  {line['name']}: {said}", file=sys.stderr, flush=True)
    print("| group | attempts | held | open |\n|---|---|---|---|")
    for group, counts in sorted(tally.items()):
        print(f"| {group} | {counts.total()} | {counts['held']} | {counts['open']} |")
    whole = sum(tally.values(), Counter[str]())
    print(f"| all | {whole.total()} | {whole['held']} | {whole['open']} |")
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    return 1 if whole["open"] or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
