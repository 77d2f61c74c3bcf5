"""Recorded replies: found by content, refused with the nearest where missing, recorded once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowbot.fields import Field, ToolSignature, UserError
from flowbot.lm.client import Client, Message, Request, ToolUse
from flowbot.testing.fake import FakeClient
from flowbot.testing.recorded import open_recorded


def ask(text: str, *, seed: int | None = None, **more: object) -> Request:
    messages = (Message("system", "Answer in a word.\nBe kind."), Message("user", text))
    return Request(messages, 20, seed=seed, **more)  # pyright: ignore[reportArgumentType]


def none(model: str) -> Client:
    raise AssertionError(f"opened {model}")


def recorder() -> FakeClient:
    return FakeClient(lambda request: f"{request.messages[-1].content}! {request.seed}", name="shouter", latency=0.5)


async def test_what_was_recorded_is_answered_without_the_source(tmp_path: Path):
    file = tmp_path / "sub" / "r.jsonl"
    source = recorder()
    asked: list[str] = []

    def opener(model: str) -> Client:
        asked.append(model)
        return source

    recording = open_recorded(f"{file}?record=fake/shouter?latency=0.5&seed=1", opener)
    requests = [ask("hé"), ask("ho"), ask("ho", seed=1), ask("ho", schema={"type": "object"}), ask("hé")]
    live = [await recording.complete(request) for request in requests]
    await recording.close()
    assert asked == ["fake/shouter?latency=0.5&seed=1"]
    assert recording.identity == source.identity
    assert source.calls == 4  # what the file has is not asked again
    assert len(file.read_text(encoding="utf-8").splitlines()) == 4

    replay = open_recorded(str(file), none)
    assert [await replay.complete(request) for request in requests] == live
    assert live[1].text == "ho! None"
    assert live[2].text == "ho! 1"
    assert replay.price_ref == "free"


async def test_a_miss_names_the_nearest_request_and_what_differs(tmp_path: Path):
    file = tmp_path / "r.jsonl"
    recording = open_recorded(f"{file}?record=x", lambda model: recorder())
    for text in ("how many apples are there", "what is the capital of France", "name a colour"):
        await recording.complete(ask(text))
    with pytest.raises(UserError) as caught:
        await open_recorded(str(file), none).complete(ask("what is the capital of Spain"))
    text = str(caught.value)
    assert "-what is the capital of France" in text
    assert "+what is the capital of Spain" in text
    assert "apples" not in text
    assert "?record=" in text


async def test_requests_differ_by_the_order_of_a_schemas_properties(tmp_path: Path):
    file = tmp_path / "r.jsonl"
    one = {"properties": {"a": {"type": "string"}, "b": {"type": "string"}}}
    other = {"properties": {"b": {"type": "string"}, "a": {"type": "string"}}}
    recording = open_recorded(f"{file}?record=x", lambda model: recorder())
    await recording.complete(ask("x", schema=one))
    with pytest.raises(UserError):
        await open_recorded(str(file), none).complete(ask("x", schema=other))


async def test_the_identity_follows_the_content_not_the_place(tmp_path: Path):
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        recording = open_recorded(f"{tmp_path / place / 'r.jsonl'}?record=x", lambda model: recorder())
        await recording.complete(ask("x"))
    first, second = (open_recorded(str(tmp_path / place / "r.jsonl"), none).identity for place in "ab")
    assert first == second
    more = open_recorded(f"{tmp_path / 'b' / 'r.jsonl'}?record=x", lambda model: recorder())
    await more.complete(ask("y"))
    assert open_recorded(str(tmp_path / "b" / "r.jsonl"), none).identity != first


@pytest.mark.parametrize("line", ["{", "[]", '{"request": {}}', '{"request": 3, "reply": {}}', '"x"'])
def test_a_malformed_line_is_named(tmp_path: Path, line: str):
    file = tmp_path / "r.jsonl"
    reply = {"text": "", "finish": "stop", "usage": {}, "seconds": 0}
    file.write_text(json.dumps({"request": {"messages": []}, "reply": reply}) + f"\n{line}\n")
    with pytest.raises(UserError, match=r"r\.jsonl:2: "):
        open_recorded(str(file), none)


@pytest.mark.parametrize(("rest", "part"), [("gone.jsonl", "no such file"), ("", "no file"), ("x?y=1", "'y'")])
def test_wrong_use_is_a_users_error(rest: str, part: str):
    with pytest.raises(UserError, match=part):
        open_recorded(rest, none)


async def test_calls_are_recorded_and_told_apart_by_tools_and_results(tmp_path: Path):
    file = tmp_path / "r.jsonl"
    tool = ToolSignature("look", "", (Field.of("at", "str"),), (Field.of("result", "str"),))
    use = ToolUse("look", '{"at": "sky"}')
    source = FakeClient(lambda request: [use] if len(request.messages) == 1 else request.messages[-1].content)
    first = Request((Message("user", "?"),), 20, tools=(tool,))
    told = [
        Request((*first.messages, Message("assistant", "", (use,)), Message("tool", sky)), 20, tools=(tool,))
        for sky in ("blue", "grey")
    ]
    recording = open_recorded(f"{file}?record=fake/x", lambda model: source)
    live = [await recording.complete(each) for each in (first, *told)]
    replay = open_recorded(str(file), none)
    assert [await replay.complete(each) for each in (first, *told)] == live
    assert live[0].calls == (use,)
    assert [reply.text for reply in live[1:]] == ["blue", "grey"]
    with pytest.raises(UserError, match="no reply to this request"):
        await replay.complete(Request(first.messages, 20))
