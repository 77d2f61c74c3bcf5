"""The clients that programs use, through the tap: what they get is stored, counted, and comes back byte for byte without a request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from tap_help import KEY, running, serving

from flowbot.store import Store

QUESTION: list[Any] = [{"role": "system", "content": "Answer."}, {"role": "user", "content": "Who?"}]
Ask = Callable[[str], Awaitable[str]]


def in_thread(ask: Callable[[str], str]) -> Ask:
    return lambda url: asyncio.to_thread(ask, url)


def openai_sync(url: str) -> str:
    with openai.OpenAI(base_url=url, api_key=KEY) as client:
        done = client.chat.completions.create(model="gpt-x", messages=QUESTION)
    return done.to_json()


def openai_sync_stream(url: str) -> str:
    with openai.OpenAI(base_url=url, api_key=KEY) as client:
        chunks = list(client.chat.completions.create(model="gpt-x", messages=QUESTION, stream=True))
    return "".join(each.choices[0].delta.content or "" for each in chunks)


async def openai_async(url: str) -> str:
    async with openai.AsyncOpenAI(base_url=url, api_key=KEY) as client:
        done = await client.chat.completions.create(model="gpt-x", messages=QUESTION)
    return done.to_json()


async def openai_async_stream(url: str) -> str:
    async with openai.AsyncOpenAI(base_url=url, api_key=KEY) as client:
        stream = await client.chat.completions.create(model="gpt-x", messages=QUESTION, stream=True)
        return "".join([each.choices[0].delta.content or "" async for each in stream])


async def openai_responses(url: str) -> str:
    async with openai.AsyncOpenAI(base_url=url, api_key=KEY) as client:
        return (await client.responses.create(model="gpt-x", instructions="Answer.", input="Who?")).to_json()


async def openai_embeddings(url: str) -> str:
    async with openai.AsyncOpenAI(base_url=url, api_key=KEY) as client:
        found = await client.embeddings.create(model="embed-x", input="Who?", encoding_format="float")
        return found.to_json()


def anthropic_sync(url: str) -> str:
    with anthropic.Anthropic(base_url=url.removesuffix("/v1"), api_key=KEY) as client:
        return client.messages.create(
            model="claude-x", max_tokens=50, system="Answer.", messages=QUESTION[1:]
        ).to_json()


async def anthropic_stream(url: str) -> str:
    async with (
        anthropic.AsyncAnthropic(base_url=url.removesuffix("/v1"), api_key=KEY) as client,
        client.messages.stream(model="claude-x", max_tokens=50, system="Answer.", messages=QUESTION[1:]) as stream,
    ):
        return "".join([each async for each in stream.text_stream])


def raw_stream(library: Any) -> Ask:
    async def ask(url: str) -> str:
        body = {"model": "gpt-x", "messages": QUESTION, "stream": True}
        async with (
            library.AsyncClient() as client,
            client.stream("POST", f"{url}/chat/completions", json=body) as answer,
        ):
            return "".join([each async for each in answer.aiter_text()])

    return ask


ASKS: dict[str, Ask] = {
    "openai, sync": in_thread(openai_sync),
    "openai, sync stream": in_thread(openai_sync_stream),
    "openai, async": openai_async,
    "openai, async stream": openai_async_stream,
    "openai, responses": openai_responses,
    "openai, embeddings": openai_embeddings,
    "anthropic, sync": in_thread(anthropic_sync),
    "anthropic, async stream": anthropic_stream,
    "httpx, raw stream": raw_stream(httpx),
    "httpx2, raw stream": raw_stream(httpx2),
}


@pytest.mark.parametrize("name", ASKS)
async def test_what_a_client_gets_comes_back_without_a_request(name: str) -> None:
    ask, store = ASKS[name], Store.memory()
    async with serving() as there:
        plain = await ask(there.url)
        there.bodies.clear()
        async with running(store) as first:
            with first.tapped():
                got = await ask(there.url)
        assert got == plain
        assert len(there.bodies) == 1
        async with running(store) as again:
            with again.tapped():
                assert await ask(there.url) == got
        assert len(there.bodies) == 1
    heard, replayed = first.heard[0], again.heard[0]
    assert (heard.stored, replayed.stored) == (False, True)
    assert heard.text == ("" if "embed" in name else "words 1")
    assert heard.messages[-1].content == "Who?"
    assert first.session.ledger.logical == again.session.ledger.logical
    assert first.session.ledger.spent == first.session.ledger.logical
    assert again.session.ledger.spent.calls == 0
    assert first.session.ledger.logical.usd


async def test_without_a_tap_a_send_is_the_plain_send() -> None:
    async with serving() as there, running() as run:
        with run.tapped():
            pass
        await openai_async(there.url)
        await openai_async(there.url)
        assert len(there.bodies) == 2
    assert not run.heard
