"""Log lines: what each holds, where it goes, and that no secret is in any."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cli_help import FAKE, flowbot, write_flow, write_task
from endpoint_help import KEY, Body, chat, error, serving

from flowbot.cli.logs import JsonLines, Lines, set_up
from flowbot.cli.options import Output
from flowbot.fields import stable_hash
from flowbot.lm.client import Message, Request
from flowbot.testing.fake_behaviours import counter

Capture = pytest.CaptureFixture[str]
Answer = Callable[[Body, int], web.Response]


@pytest.fixture(autouse=True)
def logger() -> Iterator[logging.Logger]:
    """FlowBot's logger, put back as it was."""
    found = logging.getLogger("flowbot")
    handlers, level = found.handlers[:], found.level
    yield found
    set_up(Output())  # closes a file of the test
    found.handlers[:] = handlers
    found.setLevel(level)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return tmp_path


def record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    return logging.getLogger("flowbot.test").makeRecord(
        "flowbot.test", logging.INFO, __file__, 1, message, args, None, extra=extra
    )


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_json_line_holds_the_message_and_the_records_own_fields() -> None:
    made = record("%s: try %d\nsaid \x1b[31m", "fake/x", 2, event="call.retry", model="fake/x", wait=0.5)
    made.created = 1_800_000_000.25
    text = JsonLines().format(made)
    assert "\n" not in text
    assert json.loads(text) == {
        "time": "2027-01-15T08:00:00.250Z",
        "level": "info",
        "logger": "flowbot.test",
        "message": "fake/x: try 2\nsaid \x1b[31m",
        "event": "call.retry",
        "model": "fake/x",
        "wait": 0.5,
    }


