"""The run's model in place of those that a program names: asked by the program's own clients, stored, counted, and streamed to them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from lm_helpers import ScriptedClient, make_lm
from tap_help import Endpoint, serving

from flowbot.fields import BudgetExceeded, ModelError
from flowbot.lm.budget import Budget
from flowbot.lm.lm import LM
from flowbot.lm.tap import Exchange, Models, Tap, install, tapping
from flowbot.program.stopping import Stop

NOWHERE = "http://127.0.0.1:9/v1"
ASKED: list[Any] = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Who?"}]


@asynccontextmanager
async def standing_in(lm: LM) -> AsyncIterator[list[Exchange]]:
    install()
    models, heard = Models(lm.session, stand_in=lm), list[Exchange]()
    tap = Tap(models, heard=heard.append)
    token = tapping.set(tap)
    try:
        yield heard
    finally:
        tapping.reset(token)
        tap.close()
        await models.close()
        await lm.close()


def client(url: str = NOWHERE) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0)


async def test_it_answers_whatever_model_is_named_and_a_replay_is_the_same() -> None:
    lm = make_lm(lambda request, number: f"{request.messages[-1].content} {number}")
    said: list[str | None] = []
    for _ in range(2):
        async with standing_in(lm) as heard, client() as asking:
            done = await asking.chat.completions.create(model="gpt-4.1", messages=ASKED, temperature=0, max_tokens=9)
            said.append(done.to_json())
            assert (done.choices[0].message.content, done.model) == ("Who? 1", "gpt-4.1")
        lm._closed = False
    assert said[0] == said[1]
    assert (heard[0].model, heard[0].text, heard[0].stored) == (lm.name, "Who? 1", True)
    assert isinstance(lm.client, ScriptedClient)
    assert [each.messages[0].content for each in lm.client.sent] == ["Be short."]
    assert lm.session.ledger.calls == {"program": 1}


async def test_equal_requests_above_temperature_0_are_different_draws() -> None:
    lm = make_lm(lambda request, number: f"words {number}")
    async with standing_in(lm), client() as asking:
        done = [await asking.chat.completions.create(model="m", messages=ASKED, n=2) for _ in range(2)]
    assert [[each.message.content for each in one.choices] for one in done] == [
        ["words 1", "words 2"],
        ["words 3", "words 4"],
    ]


async def test_it_streams_and_speaks_responses() -> None:
    lm = make_lm(lambda request, number: "four pens")
    async with standing_in(lm) as heard, client() as asking:
        stream = await asking.chat.completions.create(model="m", messages=ASKED, stream=True)
        text = "".join([each.choices[0].delta.content or "" async for each in stream if each.choices])
        other = await asking.responses.create(model="m", input="Who?")
    assert (text, other.output_text) == ("four pens", "four pens")
    assert [each.streamed for each in heard] == [True, False]


async def test_what_a_request_deserves_the_program_is_told_and_a_ceiling_stops_it() -> None:
    def answering(request: Any, number: int) -> str | Exception:
        return ModelError("the request is longer than the model's context") if number == 1 else "yes"

    lm = make_lm(answering, budget=Budget(calls=1))
    async with standing_in(lm), client() as asking:
        with pytest.raises(openai.BadRequestError, match="context"):
            await asking.chat.completions.create(model="m", messages=ASKED)
        with pytest.raises(openai.BadRequestError, match="messages"):
            await asking.chat.completions.create(model="m", messages=[{"role": "nobody", "content": "x"}])  # type: ignore[list-item]
        with pytest.raises(Stop) as stop:
            await asking.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
    assert isinstance(stop.value.cause, BudgetExceeded)


async def test_what_it_does_not_speak_goes_to_whom_the_program_asks() -> None:
    lm = make_lm(lambda request, number: "never")
    there: Endpoint
    async with serving() as there, standing_in(lm), client(there.url) as asking:
        found = await asking.embeddings.create(model="embed-x", input="Who?")
    assert list(found.data[0].embedding) == [0.5, 0.25]
    assert len(there.bodies) == 1
