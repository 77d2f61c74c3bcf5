"""Tool calls by constrained JSON: what is asked, what is read, and that no text of a model breaks it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lm_helpers import make_lm, reply

from flowbot.fields import Field, ToolSignature, Usage
from flowbot.lm.budget import Budget
from flowbot.lm.capabilities import Capabilities, is_strict
from flowbot.lm.client import Message, Reply, Request, ToolUse
from flowbot.lm.json_tools import as_json, calls_schema, finish_name, from_json, tool_line
from flowbot.lm.rows import read_reply


def tool(name: str, about: str = "", *, optional: frozenset[str] = frozenset(), **inputs: str) -> ToolSignature:
    taken = tuple(Field.of(key, text) for key, text in inputs.items())
    return ToolSignature(name, about, taken, (Field.of("result", "str"),), optional=optional)


SEARCH = tool("search", "Find\npages.", query="str", limit="int", optional=frozenset({"limit"}))
NOW = tool("now")
ASKED = Request((Message("system", "Answer."), Message("user", "Who?")), 50, tools=(SEARCH, NOW))
FINAL = Request(ASKED.messages, 50, tools=ASKED.tools, tool_choice="none")


def written(name: str, arguments: Any = None, thought: str = "hm") -> str:
    return json.dumps({"thought": thought, "call": {"name": name, "arguments": arguments or {}}})


def read(text: str, request: Request = ASKED, finish: Any = "stop") -> Reply:
    return from_json(Reply(text, finish, Usage(calls=1), 0.0), request)


def test_a_request_without_tools_stays_as_it_is() -> None:
    plain = Request((Message("user", "Who?"),), 50)
    assert as_json(plain) is plain
    assert read("text", plain).text == "text"


def test_a_tool_is_one_line() -> None:
    assert tool_line(SEARCH) == "search(query: str, limit: int = default): Find pages."
    assert tool_line(NOW) == "now()"


def test_the_schema_has_one_closed_alternative_a_tool_and_one_to_finish() -> None:
    schema = calls_schema([SEARCH, NOW])
    ways = schema["properties"]["call"]["anyOf"]
    assert [way["properties"]["name"]["enum"] for way in ways] == [["search"], ["now"], ["finish"]]
    assert ways[0]["properties"]["arguments"]["required"] == ["query"]
    assert [list(way["properties"]) for way in ways[1:]] == [["name"], ["name"]]
    assert list(schema["properties"]) == ["thought", "call"]
    assert all(is_strict(way) for way in ways[1:])
    assert all(way["additionalProperties"] is False for way in [schema, *ways])


def test_a_tool_may_be_called_finish() -> None:
    own = tool("finish")
    asked = Request(ASKED.messages, 50, tools=(own,))
    assert finish_name([own]) == "finish_"
    assert read(written("finish"), asked).calls == (ToolUse("finish", "{}"),)
    assert read(written("finish_"), asked).ready


def test_what_is_constant_comes_first_and_is_the_same_in_every_round() -> None:
    use = ToolUse("search", '{"query": "a"}')
    later = (*ASKED.messages, Message("assistant", "look", (use, use)), Message("tool", "A"), Message("tool", "B"))
    first, second = as_json(ASKED), as_json(Request(later, 50, tools=ASKED.tools))
    final = as_json(Request((*later, Message("assistant", "ok"), Message("user", "Answer")), 50, tools=ASKED.tools))
    assert second.messages[:2] == first.messages == final.messages[:2]
    assert final.messages[: len(second.messages)] == second.messages
    assert first.messages[0].content.startswith("Answer.\n\n")
    assert tool_line(SEARCH) in first.messages[0].content
    assert not any(message.calls or message.role == "tool" for message in final.messages)
    assert [message.role for message in second.messages[2:]] == ["assistant", "user", "assistant", "user"]
    assert json.loads(second.messages[2].content)["call"] == {"name": "search", "arguments": {"query": "a"}}
    assert json.loads(second.messages[2].content)["thought"] == "look"
    assert "B" in second.messages[5].content


def test_without_a_system_message_one_is_put_before() -> None:
    flat = as_json(Request((Message("user", "Who?"),), 50, tools=(NOW,)))
    assert [message.role for message in flat.messages] == ["system", "user"]


@pytest.mark.parametrize(
    ("text", "use", "thought"),
    [
        (written("search", {"query": "é"}), ToolUse("search", '{"query": "é"}'), "hm"),
        (written("now"), ToolUse("now", "{}"), "hm"),
        ('<think>x</think>\n```json\n{"call": {"name": "now"}}\n```', ToolUse("now", "{}"), ""),
        ('{"name": "search", "arguments": {"query": "x"}}', ToolUse("search", '{"query": "x"}'), ""),
        ('{"call": "search", "arguments": {"query": "x"}}', ToolUse("search", '{"query": "x"}'), ""),
        ("{'thought': 'hm', 'call': {'name': 'now',}}", ToolUse("now", "{}"), "hm"),
        (written("no such"), ToolUse("no such", "{}"), "hm"),
    ],
)
def test_a_call_is_read(text: str, use: ToolUse, thought: str) -> None:
    found = read(text)
    assert (found.calls, found.text, found.ready) == ((use,), thought, False)


def test_a_model_that_knows_enough_says_so() -> None:
    found = read(written("finish", thought="it is Ann"))
    assert (found.ready, found.calls, found.text) == (True, (), "it is Ann")


def test_prose_is_an_answer_and_broken_json_an_unreadable_call() -> None:
    assert (read("It is Ann.").text, read("It is Ann.").calls) == ("It is Ann.", ())
    assert read('{"thought": "x"}').calls == (ToolUse("", '{"thought": "x"}'),)
    assert read('{"thought": "x", "call": 3}').calls[0].name == ""


def test_a_call_that_was_cut_is_not_mended() -> None:
    cut = written("search", {"query": "all the pears"})[:-12]
    assert read(cut).calls[0].name == "search"
    assert read(cut, finish="length").calls == (ToolUse("", cut),)


def test_an_answer_in_text_is_asked_for_by_schema_and_taken_out() -> None:
    flat = as_json(FINAL)
    assert flat.schema is not None
    assert list(flat.schema["properties"]) == ["answer"]
    assert read('{"answer": "Ann"}', FINAL).text == "Ann"
    assert read('{"answer": "Ann and', FINAL, finish="length").text == "Ann and"
    assert read("Ann", FINAL).text == "Ann"
    wanted = Request(FINAL.messages, 50, schema={"type": "object"}, tools=FINAL.tools, tool_choice="none")
    assert as_json(wanted).schema == {"type": "object"}
    assert read('{"answer": "Ann"}', wanted).text == '{"answer": "Ann"}'


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["call", "name", "arguments"]), inner),
    max_leaves=8,
)


@given(st.one_of(st.text(), _json.map(json.dumps)), st.sampled_from(["stop", "length", "refusal"]), st.booleans())
def test_whatever_a_model_writes_is_read_and_can_be_told_back(text: str, finish: Any, final: bool) -> None:
    request = FINAL if final else ASKED
    found = read(text, request, finish)
    if found.calls:
        said = Message("assistant", found.text, found.calls)
        more = Request((*request.messages, said, Message("tool", "x")), 50, tools=request.tools)
        assert len(as_json(more).messages) == 4
        assert read_reply(json.loads(json.dumps(found.dump()))) == found


async def test_the_worst_case_of_a_call_counts_the_tools() -> None:
    big = tool("big", "x" * 3000)
    asked = Request((Message("user", "Who?"),), 50, tools=(big,))
    read_in = sum(len(message.content) for message in as_json(asked).messages)
    lm = make_lm(lambda request, number: reply("ok", read=read_in), budget=Budget(tokens=10_000))
    reserved: list[Usage] = []
    inner = lm.session.budget.try_reserve

    def try_reserve(worst: Usage) -> Any:
        reserved.append(worst)
        return inner(worst)

    lm.session.budget.try_reserve = try_reserve  # type: ignore[method-assign]
    await lm.ask(asked, purpose="train")
    assert read_in > 3000
    assert reserved[0].input_tokens >= read_in
    await lm.close()


def test_capabilities_of_before_are_still_read() -> None:
    old = {"reply_format": "tool", "temperature": False, "seed": True, "max_tokens": "max_tokens"}
    assert Capabilities.load(old) == Capabilities(reply_format="tool", temperature=False)
    assert Capabilities.load({**old, "tools": "by pigeon"}) is None
    kept = Capabilities(tools="json")
    assert Capabilities.load(kept.dump()) == kept
