"""Formulas of records: the simplest that holds is found, its text gives in the sandbox what was worked out, and chance is not taken for one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbot.fields import Type
from flowbot.optimizer.catalogue.formulas import LEAST_ROWS, Formula, formula_for
from flowbot.runtime.sandbox.monty import MontySandbox

FIELDS = {
    "items": "list[{item: str, quantity: int, price: float, ready: bool}]",
    "marks": "list[int]",
    "subtotal": "float",
    "tax": "float",
    "shipping": "float",
    "total": "float",
    "kinds": "int",
    "units": "int",
    "share": "float",
    "dearest": "str",
    "names": "str",
    "listed": "list[str]",
    "all_ready": "bool",
    "large": "bool",
    "best": "int",
    "mean": "float",
}
TYPES = {name: Type.parse(text) for name, text in FIELDS.items()}


def record(lots: Random) -> dict[str, Any]:
    items = [
        {
            "item": lots.choice("abcdefgh") * 3,
            "quantity": lots.randint(1, 9),
            "price": lots.randint(100, 9999) / 100,
            "ready": lots.random() < 0.8,
        }
        for _ in range(lots.randint(1, 5))
    ]
    marks = [lots.randint(0, 100) for _ in range(lots.randint(1, 6))]
    subtotal = round(sum(each["quantity"] * each["price"] for each in items), 2)
    tax, shipping = round(subtotal * 0.19, 2), lots.choice([0.0, 4.9, 9.9])
    total = round(subtotal + tax + shipping, 2)
    return {
        "items": items, "marks": marks, "subtotal": subtotal, "tax": tax, "shipping": shipping, "total": total,
        "kinds": len(items), "units": sum(each["quantity"] for each in items), "share": round(tax / total, 3),
        "dearest": max(items, key=lambda each: each["price"])["item"], "names": "; ".join(each["item"] for each in items),
        "listed": sorted({each["item"] for each in items}), "all_ready": all(each["ready"] for each in items),
        "large": subtotal > len(items) * 100, "best": max(marks), "mean": round(sum(marks) / len(marks), 1),
    }  # fmt: skip


ROWS = [record(Random(seed)) for seed in range(40)]


def found(target: str, *sources: str, rows: list[dict[str, Any]] = ROWS) -> Formula | None:
    return formula_for(target, {name: TYPES[name] for name in (*sources, target)}, rows)


@pytest.fixture
async def sandbox() -> AsyncIterator[MontySandbox]:
    opened = MontySandbox()
    yield opened
    await opened.close()


@pytest.mark.parametrize(
    ("target", "sources", "text"),
    [
        ("subtotal", ["items"], "round(sum(each['quantity'] * each['price'] for each in items), 2)"),
        ("tax", ["items", "subtotal"], "round(subtotal * 0.19, 2)"),
        ("total", ["subtotal", "tax", "shipping"], "round(subtotal + tax + shipping, 2)"),
        ("shipping", ["subtotal", "tax", "total"], "round(total - subtotal - tax, 1)"),
        ("share", ["tax", "total"], "round(tax / total, 3)"),
        ("kinds", ["items"], "len(items)"),
        ("units", ["items"], "sum(each['quantity'] for each in items)"),
        ("dearest", ["items"], "max(items, key=lambda each: each['price'])['item']"),
        ("names", ["items"], "'; '.join(each['item'] for each in items)"),
        ("listed", ["items"], "sorted({each['item'] for each in items})"),
        ("all_ready", ["items"], "all(each['ready'] for each in items)"),
        ("best", ["marks"], "max((each for each in marks), default=0)"),
        ("mean", ["marks", "total"], "round(sum(each for each in marks) / max(len(marks), 1), 1)"),
    ],
)
async def test_the_formula_is_found_and_its_text_gives_what_was_expected(
    target: str, sources: list[str], text: str, sandbox: MontySandbox
) -> None:
    formula = found(target, *sources)
    assert formula is not None
    assert formula.text == text
    code = f"def run({', '.join(sources)}):\n    return {{'value': {formula.text}}}"
    for row in ROWS[:8]:
        result = await sandbox.run(code, {name: row[name] for name in sources})
        assert TYPES[target].coerce(result["value"]) == pytest.approx(row[target])


def test_a_few_mistakes_of_whoever_wrote_the_rows_do_not_hide_it() -> None:
    wrong = [{**row, "subtotal": 1.5} if number in (3, 30) else row for number, row in enumerate(ROWS)]
    assert found("subtotal", "items", rows=wrong) is not None
    wrong = [{**row, "subtotal": 1.5} if number % 10 == 3 else row for number, row in enumerate(ROWS)]
    assert found("subtotal", "items", rows=wrong) is None, "four in forty are too many"


def test_what_is_nearly_always_the_same_is_no_evidence() -> None:
    rows = [
        {**row, "kinds": 1 if number else 2, "marks": [1] * (1 if number else 2)} for number, row in enumerate(ROWS)
    ]
    assert found("kinds", "marks", rows=rows) is None


def test_too_few_records_are_no_evidence() -> None:
    assert found("subtotal", "items", rows=ROWS[: LEAST_ROWS - 1]) is None
    lacking: list[dict[str, Any]] = [{**row, "items": None} for row in ROWS[LEAST_ROWS - 1 :]]
    assert found("subtotal", "items", rows=[*ROWS[: LEAST_ROWS - 1], *lacking]) is None


def test_what_holds_by_chance_alone_is_not_found() -> None:
    lots = Random(5)
    for target, value in (("total", lambda: lots.randint(0, 9999) / 100), ("units", lambda: lots.randint(0, 50))):
        rows = [{**row, target: value()} for row in ROWS]
        assert found(target, "items", "marks", "subtotal", "tax", rows=rows) is None


@pytest.mark.parametrize("large", [10**299, -(10**150), 1e300], ids=["whole", "negative", "float"])
def test_numbers_of_any_size_are_taken(large: float) -> None:
    fields = {**{name: Type.parse(type(large).__name__) for name in "ab"}, "c": Type.parse("list[{x: int, y: int}]")}
    rows = [{"a": large * (n % 3), "b": n, "c": [{"x": 10**299, "y": 10**299}]} for n in range(LEAST_ROWS)]
    assert formula_for("a", fields, rows) is None


def test_an_empty_list_divides_by_nothing() -> None:
    rows = [{**row, "marks": [], "mean": 0.0} if number % 20 == 0 else row for number, row in enumerate(ROWS)]
    formula = found("mean", "marks", rows=rows)
    assert formula is not None
    assert formula.values[0] == 0


def test_a_field_that_hides_a_word_of_python_is_not_read() -> None:
    rows = [{"sum": n * 1.5, "total": n * 3.0} for n in range(20)]
    fields = {"sum": Type.parse("float"), "total": Type.parse("float")}
    assert formula_for("total", fields, rows) is None
    assert formula_for(
        "total", {"net": fields["sum"], "total": fields["total"]}, [{"net": r["sum"], **r} for r in rows]
    )


@given(
    st.lists(st.fixed_dictionaries({"a": st.integers(-9, 9), "b": st.floats(-99, 99), "c": st.lists(st.booleans())}))
)
def test_any_records_are_taken(rows: list[dict[str, Any]]) -> None:
    fields = {"a": Type.parse("int"), "b": Type.parse("float"), "c": Type.parse("list[bool]")}
    for target in fields:
        formula = formula_for(target, fields, rows)
        assert formula is None or target not in formula.reads
