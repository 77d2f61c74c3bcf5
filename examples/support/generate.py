"""Write the orders of this example and its messages with what the shop should answer.

The texts in `messages.txt` were written one by one; each is used once. A fixed seed draws the order behind it (status, days, price) and the
right answer follows from these by `decide`, which is the shop's policy as code. Running it again writes the same files.

    python generate.py [FOLDER]
"""

import csv
import datetime
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SEED = 11
SHARES = {"train": 2, "val": 2, "test": 3}
TODAY = datetime.date(2026, 10, 15)
DEAREST = 200
"""Euros; what is dearer is refunded or replaced by a person only."""
POSTAGE = 5

# What can have become of an order, by what the customer wants: (status, fewest and most days in it), in turn.
CASES = {
    "late": [
        ("sent", 8, 21), ("packing", 0, 4), ("delivered", 0, 6), ("sent", 1, 7), ("sent", 8, 30), ("refunded", 1, 5),
        ("sent", 2, 7), ("unknown", 0, 0),
    ],
    "damaged": [
        ("delivered", 0, 30), ("delivered", 31, 90), ("delivered", 2, 29), ("delivered", 1, 20), ("refunded", 1, 6),
        ("delivered", 31, 60),
    ],
    "wrong": [("delivered", 0, 9), ("delivered", 31, 50), ("delivered", 1, 30), ("delivered", 0, 12)],
    "return": [
        ("delivered", 1, 14), ("delivered", 15, 40), ("delivered", 0, 13), ("delivered", 2, 12), ("delivered", 15, 29),
        ("unknown", 0, 0), ("delivered", 3, 14),
    ],
    "cancel": [("packing", 0, 3), ("sent", 0, 3), ("packing", 0, 2), ("sent", 1, 4), ("unknown", 0, 0), ("refunded", 0, 3)],
    "other": [("delivered", 3, 200), ("sent", 1, 3), ("delivered", 10, 90)],
}  # fmt: skip
FACTS = {  # what a reply to a question must say, with other ways to say it, and how the shop says it
    "invoice": (
        "e-mail|email|mail|e-mails|emails|e-mailed|emailed",
        "We send every invoice by e-mail, never on paper. Have a look at your inbox.",
    ),
    "warranty": ("two years|2 years|24 months|two-year|2-year", "All that we sell has a warranty of two years."),
    "abroad": ("EU|European Union", "We deliver within the EU, but I am sorry to say not beyond it."),
    "phone": ("17|5 pm|5pm|5 p.m|five", "We answer the telephone from 9 to 17 and look forward to your call."),
    "washing": ("30|thirty", "Please wash it at 30 degrees and no hotter."),
}
REPLIES = {  # by action and what decided it
    "ask": "Gladly, but I do not find your order. Could you send me the order number?|"
    "We would like to help. Which order number stands in the mail that confirmed your order?|"
    "Thank you for writing. I need the right order number, five digits, to look into this.",
    "refunded": "You have been refunded already: the money for the {item} is on its way to you.|"
    "We have paid back the price of the {item} already; it should show in your account soon.",
    "wait packing": "We are packing the {item} right now. Thank you for your patience.|"
    "Your order of the {item} is still with our packers, so please wait a little.",
    "wait sent": "The carrier has had the {item} for {days} days only. Please wait a little longer.|"
    "Your parcel with the {item} is on the road and still in good time; please wait for it.",
    "replace": "We are sorry about the trouble with the {item}. We send you the same again at no cost.|"
    "That should not have happened. We send you a new parcel with the {item}.",
    "escalate": "I am sorry about the {item}. A colleague of mine will look into this and write to you.|"
    "I have passed your message about the {item} on to a colleague, who will contact you.",
    "refuse late claim": "I am sorry, but we delivered the {item} {days} days ago and accept complaints for 30 days only.|"
    "After {days} days we can no longer do anything about the {item}. I am sorry.",
    "refuse late return": "We delivered the {item} {days} days ago, and we take things back for 14 days only. I am sorry.|"
    "I am sorry, but it is too late to return the {item}: 14 days have passed.",
    "refuse food": "I am sorry: food cannot be returned, so please keep the {item}.|"
    "We do not take back food, sealed or not, and that includes the {item}.",
    "refuse sent": "I am sorry, the parcel with the {item} has left us already and cannot be stopped.|"
    "It is too late to cancel: the carrier has the {item} already.",
    "refund return": "Please send the {item} back to us. We then refund {amount} euros, the price less postage.|"
    "Of course. When we have the {item} back you are refunded {amount} euros, which is the price less 5 euros.",
    "refund food": "I am sorry about the {item}! We refund the whole price, {amount} euros.|"
    "What a pity. You are refunded {amount} euros; please throw the {item} away.",
    "refund cancel": "Your order is cancelled. {amount} euros for the {item} go back to you.|"
    "Done: we will not send the {item}, and {amount} euros are refunded.",
}


