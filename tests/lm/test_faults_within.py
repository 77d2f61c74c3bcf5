"""Faults that an endpoint sends with a status of success: never a reply, never stored, never a score."""

from __future__ import annotations

import json
from typing import Any

import pytest
from endpoint_help import asking, http, said
from lm_helpers import request

from flowbot.fields import Field, InfrastructureError, ModelError, RefusedError
from flowbot.lm.answers import AnswerError
from flowbot.lm.client import Message, Request
from flowbot.lm.http_faults import fault_in, read_error, status_of
from flowbot.store import Store

HALF = "The answer is forty-"
GOOD = http(said("42"))


def broken(text: str | None = HALF, **more: Any) -> dict[str, Any]:
    return said(text, **{"finish_reason": "error", **more})


PASSING: dict[str, Any] = {
    "a reason alone": broken(),
    "an error in the choice": broken(error={"code": 502, "message": "Upstream died"}),
    "an error in a choice that says it is done": said(HALF, error={"code": "server_error", "message": "cut"}),
    "an error beside choices": {**said(HALF), "error": {"message": "Provider returned error", "code": 503}},
    "an error as a text": {**said(HALF), "error": "upstream closed the stream"},
    "a list of errors": {**said(HALF), "error": [{"message": "busy", "code": "429"}]},
    "a code as a text": {"error": {"message": "slow down", "code": "429"}, "choices": None},
    "a code in words": {"error": {"message": "slow", "type": "rate_limit_error"}, "choices": []},
    "a code beside a text": {"error": "busy", "status": 503},
    "a code within a text": {"error": "Error code: 529 - overloaded"},
    "a network behind it": said(HALF, finish_reason="network_error"),
    "no room at the provider's": said("", finish_reason="insufficient_system_resource"),
    "a model that failed": said(HALF, finish_reason="model_error"),
    "several errors without choices": {"success": False, "errors": [{"code": 10000, "message": "no route"}]},
    "an aborted choice": said(HALF, finish_reason="abort"),
    "a message of an error without an error": {"object": "error", "message": "worker died", "code": 500},
    "a list": [{"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}],
}


@pytest.mark.parametrize("body", PASSING.values(), ids=PASSING.keys())
async def test_what_passes_is_tried_again_and_what_comes_then_is_the_reply(body: Any) -> None:
    store = Store.memory()
    async with asking(http(body), http(body), GOOD, store=store) as (lm, endpoint):
        assert (await lm.ask(request(), purpose="train")).text == "42"
        assert len(endpoint.bodies) == 3
        assert (await lm.ask(request(), purpose="train")).text == "42"
        assert (len(endpoint.bodies), len(await store.items("lm"))) == (3, 1)


@pytest.mark.parametrize("body", list(PASSING.values())[:4], ids=list(PASSING)[:4])
async def test_what_persists_is_raised_and_no_reply_is_stored(body: Any) -> None:
    store = Store.memory()
    async with asking(http(body), store=store) as (lm, endpoint):
        with pytest.raises(InfrastructureError) as caught:
            await lm.ask(request(), purpose="train")
        assert not caught.value.fatal
        assert len(endpoint.bodies) > 5
        assert len(await store.items("lm")) == 0


FATAL: dict[str, tuple[Any, str]] = {
    "a wrong key": ({"choices": None, "error": {"code": 401, "message": "User not found"}}, "auth"),
    "a wrong key in the body": ({"choices": None, "code": "401", "message": "no such user"}, "auth"),
    "a wrong key in words": ({"error": {"code": "invalid_api_key", "message": "bad"}}, "auth"),
    "a wrong key as a text": ({"error": "Invalid API key"}, "auth"),
    "no credit": ({"choices": None, "error": {"code": 402, "message": "Insufficient credits"}}, "rate_limit"),
    "no credit in the choice": (broken("", error={"code": "402", "message": "Add credits"}), "rate_limit"),
    "no credit in words": ({"error": {"type": "insufficient_quota", "message": "Pay"}}, "rate_limit"),
    "no credit, by a number of its own": (
        {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
        "rate_limit",
    ),
    "no such model": ({"error": [{"code": "model_not_found", "message": "gone"}]}, "not_found"),
}


@pytest.mark.parametrize(("body", "kind"), FATAL.values(), ids=FATAL.keys())
async def test_what_no_waiting_mends_is_tried_once(body: Any, kind: str) -> None:
    store = Store.memory()
    async with asking(http(body), GOOD, store=store) as (lm, endpoint):
        with pytest.raises(InfrastructureError) as caught:
            await lm.ask(request(), purpose="train")
        assert (caught.value.kind, caught.value.fatal, len(endpoint.bodies)) == (kind, True, 1)
        assert len(await store.items("lm")) == 0


async def test_half_a_text_is_charged_for() -> None:
    async with asking(http(broken()), GOOD) as (lm, _):
        reply = await lm.ask(request(), purpose="train")
        assert (reply.besides and reply.besides.output_tokens, lm.session.ledger.spent.calls) == (3, 2)


async def test_what_stands_behind_a_gateways_words_is_understood() -> None:
    inner = json.dumps({"error": {"message": "This model's maximum context length is 8192 tokens", "type": "x"}})
    body = {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": inner}}}
    for status in (200, 400):
        async with asking(http(body, status)) as (lm, _):
            with pytest.raises(ModelError, match=r"longer than the model's context: .*maximum context length"):
                await lm.ask(request(), purpose="train")


async def test_a_flagged_choice_is_a_refusal() -> None:
    flagged = {"code": 403, "message": "Input was flagged by moderation"}
    async with asking(http(broken(None, error=flagged))) as (lm, endpoint):
        with pytest.raises(RefusedError, match="flagged"):
            await lm.ask(request(), purpose="train")
        assert len(endpoint.bodies) == 2  # one that repeats is believed


@pytest.mark.parametrize("error", [None, {}, "", False, [], {"code": None, "message": ""}], ids=str)
async def test_an_error_without_content_is_none(error: Any) -> None:
    async with asking(http({**said("42"), "error": error})) as (lm, endpoint):
        assert (await lm.ask(request(), purpose="train")).text == "42"
        assert len(endpoint.bodies) == 1


def test_sound_answers_tell_of_no_fault() -> None:
    assert fault_in(said("error: 500")) is None
    assert fault_in({"choices": []}) is None
    assert fault_in({"choices": [3]}) is None
    assert fault_in({**said("42"), "errors": [], "base_resp": {"status_code": 0, "status_msg": "success"}}) is None
    for reason in ("error_limit", "ERROR_TOXIC", "stop", "tool_calls"):
        assert fault_in(said("42", finish_reason=reason)) is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": {"message": "x", "code": 404}}, 404),
        ({"error": {"message": "x", "status_code": 408}}, 408),
        ({"error": {"message": "x", "code": 7}, "code": 503}, 503),
        ({"error": {"message": "unauthorized"}}, 401),
        ({"error": {"message": "the tide is high"}}, 502),
        ({"error": {"message": "x", "code": True}}, 502),
    ],
)
def test_the_status_of_an_error_within_a_success(body: Any, status: int) -> None:
    assert status_of(read_error(json.dumps(body))) == status


FILTERED: dict[str, Any] = {
    "no message": {"choices": [{"finish_reason": "content_filter", "content_filter_results": {"hate": {}}}]},
    "a message without text": {"choices": [{"finish_reason": "content_filter", "message": {"content": None}}]},
    "another word": {"choices": [{"finish_reason": "SAFETY", "message": None}]},
}


@pytest.mark.parametrize("body", FILTERED.values(), ids=FILTERED.keys())
@pytest.mark.parametrize("type_", ["str", "int"])
async def test_a_filtered_reply_is_a_refusal_of_that_row(body: Any, type_: str) -> None:
    async with asking(http(body)) as (lm, endpoint):
        for _ in range(2):
            with pytest.raises(AnswerError, match="the model refused: its reply was filtered"):
                await lm.ask_fields([Message("user", "?")], [Field.of("a", type_)], purpose="train")
        assert len(endpoint.bodies) == 1


async def test_a_filtered_prompt_is_a_refusal() -> None:
    blocked = {"choices": [], "prompt_filter_results": [{"content_filter_results": {"hate": {"filtered": True}}}]}
    async with asking(http(blocked)) as (lm, _):
        with pytest.raises(RefusedError):
            await lm.ask(request(), purpose="train")


async def test_a_reply_without_a_message_that_was_cut_is_a_cut_reply() -> None:
    async with asking(http({"choices": [{"finish_reason": "length"}]})) as (lm, _):
        reply = await lm.ask(request(), purpose="train")
        assert (reply.text, reply.finish) == ("", "length")


@pytest.mark.parametrize("key", ["x", "max", "tokens", "anything", "not-needed"])
async def test_a_key_that_is_a_word_changes_nothing_that_is_understood(key: str) -> None:
    """`max_tokens` is given up, and a reply with the word in it stays as it is."""
    refused = http({"error": {"message": "'max_tokens' is not needed: use 'max_completion_tokens', or anything"}}, 400)
    text = "x max tokens anything not-needed"
    async with asking(refused, http(said(text)), key=key) as (lm, endpoint):
        assert (await lm.ask(request(), purpose="train")).text == text
        assert "max_completion_tokens" in endpoint.bodies[1]


async def test_a_fault_shows_no_key_although_it_was_understood_as_it_came() -> None:
    key = "max-tokens-0123456789"
    refused = http({"error": {"message": f"the key {key} may not use this model", "code": 403}}, 403)
    async with asking(refused, key=key) as (lm, _):
        with pytest.raises(InfrastructureError) as caught:
            await lm.ask(Request((Message("user", "?"),), 50), purpose="train")
    assert "the key [secret] may not" in str(caught.value)
    assert key not in repr(caught.value.__dict__)
