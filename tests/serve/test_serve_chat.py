"""The openai package talks to a workflow as to a model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from lm_helpers import until
from serve_help import ONE, TEXT, TYPED, Bench, served

from flowbot.fields import InfrastructureError
from flowbot.serve import chat


@asynccontextmanager
async def talking(bench: Bench, **more: Any) -> AsyncGenerator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{bench.url}/v1", api_key="none", max_retries=0, **more) as client:
        yield client


def says(text: str) -> Any:
    return [
        {"role": "system", "content": "x"},
        {"role": "user", "content": "before"},
        {"role": "user", "content": text},
    ]


async def test_a_text_in_and_a_text_out_is_a_chat() -> None:
    async with (
        served(TEXT, lambda request, _: f"<{request.messages[-1].content}>") as bench,
        talking(bench) as client,
    ):
        assert [each.id async for each in client.models.list()] == ["shop"]
        found = await client.chat.completions.create(model="shop", messages=says("pears"))
        assert found.choices[0].message.content == "<<pears>>"
        assert found.choices[0].finish_reason == "stop"
        assert found.usage is not None
        assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (20, 10)  # of both steps


async def test_other_inputs_and_outputs_are_json() -> None:
    given = {"note": "two pens", "most": 9}
    async with (
        served(TYPED, lambda request, _: json.dumps({"total": 2, "sure": True})) as bench,
        talking(bench) as client,
    ):
        for messages, extra in ((says(json.dumps(given)), None), (says("ignored"), {"inputs": given})):
            found = await client.chat.completions.create(model="shop", messages=messages, extra_body=extra)
            assert json.loads(found.choices[0].message.content or "") == {"total": 2, "sure": True}
        with pytest.raises(openai.BadRequestError, match=r"inputs note, most as a JSON object.*broken JSON"):
            await client.chat.completions.create(model="shop", messages=says("two pens"))


async def test_a_stream_is_kept_alive_until_the_reply_comes_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "ALIVE_SECONDS", 0.01)
    async with served(ONE, lambda request, _: "pears") as bench, talking(bench) as client:
        bench.client.gate.clear()
        body = {"model": "shop", "messages": says("x"), "stream": True}
        async with bench.http.post(f"{bench.url}/v1/chat/completions", json=body) as raw:
            assert await raw.content.readline() == b": the workflow is at work\n"
        await until(lambda: not bench.service.under_way)  # that client has gone
        asking = asyncio.create_task(
            client.chat.completions.create(
                model="shop", messages=says("y"), stream=True, stream_options={"include_usage": True}
            )
        )
        await until(lambda: bench.service.under_way == 1)
        bench.client.gate.set()
        chunks = [each async for each in await asking]
        assert "".join(each.choices[0].delta.content or "" for each in chunks if each.choices) == "pears"
        assert [each.choices[0].finish_reason for each in chunks if each.choices][-1] == "stop"
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.total_tokens == 15


async def test_a_fault_has_its_status_also_in_a_stream_and_its_words_once_that_has_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dead = InfrastructureError("no answer", kind="connection", fatal=True)
    async with served(ONE, lambda request, _: dead) as bench, talking(bench) as client:
        with pytest.raises(openai.InternalServerError, match="no answer") as caught:
            await client.chat.completions.create(model="shop", messages=says("x"), stream=True)
        assert (caught.value.status_code, caught.value.response.headers["retry-after"]) == (503, "5")
        monkeypatch.setattr(chat, "ALIVE_SECONDS", 0.01)
        bench.client.gate.clear()
        stream = await client.chat.completions.create(model="shop", messages=says("x"), stream=True)
        bench.client.gate.set()
        with pytest.raises(openai.APIError, match="no answer"):
            _ = [each async for each in stream]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"model": "other"}, 404, "model: found 'other'; expected 'shop'"),
        ({"n": 2}, 400, "n: found 2"),
        ({"messages": []}, 400, "messages: found none"),
        ({"messages": [{"role": "system", "content": "x"}, 3]}, 400, "no message of the user"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "a part that is no text"),
        ({"messages": [{"role": "user", "content": None}]}, 400, "messages: content: found"),
    ],
)
async def test_what_a_workflow_cannot_do_is_said(body: Any, status: int, said: str) -> None:
    async with served(ONE, lambda request, _: "yes") as bench:
        found, answer, _ = await bench.post("/v1/chat/completions", {"messages": says("x"), **body})
        assert found == status
        assert said in answer["error"]["message"]
