"""One model on several servers: by the beginning of a call, past one that is dead, and the same model to the store."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter

import pytest
from endpoint_help import Endpoint, chat, error, serving
from lm_helpers import request

from flowbot.fields import InfrastructureError, UserError
from flowbot.lm.client import Message, Request
from flowbot.lm.session import Session
from flowbot.runtime.open_model import open_lm
from flowbot.store import Store


def url(each: Endpoint) -> str:
    return str(each.server.make_url("/v1"))


def dead() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1"


def asked(system: str, text: str) -> Request:
    return Request((Message("system", system), Message("user", text)), 50)


async def test_calls_with_one_beginning_go_to_one_server(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as one, serving() as other:
        lm = open_lm(f"vllm/qwen?base_url={url(one)},{url(other)}", Session(Store.memory()))
        for step in range(12):
            for text in ("a", "b", "c"):
                await lm.ask(asked(f"You are step {step}.", text), purpose="t")
        homes = Counter(
            (body["messages"][0]["content"], place) for place, each in enumerate((one, other)) for body in each.bodies
        )
        assert sorted(homes.values()) == [3] * 12  # each step has one home
        assert 0 < len(one.bodies) < 36
        await lm.close()


async def test_one_step_alone_is_spread_over_all() -> None:
    async with serving() as one, serving() as other:
        lm = open_lm(f"vllm/qwen?base_url={url(one)},{url(other)}", Session(Store.memory()))

        async def slow(body: object, number: int) -> object:
            await asyncio.sleep(0.05)
            return chat("hi")

        one.answer = other.answer = slow  # type: ignore[assignment]
        await asyncio.gather(*(lm.ask(asked("You are it.", str(n)), purpose="t") for n in range(32)))
        assert min(len(one.bodies), len(other.bodies)) >= 10
        await lm.close()


async def test_a_dead_server_is_passed_over_and_rested() -> None:
    async with serving() as one:
        lm = open_lm(f"vllm/qwen?base_url={dead()},{url(one)}", Session(Store.memory()))
        for n in range(30):
            assert (await lm.ask(asked(f"Step {n}", "x"), purpose="t")).text == "hi"
        assert len(one.bodies) == 30
        assert lm.session.ledger.retries == 0
        breakers = lm.client._wire._breakers  # type: ignore[attr-defined]
        assert [each.wait(asyncio.get_running_loop().time()) > 0 for each in breakers] == [True, False]
        await lm.close()


async def test_an_error_of_a_server_is_an_answer() -> None:
    async with serving() as one, serving() as other:
        one.answer = other.answer = lambda body, number: error(401, "no")
        lm = open_lm(f"vllm/qwen?base_url={url(one)},{url(other)}", Session(Store.memory()))
        with pytest.raises(InfrastructureError, match="401"):
            await lm.ask(request(), purpose="t")
        assert len(one.bodies) + len(other.bodies) == 1
        await lm.close()


async def test_the_model_is_the_same_wherever_it_is() -> None:
    async with serving() as one, serving() as other:
        store = Store.memory()
        for urls in (url(one), f"{url(one)},{url(other)}", url(other)):
            lm = open_lm(f"vllm/qwen?base_url={urls}", Session(store))
            await lm.ask(request(), purpose="t")
            assert lm.identity.base_url == ""
            await lm.close()
        assert len(one.bodies) + len(other.bodies) == 1


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("vllm/q?base_url=http://a/v1,http://a/v1", "each once"),
        ("vllm/q?base_url=http://me:pass-1234@a/v1", "without a password"),
        ("vllm/q?base_url=ftp://a/v1", "a URL with ftp"),
        ("groq/q?base_url=http://a/v1", "groq is where it is"),
    ],
)
def test_addresses_that_cannot_be_are_refused(model: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        open_lm(model, Session(Store.memory()))
    assert "pass-1234" not in str(caught.value).partition("found")[2]
