"""Rows of runs as tables and as pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any

from rich.table import Table

from flowbot.stats import estimate_mean

Row = dict[str, Any]
"""A run, as `runs.Found` says it."""
SHORT, LONG = 5, 6
"""Workflows of up to so many steps are short, of so many or more long."""


def read(file: Path) -> dict[tuple[str, float, int], Row]:
    """The rows of a file by method, p and seed."""
    if not file.exists():
        return {}
    rows = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return {key_of(row): row for row in rows}


def key_of(row: Row) -> tuple[str, float, int]:
    """What a run is told apart by."""
    return row["method"], row["p"], row["seed"]


def share(
    rows: Sequence[Row], holds: Callable[[Row], bool] = lambda row: row["repaired"]
) -> tuple[float, float, float]:
    """Percent of runs of which something holds, with a 95 % interval (Wilson)."""
    found = estimate_mean([float(holds(row)) for row in rows])
    return 100 * found.mean, 100 * found.low, 100 * found.high


def needed(rows: Iterable[Row]) -> list[float]:
    """Calls until the repair was adopted, in rows of the start, of the runs that returned it."""
    return sorted(row["adopted"] / row["row"] for row in rows if row["repaired"] and row["adopted"] is not None)


def table(rows: Sequence[Row]) -> Table:
    """A line a method and p."""
    made = Table(box=None, pad_edge=False, collapse_padding=True)
    made.add_column("method", no_wrap=True)
    names = (
        "p",
        "runs",
        "repaired %",
        "95 %",
        "calls to repair",
        "short %",
        "long %",
        "proposed %",
        "harmed %",
        "questions",
    )
    for name in names:
        made.add_column(name, justify="right", no_wrap=True)
    for method in dict.fromkeys(row["method"] for row in rows):
        for p in sorted({row["p"] for row in rows}):
            if mine := [row for row in rows if (row["method"], row["p"]) == (method, p)]:
                made.add_row(method, *_cells(p, mine))
    return made


def _cells(p: float, rows: Sequence[Row]) -> list[str]:
    mean, low, high = share(rows)
    calls = needed(rows)
    quarters = quantiles(calls, n=4) if len(calls) > 1 else []
    short, long_ = ([row for row in rows if test(row["steps"])] for test in (SHORT.__ge__, LONG.__le__))
    asked = sum(row["by"].get("gradients", 0) + row["by"].get("proposals", 0) for row in rows) / len(rows)
    return [
        f"{p:g}",
        str(len(rows)),
        f"{mean:.0f}",
        f"{low:.0f}–{high:.0f}",
        f"{quarters[1]:.0f} ({quarters[0]:.0f}–{quarters[2]:.0f})" if quarters else "too few",
        f"{share(short)[0]:.0f}" if short else "",
        f"{share(long_)[0]:.0f}" if long_ else "",
        f"{share(rows, lambda row: row['proposed'] is not None)[0]:.0f}",
        f"{share(rows, lambda row: row['harmed'])[0]:.0f}",
        f"{asked:.0f}",
    ]


def picture(rows: Sequence[Row], file: Path, at: float = 0.7) -> None:
    """Share repaired by p, by calls and by steps.

    Args:
        rows: what to draw.
        file: SVG or PNG, by its ending.
        at: p of the second and third part.
    """
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "flowbot"
    from matplotlib import pyplot

    methods = list(dict.fromkeys(row["method"] for row in rows))
    figure, (by_p, by_calls, by_steps) = pyplot.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    for number, method in enumerate(methods):
        mine = [row for row in rows if row["method"] == method]
        look: dict[str, Any] = {
            "color": f"C{number}",
            "marker": "osD^vPX*<>"[number % 10],
            "markersize": 4,
            "label": method,
        }
        _line(by_p, mine, "p", look, number - len(methods) / 2, 0.004)
        here = [row for row in mine if row["p"] == at]
        if not here:
            continue
        calls = needed(here)
        heights = [100 * (place + 1) / len(here) for place in range(len(calls))]
        by_calls.step([0, *calls], [0, *heights], where="post", color=look["color"], label=method)
        _line(by_steps, here, "steps", look, number - len(methods) / 2, 0.06)
    titles = {by_p: "p: how often the critic is right", by_calls: f"calls, in rows of the start (p = {at:g})"}
    for axes, title in {**titles, by_steps: f"steps of the workflow (p = {at:g})"}.items():
        axes.set_xlabel(title)
        axes.set_ylim(0, 102)
        axes.grid(alpha=0.3)
    by_p.set_ylabel("workflows repaired, %")
    figure.legend(*by_p.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
    pyplot.close(figure)


def _line(axes: Any, rows: Sequence[Row], by: str, look: dict[str, Any], place: float, apart: float) -> None:
    """The share repaired by a number, with its intervals; lines stand a little apart."""
    places = sorted({row[by] for row in rows})
    shares = [share([row for row in rows if row[by] == each]) for each in places]
    means = [mean for mean, _, _ in shares]
    spread = [[mean - low for mean, low, _ in shares], [high - mean for mean, _, high in shares]]
    axes.errorbar([each + apart * place for each in places], means, yerr=spread, linewidth=1.2, elinewidth=0.7, **look)
