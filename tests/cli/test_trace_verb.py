"""`flowbot trace`: a program's steps, its edges and how they were found, its texts, its calls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_help import flowbot

from pipelines.mock import Mock

Capture = pytest.CaptureFixture[str]
PROGRAM = """
import httpx
import flowbot as fb
PLAN = fb.Param("plan", "Write a search query.", turns=[("Any cups?", "blue cups on shelf")])
SPARE = fb.Param("spare", "Nobody reads this.")

def ask(text, *turns):
    body = {"model": "gpt-4.1-mini", "temperature": 0, "max_tokens": 9}
    body["messages"] = [*turns, {"role": "user", "content": text}]
    with httpx.Client() as client:
        return client.post("URL/v1/chat/completions", json=body).json()["choices"][0]["message"]["content"]

@fb.step(kind="tool")
def search(query, k):
    if k == 7:
        raise ValueError("no such shelf")
    return [f"{query} {n}" for n in range(k)]

def answer(question: str, k: int = 2):
    if k > 9:
        str(SPARE)
    return ask("\\n".join(search(ask(f"{PLAN} {question}", *PLAN.turns()), k)))
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[str]:
    def said(text: str) -> str:
        return "red lamps on shelf" if "query" in text else "There are two of them."

    with Mock(said) as mock:
        (tmp_path / "app.py").write_text(PROGRAM.replace("URL", mock.url), encoding="utf-8")
        yield f"{tmp_path / 'app.py'}:answer"


def test_steps_edges_texts_and_calls_are_told(program: str, capsys: Capture, tmp_path: Path) -> None:
    command = ["trace", program, "question=Any lamps?", "k=2", "--cache-dir", str(tmp_path / "cache")]
    found = flowbot(capsys, *command, "--json").json
    reads = {each["address"]: [(e["source"], e["part"], e["how"]) for e in each["reads"]] for each in found["steps"]}
    assert reads == {
        "app": [("app/call[2]", "out", "text")],
        "app/call[1]": [],
        "app/search[1]": [("app/call[1]", "in.query", "text")],
        "app/call[2]": [("app/search[1]", "in.messages", "text")],
    }
    assert (found["result"], found["calls"], found["tokens"]) == ("There are two of them.", 2, 28)
    assert (found["texts"], found["unread"]) == ({"plan": ["app/call[1]"]}, ["spare"])
    assert found["turns"] == {"plan": 1}
    said = flowbot(capsys, *command)
    assert said.status == 0
    assert "plan: call[1]; 1 worked example as turns" in said.out
    assert "reads call[1] as query (its text)" in said.out
    assert "Not read: spare" in said.out
    assert flowbot(capsys, *command, "--quiet").out == "There are two of them.\n"


@pytest.mark.parametrize(
    ("more", "told"),
    [([], "no question"), (["question=a", "kk=2"], "the unknown input 'kk'"), (["question"], "'question'")],
)
def test_a_mistake_in_the_inputs_is_one_line(more: list[str], told: str, program: str, capsys: Capture) -> None:
    said = flowbot(capsys, "trace", program, *more)
    assert said.status == 2
    assert told in said.err
    assert len(said.err.strip().splitlines()) == 1


def test_a_program_that_fails_says_where_and_keeps_what_was_found(
    program: str, capsys: Capture, tmp_path: Path
) -> None:
    said = flowbot(capsys, "trace", program, "question=a", "k=7", "--cache-dir", str(tmp_path / "cache"))
    assert said.status == 1
    assert "app.py:16: ValueError: no such shelf" in said.err
    assert "reads call[1] as query" in said.out
