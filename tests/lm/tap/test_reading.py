"""Requests and replies as programs' clients write and get them, read: who is asked, what is said, what it took."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest
from tap_help import chat, chat_events, events, message, message_events, response

from flowbot.fields import InfrastructureError, UserError
from flowbot.fields.secrets import declare
from flowbot.lm.client import Reply, ToolUse, request_bytes
from flowbot.lm.rows import read_row
from flowbot.lm.tap.asked import Answer, Asked, read_asked
from flowbot.lm.tap.replies import read_reply

OPENAI = "https://api.openai.com/v1"
QUESTION: list[Any] = [{"role": "user", "content": [{"type": "text", "text": "Who?"}]}]


def asked(path: str = "chat/completions", *, base: str = OPENAI, headers: Any = None, **body: Any) -> Asked:
    body = {"model": "gpt-x", "messages": QUESTION, **body}
    found = read_asked(f"{base}/{path}", headers or {}, json.dumps(body).encode(), max_reply=lambda who: 1000)
    assert found is not None
    return found


def replied(body: Any, path: str = "chat/completions", *, kind: str = "application/json") -> Reply:
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return read_reply(asked(path), Answer(200, {"content-type": kind}, data), 0.5)


def streamed(each: Any, path: str = "chat/completions") -> Reply:
    return replied(str(events(each).text), path, kind="text/event-stream")


@pytest.mark.parametrize(
    ("reply", "tokens"),
    [
        (replied(chat("hi")), (12, 3, 0)),
        (replied(message("hi"), "messages"), (12, 4, 5)),
        (replied(response("hi"), "responses"), (8, 5, 2)),
        (streamed(message_events("hi"), "messages"), (7, 9, 0)),
        (streamed([{"type": "response.completed", "response": response("hi")}], "responses"), (8, 5, 2)),
        (streamed([*chat_events("hi")[:2], {"choices": [], "usage": chat("")["usage"]}, "[DONE]"]), (12, 3, 0)),
    ],
)
def test_text_and_tokens_of_each_dialect(reply: Reply, tokens: tuple[int, int, int]) -> None:
    assert (reply.text, reply.finish, reply.estimated) == ("hi", "stop", False)
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.cached_tokens) == tokens
    assert read_row(json.loads(json.dumps(reply.dump()))).answer() == reply


def test_tool_calls_of_each_dialect() -> None:
    use, item = (
        {"type": "tool_use", "id": "t", "name": "look", "input": {"q": "a"}},
        {"name": "look", "arguments": '{"q": "a"}'},
    )
    parts = [
        {"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"name": "look", "arguments": '{"q": '}}]}},
        {
            "index": 0,
            "delta": {"tool_calls": [{"index": 0, "function": {"arguments": '"a"}'}}]},
            "finish_reason": "tool_calls",
        },
    ]
    start = {"type": "content_block_start", "index": 1, "content_block": {**use, "input": {}}}
    delta = {
        "type": "content_block_delta",
        "index": 1,
        "delta": {"type": "input_json_delta", "partial_json": '{"q": "a"}'},
    }
    whole = message_events("")
    found = [
        replied(chat("", tool_calls=[{"id": "t", "type": "function", "function": item}])),
        replied({**message(""), "content": [use]}, "messages"),
        replied({**response(""), "output": [{"type": "function_call", "call_id": "t", **item}]}, "responses"),
        streamed([{"choices": [each]} for each in parts]),
        streamed([*whole[:4], start, delta, *whole[4:]], "messages"),
    ]
    assert [each.calls for each in found] == [(ToolUse("look", '{"q": "a"}'),)] * 5


def test_who_is_asked_and_what_is_said() -> None:
    here = asked(instructions="Be brief.", n=3, max_tokens=50)
    assert (here.identity.provider, here.identity.base_url, here.identity.name) == ("openai", OPENAI, "gpt-x")
    assert [(each.role, each.content) for each in here.messages] == [("system", "Be brief."), ("user", "Who?")]
    assert here.max_tokens == 150
    assert asked().max_tokens == 1000
    azure = asked(base="https://me.openai.azure.com/openai/deployments/d", model=None)
    assert azure.identity.provider == "azure"
    assert asked("messages", base="http://gateway/v1").identity.provider == "anthropic"


@pytest.mark.parametrize(
    ("more", "same"),
    [
        ({"user": "u", "metadata": {"a": "1"}, "service_tier": "flex"}, True),
        ({"stream": True}, False),
        ({"temperature": 0.5}, False),
        ({"base": "https://other/v1"}, False),
        ({"headers": {"anthropic-beta": "x"}}, False),
        ({"headers": {"authorization": "Bearer other"}}, True),
    ],
)
def test_what_makes_a_request_another(more: dict[str, Any], same: bool) -> None:
    one, other = asked(), asked(**more)
    assert ((one.body, one.identity) == (other.body, other.identity)) is same


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("chat/completions", b"no json"),
        ("chat/completions", b"[" * 5000),
        ("threads/t/messages", b'{"role": "user", "content": "hi"}'),
        ("models", b'{"model": "gpt-x"}'),
    ],
)
def test_what_is_no_request_to_a_model_goes_its_way(path: str, body: bytes) -> None:
    assert read_asked(f"{OPENAI}/{path}", {}, body, max_reply=lambda who: 1) is None


@pytest.mark.parametrize(
    "body", ["[]", "no json", "\udcff".encode("utf-8", "surrogateescape").decode("latin-1"), "x" * 3_000_000]
)
def test_garbage_is_a_fault_of_the_endpoint(body: str) -> None:
    with pytest.raises(InfrastructureError):
        replied(body)


def test_a_key_that_an_endpoint_quotes_is_not_kept() -> None:
    declare("a-key-of-the-program-0123")
    reply = replied(chat("your key is a-key-of-the-program-0123"))
    assert reply.raw is not None
    assert "0123" not in reply.raw.body + reply.text
    assert "0123" not in json.dumps(reply.dump())


def test_a_request_that_is_too_long_to_be_counted_is_refused() -> None:
    with pytest.raises(UserError, match="a request of 9,000,"):
        asked(messages=[{"role": "user", "content": "a" * 9_000_000}])


def test_each_of_several_prompts_is_answered() -> None:
    texts = asked("completions", prompt=["a", "b", "c"], max_tokens=10, n=2)
    tokens = asked("completions", prompt=[1, 2, 3], max_tokens=10, n=2)
    assert (texts.max_tokens, tokens.max_tokens) == (60, 20)


def test_half_a_surrogate_pair_is_a_question_mark() -> None:
    half, whole = chr(0xD83D), chr(0x1F58B)
    found = asked(messages=[{"role": "user", "content": f"a {half} b {whole}"}])
    assert found.messages[0].content == f"a ? b {whole}"
    assert found.body.encode()


@pytest.mark.parametrize("packing", [{"gzip": gzip.compress}, {"deflate": zlib.compress}])
def test_a_packed_body_and_a_trailing_slash_are_read(packing: dict[str, Any]) -> None:
    (name, pack), plain = *packing.items(), asked()
    body = json.dumps(plain.data).encode()
    found = read_asked(
        f"{OPENAI}/chat/completions/", {"content-encoding": name}, pack(body), max_reply=lambda who: 1000
    )
    assert found is not None
    assert (found.body, found.identity) == (plain.body, plain.identity)


@pytest.mark.parametrize(("name", "body"), [("br", b"{}"), ("gzip", b"{}"), ("gzip", gzip.compress(b" " * 9_000_000))])
def test_a_body_that_cannot_be_unpacked_is_not_sent(name: str, body: bytes) -> None:
    with pytest.raises(UserError, match="packed as"):
        read_asked(f"{OPENAI}/chat/completions", {"content-encoding": name}, body, max_reply=lambda who: 1)


IMAGE = {"type": "image_url", "image_url": {"url": "https://a/b.png"}}
FILE = {"type": "input_file", "file_id": "f"}


@pytest.mark.parametrize(
    ("more", "tokens"),
    [
        ({"messages": [{"role": "user", "content": 'a "type": "image"'}]}, 0),
        ({"messages": [{"role": "user", "content": [IMAGE, IMAGE]}]}, 12_000),
        ({"messages": [{"role": "user", "content": [IMAGE]}], "model": "gpt-4o-mini-2024"}, 50_000),
        ({"messages": [{"role": "user", "content": [IMAGE, FILE]}]}, 128_000),
        ({"previous_response_id": "resp_1"}, 128_000),
    ],
)
def test_what_is_no_text_of_a_request_is_reserved_for(more: dict[str, Any], tokens: int) -> None:
    found = asked(**more)
    assert request_bytes(found) == 64 + len(found.body.encode()) + tokens


GOOGLE = "https://generativelanguage.googleapis.com/v1beta"
CONTENTS: Any = {
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "contents": [{"role": "user", "parts": [{"text": "Who?"}]}, {"role": "model", "parts": [{"text": "Me."}]}],
    "generationConfig": {"maxOutputTokens": 9, "temperature": 0},
}
CALL = {"functionCall": {"name": "look", "args": {"q": "a"}}}
USED = {"promptTokenCount": 7, "candidatesTokenCount": 4, "thoughtsTokenCount": 2, "totalTokenCount": 13}


def google(way: str, body: Any, kind: str = "application/json") -> Reply:
    found = read_asked(
        f"{GOOGLE}/models/gemini-2.5-flash:{way}", {}, json.dumps(CONTENTS).encode(), max_reply=lambda who: 1
    )
    assert found is not None
    assert (found.identity.provider, found.identity.name) == ("gemini", "gemini-2.5-flash")
    assert [(each.role, each.content) for each in found.messages] == [
        ("system", "Be brief."), ("user", "Who?"), ("assistant", "Me."),
    ]  # fmt: skip
    assert (found.max_tokens, found.temperature, found.streamed) == (9, 0, way != "generateContent")
    return read_reply(found, Answer(200, {"content-type": kind}, body.encode()), 0.5)


def test_googles_own_protocol_is_read() -> None:
    first = {"candidates": [{"content": {"parts": [{"text": "hm", "thought": True}, {"text": "words"}]}}]}
    last = {"candidates": [{"content": {"parts": [CALL]}, "finishReason": "MAX_TOKENS"}], "usageMetadata": USED}
    parts = [part for each in (first, last) for part in each["candidates"][0]["content"]["parts"]]
    whole = {**last, "candidates": [{"content": {"parts": parts}, "finishReason": "MAX_TOKENS"}]}
    streamed = "".join(f"data: {json.dumps(each)}\n\n" for each in (first, last))
    for reply in (
        google("generateContent", json.dumps(whole)),
        google("streamGenerateContent", streamed, "text/event-stream"),
        google("streamGenerateContent", json.dumps([first, last])),
    ):
        assert (reply.text, reply.finish, reply.calls) == ("words", "length", (ToolUse("look", '{"q": "a"}'),))
        assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.thought) == (7, 6, 2)
    with pytest.raises(InfrastructureError, match="broke off"):
        google("streamGenerateContent", json.dumps([first]))
    blocked = google("generateContent", json.dumps({"promptFeedback": {"blockReason": "SAFETY"}}))
    assert (blocked.text, blocked.finish) == ("", "refusal")
