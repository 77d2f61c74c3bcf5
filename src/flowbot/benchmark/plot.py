"""The pictures of a comparison as SVG, by matplotlib (the extra `[bench]`), for light and dark pages.

Colours are told apart by those who are blind to some (after Okabe & Ito 2008), and each series has a mark of its own as well.
"""

from __future__ import annotations

import io
import re
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from html import escape
from importlib import import_module
from typing import Any

from flowbot.fields import UserError

from .front import UNITS, Kind, Panel, Point, Series, front, panels, series_of, set_apart, tick
from .rows import Row

INK, SOFT, GRID, PAPER = "#1b1f24", "#59636d", "#e4e7ea", "#fefefe"
_DARK = {
    INK: "#e6e9ec", SOFT: "#a3adb7", GRID: "#2a3138", PAPER: "#14171b",
    "#0072b2": "#56b4e9", "#c44601": "#ff8f50", "#00765a": "#3dd6a8",
    "#a3407c": "#e89acb", "#776800": "#e2cf45", "#56606b": "#c3cbd3",
}  # fmt: skip
"""A colour on a light page, and in its place on a dark one."""
_COLOURS = list(_DARK)[4:]
_MARKS = "osD^vPX*<>"
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "flowbot",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "text.color": INK,
}
TITLES: dict[Kind, str] = {
    "calls": "Test score against search calls",
    "cost": "Test score against the cost of an example",
}
TEXTS: dict[Kind, str] = {
    "calls": "Means with 95 % intervals; the dashed line is the baseline. Points that would lie on each other stand side by side.",
    "cost": "Means with 95 % intervals; the line joins what nothing else beats in both, all others are pale.",
}
THEMES = (
    "@media screen and (prefers-color-scheme:dark){"
    + "".join(
        f'[style*="{use}: {light}"]{{{use}:{dark}!important}}'
        for light, dark in _DARK.items()
        for use in ("fill", "stroke")
    )
    + "}"
)
"""What makes the pictures of a page dark where the page is; a picture by itself holds it."""
MOST_SIDE_BY_SIDE = 2


def draw(rows: Sequence[Row], kind: Kind, *, baseline: str | None = None) -> str:
    """One `<svg>` of the whole comparison, 800 CSS pixels wide: a small picture a task, and what the marks mean.

    Raises:
        UserError: if matplotlib is not installed.
    """
    names, drawn = series_of(rows), panels(rows, kind)
    columns = min(MOST_SIDE_BY_SIDE, len(drawn))
    return _picture(drawn, names, kind, baseline=baseline, columns=columns)


def draw_each(rows: Sequence[Row], kind: Kind, *, baseline: str | None = None) -> list[str]:
    """The small pictures by themselves, 400 CSS pixels wide, without what the marks mean.

    Raises:
        UserError: as `draw`.
    """
    names = series_of(rows)
    return [
        _picture([each], names, kind, baseline=baseline, columns=1, name=f"{kind}{place}")
        for place, each in enumerate(panels(rows, kind))
    ]


