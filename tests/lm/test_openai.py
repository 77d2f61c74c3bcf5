"""The wire, against a real server on the loopback: what goes out, what comes back, every way in which it can fail."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from endpoint_help import KEY, Body, Endpoint, chat, error, serving
from lm_helpers import request, until

from flowbot.fields import InfrastructureError, ModelError, RefusedError, Usage
from flowbot.lm.capabilities import Capabilities
from flowbot.lm.client import Identity, Message, Request
from flowbot.lm.lm import LM
from flowbot.lm.openai import OpenAIClient
from flowbot.lm.session import Session
from flowbot.lm.wire import Wire
from flowbot.store import Store

SCHEMA = {
    "type": "object",
    "properties": {"total": {"type": "integer"}},
    "required": ["total"],
    "additionalProperties": False,
}


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with serving() as found:
        yield found


async def _ask(client: OpenAIClient, asked: Request | None = None) -> Any:
    try:
        return await client.complete(asked or request())
    finally:
        await client.close()


async def _fault(client: OpenAIClient, asked: Request | None = None) -> InfrastructureError:
    with pytest.raises(InfrastructureError) as caught:
        await _ask(client, asked)
    return caught.value


async def test_what_is_sent_and_what_comes_back(endpoint: Endpoint) -> None:
    asked = Request((Message("system", "be brief"), Message("user", "hé")), 50, 0.7, SCHEMA, seed=7)
    reply = await _ask(endpoint.client(), asked)
    assert endpoint.bodies == [
        {
            "model": "gpt-x",
            "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hé"}],
            "max_tokens": 50,
            "temperature": 0.7,
            "seed": 7,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "reply", "schema": SCHEMA, "strict": True},
            },
        }
    ]
    assert endpoint.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert (reply.text, reply.finish, reply.model, reply.estimated) == ("hi", "stop", "gpt-x-2026", False)
    assert reply.usage == Usage(calls=1, input_tokens=12, output_tokens=3, cached_tokens=8)
    assert 0 < reply.seconds < 20


LONG = "word " * 80


@pytest.mark.parametrize(
    ("text", "usage", "written", "estimated"),
    [
        ("yes", {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}, 5, False),
        # thoughts: within the count, only in the total, only among the details
        (
            "yes",
            {"prompt_tokens": 10, "completion_tokens": 700, "completion_tokens_details": {"reasoning_tokens": 690}},
            700,
            False,
        ),
        ("yes", {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 765}, 755, False),
        (
            "yes",
            {"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 750}},
            755,
            False,
        ),
        ("yes", {"prompt_tokens": 10, "total_tokens": 765}, 755, True),
        # counts that cannot be
        (LONG, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, 50, True),
        (LONG, {"prompt_tokens": 10, "completion_tokens": 1}, 50, True),
        ("yes", {"prompt_tokens": 10, "completion_tokens": -3}, 1, True),
        ("yes", {"prompt_tokens": 10, "completion_tokens": 10**399}, 1, True),
        ("yes", {"prompt_tokens": True, "completion_tokens": 2.5}, 1, True),
        ("yes", "free", 1, True),
        ("", {"prompt_tokens": 10, "completion_tokens": 0}, 0, False),
    ],
)
async def test_what_was_written_is_counted_with_thoughts_and_never_below_the_text(
    endpoint: Endpoint, text: str, usage: Any, written: int, estimated: bool
) -> None:
    endpoint.answer = lambda body, number: chat(text, usage=usage)
    reply = await _ask(endpoint.client())
    assert (reply.usage.output_tokens, reply.estimated) == (written, estimated)
    assert reply.text == text


async def test_a_prompt_that_is_counted_far_too_low_is_guessed(endpoint: Endpoint) -> None:
    endpoint.answer = lambda body, number: chat("yes", usage={"prompt_tokens": 0, "completion_tokens": 1})
    reply = await _ask(endpoint.client(), Request((Message("user", LONG),), 50))
    assert (reply.usage.input_tokens, reply.estimated) == (len(LONG) // 4 + 4, True)


async def test_an_answer_without_a_message_tells_what_it_took(endpoint: Endpoint) -> None:
    endpoint.answer = lambda body, number: web.json_response(
        {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 90}}
    )
    found = await _fault(endpoint.client())
    assert (found.kind, found.took) == ("garbage", Usage(calls=1, input_tokens=9, output_tokens=90))


async def test_a_plain_request_names_no_schema_and_no_seed(endpoint: Endpoint) -> None:
    await _ask(endpoint.client())
    assert endpoint.bodies[0].keys() == {"model", "messages", "max_tokens", "temperature"}


async def test_nothing_is_opened_before_the_first_call() -> None:
    client = OpenAIClient(Identity("openai", "http://127.0.0.1:9/v1", "x"), Wire("http://127.0.0.1:9/v1"))
    assert client.identity.dump() == {
        "provider": "openai",
        "base_url": "http://127.0.0.1:9/v1",
        "name": "x",
        "extra": {},
    }
    await client.close()
    await client.close()


@pytest.mark.parametrize(
    ("finish", "expected"),
    [("length", "length"), ("content_filter", "refusal"), ("tool_calls", "stop"), (None, "stop"), ("eos", "stop")],
)
async def test_why_a_reply_ended(endpoint: Endpoint, finish: str | None, expected: str) -> None:
    endpoint.answer = lambda b, n: chat("hi", finish=finish)
    assert (await _ask(endpoint.client())).finish == expected


async def test_a_refusal_in_the_message_is_one(endpoint: Endpoint) -> None:
    endpoint.answer = lambda b, n: chat(None, refusal="I would rather not")
    reply = await _ask(endpoint.client())
    assert (reply.finish, reply.text) == ("refusal", "I would rather not")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, ""),
        ([{"type": "text", "text": "a"}, {"type": "thinking", "text": "no"}, {"type": "text", "text": "b"}], "ab"),
    ],
)
async def test_content_in_parts_or_none(endpoint: Endpoint, content: Any, text: str) -> None:
    endpoint.answer = lambda b, n: chat(content)
    assert (await _ask(endpoint.client())).text == text


@pytest.mark.parametrize("usage", [{}, {"prompt_tokens": None}, [], "many"])
async def test_missing_usage_is_estimated_and_flagged(endpoint: Endpoint, usage: Any) -> None:
    endpoint.answer = lambda b, n: chat("x" * 40, usage=usage)
    reply = await _ask(endpoint.client(), request("y" * 400))
    assert reply.estimated
    assert 90 <= reply.usage.input_tokens <= 120
    assert 8 <= reply.usage.output_tokens <= 12


@pytest.mark.parametrize(
    ("headers", "expected"),
    [({"Retry-After": "7"}, 7.0), ({"Retry-After-Ms": "1500"}, 1.5), ({"Retry-After": "soon"}, None), ({}, None)],
)
async def test_too_many_requests(endpoint: Endpoint, headers: dict[str, str], expected: float | None) -> None:
    endpoint.answer = lambda b, n: error(429, "slow down", headers=headers)
    fault = await _fault(endpoint.client())
    assert (fault.kind, fault.fatal, fault.retry_after) == ("rate_limit", False, expected)
    assert "slow down" in str(fault)


async def test_a_date_to_retry_after_that_is_past_means_at_once(endpoint: Endpoint) -> None:
    endpoint.answer = lambda b, n: error(503, "x", headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})
    assert (await _fault(endpoint.client())).retry_after == 0.0


@pytest.mark.parametrize(
    ("status", "kind", "fatal"),
    [
        (500, "server", False),
        (502, "server", False),
        (529, "server", False),
        (408, "timeout", False),
        (401, "auth", True),
        (403, "auth", True),
        (404, "not_found", True),
        (402, "rate_limit", True),
        (400, "other", True),
        (302, "other", True),
    ],
)
async def test_what_a_status_means(endpoint: Endpoint, status: int, kind: str, fatal: bool) -> None:
    endpoint.answer = lambda b, n: error(status, "the reason", headers={"Location": "http://127.0.0.1:9/steal"})
    fault = await _fault(endpoint.client())
    assert (fault.kind, fault.fatal) == (kind, fatal)
    assert str(status) in str(fault)
    assert "the reason" in str(fault)
    assert len(endpoint.bodies) == 1


async def test_an_empty_account_is_not_tried_again(endpoint: Endpoint) -> None:
    endpoint.answer = lambda b, n: error(429, "No quota", code="insufficient_quota", type="insufficient_quota")
    assert (await _fault(endpoint.client())).fatal


@pytest.mark.parametrize("echo", [KEY, "sk-secr********6789"])
async def test_no_error_shows_the_key(endpoint: Endpoint, echo: str) -> None:
    endpoint.answer = lambda b, n: error(401, f"Incorrect API key provided: {echo}.")
    fault = await _fault(endpoint.client())
    assert "6789" not in str(fault)
    assert "Incorrect API key provided: [secret]" in str(fault)
    assert KEY not in repr(fault.__dict__)


async def test_an_html_error_page_is_shown_as_text(endpoint: Endpoint) -> None:
    endpoint.answer = lambda b, n: web.Response(
        status=502, text="<html><b>Bad</b>\n gateway</html>", content_type="text/html"
    )
    assert "Bad gateway" in str(await _fault(endpoint.client()))


@pytest.mark.parametrize(
    "text",
    ["", "not json", '{"choices": [', "[1]", '{"choices": []}', '{"choices": [{}]}', '{"choices": 3}', "[" * 100_000],
)
async def test_garbage_is_a_fault_that_is_tried_again(endpoint: Endpoint, text: str) -> None:
    endpoint.answer = lambda b, n: web.Response(text=text, content_type="text/html")
    fault = await _fault(endpoint.client())
    assert (fault.kind, fault.fatal) == ("garbage", False)


async def test_a_fault_behind_a_200_is_one(endpoint: Endpoint) -> None:
    endpoint.answer = lambda b, n: web.json_response({"error": {"message": "overloaded", "code": 429}})
    fault = await _fault(endpoint.client())
    assert (fault.kind, fault.fatal) == ("rate_limit", False)


async def test_a_reset_connection(endpoint: Endpoint) -> None:
    def reset(body: Body, number: int) -> web.StreamResponse:
        transport = endpoint.asked.transport
        assert transport is not None
        transport.abort()
        return web.Response()

    endpoint.answer = reset
    fault = await _fault(endpoint.client())
    assert (fault.kind, fault.fatal) == ("connection", False)


async def test_an_answer_that_breaks_off(endpoint: Endpoint) -> None:
    async def broken(body: Body, number: int) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(endpoint.asked)
        await response.write(b'{"choices": [')
        assert endpoint.asked.transport is not None
        endpoint.asked.transport.close()
        return response

    endpoint.answer = broken
    fault = await _fault(endpoint.client())
    assert (fault.kind, fault.fatal) == ("garbage", False)


async def test_an_endpoint_that_never_answers(endpoint: Endpoint) -> None:
    gate = asyncio.Event()

    async def hang(body: Body, number: int) -> web.StreamResponse:
        await gate.wait()
        return chat("late")

    endpoint.answer = hang
    fault = await _fault(endpoint.client(wire={"seconds": 0.05}))
    assert (fault.kind, fault.fatal) == ("timeout", False)
    gate.set()


async def test_nobody_at_the_port() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        fault = await _fault(OpenAIClient(Identity("openai", base, "x"), Wire(base)))
    assert (fault.kind, fault.fatal) == ("connection", False)
    assert base in str(fault)


async def test_policy_is_a_refusal(endpoint: Endpoint) -> None:
    endpoint.answer = lambda b, n: error(400, "flagged", code="content_filter")
    with pytest.raises(RefusedError, match="flagged"):
        await _ask(endpoint.client())


@pytest.mark.parametrize(
    "said",
    [
        {"message": "This model's maximum context length is 8192 tokens", "code": "context_length_exceeded"},
        {"message": "the request exceeds the available context size", "type": "exceed_context_size_error"},
    ],
)
async def test_too_long_a_request_is_the_models_error(endpoint: Endpoint, said: dict[str, str]) -> None:
    endpoint.answer = lambda b, n: web.json_response({"error": said}, status=400)
    with pytest.raises(ModelError, match="longer than the model's context"):
        await _ask(endpoint.client())


def _only(*formats: str) -> Callable[[Body, int], web.Response]:
    """An endpoint that knows only these reply formats."""

    def answer(body: Body, number: int) -> web.Response:
        wanted = body.get("response_format", {}).get("type")
        if wanted == "json_schema" and "schema" not in formats:
            return error(400, "'response_format' of type 'json_schema' is not supported", param="response_format")
        if "tools" in body and "tool" not in formats:
            return error(400, "tool_choice is not supported with this model")
        if wanted == "json_object" and "json" not in formats:
            return error(422, "response_format: unknown field")
        if "tools" in body:
            call = {"type": "function", "function": {"name": "reply", "arguments": '{"total": 3}'}}
            return chat(None, finish="tool_calls", tool_calls=[call])
        return chat('{"total": 3}')

    return answer


@pytest.mark.parametrize(
    ("formats", "sent"), [(("schema",), 1), (("tool", "json"), 2), (("json",), 3), ((), 4)], ids=str
)
async def test_goes_down_to_what_the_endpoint_knows_and_remembers(
    endpoint: Endpoint, formats: tuple[str, ...], sent: int
) -> None:
    endpoint.answer = _only(*formats)
    store = Store.memory()
    asked = Request((Message("user", "how many?"),), 50, schema=SCHEMA)
    assert (await _ask(endpoint.client(store=store), asked)).text == '{"total": 3}'
    assert len(endpoint.bodies) == sent
    again = endpoint.client(store=store)
    assert (await _ask(again, asked)).text == '{"total": 3}'
    assert len(endpoint.bodies) == sent + 1
    assert bool(again.capabilities.dropped()) == (sent > 1)
    assert len(await store.items("probe")) == int(sent > 1)


async def test_without_a_schema_the_prompt_carries_it(endpoint: Endpoint) -> None:
    first = Capabilities(reply_format="prompt")
    await _ask(endpoint.client(capabilities=first), Request((Message("user", "?"),), 50, schema=SCHEMA))
    system, user = endpoint.bodies[0]["messages"]
    assert json.dumps(SCHEMA) in system["content"]
    assert user == {"role": "user", "content": "?"}


@pytest.mark.parametrize(
    ("message", "gone", "instead"),
    [
        (
            "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
            "max_tokens",
            "max_completion_tokens",
        ),
        ("Unsupported value: 'temperature' does not support 0", "temperature", None),
        ("seed: Extra inputs are not permitted", "seed", None),
    ],
)
async def test_gives_up_a_parameter_that_is_refused(
    endpoint: Endpoint, message: str, gone: str, instead: str | None
) -> None:
    endpoint.answer = lambda b, n: error(400, message) if gone in b else chat("hi")
    reply = await _ask(endpoint.client(), Request((Message("user", "?"),), 50, seed=1))
    assert reply.text == "hi"
    assert gone not in endpoint.bodies[1]
    assert instead is None or endpoint.bodies[1][instead] == 50


async def test_an_endpoint_that_refuses_everything_is_not_asked_for_ever(endpoint: Endpoint) -> None:
    endpoint.answer = lambda b, n: error(400, "max_tokens or max_completion_tokens is wrong, whatever you say")
    assert (await _fault(endpoint.client())).fatal
    assert len(endpoint.bodies) < 10


async def test_a_schema_that_is_refused_is_not_held_against_the_next_one(endpoint: Endpoint) -> None:
    endpoint.answer = lambda b, n: (
        error(400, "Invalid schema for response_format 'reply'") if "response_format" in b else chat("hi")
    )
    client = endpoint.client()
    await _ask(client, Request((Message("user", "?"),), 50, schema={"type": "object"}))
    assert client.capabilities == Capabilities()


async def test_many_at_once_learn_it_once(endpoint: Endpoint) -> None:
    endpoint.answer = _only("json")
    client = endpoint.client(store=Store.memory())
    asked = [Request((Message("user", str(n)),), 50, schema=SCHEMA) for n in range(10)]
    replies = await asyncio.gather(*(client.complete(each) for each in asked))
    await client.close()
    assert {each.text for each in replies} == {'{"total": 3}'}
    assert client.capabilities.reply_format == "json"


async def test_a_loose_schema_is_not_called_strict(endpoint: Endpoint) -> None:
    loose = {
        "type": "object",
        "properties": {"a": {"type": "object"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    await _ask(endpoint.client(), Request((Message("user", "?"),), 50, schema=loose))
    assert endpoint.bodies[0]["response_format"]["json_schema"]["strict"] is False


async def test_a_proxy_of_the_environment_is_used_but_not_for_this_machine(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxied: list[str] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        proxied.append((await reader.readline()).decode())
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert (await _ask(endpoint.client())).text == "hi"
    fault = await _fault(OpenAIClient(Identity("x", "", "x"), Wire("http://models.invalid/v1")))
    assert "407" in str(fault)
    assert proxied == ["POST http://models.invalid/v1/chat/completions HTTP/1.1\r\n"]
    server.close()
    await server.wait_closed()


async def test_a_netrc_entry_for_the_endpoint_does_no_harm(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    await _ask(endpoint.client())
    assert endpoint.headers[0]["Authorization"] == f"Bearer {KEY}"


async def test_the_whole_way_through_faults_and_store(endpoint: Endpoint) -> None:
    faults = [error(429, "slow", headers={"Retry-After": "0"}), error(500, "oops"), web.Response(text="<html>")]
    endpoint.answer = lambda b, n: faults[n - 1] if n <= len(faults) else chat("at last")

    class NoWait:
        def now(self) -> float:
            return 0.0

        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(0)

    client = endpoint.client()
    client.clock = NoWait()  # type: ignore[attr-defined]
    session = Session(Store.memory())
    lm = LM(client, session)
    assert (await lm.ask(request(), purpose="train")).text == "at last"
    assert (await lm.ask(request(), purpose="train")).text == "at last"
    assert len(endpoint.bodies) == 4
    # What was served and is no answer counts as a request, and for what was asked.
    assert (session.ledger.spent.calls, session.ledger.spent.tokens, session.ledger.retries) == (2, 21, 3)
    assert session.ledger.calls == {"train": 1}
    assert session.ledger.spent.usd is None
    await lm.close()
    await until(lambda: len(session.flights) == 0)
