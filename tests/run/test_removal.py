"""Removing a run: its own files and the responses that are its alone go; all that is another's stays."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_sample import write_sample

import flowbot as fb
from flowbot.cli.app import run as flowbot
from flowbot.cli.demo import demo_task_path
from flowbot.fields import UserError
from flowbot.optimizer.run import optimize_async
from flowbot.run.lock import run_lock
from flowbot.run.removal import remove_run
from flowbot.run.responses import Responses, known_folders, read_responses
from flowbot.run.result import RunResult
from flowbot.task import Task


async def made(tmp_path: Path, name: str, seed: int) -> RunResult:
    task = Task.load(demo_task_path())
    task = replace(task, splits={split: rows[:8] for split, rows in task.splits.items()})
    return await optimize_async(
        task, lm="fake/counter", effort=30, seed=seed, run_dir=tmp_path / name / "run", cache_dir=tmp_path / "cache"
    )


def entries(tmp_path: Path) -> int:
    return sum(fb.cache(tmp_path / "cache").stats().entries.values())


async def test_responses_that_another_run_uses_stay_wherever_that_is_and_the_rest_is_paid_for_again(
    tmp_path: Path,
) -> None:
    one, other = await made(tmp_path, "one", 0), await made(tmp_path, "other", 1)
    before = entries(tmp_path)
    told = remove_run(one.run_dir, cache_dir=tmp_path / "cache", dry_run=True)
    assert entries(tmp_path) == before
    gone = remove_run(one.run_dir, cache_dir=tmp_path / "cache")
    assert gone == told
    assert gone.responses is not None
    assert gone.responses.entries > 0
    assert gone.shared > 0
    assert entries(tmp_path) == before - gone.responses.entries
    assert not one.run_dir.exists()
    assert (await made(tmp_path, "other", 1)).now.calls == 0
    again = await made(tmp_path, "one", 0)
    assert 0 < again.now.calls < sum(again.calls.values())
    assert {key: value for key, value in again.to_json().items() if key in ("scores", "calls", "kept_from")} == {
        key: value for key, value in one.to_json().items() if key in ("scores", "calls", "kept_from")
    }
    assert other.status == "done"


async def test_what_is_no_file_of_the_run_stays_and_a_folder_of_others_names_no_responses_of_ours(
    tmp_path: Path,
) -> None:
    run = await made(tmp_path, "one", 0)
    copy = tmp_path / "copy"
    shutil.copytree(run.run_dir, copy)
    (copy / "notes.md").write_text("mine", encoding="utf-8")
    (copy / "front" / "own.yaml").write_text("mine", encoding="utf-8")
    before = entries(tmp_path)
    gone = remove_run(copy, cache_dir=tmp_path / "cache")
    assert (gone.responses, gone.left) == (None, ("notes.md",))
    assert entries(tmp_path) == before
    assert sorted(path.name for path in copy.rglob("*")) == ["front", "notes.md", "own.yaml"]


async def test_where_a_run_was_moved_no_response_goes_until_it_is_said_to_be_gone(tmp_path: Path) -> None:
    one, other = await made(tmp_path, "one", 0), await made(tmp_path, "other", 1)
    before, cache, moved = entries(tmp_path), tmp_path / "cache", tmp_path / "elsewhere"
    other.run_dir.rename(moved)
    gone = remove_run(one.run_dir, cache_dir=cache)
    assert (gone.responses, gone.missing) == (None, (str(other.run_dir.resolve()),))
    assert not one.run_dir.exists()
    assert entries(tmp_path) == before
    one = await made(tmp_path, "one", 0)
    other.run_dir.mkdir()
    (other.run_dir / "notes.md").write_text("mine", encoding="utf-8")
    assert remove_run(other.run_dir, cache_dir=cache).responses is None  # of which there is no journal any more
    assert (other.run_dir / "notes.md").exists()
    found = remove_run(one.run_dir, cache_dir=cache).responses
    assert found is not None
    assert found.entries > 0
    with pytest.raises(UserError, match=r"no journal\.jsonl"):
        remove_run(other.run_dir, cache_dir=cache)


async def test_a_run_that_was_moved_aside_keeps_its_responses(tmp_path: Path) -> None:
    one, other = await made(tmp_path, "one", 0), await made(tmp_path, "other", 1)
    other.run_dir.rename(aside := other.run_dir.with_name("run.1"))  # as --fresh does
    again = await made(tmp_path, "other", 1)
    (again.run_dir / "responses.txt").write_text("", encoding="ascii")
    gone = remove_run(one.run_dir, cache_dir=tmp_path / "cache")
    assert gone.shared > 0
    last = remove_run(aside, cache_dir=tmp_path / "cache")
    assert last.responses is not None
    assert last.responses.entries > 0


def test_a_run_at_work_a_link_and_what_is_no_run_are_never_removed(tmp_path: Path) -> None:
    run = write_sample(tmp_path / "run")
    there = sorted(path.name for path in run.iterdir())
    with run_lock(run), pytest.raises(UserError, match="another FlowBot at work"):
        remove_run(run, cache_dir=tmp_path)
    assert sorted({path.name for path in run.iterdir()} - {".lock"}) == there
    (tmp_path / "link").symlink_to(run)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "report.html").touch()
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "journal.jsonl").write_text('{"event": "note"}\n', encoding="utf-8")
    for name in ("link", "docs", "odd"):
        with pytest.raises(UserError):
            remove_run(tmp_path / name, cache_dir=tmp_path)
    assert sorted({path.name for path in run.iterdir()} - {".lock"}) == there
    assert (tmp_path / "docs" / "report.html").exists()


def test_the_verb_lists_by_what_is_asked_and_removes_by_force_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*arguments: str) -> Any:
        assert flowbot(["runs", *arguments, "--json", "--cache-dir", str(tmp_path / "cache")]) == 0
        return json.loads(capsys.readouterr().out)

    monkeypatch.chdir(tmp_path)
    write_sample(tmp_path / "runs" / "b")
    write_sample(tmp_path / "runs" / "a")
    assert [each["name"] for each in said("--sort", "name")] == ["a", "b"]
    assert flowbot(["runs", "--remove", "a", "b"]) == 2
    assert "--force" in capsys.readouterr().err
    gone = said("--remove", "a", "runs/b", "--force")
    assert [each["run_dir"] for each in gone["removed"]] == ["runs/a", "runs/b"]
    assert said() == []


def test_a_name_beside_a_folder_is_a_run_in_that_folder_and_never_another_of_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for place in ("runs/a", "sweep/a", "runs/b"):
        write_sample(tmp_path / place)
    cache = ("--cache-dir", str(tmp_path / "cache"))
    assert flowbot(["runs", "sweep", "--remove", "b", "--force", *cache]) == 2
    assert "no such run in sweep" in capsys.readouterr().err
    assert flowbot(["runs", "sweep", "--remove", "a", str(tmp_path / "sweep" / "a"), "--force", *cache]) == 0
    assert [(tmp_path / place).exists() for place in ("runs/a", "sweep/a", "runs/b")] == [True, False, True]


def test_what_a_kill_left_of_a_line_spoils_no_other_line(tmp_path: Path) -> None:
    run, cache = tmp_path / "run", tmp_path / "cache"
    run.mkdir()
    cache.mkdir()
    (run / "responses.txt").write_text("aaaa\nbb", encoding="ascii")
    (cache / "runs.jsonl").write_text('"/home/o', encoding="ascii")
    keys = {"aaaa"}
    used = Responses(run, keys, cache / "store.sqlite")
    keys |= {"bbbb", "cccc"}
    used.note()
    assert {"aaaa", "bbbb", "cccc"} <= (read_responses(run) or set())
    assert known_folders(cache) == {run.resolve()}
