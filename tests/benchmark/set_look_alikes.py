"""Made-up rows of sets in the normalised form, for tests of files that name them: nothing of any set is here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

PAGES = [
    {"title": f"Page {letter}", "sentences": [f"{letter} is a town.", f" It lies by the river {letter}."]}
    for letter in "ABC"
]
FACTS = [["Page A", 0], ["Page B", 1]]
Made = Callable[[int], dict[str, Any]]


def _program(number: int) -> dict[str, Any]:
    name = f"add_{number}"
    return {
        "id": f"HumanEval/{number}",
        "prompt": f'def {name}(n: int) -> int:\n    """ n and {number}.\n    >>> {name}(1)\n    {number + 1}\n    """\n',
        "entry_point": name,
        "answer": f"    return n + {number}\n",
        "test": f"def check(candidate):\n    assert candidate(5) == {number + 5}\n",
    }


ROWS: dict[str, Made] = {
    "trec6": lambda n: {"question": f"Where is town {n} ?", "answer": "LOC", "fine": "LOC:city"},
    "banking77": lambda n: {"text": f"Where is card {n}?", "answer": "card_arrival"},
    "bbh_object_counting": lambda n: {"input": f"I have {n} pens. How many?", "answer": str(n)},
    "bbh_reasoning_about_colored_objects": lambda n: {"input": f"Is pen {n} red?\nOptions:\n(A) yes\n(B) no", "answer": "(B)"},
    "gsm8k": lambda n: {"question": f"What is {n} and 1?", "answer": str(n + 1)},
    "math": lambda n: {"problem": f"What is ${n} + 1$?", "answer": str(n + 1), "solution": f"$\\boxed{{{n + 1}}}$"},
    "drop": lambda n: {"passage": f"In game {n} he had {n} goals.", "question": "How many?", "answer": str(n), "references": [str(n)]},
    "hotpotqa": lambda n: {"question": f"Which river {n}?", "answer": "B", "context": PAGES, "supporting_facts": FACTS},
    "hover": lambda n: {"claim": f"Town {n} is by B.", "answer": "SUPPORTED", "supporting_facts": FACTS, "evidence": PAGES},
    "fever": lambda n: {"claim": f"A is town {n}.", "answer": "SUPPORTS", "gold_titles": ["A"], "gold_evidence": ["A is a town."]},
    "triviaqa": lambda n: {"question": f"Who was first in {n}?", "answer": "Ann", "aliases": ["Ann", "Anne"]},
    "humaneval": _program,
    "mbpp": lambda n: {**_program(n), "id": f"mbpp-{n + 10}", "prompt": f"Add {n}.", "test_list": [f"assert add_{n}(1) == {n + 1}"],
                       "answer": f"def add_{n}(n): return n + {n}", "test_setup_code": "", "challenge_test_list": []},
    "ifeval": lambda n: {"prompt": f"Write {n} words without commas.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]},
    "ifbench": lambda n: {"prompt": f"Write {n} numbers.", "instruction_id_list": ["count:numbers"], "kwargs": [{"N": n}]},
}  # fmt: skip
"""A row of each by a number, by the folder that the files of `benchmarks/` look for it in."""
SIZE = 4
"""Rows of each split."""


def write_look_alikes(folder: Path) -> None:
    """A folder for each set, with its corpus where it is searched, and the file of PUPA."""
    for name, made in ROWS.items():
        place = folder / name
        place.mkdir(parents=True)
        for first, split in enumerate(("train", "dev", "test")):
            rows = [
                {"id": f"{name}-{number}", **made(number)} for number in range(1 + first * SIZE, 1 + (first + 1) * SIZE)
            ]
            text = "".join(json.dumps(row) + "\n" for row in rows)
            for prefix in ("", "retrieval_") if name == "hover" else ("",):
                (place / f"{prefix}{split}.jsonl").write_text(text, encoding="utf-8")
    corpus = [
        {"id": page["title"], "title": page["title"], "text": " ".join(page["sentences"]), **page} for page in PAGES
    ]
    for name in ("hover", "fever"):
        (folder / name / "corpus.jsonl").write_text(
            "".join(json.dumps(each) + "\n" for each in corpus), encoding="utf-8"
        )
    (folder / "pupa").mkdir()
    letters = [f"hash-{n},Write to Ann in town {n}.,Dear Ann.,Ann||town {n}" for n in range(230)]
    head = "conversation_hash,user_query,target_response,pii_units"
    (folder / "pupa" / "PUPA_New.csv").write_text("\n".join([head, *letters, ""]), encoding="utf-8")
