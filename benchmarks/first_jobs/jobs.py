"""The four jobs: the files that a person would come with, what is typed, and what the model makes of the prompts.

All texts are drawn from a fixed seed. No mind knows a right answer: it reads the prompt, and what a prompt shows decides.
"""

from __future__ import annotations

import csv
import io
import json
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from clerk import adds_up
from model import Asked, Mind, lot

MODELS = "--model openai/gpt-5-mini --meta-model openai/gpt-5 --price 0.25,2"


@dataclass(frozen=True)
class Job:
    """One job: its files by name, the commands in order, the ceiling in dollars, and the model's mind.

    The one command that searches is `optimize`; `{ceiling}` in it is the ceiling.
    """

    name: str
    about: str
    files: Callable[[], Mapping[str, str]]
    commands: tuple[str, ...]
    ceiling: float
    mind: Mind


# ---- triage: an export of a help desk, and a prompt that half works

QUEUES: Mapping[str, tuple[str, ...]] = {
    "Billing & Payments": ("invoice", "charged twice", "refund of the fee", "credit card", "direct debit", "receipt"),
    "Logistics": ("parcel", "courier", "tracking number", "delivery date", "wrong address", "customs"),
    "Returns Desk": ("send it back", "return label", "exchange", "wrong size", "arrived broken", "warranty"),
    "Technical Support": ("error message", "crashes", "firmware", "does not start", "wireless", "screen stays black"),
    "Accounts": ("password", "log in", "two-factor", "delete my profile", "change my e-mail", "locked out"),
}
_SUBJECTS = ("Question", "Urgent", "Please help", "Follow-up", "Complaint", "Request")
_BODIES = (
    "Hello, {a}: can you look at the {b} please? I wrote last week as well.",
    "Since Monday I have had trouble with the {a}. A friend said it may be the {b}.",
    "I need help. The {a} is not what I expected, and the {b} neither. Order {n}.",
    "Could somebody call me about the {a}? It also concerns the {b}.",
)


