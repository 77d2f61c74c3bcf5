"""Signals sent to the real command at known moments: it pauses or leaves, and nothing is ever asked twice."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cli_help import write_flow, write_task
from held_endpoint import LONG, Body, HeldEndpoint, holding

from flowbot.cli.signals import REASONS, pausing
from flowbot.lm.stop import StopSignal

ENDING = list(REASONS)
PLACES = 4
ANSWERED = 3
MODEL = ["--model", "openai/pretend", "--concurrency", str(PLACES), "--cache-dir", "cache"]
OPTIMIZE = ["optimize", "task.yaml", *MODEL, "--effort", "low", "--run-dir", "run"]
EVAL = ["eval", "count.flow.yaml", "task.yaml", *MODEL, "--split", "train"]


@pytest.fixture
def endpoint() -> Iterator[HeldEndpoint]:
    with holding() as found:
        yield found


@pytest.fixture
def start(endpoint: HeldEndpoint, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a command in a folder with a task and a workflow, its model behind `endpoint`."""
    write_task(tmp_path)
    write_flow(tmp_path)
    proxies = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}
    around = {name: value for name, value in os.environ.items() if name.upper() not in proxies}
    around |= {"OPENAI_BASE_URL": endpoint.url, "OPENAI_API_KEY": "sk-none", "PYTHONUNBUFFERED": "1"}
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, program: Sequence[str] = ("-m", "flowbot"), **given: Any) -> subprocess.Popen[str]:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": around}
        command = [sys.executable, *program, *arguments]
        started.append(subprocess.Popen(command, cwd=tmp_path, **{**streams, **given}))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


Start = Callable[..., "subprocess.Popen[str]"]


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit status, and what was said since."""
    out, err = process.communicate(timeout=LONG)
    return process.returncode, out, err


def until(process: subprocess.Popen[str], words: str) -> None:
    """Read what the process says until it says `words`."""
    assert process.stdout is not None
    assert any(words in line for line in process.stdout), words


def wait_for_stored(path: Path, count: int) -> None:
    """Wait until so many replies are committed."""
    query = "SELECT count(*) FROM responses WHERE kind = 'lm'"
    for _ in range(int(LONG * 50)):
        with closing(sqlite3.connect(path)) as connection:
            if connection.execute(query).fetchone()[0] >= count:
                return
        time.sleep(0.02)
    raise AssertionError(f"not {count} replies in {path}")


def after(number: int) -> Callable[[Body], bool]:
    """Keeps back every request but the first `number`."""
    count = iter(range(10**6))
    return lambda body: next(count) >= number


def goes_on(start: Start, endpoint: HeldEndpoint, command: list[str], answered: list[str]) -> dict[str, Any]:
    """Run the same command again: it ends well and asks nothing that was answered. Its result."""
    endpoint.seen()
    status, out, _ = ended(start(*command, "--json"))
    assert status == 0
    assert not set(endpoint.seen()) & set(answered)
    return json.loads(out)


@pytest.mark.parametrize(
    ("command", "number"),
    [*((OPTIMIZE, each) for each in ENDING), (EVAL, signal.SIGINT)],
    ids=lambda given: given[0] if isinstance(given, list) else None,
)
def test_a_signal_pauses_after_the_calls_in_flight(
    start: Start, endpoint: HeldEndpoint, command: list[str], number: int
) -> None:
    endpoint.holds = after(ANSWERED)
    process = start(*command)
    endpoint.wait_for(held=PLACES)
    process.send_signal(number)
    until(process, "Pausing")
    endpoint.let_go()
    status, _, err = ended(process)
    assert status == 3
    assert f"paused (signal): {REASONS[number]}" in err.splitlines()[-1]
    answered = endpoint.seen()
    assert len(answered) == ANSWERED + PLACES
    result = goes_on(start, endpoint, command, answered)
    calls = result["calls"]
    assert result.get("now", result["spent"])["calls"] == (
        calls if isinstance(calls, int) else sum(calls.values())
    ) - len(answered)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_leaves_at_once(start: Start, endpoint: HeldEndpoint, number: int, tmp_path: Path) -> None:
    endpoint.holds = after(ANSWERED)
    process = start(*OPTIMIZE)
    endpoint.wait_for(held=PLACES)
    # A place is free as soon as a reply is there: the last replies may still wait for their commit.
    wait_for_stored(tmp_path / "cache" / "store.sqlite", ANSWERED)
    process.send_signal(number)
    until(process, "Pausing")
    process.send_signal(number)
    status, _, err = ended(process)
    assert status == 3
    assert "the same command goes on" in err
    answered = endpoint.seen()[:ANSWERED]
    endpoint.let_go()
    goes_on(start, endpoint, OPTIMIZE, answered)


PRESSING = """import os
from pathlib import Path

