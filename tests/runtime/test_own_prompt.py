"""A prompt of the user's own at a real endpoint: the very bytes that are sent, and how the replies are read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from endpoint_help import Body, Endpoint, chat, error, serving

import flowbot as fb
from flowbot.fields import Field
from flowbot.lm.client import Message, Request
from flowbot.runtime.adapter import messages
from flowbot.workflow.nodes import LLMNode
from flowbot.workflow.parameters import Demonstration, LLMParameters
from flowbot.workflow.starts.prompted import read_prompt
from flowbot.workflow.workflow import Workflow

TEXT = "Triage this.\r\n\r\nSubject:\t{subject} \nBody: {body}\n\nAnswer with {{one}} queue's name.  \n"
GIVEN = {"subject": "Lost {parcel}", "body": "Where\n  is it?"}
INPUTS = (Field.of("subject", "str"), Field.of("body", "str"))


@pytest.fixture
async def endpoint(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Endpoint]:
    async with serving() as found:
        monkeypatch.setenv("OPENAI_BASE_URL", str(found.server.make_url("/v1")))
        monkeypatch.setenv("OPENAI_API_KEY", "sk-none-0123456789")
        yield found


def start(text: str, **outputs: str) -> Workflow:
    fields = tuple(Field.of(name, kind, "what it is about") for name, kind in outputs.items())
    sketch, parameters = read_prompt(text, "p", {field.name: () for field in INPUTS}).call(INPUTS, fields)
    return Workflow(sketch=sketch, parameters=parameters)


async def ran(workflow: Workflow, folder: Path) -> dict[str, Any]:
    return await fb.Flow(workflow, lm="openai/gpt-x", cache_dir=folder).acall(**GIVEN)


async def test_the_request_holds_the_users_bytes_and_nothing_else(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.answer = lambda body, number: chat(" billing\n")
    assert await ran(start(TEXT, queue="str"), tmp_path) == {"queue": "billing"}
    (body,) = endpoint.bodies
    assert body["messages"] == [{"role": "user", "content": TEXT.format(**GIVEN)}]
    assert body.keys() == {"model", "messages", "max_tokens", "temperature"}


async def test_a_chats_turns_are_sent_as_they_are(endpoint: Endpoint, tmp_path: Path) -> None:
    turns = [("system", "Be kind. "), ("user", "hi\n"), ("assistant", "ho"), ("user", "{subject}|{body}")]
    endpoint.answer = lambda body, number: chat("x")
    text = json.dumps([{"role": role, "content": content} for role, content in turns])
    await ran(start(text, queue="str"), tmp_path)
    sent = [(each["role"], each["content"]) for each in endpoint.bodies[0]["messages"]]
    assert sent == [*turns[:3], ("user", "Lost {parcel}|Where\n  is it?")]


@pytest.mark.parametrize(
    ("kind", "reply", "value"),
    [
        ("Literal['Billing', 'C#', 'C']", "**billing.**", "Billing"),
        ("Literal['Billing', 'C#', 'C']", "C#.", "C#"),
        ("Literal['a b', 'c']", '{"queue": "A b"}', "a b"),
        ("int", "There are 42.", 42),
        ("float", "$1,234.50", 1234.5),
        ("bool", "No.", False),
        ("str", "Lost parcels.", "Lost parcels."),
        ("str", '```json\n{"why": "x", "queue": "lost"}\n```', "lost"),
        ("str", '{"why": "x"}', '{"why": "x"}'),
        ("list[str]", 'Sure: ["a", "b"]', ["a", "b"]),
    ],
)
async def test_a_lone_output_is_read_from_the_text(
    endpoint: Endpoint, tmp_path: Path, kind: str, reply: str, value: Any
) -> None:
    endpoint.answer = lambda body, number: chat(reply)
    assert await ran(start(TEXT, queue=kind), tmp_path) == {"queue": value}
    assert "response_format" not in endpoint.bodies[0]


async def test_what_cannot_be_read_is_an_error_and_no_words_of_ours_are_sent_after_it(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    endpoint.answer = lambda body, number: chat("I think it is a or b")
    with pytest.raises(fb.ModelError, match="expected one of 'a', 'b'"):
        await ran(start(TEXT, queue="Literal['a', 'b']"), tmp_path)
    assert len(endpoint.bodies) == 1


@pytest.mark.parametrize(("reply", "value"), [("12 and 30 make 42. Twice that", None), ("42", 42)])
async def test_a_number_in_a_text_that_was_cut_is_not_the_answer(
    endpoint: Endpoint, tmp_path: Path, reply: str, value: int | None
) -> None:
    endpoint.answer = lambda body, number: chat(reply, finish="length")
    if value is not None:
        assert await ran(start(TEXT, total="int"), tmp_path) == {"total": value}
        return
    with pytest.raises(fb.ModelError, match="the reply was cut at 512 tokens"):
        await ran(start(TEXT, total="int"), tmp_path)


@pytest.mark.parametrize(
    ("kind", "said", "rounds"),
    [
        ("list[str]", "First I look up [parcel].", 2),
        ("list[str]", '["lost"]', 1),
        ("str", "Lost parcels.", 1),
        ("int", "There are 2", 1),
    ],
)
async def test_with_tools_a_text_that_announces_a_call_is_no_list(
    endpoint: Endpoint, tmp_path: Path, kind: str, said: str, rounds: int
) -> None:
    def find(what: str) -> str:
        """Find a parcel."""
        return what

    endpoint.answer = lambda body, number: chat(said if number == 1 else '["lost"]')
    made = start(TEXT, queue=kind)
    tooled = {name: told.model_copy(update={"tools": ("find",)}) for name, told in made.parameters.items()}
    flow = fb.Flow(made.model_copy(update={"parameters": tooled}), lm="openai/gpt-x", cache_dir=tmp_path, tools=[find])
    found = await flow.acall(**GIVEN)
    assert len(endpoint.bodies) == rounds
    assert found["queue"] == {"list[str]": ["lost"], "str": "Lost parcels.", "int": 2}[kind]


async def test_a_refusal_is_no_answer(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.answer = lambda body, number: chat(None, refusal="I will not say a")
    with pytest.raises(fb.ModelError, match="refused"):
        await ran(start(TEXT, queue="str"), tmp_path)


async def test_for_several_outputs_the_schema_is_sent_beside_the_users_bytes(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    endpoint.answer = lambda body, number: chat('Here: {"queue": "a", "urgent": true}')
    assert await ran(start(TEXT, queue="str", urgent="bool"), tmp_path) == {"queue": "a", "urgent": True}
    (body,) = endpoint.bodies
    assert body["messages"] == [{"role": "user", "content": TEXT.format(**GIVEN)}]
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["queue", "urgent"]


async def test_a_lone_object_has_its_own_schema(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.answer = lambda body, number: chat('{"a": 1}')
    assert await ran(start(TEXT, queue="{a: int}"), tmp_path) == {"queue": {"a": 1}}
    assert list(endpoint.bodies[0]["response_format"]["json_schema"]["schema"]["properties"]) == ["a"]


async def test_where_there_is_no_schema_it_is_told_in_one_last_part(
    endpoint: Endpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(body: Body, number: int) -> Any:
        formatted = "response_format" in body or "tools" in body
        return (
            error(400, "response_format and tools are not supported") if formatted else chat('{"queue": "a", "n": 1}')
        )

    endpoint.answer = answer
    system = '[{"role": "system", "content": "Be kind."}, {"role": "user", "content": "{subject} {body}"}]'
    assert await ran(start(system, queue="str", n="int"), tmp_path) == {"queue": "a", "n": 1}
    first, last = endpoint.bodies[-1]["messages"]
    assert first["content"] == "Be kind."
    said = "Lost {parcel} Where\n  is it?\n\nReply with JSON alone, by this JSON schema: "
    assert last["content"].startswith(said)
    assert json.loads(last["content"].removeprefix(said))["required"] == ["queue", "n"]
    assert any("no JSON schema" in record.message for record in caplog.records)


PROMPT = LLMParameters.model_validate(
    {
        "messages": [
            {"role": "system", "parts": ["For ", {"ref": "who"}]},
            {"role": "user", "parts": ["Q: ", {"ref": "note"}, "\nA:"]},
        ]
    }
)
NODE = LLMNode(inputs={"note": "note", "who": "who"}, out={})
VALUES = {"note": "x", "who": "me"}


def test_demonstrations_are_turns_in_the_layout_of_the_request() -> None:
    shown = tuple(
        Demonstration(inputs={"note": n, "who": "you"}, outputs={"n": len(n)}, example=n) for n in ("one", "three")
    )
    told = PROMPT.model_copy(update={"demonstrations": shown})
    asked = messages(NODE, told, VALUES, [Field.of("n", "int")], leave_out="one")
    assert asked == (
        Message("system", "For me"),
        Message("user", "Q: three\nA:\n\nwho: you"),
        Message("assistant", "5"),
        Message("user", "Q: x\nA:"),
    )


def test_a_hint_is_one_last_part_with_the_shape_where_there_are_several_outputs() -> None:
    told = PROMPT.model_copy(update={"format_hint": "Think first."})
    one = messages(NODE, told, VALUES, [Field.of("n", "int")])
    assert one[-1].content == "Q: x\nA:\n\nThink first."
    two = messages(NODE, told, VALUES, [Field.of("why", "str"), Field.of("n", "int")])
    assert two[-1].content == 'Q: x\nA:\n\nThink first.\nReply with JSON: {"why": string, "n": integer}'
    assert messages(NODE, PROMPT, VALUES, [Field.of("why", "str"), Field.of("n", "int")])[-1].content == "Q: x\nA:"


def test_the_key_of_every_other_request_is_what_it_was() -> None:
    plain = Request((Message("user", "hi"),), 5)
    assert plain.dump().keys() == {"messages", "max_tokens", "temperature"}
    assert replace(plain, own_words=True).dump() == {**plain.dump(), "own_words": True}


def test_values_are_never_templates() -> None:
    asked = messages(NODE, PROMPT, {"note": "{who}", "who": ["é", 1]}, [Field.of("n", "str")])
    assert [each.content for each in asked] == ['For ["é", 1]', "Q: {who}\nA:"]
