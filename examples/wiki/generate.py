"""Write the wiki and the questions of this example from the tables in `facts/`.

The tables hold an invented company, one row a page. A question joins two of them: what it names (Starling, say) points
to something that it does not name (the Routing team), and what is asked for stands on that one's page. So the right
answer is known without reading the pages. Everything is drawn from a fixed seed: running it again writes the same files.

    python generate.py [FOLDER]
"""

import csv
import json
import random
import re
import sys
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SEED = 7
SIZES = {"train": 40, "val": 40, "test": 60}
DEAL = ("test", "train", "val", "test", "train", "val", "test")  # who gets the next thing that questions go through

# Tables: the title of a row's page, and several ways to write it. Values of the row stand in braces.
TITLES = {"teams": "{name} team", "projects": "Project {name}"}
PAGES = {
    "people": [
        "{name} is {a_job} in the {team} team and works at {office}. {first} joined Tarnwick in {joined} and has {mentor} "
        "as a mentor. {first} {note} The telephone extension of {name} is {extension}.",
        "At Tarnwick since {joined}, {name} works as {a_job} in the {team} team, with a desk at {office}. {first} {note} When in "
        "doubt {first} asks {mentor}, the mentor of {name}. To talk to {first}, dial extension {extension}.",
        "To reach {name} dial extension {extension}. {first} is {a_job}, belongs to the {team} team and sits at {office}. "
        "{first} {note} {name} came to Tarnwick in {joined}; the mentor is {mentor}.",
    ],
    "teams": [
        "The {name} team has {size} members and is led by {lead}. {note} It sits at {office} and meets every {day}. "
        "This year the main project of the {name} team is {project}, and visitors from other teams are welcome.",
        "{lead} leads the {name} team. {note} Its {size} people have their desks at {office}, and the whole team meets "
        "every {day}. The main project of the {name} team is {project}.",
        "Every {day} the {name} team meets at {office}, where its {size} members sit. {note} The main project of the "
        "team is {project}. It is led by {lead}, to whom suggestions may be sent at any time.",
    ],
    "offices": [
        "{name} is our office in {city}. It opened in {opened}, has {desks} desks and is managed by {manager}. {note} "
        "Keys to {name} and parking places are given out by the manager of the office.",
        "Our office in {city} is called {name}. {note} {manager} manages the office. There are {desks} desks at {name}, "
        "and we have been there since it opened in {opened}. Lunch is at noon.",
    ],
    "products": [
        "{name} is our {what}. {note} It was launched in {launched} and is looked after by the {team} team. What {name} "
        "is made of or runs on comes from our supplier {supplier}. Faults are reported to the team.",
        "Our {what} is called {name} and was launched in {launched}. {note} The {team} team looks after it, and wishes for "
        "the next version of {name} may be left there. Our supplier for {name} is {supplier}.",
        "The {what} {name} belongs to the {team} team. {note} Launched in {launched}, it depends on {supplier}, the "
        "supplier that {name} was planned with from the start. The two work on it together.",
    ],
    "projects": [
        "Project {name} is about {product}. {note} It is led by {leader}, has a budget of {budget} euros and is due on "
        "{deadline}. News of {name} is on the board of every office, and helpers are welcome.",
        "Led by {leader}, project {name} improves {product}. {note} The budget of {name} is {budget} euros; the project "
        "is due on {deadline}, and not a day later. Helpers are always welcome.",
    ],
    "policies": [
        "The {lower} is kept by {keeper}. {note} Questions about the {lower} are answered within {days} days, and changes "
        "to it are announced in the weekly letter before they hold.",
        "{note} That is the heart of the {lower}. {keeper} keeps it up to date and answers questions about the {lower} "
        "within {days} days. Exceptions are rare and always written down.",
    ],
    "suppliers": [
        "{name} of {city} supplies us with {what}. {note} Our contact for {name} is {contact}. The contract with {name} "
        "ends on {ends}; until then the prices stay as they are, and goods come with the Monday van.",
        "We buy {what} from {name}, a company in {city}. {note} The contract ends on {ends}. Whoever needs something "
        "from {name} asks {contact}, who is our contact for it and knows what is on its way.",
    ],
}  # fmt: skip

