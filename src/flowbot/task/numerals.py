"""Numbers, amounts, percentages, dates and times within a text, by what they say and not by how they are written.

A mark inside or before digits is part of the number: 1.50 is not 150, -5 is not 5, 1/11/2024 is not 11/1/2024. Equal are
`1,000`, `1 000`, `1'000`, `1.000,00` and `1000`; `12,5` and `12.5`; `$5`, `US$5`, `5 USD` and `5 dollars`; `10%` and `10 percent`;
`$1.2 million` and `$1,200,000`; `2024-11-05`, `5.11.2024` and `Nov 5, 2024`; `09:30` and `9:30`; `2024-11-05T09:30` and `2024-11-05 09:30`. Where a notation can be read in
two ways, one is chosen: `1,234` has a comma between thousands and `1.234` a decimal point; `11/1/2024`, whose day may stand
first or second, equals no other notation.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_DASHES = r"\-\u2010\u2011\u2012\u2013\u2212\uff0d"
"""What stands for a minus, or between the ends of a range, within a pattern's brackets."""
_BLANKS = " \u00a0\u2009\u202f"
_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_MONTH = "|".join(f"{name}|{name[:3]}" for name in _MONTHS) + "|sept"
_SYMBOL = r"[$¢£¥\u20a0-\u20cf]"
_UNITS = {
    "$": "usd", "us$": "usd", "dollar": "usd", "dollars": "usd", "€": "eur", "euro": "eur", "euros": "eur",
    "£": "gbp", "¥": "jpy", "₹": "inr", "a.m.": "am", "p.m.": "pm",
}  # fmt: skip
_CODES = (
    "aed|aud|brl|cad|chf|cny|czk|dkk|eur|gbp|hkd|huf|idr|ils|inr|jpy|krw|mxn|myr|nok|nzd|php|pln|rub|sek|sgd|thb|try|twd|"
    "uah|usd|vnd|zar"
)
_PERCENT = ("%", "percent", "per cent", "pct")
_SCALES = {"k": 3, "thousand": 3, "m": 6, "mn": 6, "million": 6, "b": 9, "bn": 9, "billion": 9, "trillion": 12}
_FEW_PLACES = 4
_LONGEST_SHIFT = 400
"""Places that an exponent may move the point; no float is larger."""

