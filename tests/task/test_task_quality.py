"""What is worth a second look in a task's examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowbot.fields import Field
from flowbot.task import Example
from flowbot.task.examples import checked_examples
from flowbot.task.quality import Remark, commonest, remarks_on
from flowbot.task.splits import SPLITS, Split

INPUTS = [Field.of("note", "str"), Field.of("shop", "str")]
OUTPUTS = [Field.of("kind", "Literal['a', 'b', 'c']"), Field.of("total", "int")]


def _row(number: int, **changes: Any) -> dict[str, Any]:
    return {"note": f"note {number}", "shop": f"s{number % 4}", "kind": "abc"[number % 3], "total": number, **changes}


def _remarks(outputs: Sequence[Field] = OUTPUTS, **splits: Sequence[Mapping[str, Any]]) -> list[Remark]:
    rows: dict[Split, Sequence[Example]] = {
        split: checked_examples(splits.get(split, ()), where=split, inputs=INPUTS, outputs=outputs) for split in SPLITS
    }
    return remarks_on(rows, INPUTS, outputs)


def test_ordinary_rows_are_not_worth_a_word() -> None:
    assert _remarks(train=[_row(n) for n in range(12)], test=[_row(n) for n in range(12, 24)]) == []


def test_an_input_that_is_always_the_same_or_empty_is_told() -> None:
    (remark,) = _remarks(train=[_row(n, shop="main street") for n in range(6)])
    assert (remark.where, remark.what) == ("input shop", "the same in every row: main street")
    (remark,) = _remarks(train=[_row(n, shop=" " if n == 4 else "x" + str(n)) for n in range(6)])
    assert remark.what == "empty in 1 of 6 rows (train[4])"
    (remark,) = _remarks(train=[_row(n, shop="") for n in range(6)])
    assert remark.what == "empty in every row"


def test_an_output_that_is_always_the_same_is_told() -> None:
    (remark,) = _remarks(train=[_row(n, total=7) for n in range(6)])
    assert (remark.where, remark.what) == ("output total", "the same in every row: 7")


def test_a_label_that_is_only_held_out_is_told_with_its_places() -> None:
    train = [_row(n, kind="ab"[n % 2]) for n in range(10)]
    remarks = _remarks(train=train, val=[_row(20, kind="a")], test=[_row(21, kind="c"), _row(22, kind="b")])
    assert [remark.where for remark in remarks] == ["output kind"]
    assert "c in validation or test and in no training row (test[0])" in remarks[0].what


def test_an_option_that_no_row_expects_is_told() -> None:
    (remark,) = _remarks(train=[_row(n, kind="ab"[n % 2]) for n in range(10)])
    assert remark.what == "no row expects c"


def test_numbers_of_all_sorts_are_no_labels() -> None:
    # Every total is another one: that those of the test are new says nothing.
    assert _remarks(train=[_row(n) for n in range(9)], test=[_row(n) for n in range(9, 30)]) == []


def test_rows_that_contradict_each_other_are_told() -> None:
    rows = [*(_row(n) for n in range(6)), _row(2, total=99)]
    (remark,) = _remarks(train=rows)
    assert "1 row has the inputs of another and other expected outputs: train[2] and train[6]" in remark.what


def test_rows_of_two_splits_that_differ_in_case_and_blanks_are_told() -> None:
    train = [_row(n) for n in range(6)]
    (remark,) = _remarks(train=train, test=[_row(3, note="NOTE \n 3", total=3)])
    assert "train[3] and test[0]" in remark.what
    # Within a split, that is no leak.
    assert _remarks(train=[*train, _row(3, note="NOTE 3")]) == []


def test_the_commonest_answer_is_the_first_of_equals() -> None:
    rows = checked_examples(
        [_row(n, kind=kind, total=1) for n, kind in enumerate("cabab")], where="x", inputs=INPUTS, outputs=OUTPUTS
    )
    assert commonest(rows) == ({"kind": "a", "total": 1}, 0.4)
    assert commonest([]) is None


def test_labels_that_differ_in_case_blanks_or_form_alone_are_told() -> None:
    rows = [_row(n, label="bug" if n % 2 else "Bug") for n in range(8)]
    told = [remark for remark in _remarks([Field.of("label", "str")], train=rows) if "alone" in remark.what]
    assert [(remark.where, remark.what) for remark in told] == [
        ("output label", "'Bug' and 'bug': they differ in case, blanks or form alone")
    ]
    twins = Field.of("label", "Literal['caf\\u00e9', 'cafe\\u0301', 'tea\\u00a0', 'tea', 'milk']")
    rows = [_row(n, label=twins.type.options[n % 5]) for n in range(10)]
    (remark,) = [each for each in _remarks([twins], train=rows) if "alone" in each.what]
    assert "'caf\\xe9' and 'cafe\\u0301'; 'tea\\xa0' and 'tea'" in remark.what
    many = Field.of("tags", "list[Literal['x', 'X', 'y']]")
    rows = [_row(n, tags=["x"] if n % 2 else ["y"]) for n in range(8)]
    assert any("'x' and 'X'" in each.what for each in _remarks([many], train=rows))


def test_an_input_that_tells_an_output_is_told_and_the_only_input_is_not() -> None:
    rows = [_row(n, shop=f"shelf {'abc'[n % 3]}") for n in range(24)]
    (remark,) = _remarks(train=rows)
    assert (remark.where, remark.what) == ("input shop", "a leak: it ends with the answer (kind)")
    placed: dict[Split, Sequence[Example]] = {
        "train": checked_examples(rows, where="train", inputs=INPUTS[1:], outputs=OUTPUTS)
    }
    assert not any("leak" in each.what for each in remarks_on(placed, INPUTS[1:], OUTPUTS))


def test_a_spreadsheets_error_as_an_answer_is_told() -> None:
    outputs = [Field.of("kind", "str")]
    remarks = _remarks(outputs, train=[_row(n, kind="#N/A" if n == 2 else f"kind {n}") for n in range(9)])
    assert [remark.what for remark in remarks] == ["a spreadsheet's error such as #N/A is expected (train[2])"]
