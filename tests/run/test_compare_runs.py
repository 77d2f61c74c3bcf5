"""Runs side by side: which may be compared, what their differences are worth, and what groups of seeds say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from compare_sample import scores, write_run
from hypothesis import given
from hypothesis import strategies as st

from flowbot.fields import UserError
from flowbot.run.comparisons import compare
from flowbot.stats import difference_over_seeds, holm, permutation_p

FLAT = [1.0] * 10 + [0.0] * 30
BETTER = [1.0] * 30 + [0.0] * 10


def test_the_same_scores_are_no_difference_and_a_large_one_is_clear(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "a", scores(FLAT), method="none"),
        write_run(tmp_path / "b", scores(FLAT), method="random"),
        write_run(tmp_path / "c", scores(BETTER)),
    ]
    found = compare(*runs)
    assert not found.by_group
    by_pair = {(each.first, each.second): each for each in found.differences}
    assert set(by_pair) == {("A", "B"), ("A", "C"), ("B", "C")}
    assert by_pair["A", "B"].estimate.mean == 0
    assert not by_pair["A", "B"].clear
    assert by_pair["A", "C"].estimate.mean == pytest.approx(0.5)
    assert by_pair["A", "C"].estimate.low > 0.3
    assert by_pair["A", "C"].clear
    found_too = (by_pair["A", "C"].estimate, by_pair["A", "C"].p)
    assert found_too == difference_over_seeds([BETTER], [FLAT])
    assert found.runs[2].gain is not None
    assert found.runs[2].gain.mean == pytest.approx(0.75)


def test_many_comparisons_are_held_to_a_higher_bar(tmp_path: Path) -> None:
    slightly = [1.0] * 16 + [0.0] * 24  # six examples better than FLAT: clear alone, not among many
    pair = [write_run(tmp_path / "a", scores(FLAT)), write_run(tmp_path / "b", scores(slightly), method="random")]
    alone = compare(*pair).differences[0]
    assert alone.clear
    assert alone.p == alone.p_corrected
    more = [write_run(tmp_path / f"m{each}", scores(FLAT), method=f"paper+{each}") for each in range(5)]
    among = next(each for each in compare(*pair, *more).differences if (each.first, each.second) == ("A", "B"))
    assert among.p == alone.p
    assert among.p_corrected > among.p


def test_runs_that_differ_in_their_seed_alone_are_a_group_with_mean_and_spread(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "a", scores([1, 1, 1, 1, 0, 0, 0, 0] * 3), seed=0),
        write_run(tmp_path / "b", scores([1, 1, 0, 0, 0, 0, 0, 0] * 3), seed=1),
        write_run(tmp_path / "c", scores([0, 0, 0, 0, 0, 0, 0, 0] * 3), method="paper", seed=0),
    ]
    found = compare(*runs)
    ours, paper = found.groups
    assert (ours.name, ours.runs) == ("flowbot+blame", ("A", "B"))
    assert (ours.mean, ours.low, ours.high) == pytest.approx((0.375, 0.25, 0.5))
    assert ours.deviation == pytest.approx(0.1768, abs=1e-3)
    assert paper.deviation is None
    assert found.by_group
    (difference,) = found.differences
    assert (difference.first, difference.second) == ("flowbot+blame", "paper")
    assert difference.estimate.mean == pytest.approx(-0.375)


def test_runs_of_different_tasks_are_no_group_of_seeds(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "a", scores(FLAT), seed=0),
        write_run(tmp_path / "b", scores(FLAT), seed=1),
        write_run(tmp_path / "c", scores(BETTER), seed=2, task_hash="two"),
    ]
    found = compare(*runs)
    assert [(each.name, each.runs) for each in found.groups] == [
        ("flowbot+blame, task one", ("A", "B")),
        ("flowbot+blame, task two", ("C",)),
    ]
    (difference,) = found.differences
    assert difference.estimate.mean == pytest.approx(0.5)


def test_seeds_of_one_method_alone_are_compared_run_by_run(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / str(seed), scores(FLAT), seed=seed) for seed in range(3)]
    found = compare(*runs)
    assert len(found.groups) == 1
    assert not found.by_group
    assert len(found.differences) == 3


def test_it_says_which_examples_only_one_gets_right(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "a", scores([1, 0, 0, 1, 0.5])),
        write_run(tmp_path / "b", scores([0, 1, 0, 1, 0.5]), method="paper"),
    ]
    found = compare(*runs)
    assert found.only == {"A": ("e0",), "B": ("e1",)}
    assert found.all_right == ("e3",)
    assert found.none_right == ("e2", "e4")


def test_only_examples_that_all_have_scored_are_compared(tmp_path: Path) -> None:
    fewer = {name: value for name, value in scores(BETTER).items() if name != "e3"}
    runs = [write_run(tmp_path / "a", scores(FLAT)), write_run(tmp_path / "b", fewer, method="paper")]
    found = compare(*runs)
    assert len(found.examples) == 39
    assert "e3" not in found.examples
    assert found.other_examples == {"A": 1}
    assert found.runs[0].found is not None
    assert found.runs[0].found.n == 39


def test_an_example_that_the_start_was_not_run_on_is_left_out(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "a", scores(FLAT)), write_run(tmp_path / "b", scores(FLAT), method="paper")]
    rows = [json.loads(line) for line in (runs[1] / "examples.jsonl").read_text(encoding="utf-8").splitlines()]
    rows[2]["start"] = None
    (runs[1] / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = compare(*runs)
    assert "e2" not in found.examples
    assert found.other_examples == {"A": 1, "B": 1}


def test_another_task_is_compared_if_enough_examples_are_the_same(tmp_path: Path) -> None:
    mine = write_run(tmp_path / "a", scores(FLAT))
    other = write_run(tmp_path / "b", scores(BETTER[:12]), task_hash="two")
    found = compare(mine, other)
    assert (len(found.examples), found.same_task) == (12, False)
    few = write_run(tmp_path / "few", scores(BETTER[:9]), task_hash="two")
    with pytest.raises(UserError, match="only 9 test examples in common"):
        compare(mine, few)
    elsewhere = write_run(tmp_path / "elsewhere", scores(BETTER), task_hash="two", inputs="another note")
    with pytest.raises(UserError, match="only 0 test examples in common"):
        compare(mine, elsewhere)


def test_another_metric_is_refused_however_many_examples_are_the_same(tmp_path: Path) -> None:
    mine = write_run(tmp_path / "a", scores(FLAT))
    words = write_run(tmp_path / "b", scores(FLAT), task_hash="two", metric="exact")
    with pytest.raises(UserError, match="with the metric exact"):
        compare(mine, words)


def test_one_run_or_the_same_run_twice_is_no_comparison(tmp_path: Path) -> None:
    mine = write_run(tmp_path / "a", scores(FLAT))
    with pytest.raises(UserError, match="two or more"):
        compare(mine)
    with pytest.raises(UserError, match="twice"):
        compare(mine, mine / ".." / "a")


@pytest.mark.parametrize("status", ["paused", "unfinished"])
def test_a_run_that_has_not_ended_is_shown_without_scores(tmp_path: Path, status: str) -> None:
    runs = [
        write_run(tmp_path / "a", scores(FLAT)),
        write_run(tmp_path / "b", scores(FLAT), status=status, seed=7),
        write_run(tmp_path / "c", scores(BETTER), method="paper"),
    ]
    found = compare(*runs)
    assert found.runs[1].found is None
    facts = found.dump()["runs"][1]
    assert (facts["status"], facts["seed"], facts["method"]) == (status, 7, "flowbot+blame")
    assert [(each.first, each.second) for each in found.differences] == [("A", "C")]


def test_runs_of_which_none_has_ended_still_stand_side_by_side(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, scores(FLAT), status="unfinished") for name in "ab"]
    found = compare(*runs)
    assert (found.examples, found.differences, found.groups) == ((), (), ())


def test_a_price_that_is_not_known_is_not_zero(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "a", scores(FLAT), usd=None),
        write_run(tmp_path / "b", scores(FLAT), usd=0.25, seed=1),
    ]
    facts = compare(*runs).dump()["runs"]
    assert [each["usd"] for each in facts] == [None, 0.5]


@given(st.lists(st.floats(0, 1), max_size=8))
def test_corrected_p_values_keep_their_order_and_never_fall(values: list[float]) -> None:
    corrected = holm(values)
    assert all(1 >= after >= before for before, after in zip(values, corrected, strict=True))
    order = sorted(range(len(values)), key=lambda each: values[each])
    assert [corrected[each] for each in order] == sorted(corrected)


def test_holm_gives_the_textbook_values() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=25), st.data())
def test_p_is_low_where_the_interval_leaves_out_zero_by_far_and_only_there(
    first: list[float], data: st.DataObject
) -> None:
    second = data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=len(first), max_size=len(first)))
    (estimate, p), other = difference_over_seeds([second], [first]), difference_over_seeds([first], [second])
    assert p == permutation_p(second, first) == other[1]
    assert (estimate.low, estimate.high) == (-other[0].high, -other[0].low)
    outside = estimate.low > 0 or estimate.high < 0
    fewest = 2 / 2 ** len(first)  # the least p that so many signs can give: 0.25 of three pairs
    assert p <= max(0.13, fewest) if outside else p >= 0.02
