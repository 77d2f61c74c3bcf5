"""The sets with a search, run end to end: the library's multi-hop programs on a fake model and a corpus beside the rows."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from flowbot.benchmark.sets.registry import load_set
from flowbot.lm.budget import Budget
from flowbot.lm.client import Request
from flowbot.lm.lm import LM
from flowbot.lm.pace import Pace
from flowbot.lm.session import Session
from flowbot.runtime.engine import Engine
from flowbot.runtime.evaluation import Evaluation, evaluate
from flowbot.runtime.toolbox import opened_task
from flowbot.store import Store
from flowbot.task import Tool
from flowbot.testing.fake import FakeClient
from flowbot.workflow.starts import find_start, fit

CORPUS = [
    {"title": "Ann Berg", "sentences": ["Ann Berg wrote the novel Harbour.", " She was born in Oslo."]},
    {"title": "Oslo", "sentences": ["Oslo is the capital of Norway."]},
    {"title": "Norway", "sentences": ["Norway is a kingdom."]},
    {"title": "Leeds", "sentences": ["Leeds is a city in England."]},
]
QUESTION = "Of which country is the town where the author of Harbour was born the capital?"
CLAIM = "The author of the novel Harbour was born in the capital of a kingdom."
FACTS = [["Ann Berg", 1], ["Oslo", 0], ["Norway", 0]]


def write(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write(tmp_path / "hover", "corpus.jsonl", CORPUS)
    context = [{"title": each["title"], "sentences": each["sentences"]} for each in CORPUS]
    asked = {"question": QUESTION, "answer": "Norway", "context": context, "supporting_facts": FACTS}
    claimed = {"claim": CLAIM, "answer": "SUPPORTED", "supporting_facts": FACTS}
    for number, name in enumerate(("train.jsonl", "dev.jsonl", "test.jsonl")):
        write(tmp_path / "hotpotqa", name, [{**asked, "id": f"q{number}", "question": f"{QUESTION} ({number})"}])
        write(tmp_path / "hover", name, [{**claimed, "id": f"c{number}", "claim": f"{CLAIM} ({number})"}])
    return tmp_path


async def evaluated(
    name: str, data: Path, start: str, replies: Iterator[str | dict[str, str]]
) -> tuple[Evaluation, list[Request]]:
    """A start made to fit a set, run on its test row with these replies."""
    asked: list[Request] = []

    def model(request: Request) -> str | dict[str, str]:
        asked.append(request)
        return next(replies)

    task = load_set(name, data / name, variant="retrieval")
    async with opened_task(task, cache_dir=data / "cache") as opened:
        signatures = {tool.signature.name: tool.signature for tool in opened.tools}
        workflow = fit(find_start(start), opened.inputs, opened.outputs, opened.goal, tools=signatures)
        async with engine(model, opened.tools) as runs:
            return await evaluate(runs, workflow, opened, opened.test, purpose="test"), asked


@asynccontextmanager
async def engine(model: Callable[[Request], Any], tools: Sequence[Tool]) -> AsyncIterator[Engine]:
    session = Session(store=Store.memory(), budget=Budget(), pace=Pace(1))
    runs = Engine(LM(FakeClient(model), session), session, tools={tool.signature.name: tool for tool in tools})
    try:
        yield runs
    finally:
        await runs.close()


async def test_two_searches_answer_a_question_of_two_hops(data: Path) -> None:
    replies = iter(
        [
            {"reasoning": "r", "summary": "Ann Berg was born in Oslo."},
            {"reasoning": "r", "query": "Oslo capital"},
            {"reasoning": "r", "summary": "Oslo is the capital of Norway."},
            {"reasoning": "r", "answer": "Norway"},
        ]
    )
    evaluation, asked = await evaluated("hotpotqa", data, "multi-hop-qa", replies)
    (row,) = evaluation.rows
    assert (row.score.value, dict(row.score.parts)) == (1.0, {"em": 1.0, "f1": 1.0})
    assert "Ann Berg: Ann Berg wrote the novel Harbour. She was born in Oslo." in asked[0].messages[-1].content
    assert "Oslo: Oslo is the capital of Norway." in asked[2].messages[-1].content


async def test_one_search_is_enough_to_read(data: Path) -> None:
    evaluation, _ = await evaluated("hotpotqa", data, "retrieve-then-read", iter(["the kingdom of Norway"]))
    (row,) = evaluation.rows
    assert (row.score.value, row.score.parts["f1"]) == (0.0, 0.5)
    assert "It follows from: Ann Berg: She was born in Oslo. Oslo: Oslo is the capital of Norway." in row.score.feedback


async def test_three_searches_gather_the_documents_of_a_claim(data: Path) -> None:
    told = [("summary", "Berg."), ("query", "Leeds"), ("summary", "Nothing."), ("query", "zebra")]
    evaluation, _ = await evaluated(
        "hover", data, "multi-hop-claims", iter([{"reasoning": "r", name: text} for name, text in told])
    )
    (row,) = evaluation.rows
    assert row.score.value == 1.0  # the claim's own words find all of so small a corpus


async def test_what_was_not_found_is_told(data: Path) -> None:
    write(data / "hover", "corpus.jsonl", CORPUS[:2])
    told = [("summary", "Berg."), ("query", "Leeds"), ("summary", "Nothing."), ("query", "zebra")]
    evaluation, _ = await evaluated(
        "hover", data, "multi-hop-claims", iter([{"reasoning": "r", name: text} for name, text in told])
    )
    (row,) = evaluation.rows
    assert (row.score.value, row.score.parts["recall"]) == (0.0, pytest.approx(2 / 3))
    assert "titles: not found: Norway; found: Ann Berg, Oslo." in row.score.feedback
