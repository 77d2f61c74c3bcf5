"""What the two sandboxes hold, what they run, and how long a call takes.

    python benchmarks/sandboxes.py DATA OUT [--limit N]

DATA holds the folders humaneval and mbpp with their rows as JSON lines (the data is not part of this project): the reference
solution and the tests of each row are one honest script. Runs the hostile programs, the honest scripts and a trivial call
under both sandboxes, one at a time, writes what came of them to OUT as JSON lines, and prints the tables.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from containment import contain_all
from flowbot.fields import StepError, UserError
from flowbot.runtime.sandbox.chosen import open_sandbox
from flowbot.runtime.sandbox.protocol import Sandbox
from hostile import CONTAINED, PROGRAMS

NAMES = ("monty", "bubblewrap")
SECONDS, MEMORY_MB = 10.0, 256
CALLS = 200
REASONS = (
    (r"No module named '(.+?)'", "a module that it lacks"),
    (r"^NotImplementedError: .*? support (?:the )?(.+?)(?: \(|$)", "not in its language"),
    (r"(?:type object|module) '(.+?)' has no attribute '(\w+)'", "a function that it lacks"),
    (r"'(.+?)' object has no attribute '(\w+)'", "a method that it lacks"),
    (r"cannot import name '(\w+)' from '(\w+)'", "a function that it lacks"),
    (r"^AssertionError: (.+?)(?: \(line|$)", "another result than CPython's"),
    (r"ran (longer) than", "out of time"),
)
"""Why a program does not run: a pattern in the error, and the group's name."""
SETS = {"humaneval": ("test", "dev"), "mbpp": ("test", "train", "dev")}


def scripts(data: Path, limit: int | None) -> Iterator[tuple[str, str, str]]:
    """Every honest script: its set, its id, its text."""
    for name, splits in SETS.items():
        for split in splits:
            lines = (data / name / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
            for row in map(json.loads, lines[:limit]):
                yield name, row["id"], _humaneval(row) if name == "humaneval" else _mbpp(row)


def _humaneval(row: dict[str, Any]) -> str:
    return f"{row['prompt']}{row['answer']}\n{row['test']}\ncheck({row['entry_point']})\n"


def _mbpp(row: dict[str, Any]) -> str:
    return "\n".join([row["answer"], row["test_setup_code"], *row["test_list"], ""])


async def honest(sandbox: Sandbox, name: str, data: Path, limit: int | None) -> list[dict[str, Any]]:
    """Run every honest script. One line a set: milliseconds of each by id, and the errors of those that failed."""
    lines = {suite: {"kind": "honest", "sandbox": name, "set": suite, "ms": {}, "errors": {}} for suite in SETS}
    for suite, identity, text in scripts(data, limit):
        start = time.perf_counter()
        try:
            await sandbox.script(text, seconds=SECONDS, memory_mb=MEMORY_MB)
        except StepError as failure:
            lines[suite]["errors"][identity] = str(failure).partition("\nprinted before:")[0]
        lines[suite]["ms"][identity] = round((time.perf_counter() - start) * 1000, 2)
    return list(lines.values())


async def calls(sandbox: Sandbox, name: str) -> dict[str, Any]:
    """Time a trivial call after one to warm up."""
    spent: list[float] = []
    for number in range(CALLS + 1):
        start = time.perf_counter()
        await sandbox.run("def run(n):\n    return {'n': n + 1}", {"n": number})
        spent.append(round((time.perf_counter() - start) * 1000, 3))
    return {"kind": "call", "sandbox": name, "ms": spent[1:], "load": os.getloadavg()[0]}


async def hostile(sandbox: Sandbox, name: str) -> dict[str, Any]:
    """Run the hostile programs; the sandbox is closed afterwards."""
    verdicts, wrong = await contain_all(sandbox, PROGRAMS, together=2)
    if wrong:
        raise SystemExit(f"{name}: {'; '.join(wrong)}")
    found = {f"{each.program.category}: {each.program.name}": each.breaches for each in verdicts}
    return {"kind": "hostile", "sandbox": name, "breaches": found}


def reason(error: str) -> tuple[str, str]:
    """The group that an error belongs to, and what in it."""
    for pattern, words in REASONS:
        match = re.search(pattern, error)
        if match:
            return words, ".".join(match.groups())
    return "other", error.partition(" (line ")[0]


def table(lines: list[dict[str, Any]]) -> Iterator[str]:
    """The tables, in Markdown."""
    names = [name for name in NAMES if any(line["sandbox"] == name for line in lines)]
    of = {(line["kind"], line["sandbox"], line.get("set")): line for line in lines}
    yield "| hostile programs contained | " + " | ".join(names) + " |"
    yield "|---" * (len(names) + 1) + "|"
    for category in [*CONTAINED, ""]:
        cells: list[str] = []
        for name in names:
            tried = [found for key, found in of["hostile", name, None]["breaches"].items() if key.startswith(category)]
            cells.append(f"{sum(not found for found in tried)} of {len(tried)}")
        yield f"| {category or 'all'} | " + " | ".join(cells) + " |"
    yield "\n| | " + " | ".join(names) + " |"
    yield "|---" * (len(names) + 1) + "|"
    for suite in SETS:
        cells = []
        for name in names:
            line = of["honest", name, suite]
            ran, tried = len(line["ms"]) - len(line["errors"]), len(line["ms"])
            cells.append(f"{ran} of {tried} ({100 * ran / tried:.1f} %)")
        yield f"| honest programs run: {suite} | " + " | ".join(cells) + " |"
    trivial = [_spread(of["call", name, None]["ms"]) for name in names]
    yield f"| milliseconds of a trivial call: 5th percentile, median, 95th | {' | '.join(trivial)} |"
    whole = [_spread([ms for suite in SETS for ms in of["honest", name, suite]["ms"].values()]) for name in names]
    yield f"| milliseconds of an honest program | {' | '.join(whole)} |"
    for name in names:
        errors = [error for suite in SETS for error in of["honest", name, suite]["errors"].values()]
        groups: dict[str, Counter[str]] = {}
        for words, what in map(reason, errors):
            groups.setdefault(words, Counter())[what] += 1
        yield f"\nNot run by {name}: {len(errors)}"
        for words, found in sorted(groups.items(), key=lambda each: -each[1].total()):
            told = ", ".join(what if count == 1 else f"{what} {count}" for what, count in found.most_common())
            yield f"- {found.total()}: {words} ({told})"


def _spread(spent: list[float]) -> str:
    cuts = quantiles(spent, n=20)
    return ", ".join(f"{ms:.2f}" if ms < 10 else f"{ms:.0f}" for ms in (cuts[0], median(spent), cuts[-1]))


async def measured(data: Path, limit: int | None) -> list[dict[str, Any]]:
    """The lines of all sandboxes that can be had here."""
    lines: list[dict[str, Any]] = []
    for name in NAMES:
        try:
            sandbox = open_sandbox(name)
        except UserError as error:
            print(error)
            continue
        lines += [await calls(sandbox, name), *await honest(sandbox, name, data, limit), await hostile(sandbox, name)]
    return lines


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--limit", type=int, help="rows of each file")
    given = parser.parse_args()
    lines = asyncio.run(measured(given.data, given.limit))
    text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)
    given.out.write_text(text, encoding="utf-8")
    print("\n".join(table(lines)))


if __name__ == "__main__":
    main()
