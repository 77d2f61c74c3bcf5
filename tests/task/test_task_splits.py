"""Splits of one file: disjoint, groups whole, the same whatever the order of the rows."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flowbot.fields import Field, UserError, canonical_json
from flowbot.task import Example, Task
from flowbot.task.examples import checked_examples
from flowbot.task.splits import SPLITS, check_disjoint, divide

INPUTS, OUTPUTS = (Field.of("x", "int"),), (Field.of("y", "int"),)
rows = st.lists(
    st.fixed_dictionaries({"x": st.integers(0, 25), "y": st.integers(0, 2), "doc": st.integers(0, 12).map(str)}),
    min_size=3,
    max_size=40,
)
fractions = st.sampled_from([(0.4, 0.2, 0.4), (0.8, 0.1, 0.1), (0.5, 0.5, 0.0), (0.0, 0.0, 1.0), (1 / 3, 1 / 3, 1 / 3)])


def placed(given: list[dict[str, Any]], group: str) -> Sequence[Example]:
    return checked_examples(given, where="rows", inputs=INPUTS, outputs=OUTPUTS, group=group)


def contents(made: dict[Any, Sequence[Example]]) -> dict[Any, list[Example]]:
    return {split: list(made[split]) for split in SPLITS}


def divided(given: list[dict[str, Any]], parts: tuple[float, ...], group: str) -> dict[Any, Sequence[Example]]:
    try:
        return divide(placed(given, group), parts, "data.split")
    except UserError as error:
        assume("may be parted" not in error.found)
        raise


@given(rows, fractions, st.sampled_from(["", "doc"]))
def test_every_row_is_in_one_split_and_what_belongs_together_stays(
    given_rows: list[dict[str, Any]], parts: tuple[float, ...], group: str
) -> None:
    made = divided(given_rows, parts, group)
    assert sorted(each.place for split in SPLITS for each in made[split]) == sorted(
        f"rows[{index}]" for index in range(len(given_rows))
    )
    check_disjoint(made)
    for key in ("x", "doc") if group else ("x",):
        homes: dict[Any, set[str]] = {}
        for split in SPLITS:
            for each in made[split]:
                value = each.group if key == "doc" else each.inputs["x"]
                homes.setdefault(value, set()).add(split)
        assert all(len(home) == 1 for home in homes.values())
    for split, part in zip(SPLITS, parts, strict=True):
        assert bool(made[split]) == (part > 0)


@given(rows, fractions, st.sampled_from(["", "doc"]), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(
    given_rows: list[dict[str, Any]], parts: tuple[float, ...], group: str, rng: random.Random
) -> None:
    made = divided(given_rows, parts, group)
    again = divided(given_rows, parts, group)
    assert contents(again) == contents(made)
    rng.shuffle(given_rows)
    assert contents(divided(given_rows, parts, group)) == contents(made)


@given(st.integers(3, 200), fractions)
def test_single_rows_are_divided_as_asked(count: int, parts: tuple[float, ...]) -> None:
    made = divide(placed([{"x": index, "y": 0} for index in range(count)], ""), parts, "data.split")
    for split, part in zip(SPLITS, parts, strict=True):
        assert abs(len(made[split]) - part * count) < 2


def test_the_division_is_the_same_on_every_machine() -> None:
    made = divide(placed([{"id": f"r{x}", "x": x, "y": 0} for x in range(10)], ""), (0.4, 0.2, 0.4), "data.split")
    assert {split: [each.id for each in made[split]] for split in SPLITS} == {
        "train": ["r7", "r1", "r2", "r6"],
        "val": ["r3", "r9"],
        "test": ["r8", "r0", "r4", "r5"],
    }


@given(st.integers(0, 30), st.integers(3, 40), st.integers(0, 3), fractions)
def test_every_split_has_its_share_of_each_label(rare: int, common: int, group: int, parts: tuple[float, ...]) -> None:
    """With groups of two rows, of one label or of two, the shares are kept as nearly as the groups allow."""
    values = [1] * rare + [0] * common
    given_rows = [{"x": index, "y": y, "doc": f"{index // 2}" if group else ""} for index, y in enumerate(values)]
    made = divided(given_rows, parts, "doc" if group else "")
    for label, size in ((1, rare), (0, common)):
        for split, part in zip(SPLITS, parts, strict=True):
            of_label = sum(each.expected["y"] == label for each in made[split])
            assert abs(of_label - part * size) <= (5 if group else 3)


@pytest.mark.parametrize("parts", [(0.5, 0.5), (0.5, 0.4, 0.4), (1.2, -0.2, 0.0), (float("nan"), 0.5, 0.5)])
def test_fractions_that_are_none_are_refused(parts: tuple[float, ...]) -> None:
    with pytest.raises(UserError, match="three fractions"):
        divide(placed([{"x": 1, "y": 1}] * 9, ""), parts, "data.split")


def test_too_few_groups_for_the_splits_are_refused() -> None:
    with pytest.raises(UserError, match="only 2 rows or groups"):
        divide(placed([{"x": x, "y": 1, "doc": str(x % 2)} for x in range(9)], "doc"), (0.4, 0.2, 0.4), "data.split")


def test_the_same_inputs_in_two_splits_are_refused_with_both_places() -> None:
    with pytest.raises(UserError, match=r"test\[0\]: found the same inputs as train\[1\] \(train\)"):
        Task(
            goal="add",
            inputs={"x": "int"},
            outputs={"y": "int"},
            metric="exact",
            train=[{"x": 1, "y": 1}, {"x": 2, "y": 1}],
            test=[{"x": "2", "y": 3}],
        )


def test_a_group_in_two_splits_is_refused_with_both_places() -> None:
    with pytest.raises(UserError, match=r"val\[0\]: found the group 'a' of train\[0\] \(train\)"):
        Task(
            goal="add",
            inputs={"x": "int"},
            outputs={"y": "int"},
            metric="exact",
            train=[Example("1", {"x": 1}, {"y": 1}, group="a")],
            val=[Example("2", {"x": 2}, {"y": 1}, group="a")],
        )


@given(rows, st.randoms(use_true_random=False))
def test_ids_are_unique_and_do_not_depend_on_the_order(given_rows: list[dict[str, Any]], rng: random.Random) -> None:
    def ids(some: list[dict[str, Any]]) -> list[tuple[str, str]]:
        found = [(each.id, canonical_json(each.inputs)) for each in placed(some, "")]
        assert len({name for name, _ in found}) == len(found)
        return sorted(found)

    before = ids(given_rows)
    rng.shuffle(given_rows)
    assert ids(given_rows) == before


def test_blanks_around_a_groups_name_make_no_other_group() -> None:
    train, test = placed([{"x": 1, "doc": "a"}], "doc"), placed([{"x": 2, "doc": "a "}], "doc")
    with pytest.raises(UserError, match="the group 'a' of"):
        check_disjoint({"train": train, "test": test})
    assert placed([{"x": 1, "doc": " "}], "doc")[0].group == ""
