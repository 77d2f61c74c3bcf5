"""Writes a run's report: one HTML file with everything in it, to open, send or print; no network, no script."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbot.fields import InfrastructureError
from flowbot.fields.files import read_text, write_text
from flowbot.fields.secrets import hide_text
from flowbot.fields.yaml import MAX_BYTES
from flowbot.run.examples import Outcome
from flowbot.run.taken import logical
from flowbot.run.view import RunView, read_run

from . import commands
from .advice import advice
from .brief import in_short, in_vain, stopped
from .chart import MOST_RACES, outcome_bar, race_chart, score_chart
from .cost import per_run, where_it_went
from .examples import MOST_ERRORS, errors, grouped, parts, per_example
from .figures import settings, tiles
from .template import environment, markup

if TYPE_CHECKING:
    from markupsafe import Markup

    from flowbot.workflow.workflow import Workflow

MOST_TRACES = 16
"""Examples whose steps the page shows."""
MOST_TOLD = 120
"""Changes that are told in full, besides those in the result."""
OUTCOMES: dict[Outcome, str] = {
    "fixed": "fixed",
    "better": "better, not yet right",
    "broken": "broken",
    "worse": "worse than before",
    "wrong": "still failing",
    "right": "right before and after",
    "one side": "with one result only",
}
"""What became of an example, for a person."""


def write_report(run_dir: Path | str) -> Path:
    """Write `run_dir/report.html` and return its path. Secrets are masked in it.

    Raises:
        UserError: if `run_dir` is not a run's directory, or its files are damaged.
        InfrastructureError: if the disk fails.
    """
    run_dir = Path(run_dir)
    path = run_dir / "report.html"
    text = hide_text(render(read_run(run_dir)))
    try:
        write_text(path, text, errors="replace")
    except OSError as error:
        raise InfrastructureError(f"{path}: {error.strerror or error}", kind="disk") from None
    return path


def render(run: RunView) -> str:
    """The page as text. Everything that comes from the run is escaped."""
    from flowbot.workflow.diff import diff

    start, final = per_example(run.examples, "start"), per_example(run.examples, "final")
    groups = grouped(run.examples)
    kinds = errors(run.examples)
    facts: dict[str, Any] = {
        "run": run,
        "price": "" if run.unchanged else per_run(start, final),
        "stopped": stopped(run),
        "tiles": tiles(run),
        "drawings": [
            (title, workflow, markup(_draw(workflow, other)))
            for title, workflow, other in (("Start", run.start, run.found), ("Found", run.found, run.start))
            if workflow is not None
        ],
        "changed": diff(run.start, run.found) if run.found and not run.unchanged else [],
        "in_short": in_short(run),
        "in_vain": in_vain(run),
        "whole": {change.id for change in (*run.lineage, *run.changes[:MOST_TOLD])},
        "races": _both(lambda width: race_chart(run.changes, width=width)),
        "more_races": max(0, sum(change.verdict is not None for change in run.changes) - MOST_RACES),
        "where_it_went": where_it_went(run),
        "total": logical(run.by_purpose),
        "per_example": {"start": start, "final": final},
        "curve": _both(lambda width: score_chart(run.curve, width=width, height=300 if width > 400 else 260))
        if len(run.curve) > 1
        else {},
        "parts": parts(run.examples),
        "groups": groups,
        "outcomes": OUTCOMES,
        "outcome_bar": _both(lambda width: outcome_bar(groups, OUTCOMES, width=width)),
        "traced": {each.id for group in groups for each in group.shown if each.traced and group.outcome != "right"},
        "most_traces": MOST_TRACES,
        "errors": kinds[:MOST_ERRORS],
        "more_errors": max(0, len(kinds) - MOST_ERRORS),
        "dropped": run.result.dropped if run.result else (),
        "advice": advice(run),
        "again": commands.again(run),
        "use": commands.use(run),
        "python": commands.python(run),
        "show": partial(commands.show, run.run_dir),
        "found_file": _found_file(run),
        "facts": settings(run),
    }
    return environment(run).get_template("report.html.jinja").render(facts)


def _both(draw: Callable[[int], str]) -> dict[str, Markup]:
    """A chart for desks and one for phones, whose text stays readable; empty where there is nothing to draw."""
    wide, narrow = draw(820), draw(326)
    return {"wide": markup(wide), "narrow": markup(narrow)} if wide else {}


def _draw(workflow: Workflow, other: Workflow | None) -> str:
    """The drawing, with the steps picked out that the other side lacks, or has with other wiring or prompts."""
    from flowbot.draw.svg import draw_svg
    from flowbot.workflow.diff import changed_nodes

    return draw_svg(workflow, highlight=changed_nodes(other, workflow) if other is not None else frozenset())


def _found_file(run: RunView) -> str:
    path = run.run_dir / "found.flow.yaml"
    return read_text(path, limit=MAX_BYTES, links=False) if run.found is not None else ""
