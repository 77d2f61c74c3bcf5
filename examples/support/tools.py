"""The shop's orders, for the workflow: a read-only look into the SQLite database that `orders.sql` makes."""

import sqlite3
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Literal, TypedDict

_LOCK = Lock()
_FACTS = """
    SELECT status, CAST(julianday(today) - julianday(since) AS INTEGER), item, category, price
    FROM orders JOIN items USING (item) JOIN desk WHERE number = ?
"""


class Order(TypedDict):
    """What the shop knows of an order; of an unknown one nothing but that."""

    status: Literal["unknown", "packing", "sent", "delivered", "refunded"]
    days: int  # in that status
    item: str
    category: str
    price: int  # euros


def lookup(order_number: str) -> Order:
    """Finds an order of the shop by its number: status, days in that status, item, category, price in euros.

    Args:
        order_number: five digits
    """
    with _LOCK:
        row = _orders().execute(_FACTS, (order_number.strip().lstrip("#Ww"),)).fetchone()
    if row is None:
        return Order(status="unknown", days=0, item="", category="", price=0)
    status, days, item, category, price = row
    return Order(status=status, days=days, item=item, category=category, price=price)


@cache
def _orders() -> sqlite3.Connection:
    """The database, in memory; nothing can be written to it any more. Calls come from several threads, one at a time."""
    orders = sqlite3.connect(":memory:", check_same_thread=False)
    orders.executescript((Path(__file__).parent / "orders.sql").read_text(encoding="utf-8"))
    orders.execute("PRAGMA query_only = ON")
    return orders
