"""A user's program is scored and tuned by one call, and what was found holds in production by one line."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tap_help
from aiohttp import web

import flowbot as fb
from flowbot.cli.app import run as main
from flowbot.program.applied import apply

APP = """
import httpx, flowbot as fb
SAY = fb.Param("say", "Say it.")
TIMES = fb.Value("times", 1, choices=[1, 2])

@fb.step
def shout(text: str) -> str:
    return text.upper() * TIMES()

def answer(question: str) -> str:
    said = {"model": "gpt-x", "temperature": 0, "max_tokens": 9, "messages": [
        {"role": "system", "content": f"{SAY}"}, {"role": "user", "content": question}]}
    with httpx.Client() as client:
        reply = client.post("URL/chat/completions", json=said).json()
    return shout(reply["choices"][0]["message"]["content"])
"""
TASK = """
flowbot: 1
goal: Shout it.
inputs: {question: str}
outputs: {answer: str}
metric: exact
data: {train: train.jsonl, val: val.jsonl, test: test.jsonl}
"""


def reply(asked: dict[str, Any], number: int) -> web.Response:
    return web.json_response(tap_help.chat(asked["messages"][-1]["content"]))


@pytest.fixture
def endpoint() -> Iterator[tap_help.Endpoint]:
    """An endpoint that says what it is told, on a loop in a thread of its own: what is called here blocks."""
    loop, ready, done = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    found: list[tap_help.Endpoint] = []

    async def serve() -> None:
        async with tap_help.serving() as made:
            made.answer = reply
            found.append(made)
            ready.set()
            await done.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait()
    yield found[0]
    loop.call_soon_threadsafe(done.set)
    thread.join()
    loop.close()


@pytest.fixture
def folder(tmp_path: Path, endpoint: tap_help.Endpoint, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "app.py").write_text(APP.replace("URL", endpoint.url))
    (tmp_path / "task.yaml").write_text(TASK)
    for number, split in enumerate(("train", "val", "test")):
        rows = [{"question": f"w{number}{each}", "answer": f"W{number}{each}"} for each in range(6)]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWBOT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def test_a_program_is_scored_from_the_command_line_and_again_for_nothing(
    folder: Path, endpoint: tap_help.Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", "app.py:answer", "task.yaml", "--json", "--price", "1,2"]) == 0
    first = json.loads(capsys.readouterr().out)
    paid = len(endpoint.bodies)
    assert (first["mean"], first["n"], first["calls"], paid) == (1.0, 6, 6, 6)
    assert main(["eval", "app.py:answer", "task.yaml", "--json", "--price", "1,2"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["mean"], again["calls"], len(endpoint.bodies)) == (1.0, 6, paid)


@pytest.mark.parametrize("file", ["my-app.py", "2nd.py", "class.py"])
def test_a_file_may_be_called_what_no_step_can(folder: Path, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "app.py").rename(folder / file)
    assert main(["eval", f"{file}:answer", "task.yaml", "--limit", "1", "--json", "--price", "1,2"]) == 0
    assert json.loads(capsys.readouterr().out)["mean"] == 1.0


def test_parameters_that_no_name_reaches_are_refused_before_anything_runs(
    folder: Path, endpoint: tap_help.Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    source = (folder / "app.py").read_text()
    (folder / "app.py").write_text(source.replace("answer(question: str)", "answer(question: str, /)"))
    assert main(["eval", "app.py:answer", "task.yaml"]) == 2
    assert "question, which can only be handed over by its place" in capsys.readouterr().err
    assert not endpoint.bodies


def test_a_callable_is_scored_and_tuned_and_what_was_found_is_a_file(folder: Path, endpoint: tap_help.Endpoint) -> None:
    task = fb.Task.load(folder)
    (folder / "mine.py").write_text(APP.replace("URL", endpoint.url))
    sys.path.insert(0, str(folder))
    try:
        from mine import answer  # pyright: ignore[reportMissingImports]
    finally:
        sys.path.remove(str(folder))
    price = fb.evaluate(answer, task, price=(1.0, 2.0))
    assert price.mean == 1.0
    found = fb.optimize(
        task,
        start=answer,
        meta_lm="fake/echo",
        method="none+blame",
        effort=20,
        price=(1.0, 2.0),
        run_dir=folder / "run",
    )
    assert found.status == "done"
    saved = fb.Workflow.load(found.workflow_path)
    assert saved.dump()["parameters"] == {"answer": {"texts": {"say": "Say it."}, "values": {"times": 1}}}
    assert saved.dump()["nodes"]["answer"]["call"] == "answer"
    with fb.load(found, programs=[answer]) as flow:
        assert flow(question="ink") == {"answer": "INK"}


def test_the_task_model_answers_in_place_of_what_the_program_names(folder: Path, endpoint: tap_help.Endpoint) -> None:
    scored = fb.evaluate("app.py:answer", "task.yaml", lm="fake/echo")
    assert scored.estimate.n == 6
    assert endpoint.bodies == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["optimize", "task.yaml"], "--model"),
        (["optimize", "task.yaml", "--start", "app.py:answer"], "--meta-model"),
        (["eval", "app.py:nothing", "task.yaml"], "nothing"),
        (["eval", "none.py:answer", "task.yaml"], "none.py"),
    ],
)
def test_what_is_missing_is_one_line(
    folder: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    said = capsys.readouterr().err
    assert told in said
    assert "Traceback" not in said


def test_a_program_that_wants_more_than_the_task_gives_is_refused(folder: Path) -> None:
    def other(question: str, k: int) -> str:
        return question * k

    with pytest.raises(fb.UserError, match="program other: found the parameter k, which the task has no input for"):
        fb.evaluate(other, "task.yaml")


FLOW: dict[str, Any] = {
    "flowbot": 1,
    "inputs": {"question": "str"},
    "outputs": {"answer": "app.answer"},
    "nodes": {
        "app": {"kind": "program", "call": "app.py:answer", "in": {"question": "question"}, "out": {"answer": "str"}}
    },
    "parameters": {"app": {"texts": {"used_say": "Found."}, "values": {"used_times": 2}}},
}


def test_what_was_found_holds_in_production_by_one_line_or_by_the_environment(tmp_path: Path) -> None:
    fb.Workflow.from_data(FLOW).save(tmp_path / "app.flow.yaml")
    say, times = fb.Param("used_say", "Say."), fb.Value("used_times", 1, choices=[1, 2])
    try:
        fb.use(tmp_path / "app.flow.yaml")
        assert (str(say), times()) == ("Found.", 2)
        fb.use(None)
        assert (str(say), times()) == ("Say.", 1)
    finally:
        apply(None)
    code = "import flowbot as fb; print(fb.Param('used_say', 'Say.'), fb.Value('used_times', 1)())"
    for more, said in (({}, "Say. 1"), ({"FLOWBOT_PARAMS": str(tmp_path / "app.flow.yaml")}, "Found. 2")):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **more})
        assert done.stdout.strip() == said, done.stderr


async def test_a_place_that_was_filled_is_filled_in_production(tmp_path: Path) -> None:
    filling = {
        "inputs": {"docs": "list[str]"},
        "outputs": {"docs": "cut.docs"},
        "nodes": {"cut": {"kind": "code", "in": {"docs": "docs"}, "out": {"docs": "list[str]"}}},
        "parameters": {"cut": {"code": "def run(docs):\n    return {'docs': docs[:1]}"}},
    }
    parameters = {"app": {"slots": {"after": filling}}}
    fb.Workflow.from_data({**FLOW, "parameters": parameters}).save(tmp_path / "app.flow.yaml")
    try:
        fb.use(tmp_path / "app.flow.yaml")
        assert await fb.slot("after", docs=["a", "b"], other=1) == ["a"]
        assert await fb.slot("elsewhere", docs=["a", "b"]) == ["a", "b"]
    finally:
        apply(None)


def test_steps_around_a_program_are_not_left_out_silently(tmp_path: Path) -> None:
    more = {**FLOW["nodes"], "more": {"kind": "code", "in": {"a": "app.answer"}, "out": {"answer": "str"}}}
    code = {"more": {"code": "def run(a):\n    return {'answer': a}"}}
    data = {**FLOW, "nodes": more, "outputs": {"answer": "more.answer"}, "parameters": code}
    fb.Workflow.from_data(data).save(tmp_path / "more.flow.yaml")
    with pytest.raises(fb.UserError, match=r"the steps app, more; expected one program and no other step; fb\.load"):
        fb.use(tmp_path / "more.flow.yaml")
