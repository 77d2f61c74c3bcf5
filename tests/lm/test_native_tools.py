"""Tool calls on the wire: what goes out, what comes back, and what is done where an endpoint has none."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from endpoint_help import Body, Endpoint, chat, error, serving

from flowbot.fields import Field, InfrastructureError, ToolSignature, fields_schema
from flowbot.lm.capabilities import Capabilities
from flowbot.lm.client import Message, Reply, Request, ToolUse
from flowbot.lm.local import open_local
from flowbot.lm.openai import OpenAIClient
from flowbot.lm.rows import read_reply
from flowbot.store import Store

SEARCH = ToolSignature(
    "search",
    "Find pages.",
    (Field.of("query", "str", "what to look for"), Field.of("limit", "int")),
    (Field.of("result", "list[str]"),),
    optional=frozenset({"limit"}),
)
QUESTION = Message("user", "Who?")
ASKED = Request((Message("system", "Answer."), QUESTION), 50, tools=(SEARCH,))
CALLED = (
    Message("assistant", "I look.", (ToolUse("search", '{"query": "a"}'), ToolUse("search", '{"query": "b"}'))),
    Message("tool", "found a"),
    Message("tool", "found b"),
)


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with serving() as found:
        yield found


def call(name: str, arguments: Any) -> dict[str, Any]:
    return {"id": "made-up-by-lot", "type": "function", "function": {"name": name, "arguments": arguments}}


async def _ask(client: OpenAIClient, asked: Request = ASKED) -> Reply:
    try:
        return await client.complete(asked)
    finally:
        await client.close()


def test_a_request_without_tools_is_dumped_as_ever() -> None:
    assert Request((QUESTION,), 50, schema={"type": "object"}, seed=1).dump() == {
        "messages": [{"role": "user", "content": "Who?"}],
        "max_tokens": 50,
        "temperature": 0.0,
        "schema": {"type": "object"},
        "seed": 1,
    }


async def test_tools_are_offered_and_calls_come_back(endpoint: Endpoint) -> None:
    endpoint.answer = lambda b, n: chat(
        "Let me see.",
        finish="tool_calls",
        tool_calls=[call("search", '{"query": "x"}'), call("search", {"query": "é"}), call("now", None)],
    )
    reply = await _ask(endpoint.client())
    assert (reply.text, reply.finish, reply.ready) == ("Let me see.", "stop", False)
    assert reply.calls == (
        ToolUse("search", '{"query": "x"}'),
        ToolUse("search", '{"query": "é"}'),
        ToolUse("now", "{}"),
    )
    assert read_reply(json.loads(json.dumps(reply.dump()))) == reply
    body = endpoint.bodies[0]
    assert "response_format" not in body
    assert "tool_choice" not in body
    assert body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "search",
                "description": "Find pages.",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "query": {"type": "string", "description": "what to look for"},
                        "limit": {"type": "integer"},
                    },
                    "required": ["query"],
                    "additionalProperties": False,
                },
            },
        }
    ]


async def test_calls_and_results_go_back_with_ids_of_ours(endpoint: Endpoint) -> None:
    more = (Message("assistant", "", (ToolUse("do it!", "no json"),)), Message("tool", "Error"))
    await _ask(endpoint.client(), Request((QUESTION, *CALLED, *more), 50, tools=(SEARCH,)))
    _, asked, first, second, odd, last = endpoint.bodies[0]["messages"]
    ids = [each["id"] for each in asked["tool_calls"] + odd["tool_calls"]]
    assert [first["tool_call_id"], second["tool_call_id"], last["tool_call_id"]] == ids
    assert len(set(ids)) == 3
    assert all(len(each) == 9 and each.isalnum() for each in ids)
    assert asked["content"] == "I look."
    assert asked["tool_calls"][0]["function"] == {"name": "search", "arguments": '{"query": "a"}'}
    assert first == {"role": "tool", "content": "found a", "tool_call_id": ids[0]}
    # What the model got wrong must not be refused when it is told back.
    assert odd["content"] is None
    assert odd["tool_calls"][0]["function"] == {"name": "do_it_", "arguments": "{}"}


async def test_the_answer_after_calls_is_asked_for_without_tools(endpoint: Endpoint) -> None:
    await _ask(endpoint.client(), Request((QUESTION, *CALLED), 50, tools=(SEARCH,), tool_choice="none"))
    assert "tools" not in endpoint.bodies[0]
    assert "tool_choice" not in endpoint.bodies[0]
    assert endpoint.bodies[0]["messages"][1]["tool_calls"]


async def test_where_a_reply_is_a_forced_call_the_tools_stay_defined(endpoint: Endpoint) -> None:
    endpoint.answer = lambda b, n: chat(None, tool_calls=[call("reply", '{"total": 3}')])
    first = Capabilities(reply_format="tool")
    schema = fields_schema([Field.of("total", "int")])
    asked = Request((QUESTION, *CALLED), 50, schema=schema, tools=(SEARCH,), tool_choice="none")
    reply = await _ask(endpoint.client(capabilities=first), asked)
    assert (reply.text, reply.calls) == ('{"total": 3}', ())
    assert [each["function"]["name"] for each in endpoint.bodies[0]["tools"]] == ["search", "reply"]
    assert endpoint.bodies[0]["tool_choice"]["function"]["name"] == "reply"
    await _ask(endpoint.client(capabilities=first), Request(asked.messages, 50, tools=(SEARCH,), tool_choice="none"))
    assert endpoint.bodies[1]["tool_choice"] == "none"


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>\n{"name": "search", "arguments": {"query": "x"}}\n</tool_call>',
        '{"name": "search", "arguments": {"query": "x"}}',
        '<think>hm</think>```json\n{"name": "search", "arguments": {"query": "x"}}\n```',
    ],
)
async def test_a_call_that_the_endpoint_left_in_the_text_is_one(endpoint: Endpoint, text: str) -> None:
    endpoint.answer = lambda b, n: chat(text)
    reply = await _ask(endpoint.client())
    assert (reply.text, reply.calls) == ("", (ToolUse("search", '{"query": "x"}'),))


@pytest.mark.parametrize(
    "text",
    ["Pears.", '{"name": "search"}', '{"name": "Ann", "arguments": {}}', 'I call {"name": "search", "arguments": {}}'],
)
async def test_an_answer_in_text_is_no_call(endpoint: Endpoint, text: str) -> None:
    endpoint.answer = lambda b, n: chat(text)
    reply = await _ask(endpoint.client())
    assert (reply.text, reply.calls) == (text, ())


@pytest.mark.parametrize("calls", [3, [3], [{}], [{"function": {}}], ["x"]])
async def test_calls_that_are_garbage_are_a_fault_that_is_tried_again(endpoint: Endpoint, calls: Any) -> None:
    endpoint.answer = lambda b, n: chat(None, tool_calls=calls)
    with pytest.raises(InfrastructureError) as caught:
        await _ask(endpoint.client())
    assert (caught.value.kind, caught.value.fatal) == ("garbage", False)


def _refusing(status: int, said: str, **more: Any) -> Callable[[Body, int], web.Response]:
    def answer(body: Body, number: int) -> web.Response:
        told = any(each["role"] == "tool" for each in body["messages"])
        if body.get("tools") or told:
            return error(status, said, **more)
        return chat('{"thought": "look", "call": {"name": "search", "arguments": {"query": "x"}}}')

    return answer


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "this model does not support tools"),
        (400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
        (404, "No endpoints found that support tool use"),
        (422, "tools: Extra inputs are not permitted"),
        (500, "tools param requires --jinja flag"),
        (500, "Unsupported param: tools"),
    ],
)
async def test_an_endpoint_without_tools_is_asked_for_json_and_remembered(
    endpoint: Endpoint, status: int, said: str
) -> None:
    endpoint.answer = _refusing(status, said)
    store = Store.memory()
    client = endpoint.client(store=store)
    reply = await _ask(client)
    assert (reply.text, reply.calls) == ("look", (ToolUse("search", '{"query": "x"}'),))
    assert len(endpoint.bodies) == 2
    assert endpoint.bodies[1]["response_format"]["type"] == "json_schema"
    assert client.capabilities.dropped() == ("no tool calls of its own (JSON instead)",)
    assert (await _ask(endpoint.client(store=store))).calls == reply.calls
    assert len(endpoint.bodies) == 3
    await store.close()


async def test_what_was_called_natively_can_be_told_in_words(endpoint: Endpoint) -> None:
    endpoint.answer = _refusing(400, "Function call is missing a thought_signature")
    asked = Request((QUESTION, *CALLED), 50, tools=(SEARCH,), tool_choice="none")
    endpoint_text = await _ask(endpoint.client(), asked)
    assert endpoint_text.text  # an answer, whatever it is
    assert [each["role"] for each in endpoint.bodies[1]["messages"]] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]


async def test_a_tool_whose_schema_is_refused_is_not_held_against_the_endpoint(endpoint: Endpoint) -> None:
    endpoint.answer = _refusing(400, "Invalid schema for function 'search'", param="tools[0].function.parameters")
    client = endpoint.client()
    assert (await _ask(client)).calls
    assert client.capabilities == Capabilities()


async def test_other_faults_of_a_request_with_tools_stay_what_they_are(endpoint: Endpoint) -> None:
    endpoint.answer = lambda b, n: error(500, "the tools shed burns")
    with pytest.raises(InfrastructureError) as caught:
        await _ask(endpoint.client())
    assert caught.value.kind == "server"
    assert len(endpoint.bodies) == 1


async def test_estimated_usage_counts_calls(endpoint: Endpoint) -> None:
    long = json.dumps({"query": "y" * 400})
    endpoint.answer = lambda b, n: chat(None, usage={}, tool_calls=[call("search", long)])
    reply = await _ask(endpoint.client(), Request((QUESTION,), 500, tools=(SEARCH,)))
    assert reply.estimated
    assert 100 <= reply.usage.output_tokens <= 120


class _Running:
    """A server of a local model that runs already."""

    running = True

    def __init__(self, address: str) -> None:
        self._address = address

    def address(self) -> tuple[str, str]:
        return self._address, "key"


async def test_a_local_model_is_asked_for_calls_as_json(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.answer = _refusing(400, "no tools")
    server = _Running(str(endpoint.server.make_url("/v1")))
    monkeypatch.setattr("flowbot.lm.local.client.acquire", lambda settings: server)
    monkeypatch.setattr("flowbot.lm.local.client.release", lambda given: None)
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    client = open_local(str(tmp_path / "a.gguf"), tmp_path, say=lambda line: None)
    reply = await client.complete(ASKED)
    await client.close()
    assert reply.calls == (ToolUse("search", '{"query": "x"}'),)
    assert len(endpoint.bodies) == 1