_WORDED_DATE = (
    rf"(?<!\w)(?:(?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)?(?:\s+(?:of\s+)?|-)(?P<month>{_MONTH})(?:\.?,?\s+|-)(?P<year>[0-9]{{4}})"
    rf"|(?P<month2>{_MONTH})\.?\s+(?P<day2>[0-9]{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year2>[0-9]{{4}}))(?!\w|[.,'][0-9])"
)
_NUMERAL = re.compile(
    rf"{_WORDED_DATE}|"
    r"(?P<mark>(?:(?<![-=<>\w])|(?<=(?<![</\w])\w))[<>]=?\s?|(?<=\w)\^-?)?"
    rf"(?P<sign>(?<![\w.)%$¢£¥\u20a0-\u20cf])[+{_DASHES}])?"  # a sign, not the dash of a range
    rf"(?:(?P<before>(?:(?<!\w)[a-z]{{1,3}})?{_SYMBOL}|(?<!\w)(?:{_CODES})(?=[\s0-9.+{_DASHES}]))\s?(?P<sign2>[+{_DASHES}])?)?"
    # A chain: digits and what joins them without a blank. Blanks join groups of three digits.
    r"(?P<version>(?<=(?<!\w)v))?"
    rf"(?P<chain>(?:[1-9][0-9]{{0,2}}(?:[{_BLANKS}][0-9]{{3}})+(?![0-9])|(?:(?<![\w.])\.)?[0-9]+)"
    rf"(?:(?:\^-?|[.,'\u2019_/:*\u00d7{_DASHES}])[0-9]+)*)"
    r"(?P<power>e[-+]?[0-9]+(?!\w))?(?P<tail>[\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u2079\u2150-\u215f]*)"
    r"(?:\s?(?P<scale>thousand|million|billion|trillion)(?!\w)|(?(before)(?P<short>k|mn?|bn?)(?!\w)"
    rf"|\s?(?P<short2>k|mn?|bn?)(?=\s?(?:(?:{_CODES}|dollars?|euros?)(?!\w)|{_SYMBOL}(?![0-9])))))?"
    rf"(?:\s?(?P<after>[%\u2030]|(?:percent|per\scent|pct|{_CODES}|dollars?|euros?)(?!\w)|[ap]m(?!\w)|[ap]\.m\.|{_SYMBOL}(?![0-9])))?"
)
_PLAIN = re.compile(r"[0-9]*\.?[0-9]+\Z")
_GROUPED = re.compile(
    rf"[1-9][0-9]{{0,2}}([,'\u2019_{_BLANKS}])[0-9]{{3}}(?:\1[0-9]{{3}})*(?:\.[0-9]+)?\Z"
    r"|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}(?:\.[0-9]+)?\Z"  # 12,34,567 as in India
)
_DECIMAL_COMMA = re.compile(rf"(?:[1-9][0-9]{{0,2}}(?:[.'\u2019{_BLANKS}][0-9]{{3}})+|[0-9]+),[0-9]+\Z")
_GROUPED_BY_POINTS = re.compile(r"[1-9][0-9]{0,2}(?:\.[0-9]{3}){2,}\Z")
_DATE = re.compile(r"([0-9]{1,4})([-/.])([0-9]{1,2})\2([0-9]{1,4})\Z")
_DASH = re.compile(f"[{_DASHES}]")
_STAMP = re.compile(r"(?<=-[0-9]{2})t(?=[0-9]{2}:)")
"""Between date and time."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number, or what digits and marks say that is none (a date, a time, a ratio).

    Args:
        notation: a number, or the one notation of what a text says: `-1234.5`, `5 november 2024`, `9:30`.
        unit: currency, percent, am or pm, "" for none.
        mark: `<`, `>=` and the like before it.
    """

    notation: int | float | str
    unit: str = ""
    mark: str = ""

    @property
    def key(self) -> str:
        """Its one notation."""
        return str(self.notation)

    @property
    def value(self) -> Decimal | str:
        """The number as it stands; the notation, if it is none."""
        number = not isinstance(self.notation, str) or _PLAIN.match(self.notation.removeprefix("-"))
        return (
            Decimal(str(self.notation) if isinstance(self.notation, float) else self.notation) if number else self.key
        )

    def equals(self, wanted: Quantity) -> bool:
        """Whether both tell the same: numbers, and unit and mark where both have one.

        Numbers of four places and more may be rounded, by less than one of the last place that both have and 1 part in
        10^6: 0.333333 is 0.3333333333. Fewer are all meant: $1,234,567.89 is not $1,234,567.90.
        """
        if any(one and other and one != other for one, other in ((self.unit, wanted.unit), (self.mark, wanted.mark))):
            return False
        one, other = self.value, wanted.value
        if one == other or isinstance(one, str) or isinstance(other, str):
            return one == other
        off, largest, places = abs(one - other), max(abs(one), abs(other)), min(_places(one), _places(other))
        rounded = places >= _FEW_PLACES and off < Decimal(1).scaleb(-places) and off <= largest * Decimal("1e-6")
        # What computing with floats leaves: 0.1 + 0.2 is 0.3, and 0.1 + 0.2 - 0.3 is 0.
        return rounded or off < min(largest * Decimal("1e-12"), Decimal("1e-9")) or off < Decimal("1e-15")

    def __str__(self) -> str:
        return f"{self.mark}{self.key.removesuffix('.0')}{' ' * bool(self.unit)}{self.unit}"


@dataclass(frozen=True, slots=True)
class Numeral:
    """A stretch of a text.

    Args:
        start: where it begins.
        end: where the text goes on.
        quantities: one; two for a range, as many as there are for a list without blanks.
        joint: what stands between several.
    """

    start: int
    end: int
    quantities: tuple[Quantity, ...]
    joint: str = ""


