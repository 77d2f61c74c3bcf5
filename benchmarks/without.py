"""What a kind of change is worth to `blame`, on a task for design: the search whole, and with each kind left out, by seeds.

    python benchmarks/without.py OUT [--task trec6] [--without Demonstrations Rule …] [--seeds 0 1 2] [--effort 150]

The start answers in one call. Of the set's dev rows the first 40 validate and the next 60 are scored; test rows are left
alone (`design.txt`). Where the truth is planted `python benchmarks/blame_simulated` asks the same of every kind.

Raw: OUT/without.jsonl, a line a search; the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import cast

from blame_simulated.methods import kind_of
from flowbot.benchmark.search_cell import AtEffort
from flowbot.fields import stable_hash
from flowbot.optimizer.method import Method
from flowbot.optimizer.methods import PoolMethod, find_method, tuning
from flowbot.optimizer.run import optimize_async
from flowbot.run.examples import read_examples
from flowbot.runtime.starts import starts
from flowbot.runtime.workbench import Workbench
from flowbot.stats import paired_difference
from flowbot.task import Task
from inner.kept import Kept, Line, beliefs
from inner.lists import DATA, read_lists, task_of

WHOLE = "none+blame"
KINDS = tuple(dict.fromkeys(map(kind_of, tuning())))


def method_of(name: str) -> Method:
    """`blame`, or all of it but one kind of change."""
    whole = cast("PoolMethod", find_method(WHOLE))
    left_out = name.removeprefix("without ")
    if name == WHOLE:
        return whole
    return replace(
        whole, name=f"none+{name}", proposers=lambda: [of for of in whole.proposers() if kind_of(of) != left_out]
    )


def task_for(name: str, data: Path, rows: Sequence[int]) -> Task:
    """The rows of a set for design: of its dev rows some validate, the next ones are scored."""
    if name not in read_lists().design:
        raise SystemExit(f"{name}: not for design; there are {', '.join(read_lists().design)}")
    train, val, scored = rows
    task = task_of(name, data, train, val + scored)[0]
    return replace(task, splits={**task.splits, "val": task.splits["val"][:val], "test": task.splits["val"][val:]})


async def search(options: argparse.Namespace, bench: Workbench, task: Task, key: Line) -> Line:
    """One of them."""
    result = await optimize_async(
        task,
        lm=options.model,
        meta_lm=options.meta_model,
        start=starts("single-call", task),
        method=AtEffort(method_of(key["method"])),
        effort=options.effort,
        seed=key["seed"],
        run_dir=options.out / "runs" / stable_hash(key)[:12],
        workbench=bench,
    )
    if result.status != "done":
        raise SystemExit(f"{key}: {result.status}, {result.reason}; the same command goes on")
    tested = [each for each in read_examples(result.run_dir) if each.split == "test"]
    found = {each.id: each.final for each in tested if each.final}
    start = {each.id: each.start for each in tested if each.start}
    return {
        "start": [start[each.id].score for each in task.splits["test"]],
        "found": [(found or start)[each.id].score for each in task.splits["test"]],
        "calls": sum(used.calls for purpose, used in result.by_purpose.items() if purpose != "test"),
        "kept": list(result.kept_from),
    }


def table(lines: Sequence[Line]) -> Iterator[str]:
    """A row a method, over its seeds."""
    whole = {each["seed"]: each for each in lines if each["method"] == WHOLE}
    yield "| method | each seed, points over the start | mean | beside the whole (95 %, by rows alone) |"
    yield "|---|---|---|---|"
    for method in dict.fromkeys(each["method"] for each in lines):
        mine = [each for each in lines if each["method"] == method and each["seed"] in whole]
        if not mine:
            continue
        gains = [100 * (fmean(each["found"]) - fmean(each["start"])) for each in mine]
        beside = ""
        if method != WHOLE:
            rows = [
                [fmean(of) for of in zip(*(each["found"] for each in of), strict=True)]
                for of in (mine, [whole[each["seed"]] for each in mine])
            ]
            gap = paired_difference(*rows)
            beside = f"{100 * gap.mean:+.1f} ({100 * gap.low:+.1f} to {100 * gap.high:+.1f})"
        yield f"| {method} | {', '.join(f'{each:+.0f}' for each in gains)} | {fmean(gains):+.1f} | {beside} |"


async def measure(options: argparse.Namespace) -> None:
    """Run what is missing, and print the table."""
    kept, shown = Kept(options.out / "without.jsonl"), list[Line]()
    task = task_for(options.task, options.data, options.rows)
    models = {"model": options.model, "meta_model": options.meta_model}
    async with Workbench(cache_dir=options.cache_dir) as bench:
        for seed, name in product(options.seeds, [WHOLE, *(f"without {each}" for each in options.without)]):
            key = {
                "task": options.task,
                "method": name,
                "seed": seed,
                "effort": options.effort,
                "rows": options.rows,
                "beliefs": beliefs(),
                **models,
            }
            line = await kept.line(key, partial(search, options, bench, task, key))
            print(f"{name}, seed {seed}: {fmean(line['start']):.0%} → {fmean(line['found']):.0%}", flush=True)
            shown.append(line)
    print("\n".join(table(shown)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Read what is asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--task", default="trec6")
    parser.add_argument("--without", nargs="+", choices=KINDS, default=["Demonstrations", "Rule"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--effort", type=int, default=150, help="planned search calls")
    parser.add_argument("--rows", type=int, nargs=3, default=[40, 40, 60], metavar=("TRAIN", "VAL", "SCORED"))
    parser.add_argument("--data", type=Path, default=DATA, help="folder with a folder of rows for every set")
    parser.add_argument("--model", default="local/qwen2.5-coder-0.5b")
    parser.add_argument("--meta-model", default="local/qwen2.5-coder-1.5b")
    parser.add_argument("--cache-dir", type=Path, default=None)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    asyncio.run(measure(options))


if __name__ == "__main__":
    main()
