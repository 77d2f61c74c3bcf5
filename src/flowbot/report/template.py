"""The templates of the page, and what they call: texts bounded and escaped, names in ticks as code, charts as they are."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any

from flowbot.fields import words
from flowbot.fields.words import as_text
from flowbot.run.taken import PURPOSES
from flowbot.run.verdict import SOURCES, Mean, noted

from .chart import ROLES, interval_bar
from .diffs import joined_diffs, node_texts
from .examples import nested
from .story import BADGES, came, why

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

    from flowbot.run.changes import Change
    from flowbot.run.view import RunView
    from flowbot.workflow.workflow import Workflow

LONGEST = 1500
"""Characters of one text from the run that the page shows, unless a place says otherwise."""


def environment(run: RunView) -> jinja2.Environment:
    """The templates, ready to render the page of a run. Everything is escaped; what is missing is an error."""
    import jinja2
    from jinja2.sandbox import SandboxedEnvironment

    made = SandboxedEnvironment(
        loader=jinja2.PackageLoader("flowbot.report", "page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update({"ticks": _ticks, "cut": cut, "text": as_text, "json": _json})
    known: dict[str, Any] = {
        "words": words,
        "SOURCES": SOURCES,
        "PURPOSES": PURPOSES,
        "ROLES": ROLES,
        "badges": BADGES,
        "why": why,
        "noted": noted,
        "came": partial(_came, run),
        "nested": nested,
        "quoted": run.quoted,
        "interval_bar": _bar,
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


def _ticks(text: str) -> Markup:
    """A line with `names in ticks` set as code. Escaped first, so that only the tags put in here are tags."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`\n]+)`", r"<code>\1</code>", str(escape(text))))


def markup(text: str) -> Markup:
    """A drawing of ours, put in as it is."""
    from markupsafe import Markup

    return Markup(text)


def _bar(score: Mean, kind: str) -> Markup:
    return markup(interval_bar(score, kind=kind))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _came(run: RunView, change: Change) -> str:
    return came(change, run)


def _in_words(workflow: Workflow) -> str:
    """The workflow in one line of plain words."""
    from flowbot.optimizer.words import sentence

    return sentence(workflow)


def _paths(workflow: Workflow) -> dict[str, str]:
    """The kind of every node by path, those of bodies too."""
    from flowbot.workflow.captions import kind_text
    from flowbot.workflow.nodes import walk

    return {path: kind_text(node) for path, node in walk(workflow.sketch)}
