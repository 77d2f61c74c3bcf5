"""Write the order notes of this example: messy requests, and how many things each asks for in all.

Everything is made here from a fixed seed, so running it again writes the same three files. The right total is known
because the amounts are drawn first and the words are put around them.

    python generate.py [FOLDER]
"""

import json
import random
import sys
from pathlib import Path

SEED = 20
SIZES = {"train": 40, "val": 40, "test": 100}
ITEMS = [2, 3, 3]  # kinds of things in a note
AMOUNTS = [1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 8, 12]  # small ones are commoner
NOISE = [0, 0, 1]  # asides, each with a number that is not an amount
WORDS = "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
SHOPS = {  # singular|plural where the plural is not just an added s
    "bakery": "bagel, baguette, sourdough loaf|sourdough loaves, cinnamon bun, scone, cheese roll, apple turnover, "
    "brownie, pretzel, custard tart, blueberry muffin, oat biscuit, doughnut, rye loaf|rye loaves, flapjack, eclair",
    "hardware": "hinge, paint brush|paint brushes, wall hook, cable tie, light bulb, hacksaw blade, roller sleeve, "
    "drill bit, padlock, castor, shelf bracket, dust mask, fuse, door handle, extension lead, sanding block",
    "garden": "tomato plant, clay pot, lavender bush|lavender bushes, bamboo cane, seed tray, hanging basket, "
    "strawberry plant, rose bush|rose bushes, plant label, watering can, bag of compost|bags of compost, trowel, fern, "
    "raspberry cane, tulip bulb, hose clip",
    "office": "notebook, glue stick, ring binder, highlighter, desk lamp, envelope, whiteboard marker, stapler, "
    "mouse mat, ink cartridge, clipboard, hole punch|hole punches, ruler, pencil case, desk tidy|desk tidies, "
    "USB stick",
    "kitchen": "dinner plate, soup bowl, wine glass|wine glasses, mixing bowl, chopping board, tea towel, ladle, "
    "oven dish|oven dishes, jam jar, water jug, cake tin, wooden spoon, napkin, saucepan, egg cup, serving tray",
    "grocer": "lemon, avocado, red onion, cucumber, mango|mangoes, cauliflower, lime, peach|peaches, aubergine, melon, "
    "beetroot, sweet potato|sweet potatoes, head of lettuce|heads of lettuce, jar of honey|jars of honey, leek, "
    "tin of tomatoes|tins of tomatoes",
    "sports": "tennis ball, yoga mat, water bottle, skipping rope, football, badminton racket, cone, whistle, "
    "swim cap, shuttlecock, bib, hockey stick, gym towel, resistance band, pump needle, hula hoop",
}
NAMES = "Jo|Priya|Marek|Aunt Sal|Tom|Ines|Mrs Okafor|Dee|Hamid|Lotte|Gus|Nadia|Bill|Yuki|Fran|Old Pete"
DAYS = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
STREETS = "Mill Lane|Station Road|Quarry Street|Harbour View|Elm Close|Chapel Hill|Dock Road|Park Terrace"
HELLOS = "Hi, it's {name}.|hello again, {name} here|Morning!|Hey, {name} here.|Hi there -|Sorry for the late note!|||||"
ASKS = (
    "can you put aside {items}|we need {items} this time|please pack {items} for us|could I get {items}|"
    "I'd like {items}|we're after {items}|can I have {items} please|pls send {items}|put us down for {items}|"
    "our list so far is {items}|for {day} I want {items}|we'll take {items}"
)
MORES = (
    "oh and {items}|also {items} please|plus {items} if you have any|and {name} wants {items} too|"
    "then {items} on top of that|forgot to say, {items} as well|throw in {items}|{name} asked for {items} as well|"
    "and add {items}|besides that {items}|ah yes, {items} too|better bring {items} as well"
)
ASIDES = (
    "we moved, it's {house} {street} now|I can come by at {clock} on {day}|the van leaves at {clock}|"
    "it's for the {date} so no panic|my phone ends in {phone}|same account as before, {phone}|"
    "we'll be about {crowd} people|last time it took {small} days!|the budget is {money} pounds|"
    "I still owe you {money} from {day}|you're open till {hour}, right?|{name} turns {crowd} on {day}|"
    "bus {house} stops right outside|same address, {house} {street}"
)
BYES = "thanks!|cheers|ta|thank you so much|see you {day}|no rush|call me if not|||||||"


