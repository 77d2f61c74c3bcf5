"""A model that reads invoices well and adds badly, as small models do: what `examples/invoices` is tried with where no real one is.

It knows no right answer: it finds quantities and prices in the text, now and then passes one over, and its sums are mostly wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from flowbot.testing.fake_behaviours import chance

PASSED_OVER = 0.08
"""Share of the invoices of which an item is left out."""
SUM_WRONG = 0.8
SUM_WRONG_REASONED = 0.6
_WAYS = (
    r"^(?P<n>\d+) x (?P<thing>.+?) at (?P<price>[\d.]+)$",
    r"^(?P<thing>[^\n]+?), (?P<n>\d+) pcs, (?P<price>[\d.]+) each$",
    r"^(?P<n>\d+) (?P<thing>[^\n]+?): (?P<price>[\d.]+) a piece$",
    r"^(?P<thing>[^\n]+?) \((?P<n>\d+)\) @ EUR (?P<price>[\d.]+)$",
    r"^(?P<price>[\d.]+) EUR per (?P<thing>[^\n]+?), quantity (?P<n>\d+)$",
)


def adds_up(text: str, fields: Iterable[str]) -> Mapping[str, Any]:
    """The members that are asked for, from what the user said last."""
    asked = list(fields)
    found = [match for way in _WAYS for match in re.finditer(way, text, re.MULTILINE)]
    items = [{"item": each["thing"], "quantity": int(each["n"]), "price": float(each["price"])} for each in found]
    if chance(text, "passed over", *asked[:1]) < PASSED_OVER:
        items = items[:-1]
    total = round(sum(each["quantity"] * each["price"] for each in items), 2)
    if chance(text, "sum") < (SUM_WRONG_REASONED if "reasoning" in asked else SUM_WRONG):
        total = round(total + 10 * (1 + int(chance(text, "by how much") * 9)), 2)
    values = {"items": items, "total": total}
    return {name: values.get(name, "The lines were read one by one.") for name in asked}