@dataclass(frozen=True)
class Message:
    """A text, what it is about and what it was bought for: kind, its topic or the one status that it fits, item."""

    kind: str
    topic: str
    status: str
    item: str
    text: str


@dataclass(frozen=True)
class Facts:
    """What the shop knows: the status of an order, the days in it, the item, its category and price in euros."""

    status: str
    days: int
    item: str
    category: str
    price: int


@dataclass(frozen=True)
class Decision:
    """What the policy says: the action, euros refunded, which of the replies says it, and why."""

    action: str
    amount: int
    reply: str
    case: str


def decide(kind: str, facts: Facts) -> Decision:
    """The policy of policy.md. The first rule that fits decides."""
    days, price, food = facts.days, facts.price, facts.category == "food"
    told = f"{kind}, order {facts.status}"
    if kind == "other":
        return Decision("answer", 0, "", "it is a question")
    if facts.status == "unknown":
        return Decision("ask", 0, "ask", "there is no such order")
    if facts.status == "refunded":
        return Decision("answer", 0, "refunded", told)
    told += f" {days} days ago, {facts.category} for {price} euros"
    if kind == "late":
        if facts.status == "delivered":
            return Decision("escalate", 0, "escalate", told)
        if facts.status == "packing" or days <= 7:
            return Decision("wait", 0, f"wait {facts.status}", told)
        decided = Decision("replace", 0, "replace", told)
    elif kind in ("damaged", "wrong"):
        if days > 30:
            return Decision("refuse", 0, "refuse late claim", told)
        decided = Decision("refund", price, "refund food", told) if food else Decision("replace", 0, "replace", told)
    elif kind == "return":
        if food or days > 14:
            return Decision("refuse", 0, "refuse food" if food else "refuse late return", told)
        decided = Decision("refund", price - POSTAGE, "refund return", told)
    else:
        if facts.status != "packing":
            return Decision("refuse", 0, "refuse sent", told)
        decided = Decision("refund", price, "refund cancel", told)
    return Decision("escalate", 0, "escalate", told) if price > DEAREST else decided


def needed(decision: Decision, facts: Facts, topic: str) -> list[str]:
    """What the reply must name, | between the ways to say a thing."""
    if topic:
        return [FACTS[topic][0]]
    if decision.action == "ask":
        return ["number"]
    if decision.action == "refund":
        return [str(decision.amount)]
    thing = facts.item.split()[-1]
    return [f"{thing}|{thing[:-1]}" if thing.endswith("s") else f"{thing}|{thing}s"]