def folded(text: str) -> str:
    """A text without case, in composed form, with digits of all scripts as 0 to 9: what `numerals` reads."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())
        text = "".join(str(unicodedata.decimal(each)) if each.isdecimal() else each for each in text)
        text = text.replace("\u2264", "<=").replace("\u2265", ">=")
    return _STAMP.sub(" ", text.casefold())


def numerals(text: str) -> Iterator[Numeral]:
    """The numbers, amounts and dates of a `folded` text, in order."""
    at = 0
    while match := _NUMERAL.search(text, at):
        at = match.end()
        if year := match["year"] or match["year2"]:
            month = next(name for name in _MONTHS if name.startswith((match["month"] or match["month2"])[:3]))
            day = int(match["day"] or match["day2"])
            yield Numeral(match.start(), at, (Quantity(f"{day} {month} {year}"),))
            continue
        written = _DASH.sub("-", match["chain"]), match["power"] or "", match["tail"] or ""
        (first, *others), joint = _read(*written, is_version=match["version"] is not None)
        sign = "-" if (match["sign"] or match["sign2"] or "+") != "+" else ""
        keys = [sign + first if first != "0" else "0", *others]
        shift = _SCALES.get(match["scale"] or match["short"] or match["short2"] or "", 0)
        unit, mark = _unit(match["before"], match["after"]), (match["mark"] or "").strip()
        quantities = tuple(Quantity(_shifted(key, shift) if shift else key, unit, mark) for key in keys)
        yield Numeral(match.start(), at, quantities, joint)


def numbers_in(value: Any) -> list[Numeral]:
    """The numbers in a text; of a number that itself, of anything else none."""
    if isinstance(value, str):
        return list(numerals(folded(value)))
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        return []
    return [Numeral(0, 0, (Quantity(value),))]


def number_in(text: str) -> int | float | None:
    """The last number in a text (`$1,234.50` is 1234.5); None if there is none, or what stands last is a date or a time."""
    found = numbers_in(text)
    value = found[-1].quantities[-1].value if found else ""
    if isinstance(value, str):
        return None
    return int(value) if value == value.to_integral_value() else float(value)


def is_amount(text: str) -> bool:
    """Whether a text is one number, with a currency or percent perhaps, and nothing else. `007` is a name."""
    text = folded(text).strip()
    found = next(numerals(text), None)
    if found is None or (found.start, found.end) != (0, len(text)):
        return False
    numbers = [each for each in found.quantities if not isinstance(each.value, str)]
    return len(found.quantities) == len(numbers) == 1 and not re.match("0[0-9]", numbers[0].key)


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an int beyond the floats
        return False


def _places(number: Decimal) -> int:
    """Digits after the point; of a whole number none, however it is written."""
    exponent = number.as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 and number % 1 else 0


def _unit(before: str | None, after: str | None) -> str:
    if after in _PERCENT:
        return "%"
    # A code says which dollar it is.
    told = after if after and (before in (None, "$") or before == after) else before
    return _UNITS.get(told, told) if told else ""


def _read(chain: str, power: str, tail: str, *, is_version: bool) -> tuple[list[str], str]:
    """The keys of a chain, and what joins them. Of a version it is as written, for the zero of v1.10 counts."""
    if tail or is_version:
        return [chain + power + tail], ""
    number = _number(chain)
    if number is not None:
        exponent = int(power[1:] or 0) if len(power) < 8 else _LONGEST_SHIFT + 1
        return [_shifted(number, exponent) if abs(exponent) <= _LONGEST_SHIFT else number + power], ""
    if power:
        return [chain + power], ""
    if told := _dated(chain):
        return [told], ""
    ends = chain.split("-")
    if len(ends) == 2 and "^" not in chain:
        return [_joined(each) for each in ends], "-"
    listed = chain.split(",")
    if all(each.isdigit() for each in listed):
        return listed, " "
    return [_joined(chain)], ""


def _joined(chain: str) -> str:
    """A chain that is no number in one notation: a time, a ratio, a version, a telephone number."""
    parts = re.split(r"([-/:^*\u00d7])", chain)
    read = [_number(part) or part for part in parts]
    if not set(parts[1::2]) - {"/", ":"} and len(parts) > 1:
        read = [part.lstrip("0") or "0" if part.isdigit() else part for part in read]
    return "".join(read)


def _number(text: str) -> str | None:
    """The one notation of a number without a sign; None if the text is none.

    Whole numbers that begin with 0 are identifiers: they stay as they are.
    """
    if _GROUPED.match(text):
        text = re.sub(r"[^0-9.]", "", text)
    elif _GROUPED_BY_POINTS.match(text):
        text = text.replace(".", "")
    elif _DECIMAL_COMMA.match(text):
        whole, _, part = text.rpartition(",")
        text = re.sub(r"[^0-9]", "", whole) + "." + part
    elif not _PLAIN.match(text):
        return None
    if "." not in text:
        return text
    whole, _, part = text.partition(".")
    return (whole.lstrip("0") or "0") + ("." + part).rstrip("0").rstrip(".")


def _shifted(key: str, places: int) -> str:
    """A number's key with the point moved to the right, exactly."""
    number = key.removeprefix("-")
    if not places or not _PLAIN.match(number):
        return key
    _, digits, exponent = Decimal(number).as_tuple()
    moved = Decimal((0, digits, int(exponent) + places))  # arithmetic would round to 28 digits
    return "-" * key.startswith("-") + (_number(f"{moved:f}") or "0")


def _dated(chain: str) -> str:
    """A date in digits whose order is sure: `2024-11-05`, `5.11.2024`, `13/11/2024`; "" for anything else."""
    match = _DATE.match(chain)
    if match is None:
        return ""
    first, mark, second, last = match[1], match[2], int(match[3]), match[4]
    if len(first) == 4 and len(last) <= 2:
        year, month, day = first, second, int(last)
    elif len(first) <= 2 and len(last) == 4:
        year, month, day = last, second, int(first)
        if mark != "." and day <= 12 and month <= 12 and day != month:
            return ""  # either may be the month
        if month > 12:
            month, day = day, month
    else:
        return ""
    return f"{day} {_MONTHS[month - 1]} {year}" if 1 <= month <= 12 and 1 <= day <= 31 else ""
