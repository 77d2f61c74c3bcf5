"""A key or a name that is refused before anything was answered is an error, and no pause that holds the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from endpoint_help import KEY, chat, error, serving

import flowbot as fb
from flowbot.fields import canonical_json, stable_hash
from flowbot.lm.client import Message, Request
from flowbot.notebook.html import html
from flowbot.run.sessions import read_sessions
from flowbot.task import Task
from flowbot.testing.fake_behaviours import counter

REFUSED = "fake/counter?expires=1"


async def _found(task: Task, folder: Path, **given: Any) -> fb.RunResult:
    options = {"lm": "fake/counter", "effort": "low", "run_dir": folder / "run", "cache_dir": folder / "cache"}
    return await fb.optimize_async(task, **{**options, **given})


@pytest.mark.parametrize("who", [{"lm": REFUSED}, {"meta_lm": f"{REFUSED}&seed=7"}])
async def test_a_search_raises_it_whoever_is_refused(orders: Task, tmp_path: Path, who: Any) -> None:
    with pytest.raises(fb.DeniedError, match="the key has expired") as caught:
        await _found(orders, tmp_path, **who)
    assert caught.value.fatal
    assert not (tmp_path / "run" / "result.json").exists()
    assert not (tmp_path / "run" / "found.flow.yaml").exists()
    assert {each.status for each in read_sessions(tmp_path / "run")} == {"failed"}


async def test_an_evaluation_and_a_flow_raise_it(orders: Task, tmp_path: Path) -> None:
    with pytest.raises(fb.DeniedError):
        await fb.evaluate_async("single-call", orders, lm=REFUSED, cache_dir=tmp_path)
    start = (await _found(orders, tmp_path)).start
    with fb.Flow(start, lm=REFUSED) as flow, pytest.raises(fb.DeniedError):
        await flow.acall(note="2 pens")


async def test_a_key_that_expires_in_mid_run_pauses_and_holds_nothing_as_found(orders: Task, tmp_path: Path) -> None:
    paused = await _found(orders, tmp_path, lm="fake/counter?expires=30")
    assert (paused.status, paused.stopped_by, paused.found) == ("paused", "infrastructure", None)
    with pytest.raises(fb.UserError, match="the key has expired"):
        paused.workflow.save(tmp_path / "found.flow.yaml")
    assert "paused" in f"{paused!r} {html(paused)}"
    assert paused.to_json()["nodes"] == len(paused.start.sketch.nodes)
    done = await _found(orders, tmp_path)
    assert done.status == "done"
    assert done.workflow is done.found


@pytest.mark.parametrize(
    ("status", "mend"),
    [
        (401, "check the key in OPENAI_API_KEY"),
        (403, "check the key in OPENAI_API_KEY"),
        (404, "check the model's name as openai writes it"),
        (402, "check the account's credit"),
        (400, "see what the endpoint says"),
    ],
)
async def test_an_endpoint_that_refuses_at_first_is_told_with_what_to_do(
    orders: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, mend: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    async with serving() as endpoint:
        endpoint.answer = lambda body, number: error(status, "no such thing here")
        monkeypatch.setenv("OPENAI_BASE_URL", str(endpoint.server.make_url("/v1")))
        with pytest.raises(fb.DeniedError, match=mend) as caught:
            await _found(orders, tmp_path, lm="openai/gpt-4.1-mnii")
        assert "no such thing here" in caught.value.reason
        assert all("three spiders" in str(body["messages"]) for body in endpoint.bodies)  # the first question tells it


async def test_what_the_store_answers_counts_as_an_answer(
    orders: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    left = 40

    def answer(body: Any, number: int) -> Any:
        if number > left:
            return error(401, "this key has been withdrawn")
        schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
        messages = tuple(Message(each["role"], each["content"]) for each in body["messages"])
        said = counter(Request(messages, 400, schema=schema), stable_hash(body))
        return chat(said if isinstance(said, str) else canonical_json(said))

    async with serving() as endpoint:
        endpoint.answer = answer
        monkeypatch.setenv("OPENAI_BASE_URL", str(endpoint.server.make_url("/v1")))
        for _ in range(2):
            paused = await _found(orders, tmp_path, lm="openai/x")
            assert (paused.status, paused.found) == ("paused", None)
            assert "withdrawn" in paused.reason
