"""One question to a model: what it proves, what it costs, and what is said when it fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from endpoint_help import KEY, Body, chat, error, serving

from flowbot.fields import InfrastructureError, UserError
from flowbot.lm.endpoint import advice
from flowbot.lm.session import Session
from flowbot.runtime.probe import PURPOSE, probe
from flowbot.store import Store

MODEL = "openai/gpt-x"


@pytest.fixture
def session() -> Session:
    return Session(store=Store.memory())


async def _asked(
    answers: Any, session: Session, monkeypatch: pytest.MonkeyPatch, times: int = 1
) -> tuple[Any, list[Body]]:
    """What the last of so many questions showed, and what the endpoint was sent."""
    async with serving() as endpoint:
        endpoint.answer = answers
        monkeypatch.setenv("OPENAI_BASE_URL", str(endpoint.server.make_url("/v1")))
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        found: Any = None
        for _ in range(times):
            try:
                found = await probe(MODEL, session)
            except InfrastructureError as fault:
                found = fault
        return found, endpoint.bodies


def _eight(body: Body, number: int) -> web.Response:
    return chat(json.dumps({"answer": 8}))


async def test_a_model_that_answers_shows_what_it_takes_and_costs(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, bodies = await _asked(_eight, session, monkeypatch)
    facts = found.dump()
    assert (facts["model"], facts["ok"], facts["reply"]) == (MODEL, True, '{"answer": 8}')
    assert (facts["usage"]["calls"], facts["usage"]["input_tokens"], facts["usage"]["output_tokens"]) == (1, 12, 3)
    assert facts["usage"]["usd"] is None  # who answers at an address of one's own, and at what price, is not known
    assert facts["capabilities"]["reply_format"] == "schema"
    assert {"response_format", "temperature", "seed"} <= set(bodies[0])
    assert session.ledger.calls == {PURPOSE: 1}


async def test_what_the_endpoint_refuses_is_found_out(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def strict(body: Body, number: int) -> web.Response:
        if "response_format" in body and body["response_format"]["type"] == "json_schema":
            return error(400, "response_format json_schema is not supported")
        return error(400, "unknown parameter: seed") if "seed" in body else _eight(body, number)

    found, _ = await _asked(strict, session, monkeypatch)
    assert found.capabilities.seed is False
    assert found.dump()["dropped"] == ["no JSON schema (a forced tool call instead)", "no seed"]
    assert found.note == ""


async def test_the_question_is_asked_anew_each_time(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    _, bodies = await _asked(_eight, session, monkeypatch, times=2)
    assert len(bodies) == 2
    assert session.ledger.calls == {PURPOSE: 2}


@pytest.mark.parametrize(
    ("status", "said", "mend"),
    [
        (401, "Incorrect API key", "check the key in OPENAI_API_KEY"),
        (404, "no such model", "check the model's name as openai writes it and the address in OPENAI_BASE_URL"),
        (402, "no credit left", "check the account's credit"),
    ],
)
async def test_a_refusal_says_what_to_do_and_never_the_key(
    session: Session, monkeypatch: pytest.MonkeyPatch, status: int, said: str, mend: str
) -> None:
    def refuse(body: Body, number: int) -> web.Response:
        return error(status, f"{said}: {KEY}")

    fault, bodies = await _asked(refuse, session, monkeypatch)
    assert len(bodies) == 1
    assert said in str(fault)
    assert KEY not in str(fault)
    assert mend in advice(MODEL, fault)


async def test_an_endpoint_that_is_not_there_is_given_up_soon(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_BASE_URL", "http://127.0.0.1:9/v1")
    with pytest.raises(InfrastructureError, match="tried 2 times") as caught:
        await probe("vllm/x", session)
    assert "that the server is up" in advice("vllm/x", caught.value)


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        (lambda: chat("many legs"), "not the JSON that was asked for"),
        (lambda: chat(""), "its reply to a small question is empty"),
        (lambda: chat("no", finish="content_filter"), "not the JSON that was asked for"),
        (lambda: chat("", finish="length", usage={"prompt_tokens": 30, "completion_tokens": 2048}), "2,048 tokens"),
        (lambda: error(400, "flagged", code="content_filter"), "not this small question: refused on policy grounds"),
        (lambda: error(400, "too long", code="context_length_exceeded"), "longer than the model's context"),
    ],
)
async def test_what_a_stub_says_is_no_fault_of_the_endpoint(
    session: Session, monkeypatch: pytest.MonkeyPatch, answer: Any, note: str
) -> None:
    found, _ = await _asked(lambda body, number: answer(), session, monkeypatch)
    assert found.dump()["ok"] is True
    assert note in found.note


async def test_a_missing_key_is_told_before_anything_is_sent(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(UserError, match="OPENAI_API_KEY") as caught:
        await probe("openai/gpt-4.1-mini", session)
    assert advice("openai/gpt-4.1-mini", caught.value) == "set it to your key of openai"


async def test_a_model_without_an_endpoint_costs_nothing(session: Session, tmp_path: Path) -> None:
    facts = (await probe("fake/counter", session, cache_dir=tmp_path)).dump()
    assert (facts["capabilities"], facts["usage"]["usd"], facts["price"]) == (None, 0, {"input": 0, "output": 0})
