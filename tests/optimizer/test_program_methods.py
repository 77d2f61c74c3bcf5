"""Every inner optimiser tunes the texts of a program, run for real on a pretend endpoint, and a replay of it pays for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pytest

import flowbot as fb
from flowbot.lm.client import Request
from flowbot.run.result import RunResult
from flowbot.runtime.program import WorkflowProgram
from flowbot.task import Task
from flowbot.testing.fake_behaviours import BEHAVIOURS
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.workflow import Workflow

PLAN = fb.Param("plan", "PLAN: name the thing that is asked about.")
ANSWER = fb.Param("answer", "ANSWER: say anything of {thing}.")
BETTER = {"app:plan": "PLAN: name the thing alone.", "app:answer": "ANSWER: say exactly what {thing} is."}
SENT: list[str] = []
NEEDS = {"gepa": "gepa", "mipro": "dspy"}


def model(request: Request, key: str) -> str:
    """Stands in for the program's own. It names the thing of a question, and knows it where the text says `exactly`."""
    told = request.messages[-1].content
    SENT.append(told)
    number = int("".join(each for each in told.partition("thing ")[2] if each.isdigit())[:1] or 0)
    return f"thing {number}" if told.startswith("PLAN") else f"gold {number}" if "exactly" in told else "it depends"


CLIENT = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(500)))


async def ask(text: str) -> str:
    body = {
        "model": "gpt-4.1-mini",
        "temperature": 0,
        "max_tokens": 20,
        "messages": [{"role": "user", "content": text}],
    }
    sent = await CLIENT.post("https://api.openai.com/v1/chat/completions", json=body)
    return str(sent.json()["choices"][0]["message"]["content"])


@fb.step
async def plan(q: str) -> str:
    return await ask(f"{PLAN}\nQuestion: {q}")


async def app(q: str) -> str:
    return await ask(ANSWER.format(thing=await plan(q)))


def meta(request: Request, key: str) -> str | Mapping[str, Any]:
    """Blames the answer, and writes the text that it is asked for better."""
    asked = "\n".join(message.content for message in request.messages)
    of_plan = "tep `app:plan`" in asked or "ANSWER:" not in asked
    text = BETTER["app:plan" if of_plan else "app:answer"]
    if request.schema is None:
        return f"```\n{text}\n```" if "```" in asked else text
    return {name: _filled(name, kind, text) for name, kind in request.schema["properties"].items()}


def _filled(name: str, kind: Any, text: str) -> Any:
    if options := kind.get("enum"):
        return next((each for each in options if "answer" in str(each)), options[0])
    if kind.get("type") == "array":
        members = kind["items"].get("properties", {})
        return [{each: _filled(each, what, text) for each, what in members.items()}]
    return text if name in ("text", "reply", "proposed_instruction") else "it is not exact"


def tuned(method: str, folder: Path) -> RunResult:
    rows = {
        split: [{"q": f"What is thing {n} of {split}?", "a": f"gold {n}"} for n in range(10)]
        for split in ("train", "val", "test")
    }
    task = Task(
        goal="Name it.", inputs={"q": "str"}, outputs={"a": "str"}, metric="exact",
        train=rows["train"], val=rows["val"], test=rows["test"],
    )  # fmt: skip
    with patch.dict(BEHAVIOURS, {"meta": meta, "task": model}):  # pyright: ignore[reportArgumentType]
        return fb.optimize(
            task, start=app, lm="fake/task", meta_lm="fake/meta", method=method, effort=150, meta_mode="large",
            cache_dir=folder / "cache", run_dir=folder / "run",
        )  # fmt: skip


@pytest.mark.parametrize("inner", ["blame", "layerwise", "autodiff", "textgrad", "gepa", "mipro"])
def test_a_spoiled_text_is_mended_by_every_inner_optimiser_and_a_replay_pays_for_nothing(
    inner: str, tmp_path: Path
) -> None:
    if inner in NEEDS and find_spec(NEEDS[inner]) is None:
        pytest.skip("not installed")
    found = tuned(f"none+{inner}", tmp_path)
    told = found.workflow.parameter("app:answer")
    assert isinstance(told, LLMParameters)
    assert BETTER["app:answer"].endswith(told.instruction.removeprefix("ANSWER: "))
    assert [each.test and each.test.mean for each in (found.start_scores, found.final_scores)] == [0, 1]
    (tmp_path / "run").rename(tmp_path / "first")
    SENT.clear()
    again = tuned(f"none+{inner}", tmp_path)
    assert (again.workflow.hash, SENT) == (found.workflow.hash, [])


async def handed(q: str) -> str:
    return await fb.slot("after", said=q)


FILLING = {
    "inputs": {"said": "str"},
    "outputs": {"said": "say.said"},
    "nodes": {"say": {"kind": "llm", "in": {"thing": "said"}, "out": {"said": "str"}}},
    "parameters": {"say": {"instruction": "Say what it may be."}},
}


def says(request: Request, key: str) -> str:
    told = "\n".join(message.content for message in request.messages)
    SENT.append(told)
    number = "".join(each for each in told.partition("thing ")[2] if each.isdigit())[:1]
    return f"gold {number}" if "exactly" in told else "it depends"


def meta_of_place(request: Request, key: str) -> str | Mapping[str, Any]:
    if request.schema is None:
        return "```\nName the thing exactly.\n```"
    return {name: _filled(name, kind, "Name the thing exactly.") for name, kind in request.schema["properties"].items()}


@pytest.mark.parametrize("inner", ["blame", "layerwise", "autodiff"])
def test_a_step_of_what_fills_a_place_is_tuned_like_any_other(inner: str, tmp_path: Path) -> None:
    start = Workflow.from_data(
        {
            "flowbot": 1,
            "inputs": {"q": "str"},
            "outputs": {"a": "app.a"},
            "nodes": {"app": {"kind": "program", "call": "handed", "in": {"q": "q"}, "out": {"a": "str"}}},
            "parameters": {"app": {"slots": {"after": FILLING}}},
        }
    )
    rows = [{"q": f"What is thing {n % 10} of {n}?", "a": f"gold {n % 10}"} for n in range(30)]
    task = Task(
        goal="Name it.", inputs={"q": "str"}, outputs={"a": "str"}, metric="exact", programs=[handed],
        train=rows[:10], val=rows[10:20], test=rows[20:],
    )  # fmt: skip
    with patch.dict(BEHAVIOURS, {"meta": meta_of_place, "task": says}):  # pyright: ignore[reportArgumentType]
        found = fb.optimize(
            task, start=start, lm="fake/task", meta_lm="fake/meta", method=f"none+{inner}", effort=100,
            meta_mode="large", cache_dir=tmp_path / "cache", run_dir=tmp_path / "run",
        )  # fmt: skip
    told = found.workflow.parameter("app:after/say")
    assert isinstance(told, LLMParameters)
    assert "exactly" in told.instruction
    assert [each.test and each.test.mean for each in (found.start_scores, found.final_scores)] == [0, 1]
    assert WorkflowProgram(found.workflow).slots()[0].path == "app:after/say"