def triage() -> dict[str, str]:
    """`tickets.csv` with the columns of a help desk, and `prompt.txt`."""
    lots = random.Random(11)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["Ticket ID", "Created At", "Channel", "Subject", "Body", "Assigned Queue", "Agent", "CSAT"])
    for number in range(240):
        queue = lots.choice(list(QUEUES))
        first, second = lots.sample(QUEUES[queue], 2)
        body = lots.choice(_BODIES).format(a=first, b=second, n=lots.randrange(10_000, 99_999))
        made = date(2026, 3, 1) + timedelta(days=number // 3)
        agent = lots.choice(["Kim", "Sasha", "Noor", "Alex"])
        rated = lots.choice(["", "1", "2", "3", "4", "5"])
        channel = lots.choice(["mail", "web", "phone"])
        writer.writerow(
            [
                f"T-{number:05}",
                f"{made} 09:{number % 60:02}",
                channel,
                lots.choice(_SUBJECTS),
                body,
                queue,
                agent,
                rated,
            ]
        )
    prompt = "You sort the mail of our help desk.\n\nSubject: {subject}\n\n{body}\n\nAnswer with the queue name.\n"
    return {"tickets.csv": out.getvalue(), "prompt.txt": prompt}


def sorts(asked: Asked) -> Mapping[str, Any] | str:
    """Names the queue whose words, as far as the prompt shows them, the text holds; its own guess otherwise."""
    text = asked.last.lower()
    options = _options(asked) or [name for name in QUEUES if name in asked.text]
    evidence = {option: _overlap(option, text) + lot(asked.text, option) * 0.5 for option in options}
    for before, said in asked.shown:
        for option in options:
            if option in said:
                evidence[option] = max(evidence[option], 2.0 * _overlap(before, text))
    for line in asked.system.splitlines():
        for option in options:
            if option in line and len(line) < 400:
                evidence[option] += _overlap(line.replace(option, ""), text)
    best = max(evidence, key=lambda option: evidence[option], default="general enquiries")
    return _fill(asked, lambda name: best)


# ---- invoices: a text, and an object with a list of objects

_ITEMS = ("desk lamp", "office chair", "paper A4", "toner black", "USB cable", "monitor arm", "whiteboard", "headset")
_FIRMS = ("Aldren GmbH", "Brightwater Ltd", "Corvo Lda", "Dunes & Sons", "Elmworks BV")


def invoices() -> dict[str, str]:
    """`invoices.jsonl`: the text of an invoice and what stands in it, nested."""
    lots = random.Random(12)
    rows: list[str] = []
    for number in range(150):
        items = [
            {"item": name, "quantity": lots.randrange(1, 9), "price": lots.randrange(200, 9000) / 100}
            for name in lots.sample(_ITEMS, lots.randrange(2, 5))
        ]
        due = date(2026, 1, 1) + timedelta(days=lots.randrange(300))
        total = round(sum(each["quantity"] * each["price"] for each in items), 2)
        lines = "\n".join(f"{each['quantity']} x {each['item']} at {each['price']:.2f} EUR" for each in items)
        firm = lots.choice(_FIRMS)
        text = f"{firm}\nInvoice {4000 + number}\n{lines}\nTotal {total:.2f} EUR, due {due.strftime('%d.%m.%Y')}"
        wanted = {"vendor": firm, "due": due.isoformat(), "total": total, "items": items}
        rows.append(json.dumps({"id": f"inv-{number}", "text": text, "invoice": wanted}))
    return {"invoices.jsonl": "\n".join(rows) + "\n"}


def extracts(asked: Asked) -> Mapping[str, Any] | str:
    """Reads the invoice; drops an item where much is asked for at once, and gives dates as they stand unless shown otherwise."""
    text = asked.last
    found = re.findall(r"(\d+) x (.+?) at ([\d.]+) EUR", text)
    items = [{"item": name, "quantity": int(count), "price": float(price)} for count, name, price in found]
    careful = bool(asked.shown) or "reasoning" in asked.fields
    if len(items) > 1 and lot(text, "slip") < (0.15 if careful else 0.45):
        items = items[:-1]
    day = re.search(r"due (\d\d)\.(\d\d)\.(\d{4})", text)
    iso = (
        any(re.search(r"\d{4}-\d\d-\d\d", said) for _, said in asked.shown)
        or "ISO" in asked.text
        or "YYYY" in asked.text
    )
    due = (f"{day[3]}-{day[2]}-{day[1]}" if iso else f"{day[1]}.{day[2]}.{day[3]}") if day else ""
    total = re.search(r"Total ([\d.]+)", text)
    vendor = next((firm for firm in _FIRMS if firm in text), "unknown")
    values = {"vendor": vendor, "due": due, "total": float(total[1]) if total else 0.0, "items": items}

    def member(name: str) -> Any:
        return values if name == "invoice" else values.get(name, "The lines were read one by one.")

    return _fill(asked, member)


# ---- sums: the example whose totals no text says

_INVOICES = Path(__file__).resolve().parents[2] / "examples" / "invoices"


def sums() -> dict[str, str]:
    """The files of `examples/invoices`."""
    return {
        path.name: path.read_text(encoding="utf-8")
        for path in _INVOICES.iterdir()
        if path.suffix in (".yaml", ".jsonl")
    }


# ---- a small RAG: questions about a handbook that a tool searches

_PLACES = ("Arden", "Bellmoor", "Castro", "Dorne", "Eastwick", "Farrow", "Glenn", "Hollis", "Irving", "Jessop")
_FACTS = (
    ("opened in {v}", "In which year did the {p} depot open?", lambda lots: str(lots.randrange(1950, 2020))),
    (
        "is run by {v}",
        "Who runs the {p} depot?",
        lambda lots: lots.choice(["Mara Voss", "Ito Lind", "Pia Rask", "Jon Bley"]),
    ),
    ("has {v} loading bays", "How many loading bays does the {p} depot have?", lambda lots: str(lots.randrange(2, 40))),
    ("closes at {v}", "When does the {p} depot close?", lambda lots: f"{lots.randrange(16, 23)}:30"),
    (
        "stores mostly {v}",
        "What does the {p} depot mostly store?",
        lambda lots: lots.choice(["timber", "glass", "grain", "cables"]),
    ),
)


def handbook() -> dict[str, str]:
    """`handbook.jsonl` to search, `questions.jsonl`, and `task.yaml` as the documentation shows it."""
    lots = random.Random(13)
    pages: list[str] = []
    rows: list[str] = []
    for ward in ("North", "South", "Upper"):
        for place in _PLACES:
            name = f"{ward} {place}"
            drawn = [(said, asked, draw(lots)) for said, asked, draw in _FACTS]
            lots.shuffle(drawn)
            text = " ".join(f"The {name} depot {said.format(v=value)}." for said, _, value in drawn)
            pages.append(json.dumps({"id": name, "title": f"{name} depot", "text": text}))
            rows += [
                json.dumps({"id": f"{name} {n}", "question": asked.format(p=name), "answer": value})
                for n, (_, asked, value) in enumerate(drawn)
            ]
    lots.shuffle(rows)
    task = """flowbot: 1
goal: Answer the question about the depots from the handbook.
inputs: {question: {type: str, about: what a colleague asks}}
outputs: {answer: {type: str, about: "a name, a number or a time, and nothing else"}}
metric: normalised
data: {all: questions.jsonl, split: [0.3, 0.3, 0.4]}
tools:
  - {search: handbook.jsonl, k: 3, about: Finds the three pages of the handbook that fit some words best.}
"""
    return {"handbook.jsonl": "\n".join(pages) + "\n", "questions.jsonl": "\n".join(rows) + "\n", "task.yaml": task}


def looks_up(asked: Asked) -> Mapping[str, Any] | str:
    """Calls the tool it is offered, then answers by the sentence that fits best; says a year of its own where it has read nothing."""
    question = _question(asked)
    if "arguments of the tool" in asked.system:
        return _fill(asked, lambda name: question)
    if asked.tools and not asked.read and "search" in asked.tools[0]:
        return {"call": asked.tools[0], "query": question}
    sentences = re.findall(r"The [A-Z]\w+ [A-Z]\w+ depot [^.]*?(?:\d+:\d+|[^.])*\.", asked.text)
    words = set(re.findall(r"\w+", question.lower())) - {
        "the",
        "depot",
        "does",
        "did",
        "in",
        "which",
        "when",
        "what",
        "how",
    }
    best = max(sentences, key=lambda each: len(words & _stems(each)), default="")
    value = re.search(r"(?:in|by|has|at|mostly) ([A-Z]\w+ [A-Z]\w+|[\d:]+|\w+)(?: loading bays)?\.", best)
    # A model that is shown no short answers likes to answer in a sentence.
    short = bool(asked.shown) or (
        bool(re.search(r"nothing else|only|short", asked.text)) and lot(question, "short") < 0.7
    )
    answer = (value[1] if short else best) if value else "1987"
    return _fill(asked, lambda name: question if name in ("query", "text", "plan") else answer)


# ---- what the minds share


def _question(asked: Asked) -> str:
    found = re.search(r"(?:In which|Who|How many|When|What)[^?\n]*\?", asked.last)
    return found[0] if found else asked.last[:100]


def _stems(text: str) -> set[str]:
    words = set(re.findall(r"\w+", text.lower()))
    return (
        words
        | {word.removesuffix("s") for word in words}
        | {word.removesuffix("ed") for word in words}
        | {{"opened": "year", "run": "who"}.get(word, word) for word in words}
    )


def _overlap(shown: str, text: str) -> float:
    """How many of the shown text's words, longer ones, stand in the text."""
    common = {
        "hello",
        "please",
        "about",
        "could",
        "somebody",
        "trouble",
        "since",
        "monday",
        "friend",
        "subject",
        "concerns",
    }
    words = {word for word in re.findall(r"[a-z-]{4,}", shown.lower()) if word not in common}
    return float(sum(word in text for word in words))


def _options(asked: Asked) -> list[str]:
    for member in asked.fields.values():
        if options := member.get("enum"):
            return [str(option) for option in options]
    return []


def _fill(asked: Asked, value: Callable[[str], Any]) -> Mapping[str, Any] | str:
    """The members that are asked for: reasoning in a sentence, the others by name; a plain text where no object is asked for."""
    if not asked.fields:
        given = value("answer")
        return given if isinstance(given, str) else json.dumps(value("invoice"))
    return {
        name: "The text was read, and the form that is wanted." if name == "reasoning" else value(name)
        for name in asked.fields
    }


JOBS = (
    Job(
        "triage",
        "240 tickets as a help desk exports them, and a prompt that names two columns",
        triage,
        (
            "init tickets.csv --prompt prompt.txt --out triage",
            "check triage --model openai/gpt-5-mini",
            f"optimize triage --start triage/start.flow.yaml {MODELS} --effort low --max-usd {{ceiling}} --run-dir run",
            "report run",
        ),
        2.00,
        sorts,
    ),
    Job(
        "invoices",
        "150 invoices, the answer nested: an object with a list of objects",
        invoices,
        (
            "init invoices.jsonl --out invoices",
            "check invoices --model openai/gpt-5-mini",
            f"optimize invoices {MODELS} --effort low --max-usd {{ceiling}} --run-dir run",
            "report run",
        ),
        1.00,
        extracts,
    ),
    Job(
        "sums",
        "140 invoices whose totals no text says: items with quantity and price, and what they come to",
        sums,
        (
            "check task.yaml --model openai/gpt-5-mini",
            f"optimize task.yaml --start start.flow.yaml {MODELS} --effort low --max-usd {{ceiling}} --run-dir run",
            "report run",
        ),
        1.00,
        lambda asked: adds_up(asked.last, asked.fields),
    ),
    Job(
        "handbook",
        "150 questions about 30 pages, and a tool that searches them",
        handbook,
        (
            "check task.yaml --model openai/gpt-5-mini",
            f"optimize task.yaml {MODELS} --effort low --max-usd {{ceiling}} --run-dir run",
            "report run",
        ),
        1.00,
        looks_up,
    ),
)
