"""Dataclasses and regular expressions around two prompts; the sum is Python's."""

import re
from dataclasses import dataclass, field

from openai import OpenAI

import flowbot as fb

READ = fb.Param("read", "List the items of this order, one a line, as: NAME x COUNT @ PRICE")
MAIL = fb.Param("mail", "Write a friendly mail that confirms the order and its total.")
LINE = re.compile(r"^(?P<name>.+?) x (?P<count>\d+) @ (?P<price>[\d.]+)$", re.M)


@dataclass
class Item:
    name: str
    count: int
    price: float


@dataclass
class Order:
    text: str
    items: list[Item] = field(default_factory=list)
    total: float = 0.0


class Desk:
    model = "gpt-4o-mini"

    def __init__(self):
        self.openai = OpenAI(max_retries=0)

    def _ask(self, system, user):
        got = self.openai.responses.create(model=self.model, instructions=system, input=user)
        return got.output_text

    @fb.step
    def read(self, text):
        reply = self._ask(str(READ), text)
        return [Item(m["name"], int(m["count"]), float(m["price"])) for m in LINE.finditer(reply)]

    @fb.step
    def total(self, items):
        return round(sum(item.count * item.price for item in items), 2)

    @fb.step
    def confirm(self, order: Order):
        lines = "\n".join(f"{item.count} of {item.name}" for item in order.items)
        return self._ask(f"{MAIL}", f"Ordered:\n{lines}\nTotal: {order.total:.2f}")


def process(order_text):
    desk = Desk()
    order = Order(order_text)
    order.items = desk.read(order_text)
    order.total = desk.total(order.items)
    return desk.confirm(order)