def read_messages() -> list[Message]:
    """The messages of messages.txt."""
    found: list[Message] = []
    for line in (HERE / "messages.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            label, item, text = (part.strip() for part in line.split("|", 2))
            kind, _, topic = label.partition(":")
            kind, _, status = kind.partition("@")
            found.append(Message(kind, topic, status, item, text))
    return found


def deal(messages: list[Message], rng: random.Random) -> dict[str, list[Message]]:
    """The messages of each split: of every kind, and of every topic of questions, about the same share."""
    dealt: dict[str, list[Message]] = {split: [] for split in SHARES}
    for kind in CASES:
        hand = rng.sample([each for each in messages if each.kind == kind], sum(each.kind == kind for each in messages))
        hand.sort(key=lambda each: (each.topic, bool(each.status), "{n}" in each.text))
        turns = [split for split, share in SHARES.items() for _ in range(share)]
        for start in range(0, len(hand), len(turns)):
            for message, split in zip(hand[start:], rng.sample(turns, len(turns)), strict=False):
                dealt[split].append(message)
    return dealt


class Orders:
    """The orders of the shop as they are drawn.

    Args:
        rng: draws numbers, prices and days.
    """

    def __init__(self, rng: random.Random) -> None:
        with (HERE / "items.csv").open(encoding="utf-8", newline="") as stream:
            self.items = {row["item"]: row for row in csv.DictReader(stream)}
        self.rows: list[tuple[str, str, int, str, str]] = []
        self._rng = rng
        self._numbers: Iterator[int] = iter(rng.sample(range(20000, 98000), 2000))

    def number(self) -> str:
        """A number that no order has."""
        return str(next(self._numbers))

    def add(self, item: str, status: str, fewest: int, most: int) -> tuple[str, Facts]:
        """Place an order; its number, and what the shop knows of it."""
        days, price = self._rng.randint(fewest, most), int(self.items[item]["price"]) + self._rng.randint(-1, 6)
        number, since = self.number(), TODAY - datetime.timedelta(days=days)
        self.rows.append((number, item, price, status, since.isoformat()))
        return number, Facts(status, days, item, self.items[item]["category"], price)

    def sql(self) -> str:
        """The database as the statements that make it."""
        items = ",\n".join(f"  ('{row['item']}', '{row['category']}')" for row in self.items.values())
        orders = ",\n".join(f"  {row}" for row in sorted(self.rows))
        return (
            "-- Written by generate.py. Prices are euros; since: the day on which the order came to its status.\n"
            f"CREATE TABLE desk (today TEXT NOT NULL);\nINSERT INTO desk VALUES ('{TODAY}');\n"
            "CREATE TABLE items (item TEXT PRIMARY KEY, category TEXT NOT NULL);\n"
            f"INSERT INTO items VALUES\n{items};\n"
            "CREATE TABLE orders (\n  number TEXT PRIMARY KEY, item TEXT NOT NULL REFERENCES items, price INTEGER NOT NULL,\n"
            "  status TEXT NOT NULL, since TEXT NOT NULL\n);\n"
            f"INSERT INTO orders VALUES\n{orders};\n"
        )


def row_of(message: Message, case: tuple[str, int, int], orders: Orders, rng: random.Random) -> dict[str, object]:
    """A row: the message with its numbers put in, what should be answered, and what the metric must know."""
    status, fewest, most = case
    if "{n}" not in message.text or status == "unknown":
        number, facts = orders.number(), Facts("unknown", 0, "", "", 0)
    else:
        number, facts = orders.add(message.item, status, fewest, most)
    earlier, _ = orders.add(rng.choice(sorted(orders.items)), "delivered", 20, 120)
    decision = decide(message.kind, facts)
    said = FACTS[message.topic][1] if message.topic else rng.choice(REPLIES[decision.reply].split("|"))
    return {
        "message": message.text.replace("{n}", number).replace("{m}", earlier),
        "kind": message.kind,
        "action": decision.action,
        "amount": decision.amount,
        "reply": said.format(item=facts.item, days=facts.days, amount=decision.amount),
        "names": needed(decision, facts, message.topic),
        "case": decision.case,
        "status": facts.status,
        "price": facts.price,
    }


def main(folder: Path) -> None:
    """Write orders.sql, train.jsonl, val.jsonl and test.jsonl into a folder."""
    rng = random.Random(SEED)
    orders = Orders(rng)
    for split, messages in deal(read_messages(), rng).items():
        rows: list[dict[str, object]] = []
        for kind, cases in CASES.items():
            turn = 0
            for message in [each for each in messages if each.kind == kind]:
                fitting = next((case for case in cases if case[0] == message.status), None)
                rows.append(row_of(message, fitting or cases[turn % len(cases)], orders, rng))
                turn += fitting is None and "{n}" in message.text
        lines = [{"id": f"{split}-{number:03d}", **row} for number, row in enumerate(rng.sample(rows, len(rows)), 1)]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / f"{split}.jsonl").write_text(text, encoding="utf-8")
    (folder / "orders.sql").write_text(orders.sql(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
