"""The table of a comparison: what is averaged, compared, corrected and ranked, and what is said of what is missing."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from statistics import fmean, stdev

import pytest
from bench_cells import cell, searched, write_cells

from flowbot.benchmark.published import read_published
from flowbot.benchmark.rows import Key
from flowbot.benchmark.table import compare_cells, read_cells
from flowbot.fields import UserError
from flowbot.fields.yaml import parse_data
from flowbot.stats import difference_over_seeds, holm, mean_over_seeds

FLAT = [1.0, 0.0] * 10
BETTER = [1.0] * 14 + [0.0] * 6
BEST = [1.0] * 20


def test_seeds_are_averaged_for_each_example_before_anything_else() -> None:
    table = compare_cells(
        [cell("cot", FLAT), searched("ours", BETTER, 190), searched("ours", BEST, 210, seed=1)], baseline="cot"
    )
    row = table.rows[Key("orders", "small", 200, "ours")]
    assert row.test == mean_over_seeds([BETTER, BEST])
    assert row.test.mean == pytest.approx(fmean([*BETTER, *BEST]))
    assert row.deviation == pytest.approx(stdev([fmean(BETTER), fmean(BEST)]))
    assert row.difference is not None
    assert (row.difference.estimate, row.difference.p) == difference_over_seeds([BETTER, BEST], [FLAT])
    assert row.search is not None
    assert row.example is not None
    assert (row.search.calls, row.search.usd, row.example.calls, row.example.usd) == (200, 0.2, 2, pytest.approx(0.002))


def test_p_values_are_corrected_over_the_whole_table_and_not_by_task() -> None:
    cells = [
        made
        for task in ("orders", "sums")
        for made in (
            cell("cot", FLAT, task=task),
            searched("a", BETTER, 200, task=task),
            searched("b", BEST, 200, task=task),
        )
    ]
    found = [row.difference for row in compare_cells(cells, baseline="cot").rows.values() if row.difference]
    assert len(found) == 4
    assert [each.p_corrected for each in found] == holm([each.p for each in found])


def test_a_start_is_compared_with_every_effort_of_its_task_and_models() -> None:
    cells = [
        cell("cot", FLAT),
        *(searched("a", BETTER, each, effort=each) for each in (200, 500)),
        cell("cot", FLAT, models="big"),
    ]
    rows = compare_cells(cells, baseline="cot").rows
    compared = {key: row.difference.baseline for key, row in rows.items() if row.difference}
    assert compared == {Key("orders", "small", each, "a"): Key("orders", "small", 0, "cot") for each in (200, 500)}


def test_a_searched_baseline_is_compared_at_the_same_effort() -> None:
    cells = [searched(name, BETTER, 1, effort=each) for name in ("base", "a") for each in (200, 500)]
    cells += [cell("cot", FLAT), searched("a", BETTER, 1, effort=900)]
    rows = compare_cells(cells, baseline="base").rows
    compared = {key[2:]: row.difference.baseline.effort for key, row in rows.items() if row.difference}
    assert compared == {(200, "a"): 200, (500, "a"): 500}
    assert {row.remarks for key, row in rows.items() if key[2:] in ((0, "cot"), (900, "a"))} == {
        ("not compared: base has several efforts, none of them this one",)
    }


def test_a_baseline_at_another_effort_is_told() -> None:
    cells = [searched("base", FLAT, 1), searched("a", BETTER, 1, effort=900), cell("cot", FLAT)]
    rows = compare_cells(cells, baseline="base").rows
    assert [row.remarks for row in rows.values() if row.difference] == [("compared with base at 200 calls",)] * 2


def test_what_failed_is_listed_and_a_mean_over_fewer_seeds_says_so() -> None:
    cells = [
        cell("cot", FLAT),
        searched("a", BETTER, 200),
        cell("a", effort=200, seed=1, error="no such model"),
        cell("b", effort=200),
    ]
    table = compare_cells(cells, baseline="cot")
    assert table.rows[Key("orders", "small", 200, "a")].remarks == ("1 of 2 seeds only",)
    assert table.rows[Key("orders", "small", 200, "b")].remarks == ("no scores: failed",)
    text = table.markdown()
    assert "- orders/a/small/200/1: failed: no such model" in text
    assert "- orders/b/small/200/0: failed: exit status 1" in text
    assert [each["cell"] for each in table.dump()["not_done"]] == ["orders/a/small/200/1", "orders/b/small/200/0"]


def test_a_failed_baseline_leaves_the_others_uncompared_and_says_so() -> None:
    rows = compare_cells([cell("cot"), searched("a", BETTER, 200)], baseline="cot").rows
    row = rows[Key("orders", "small", 200, "a")]
    assert row.difference is None
    assert row.remarks == ("not compared: cot has no scores here",)


def test_only_examples_that_both_have_are_compared() -> None:
    cells = [cell("cot", FLAT), searched("a", BETTER[:12], 200)]
    row = compare_cells(cells, baseline="cot").rows[Key("orders", "small", 200, "a")]
    assert row.difference is not None
    assert row.difference.estimate.n == 12
    assert row.remarks == ("12 of 20 test examples only",)


def test_ties_share_their_rank_and_the_average_is_over_tasks_that_all_methods_have() -> None:
    scores = {
        "one": {"a": FLAT, "b": FLAT, "c": BEST},
        "two": {"a": BEST, "b": FLAT, "c": BETTER},
        "three": {"a": BEST, "b": FLAT},
    }
    cells = [searched(name, each, 1, task=task) for task, methods in scores.items() for name, each in methods.items()]
    (ranking,) = compare_cells(cells, baseline=None).ranks
    assert ranking.ranks["one"] == {"a": 2.5, "b": 2.5, "c": 1}
    assert ranking.tasks == ("one", "two")
    assert ranking.left_out == ("three",)
    assert ranking.average == {"c": 1.5, "a": 1.75, "b": 2.75}


def test_methods_are_ranked_within_models_and_effort_with_the_starts_beside_each() -> None:
    cells = [
        cell("cot", FLAT),
        *(searched("a", BETTER, 1, effort=each) for each in (200, 500)),
        cell("cot", FLAT, models="big"),
    ]
    found = compare_cells(cells, baseline=None).ranks
    assert [(each.models, each.effort, dict(each.average)) for each in found] == [
        ("small", 200, {"a": 1, "cot": 2}),
        ("small", 500, {"a": 1, "cot": 2}),
    ]


def test_a_price_that_is_unknown_is_not_zero() -> None:
    unknown = searched("a", BETTER, 200)
    unknown = unknown.model_copy(
        update={
            "search": unknown.search.model_copy(update={"usd": None}),
            "took": unknown.took.model_copy(update={"usd": None}),
        }
    )
    table = compare_cells([unknown, searched("a", BETTER, 200, seed=1)], baseline=None)
    row = table.rows[Key("orders", "small", 200, "a")]
    assert row.search is not None
    assert row.search.usd is None
    assert table.spent.usd is None
    assert compare_cells([searched("a", BETTER, 200)], baseline=None).spent.calls == 240
    assert "unknown" in table.markdown()


def test_published_figures_stand_beside_ours_and_in_none_of_our_ranks() -> None:
    columns = read_published({
        "GEPA": {"model": "gpt-4.1-mini", "source": "table 1", "scores": {"orders": 99.0, "hover": 60}},
        "MIPRO": {"model": "gpt-4.1-mini", "source": "table 1", "scores": {"hover": 70}},
    })  # fmt: skip
    cells = [cell("cot", FLAT), searched("a", BETTER, 200)]
    table = compare_cells(cells, baseline="cot", published=columns)
    assert "| hover |  |  | 60.0 | 70.0 |" in table.markdown()
    assert "| orders | 50.0 | 70.0 | 99.0 |  |" in table.markdown()
    assert {name for each in table.ranks for name in each.average} == {"a", "cot"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "published: found []"),
        ({"a": {"model": "m", "scores": {"t": 1}}}, "published.a: found no 'source'"),
        ({"a": {"model": "m", "source": "s", "scores": {"t": 101}}}, "published.a: scores.t: found 101"),
        ({"a": {"model": "m", "source": "s", "scores": {"t": True}}}, "published.a: scores.t: found true"),
        ({"a": {"model": "m", "source": "s", "scores": {"t": 0.7, "u": 0.5}}}, "percent, as 72.8 and not 0.728"),
        ({"a": {"model": "m", "source": "s", "scores": {}}}, "published.a: scores: found {}"),
        ({"a": {"model": "m", "source": "s", "scores": {"t": 1}, "url": "x"}}, "the unknown key 'url'"),
    ],
)
def test_published_figures_are_checked(data: object, said: str) -> None:
    with pytest.raises(UserError) as error:
        read_published(data)
    assert said in str(error.value)


def test_the_published_figures_of_the_documentation_are_read() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reading-a-comparison.md").read_text(encoding="utf-8")
    shown = next(each for each in page.split("```text") if each.lstrip().startswith("published:")).partition("```")[0]
    (column,) = read_published(parse_data(shown, "docs")["published"])
    assert (column.scores["hotpotqa"], column.note) == (72.8, "300 test rows")


def test_cells_that_do_not_compare_are_refused() -> None:
    one = searched("a", BETTER, 200)
    for cells, said in (
        ([], "no cell"),
        ([one, one], "the same cell twice"),
        ([one, searched("b", BETTER, 200, metric="f1@2")], "the metric f1@2"),
        ([one.model_copy(update={"scores": one.scores[1:]})], "19 scores of 20 examples"),
    ):
        with pytest.raises(UserError, match=said):
            compare_cells(cells, baseline=None)
    with pytest.raises(UserError, match="baseline: found 'A'"):
        compare_cells([one], baseline="A")


def test_the_sheets_hold_every_row_and_every_cell_in_full() -> None:
    cells = [cell("cot", FLAT), searched("a", [1 / 3] * 20, 200), cell("a", effort=200, seed=1, error="two\nlines")]
    table = compare_cells(cells, baseline="cot")
    rows = list(csv.DictReader(io.StringIO(table.csv())))
    assert [each["method"] for each in rows] == ["cot", "a"]
    assert float(rows[1]["test_mean"]) == fmean([1 / 3] * 20)
    assert (rows[1]["seeds"], rows[1]["seeds_planned"], rows[1]["rank"], rows[0]["rank"]) == ("1", "2", "2.0", "1.0")
    single = list(csv.DictReader(io.StringIO(table.cells_csv())))
    assert [(each["method"], each["status"], each["error"]) for each in single][2] == ("a", "failed", "two lines")
    json.dumps(table.dump(), allow_nan=False)


def test_names_of_anybody_do_not_break_the_markdown() -> None:
    text = compare_cells([cell("a|b\n<script>", FLAT)], baseline=None).markdown()
    heading = next(line for line in text.splitlines() if line.startswith("| Task"))
    assert heading == r"| Task | a\|b \<script\> |"


def test_a_folder_alone_gives_its_cells(tmp_path: Path) -> None:
    cells = [searched("a", BETTER, 200, seed=10), searched("a", BETTER, 200, seed=2), cell("cot")]
    assert read_cells(write_cells(tmp_path, cells)) == [cells[1], cells[0], cells[2]]


def test_a_broken_cell_is_named_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no cell\.json"):
        read_cells(tmp_path)
    one = searched("a", BETTER, 200)
    file = write_cells(tmp_path, [one]) / one.cell.name / "cell.json"
    for text, said in (
        ("{", "broken JSON"),
        (one.model_copy(update={"seed": 3}).model_dump_json(), "the cell orders/a/small/200/3"),
        (one.model_dump_json().replace("1.0", "7.5", 1), r"scores\[0\]: found 7.5"),
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match=said) as error:
            read_cells(tmp_path)
        assert str(file) in str(error.value)
        assert "\n" not in str(error.value)
