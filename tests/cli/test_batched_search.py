"""A search whose examples go by batches: it finds what the same search finds without, at the price of a batch where it went by one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_help import flowbot, write_task

import flowbot.lm.parking as parking_module
from batch_endpoint import READ, WRITTEN, BatchEndpoint, Body
from flowbot.lm.client import Message, Request
from flowbot.testing.fake_behaviours import counter

Capture = pytest.CaptureFixture[str]
FULL = (READ * 0.4 + WRITTEN * 1.6) / 1e6
FEWEST = 12


def said(body: Body) -> str:
    """What the fake model that counts says to a chat completion."""
    messages = tuple(Message(each["role"], each["content"]) for each in body["messages"])
    schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema")
    reply = counter(Request(messages, 500, body.get("temperature", 0), schema=schema), json.dumps(body["messages"]))
    return reply if isinstance(reply, str) else json.dumps(reply)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[BatchEndpoint]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(parking_module, "_SETTLED", 0.02)
    monkeypatch.setattr(parking_module, "POLL", 0.02)
    with BatchEndpoint(said) as found:
        monkeypatch.setenv("OPENAI_BASE_URL", found.url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        found.expired = lambda body: "3 pens" in str(body)
        yield found


def searched(capsys: Capture, name: str, *options: str) -> dict[str, Any]:
    """The result of a search with an empty store, by the same command until it is done."""
    model = ["--model", "openai/gpt-4.1-mini", "--price", "0.4,1.6"]
    places = ["--cache-dir", f"cache-{name}", "--run-dir", f"run-{name}"]
    for number in range(60):
        found = flowbot(capsys, "optimize", "task.yaml", *model, "--effort", "90", *places, "--json", *options)
        if found.status == 0:
            return {**found.json, "commands": number + 1}
        assert found.status == 3, found.err
        assert re.search(r"batch(es)? of \d+ calls under way", found.err), found.err
    raise AssertionError("it does not end")


def journal(name: str) -> list[Any]:
    """What was proposed and decided: not what it cost, and how long the endpoint took."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(each) for key, each in value.items() if key not in ("usd", "seconds")}
        return [plain(each) for each in value] if isinstance(value, list) else value

    return [plain(json.loads(line)) for line in Path(f"run-{name}/journal.jsonl").read_text().splitlines()]


def test_a_search_by_batches_is_the_search_without(capsys: Capture, endpoint: BatchEndpoint, tmp_path: Path) -> None:
    write_task(tmp_path, sizes=(30, 10, 20))
    usual = searched(capsys, "usual")
    requests = set(endpoint.ordinary)
    assert usual["spent"]["usd"] == pytest.approx(len(requests) * FULL)
    for name, options in (("waits", ["--wait"]), ("leaves", [])):
        before = endpoint.batched
        endpoint.ordinary.clear()
        endpoint.submitted.clear()
        found = searched(capsys, name, "--batch", "--batch-from", str(FEWEST), *options)
        assert journal(name) == journal("usual")
        assert found["scores"] == usual["scores"]
        assert (found["commands"] > 4) is (name == "leaves")
        batched = endpoint.batched - before
        assert batched >= 60
        assert set(endpoint.submitted.values()) == set(endpoint.ordinary.values()) == {1}
        assert 0 < len(endpoint.ordinary) == len(requests) - batched
        assert found["spent"]["usd"] == pytest.approx((batched / 2 + len(endpoint.ordinary)) * FULL)


PROGRAM = """
import asyncio
import httpx

def asked(text):
    body = {"model": "gpt-x", "max_tokens": 20, "messages": [{"role": "user", "content": text}]}
    reply = httpx.post("https://api.openai.com/v1/chat/completions", json=body)
    return reply.json()["choices"][0]["message"]["content"]

def plain(note: str) -> str:
    return asked(note)

async def threads(note: str) -> str:
    return await asyncio.to_thread(asked, note)
"""


@pytest.mark.parametrize("name", ["plain", "threads"])
def test_programs_of_more_examples_than_have_threads_otherwise_go_by_one_batch(
    capsys: Capture, endpoint: BatchEndpoint, tmp_path: Path, name: str
) -> None:
    write_task(tmp_path, sizes=(36, 10, 10))
    (tmp_path / "app.py").write_text(PROGRAM)
    given = ["eval", f"app.py:{name}", "task.yaml", "--split", "train", "--model", "openai/gpt-4.1-mini"]
    found = flowbot(capsys, *given, "--batch", "--wait", "--cache-dir", "cache", "--json")
    assert found.status == 0, found.err
    assert len(endpoint.submitted) == 36
    assert sum(step == "POST batches" for step in endpoint.steps) == 1


@pytest.mark.parametrize(
    "seconds", [["--objective", "latency"], ["--objective", "score=1,seconds=0.1"], ["--max-latency", "3"]]
)
def test_what_a_batch_tells_nothing_of_decides_nothing(
    capsys: Capture, endpoint: BatchEndpoint, tmp_path: Path, seconds: list[str]
) -> None:
    model = ["--model", "openai/gpt-4.1-mini", "--dry-run"]
    found = flowbot(capsys, "optimize", str(write_task(tmp_path)), *model, "--batch", *seconds)
    assert found.status == 2
    assert "of which an answer by a batch tells nothing" in found.error
    assert flowbot(capsys, "optimize", str(write_task(tmp_path)), *model, *seconds).status == 0
    assert not endpoint.steps
