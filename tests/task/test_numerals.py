"""Numbers in texts: different ones never score 1, and one number scores 1 however it is written."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flowbot.fields import Field
from flowbot.task import METRICS, Example
from flowbot.task.compare import normalised
from flowbot.task.numerals import folded, is_amount, numerals

TEXT_METRICS = ("exact", "normalised", "f1", "contains")
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def score(name: str, found: Any, expected: Any) -> float:
    return METRICS[name](Example("e", {}, {"out": expected}), {"out": found}).value


def plain(number: Decimal) -> str:
    return f"{number:f}"


def written(number: Decimal) -> list[str]:
    """Ways to write one number. Each says what it is by itself."""
    sign, _, whole, part = "-" if number < 0 else "", "", *f"{abs(number):.3f}".split(".")
    groups: list[str] = []
    while whole:
        whole, last = whole[:-3], whole[-3:]
        groups.insert(0, last)
    ways = [f"{sign}{''.join(groups)}.{part}", f"{sign}{','.join(groups)}.{part}", f"{sign}{' '.join(groups)}.{part}"]
    ways += [f"{sign}{chr(0x2019).join(groups)}.{part}00", f"{sign.replace('-', chr(0x2212))}{''.join(groups)}.{part}"]
    if len(groups) > 1:  # a comma alone after four digits or fewer may part thousands
        ways += [f"{sign}{'.'.join(groups)},{part}", f"{sign}{chr(0xA0).join(groups)},{part}"]
    ways += [f"{sign}{''.join(groups)},{part[:2]}"] if part[2] == "0" else []
    return ways


numbers = st.decimals(min_value=-(10**9), max_value=10**9, places=3, allow_nan=False, allow_infinity=False)
frames = st.sampled_from(["{}", "The total is {}.", "({})", "**{}**", "{}, as said", "it costs {}!"])
units = st.sampled_from(["{}", "${}", "{}%", "€ {}", "{} USD", "GBP {}", "{} kg"])


@given(one=numbers, other=numbers, frame=frames, unit=units, data=st.data())
def test_different_numbers_never_score_1(
    one: Decimal, other: Decimal, frame: str, unit: str, data: st.DataObject
) -> None:
    assume(one != other)
    found, expected = (frame.format(unit.format(data.draw(st.sampled_from(written(each))))) for each in (one, other))
    for name in TEXT_METRICS:
        assert score(name, found, expected) < 1, name
    assert score("numeric", found, expected) == 0
    assert score("numeric", found, float(other)) == 0


@given(number=numbers, frame=frames, unit=units, data=st.data())
def test_one_number_scores_1_however_it_is_written(number: Decimal, frame: str, unit: str, data: st.DataObject) -> None:
    found, expected = (frame.format(unit.format(data.draw(st.sampled_from(written(number))))) for _ in range(2))
    for name in ("normalised", "f1", "contains", "numeric"):
        assert score(name, found, expected) == 1, name
    assert score("numeric", found, float(number)) == 1


@given(st.text(alphabet="0123456789.,-/:%$ '+()", max_size=14), st.data())
def test_a_mark_within_digits_that_is_moved_or_lost_changes_the_text(text: str, data: st.DataObject) -> None:
    """Whatever is taken for equal has the same significant digits in the same order, sign and joints included."""
    at = data.draw(st.integers(0, max(len(text) - 1, 0)))
    other = text[:at] + text[at + 1 :]
    if normalised(text, other).value == 1 and text[at : at + 1].isdigit():
        assert text[at] == "0"  # of a fraction's end, or before a time's hour
    told = [[each.value for numeral in numerals(each) for each in numeral.quantities] for each in (text, other)]
    if normalised(text, other).value == 1:
        assert len(told[0]) == len(told[1])


@given(st.dates(), st.dates(), st.data())
def test_a_date_is_itself_in_every_notation_whose_order_is_sure(one: date, other: date, data: st.DataObject) -> None:
    def ways(day: date) -> list[str]:
        month, year = _MONTHS[day.month - 1], f"{day.year:04}"
        sure = [day.isoformat(), f"{year}/{day.month}/{day.day}", f"{day.day:02}.{day.month:02}.{year}"]
        sure += [f"{month} {day.day}, {year}", f"{day.day} {month[:3]} {year}", f"{day.day}-{month[:3]}-{year}"]
        return sure + ([f"{day.month}/{day.day}/{year}", f"{day.day}/{day.month}/{year}"] if day.day > 12 else [])

    found, same, wrong = (data.draw(st.sampled_from(ways(each))) for each in (one, one, other))
    for name in ("normalised", "contains", "numeric", "f1"):
        assert score(name, f"On {found}.", f"on {same}") == 1
        assert (score(name, found, wrong) == 1) == (one == other), name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("$15.0", "$1.50"),
        ("11/1/2024", "1/11/2024"),
        ("11/1/2024", "2024-11-01"),  # may be the eleventh of January
        ("10%", "1.0%"),
        ("10%", "10"),
        ("$10", "€10"),
        ("-5", "5"),
        ("–5", "5"),
        ("-$5", "$5"),
        ("$-5", "$5"),
        ("12,5", "125"),
        ("2'000", "1'000"),
        ("1 000", "2 000"),
        ("1,00,000", "2,00,000"),
        ("10:30", "1:030"),
        ("1/2", "12"),
        ("3-7", "37"),
        ("5--6", "5-6"),
        ("2+3", "2-3"),
        ("<5", ">5"),
        ("x<5", "x>5"),
        ("10²", "10³"),
        ("1½", "1¾"),
        ("10^5", "105"),
        ("$3 million", "$3 billion"),
        ("$3m", "$3"),
        ("v1.2", "v12"),
        ("v1.10", "v1.1"),
        ("≤5", "≥5"),
        ("5‰", "5%"),
        ("007", "7"),
        ("C#", "C"),
        ("C++", "C"),
        ("A-", "A"),
        ("A*", "A"),
    ],
)
def test_marks_that_make_another_number_or_name_count(one: str, other: str) -> None:
    for found, expected in ((one, other), (other, one)):
        assert score("normalised", found, expected) == 0
        assert score("f1", found, expected) < 1
        if expected not in ("10", "5", "7"):  # a number that stands beside a unit or in a range does occur
            assert score("contains", found, expected) == 0


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("12,5", "13,5"),
        ("2'000", "1'000"),
        ("2 000", "1 000"),
        ("2,00,000", "1,00,000"),
        ("-$5", 5),
        ("–5", 5),
        ("3/10", "7/10"),
        ("2-7", "3-7"),
        ("2024-10-05", "2024-11-05"),
        ("2023-11-05 10:30", "2024-11-05 10:30"),
        ("09:30", "10:30"),
        ("$5", "5 EUR"),
        ("5%", "$5"),
        ("≤5", "≥5"),
        ("5‰", "5%"),
        ("at 10:30 p.m.", "10:30 am"),
        ("2.5 million", "2.5 billion"),
        ("1.2M USD", "1.2 USD"),
        ("500k €", "500 €"),
        ("10²", "10³"),
        ("10^5", "10^6"),
        ("5e-10", 1e-10),
        ("１３", "１２"),
    ],
)
def test_numeric_sees_the_whole_number_and_its_unit(found: Any, expected: Any) -> None:
    assert score("numeric", found, expected) == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1.234 and 1,234", [1.234, 1234]),
        ("0,125 or 1234,567", [0.125, 1234.567]),
        ("1.234.567,5", [1234567.5]),
        ("12,34,567 rupees", [1234567]),
        ("2020 300", [2020, 300]),
        ("1,2,3", [1, 2, 3]),
        ("at 09:30 on 3/04", ["9:30", "3/4"]),
        ("192.168.0.1 v1.10.3", ["192.168.0.1", "1.10.3"]),
        ("1.5e-3, 1e5", [0.0015, 100000]),
        ("no.5 and h2o", [5, 2]),
        ("31/12/2024 45/45/2024", ["31 december 2024", "45/45/2024"]),
        ("9" * 100, [float("9" * 100)]),
    ],
)
def test_how_digits_are_read(text: str, told: list[Any]) -> None:
    found = [each.value for numeral in numerals(folded(text)) for each in numeral.quantities]
    assert [each if isinstance(each, str) else float(each) for each in found] == told


@pytest.mark.parametrize(
    ("found", "expected", "equal"),
    [
        ("0.333333", "0.3333333333", True),
        ("0.66666666", 2 / 3, True),
        ("0.333", "0.3333", False),
        ("0.1234567", "0.1234568", False),
        ("$1,234,567.89", "$1,234,567.90", False),
        ("1000000.5", 1_000_000, False),
        (2.9999999999999996, 3, True),
        (0.1 + 0.2 - 0.3, 0, True),
        (0.1 + 0.2, "0.3", True),
        (1e300, "1" + "0" * 300, True),
        ("9" * 400, "9" * 399 + "8", False),
    ],
)
def test_places_that_are_not_told_do_not_count_and_those_that_are_do(found: Any, expected: Any, equal: bool) -> None:
    assert score("numeric", found, expected) == score("numeric", expected, found) == float(equal)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("2024-11-05T10:30", "2024-11-05 10:30"),
        ("5.11.2024 10:30:00Z", "2024-11-05T10:30:00Z"),
        ("10-20%", "10%-20%"),
        ("$5–$10", "$5-10"),
        ("≤ 5", "<=5"),
        ("1,2 M€", "€1.2 million"),
        ("500k EUR", "EUR 500,000"),
    ],
)
def test_one_span_moment_or_amount_is_itself_in_either_notation(found: str, expected: str) -> None:
    assert score("numeric", found, expected) == score("numeric", expected, found) == 1
    if not {"%", "$"} & set(found):  # a unit that is written twice is two words
        assert score("normalised", found, expected) == 1
        assert score("contains", f"From {found} on.", expected) == 1


def test_amounts_are_told_from_names_dates_and_phrases() -> None:
    assert all(map(is_amount, ["$1,234.50", "12 %", " -5", "1.000,00 €", "USD 3", "$1.2 million"]))
    assert not any(map(is_amount, ["", "two", "$5 each", "007", "2024-11-05", "3-7", "10:30", "5 kg", "1/2"]))


def test_labels_that_look_the_same_are_one_unless_the_type_has_both() -> None:
    assert score("exact", "Caf\u00e9", "Cafe\u0301") == 1
    assert score("exact", "not\u00a0paid\u200b ", "not paid") == 1
    assert score("exact", "Paid", "paid") == 0
    both = METRICS["exact"].for_outputs([Field.of("out", "Literal['caf\\u00e9', 'cafe\\u0301', 'other']")])
    example = Example("e", {}, {"out": "caf\u00e9"})
    assert [both(example, {"out": each}).value for each in ("caf\u00e9", "cafe\u0301")] == [1.0, 0.0]
    listed = Field.of("out", "list[Literal['caf\\u00e9', 'cafe\\u0301']]")
    told = METRICS["json_fields"].for_outputs([listed])
    example = Example("e", {}, {"out": ["caf\u00e9"]})
    assert [told(example, {"out": [each]}).value for each in ("caf\u00e9", "cafe\u0301")] == [1.0, 0.0]


def test_a_reply_means_a_label_however_its_letters_are_made() -> None:
    label = Field.of("out", "Literal['caf\\u00e9 au lait', 'billing ', 'Other']").type
    assert label.coerce("Cafe\u0301 au\u00a0lait ") == "caf\u00e9 au lait"
    assert label.coerce("billing") == "billing "
    assert label.coerce("OTHER") == "Other"
    twins = Field.of("out", "Literal['bug', 'Bug', 'tea']").type
    assert (twins.coerce("Bug"), twins.coerce("TEA")) == ("Bug", "tea")
    with pytest.raises(ValueError, match="expected one of"):
        twins.coerce("BUG")
