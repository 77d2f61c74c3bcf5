"""The pictures of a comparison: what is on the front, what is drawn of it, and that they stand by themselves."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from bench_cells import cell, searched

from flowbot.benchmark import plot
from flowbot.benchmark.front import Kind, Point, Series, front, panels, set_apart
from flowbot.benchmark.rows import Row
from flowbot.benchmark.table import compare_cells
from flowbot.fields import UserError
from flowbot.stats import Estimate

FLAT = [1.0, 0.0] * 10
BETTER = [1.0] * 14 + [0.0] * 6
KINDS: tuple[Kind, ...] = ("calls", "cost")


def rows(*cells: object) -> list[Row]:
    return list(compare_cells(cells, baseline=None).rows.values())  # type: ignore[arg-type]


def at(x: float, mean: float) -> Point:
    return Point(Series("a", "small"), x, Estimate(mean, 0.0, 1.0, 20), "")


def test_the_front_is_what_nothing_beats_in_cost_and_score() -> None:
    cheap, same, worse, dear, beaten = at(1, 0.4), at(1, 0.4), at(2, 0.3), at(3, 0.8), at(4, 0.8)
    assert front([dear, beaten, worse, cheap, same]) == [cheap, same, dear]
    assert front([at(1, 0.3), at(1, 0.5)]) == [at(1, 0.5)]
    assert front([]) == []


def test_cost_is_in_dollars_and_in_tokens_where_a_price_is_unknown() -> None:
    priced, other = searched("a", FLAT, 200), searched("b", BETTER, 200)
    unknown = other.model_copy(update={"test": other.test.model_copy(update={"usd": None})})
    (panel,) = panels(rows(priced, other), "cost")
    assert (panel.unit, [each.x for each in panel.points]) == ("usd", [pytest.approx(0.002)] * 2)
    (panel,) = panels(rows(priced, unknown), "cost")
    assert (panel.unit, [each.x for each in panel.points]) == ("tokens", [600, 600])


def test_calls_have_a_panel_for_each_pair_of_models_and_costs_one_a_task() -> None:
    found = rows(searched("a", FLAT, 190), searched("a", BETTER, 210, models="big"), cell("b", models="big"))
    calls = panels(found, "calls")
    assert [(each.title, [point.x for point in each.points], each.missing) for each in calls] == [
        ("orders, small", [190], ()),
        ("orders, big", [210], ("b",)),
    ]
    assert [(each.title, len(each.points), each.missing) for each in panels(found, "cost")] == [
        ("orders", 2, ("b (big)",))
    ]


def test_points_on_one_place_are_set_apart_around_it() -> None:
    assert set_apart([0, 100, 0, 0], 5) == [-5, 100, 0, 5]
    assert set_apart([], 5) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_stands_by_itself_and_says_what_each_point_is(kind: Kind) -> None:
    found = rows(cell("cot", FLAT), searched("a <b> $x^2$ & \u202e", BETTER, 200), cell("b", effort=200))
    drawn = plot.draw(found, kind, baseline="cot")
    root = ElementTree.fromstring(drawn)
    assert [each for each in re.findall(r'(?:href|src|url)[=(]"?([^")]+)', drawn) if not each.startswith("#")] == []
    titles = [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any(each.startswith("cot, small: 50.0 (") for each in titles)
    assert any(each.startswith(r"a <b> $x^2$ & \u202e, small: 70.0") for each in titles)
    shown = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert r"a <b> $x^2$ & \u202e" in shown
    assert "no scores: b" in shown
    assert plot.draw(found, kind, baseline="cot") == drawn


@pytest.mark.parametrize("kind", KINDS)
def test_every_colour_of_a_picture_has_a_dark_one(kind: Kind) -> None:
    found = rows(
        cell("cot", FLAT), *(searched(f"m{number}", BETTER, 10 * number + 1, effort=9**number) for number in range(7))
    )
    drawn = plot.draw(found, kind)
    used = set(re.findall(r"(?:fill|stroke): (#\w+)", drawn.partition("</style>")[2]))
    dark = set(re.findall(r'style\*="(?:fill|stroke): (#\w+)"', drawn))
    assert used - dark == set()
    assert [each for each in re.findall("<text[^>]*>", drawn) if "fill: #" not in each] == []  # black is not written


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_scored_and_a_single_cell_are_drawn_too(kind: Kind) -> None:
    assert ">no scores</text>" in plot.draw(rows(cell("a")), kind)
    assert plot.draw_each(rows(searched("a", BETTER, 200)), kind)[0].count("<title>a, small: 70.0") == 1


def test_pictures_of_one_page_share_no_identifier() -> None:
    found = rows(searched("a", FLAT, 190), searched("a", BETTER, 210, task="sums"))
    drawn = [
        *plot.draw_each(found, "calls"),
        *plot.draw_each(found, "cost"),
        *(mark for mark, _ in plot.draw_marks(found)),
    ]
    ids = [each for one in drawn for each in re.findall(r'\bid="([^"]+)"', one)]
    assert len(set(ids)) == len(ids)


def test_marks_tell_methods_apart_where_colours_do_not() -> None:
    styles = plot.styles({Series(f"m{number}", "small"): "" for number in range(20)})
    assert len({(each["color"], each["marker"]) for each in styles.values()}) == 20


def test_without_matplotlib_a_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(plot, "import_module", missing)
    with pytest.raises(UserError, match=r"pip install 'flowbot\[bench\]'"):
        plot.draw(rows(cell("a", FLAT)), "calls")
