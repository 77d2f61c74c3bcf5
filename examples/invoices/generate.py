"""Write the invoices of this example: texts as firms send them, and what stands in each, with the total that none of them says.

Everything is made here from a fixed seed, so running it again writes the same three files.

    python generate.py [FOLDER]
"""

import json
import random
import sys
from pathlib import Path

SEED = 31
SIZES = {"train": 40, "val": 40, "test": 60}
LINES = [2, 3, 3, 4]  # things on an invoice
QUANTITIES = [1, 1, 2, 2, 3, 4, 5, 6, 8, 10, 12, 15, 24]
FIRMS = (
    "Aldren GmbH|Brightwater Ltd|Corvo Lda|Dunes & Sons|Elmworks BV|Falk Office Supplies|Greenway Traders|Hollis Paper Co|"
    "Ingram & Vale|Juniper Stores|Kestrel Tools|Lindqvist AB|Marlowe Fittings|Norden Kontor|Oakfield Supply"
)
THINGS = (
    "desk lamp|office chair|box of paper|black toner|USB cable|monitor arm|whiteboard|headset|ring binder|label printer|"
    "extension lead|document tray|stapler|paper shredder|wall clock|filing cabinet|coat stand|desk fan|keyboard|laser pointer|"
    "hole punch|letter scale|key box|first-aid kit|doormat|cork board|flip chart|power strip|laptop stand|footrest|"
    "cable tray|waste bin|water filter|hand dryer|door closer|step ladder|tool case|torch|battery pack|smoke alarm"
)
WAYS = (
    "{n} x {thing} at {price}|{thing}, {n} pcs, {price} each|{n} {thing}: {price} a piece|{thing} ({n}) @ EUR {price}|"
    "{price} EUR per {thing}, quantity {n}"
)
HEADS = "{firm}, invoice {number}|Invoice no. {number} from {firm}|{firm}\nYour order {number}|{firm} / bill {number}"
ASIDES = (
    "Delivered on the {day}th, dock {dock}.|Please pay within {days} days.|Customer number {customer}.|"
    "Questions? Extension {dock}.|Delivery in {dock} boxes, free of charge.|Our reference: {customer}/{day}|||"
)


def pick(choices: str, rng: random.Random) -> str:
    """Pick one of the choices that a | divides."""
    return rng.choice(choices.split("|"))


def draw(rng: random.Random) -> tuple[str, list[dict[str, str | int | float]], float]:
    """Make one invoice: its text, its items, and what they come to."""
    items: list[dict[str, str | int | float]] = []
    lines: list[str] = []
    cents = 0
    way = pick(WAYS, rng)
    for thing in rng.sample(THINGS.split("|"), rng.choice(LINES)):
        quantity, price = rng.choice(QUANTITIES), rng.randint(15, 950) * 10 - rng.choice([0, 1, 5])
        cents += quantity * price
        items.append({"item": thing, "quantity": quantity, "price": price / 100})
        lines.append(way.format(n=quantity, thing=thing, price=f"{price / 100:.2f}"))
    numbers = {
        "number": rng.randint(1000, 9999), "day": rng.randint(4, 20), "dock": rng.randint(2, 40), "days": rng.choice([10, 14, 30]),
        "customer": rng.randint(10_000, 99_999),
    }  # fmt: skip
    head = pick(HEADS, rng).format(firm=pick(FIRMS, rng), **numbers)
    foot = pick(ASIDES, rng).format(**numbers)
    return "\n".join(filter(None, [head, *lines, foot])), items, cents / 100


def main(folder: Path) -> None:
    """Write train.jsonl, val.jsonl and test.jsonl into a folder."""
    rng = random.Random(SEED)
    seen: set[frozenset[str]] = set()
    for split, size in SIZES.items():
        rows: list[str] = []
        while len(rows) < size:
            text, items, total = draw(rng)
            things = frozenset(str(each["item"]) for each in items)
            if things in seen:
                continue
            seen.add(things)
            rows.append(
                json.dumps({"id": f"{split}-{len(rows) + 1:03d}", "text": text, "items": items, "total": total})
            )
        _ = (folder / f"{split}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