MARK = Path(__file__).with_name("pressed")


def press():
    if not MARK.exists():
        MARK.touch()
        os.kill(os.getpid(), NUMBER)


def score(example, outputs):
    press()
    return float(bool(outputs) and outputs["total"] == example.expected["total"])


"""


@pytest.mark.parametrize(("moment", "number"), [*(("import", each) for each in ENDING), ("first use", signal.SIGTERM)])
def test_a_signal_before_the_first_call_asks_nothing(
    start: Start, endpoint: HeldEndpoint, tmp_path: Path, moment: str, number: int
) -> None:
    write_task(tmp_path, metric="metrics.py:score")
    metrics = PRESSING.replace("NUMBER", str(int(number)))
    (tmp_path / "metrics.py").write_text(metrics + ("press()\n" if moment == "import" else ""), encoding="utf-8")
    status, _, err = ended(start(*OPTIMIZE))
    assert status == 3
    assert REASONS[number] in err.splitlines()[-1]
    assert endpoint.seen() == []
    goes_on(start, endpoint, OPTIMIZE, [])


def test_a_signal_during_the_closing_test_loses_nothing(start: Start, endpoint: HeldEndpoint, tmp_path: Path) -> None:
    notes = [json.loads(line)["note"] for line in (tmp_path / "test.jsonl").read_text().splitlines()]
    endpoint.holds = lambda body: any(note in json.dumps(body) for note in notes)
    process = start(*OPTIMIZE)
    endpoint.wait_for(held=PLACES)
    process.send_signal(signal.SIGINT)
    until(process, "Pausing")
    endpoint.let_go()
    assert ended(process)[0] == 3
    answered = endpoint.seen()
    result = goes_on(start, endpoint, OPTIMIZE, answered)
    assert result["now"]["calls"] == sum(result["calls"].values()) - len(answered) > 0


@pytest.mark.parametrize("command", [OPTIMIZE, EVAL], ids=["optimize", "eval"])
def test_a_signal_ends_the_wait_that_the_endpoint_asked_for(
    start: Start, endpoint: HeldEndpoint, command: list[str]
) -> None:
    endpoint.limited = True
    process = start(*command)
    endpoint.wait_for(asked=1)
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == 3  # in less time than the endpoint asked for
    endpoint.limited = False
    goes_on(start, endpoint, command, [])


ON_A_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "flowbot", *sys.argv[1:]])
"""


def test_a_closed_terminal_pauses_and_loses_nothing(start: Start, endpoint: HeldEndpoint) -> None:
    master, terminal = os.openpty()
    streams = {"stdin": terminal, "stdout": terminal, "stderr": terminal, "start_new_session": True}
    endpoint.holds = after(ANSWERED)
    process = start(*OPTIMIZE, program=["-c", ON_A_TERMINAL], **streams)
    os.close(terminal)
    os.set_blocking(master, False)
    while not endpoint.is_holding(PLACES):
        try:
            os.read(master, 10_000)
        except BlockingIOError:
            continue
    os.close(master)
    endpoint.let_go()
    assert ended(process)[0] == 3
    answered = endpoint.seen()
    assert len(answered) >= ANSWERED + PLACES
    goes_on(start, endpoint, OPTIMIZE, answered)


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        stop = StopSignal()
        with pausing(stop, say=lambda line: None):
            signal.raise_signal(signal.SIGHUP)
        assert not stop.is_set()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_terminal_that_is_closed_is_told_of_twice_and_still_only_pauses() -> None:
    stop, left = StopSignal(), list[bool]()
    with pausing(stop, say=lambda line: None, leave=lambda: left.append(True)):
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        assert stop.is_set()
        assert left == []


def test_what_cannot_be_said_does_not_keep_from_pausing() -> None:
    def fail(line: str) -> None:
        raise OSError(5, "Input/output error")

    stop = StopSignal()
    with pausing(stop, say=fail):
        signal.raise_signal(signal.SIGTERM)
    assert stop.is_set()
