"""Programs as people write them, run and recorded: three that are lifted, three that are not, each with its reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import flowbot as fb
from flowbot.cli.app import run

APP = '''
import asyncio, hashlib, json
from concurrent.futures import ThreadPoolExecutor
import httpx
import flowbot as fb

def reply(request):
    said = json.loads(request.content)["messages"][-1]["content"]
    number = int(hashlib.sha256(said.encode()).hexdigest(), 16)
    text = f"reply {number % 9973}"
    if said.startswith("Critique"):
        text = "DONE, well said" if number % 3 == 0 else f"mend word {number % 97}"
    return httpx.Response(200, json={"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})

client = httpx.Client(transport=httpx.MockTransport(reply), base_url="https://models.example/v1")
PLAN = fb.Param("plan", "Write a search query for the question.")

def ask(user, system=None, **more):
    said = [{"role": "system", "content": system}] if system else []
    body = {"model": "m", "temperature": 0, "max_tokens": 64, "messages": [*said, {"role": "user", "content": user}]}
    return client.post("/chat/completions", json=body | more).json()["choices"][0]["message"]["content"]

@fb.step(kind="tool", pure=True)
def search(query: str, k: int = 2) -> list[str]:
    """Passages on a query."""
    return [f"passage {n} on {query}" for n in range(k + len(query) % 2)]

@fb.step
def plan(question):
    return ask(question, str(PLAN))

def rag(question: str) -> str:
    docs = search(plan(question), k=2)
    return ask("Passages:\\n* " + "\\n* ".join(docs) + f"\\n\\n{question}", "Answer from the passages.")

def threads(question: str) -> str:
    with ThreadPoolExecutor(3) as pool:
        told = list(pool.map(lambda each: ask(f"Sum up {each}"), search(question)))
    return ask("; ".join(told))

@fb.step
def critique(draft, question):
    return ask(f"Critique {draft} for {question}")

@fb.step
def revise(draft, remark):
    return ask(f"Revise {draft} by {remark}")

def refine(question: str) -> str:
    draft = ask(f"Draft: {question}")
    for _ in range(4):
        remark = critique(draft, question)
        draft = revise(draft, remark)
        if "DONE" in remark:
            break
    return draft

def parsed(question: str) -> str:
    number = plan(question).split()[-1]
    return ask(f"What of {number}?")

def routed(question: str) -> str:
    if "1" in question or "2" in question:
        return ask("Say more: " + question)
    return ask("Say less: " + question)

def listed(question: str):
    return [ask(question)]

def history(question: str) -> str:
    said = [question]
    for _ in range(3):
        said.append(ask("\\n".join(said)))
    return said[-1]
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lift")
    (folder / "app.py").write_text(APP, encoding="utf-8")
    rows = [json.dumps({"question": f"How is number {each} doing?", "answer": "x"}) + "\n" for each in range(8)]
    for name, part in (("train", rows[:5]), ("val", rows[5:7]), ("test", rows[7:])):
        (folder / f"{name}.jsonl").write_text("".join(part), encoding="utf-8")
    (folder / "task.yaml").write_text(
        "flowbot: 1\ngoal: Answer.\ninputs: {question: str}\noutputs: {answer: str}\nmetric: exact\n"
        "data: {train: train.jsonl, val: val.jsonl, test: test.jsonl}\n",
        encoding="utf-8",
    )
    return folder


def lift(folder: Path, name: str) -> fb.Lifted:
    return fb.lift(f"{folder}/app.py:{name}", folder / "task.yaml", examples=6, cache_dir=folder / "cache")


@pytest.mark.parametrize(
    ("name", "kinds", "requests"),
    [
        ("rag", {"plan": "llm", "search": "tool", "join": "code", "ask": "llm"}, 12),
        ("threads", {"search": "tool", "each": "map", "join": "code", "ask_2": "llm"}, None),
        ("refine", {"ask": "llm", "refine": "loop"}, None),
    ],
)
def test_a_program_that_typed_steps_can_say_is_lifted(
    folder: Path, name: str, kinds: dict[str, str], requests: int | None
) -> None:
    lifted = lift(folder, name)
    assert lifted.defeat is None
    assert lifted.workflow is not None
    assert {each: node.kind for each, node in lifted.workflow.sketch.nodes.items()} == kinds
    assert (lifted.examples, lifted.failed) == (6, ())
    assert lifted.requests == requests or (requests is None and lifted.requests > 12)
    assert lifted.tools == (() if name == "refine" else (f"{folder}/app.py:search",))


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        ("parsed", 'ask(f"What of', "which no input and no step gave whole"),
        ("routed", 'ask("Say less', "runs on 4 of 6 examples, as plain Python decides"),
        ("history", 'ask("\\n".join(said))', "is called 3 times"),
    ],
)
def test_a_program_that_they_cannot_say_names_the_step_that_defeats_it(
    folder: Path, name: str, line: str, words: str
) -> None:
    lifted = lift(folder, name)
    assert lifted.workflow is None
    assert lifted.defeat is not None
    number = next(number for number, text in enumerate(APP.splitlines(), 1) if line in text)
    assert words in lifted.defeat.what
    assert lifted.defeat.where == f"app.py:{number}"


def test_runs_that_do_not_give_what_the_task_wants_tell_nothing(folder: Path) -> None:
    lifted = lift(folder, "listed")
    assert (lifted.workflow, len(lifted.failed)) == (None, 6)
    assert lifted.defeat is not None
    assert lifted.defeat.what == "it ended well on 0 of the examples"


def test_the_verb_writes_the_workflow_or_says_why_not(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    more = ["task.yaml", "--limit", "6", "--cache-dir", "cache"]
    assert run(["lift", "app.py:rag", *more, "--out", "rag.flow.yaml"]) == 0
    said = capsys.readouterr().out
    assert "It makes the same 12 requests on 6 examples." in said
    assert "In the task file: tools: [app.py:search]" in said
    assert fb.Workflow.load("rag.flow.yaml").sketch.outputs == {"answer": "ask.text"}
    assert run(["lift", "app.py:rag", *more, "--out", "rag.flow.yaml"]) == 2
    capsys.readouterr()
    assert run(["lift", "app.py:parsed", *more, "--json"]) == 1
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["workflow"]) == (False, None)
    assert found["defeat"]["where"].startswith("app.py:")
