"""Options in a model's string, and service tiers: what is sent, what responses are stored under, and what it costs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from endpoint_help import KEY, Body, Endpoint, chat, serving
from lm_helpers import ScriptedClient, reply, request

from flowbot.fields import InfrastructureError, Usage, UserError
from flowbot.lm.budget import Budget
from flowbot.lm.http_faults import classify
from flowbot.lm.lm import LM
from flowbot.lm.model_options import KNOWN, model_options, usual_thinking
from flowbot.lm.prices import listed, price_of
from flowbot.lm.providers import providers
from flowbot.lm.retry import PATIENT, RetryPolicy
from flowbot.lm.session import Session
from flowbot.lm.tiers import Tier
from flowbot.runtime.allowed_models import allowed_models
from flowbot.runtime.open_model import open_lm
from flowbot.store import Store

MILLION = Usage(1, 1_000_000, 1_000_000)
GPT_5 = 1.25 + 10.0
"""USD per million tokens read and as many written, by the list."""


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for provider in providers().values():
        monkeypatch.delenv(provider.base_variable or "NOTHING", raising=False)
        for name in provider.keys[:1]:
            monkeypatch.setenv(name, KEY)


@pytest.fixture
def at_home(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes an endpoint that of a provider itself, whose prices are known."""

    table = providers()

    def move(endpoint: Endpoint, provider: str = "openai") -> None:
        there = replace(table[provider], base_url=str(endpoint.server.make_url("/v1")))
        monkeypatch.setattr("flowbot.lm.providers.providers", lambda: {**table, provider: there})

    return move


def test_an_option_of_every_kind_is_sent_and_belongs_to_who_answers() -> None:
    text = (
        "reasoning_effort=low&verbosity=high&top_p=0.90&top_k=40&presence_penalty=-1&enable_thinking=false&thinking=99"
    )
    name, options = model_options("vllm", f"org/name:x?{text}")
    assert name == "org/name:x"
    assert options.sent == {
        "reasoning_effort": "low",
        "verbosity": "high",
        "top_p": 0.9,
        "top_k": 40,
        "presence_penalty": -1.0,
        "chat_template_kwargs": {"enable_thinking": False},
    }
    assert dict(options.extra) == {
        "reasoning_effort": "low",
        "verbosity": "high",
        "top_p": "0.9",
        "top_k": "40",
        "presence_penalty": "-1.0",
        "enable_thinking": "false",
        "thinking": "99",
    }
    assert options.thinking == 99


def test_the_order_in_which_options_are_written_means_nothing() -> None:
    one, other = (
        open_lm(f"vllm/x?{text}", Session(Store.memory())) for text in ("top_p=.5&min_p=0", "min_p=0&top_p=0.50")
    )
    assert one.key(request()) == other.key(request())
    assert one.key(request()) != open_lm("vllm/x", Session(Store.memory())).key(request())


