"""The parts of the report by themselves: charts, differences, words."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_sample import final, listed, nested, start

from flowbot.fields.words import duration, interval, money, percent
from flowbot.fields.words import points as in_points
from flowbot.report.diffs import pieces, text_diffs
from flowbot.report.report import templates
from flowbot.run.events import Measure
from flowbot.run.view import Point
from flowbot.stats import Estimate

SVG = "{http://www.w3.org/2000/svg}"


def score(low: float, mean: float, high: float) -> Measure:
    return Measure(mean=mean, low=low, high=high, n=10)


def score_chart(points: list[Point], width: int) -> str:
    charts: Any = templates().get_template("charts.jinja").module
    return str(charts.scores(points, width)).strip()


shares = st.floats(0, 1, allow_nan=False)


@given(
    st.lists(st.tuples(st.integers(0, 100_000), shares, shares, shares), min_size=1, max_size=12),
    st.sampled_from([320, 820]),
)
def test_chart_draws_every_point_inside_its_frame(raw: list[tuple[int, float, float, float]], width: int) -> None:
    drawn = [Point(calls, score(*sorted(scores)), "tried") for calls, *scores in sorted(raw)]
    tree = ElementTree.fromstring(score_chart(drawn, width=width))
    circles = list(tree.iter(f"{SVG}circle"))
    assert len(circles) == len(drawn)
    for circle in circles:
        assert 0 <= float(circle.attrib["cx"]) <= width
        assert 0 <= float(circle.attrib["cy"]) <= 300
    assert len(list(tree.iter(f"{SVG}text"))) <= 5 + 8 + 1


def test_higher_scores_stand_higher_and_the_line_keeps_the_best() -> None:
    low, high = score(0.1, 0.2, 0.3), score(0.6, 0.7, 0.8)
    text = score_chart([Point(10, high, "start"), Point(20, low, "tried")], width=320)
    first, second = (float(each) for each in re.findall(r'cy="([\d.]+)"', text))
    assert {first > second, first < second} == {True, False}
    path = re.search(r'class="best" d="M[\d.]+,([\d.]+)H[\d.]+V([\d.]+)"', text)
    assert path is not None
    assert path[1] == path[2] == f"{min(first, second)}"


def test_interval_bar_says_its_numbers_to_screen_readers() -> None:
    charts: Any = templates().get_template("charts.jinja").module
    assert 'aria-label="62 %, 95 % interval 53 to 72 %"' in charts.interval(Estimate(0.62, 0.53, 0.72, 100), "final")


@given(st.text(max_size=200), st.text(max_size=200), st.booleans())
def test_pieces_give_both_texts_back(before: str, after: str, lines: bool) -> None:
    found = pieces(before, after, lines=lines)
    assert "".join(text for op, text in found if op != "new") == before
    assert "".join(text for op, text in found if op != "gone") == after


def test_text_diffs_name_node_and_text_that_changed() -> None:
    changed = {(each.node, each.what) for each in text_diffs(start(), listed())}
    assert changed == {("answer", "instruction"), ("compute", "code")}
    assert {each.what for each in text_diffs(listed(), final())} == {"instruction", "demonstrations"}
    assert text_diffs(final(), final()) == ()


def test_text_diffs_find_bodies_by_path_and_settings() -> None:
    before = nested()
    critic = before.parameter("each/refine/critic").model_copy(update={"instruction": "Is it?", "samples": 3})
    after = before.with_parameter("each/refine/critic", critic)
    found = [(each.node, each.what) for each in text_diffs(before, after)]
    assert found == [("each/refine/critic", "instruction"), ("each/refine/critic", "settings")]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (percent(0.62), "62 %"),
        (percent(0.004), "0.4 %"),
        (percent(0.996), "99.6 %"),
        (percent(1.0), "100 %"),
        (in_points(-0.1), "−10"),
        (in_points(0.044), "+4"),
        (in_points(0.0), "0"),
        (in_points(-0.0025), "−0.2"),
        (in_points(1e-12), "0"),
        (interval(Estimate(0.08, -0.0025, 0.16, 60), difference=True), "−0.2 to +16"),
        (interval(Estimate(0.998, 0.996, 0.999, 60)), "99.6 to 99.9 %"),
        (interval(Estimate(0.2, 0.1, 0.3, 9)), "10 to 30 %"),
        (money(None), "unknown"),
        (money(0.0), "$0"),
        (money(12.345), "$12.35"),
        (money(0.0123), "$0.012"),
        (duration(8.4), "8 s"),
        (duration(250), "4 min 10 s"),
        (duration(7500), "2 h 5 min"),
    ],
)
def test_numbers_as_people_read_them(said: str, expected: str) -> None:
    assert said == expected
