"""What a program's call reserves for its reply under a ceiling, where the request names no limit."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import tap_help

import flowbot as fb
from flowbot.fields import BudgetExceeded, UserError
from flowbot.task.programs import program_of
from flowbot.workflow.workflow import Workflow

URL: list[str] = [""]
FLOW = {
    "flowbot": 1,
    "inputs": {"question": "str"},
    "outputs": {"answer": "app.answer"},
    "nodes": {"app": {"kind": "program", "call": "answer", "in": {"question": "question"}, "out": {"answer": "str"}}},
}


async def answer(question: str) -> str:
    body = {"model": "gpt-x", "messages": [{"role": "user", "content": question}]}
    async with httpx.AsyncClient() as client:
        return str(
            (await client.post(f"{URL[0]}/chat/completions", json=body)).json()["choices"][0]["message"]["content"]
        )


@pytest.mark.parametrize(("reserved", "fits"), [(100, True), (None, False)])
async def test_the_workbench_says_it(reserved: int | None, fits: bool, tmp_path: Path) -> None:
    workflow, programs = Workflow.from_data(FLOW), [program_of(answer)]
    async with tap_help.serving() as there, fb.Workbench(max_reply_tokens=reserved, cache_dir=tmp_path) as bench:
        URL[0] = there.url
        session = bench.session(fb.Budget(tokens=2000))
        async with bench.engine(None, session, tools={}, programs=programs) as engine:
            engine.open_models(workflow)
            if fits:
                assert (await engine.run(workflow, {"question": "Who?"}, purpose="train")).outputs == {
                    "answer": "words 1"
                }
            else:
                with pytest.raises(BudgetExceeded):
                    await engine.run(workflow, {"question": "Who?"}, purpose="train")


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match="a whole number above 0"):
        fb.Workbench(max_reply_tokens=0)
