"""Writes a run's report: one HTML file with everything in it, to open, send or print; no network, and no script but what copies a prompt."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbot.fields import InfrastructureError, words
from flowbot.fields.arguments import checked_arguments
from flowbot.fields.files import read_text, write_text
from flowbot.fields.secrets import hide_text
from flowbot.fields.yaml import MAX_BYTES
from flowbot.run.examples import Outcome
from flowbot.run.folders import RUN, RunLike, run_folder
from flowbot.run.sources import ORIGINS, by_source
from flowbot.run.taken import PURPOSES, logical
from flowbot.run.verdict import SOURCES, noted, scores_of
from flowbot.run.view import RunView, read_run
from flowbot.workflow.captions import kind_text
from flowbot.workflow.diff import changed_nodes, diff
from flowbot.workflow.nodes import walk
from flowbot.workflow.workflow import Workflow

from . import commands
from .advice import advice
from .diffs import joined_diffs, node_texts
from .examples import MOST_ERRORS, errors, grouped, nested, parts, per_example
from .figures import per_run, settings, tiles, where_it_went
from .fronts import picture, round_step
from .prompts import step_prompts
from .story import BADGES, came, in_short, in_vain, stopped, why

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup


LONGEST = 1500
"""Characters of one text from the run that the page shows, unless a place says otherwise."""
MOST_COMPARED = 40
"""Comparisons that the chart shows: the first ones."""
MOST_TRACES = 16
"""Examples whose steps the page shows."""
MOST_TOLD = 120
"""Changes that are told in full, besides those in the result."""
MOST_OF_PROMPT = 200_000
"""Characters of a step's prompt that the page shows, and copies."""
MOST_OF_FRONT = 12
"""Workflows of the front that the table has, the best first."""
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


@checked_arguments(run=RUN)
def write_report(run: RunLike) -> Path:
    """Write `report.html` into the folder of a run, and return its path. Secrets are masked in it.

    Raises:
        UserError: if there is no such run, or its files are damaged.
        InfrastructureError: if the disk fails.
    """
    folder = run_folder(run)
    path = folder / "report.html"
    text = hide_text(render(read_run(folder)))
    try:
        write_text(path, text, errors="replace")
    except OSError as error:
        raise InfrastructureError(f"{path}: {error.strerror or error}", kind="disk") from None
    return path


def render(run: RunView) -> str:
    """The page as text. Everything that comes from the run is escaped."""
    from markupsafe import Markup

    start, final = per_example(run.examples, "start"), per_example(run.examples, "final")
    groups = grouped(run.examples)
    kinds = errors(run.examples)
    compared = [change for change in run.changes if change.verdict is not None]
    facts: dict[str, Any] = {
        "run": run,
        "prompts": () if run.found is None else step_prompts(run.found, run.started.models.get("task")),
        "show_prompts": commands.show(run.run_dir, "--prompt"),
        "most_of_prompt": MOST_OF_PROMPT,
        "script": Markup(_script()),
        "policy": Markup(policy()),
        "price": "" if run.unchanged else per_run(start, final),
        "stopped": stopped(run),
        "tiles": tiles(run),
        "drawings": [
            (title, workflow, _draw(workflow, other))
            for title, workflow, other in (("Start", run.start, run.found), ("Found", run.found, run.start))
            if workflow is not None
        ],
        "changed": diff(run.start, run.found) if run.found and not run.unchanged else [],
        "in_short": in_short(run),
        "sources": [(ORIGINS[origin], each) for origin, each in by_source(run.changes).items()],
        "in_vain": in_vain(run),
        "whole": {change.id for change in (*run.lineage, *run.changes[:MOST_TOLD])},
        "compared": compared[:MOST_COMPARED],
        "more_compared": max(0, len(compared) - MOST_COMPARED),
        "where_it_went": where_it_went(run),
        "total": logical(run.by_purpose),
        "per_example": {"start": start, "final": final},
        "parts": parts(run.examples),
        "groups": groups,
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
        "picture": picture(run),
        "most_of_front": MOST_OF_FRONT,
    }
    return templates().get_template("report.html.jinja").render(facts)


def policy() -> str:
    """The Content-Security-Policy of the page: its own style sheet, and the one script that it has, by its hash."""
    digest = b64encode(hashlib.sha256(_script().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


@cache
def _script() -> str:
    return files("flowbot.report").joinpath("page", "copy.js").read_text("utf-8")


@cache
def templates() -> jinja2.Environment:
    """The templates of the page. Everything is escaped; what is missing is an error."""
    import jinja2
    from jinja2.sandbox import SandboxedEnvironment

    made = SandboxedEnvironment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(f"flowbot.{each}", "page") for each in ("report", "draw")]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        {
            "ticks": _ticks,
            "cut": cut,
            "exact": _exact,
            "text": words.as_text,
            "json": partial(json.dumps, ensure_ascii=False),
        }
    )
    known: dict[str, Any] = {
        "words": words,
        "SOURCES": SOURCES,
        "PURPOSES": PURPOSES,
        "ROLES": {"start": "start", "final": "found", "tried": "tried"},
        "badges": BADGES,
        "outcomes": OUTCOMES,
        "why": why,
        "noted": noted,
        "came": came,
        "scores_of": scores_of,
        "nested": nested,
        "axis_step": axis_step,
        "joined_diffs": joined_diffs,
        "node_texts": node_texts,
        "paths": _paths,
        "in_words": _in_words,
    }
    made.globals.update(known)
    return made


def cut(text: str, most: int = LONGEST) -> str:
    """A text that may be of any length, as far as the page shows it, with the number of characters that are left out."""
    left = len(text) - most
    return text if left <= most // 10 else f"{text[:most]} … ({words.count(left, 'more character')})"


def axis_step(most: int, ticks: int) -> int:
    """A round distance (1, 2 or 5 times a power of ten) that gives at most `ticks` steps up to `most`."""
    return int(round_step(max(1.0, most / ticks)))


def _exact(text: str) -> Markup:
    """A text whose line ends a browser leaves as they are."""
    from markupsafe import Markup, escape

    return Markup(str(escape(text)).replace("\r", "&#13;"))


def _ticks(text: str) -> Markup:
    """A line with `names in ticks` set as code. Escaped first, so that only the tags put in here are tags."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`\n]+)`", r"<code>\1</code>", str(escape(text))))


def _draw(workflow: Workflow, other: Workflow | None) -> Markup:
    """The drawing, with the steps picked out that the other side lacks, or has with other wiring or prompts."""
    from markupsafe import Markup

    from flowbot.draw.svg import draw_svg

    return Markup(draw_svg(workflow, highlight=changed_nodes(other, workflow) if other is not None else frozenset()))


def _in_words(workflow: Workflow) -> str:
    """The workflow in one line of plain words."""
    from flowbot.optimizer.rendering import sentence

    return sentence(workflow)


def _paths(workflow: Workflow) -> dict[str, str]:
    """The kind of every node by path, those of bodies too."""
    return {path: kind_text(node) for path, node in walk(workflow.sketch)}


def _found_file(run: RunView) -> str:
    path = run.run_dir / "found.flow.yaml"
    return read_text(path, limit=MAX_BYTES, links=False) if run.found is not None else ""