def draw_marks(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """The mark of each series as a small `<svg>`, and the series' name.

    Raises:
        UserError: as `draw`.
    """
    names = series_of(rows)
    looks, found = styles(names), list[tuple[str, str]]()
    with _library("").rc_context(_SETTINGS):
        for place, (series, text) in enumerate(names.items()):
            figure: Any = _library("figure").Figure(figsize=(0.16, 0.16))
            axes = figure.add_axes((0, 0, 1, 1))
            axes.set_axis_off()
            axes.plot([0], [0], **looks[series])
            found.append((_svg(figure, f"mark{place}", "", "", []), text))
    return found


def _library(name: str) -> Any:
    try:
        return import_module(f"matplotlib.{name}" if name else "matplotlib")
    except ImportError:
        raise UserError("pictures", "no matplotlib", mend="install it: pip install 'flowbot[bench]'") from None


def _picture(
    drawn: Sequence[Panel],
    names: Mapping[Series, str],
    kind: Kind,
    *,
    baseline: str | None,
    columns: int,
    name: str = "",
) -> str:
    lines = -(-len(drawn) // columns)
    looks = styles(names)
    texts: list[str] = []
    with _library("").rc_context(_SETTINGS):
        figure: Any = _library("figure").Figure(figsize=(4.0 if name else 8.0, 3.0 * lines), layout="constrained")
        for place, panel in enumerate(drawn):
            axes = figure.add_subplot(lines, columns, place + 1)
            _dress(axes, panel)
            (_calls if kind == "calls" else _cost)(axes, panel, looks, baseline, texts)
        if not name:  # alone
            handles = [_library("lines").Line2D([], [], linestyle="none", **looks[each]) for each in names]
            longest = max(map(len, names.values()))
            beside = 4 if longest <= 14 else 3 if longest <= 24 else 2
            figure.legend(handles, list(names.values()), loc="outside lower center", frameon=False, ncols=beside)
            figure.set_size_inches(8.0, 3.0 * lines + 0.2 * -(-len(names) // beside) + 0.1)
        return _svg(figure, name, TITLES[kind], f"{drawn[0].title}. {TEXTS[kind]}" if name else TEXTS[kind], texts)


def styles(names: Mapping[Series, str]) -> dict[Series, dict[str, Any]]:
    """A colour a method and a mark a series; where there are more methods than colours the marks tell them apart."""
    methods, models = (list(dict.fromkeys(each[place] for each in names)) for place in (0, 1))
    found: dict[Series, dict[str, Any]] = {}
    for each in names:
        mark = _MARKS[(methods.index(each.method) + 3 * models.index(each.models)) % len(_MARKS)]
        colour = _COLOURS[methods.index(each.method) % len(_COLOURS)]
        size = {"*": 11, "o": 7, "s": 6.5, "D": 6.5}.get(mark, 8)
        edge = {"markeredgecolor": PAPER, "markeredgewidth": 0.7}
        found[each] = {"color": colour, "marker": mark, "markersize": size, **edge}
    return found


def _dress(axes: Any, panel: Panel) -> None:
    axes.set_title(panel.title, loc="left", fontsize=10)
    missing = f"no scores: {', '.join(panel.missing)}" if panel.missing else ""
    below = textwrap.wrap(missing, 58, max_lines=2, placeholder=" …")
    axes.set_xlabel("\n".join([UNITS[panel.unit], *below]))
    axes.set_ylabel("test score (%)")
    axes.grid(visible=True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    _scale(axes, [each.x for each in panel.points], panel)
    if not panel.points:
        axes.text(0.5, 0.5, "no scores", transform=axes.transAxes, ha="center", va="center", color=SOFT)
        axes.set(xticks=[], yticks=[])
        return
    low = 100 * min(each.score.low for each in panel.points)
    high = 100 * max(each.score.high for each in panel.points)
    room = max(2.0, 0.06 * (high - low))
    axes.set_ylim(max(-2.0, low - room), min(102.0, high + room))


def _scale(axes: Any, places: Sequence[float], panel: Panel) -> None:
    """The horizontal axis: from 0, or by powers of ten where the largest is more than thirty times the least."""
    above = [each for each in places if each > 0]
    ticker = _library("ticker")
    if above and max(above) > 30 * min(above):
        if len(above) < len(places):
            axes.set_xscale("symlog", linthresh=min(above))
            axes.set_xlim(-0.3 * min(above), 1.6 * max(above))
        else:
            axes.set_xscale("log")
            axes.set_xlim(min(above) / 1.6, 1.6 * max(above))
        axes.xaxis.set_minor_formatter(ticker.NullFormatter())
        axes.xaxis.get_major_locator().set_params(numticks=5)
    else:
        most = max(places, default=0) or 1
        axes.set_xlim(-0.07 * most, 1.07 * most)
        axes.xaxis.set_major_locator(ticker.MaxNLocator(4 if panel.unit == "usd" else 5, integer=panel.unit != "usd"))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(partial(tick, unit=panel.unit)))


def _calls(axes: Any, panel: Panel, styles: Any, baseline: str | None, texts: list[str]) -> None:
    inverse, forward = axes.transData.inverted(), axes.transData
    places = [float(forward.transform((each.x, 0))[0]) for each in panel.points]
    width = float(axes.figure.dpi) * 0.1
    moved = [float(inverse.transform((each, 0))[0]) for each in set_apart(places, width)]
    at = {id(point): x for point, x in zip(panel.points, moved, strict=True)}
    for series, style in styles.items():
        points = [each for each in panel.points if each.series == series]
        if series.method == baseline:
            for each in points[:1]:
                axes.axhline(100 * each.score.mean, color=style["color"], linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        axes.plot(
            [at[id(each)] for each in points],
            [100 * each.score.mean for each in points],
            color=style["color"],
            linewidth=1.2,
        )
        for each in points:
            _point(axes, at[id(each)], each, style, texts)


def _cost(axes: Any, panel: Panel, styles: Any, baseline: str | None, texts: list[str]) -> None:
    best = front(panel.points)
    axes.plot(
        [each.x for each in best], [100 * each.score.mean for each in best],
        color=SOFT, linewidth=1.4, drawstyle="steps-post", zorder=1.5,
    )  # fmt: skip
    chosen = {id(each) for each in best}
    for each in sorted(panel.points, key=lambda point: id(point) in chosen):
        _point(axes, each.x, each, styles[each.series], texts, alpha=1.0 if id(each) in chosen else 0.4)


def _point(axes: Any, x: float, point: Point, style: Mapping[str, Any], texts: list[str], alpha: float = 1.0) -> None:
    low, mean, high = (100 * each for each in (point.score.low, point.score.mean, point.score.high))
    axes.plot([x, x], [low, high], color=style["color"], linewidth=1.3, alpha=0.55 * alpha, solid_capstyle="round")
    (drawn,) = axes.plot([x], [mean], linestyle="none", alpha=alpha, zorder=3, **style)
    drawn.set_gid(f"point{len(texts)}")
    texts.append(point.text)


def _svg(figure: Any, name: str, title: str, text: str, texts: Sequence[str]) -> str:
    """The figure as an element for a page: no declarations, identifiers of its own, both themes, what a point is as its title."""
    file = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Glyph"
        )  # the reader's fonts have letters that the measuring one lacks
        figure.savefig(file, format="svg", transparent=True)
    drawn = file.getvalue()
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn[drawn.index("<svg") :], flags=re.DOTALL)
    for number, said in enumerate(texts):
        drawn = drawn.replace(f'<g id="point{number}">', f'<g id="point{number}"><title>{escape(said)}</title>')
    drawn = drawn.replace("'DejaVu Sans'", "'DejaVu Sans',system-ui,sans-serif")
    drawn = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", drawn) if name else drawn
    width, height = (float(each) * 72 for each in figure.get_size_inches())
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" class="bench" role="img" '
        f'viewBox="0 0 {width:g} {height:g}" width="{width * 100 / 72:.0f}" height="{height * 100 / 72:.0f}" '
        f'style="max-width:100%;height:auto">'
    )
    said = f"<title>{escape(title)}</title><desc>{escape(text)}</desc>" if title else ""
    alone = "" if name else f"<style>svg:root{{color-scheme:light dark}}{THEMES}</style>"
    return f"{head}{said}{alone}{drawn[drawn.index('>') + 1 :]}".strip()
