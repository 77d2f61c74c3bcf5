"""A run that is killed after any of its events goes on from what was stored by then, and ends to the letter as an undisturbed one."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import flowbot as fb
from flowbot.lm.client import Request
from flowbot.optimizer.run import optimize_async
from flowbot.optimizer.search import Search
from flowbot.run.journal import Journal
from flowbot.task import Task
from flowbot.testing.fake_behaviours import BEHAVIOURS, ReplyContent, counter

FILES = ("journal.jsonl", "found.flow.yaml", "examples.jsonl", "start.flow.yaml")
OF_THIS_PROCESS = ("spent", "now", "sessions", "seconds", "replayed_events", "run_dir", "workflow")


def stammers(request: Request, key: str) -> ReplyContent:
    """Counts; of the questions that begin a chat one in three has to be asked twice."""
    again = any(message.role == "assistant" for message in request.messages)
    return counter(request, key) if again or int(key[:4], 16) % 3 else ""


def snapshot(store: Path, folder: Path) -> None:
    """The store as a kill would leave it."""
    folder.mkdir(parents=True)
    with closing(sqlite3.connect(store)) as source, closing(sqlite3.connect(folder / "store.sqlite")) as copy:
        source.backup(copy)


def outcome(run_dir: Path) -> dict[str, Any]:
    result = json.loads((run_dir / "result.json").read_text(encoding="utf-8"))
    for each in result["front"]:
        each["workflow"] = each["workflow"] and Path(each["workflow"]).relative_to(run_dir).as_posix()
    return {name: (run_dir / name).read_text(encoding="utf-8") for name in FILES} | {
        name: value for name, value in result.items() if name not in OF_THIS_PROCESS
    }


async def resumed_after_every_event(
    monkeypatch: pytest.MonkeyPatch, task: Task, folder: Path, *, calls: int | None = None, **given: Any
) -> list[dict[str, Any]]:
    """Outcomes: of the undisturbed run first, then of one that was killed after each event."""

    async def run(cache: Path, run_dir: Path) -> None:
        budget = None if calls is None else fb.Budget(calls=calls)
        await optimize_async(task, run_dir=run_dir, cache_dir=cache, budget=budget, **given)

    append, written = Journal._append, 0

    def appended(self: Journal, line: bytes) -> None:
        nonlocal written
        append(self, line)
        written += 1
        snapshot(folder / "cache" / "store.sqlite", folder / f"cache{written}")
        shutil.copytree(folder / "run", folder / f"run{written}")

    with monkeypatch.context() as watched:
        watched.setattr(Journal, "_append", appended)
        await run(folder / "cache", folder / "run")
    found = [outcome(folder / "run")]
    for number in range(1, written + 1):
        assert len((folder / f"run{number}" / "journal.jsonl").read_bytes().splitlines()) == number
        await run(folder / f"cache{number}", folder / f"run{number}")
        assert not list((folder / f"run{number}").glob("journal.*.jsonl")), "it went on another way"
        found.append(outcome(folder / f"run{number}"))
    return found


def of_any_last_call(found: dict[str, Any]) -> None:
    """Which of the calls that are asked again side by side is the first beyond the plan is chance, and with it how many requests the others
    took; how many calls there are is not. All of them were forgotten, and the event tells their keys, so that a replay forgets the same."""
    del found["requests"]
    for name in ("by_purpose", "by_model"):
        found[name] = {each: took["calls"] for each, took in found[name].items()}
    events = [json.loads(line) for line in found["journal.jsonl"].splitlines()]
    found["journal.jsonl"] = [
        each | {"calls": len(each["calls"])} if each["event"] == "cut short" else each for each in events
    ]


@pytest.mark.parametrize(
    ("given", "cuts"),
    [
        pytest.param({"lm": "fake/counter", "method": "flowbot"}, 0, id="free"),
        pytest.param({"lm": "fake/counter", "method": "flowbot", "calls": 101}, 1, id="a ceiling in mid-block"),
        pytest.param({"lm": "fake/stammers", "method": "flowbot", "effort": 72}, 1, id="the plan in mid-block"),
        pytest.param({"lm": "fake/counter", "method": "paper+blame", "calls": 150}, 1, id="the paper's loop"),
    ],
)
async def test_it_ends_as_if_nothing_had_been(
    monkeypatch: pytest.MonkeyPatch, orders: Task, tmp_path: Path, given: dict[str, Any], cuts: int
) -> None:
    monkeypatch.setitem(BEHAVIOURS, "stammers", stammers)
    small = replace(orders, splits={split: rows[:12] for split, rows in orders.splits.items()})
    met: list[Search] = []
    cut_short = Search.cut_short
    monkeypatch.setattr(Search, "cut_short", lambda self: (met.append(self), cut_short(self)))
    calm, *resumed = await resumed_after_every_event(monkeypatch, small, tmp_path, **{"effort": 100, **given})
    if given["lm"] == "fake/stammers":
        for each in (calm, *resumed):
            of_any_last_call(each)
    assert len(resumed) > 10
    assert len(set(map(id, met))) >= cuts * (1 + len(resumed)), "the ceiling was to end something in its middle"
    for number, each in enumerate(resumed, start=1):
        assert each == calm, f"killed after event {number}"