# First hops, by the table of what is meant: the table of what is named, the column that points, and how it is said.
HOPS = {
    "teams": [
        ("products", "team", "the team that looks after {name}", "the team that the {what} belongs to"),
        ("people", "team", "the team that {name} works in", "{name}'s team"),
    ],
    "offices": [
        ("people", "office", "the office where {name} works", "the office that {name} sits in"),
        ("teams", "office", "the office where the {name} team sits", "the {name} team's office"),
    ],
    "people": [
        ("teams", "lead", "the person who leads the {name} team", "the leader of the {name} team"),
        ("projects", "leader", "the person who leads project {name}", "the leader of project {name}"),
        ("policies", "keeper", "the person who keeps the {lower}", "the keeper of the {lower}"),
        ("suppliers", "contact", "our contact for {name}", "the colleague who is in contact with {name}"),
        ("offices", "manager", "the manager of the office {name}", "the person who manages {name}"),
        ("people", "mentor", "the mentor of {name}", "{name}'s mentor"),
    ],
    "products": [
        ("projects", "product", "the product that project {name} is about", "the product that project {name} improves")
    ],
    "projects": [
        ("teams", "project", "the main project of the {name} team", "the project that the {name} team mainly works on")
    ],
    "suppliers": [
        ("products", "supplier", "the supplier for {name}", "the company that supplies us for the {what}"),
    ],
}  # fmt: skip
# Second hops: the columns that are asked for, and how, with what is meant in the place of the braces.
ASKED = {
    "teams": {
        "lead": "Who leads {}?",
        "office": "At which office does {} sit?",
        "day": "On which day of the week does {} meet?",
        "size": "How many members does {} have?",
    },
    "offices": {
        "city": "In which city is {}?",
        "manager": "Who manages {}?",
        "opened": "In which year was {} opened?",
        "desks": "How many desks are there at {}?",
    },
    "people": {
        "joined": "In which year did {} join Tarnwick?",
        "extension": "What is the telephone extension of {}?",
        "office": "At which office does {} work?",
        "mentor": "Who is the mentor of {}?",
    },
    "products": {
        "launched": "In which year was {} launched?",
        "supplier": "Which company is the supplier for {}?",
    },
    "projects": {
        "deadline": "On which date is {} due?",
        "budget": "How many euros is the budget of {}?",
        "leader": "Who leads {}?",
    },
    "suppliers": {
        "city": "In which city is {}?",
        "contact": "Who is our contact for {}?",
        "ends": "On which date does our contract with {} end?",
    },
}  # fmt: skip

Tables = dict[str, dict[str, dict[str, str]]]
"""Rows by table and name; a row's values by column."""


@dataclass(frozen=True)
class Question:
    """A question, its answer, the titles of the two pages that it takes, and what column of the second is asked for."""

    question: str
    answer: str
    pages: tuple[str, str]
    asked: str


def read_tables() -> Tables:
    """The rows of each table by name, with the forms of their values that the texts above need."""
    tables: Tables = {}
    for table in PAGES:
        with (Path(__file__).parent / "facts" / f"{table}.csv").open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        for row in rows:
            row["title"] = TITLES.get(table, "{name}").format(**row)
            row["first"], row["lower"] = row["name"].split()[0], row["name"].lower()
            if job := row.get("job"):
                row["a_job"] = f"{'an' if job[0] in 'aeio' else 'a'} {job}"
        tables[table] = {row["name"]: row for row in rows}
    return tables


def mentions(text: str, value: str) -> bool:
    """Whether a value stands in a text as whole words."""
    return re.search(rf"\b{re.escape(value.lower())}\b", text.lower()) is not None


def questions(tables: Tables, texts: dict[str, str], rng: random.Random) -> list[Question]:
    """All questions whose answer stands neither in them nor on the first page, and which do not name the second."""
    found: list[Question] = []
    for meant, hops in HOPS.items():
        for named, column, *ways in hops:
            for row in tables[named].values():
                target = tables[meant][row[column]]
                for asked, form in ASKED[meant].items():
                    question = form.format(rng.choice(ways).format(**row))
                    answer, first = target[asked], f"{row['title']} {texts[row['title']]}"
                    given_away = mentions(f"{first} {question}", answer) or mentions(question, target["name"])
                    if not given_away:
                        found.append(Question(question, answer, (row["title"], target["title"]), asked))
    return found


def deal(found: list[Question], rng: random.Random) -> dict[str, list[Question]]:
    """The rows of each split. All questions that go through one thing (the second page) belong to one split.

    Within a split each such thing gives a question in turn, first those about something that was asked least.
    """
    by_bridge: dict[str, list[Question]] = defaultdict(list)
    for each in rng.sample(found, len(found)):
        by_bridge[each.pages[1]].append(each)
    hands: dict[str, list[list[Question]]] = {split: [] for split in SIZES}
    for index, bridge in enumerate(by_bridge.values()):
        hands[DEAL[index % len(DEAL)]].append(bridge)
    rows: dict[str, list[Question]] = {}
    for split, size in SIZES.items():
        taken: list[Question] = []
        times: dict[str, int] = defaultdict(int)
        waiting = deque(hands[split])
        while len(taken) < size:
            bridge = waiting.popleft()
            choice = min(bridge, key=lambda each: times[each.asked])
            bridge.remove(choice)
            times[choice.asked] += 1
            taken.append(choice)
            if bridge:
                waiting.append(bridge)
        rows[split] = rng.sample(taken, len(taken))
    return rows


def write(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write a JSON object a line."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def main(folder: Path) -> None:
    """Write wiki.jsonl, train.jsonl, val.jsonl and test.jsonl into a folder."""
    rng = random.Random(SEED)
    tables = read_tables()
    texts = {
        row["title"]: PAGES[table][index % len(PAGES[table])].format(**row)
        for table, rows in tables.items()
        for index, row in enumerate(rows.values())
    }
    write(folder / "wiki.jsonl", [{"title": title, "text": text} for title, text in sorted(texts.items())])
    for split, rows in deal(questions(tables, texts, rng), rng).items():
        numbered = [
            {
                "id": f"{split}-{number:03d}",
                "question": each.question,
                "answer": each.answer,
                "pages": each.pages,
                "bridge": each.pages[1],
            }
            for number, each in enumerate(rows, 1)
        ]
        write(folder / f"{split}.jsonl", numbered)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
