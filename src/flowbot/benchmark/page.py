"""A comparison as one HTML file: no script, nothing fetched from elsewhere, in the look of a run's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flowbot.fields import UserError
from flowbot.fields.secrets import hide_text
from flowbot.fields.words import count, cut, duration, in_points, money, printable

from . import plot
from .figures import (
    COLUMNS,
    Column,
    column_source,
    columns,
    how_to_read,
    number,
    percent,
    points,
    texts,
    without_scores,
)
from .front import Kind
from .rows import Key, Row
from .table import Table

if TYPE_CHECKING:
    import jinja2

_LONGEST = 400


def bench_page(table: Table, *, title: str = "Comparison") -> str:
    """The page as text, to be written into the folder of the comparison, since its links to the runs are relative to it.

    Everything that comes from the cells is escaped, and secrets are masked. Where matplotlib is missing it has no pictures
    and says how to get them.

    Args:
        table: what `compare_cells` gives.
        title: what the page is called.
    """
    every = list(table.rows.values())
    said = {key: texts(row, baseline=table.baseline) for key, row in table.rows.items()}
    apart = {"method", "models", "effort", "remarks", "test", "seeds"}
    facts: dict[str, Any] = {
        "title": title,
        "table": table,
        "tiles": _tiles(table),
        "verdict": _verdict(table),
        "ours": columns(table.rows),
        "tasks": _tasks(table),
        "said": said,
        "names": [name for name in COLUMNS if name not in apart and any(each[name] for each in said.values())],
        "best": _best(every),
        "missing": without_scores(every),
        "notes": how_to_read(every, table.baseline),
        **_pictures(every, table.baseline),
    }
    return hide_text(_templates().get_template("bench.html.jinja").render(facts))


@cache
def _templates() -> jinja2.Environment:
    import jinja2
    from jinja2.sandbox import SandboxedEnvironment
    from markupsafe import Markup

    made = SandboxedEnvironment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader("flowbot.benchmark", "html"), jinja2.PackageLoader("flowbot.draw", "page")]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["plain"] = _plain
    own = (percent, points, number, money, column_source, link)
    known: dict[str, Any] = {each.__name__: each for each in own}
    known |= {"COLUMNS": COLUMNS, "themes": Markup(plot.THEMES)}
    made.globals.update(known)
    return made


def _plain(text: str) -> str:
    """A text of anybody's, as far as the page shows it."""
    return cut(printable(text), _LONGEST)


def link(page: str) -> str:
    """The address of a run's page beside this one; "" where it is none that lies in the folder of the comparison."""
    path = PurePosixPath(page)
    inside = bool(page) and not path.is_absolute() and ".." not in path.parts
    return quote(page, errors="replace") if inside else ""


def _tasks(table: Table) -> dict[str, dict[Column, Row]]:
    """Our rows by task; empty of tasks that only others' figures have."""
    found: dict[str, dict[Column, Row]] = {}
    for key, row in table.rows.items():
        found.setdefault(key.task, {})[Column(*key[1:])] = row
    for task in (task for each in table.published for task in each.scores):
        found.setdefault(task, {})
    return found


def _best(rows: Sequence[Row]) -> set[Key]:
    """The rows with the highest test mean of their task and models."""
    highest: dict[tuple[str, str], float] = {}
    for row in rows:
        if row.test is not None:
            highest[row.key[:2]] = max(row.test.mean, highest.get(row.key[:2], 0.0))
    return {row.key for row in rows if row.test is not None and row.test.mean == highest[row.key[:2]]}


def _verdict(table: Table) -> list[str]:
    rows = list(table.rows.values())
    sizes = [len({key[place] for key in table.rows}) for place in (3, 0, 1)]
    words = (("method", ""), ("task", ""), ("pair of models", "pairs of models"))
    methods, tasks, models = (count(size, *name) for size, name in zip(sizes, words, strict=True))
    models = models if sizes[2] > 1 else f"the models {_plain(next(iter(table.rows)).models)}"
    compared = [row for row in rows if row.difference is not None]
    clear = [(row, row.difference.estimate.mean) for row in compared if row.difference and row.difference.clear]
    found = [f"{methods} on {tasks}, with {models}."]
    if not compared:
        return found
    if not clear:
        return [*found, f"None of {count(len(compared), 'comparison')} with {table.baseline} shows a clear difference."]
    names = columns(table.rows)
    told = "; ".join(f"{names[Column(*row.key[1:])]} on {row.key.task} {in_points(mean)}" for row, mean in clear[:5])
    more = f" and {len(clear) - 5} more" if len(clear) > 5 else ""
    of = f"{len(clear)} of {count(len(compared), 'comparison')} with {table.baseline} "
    return [*found, printable(f"{of}{'is' if len(clear) == 1 else 'are'} clear: {told}{more}.")]


def _tiles(table: Table) -> list[tuple[str, str, str]]:
    took = table.spent
    done = sum(len(row.scored) for row in table.rows.values())
    return [
        ("Cells", f"{done} of {len(table.cells)}", "tested"),
        ("Model calls", f"{took.calls:,}", f"{count(took.tokens, 'token')}, stored responses counted as paid"),
        (
            "Cost",
            money(took.usd),
            "no price is known for a model" if took.usd is None else "search, validation and tests",
        ),
        ("Time", duration(took.seconds), "of all cells, one after the other"),
    ]


def _pictures(rows: Sequence[Row], baseline: str | None) -> Mapping[str, Any]:
    from markupsafe import Markup

    kinds: tuple[Kind, ...] = ("calls", "cost")
    try:
        drawn = [
            (
                plot.TITLES[kind],
                plot.TEXTS[kind],
                [Markup(each) for each in plot.draw_each(rows, kind, baseline=baseline)],
            )
            for kind in kinds
        ]
        marks = [(Markup(mark), name) for mark, name in plot.draw_marks(rows)]
    except UserError as error:
        return {"pictures": [], "marks": [], "no_pictures": str(error)}
    return {"pictures": drawn, "marks": marks, "no_pictures": ""}
