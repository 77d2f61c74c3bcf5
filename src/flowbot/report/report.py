"""Writes a run's report: one HTML file with everything in it, to open, send or print; no network, no script."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbot.fields import InfrastructureError

from . import words
from .chart import interval_bar, score_chart
from .data import Interval, RunView, read_run
from .diffs import node_texts, text_diffs

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

    from flowbot.workflow import Workflow


def write_report(run_dir: Path) -> Path:
    """Write `run_dir/report.html` and return its path.

    Raises:
        UserError: if `run_dir` is not a run's directory, or its files are damaged.
        InfrastructureError: if the disk fails.
    """
    path = run_dir / "report.html"
    text = render(read_run(run_dir))
    new = path.with_suffix(".html.new")
    try:
        new.write_text(text, encoding="utf-8")
        os.replace(new, path)
    except OSError as error:
        raise InfrastructureError(f"{path}: {error.strerror or error}", kind="disk") from None
    return path


def render(run: RunView) -> str:
    """The page as text. Everything that comes from the run is escaped."""
    from markupsafe import Markup

    from flowbot.workflow import diff

    facts: dict[str, Any] = {
        "run": run,
        "result": run.result,
        "verdict": words.verdict(run),
        "tiles": _tiles(run),
        "drawings": [
            (title, workflow, Markup(_draw(workflow, other)))
            for title, workflow, other in (("Start", run.start, run.found), ("Found", run.found, run.start))
            if workflow is not None
        ],
        "paths": _paths,
        "changed": diff(run.start, run.found) if run.start and run.found and not run.unchanged else [],
        "wide": Markup(score_chart(run.curve, width=820)),
        "narrow": Markup(score_chart(run.curve, width=340, height=260)),
        "found_file": _found_file(run),
        "interval_bar": _bar,
        "text_diffs": text_diffs,
        "node_texts": node_texts,
        "words": words,
        "facts": _facts(run),
    }
    return _environment().get_template("report.html.jinja").render(facts)


def _environment() -> jinja2.Environment:
    import jinja2
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(
        loader=jinja2.PackageLoader("flowbot.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["ticks"] = _ticks
    return environment


def _ticks(text: str) -> Markup:
    """A line with `names in ticks` set as code. Escaped first, so that only the tags put in here are tags."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _draw(workflow: Workflow, other: Workflow | None) -> str:
    """The drawing, with the steps picked out that the other side lacks, or has with other wiring or prompts."""
    from flowbot.workflow import draw_svg
    from flowbot.workflow.diff import changed_nodes

    return draw_svg(workflow, highlight=changed_nodes(other, workflow) if other is not None else frozenset())


def _paths(workflow: Workflow) -> dict[str, str]:
    """The kind of every node by path, those of bodies too."""
    from flowbot.workflow import walk
    from flowbot.workflow.captions import kind_text

    return {path: kind_text(node) for path, node in walk(workflow.sketch)}


def _bar(score: Interval, kind: str) -> Markup:
    from markupsafe import Markup

    return Markup(interval_bar(score, kind=kind))


def _tiles(run: RunView) -> list[tuple[str, str, str]]:
    """The key figures: name, number, a line below it. What was not measured is not shown."""
    tiles: list[tuple[str, str, str]] = []
    start, final, difference = (run.score(who, "test") for who in ("start", "final", "difference"))
    if start and final:
        both = f"{words.percent(start.mean)} → {words.percent(final.mean)}"
        tiles.append(("Test score", both, f"on {words.count(final.n, 'example')} used once, at the end"))
    if difference:
        between = f"95 % interval {words.interval(difference, difference=True)}"
        tiles.append(("Difference", f"{words.points(difference.mean)} points", between))
    spent: dict[str, Any] = run.result.get("spent") or {"calls": 0, "tokens": 0, "usd": None}
    calls: dict[str, int] = run.result.get("calls") or {}
    made: int = spent["calls"]
    if calls:
        stored = "all made by this command" if made == sum(calls.values()) else f"{made:,} made now, the others stored"
        tiles.append(("Model calls", f"{sum(calls.values()):,}", stored))
        below = f"{spent['tokens']:,} tokens paid for" if made else "nothing was paid for now"
        below = "no price is known for these models" if spent["usd"] is None else below
        tiles.append(("Cost", words.money(spent["usd"]), below))
    if run.result.get("seconds") is not None:
        tiles.append(("Time", words.duration(run.result["seconds"]), "without fetching models"))
    return tiles


def _facts(run: RunView) -> list[tuple[str, str]]:
    """How the run was made, for someone who wants to make it again."""
    result = run.result
    named: dict[str, Any] = {
        "Run": result.get("run_id"),
        "Status": result.get("status"),
        "Stopped by": result.get("stopped_by"),
        "Method": result.get("method"),
        "Effort": result.get("effort"),
        "Seed": result.get("seed"),
        **{f"{role.capitalize()} model": name for role, name in run.models.items()},
        "Directory": str(run.run_dir),
    }
    dropped = result.get("dropped")
    if dropped:
        named["Dropped examples (refused on every try)"] = ", ".join(str(each) for each in dropped)
    return [(name, str(value)) for name, value in named.items() if value not in (None, "")]


def _found_file(run: RunView) -> str:
    path = run.run_dir / "found.flow.yaml"
    return path.read_text(encoding="utf-8") if run.found is not None else ""
