"""What a client may say, what is asked of the model for it, and what it is answered: shapes, tools, schemas, events, errors."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from typing import Any

import aiohttp
import pytest
from lm_helpers import reply, until
from proxy_help import HI, TOOL, TOOLS, proxied, texts
from yarl import URL

from flowbot.fields import InfrastructureError, ModelError, RefusedError, UserError
from flowbot.lm.client import TOO_LONG, ForeignTool, Message, Reply, Request, ToolUse
from flowbot.lm.lm import LM
from flowbot.lm.proxy import Proxy
from flowbot.lm.session import Session
from flowbot.store import Store
from flowbot.testing.fake import FakeClient

SCHEMA = {"type": "object", "properties": {"b": {"type": "integer"}, "a": {"type": "string"}}, "required": ["b", "a"]}
CALLED = Reply("", "stop", reply("").usage, 0.5, calls=(ToolUse("weather", '{"city": "Oslo"}'),))


def events(text: str) -> list[Any]:
    found = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(each) for each in found if each != "[DONE]"]


async def test_a_chat_completion_has_the_exact_shape() -> None:
    async with proxied() as bench:
        status, answer = await bench.post(bench.open().url)
    name = answer.pop("id")
    assert status == 200
    assert name.startswith("chatcmpl-")
    assert answer == {
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "reply 1", "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
    }


async def test_all_that_may_change_the_reply_stands_in_the_request_and_nothing_else() -> None:
    body = {
        "model": "m",
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": None, "tool_calls": [_call("x"), _call("y")], "annotations": []},
            {"role": "tool", "tool_call_id": "y", "content": "of y"},
            {"role": "tool", "tool_call_id": "x", "content": "of x"},
        ],
        "max_completion_tokens": 77,
        "temperature": 0,
        "top_p": 0.5,
        "stop": "END",
        "presence_penalty": 1,
        "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "r", "schema": SCHEMA, "strict": True}},
        "tools": TOOLS,
        "tool_choice": "none",
        "parallel_tool_calls": False,
        **{"user": "me", "metadata": {"a": "b"}, "stream_options": {"include_usage": True}, "store": False, "n": None},
    }
    async with proxied() as bench:
        assert (await bench.post(bench.open().url, body))[0] == 200
    (sent,) = bench.client.sent
    calls = (ToolUse("weather", '{"city": "x"}'), ToolUse("weather", '{"city": "y"}'))
    assert sent == Request(
        (
            Message("system", "Be brief."),
            Message("user", "ab"),
            Message("assistant", "", calls),
            Message("tool", "of x"),
            Message("tool", "of y"),
        ),
        77,
        0.0,
        SCHEMA,
        tools=(ForeignTool("weather", "", (), (), parameters=TOOL["parameters"]),),
        tool_choice="none",
        own_words=True,
        extra={
            "top_p": 0.5,
            "stop": ["END"],
            "presence_penalty": 1,
            "reasoning_effort": "low",
            "parallel_tool_calls": False,
        },
    )


def _call(city: str) -> dict[str, Any]:
    return {
        "id": city,
        "type": "function",
        "function": {"name": "weather", "arguments": json.dumps({"city": city})},
    }


async def test_a_client_that_names_no_limit_gets_room_for_an_answer_and_for_thoughts() -> None:
    async with proxied() as bench:
        bench.client.thinking = 1000
        assert (await bench.post(bench.open().url))[0] == 200
        assert (await bench.post(bench.open(max_tokens=99).url))[0] == 200
        assert (await bench.post(bench.open().url, {**HI, "max_tokens": 5}))[0] == 200
    assert [request.max_tokens for request in bench.client.sent] == [5096, 1099, 5]


async def test_tools_are_called_in_both_protocols_and_by_models_that_have_none_of_their_own() -> None:
    def model(request: Request) -> Any:
        if request.schema is None:
            return "sunny" if request.messages[-1].role == "tool" else [ToolUse("weather", '{"city": "Oslo"}')]
        if "call" not in request.schema["properties"]:
            return {"answer": "sunny"}
        if '"finish"' in json.dumps(request.schema) and "Result of" in request.messages[-1].content:
            return {"thought": "", "call": {"name": "finish"}}
        return {"thought": "", "call": {"name": "weather", "arguments": {"city": "Oslo"}}}

    for kind in ("native", "json"):
        async with proxied(client=FakeClient(model, tools=kind)) as bench:  # type: ignore[arg-type]
            url = bench.open().url
            named = {"type": "function", "function": {"name": "weather"}}
            _, answer = await bench.post(url, {**HI, "tools": TOOLS, "tool_choice": named})
            (choice,) = answer["choices"]
            (call,) = choice["message"]["tool_calls"]
            assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)
            assert call["function"] == {"name": "weather", "arguments": '{"city": "Oslo"}'}
            result = {"role": "tool", "tool_call_id": call["id"], "content": "it shines"}
            messages = [*HI["messages"], choice["message"], result]
            _, answer = await bench.post(url, {**HI, "tools": TOOLS, "messages": messages})
            assert texts(answer) == ["sunny"]

            items: list[Any] = [{"role": "user", "content": "hi"}]
            tools = [{"type": "function", **TOOL}]
            _, answer = await bench.post(url, {"model": "m", "input": items, "tools": tools}, "responses")
            (item,) = answer["output"]
            assert (item["type"], item["name"], item["arguments"]) == ("function_call", "weather", '{"city": "Oslo"}')
            items += [item, {"type": "function_call_output", "call_id": item["call_id"], "output": "it shines"}]
            _, answer = await bench.post(url, {"model": "m", "input": items, "tools": tools}, "responses")
            assert answer["output"][0]["content"][0]["text"] == "sunny"


async def test_events_tell_the_whole_reply() -> None:
    async with proxied(lambda request, number: CALLED if request.tools else "said") as bench:
        url = bench.open().url
        more = {"stream": True, "stream_options": {"include_usage": True}}
        _, text = await bench.post(url, {**HI, **more, "tools": TOOLS})
        *chunks, last = events(text)
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
        assert deltas[0] == {"role": "assistant", "content": None, "refusal": None}
        assert deltas[1]["tool_calls"][0]["index"] == 0
        assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
        assert (last["choices"], last["usage"]["total_tokens"]) == ([], 15)
        assert text.endswith("data: [DONE]\n\n")

        _, text = await bench.post(url, {"model": "m", "input": "hi", "stream": True}, "responses")
        found = events(text)
        assert [each["sequence_number"] for each in found] == list(range(9))
        assert [each["type"].removeprefix("response.") for each in found] == [
            *("created", "in_progress", "output_item.added", "content_part.added", "output_text.delta"),
            *("output_text.done", "content_part.done", "output_item.done", "completed"),
        ]
        assert found[-1]["response"]["output"][0]["content"][0]["text"] == "said"


@pytest.mark.parametrize(
    ("finish", "text", "reason", "refusal", "status"),
    [
        ("length", "cut", "length", None, "incomplete"),
        ("refusal", "I will not.", "stop", "I will not.", "completed"),
        ("refusal", "", "content_filter", None, "incomplete"),
    ],
)
async def test_why_a_reply_ended_is_told(finish: str, text: str, reason: str, refusal: Any, status: str) -> None:
    async with proxied(lambda request, number: reply(text, finish=finish)) as bench:
        url = bench.open().url
        _, answer = await bench.post(url)
        (choice,) = answer["choices"]
        assert (choice["finish_reason"], choice["message"]["refusal"]) == (reason, refusal)
        assert choice["message"]["content"] == ("cut" if finish == "length" else None)
        _, answer = await bench.post(url, {"model": "m", "input": "hi"}, "responses")
        assert answer["status"] == status


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"frobnicate": 1}, "frobnicate"),
        ({"logprobs": True}, "logprobs"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": "a", "name": "b"}]}, "messages[0].name"),
        ({"messages": [{"role": "tool", "content": "a", "tool_call_id": "b"}]}, "messages"),
        ({"messages": [{"role": "assistant", "content": None, "tool_calls": [_call("x")]}]}, "messages"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "1"}, "temperature"),
        ({"n": 0}, "n"),
        ({"tools": TOOLS, "tool_choice": "other"}, "tool_choice"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"model": "n"}, "model"),
    ],
)
async def test_what_is_wrong_or_not_supported_is_told_by_name_and_never_sent(
    change: dict[str, Any], param: str
) -> None:
    async with proxied() as bench:
        status, answer = await bench.post(bench.open().url, {**HI, **change})
        assert status == (404 if param == "model" else 400)
        assert answer["error"]["param"] == param
        assert not bench.client.sent


async def test_a_body_that_is_no_request_is_refused() -> None:
    async with proxied() as bench:
        url = f"{bench.open().url}/chat/completions"
        deep = b"[" * 100_000
        start = json.dumps(HI).encode()[:-1]
        more = (b"", b', "n": NaN}', b', "metadata": 1e999}', b', "user": "\xff"}', b', "n": 1, "n": 1}')
        wrong = (b"[]", deep, *(start + each for each in more))
        for data, status in (*((each, 400) for each in wrong), (b" " * 9_000_000, 413)):
            async with bench.http.post(url, data=io.BytesIO(data)) as answer:
                assert answer.status == status
                assert (await answer.json())["error"]["message"]
        nested = b'{"model": ' + b"[" * 100 + b"]" * 100 + b"}"
        async with bench.http.post(url, data=nested) as answer:
            assert "levels" in (await answer.json())["error"]["message"]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ModelError(f"{TOO_LONG}: 9 of 8"), 400, "context_length_exceeded"),
        (RefusedError("not that"), 400, "content_policy_violation"),
        (InfrastructureError("down", kind="other", fatal=True), 503, "model_unavailable"),
        (InfrastructureError("wrong key", kind="auth", fatal=True), 503, "model_unavailable"),
    ],
)
async def test_errors_are_told_so_that_no_client_tries_again(error: Exception, status: int, code: str) -> None:
    async with (
        proxied(lambda request, number: error) as bench,
        bench.http.post(f"{bench.open().url}/chat/completions", json=HI) as answer,
    ):
        assert (answer.status, answer.headers["x-should-retry"]) == (status, "false")
        assert (await answer.json())["error"]["code"] == code


async def test_a_stop_and_a_model_that_is_closed_are_told() -> None:
    async with proxied() as bench:
        access = bench.open()
        access.session.stop.set("enough")
        status, answer = await bench.post(access.url)
        assert (status, answer["error"]["code"]) == (503, "stopped")

        waits = bench.open()
        (lm,) = waits.models.values()
        lm.session.connections.gate(lm.client)
        bench.client.gate.clear()
        asking = [asyncio.ensure_future(bench.post(waits.url)) for _ in range(9)]
        await until(lambda: len(bench.client.sent) == 8)
        closing = asyncio.ensure_future(lm.close())
        await until(lambda: any(each.done() for each in asking))
        bench.client.gate.set()
        await closing
        assert sorted(status for status, _ in await asyncio.gather(*asking)) == [*[200] * 8, 503]


async def test_nobody_comes_in_without_a_token_and_no_log_holds_one(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with proxied() as bench:
        access = bench.open()
        unknown = access.url.replace(access.token, "x" * 43)
        told = [await bench.post(url) for url in (unknown, bench.proxy.url, f"{bench.proxy.url}/t")]
        assert {status for status, _ in told} == {401}
        assert len({json.dumps(answer) for _, answer in told}) == 1
        elsewhere = {"Host": "evil.example"}
        async with bench.http.post(f"{access.url}/chat/completions", json=HI, headers=elsewhere) as answer:
            assert answer.status == 403
        quoted = URL(f"{access.url.removesuffix('/v1')}%2Fx/v1/chat/completions", encoded=True)
        async with bench.http.post(quoted, json=HI) as answer:
            assert answer.status == 401
        assert (await bench.post(access.url, path="embeddings"))[0] == 404
        assert not bench.client.sent
        access.close()
        assert (await bench.post(access.url)) == told[0]
        assert len(access.token) >= 43
        assert access.token not in caplog.text


async def test_a_page_in_a_browser_is_refused_whatever_it_knows() -> None:
    async with proxied() as bench:
        access = bench.open()
        url = f"{access.url}/chat/completions"
        async with bench.http.post(url, json=HI, headers={"Origin": "https://evil.example"}) as answer:
            assert answer.status == 403
            assert "Access-Control-Allow-Origin" not in answer.headers
        async with bench.http.options(url) as answer:
            assert answer.status == 405
        assert not bench.client.sent


async def test_a_client_that_never_ends_its_body_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowbot.lm.proxy.guard._LAST_BYTES", 0.01)
    async with proxied() as bench:
        access = bench.open()
        path = access.url.removeprefix(bench.proxy.url)
        host = bench.proxy.url.removeprefix("http://")
        reader, writer = await asyncio.open_connection(*host.split(":"))
        head = f"POST {path}/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\r\n{{"
        writer.write(head.encode())
        async with bench.http.get(access.budget_url) as answer:
            assert answer.status == 200
        await asyncio.wait_for(bench.proxy.close(), 20)
        await reader.read()
        writer.close()
        await writer.wait_closed()


async def test_whoever_is_cancelled_while_it_waits_leaves_no_port_open() -> None:
    async with proxied() as bench:
        access = bench.open()
        bench.client.gate.clear()
        asking = asyncio.ensure_future(bench.post(access.url))
        await until(lambda: len(bench.client.sent) == 1)
        closing = asyncio.ensure_future(bench.proxy.close())
        await asyncio.sleep(0)
        closing.cancel()
        bench.client.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert (await asking)[0] == 200
        with pytest.raises(aiohttp.ClientConnectorError):
            await bench.post(access.url)


async def test_whoever_leaves_waits_for_what_is_under_way() -> None:
    async with proxied() as bench:
        access = bench.open()
        bench.client.gate.clear()
        asking = asyncio.ensure_future(bench.post(access.url))
        await until(lambda: len(bench.client.sent) == 1)
        closing = asyncio.ensure_future(bench.proxy.close())
        await asyncio.sleep(0)
        assert (await bench.post(access.url))[1]["error"]["code"] == "stopped"
        assert not closing.done()
        bench.client.gate.set()
        assert (await asking)[0] == 200
        await closing
        with pytest.raises(UserError, match="not open"):
            bench.open()


async def test_models_are_listed() -> None:
    async with proxied() as bench:
        session = Session(Store.memory())
        names = ("m", "provider/name")
        url = bench.proxy.open(session, {name: LM(bench.client, session) for name in names}).url
        async with bench.http.get(f"{url}/models") as answer:
            assert [each["id"] for each in (await answer.json())["data"]] == list(names)
        async with bench.http.get(f"{url}/models/provider/name") as answer:
            assert (await answer.json())["object"] == "model"


async def test_a_proxy_that_is_not_open_or_is_asked_for_nonsense_says_so() -> None:
    session = Session(Store.memory())
    with pytest.raises(UserError, match="not open"):
        Proxy().open(session, {"m": LM(FakeClient(lambda request: ""), session)})
    async with proxied() as bench:
        with pytest.raises(UserError, match="expected one of record, replay, refuse"):
            bench.open(mode="replya")
        with pytest.raises(UserError, match="models: found none"):
            bench.proxy.open(session, {})
