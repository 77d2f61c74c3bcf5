"""How much optimisers gain for their calls on simulated tasks, where the truth is known.

    python benchmarks/simulate METHOD[,METHOD] --n 40 --q 0.5 --budgets 200,500,1000 --seeds 400 [--world flat] --out FILE.jsonl

One line a method, n, q and budget is appended to FILE; a line that is in FILE is not computed again. The lines asked for are shown as a
table at the end.
"""

from __future__ import annotations

import argparse
import sys
from itertools import product
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])
__spec__ = None  # a folder that is run as a program cannot be imported by name in further processes, its file can

from rich.console import Console  # noqa: E402

from simulate.methods import METHODS  # noqa: E402
from simulate.table import Cell, lines, table  # noqa: E402
from simulate.world import WORLDS  # noqa: E402


def _methods(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: no such method; there are {', '.join(METHODS)}")
    return names


def _whole(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def _shares(text: str) -> list[float]:
    return [float(each) for each in text.split(",")]


def main(arguments: list[str] | None = None) -> None:
    """Run what is missing, show what was asked for."""
    first, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="benchmarks/simulate", description=first, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("methods", type=_methods, metavar="METHOD[,METHOD]", help=", ".join(METHODS))
    parser.add_argument("--n", type=_whole, default=[40], help="rows of training, and as many of validation")
    parser.add_argument("--q", type=_shares, default=[0.5], help="how often the critic is right")
    parser.add_argument("--budgets", type=_whole, default=[200, 500, 1000], help="calls")
    parser.add_argument("--seeds", type=int, default=400, help="tasks, 2 or more")
    parser.add_argument("--world", choices=WORLDS, default="base")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.jsonl")
    asked = parser.parse_args(arguments)
    if asked.seeds < 2:
        parser.error("--seeds: 2 or more, for a standard error")
    cells = [
        Cell(method, asked.world, n, q, budget, asked.seeds)
        for n, q, method, budget in product(asked.n, asked.q, asked.methods, asked.budgets)
    ]
    Console().print(table(list(lines(cells, asked.out, asked.processes))))


if __name__ == "__main__":
    main()
