"""Runs as things: what is listed of each, how it is known whether a process works on it, and what that tells while it does."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_sample import rewrite, write_paused, write_sample

import flowbot as fb
from flowbot.cli.demo import demo_task_path
from flowbot.fields import UserError
from flowbot.optimizer.progress import ProgressEvent
from flowbot.optimizer.run import optimize_async
from flowbot.run import lock
from flowbot.run.heartbeat import NAME, PAUSE, ask_pause, at_work, beating, read_heartbeat
from flowbot.run.listing import RunSummary, read_summary
from flowbot.run.lock import is_held, run_lock
from flowbot.task import Task

NOW = 1_800_000_000.0


def beat(run_dir: Path, **more: Any) -> None:
    told = {
        "pid": 7, "host": socket.gethostname(), "began": NOW - 60, "beat": NOW, "ended": False, "start": "self-refine",
        "phase": "search", "text": "add a step", "done": 3, "total": 6, "calls": 41, "planned": 500, "share": 0.2, "best": 0.3,
        "usd": 0.01, "ceilings": {"calls": {"used": 41, "of": 100}},
    }  # fmt: skip
    (run_dir / NAME).write_text(json.dumps({**told, **more}), encoding="utf-8")


def test_runs_are_listed_with_scores_and_costs_and_without_their_examples(tmp_path: Path) -> None:
    done, paused = write_sample(tmp_path / "deep" / "er" / "done"), write_paused(tmp_path / "paused")
    (tmp_path / "notes").mkdir()
    (done / "examples.jsonl").write_text("never read", encoding="utf-8")
    beat(done, ended=True)
    beat(paused, ended=True, best=None)
    found = {each.name: each for each in fb.runs(tmp_path)}
    assert set(found) == {"done", "paused"}
    one = found["done"]
    assert (one.status, one.split, one.start, one.calls) == ("done", "test", "self-refine", 625)
    assert (one.start_score.mean, one.final_score.mean) == (0.18, 0.62)  # type: ignore[union-attr]
    assert one.dump()["task"] == "orders"
    assert (found["paused"].status, found["paused"].final_score) == ("paused", None)
    assert "cannot be reached" in found["paused"].reason
    assert [each.name for each in fb.runs(done)] == ["done"]


def test_the_newest_run_comes_first_and_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    for name, when in (("a", NOW), ("b", NOW + 5), ("c", NOW - 5)):
        beat(write_paused(tmp_path / name), beat=when + 1e9, ended=True)
    assert [each.name for each in fb.runs(tmp_path)] == ["b", "a", "c"]
    with pytest.raises(UserError, match="no such folder"):
        fb.runs(tmp_path / "other")


def test_a_run_that_cannot_be_read_is_listed_as_damaged_beside_the_others(tmp_path: Path) -> None:
    write_sample(tmp_path / "good")
    rewrite(write_sample(tmp_path / "bad"), calls={"val": "many"})
    (write_sample(tmp_path / "odd") / "journal.jsonl").write_text("{", encoding="utf-8")
    status = {each.name: each.status for each in fb.runs(tmp_path)}
    assert status == {"good": "done", "bad": "damaged", "odd": "damaged"}
    assert "result.json: calls" in read_summary(tmp_path / "bad").reason


def test_the_lock_says_whether_a_process_works_on_a_run_and_the_beat_where_it_cannot_be_asked(tmp_path: Path) -> None:
    run = write_paused(tmp_path / "run")
    beat(run)
    assert read_summary(run).status == "dead"  # a fresh beat, but nobody holds the folder
    with run_lock(run):
        assert read_summary(run).status == "running"
        assert read_summary(run).calls == 41
        (run / NAME).unlink()
        assert read_summary(run).status == "running"
    beat(run, host="elsewhere")
    heard = read_heartbeat(run)
    assert [at_work(run, heard, now) for now in (NOW + 29, NOW + 31)] == [True, False]
    beat(run, host="elsewhere", ended=True)
    assert not at_work(run, read_heartbeat(run), NOW)
    rewrite(write_sample(tmp_path / "done"), status="done")
    beat(tmp_path / "done")
    assert read_summary(tmp_path / "done").status == "done"  # killed in a replay: what it found stands


def test_whoever_asks_for_the_lock_in_that_moment_keeps_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = run_lock(tmp_path / "run")
    asking.__enter__()
    monkeypatch.setattr(lock.time, "sleep", lambda seconds: asking.__exit__(None, None, None))
    with run_lock(tmp_path / "run"):
        assert is_held(tmp_path / "run")
    assert is_held(tmp_path / "run") is False
    assert is_held(tmp_path / "none") is None


async def test_a_run_tells_how_it_stands_while_it_works_and_its_journal_does_not_know(tmp_path: Path) -> None:
    task = Task.load(demo_task_path())
    task = replace(task, splits={split: rows[:12] for split, rows in task.splits.items()})
    seen: list[RunSummary] = []

    async def made(name: str, **more: Any) -> bytes:
        folder = tmp_path / name
        result = await optimize_async(
            task, lm="fake/counter", start="chain-of-thought", effort=40, run_dir=folder, cache_dir=tmp_path / f"{name}.cache",
            budget=fb.Budget(calls=2000), **more,
        )  # fmt: skip
        assert result.status == "done"
        return (folder / "journal.jsonl").read_bytes()

    def watched(event: ProgressEvent) -> None:
        if event.phase == "test" and not seen:
            seen.append(read_summary(tmp_path / "one"))

    one = await made("one", progress=watched)
    (tmp_path / "two" / NAME).mkdir(parents=True)  # where nothing can be told
    (tmp_path / "two" / "journal.jsonl").touch()
    assert await made("two") == one
    assert (seen[0].status, seen[0].start) == ("running", "chain-of-thought")
    heard = read_heartbeat(tmp_path / "one")
    assert heard is not None
    assert (heard.ended, heard.share, heard.ceilings["calls"].of) == (True, 1.0, 2000)
    assert heard.calls == heard.ceilings["calls"].used == read_summary(tmp_path / "one").calls
    assert heard.since < heard.beat
    assert heard.stored < heard.share
    assert heard.task == str(task.source)
    assert read_summary(tmp_path / "one").status == "done"


async def test_what_was_stored_when_the_first_reply_was_paid_for_is_told(tmp_path: Path) -> None:
    told: dict[str, Any] = {
        "phase": "search", "text": "", "done": 0, "total": 0, "calls": 9, "planned": 20, "share": 0.4, "best": None, "usd": 0.0,
        "ceilings": {},
    }  # fmt: skip
    async with beating(tmp_path, lambda: told, print) as paid:
        await asyncio.sleep(0)  # it beats
        first = read_heartbeat(tmp_path)
        told["share"] = 0.5
        paid()
        told["share"] = 0.6
        paid()
    last = read_heartbeat(tmp_path)
    assert first is not None
    assert last is not None
    assert (first.stored, last.stored, last.share) == (0.4, 0.5, 0.6)
    assert first.since == first.beat <= last.since <= last.beat


async def test_who_looks_on_pauses_one_run_and_no_other_work_of_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowbot.run.heartbeat.EVERY", 0.01)
    run, stop, asked = tmp_path / "run", fb.StopSignal(), list[int]()

    def watch(event: ProgressEvent) -> None:
        if event.phase == "search" and not asked:
            ask_pause(run)
            asked.append(event.calls)

    task = Task.load(demo_task_path())
    model = "fake/counter?latency=0.05&clock=real"
    settings: Any = {"lm": model, "effort": 40, "run_dir": run, "cache_dir": tmp_path / "cache"}
    with pytest.raises(UserError, match=r"no such folder|no process at work"):
        ask_pause(run)
    result = await optimize_async(task, stop=stop, progress=watch, **settings)
    assert (result.status, result.stopped_by, stop.is_set()) == ("paused", "signal", False)
    assert "asked for it" in result.reason
    assert not (run / PAUSE).exists()
    (run / PAUSE).touch()  # by somebody who asked as it ended: the same command again is not meant
    assert (await optimize_async(task, stop=stop, **settings)).status == "done"
