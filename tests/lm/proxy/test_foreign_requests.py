"""What other programs' requests have that ours have not: members sent on, tools told by any schema, calls that must be made."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from endpoint_help import Endpoint, chat, error, serving

from flowbot.fields import InfrastructureError
from flowbot.lm.calls_in_text import split_calls
from flowbot.lm.capabilities import Capabilities
from flowbot.lm.client import ForeignTool, Message, Request, ToolUse
from flowbot.lm.json_tools import as_json, tool_line
from flowbot.lm.openai import OpenAIClient
from flowbot.store import Store

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "odd": {"anyOf": []}},
    "required": ["city"],
}
WEATHER = ForeignTool("weather", "Look out.", (), (), parameters=PARAMETERS)
ASKED = Request((Message("user", "hi"),), 50, tools=(WEATHER,))
MORE = replace(ASKED, tools=(), extra={"top_p": 0.5, "stop": ["END"]})


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with serving() as found:
        yield found


async def _ask(client: OpenAIClient, *requests: Request) -> None:
    try:
        for each in requests:
            await client.complete(each)
    finally:
        await client.close()


def test_what_is_not_set_is_dumped_as_ever_and_what_is_counts() -> None:
    assert Request((Message("user", "a"),), 9).dump().keys() == {"messages", "max_tokens", "temperature"}
    assert MORE.dump()["extra"] == {"top_p": 0.5, "stop": ["END"]}
    (dumped,) = ASKED.dump()["tools"]
    turned = {**PARAMETERS, "properties": dict(reversed(PARAMETERS["properties"].items()))}  # type: ignore[attr-defined]
    (other,) = replace(ASKED, tools=(replace(WEATHER, parameters=turned),)).dump()["tools"]
    assert dumped != other  # the order of a schema's properties changes what a model writes


async def test_members_are_sent_on_and_one_that_the_endpoint_does_not_know_is_given_up(endpoint: Endpoint) -> None:
    store = Store.memory()

    def answer(body: dict[str, Any], number: int) -> Any:
        return error(400, "Unsupported parameter: 'top_p'", param="top_p") if "top_p" in body else chat("hi")

    endpoint.answer = answer
    await _ask(endpoint.client(store=store), MORE, MORE)
    await _ask(endpoint.client(store=store), MORE)
    assert [sorted({"top_p", "stop"} & body.keys()) for body in endpoint.bodies] == [
        ["stop", "top_p"],
        ["stop"],
        ["stop"],
        ["stop"],
    ]
    assert endpoint.bodies[0]["stop"] == ["END"]


async def test_a_member_whose_value_is_refused_is_the_callers_to_mend(endpoint: Endpoint) -> None:
    endpoint.answer = lambda body, number: error(400, "Invalid 'stop': array too long", param="stop")
    client = endpoint.client()
    with pytest.raises(InfrastructureError, match="array too long"):
        await _ask(client, MORE)
    assert client.capabilities == Capabilities()

    said = "Unsupported value: 'top_p' does not support 0.5 with this model. Supported values are: 1"
    endpoint.answer = lambda body, number: error(400, said, param="top_p")
    client = endpoint.client()
    with pytest.raises(InfrastructureError, match="Supported values"):
        await _ask(client, MORE)
    assert client.capabilities == Capabilities()


async def test_what_is_said_of_calls_is_not_sent_where_no_tools_are(endpoint: Endpoint) -> None:
    alone = replace(ASKED, extra={"parallel_tool_calls": False})
    await _ask(endpoint.client(), alone, replace(alone, tool_choice="none"))
    await _ask(endpoint.client(capabilities=Capabilities(tools="json")), alone)
    assert ["parallel_tool_calls" in body for body in endpoint.bodies] == [True, False, False]


def test_definitions_of_a_foreign_schema_stand_where_its_references_lead() -> None:
    place = {"type": "object", "properties": {"near": {"$ref": "#/$defs/Place"}}}
    parameters = {
        "type": "object",
        "properties": {"at": {"$ref": "#/$defs/Place"}},
        "$defs": {"Place": place},
    }
    tools = tuple(replace(WEATHER, name=name, parameters=parameters) for name in ("go", "see"))
    schema: Any = as_json(replace(ASKED, tools=tools)).schema
    moved = {"type": "object", "properties": {"near": {"$ref": "#/$defs/see_Place"}}}
    assert schema["$defs"].keys() == {"go_Place", "see_Place"}
    assert schema["$defs"]["see_Place"] == moved
    arguments = schema["properties"]["call"]["anyOf"][1]["properties"]["arguments"]
    assert arguments == {"type": "object", "properties": {"at": {"$ref": "#/$defs/see_Place"}}}


async def test_a_call_that_must_be_made_is_asked_for_on_the_wire_and_as_json(endpoint: Endpoint) -> None:
    must = replace(ASKED, tool_choice="required", tools=(replace(WEATHER, strict=True),))
    await _ask(endpoint.client(), ASKED, must)
    first, second = endpoint.bodies
    assert "tool_choice" not in first
    function = {"name": "weather", "description": "Look out.", "parameters": PARAMETERS}
    assert first["tools"] == [{"type": "function", "function": function}]
    assert second["tool_choice"] == "required"
    assert second["tools"] == [{"type": "function", "function": {**function, "strict": True}}]

    ways: Any = as_json(must).schema
    (way,) = ways["properties"]["call"]["anyOf"]
    assert way["properties"]["arguments"] == PARAMETERS
    ways = as_json(ASKED).schema
    assert len(ways["properties"]["call"]["anyOf"]) == 2  # it may finish as well


async def test_tools_beside_a_schema_can_be_called_whatever_the_endpoint_takes(endpoint: Endpoint) -> None:
    both = replace(ASKED, schema={"type": "object", "properties": {"a": {"type": "string"}}})
    await _ask(endpoint.client(), both)
    await _ask(endpoint.client(capabilities=Capabilities(reply_format="tool")), both)
    native, forced = endpoint.bodies
    assert native["response_format"]["type"] == "json_schema"
    assert [each["function"]["name"] for each in forced["tools"]] == ["weather"]
    assert "tool_choice" not in forced
    assert "by this JSON schema" in forced["messages"][0]["content"]
    asked: Any = as_json(both).schema
    assert "call" in asked["properties"]
    assert as_json(replace(both, tool_choice="none")).schema == both.schema


def test_arguments_are_known_by_a_foreign_schema() -> None:
    assert tool_line(WEATHER) == "weather(city: str, days: int = default, odd: any = default): Look out."
    text = "<tool_call><function=weather><parameter=city>7</parameter><parameter=days>7</parameter></function>"
    assert split_calls(text, (WEATHER,))[1] == (ToolUse("weather", '{"city": "7", "days": 7}'),)
    assert split_calls("weather('Oslo', 2)", (WEATHER,))[1] == (ToolUse("weather", '{"city": "Oslo", "days": 2}'),)
