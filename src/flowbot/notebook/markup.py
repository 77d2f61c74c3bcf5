"""Pieces of HTML of which a notebook's pages are made: escaped, small, and readable on light and dark pages.

Styles stand in the elements, since many viewers take style sheets away, and use the page's own text colour.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from flowbot.fields.words import brief

SHORT = 24
"""Letters that a cell never breaks."""
LONGEST_TEXT = 4000
"""Letters of a text, such as a prompt, that is shown whole."""

_TAGS = re.compile(r"<[^>]*>")
_LINE = "1px solid rgba(128,128,128,.3)"
_CARD = "font:13px/1.45 system-ui,sans-serif;max-width:62em;overflow-x:auto"
_TABLE = "border-collapse:collapse;font-size:inherit;margin:.3em 0"
_CELL = f"text-align:left;vertical-align:top;padding:.2em 1em .2em 0;border-top:{_LINE};overflow-wrap:break-word"
_PRE = "white-space:pre-wrap;overflow-wrap:anywhere;margin:.2em 0;padding:.4em .6em;border-left:3px solid rgba(128,128,128,.3);font:12px/1.4 ui-monospace,monospace;background:none;color:inherit"
_COLOURS = {"good": "#2c9a5b", "bad": "#d9534f", "warn": "#b7791f"}


class Markup(str):
    """Text that is HTML already. Every other text is escaped where it is put in."""

    __slots__ = ()


def shown(value: object, most: int = 300) -> Markup:
    """A value as HTML: markup as it is, a text escaped, anything else as JSON; cut after `most` letters.

    >>> shown("<b>")
    '&lt;b&gt;'
    """
    if isinstance(value, Markup):
        return value
    return Markup(escape(brief(value, most)))


def card(title: object, *parts: object) -> Markup:
    """What an object shows: its title in bold, and the parts below."""
    return Markup(f'<div style="{_CARD}"><strong>{shown(title)}</strong>{_joined(parts)}</div>')


def line(*parts: object) -> Markup:
    """A paragraph."""
    return Markup(f'<div style="margin:.2em 0">{_joined(parts)}</div>')


def soft(text: object) -> Markup:
    """Text that stands back."""
    return Markup(f'<span style="opacity:.7">{shown(text)}</span>')


def strong(text: object, tone: str = "") -> Markup:
    """Text that stands out; `tone` is `good`, `bad` or `warn`."""
    colour = f";color:{_COLOURS[tone]}" if tone else ""
    return Markup(f'<span style="font-weight:600{colour}">{shown(text)}</span>')


def text(given: str) -> Markup:
    """A text with its line breaks, such as a prompt or code."""
    return Markup(f'<pre style="{_PRE}">{shown(given, LONGEST_TEXT)}</pre>')


def folded(title: object, *parts: object, opened: bool = False) -> Markup:
    """Parts that are seen once their title is pressed."""
    state = " open" if opened else ""
    summary = f'<summary style="cursor:pointer">{shown(title)}</summary>'
    return Markup(f'<details style="margin:.2em 0"{state}>{summary}{_joined(parts)}</details>')


def table(rows: Iterable[Sequence[object]], head: Sequence[object] = ()) -> Markup:
    """A table; cells are values as `shown` takes them."""
    top = f"<thead>{_row(head, 'th')}</thead>" if head else ""
    body = "".join(_row(cells, "td") for cells in rows)
    return Markup(f'<table style="{_TABLE}">{top}<tbody>{body}</tbody></table>')


def facts(given: Mapping[str, object]) -> Markup:
    """Names with their values, one a row."""
    return table((soft(name), value) for name, value in given.items())


def bar(mean: float, low: float, high: float, *, tone: str = "") -> Markup:
    """A score on a line from 0 to 1: a dot with its interval. The numbers stand beside it, not in it."""
    colour = _COLOURS.get(tone, "currentColor")
    left, wide = 100 * low, max(0.0, 100 * (high - low))
    place = "position:absolute;display:block"
    return Markup(
        f'<span aria-hidden="true" style="position:relative;display:inline-block;width:9em;height:.8em">'
        f'<span style="{place};top:.38em;left:0;width:100%;border-top:{_LINE}"></span>'
        f'<span style="{place};top:.3em;left:{left:.1f}%;width:{wide:.1f}%;height:.2em;background:{colour};opacity:.45"></span>'
        f'<span style="{place};top:.1em;left:calc({100 * mean:.1f}% - .3em);width:.6em;height:.6em;border-radius:50%;'
        f'background:{colour}"></span></span>'
    )


def _row(cells: Sequence[object], tag: str) -> str:
    return (
        "<tr>" + "".join(f'<{tag} style="{_CELL}{_wrapping(cell)}">{shown(cell)}</{tag}>' for cell in cells) + "</tr>"
    )


def _wrapping(cell: object) -> str:
    """Names, numbers and intervals stay on one line; where text has no blanks it may be torn."""
    long = len(_TAGS.sub("", cell) if isinstance(cell, Markup) else brief(cell)) > SHORT
    return ";min-width:8em;word-break:break-word" if long else ";white-space:nowrap"


def _joined(parts: Iterable[object]) -> str:
    return "".join(shown(part) for part in parts)