def test_a_model_without_options_is_stored_as_ever() -> None:
    lm = open_lm("openai/gpt-4.1-mini", Session(Store.memory()))
    assert lm.identity.dump() == {
        "provider": "openai",
        "base_url": "https://api.openai.com/v1",
        "name": "gpt-4.1-mini",
        "extra": {},
    }


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("openai/gpt-5?reasoning_effrot=low", "did you mean 'reasoning_effort'"),
        ("openai/gpt-5?tier=flex", "did you mean 'service_tier'|service_tier"),
        ("openai/gpt-5?reasoning_effort=lo", "did you mean 'low'"),
        ("openai/gpt-5?verbosity=loud", "low, medium, high"),
        ("openai/gpt-5?thinking=much", "a number"),
        ("openai/gpt-5?thinking=1.5", "a whole number"),
        ("openai/gpt-5?top_p=2", "from 0 to 1"),
        ("openai/gpt-5?enable_thinking=no", "true, false"),
        ("openai/gpt-5?verbosity=low&verbosity=high", "once"),
        ("openai/gpt-5?verbosity", "verbosity=VALUE"),
        ("local/smollm2-135m?service_tier=flex", "one of context, "),
        ("fake/echo?latncy=1", "did you mean 'latency'"),
        ("openai/gpt-4.1-mini?service_tier=flex", "found service_tier=flex.*one of auto, default, priority"),
        ("openai/gpt-5?service_tier=flx", "did you mean 'flex'"),
        ("mistral/mistral-small?service_tier=flex", "expected no service_tier"),
        ("ollama/qwen3?service_tier=flex", "expected no service_tier"),
        ("anthropic/claude-x?service_tier=auto", "expected no service_tier"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_paid(model: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        open_lm(model, Session(Store.memory()))


async def test_options_reach_the_endpoint_and_the_tier_is_in_no_key(at_home: Any) -> None:
    store = Store.memory()
    async with serving() as endpoint:
        at_home(endpoint)
        for model in ("openai/gpt-5?verbosity=low", "openai/gpt-5?verbosity=low&service_tier=flex"):
            lm = open_lm(model, Session(store))
            assert (await lm.ask(request(), purpose="train")).text == "hi"
            await lm.close()
        lm = open_lm("openai/gpt-5?service_tier=flex", Session(store))
        await lm.ask(request(), purpose="train")
        await lm.close()
    assert [body["model"] for body in endpoint.bodies] == ["gpt-5", "gpt-5"]  # the second was stored
    assert endpoint.bodies[0]["verbosity"] == "low"
    assert "service_tier" not in endpoint.bodies[0]
    assert endpoint.bodies[1]["service_tier"] == "flex"


@pytest.mark.parametrize(
    ("model", "served", "factor"),
    [
        ("gpt-5?service_tier=flex", "flex", 0.5),
        ("gpt-5?service_tier=flex", "default", 1.0),
        ("gpt-5?service_tier=flex", None, 1.0),
        ("gpt-5?service_tier=flex", "warp", None),
        ("gpt-5?service_tier=auto", "flex", 0.5),
        ("gpt-5", "default", 1.0),
        ("gpt-5", "on_demand", 1.0),
        ("gpt-5", None, 1.0),
        ("gpt-5", "priority", None),
    ],
)
async def test_a_reply_costs_what_the_tier_costs_that_served_it(
    at_home: Any, model: str, served: str | None, factor: float | None, tmp_path: Path
) -> None:
    def answer(body: Body, number: int) -> web.Response:
        usage = {"prompt_tokens": 1_000_000, "completion_tokens": 1_000_000}
        told = json.loads(chat("hi", usage=usage).text or "")
        return web.json_response({**told, **({"service_tier": served} if served else {})})

    async with serving() as endpoint:
        at_home(endpoint)
        endpoint.answer = answer
        for paid in (True, False):
            store = Store.open(tmp_path / "store.sqlite")
            lm = open_lm(f"openai/{model}", Session(store))
            await lm.ask(request(), purpose="train")
            wanted = None if factor is None else pytest.approx(GPT_5 * factor)
            assert lm.session.ledger.logical.usd == wanted  # in a replay too
            assert lm.session.ledger.spent.usd == (wanted if paid else 0)
            await lm.close()
            await store.close()


def test_what_is_estimated_and_what_a_ceiling_refuses() -> None:
    assert price_of("openai/gpt-5?service_tier=flex", MILLION) == pytest.approx(GPT_5 / 2)
    assert price_of("openai/gpt-5?service_tier=priority", MILLION) is None
    assert price_of("openai/gpt-5?service_tier=priority", MILLION, (1.0, 2.0)) == pytest.approx(3.0)
    assert price_of("groq/openai/gpt-oss-20b?service_tier=flex", MILLION) == price_of(
        "groq/openai/gpt-oss-20b", MILLION
    )
    with pytest.raises(UserError, match="--price IN,OUT"):
        open_lm("openai/gpt-5?service_tier=priority", Session(Store.memory(), Budget(usd=1.0)))
    open_lm("openai/gpt-5?service_tier=flex", Session(Store.memory(), Budget(usd=1.0)))
    open_lm("openai/gpt-5?service_tier=priority", Session(Store.memory(), Budget(usd=1.0)), price=(1.0, 2.0))


async def test_a_ceiling_holds_where_the_price_of_the_tier_that_served_is_unknown() -> None:
    client = ScriptedClient(lambda asked, number: replace(reply("x", read=100, written=50), tier="warp"))
    session = Session(Store.memory(), Budget(usd=0.01))
    lm = LM(client, session, price=listed("openai:gpt-5"), tier=Tier("openai", "gpt-5", "flex"))
    await lm.ask(request(max_tokens=50), purpose="train")
    assert session.ledger.spent.usd is None
    assert session.budget.used["usd"] >= (100 * 1.25 + 50 * 10.0) / 1e6


async def test_flex_is_waited_for_and_never_cut_off(at_home: Any) -> None:
    busy = 25

    def answer(asked: Any, number: int) -> Any:
        fault = InfrastructureError("429: resource unavailable", kind="rate_limit")
        return fault if number <= busy else "at last"

    client = ScriptedClient(answer)
    client.retry = PATIENT  # type: ignore[attr-defined]
    lm = LM(client, Session(Store.memory()))
    assert (await lm.ask(request(), purpose="train")).text == "at last"
    assert busy > RetryPolicy().tries

    async with serving() as endpoint:
        at_home(endpoint)
        flex, plain = (open_lm(f"openai/gpt-5{end}", Session(Store.memory())) for end in ("?service_tier=flex", ""))
        assert (flex.endpoint.patient, plain.endpoint.patient) == (True, False)
        assert flex.client.retry is PATIENT  # type: ignore[attr-defined]
        await flex.close()
        await plain.close()


def test_a_tier_without_capacity_is_asked_again() -> None:
    assert classify(429, "resource_unavailable") == ("rate_limit", False)
    assert classify(498, "capacity_exceeded") == ("rate_limit", False)


def test_every_tier_says_where_its_price_is_known_from() -> None:
    data = json.loads((Path(Tier.factor.__code__.co_filename).parent / "tiers.json").read_text(encoding="utf-8"))
    assert data["as_of"]
    assert {row["provider"] for row in data["tiers"]} <= providers().keys()
    assert all(row["source"].startswith("https://") for row in data["tiers"])


def test_lists_of_models_take_options_too() -> None:
    model = "openai/gpt-5?reasoning_effort=low&service_tier=flex"
    assert allowed_models("fake/echo", models=[model]) == {"fake/echo", model}


def test_estimates_expect_thoughts_of_those_that_are_known_to_think() -> None:
    assert usual_thinking("openai/gpt-5") > usual_thinking("openai/gpt-5?reasoning_effort=low") > 0
    assert usual_thinking("openai/gpt-4.1-mini") == usual_thinking("fake/echo") == usual_thinking("openai/unknown") == 0


def test_options_are_documented() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "models-and-cost.md").read_text(encoding="utf-8")
    assert [name for name in KNOWN if f"`{name}`" not in docs] == []
