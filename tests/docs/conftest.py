"""The folder in which snippets run: it holds what they name."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from doc_snippets import ROOT, readme_task

from flowbot.fields.yaml import dump_yaml

PROGRAM = """
import httpx, flowbot as fb
SORT = fb.Param("sort", "Say which department should answer.")

def answer(message: str) -> str:
    said = {"model": "gpt-x", "max_tokens": 9, "temperature": 0, "messages": [{"role": "user", "content": f"{SORT} {message}"}]}
    reply = httpx.post("https://api.openai.com/v1/chat/completions", json=said).json()
    return reply["choices"][0]["message"]["content"]

def pretend(message: str) -> str:
    return "billing"
"""
DEPARTMENTS = ("billing", "delivery", "technical")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what snippets name; the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWBOT_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "task.yaml").write_text(dump_yaml(readme_task()), encoding="utf-8")
    rows = [{"message": f"message {n}, {n} parcels", "department": DEPARTMENTS[n % 3]} for n in range(20)]
    files = {
        "rows.jsonl": "\n".join(map(json.dumps, rows)),
        "rows.csv": "\n".join(["message,department", *(f'"{each["message"]}",{each["department"]}' for each in rows)]),
        "prompt.txt": "Say which department should answer.",
        "papers.jsonl": json.dumps({"title": "Pears", "text": "Pears are green."}),
        "metrics.py": "def score(example, outputs):\n    return 1.0\n",
        "app.py": PROGRAM,
        "tools.py": (
            "def lookup(name: str) -> float:\n    return 1.0\n\n"
            "def refund(order: str) -> str:\n    return order\n\n"
            "def pretend_refund(order: str) -> str:\n    return order\n"
        ),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    with sqlite3.connect(tmp_path / "shop.sqlite") as shop:
        shop.execute("create table goods (name text)")
    shop.close()
    return tmp_path
