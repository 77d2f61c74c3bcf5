"""How often inner optimisers repair a workflow of which one step was spoiled, by how often the critic is right.

    python benchmarks/blame_simulated OUT.jsonl [--seeds 200] [--methods none+blame,none+layerwise] [--p 0.3,0.7] [--picture FILE.svg]

One line a run is appended to OUT.jsonl; a run that stands there is not made again, so the same command goes on where it was
stopped. The runs that were asked for are shown as a table, and drawn. A run takes half a second of a processor.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    __spec__ = None  # a folder that is run as a program cannot be imported by name in further processes, its file can

from rich.console import Console

from blame_simulated.methods import METHODS
from blame_simulated.runs import PLAN, searched, world_of
from blame_simulated.table import key_of, picture, read, table
from flowbot.store import Store

P = (0.3, 0.5, 0.7, 0.9, 1.0)
Cell = tuple[str, float]
"""A method, and how often the critic is right."""


def runs_of(seed: int, cells: Sequence[Cell], plan: int, to_the_end: bool) -> list[dict[str, Any]]:
    """The runs of one seed: they share its world, and the replies of its task model."""

    async def all_runs() -> list[dict[str, Any]]:
        world, store = await world_of(seed), Store.memory()
        try:
            runs = [
                await searched(METHODS[name](world), world, store, p, plan, to_the_end=to_the_end) for name, p in cells
            ]
            return [{**found.dump(), "method": name} for (name, _), found in zip(cells, runs, strict=True)]
        finally:
            await store.close()

    gc.collect()
    gc.disable()  # a fifth of the time; what a run leaves behind is small
    try:
        return asyncio.run(all_runs())
    finally:
        gc.enable()


def _names(text: str) -> list[str]:
    names = [
        name
        for each in text.split(",")
        for name in METHODS
        if name == each or (each.endswith("*") and name.startswith(each[:-1]))
    ]
    unknown = [each for each in text.split(",") if not each.endswith("*") and each not in METHODS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{'; '.join(unknown)}: no such method; there are {'; '.join(METHODS)}")
    return list(dict.fromkeys(names))


def _shares(text: str) -> list[float]:
    return [float(each) for each in text.split(",")]


def _computed(
    missing: dict[int, list[Cell]], plan: int, processes: int, to_the_end: bool
) -> Iterator[list[dict[str, Any]]]:
    with ProcessPoolExecutor(processes) as workers:
        plans, ends = [plan] * len(missing), [to_the_end] * len(missing)
        yield from workers.map(runs_of, missing.keys(), missing.values(), plans, ends)


def main(arguments: list[str] | None = None) -> None:
    """Run what is missing, show what was asked for."""
    first, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="benchmarks/blame_simulated",
        description=first,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path, metavar="OUT.jsonl")
    parser.add_argument("--seeds", type=int, default=200, help="worlds, from 0 on")
    parser.add_argument(
        "--methods", type=_names, default=_names("none+*"), metavar="NAME[,NAME]", help="; ".join(METHODS)
    )
    parser.add_argument("--p", type=_shares, default=P, metavar="P[,P]", help="how often the critic is right")
    parser.add_argument("--plan", type=int, default=PLAN, help="planned calls, in rows of the start")
    parser.add_argument("--to-the-end", action="store_true", help="go on searching where the fault is mended")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--picture", type=Path, metavar="FILE.svg")
    asked = parser.parse_args(arguments)
    cells = [(name, p) for name in asked.methods for p in asked.p]
    have = read(asked.out)
    missing = {
        seed: todo for seed in range(asked.seeds) if (todo := [each for each in cells if (*each, seed) not in have])
    }
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    with asked.out.open("a", encoding="utf-8") as stream:
        for rows in _computed(missing, asked.plan, asked.processes, asked.to_the_end) if missing else ():
            for row in rows:
                have[key_of(row)] = row
                stream.write(json.dumps(row) + "\n")
            stream.flush()
    shown = [have[(*each, seed)] for each in cells for seed in range(asked.seeds)]
    Console(width=None if sys.stdout.isatty() else 160).print(table(shown))
    if asked.picture is not None:
        picture(shown, asked.picture)


if __name__ == "__main__":
    main()
