"""The shapes of a picture: a box for a step, a frame around a body, six corners for a branch, a pill for a way.

All text is set in a fixed width, so that its room is known without measuring and none leaves its box.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterator

from flowbot.fields.words import printable

from .layout import Box
from .scene import IN, OUT, Item, Line

PAD = 14.0
"""Between a frame and what is in it."""
_COLOURS = {
    "llm": "#6d6ff2", "code": "#12968a", "tool": "#c9760c", "merge": "#b05fce",
    "branch": "#cf4c74", "way": "#cf4c74", "loop": "#3a86c8", "map": "#5b9440",
    "program": "#7d7a1c", "core": "#b0643a",
}  # fmt: skip
_PLAIN = "#7b8794"
_FAULT = "#d03b30"
_MONO = "font-family:ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace"
_EM = 0.605
"""Width of a letter of these fonts, in parts of their size; the widest of them."""
_TITLE, _SMALL = 13.0, 11.0
_LINE = 15.0
_HEAD = 27.0
_EDGE = 12.0
_TIP = 16.0
_MOST_LINES = 7
_MOST_LETTERS = {"title": 40, "label": 30, "line": 36, "way": 56, "frame": 64}
_MOST_NOTE = 3
"""Lines that one note is wrapped into at most."""


def colour(kind: str) -> str:
    """The colour of a kind as CSS: the page's, or one that can be seen on light and dark."""
    name = "branch" if kind == "way" else kind
    return f"var(--flow-{name},{_COLOURS[kind]})" if kind in _COLOURS else f"var(--flow-plain,{_PLAIN})"


def safe(text: str) -> str:
    """Text for XML: marks escaped, characters that XML cannot hold left out."""
    whole = printable(text).encode("utf-8", "replace").decode()
    return whole.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def text_width(text: str, size: float) -> float:
    """Pixels that a text takes at most in a fixed-width font of `size` pixels."""
    return _letters(text) * _EM * size


def short(text: str, most: int) -> str:
    """A text cut to the room of `most` letters."""
    text = printable(text)
    if _letters(text) <= most:
        return text
    while _letters(text) > most - 1:
        text = text[: min(len(text) - 1, most)]
    return f"{text}…"


def size(item: Item, inside: tuple[float, float] | None = None) -> tuple[float, float]:
    """Width and height of an item; `inside`: those of its body."""
    title, label, lines = _shown(item)
    widths = [text_width(line.text, _SMALL) for line in lines]
    if item.kind == "way":
        return text_width(title, _SMALL) + (widths[0] + 8 if widths else 0) + 22, 22.0
    head = text_width(title, _TITLE) + (text_width(label, _SMALL) + 18 if label else 0)
    width = max([head, 48.0, *widths]) + 2 * _EDGE + (2 * _TIP if item.kind == "branch" else 0)
    height = _HEAD + _LINE * len(lines) + (5 if lines else 0)
    if inside is None:
        return width, height
    return max(width, inside[0] + 2 * PAD), height + inside[1] + PAD + 4


def draw_item(item: Item, box: Box, *, stressed: bool) -> Iterator[str]:
    """The shape of an item with its text, as SVG elements; a frame without what is in it."""
    ink = colour(item.kind)
    weight, fill = (2.6, 0.26) if stressed else (1.2, 0.09)
    fill = fill / 2 if item.body else fill
    marked = f' data-node="{safe(item.path)}"' if item.path else ""
    yield f"<g{marked}><title>{safe(item.about)}</title>"
    dashes = ' stroke-dasharray="4 3"' if item.kind in (IN, OUT) else ""
    yield _shape(item, box, 'style="fill:var(--flow-page,Canvas)"')
    yield _shape(item, box, f'style="fill:{ink};fill-opacity:{fill};stroke:{ink};stroke-width:{weight}"{dashes}')
    yield from _texts(item, box, ink)
    yield "</g>"


def _shape(item: Item, box: Box, style: str) -> str:
    left, right, bottom = box.x - box.width / 2, box.x + box.width / 2, box.y + box.height
    if item.kind == "branch":
        middle = box.y + box.height / 2
        corners = (
            (left, middle), (left + _TIP, box.y), (right - _TIP, box.y),
            (right, middle), (right - _TIP, bottom), (left + _TIP, bottom),
        )  # fmt: skip
        return f'<polygon points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in corners)}" stroke-linejoin="round" {style}/>'
    radius = {IN: 13.0, OUT: 13.0, "way": box.height / 2}.get(item.kind, 9.0)
    place = f'x="{left:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}"'
    return f'<rect {place} rx="{radius:.0f}" {style}/>'


def _texts(item: Item, box: Box, ink: str) -> Iterator[str]:
    title, label, lines = _shown(item)
    tip = _TIP if item.kind == "branch" else 0.0
    left, right = box.x - box.width / 2 + _EDGE + tip, box.x + box.width / 2 - _EDGE - tip
    y = box.y + 18
    if item.kind == "way":
        start = box.x - box.width / 2 + 11
        yield _text(title, start, box.y + 15, _SMALL, 'font-weight="600"', f"fill:{ink}")
        for line in lines:
            yield _text(line.text, start + text_width(title, _SMALL) + 8, box.y + 15, _SMALL)
        return
    middle = item.kind in (IN, OUT)
    if middle:
        yield _text(title, box.x, y, 12, 'text-anchor="middle" opacity=".65"')
    else:
        yield _text(title, left, y, _TITLE, 'font-weight="600"')
        yield _text(label, right, y, _SMALL, 'text-anchor="end"', f"fill:{ink}")
    for index, line in enumerate(lines, start=1):
        where, anchor = (box.x, 'text-anchor="middle" ') if middle else (left, "")
        faint = {"field": 'opacity=".88"', "note": 'opacity=".66"', "fault": 'font-weight="600"'}[line.tone]
        red = f"fill:var(--flow-fault,{_FAULT})" if line.tone == "fault" else ""
        yield _text(line.text, where, y + _LINE * index + 2, _SMALL, anchor + faint, red)


def _text(text: str, x: float, y: float, size: float, more: str = "", style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" {more} style="{_MONO};{style}">{safe(text)}</text>'


def _shown(item: Item) -> tuple[str, str, list[Line]]:
    """Title, label and lines as far as there is room; faults always."""
    most = _MOST_LETTERS["frame" if item.body else "way" if item.kind == "way" else "line"]
    lines = [piece for line in item.lines for piece in _wrapped(line, most)]
    if len(lines) > _MOST_LINES:
        faults = [line for line in lines if line.tone == "fault"][: _MOST_LINES - 1]
        kept = [line for line in lines if line.tone != "fault"][: _MOST_LINES - 1 - len(faults)]
        lines = [*kept, Line(f"… {len(lines) - len(kept) - len(faults)} more", "note"), *faults]
    shown = [Line(short(line.text, most), line.tone) for line in lines]
    return short(item.title, _MOST_LETTERS["title"]), short(item.label, _MOST_LETTERS["label"]), shown


def _wrapped(line: Line, most: int) -> list[Line]:
    """A note in as many lines as it needs; anything else in one."""
    if line.tone != "note" or _letters(line.text) <= most:
        return [line]
    pieces = textwrap.wrap(line.text, most, break_on_hyphens=False)
    last = " ".join(pieces[_MOST_NOTE - 1 :])
    return [Line(piece, line.tone) for piece in (*pieces[: _MOST_NOTE - 1], last) if piece]


def _letters(text: str) -> int:
    """Letters of fixed width, wide ones (Chinese, pictures) counted twice."""
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text
    )