def test_a_json_line_is_valid_whatever_the_fields_are() -> None:
    made = record("m", wait=float("nan"), path=Path("a/b"), level="own", half="\ud800")
    found = json.loads(JsonLines().format(made), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert (found["wait"], found["path"], found["level"], found["half"]) == ("nan", "a/b", "info", "\ud800")


def test_a_traceback_is_a_field_of_its_line() -> None:
    made = record("where it happened")
    try:
        raise ZeroDivisionError("division by zero")
    except ZeroDivisionError:
        made.exc_info = sys.exc_info()
    text = JsonLines().format(made)
    assert "\n" not in text
    assert json.loads(text)["traceback"].endswith("ZeroDivisionError: division by zero")


def test_a_text_line_holds_nothing_a_terminal_could_take_for_a_command() -> None:
    made = record("said %s", "\x1b[31mred\x07")
    assert Lines(timed=False).format(made) == "INFO flowbot.test: said \\x1b[31mred\\x07"
    made.created = 1_800_000_000.25
    assert Lines(timed=True).format(made).startswith("2027-01-15T08:00:00.250Z INFO flowbot.test: said")


@pytest.mark.parametrize(
    "verb",
    [
        ["check", "task.yaml"],
        ["starts"],
        ["models"],
        ["run", "count.flow.yaml", "note=2 pens", *FAKE],
        ["eval", "count.flow.yaml", "task.yaml", *FAKE],
        ["optimize", "task.yaml", *FAKE, "--dry-run"],
        ["demo", *FAKE, "--meta-model", "fake/counter", "--dry-run"],
        ["report", "run"],
    ],
    ids=lambda verb: verb[0],
)
def test_every_verb_logs_where_and_as_it_is_told(capsys: Capture, here: Path, verb: list[str]) -> None:
    write_task(here)
    write_flow(here)
    cache = ["--cache-dir", "cache"] if verb[0] in ("run", "eval", "optimize", "demo") else []
    quiet = flowbot(capsys, *verb, *cache)
    assert quiet.err == "" or verb[0] == "report"
    said = flowbot(capsys, *verb, *cache, "--log-level", "debug", "--log-format", "json", "--log-file", "log.jsonl")
    logging.getLogger("flowbot.test").debug("more", extra={"event": "more"})
    assert (said.status, said.err) == (quiet.status, quiet.err)
    assert lines(here / "log.jsonl")[-1]["event"] == "more"


def test_calls_and_the_store_are_logged_at_debug_and_on_standard_error(capsys: Capture, here: Path) -> None:
    write_flow(here)
    command = ["run", "count.flow.yaml", "note=2 pens and 3 cups", *FAKE, "--cache-dir", "cache", "--json"]
    said = flowbot(capsys, *command, "--log-level", "debug", "--log-format", "json")
    found = [json.loads(line) for line in said.err.splitlines()]
    assert [each["event"] for each in found] == ["store.opened", "call.sent", "call.answered"]
    sent, answered = found[1:]
    assert (sent["model"], sent["purpose"], sent["try"]) == ("fake/counter", "run", 1)
    assert answered["key"] == sent["key"]
    assert answered["input_tokens"] > 0
    assert "pens" not in said.err
    assert "total" in said.json
    again = flowbot(capsys, *command, "--log-level", "info")
    assert again.err == ""


def test_lines_are_added_to_the_log_file(capsys: Capture, here: Path) -> None:
    write_flow(here)
    log = here / "flowbot.log"
    log.write_text("before\n", encoding="utf-8")
    command = ["run", "count.flow.yaml", "note=2 pens", *FAKE, "--cache-dir", "cache", "--log-level", "debug"]
    for _ in range(2):
        assert flowbot(capsys, *command, "--log-file", str(log)).err == ""
    found = log.read_text(encoding="utf-8").splitlines()
    assert found[0] == "before"
    assert sum("store cache" in line for line in found) == 2


@pytest.mark.parametrize("path", ["no-such-folder/log", "."])
def test_a_log_file_that_cannot_be_written_is_said_before_anything_else(capsys: Capture, here: Path, path: str) -> None:
    write_flow(here)
    said = flowbot(capsys, "run", "count.flow.yaml", *FAKE, "--cache-dir", "cache", "--log-file", path)
    assert said.status == 2
    assert said.error.startswith(f"flowbot: --log-file: found {path} (")
    assert not (here / "cache").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_ends_the_log_and_not_the_run(capsys: Capture, here: Path) -> None:
    write_flow(here)
    command = ["run", "count.flow.yaml", "note=2 pens", *FAKE, "--cache-dir", "cache", "--log-level", "debug"]
    said = flowbot(capsys, *command, "--log-file", "/dev/full")
    assert said.status == 0
    assert "no more is logged" in said.error


def test_no_log_line_of_a_run_holds_the_key(capsys: Capture, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = write_task(here)
    with endpoint(_quoting_the_key) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        command = [
            "optimize",
            str(task),
            "--model",
            "openai/pretend",
            "--effort",
            "low",
            "--cache-dir",
            "cache",
            "--json",
        ]
        said = flowbot(capsys, *command, "--log-level", "debug", "--log-format", "json", "--log-file", "log.jsonl")
    found = lines(here / "log.jsonl")
    happened = [each.get("event") for each in found]
    assert {"store.opened", "parameter.dropped", "call.sent", "call.retry", "call.answered"} <= set(happened)
    assert happened.count("call.answered") == said.json["spent"]["calls"]
    assert [each["kind"] for each in found if each.get("event") == "call.retry"] == ["server"]
    assert KEY not in (here / "log.jsonl").read_text(encoding="utf-8") + said.out + said.err


def test_a_pause_is_logged_with_its_cause(capsys: Capture, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, flow = write_task(here), write_flow(here)
    with endpoint(lambda body, number: chat("{}") if number == 1 else error(401, f"Incorrect key: {KEY}")) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        command = ["eval", str(flow), str(task), "--model", "openai/pretend", "--cache-dir", "cache"]
        said = flowbot(capsys, *command, "--log-level", "info", "--log-format", "json", "--log-file", "log.jsonl")
    assert said.status == 3
    (pause,) = [each for each in lines(here / "log.jsonl") if each.get("event") == "run.paused"]
    assert pause["stopped_by"] == "infrastructure"
    assert KEY not in json.dumps(pause) + said.err


def _quoting_the_key(body: Body, number: int) -> web.Response:
    """As `fake/counter` answers, after two faults that say more than they should."""
    if number == 1:
        return error(400, f"Unsupported parameter: 'seed' or 'temperature' (key {KEY})", param="temperature")
    if number == 3:
        return error(500, f"no upstream for {KEY}", headers={"Retry-After": "0"})
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
    messages = tuple(Message(each["role"], each["content"]) for each in body["messages"])
    said = counter(Request(messages, 400, schema=schema), stable_hash(body))
    return chat(said if isinstance(said, str) else json.dumps(said))


@contextmanager
def endpoint(answer: Answer) -> Generator[str]:
    """The base URL of an endpoint that answers from a thread, since a command has a loop of its own."""
    url = ""
    ready, done = threading.Event(), threading.Event()

    async def serve() -> None:
        nonlocal url
        async with serving() as found:
            found.answer = answer
            url = str(found.server.make_url("/v1"))
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(60)
        yield url
    finally:
        done.set()
        thread.join()