def pick(choices: str, rng: random.Random) -> str:
    """Pick one of the choices that a | divides."""
    return rng.choice(choices.split("|"))


def amount(number: int, one: str, many: str, rng: random.Random) -> str:
    """Say an amount of a thing the way people write it: digits, words, a couple, a dozen."""
    article = "an" if one[0] in "aeio" else "a"
    special = {
        1: [f"{article} {one}", f"one {one}", f"{article} {one}", f"1 {one}"],
        2: [f"a couple of {many}", f"a pair of {many}", f"two {many}"],
        6: [f"half a dozen {many}", f"six {many}"],
        12: [f"a dozen {many}", f"one dozen {many}", f"twelve {many}"],
    }
    if number in special and rng.random() < 0.75:
        return rng.choice(special[number])
    said = WORDS.split("|")[number] if rng.random() < 0.5 else str(number)
    return f"{said} {one if number == 1 else many}"


def fill(text: str, rng: random.Random, **more: str) -> str:
    """Put names, days, house numbers and the like into a template."""
    return text.format(
        name=pick(NAMES, rng),
        day=pick(DAYS, rng),
        street=pick(STREETS, rng),
        house=rng.randint(3, 98),
        small=rng.randint(2, 9),
        clock=rng.choice(["{}:{:02d}", "{}.{:02d}"]).format(rng.randint(7, 18), rng.choice([0, 15, 30, 45])),
        hour=rng.randint(4, 9),
        date=f"{rng.randint(4, 20)}th",
        phone=rng.randint(1000, 9999),
        crowd=rng.randint(11, 60),
        money=rng.randint(15, 90),
        **more,
    )


def joined(parts: list[str], rng: random.Random) -> str:
    """Join the parts of a list, not always in the same way."""
    if len(parts) == 1:
        return parts[0]
    return ", ".join(parts[:-1]) + rng.choice([" and ", ", ", " and ", " + ", ", and "]) + parts[-1]


def draw(rng: random.Random) -> tuple[str, int, frozenset[str]]:
    """Make one note, its total, and the things it asks for."""
    stock = rng.choice(sorted(SHOPS))
    things = rng.sample([t.strip() for t in SHOPS[stock].split(",")], rng.choice(ITEMS))
    numbers = [rng.choice(AMOUNTS) for _ in things]
    said: list[str] = []
    for thing, number in zip(things, numbers, strict=True):
        one, _, many = thing.partition("|")
        said.append(amount(number, one, many or one + "s", rng))
    cut = rng.randint(1, len(said) - 1)
    lines = [
        fill(pick(ASKS, rng), rng, items=joined(said[:cut], rng)),
        fill(pick(MORES, rng), rng, items=joined(said[cut:], rng)),
    ]
    for aside in rng.sample(ASIDES.split("|"), rng.choice(NOISE)):
        lines.insert(rng.randint(0, len(lines)), fill(aside, rng))
    lines = [fill(pick(HELLOS, rng), rng), *lines, fill(pick(BYES, rng), rng)]
    note = ""
    for line in filter(None, lines):
        if note and note[-1] not in ".!?-":
            note += rng.choice([".", ".", ".", ",", ";", " -"])
        start = not note or note[-1] in ".!?"
        note = f"{note} {line[0].upper() + line[1:] if start else line}".strip()
    return note, sum(numbers), frozenset(things)


def main(folder: Path) -> None:
    """Write train.jsonl, val.jsonl and test.jsonl into a folder."""
    rng = random.Random(SEED)
    seen: list[frozenset[str]] = []
    for split, size in SIZES.items():
        rows: list[str] = []
        while len(rows) < size:
            note, total, things = draw(rng)
            if any(len(things & other) > 1 for other in seen):
                continue
            seen.append(things)
            rows.append(json.dumps({"id": f"{split}-{len(rows) + 1:03d}", "note": note, "total": total}))
        _ = (folder / f"{split}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
