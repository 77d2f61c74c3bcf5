"""What a run was paid for is a fact of it: kept over sessions, kills and replays, and told in the same words everywhere."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flowbot.fields import InfrastructureError, Usage, UserError
from flowbot.lm.ledger import Ledger
from flowbot.lm.stop import StopSignal
from flowbot.optimizer.progress import ProgressEvent
from flowbot.optimizer.run import optimize_async
from flowbot.run.result import RunResult
from flowbot.run.sessions import NAME, Sessions, Spent, read_sessions, spent_in_all
from flowbot.run.taken import account
from flowbot.run.view import read_run
from flowbot.task import Task


async def run(task: Task, folder: Path, **given: Any) -> RunResult:
    small = replace(task, splits={split: rows[:12] for split, rows in task.splits.items()})
    options = {"lm": "fake/counter", "effort": "low", "run_dir": folder / "run", "cache_dir": folder / "cache", **given}
    return await optimize_async(small, **options)


def ledger(calls: int, usd: float | None = 0.5) -> Ledger:
    made = Ledger()
    if calls:
        made.pay("val", Usage(calls, 100 * calls, 10 * calls, usd=usd), model="openai/x")
    return made


def clock(*times: float) -> Any:
    given = iter(times)
    return lambda: next(given)


async def test_a_replay_leaves_what_was_paid_and_when_as_it_was_and_says_that_it_replayed(
    orders: Task, tmp_path: Path
) -> None:
    first = await run(orders, tmp_path)
    again = await run(orders, tmp_path)
    facts = first.to_json(), again.to_json()
    assert facts[0]["spent"]["calls"] == sum(first.requests.values()) > 0
    for name in ("spent", "seconds", "sessions"):
        assert facts[1][name] == facts[0][name]
    assert facts[1]["now"]["calls"] == 0
    assert json.loads((again.run_dir / "result.json").read_text())["spent"] == facts[0]["spent"]
    told = account(again)
    assert told[:2] == account(first)
    assert told[2] == "This time it was replayed from the store: nothing was made."


async def test_sessions_that_paused_are_added_up(orders: Task, tmp_path: Path) -> None:
    stop = StopSignal()
    paused = await run(
        orders, tmp_path, stop=stop, progress=lambda event: stop.set() if event.phase == "search" else None
    )
    done = await run(orders, tmp_path)
    assert (paused.status, done.status) == ("paused", "done")
    assert paused.spent.calls + done.now.calls == done.spent.calls == sum(done.requests.values())
    assert [each.status for each in done.sessions] == ["paused", "done"]
    assert done.seconds == pytest.approx(sum(each.seconds for each in done.sessions), abs=0.02)
    told = account(done)
    assert "in 2 sessions since" in told[1]
    assert told[2].startswith(f"Of that this session made {done.now.calls:,} calls")


async def test_a_run_that_another_runs_store_serves_has_paid_nothing(orders: Task, tmp_path: Path) -> None:
    await run(orders, tmp_path)
    other = await run(orders, tmp_path, run_dir=tmp_path / "other")
    assert other.spent.calls == 0
    assert len(other.sessions) == 1
    assert "Nothing of it was made by this run" in account(other)[1]


def test_of_a_killed_session_what_was_written_counts(tmp_path: Path) -> None:
    killed = Sessions(tmp_path, ledger(7), 0.0, clock(2.0))
    killed.note()
    killed.close()
    with (tmp_path / NAME).open("a") as file:
        file.write('{"began": "half a li')
    resumed = Sessions(tmp_path, ledger(3), 10.0, clock())
    found = resumed.end("done", 4.0)
    resumed.close()
    assert [(each.status, each.spent.calls, each.seconds) for each in found] == [("working", 7, 2.0), ("done", 3, 4.0)]
    assert read_sessions(tmp_path) == found
    assert spent_in_all(found) == Spent(calls=10, tokens=1100, usd=1.0)


def test_a_session_that_ended_before_it_paid_is_forgotten_once_another_pays(tmp_path: Path) -> None:
    for calls, status in ((0, "failed"), (0, "paused"), (3, "done"), (0, "done")):
        sessions = Sessions(tmp_path, ledger(calls), 0.0)
        found = sessions.end(status, 1.0)
        sessions.close()
        assert [(each.status, each.spent.calls) for each in found] == (
            [("done", 3)] if status == "done" else [(status, 0)]
        )
        assert read_sessions(tmp_path) == found


async def test_every_payment_is_on_disk_before_anything_else_is_done_about_it(orders: Task, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def look(event: ProgressEvent) -> None:
        if event.calls:
            lines = read_sessions(tmp_path / "run")
            seen.append((len(lines), lines[0].spent.calls))

    done = await run(orders, tmp_path, progress=look)
    assert [lines for lines, _ in seen] == [1] * len(seen)
    paid = [calls for _, calls in seen]
    assert paid == sorted(paid)
    assert paid[-1] == done.spent.calls == sum(done.requests.values())


def test_what_a_session_pays_is_written_with_each_payment(tmp_path: Path) -> None:
    paid = ledger(1)
    sessions = Sessions(tmp_path, paid, 0.0)
    paid.noted = sessions.note
    for calls in (2, 3, 4):
        paid.pay("val", Usage(1, 5, 5, usd=0.25), model="openai/x")
        assert [each.spent.calls for each in read_sessions(tmp_path)] == [calls]
    sessions.close()


def test_where_the_disk_fails_the_reply_that_was_paid_for_goes_on_and_the_end_says_so(tmp_path: Path) -> None:
    paid = ledger(0)
    sessions = Sessions(tmp_path, paid, 0.0)
    paid.noted = sessions.note
    (tmp_path / NAME).mkdir()
    paid.pay("val", Usage(1, 5, 5, usd=0.25), model="openai/x")
    with pytest.raises((InfrastructureError, UserError), match=NAME):
        sessions.end("done", 1.0)


def test_an_unknown_price_of_one_session_leaves_the_whole_unknown(tmp_path: Path) -> None:
    for usd in (0.5, None):
        sessions = Sessions(tmp_path, ledger(2, usd), 0.0)
        sessions.end("done", 1.0)
        sessions.close()
    assert spent_in_all(read_sessions(tmp_path)) == Spent(calls=4, tokens=440, usd=None)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"began": "x", "seconds": -1, "status": "done", "spent": {"calls": 1, "tokens": 1, "usd": 0}}', "seconds"),
        (
            '{"began": "x", "seconds": 1, "status": "done", "spent": {"calls": "1", "tokens": 1, "usd": 0}}',
            "spent.calls",
        ),
        ("[]", "sessions.jsonl:1"),
    ],
)
def test_a_file_that_says_what_cannot_be_is_refused_with_its_place(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / NAME).write_text(f"{line}\n{line}\n")
    with pytest.raises(UserError, match=words):
        read_sessions(tmp_path)


async def test_of_a_run_that_was_killed_before_its_result_the_report_knows_what_was_paid(
    orders: Task, tmp_path: Path
) -> None:
    first = await run(orders, tmp_path)
    (first.run_dir / "result.json").unlink()
    assert read_run(first.run_dir).spent == first.spent
