"""The tasks on which `benchmarks/starts.py` runs the library of starts, written as task folders.

The rows of four are those of public benchmarks (DATA, not part of this project), the first that qualify; the fifth has made-up
letters in the manner of PUPA, whose own rows hold real people's details.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from flowbot.fields.yaml_out import dump_yaml

SENTENCES = 2
"""Of each paragraph that a corpus keeps: small models read slowly."""
Row = dict[str, Any]

TITLES_METRIC = '''"""All documents found, or not (as GEPA scores HoVer)."""

from flowbot.fields import Score


def score(example, outputs):
    missing = [title for title in example.expected["titles"] if title not in outputs["titles"]]
    return Score(float(not missing), "not found: " + ", ".join(missing) if missing else "")
'''
PROGRAM_METRIC = '''"""Does the program pass all its tests, those that were not shown among them?"""

import asyncio
import re

from flowbot.fields import Score, StepError, UserError
from flowbot.runtime.sandbox.chosen import open_sandbox


def score(example, outputs):
    fenced = re.search(r"```[a-z0-9]*\\n(.*?)```", outputs["program"], re.DOTALL)
    program = fenced[1] if fenced else outputs["program"]
    return asyncio.run(_run(f"{program}\\n{example.extra['checks']}\\nprint('passed')"))


async def _run(script):
    try:
        sandbox = open_sandbox("bubblewrap")
    except UserError:
        sandbox = open_sandbox("monty")
    try:
        await sandbox.script(script)
    except StepError as error:
        return Score(0.0, str(error)[:300])
    finally:
        await sandbox.close()
    return Score(1.0)
'''
PRIVACY_METRIC = '''"""Half for what the reply must say, half for what the untrusted model was not told (as PAPILLON weighs them)."""

from flowbot.fields import Score


def score(example, outputs):
    reply, sent = outputs["reply"].casefold(), outputs["sent"].casefold()
    said = [word for word in example.extra["wanted"] if word.casefold() in reply]
    leaked = [text for text in example.extra["private"] if text.casefold() in sent]
    quality = len(said) / len(example.extra["wanted"])
    privacy = 1 - len(leaked) / len(example.extra["private"])
    feedback = "told the untrusted model: " + ", ".join(leaked) if leaked else ""
    return Score((quality + privacy) / 2, feedback, {"quality": quality, "privacy": privacy})
'''

PEOPLE = (
    ("Marta Kowalczyk", "14 Birch Lane", "Nordhaven Bank"),
    ("Tomas Lindqvist", "3 Harbour Road", "Oakfield Clinic"),
    ("Aisha Rahmani", "27 Mill Street", "Penrose & Sons"),
    ("Declan O'Hara", "9 Chapel Close", "Silverline Freight"),
)
LETTERS = (
    (
        "Write to my landlord: the heating at {1} has not worked since Monday. I am {0} and pay by {2}.",
        ("heating", "Monday"),
    ),
    ("I am {0}. Write a short e-mail to {2} that asks to move my appointment to Friday. I live at {1}.", ("Friday",)),
    ("Write a thank-you note from {0}, {1}, to the team at {2} for the flowers.", ("flowers", "thank")),
    ("My name is {0}, of {1}. Write a complaint to {2}: the parcel came three weeks late.", ("parcel", "late")),
    (
        "Write a reference for {0}, who cleaned the office of {2} for two years and lives at {1}.",
        ("office", "two years"),
    ),
)


def counting(data: Path) -> Iterator[Row]:
    """Object counting of BIG-Bench Hard."""
    for row in read(data / "bbh_object_counting" / "test.jsonl"):
        yield {"id": row["id"], "question": row["input"], "answer": int(row["answer"])}


def questions(data: Path) -> Iterator[Row]:
    """HotpotQA, the questions whose facts all stand in the sentences that the corpus keeps."""
    for row in read(data / "hotpotqa" / "test.jsonl"):
        if row["supporting_facts"] and all(number < SENTENCES for _, number in row["supporting_facts"]):
            yield {"id": row["id"], "question": row["question"], "answer": row["answer"], "context": row["context"]}


def claims(data: Path) -> Iterator[Row]:
    """HoVer, the claims whose documents are all in its corpus."""
    for row in read(data / "hover" / "retrieval_test.jsonl"):
        yield {"id": row["id"], "claim": row["claim"], "titles": row["gold_titles"]}


def programs(data: Path) -> Iterator[Row]:
    """MBPP; the first test is shown, and all are scored."""
    for row in read(data / "mbpp" / "test.jsonl"):
        if not row["test_setup_code"]:
            tests = row["test_list"]
            yield {"id": row["id"], "problem": row["prompt"], "tests": tests[0], "checks": "\n".join(tests)}


def letters(data: Path) -> Iterator[Row]:
    """Requests for letters, with the details in them that are private."""
    for text, wanted in LETTERS:
        for number, person in enumerate(PEOPLE):
            row = {"id": f"{wanted[0]}-{number}", "request": text.format(*person)}
            yield {**row, "wanted": [*wanted, person[0]], "private": list(person)}


def context_corpus(data: Path, rows: Iterable[Row]) -> Iterator[Row]:
    """The paragraphs that belong to the rows, each title once."""
    seen: set[str] = set()
    for each in (each for row in rows for each in row.pop("context")):
        if each["title"] not in seen:
            seen.add(each["title"])
            yield _document(each)


def whole_corpus(data: Path, rows: Iterable[Row]) -> Iterator[Row]:
    """All 16,704 paragraphs."""
    return map(_document, read(data / "hover" / "corpus.jsonl"))


def _document(given: Row) -> Row:
    return {"title": given["title"], "text": "".join(given["sentences"][:SENTENCES]).strip()}


TASKS: dict[str, dict[str, Any]] = {
    "object_counting": {
        "goal": "Count the things that the question asks for.",
        "inputs": {"question": "str"},
        "outputs": {"answer": {"type": "int", "about": "how many"}},
        "metric": "numeric",
        "tools": ["python"],
    },
    "hotpotqa": {
        "goal": "Answer the question.",
        "inputs": {"question": "str"},
        "outputs": {"answer": {"type": "str", "about": "a name, a number or a few words"}},
        "metric": "f1",
        "tools": [{"search": "docs.jsonl", "k": 7}],
    },
    "hover": {
        "goal": "Find every document that is needed to verify the claim.",
        "inputs": {"claim": "str"},
        "outputs": {"titles": "list[str]"},
        "metric": {"call": "metrics.py:score", "pure": True},
        "tools": [{"search": "docs.jsonl", "k": 10}],
    },
    "mbpp": {
        "goal": "Write the Python function that the problem asks for.",
        "inputs": {"problem": "str", "tests": "str"},
        "outputs": {"program": "str"},
        "metric": "metrics.py:score",
        "tools": ["python"],
    },
    "letters": {
        "goal": "Write what the request asks for.",
        "inputs": {"request": "str"},
        "outputs": {"reply": "str", "sent": {"type": "str", "about": "what the untrusted model was asked"}},
        "metric": {"call": "metrics.py:score", "pure": True},
    },
}
ROWS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "object_counting": counting,
    "hotpotqa": questions,
    "hover": claims,
    "mbpp": programs,
    "letters": letters,
}
CORPORA: dict[str, Callable[[Path, Iterable[Row]], Iterator[Row]]] = {"hotpotqa": context_corpus, "hover": whole_corpus}
METRICS = {"hover": TITLES_METRIC, "mbpp": PROGRAM_METRIC, "letters": PRIVACY_METRIC}


def write_task(name: str, data: Path, folder: Path, examples: int) -> Path:
    """Write a task with its rows, all of them test, its metric and its corpus; returns the task's file."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = list(islice(ROWS[name](data), examples))
    if name in CORPORA:
        _write(folder / "docs.jsonl", CORPORA[name](data, rows))
    _write(folder / "test.jsonl", rows)
    if name in METRICS:
        (folder / "metrics.py").write_text(METRICS[name], encoding="utf-8")
    task = {"flowbot": 1, **TASKS[name], "data": {"test": "test.jsonl"}}
    (folder / "task.yaml").write_text(dump_yaml(task), encoding="utf-8")
    return folder / "task.yaml"


def read(file: Path) -> Iterator[Row]:
    """The rows of a file of JSON lines."""
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _write(file: Path, rows: Iterable[Row]) -> None:
    with file.open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
