"""A program whose model heeds worked examples only as turns is tuned by them, and in production makes the request that was found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import flowbot as fb
from flowbot.lm.client import Request
from flowbot.optimizer.program_start import program_workflow
from flowbot.program.applied import apply
from flowbot.report.prompts import step_prompts
from flowbot.task import Task
from flowbot.testing.fake_behaviours import BEHAVIOURS
from flowbot.workflow.parameters import Demonstration, LLMParameters

APP = """
import httpx, flowbot as fb

NOTE = fb.Param("note", "Note what is asked."TURNS)
SAY = fb.Param("say", "Say which it is."TURNS)
CLIENT = httpx.AsyncClient(transport=httpx.MockTransport(lambda asked: SENT(asked)))

def SENT(asked):
    print(asked.content.decode())
    return httpx.Response(200, json={"choices": [{"message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}]})

async def ask(told, user):
    messages = [{"role": "system", "content": str(told)}, SPLICED{"role": "user", "content": user}]
    body = {"model": "gpt-4.1-mini", "temperature": 0, "max_tokens": 20, "messages": messages}
    sent = await CLIENT.post("https://api.openai.com/v1/chat/completions", json=body)
    return sent.json()["choices"][0]["message"]["content"]

async def app(q: str) -> str:
    note = await ask(NOTE, q)
    return await ask(SAY, f"Note: {note}\\nQuestion: {q}")
"""


def model(request: Request, key: str) -> str:
    """Notes the question; says the plain answer where an earlier turn of its own was as plain."""
    asked = request.messages[-1].content
    number = "".join(each for each in asked if each.isdigit())[:1]
    if request.messages[0].content.startswith("Note"):
        return f"about {number}"
    shown = [each.content for each in request.messages if each.role == "assistant"]
    return f"gold {number}" if any(each.startswith("gold") for each in shown) else f"It may well be gold {number}."


def written(folder: Path, *, turns: bool) -> None:
    spliced, declared = ("*told.turns(), ", ", turns=[]") if turns else ("", "")
    (folder / "app.py").write_text(APP.replace("SPLICED", spliced).replace("TURNS", declared), encoding="utf-8")
    for split in ("train", "val", "test"):
        rows = [{"q": f"What is thing {n} of {split}?", "a": f"gold {n}"} for n in range(10)]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "task.yaml").write_text(
        "flowbot: 1\ngoal: Say it.\ninputs: {q: str}\noutputs: {a: str}\nmetric: exact\n"
        "data: {train: train.jsonl, val: val.jsonl, test: test.jsonl}\nprograms: [{call: app.py:app, max_calls: 2}]\n",
        encoding="utf-8",
    )


def tuned(folder: Path, **more: Any) -> Any:
    with patch.dict(BEHAVIOURS, {"task": model}):  # pyright: ignore[reportArgumentType]
        return fb.optimize(
            Task.load(folder), start="app.py:app", lm="fake/task", meta_lm="fake/echo", method="none+blame", effort=200,
            cache_dir=folder / "cache", run_dir=folder / "run", **more,
        )  # fmt: skip


def test_a_program_that_only_turns_help_is_tuned_by_them_and_makes_the_same_request_in_production(
    tmp_path: Path,
) -> None:
    written(tmp_path, turns=True)
    found = tuned(tmp_path)
    assert [each.test and each.test.mean for each in (found.start_scores, found.final_scores)] == [0, 1]
    tuned_text = found.workflow.dump()["parameters"]["app"]["texts"]["say"]
    assert (tuned_text["turns"], tuned_text["text"]) == (True, "Say which it is.")
    shown = tuned_text["demonstrations"][0]
    assert shown["inputs"]["user"].startswith("Note: about ")
    assert shown["outputs"]["reply"].startswith("gold ")
    (told,) = step_prompts(found.workflow, None)
    roles = [role for role, _ in told.messages]
    assert roles[roles.index("say") :][:3] == ["say", "user", "assistant"]

    code = f"import asyncio, flowbot as fb, app; fb.use({str(found.workflow_path)!r}); asyncio.run(app.app('What is thing 7?'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    sent = [json.loads(line)["messages"] for line in done.stdout.splitlines()]
    with patch.dict(BEHAVIOURS, {"task": model}):  # pyright: ignore[reportArgumentType]
        flow = fb.load(found, programs=Task.load(tmp_path).programs, lm="fake/task", cache_dir=tmp_path / "cache")
        with flow:
            trace = flow.trace(q="What is thing 7?")
    calls = [step for step in trace.steps if step.kind == "model"]
    assert [[each["role"] for each in messages] for messages in sent] == [
        [m.role for m in call.messages] for call in calls
    ]
    assert [[each["content"] for each in messages[:-1]] for messages in sent] == [
        [m.content for m in call.messages[:-1]] for call in calls
    ]


def test_the_same_examples_inside_the_text_do_not_help_it(tmp_path: Path) -> None:
    written(tmp_path, turns=False)
    found = tuned(tmp_path)
    assert found.final_scores.test is not None
    assert found.final_scores.test.mean == 0


class Said:
    """Keeps what it is asked."""

    name = "scripted/said"

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def __call__(self, messages: list[dict[str, Any]]) -> str:
        self.asked.append(messages)
        return "phone"


def test_the_same_examples_are_the_same_requests_in_a_program_and_in_the_workflow_that_says_the_same(
    tmp_path: Path,
) -> None:
    pytest.importorskip("openai")
    shop = Path(__file__).parents[2] / "benchmarks" / "shop"
    task = Task.load(shop / "plain.task.yaml")
    page, message, reply = "Contact: The phone is silent on Friday.", "On which day does nobody answer?", "Friday"
    typed = fb.Workflow.load(shop / "plain.flow.yaml")
    program = program_workflow(task.programs[0], task)
    shown = {
        "ask_2": Demonstration(inputs={"join": page, "message": message}, outputs={"text": reply}),
        "plain:reply": Demonstration(
            inputs={"user": f"Help pages:\n{page}\n\nMessage: {message}"}, outputs={"reply": reply}
        ),
    }
    asked: list[Any] = []
    for workflow, step in ((typed, "ask_2"), (program, "plain:reply")):
        told = workflow.parameter(step)
        assert isinstance(told, LLMParameters)
        made = workflow.with_parameter(step, told.model_copy(update={"demonstrations": (shown[step],)}))
        said = Said()
        with fb.Flow(made, lm=said, tools=task.tools, programs=task.programs, cache_dir=tmp_path / step[:3]) as flow:
            assert flow(message="When can I call you?") == {"answer": "phone"}
        asked.append(said.asked)
    assert asked[0] == asked[1]
    assert [each["role"] for each in asked[0][1]] == ["system", "user", "assistant", "user"]


@pytest.fixture(autouse=True)
def nothing_in_use() -> Any:
    yield
    apply(None)
