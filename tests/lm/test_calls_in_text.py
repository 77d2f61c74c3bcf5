"""Tool calls that a model wrote as text: each family's form, over the wire, and texts that are none."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial

import pytest
from endpoint_help import asking, http, said
from hypothesis import given
from hypothesis import strategies as st

from flowbot.fields import Field, ToolSignature, Usage
from flowbot.lm.answers import AnswerError
from flowbot.lm.calls_in_text import split_calls
from flowbot.lm.client import Message, Reply, Request, ToolUse
from flowbot.lm.json_tools import from_json

SEARCH = ToolSignature(
    "search",
    "Find pages.",
    (Field.of("query", "str"), Field.of("limit", "int")),
    (Field.of("result", "str"),),
    optional=frozenset({"limit"}),
)
NOW = ToolSignature("now", "", (), (Field.of("result", "str"),))
TOOLS = (SEARCH, NOW)
ASKED = Request((Message("system", "Answer."), Message("user", "Who?")), 50, tools=TOOLS)
X = ToolUse("search", '{"query": "x"}')
XML = "<parameter=query>\nx\n</parameter>"
FORMS = {
    "tags": '<tool_call>\n{"name": "search", "arguments": {"query": "x"}}\n</tool_call>',
    "tags, not closed": '<tool_call>{"name": "search", "arguments": {"query": "x"}}',
    "tags, with words after": '<tool_call>{"name": "search", "arguments": {"query": "x"}}</tool_call> Now search runs.',
    "parameters": '<|python_tag|>{"name": "search", "parameters": {"query": "x"}}<|eom_id|>',
    "Python behind a tag": '<|python_tag|>search.call(query="x")',
    "a list behind a mark": '[TOOL_CALLS] [{"name": "search", "arguments": {"query": "x"}}]',
    "a name behind a mark": '[TOOL_CALLS]search[ARGS]{"query": "x"}',
    "XML": f"<tool_call>\n<function=search>\n{XML}\n</function>\n</tool_call>",
    "XML without its first tag": f"<function=search>\n{XML}\n</function>\n</tool_call>",
    "XML around JSON": '<function=search>{"query": "x"}</function>',
    "XML that is not quite": '<function=search{"query": "x"}</function>',
    "invoked": '<function_calls>\n<invoke name="search">\n<parameter name="query">x</parameter>\n</invoke>',
    "keys and values": "<tool_call>search\n<arg_key>query</arg_key>\n<arg_value>x</arg_value>\n</tool_call>",
    "tokens": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>search\n```json\n"
    '{"query": "x"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    "numbered": "<|tool_calls_section_begin|><|tool_call_begin|>functions.search:0<|tool_call_argument_begin|>"
    '{"query": "x"}<|tool_call_end|>',
    "an action": '<|START_ACTION|>[{"tool_name": "search", "parameters": {"query": "x"}}]<|END_ACTION|>',
    "Python in a block": '```tool_code\nprint(search(query="x"))\n```',
    "an action in words": 'Action: search\nAction Input: {"query": "x"}',
}
ALONE = {
    "JSON": '{"name": "search", "arguments": {"query": "x"}}',
    "JSON with parameters": '{"name": "search", "parameters": {"query": "x"}}',
    "JSON with a type": '{"type": "function", "name": "search", "parameters": {"query": "x"}}',
    "JSON within JSON": '{"tool_calls": [{"function": {"name": "search", "arguments": "{\\"query\\": \\"x\\"}"}}]}',
    "a fenced block": '```json\n[{"name": "search", "arguments": {"query": "x"}}]\n```',
    "Python": '[search(query="x")]',
    "a channel": "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary to=functions.search "
    '<|constrain|>json<|message|>{"query": "x"}<|call|>',
    "after a thought": '<think>now or search?</think>{"name": "search", "arguments": {"query": "x"}}',
}


@pytest.mark.parametrize("text", [*FORMS.values(), *ALONE.values()], ids=[*FORMS, *ALONE])
async def test_a_call_in_text_is_a_call(text: str) -> None:
    async with asking(http(said(text))) as (lm, _):
        reply = await lm.ask(ASKED, purpose="train")
    assert (reply.text, reply.calls) == ("", (X,))


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS.keys())
async def test_a_sentence_before_it_is_kept(text: str) -> None:
    async with asking(http(said(f"I look it up.\n{text}"))) as (lm, _):
        reply = await lm.ask(ASKED, purpose="train")
    assert (reply.text, reply.calls) == ("I look it up.", (X,))


@pytest.mark.parametrize("text", [*FORMS.values(), *ALONE.values()], ids=[*FORMS, *ALONE])
def test_a_call_in_the_models_own_form_is_one_where_json_was_asked_for(text: str) -> None:
    assert from_json(Reply(text, "stop", Usage(calls=1), 0.0), ASKED).calls == (X,)


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("<tool_call>now</tool_call>", (ToolUse("now", "{}"),)),
        (
            '<tool_call>{"name": "search", "arguments": {"query": "x"}}</tool_call>\n<tool_call>now</tool_call>',
            (X, ToolUse("now", "{}")),
        ),
        (
            '{"name": "search", "parameters": {"query": "x"}}; {"name": "now", "parameters": {}}',
            (X, ToolUse("now", "{}")),
        ),
        ('[search("x", 3), now()]', (ToolUse("search", '{"query": "x", "limit": 3}'), ToolUse("now", "{}"))),
        (
            "<function=search>\n<parameter=query>\n12\n</parameter>\n<parameter=limit>\n3\n</parameter>\n</function>",
            (ToolUse("search", '{"query": "12", "limit": 3}'),),
        ),
        ('<tool_call>{"name": "find", "arguments": {"query": "x"}}</tool_call>', (ToolUse("find", '{"query": "x"}'),)),
    ],
)
def test_several_calls_their_types_and_tools_that_there_are_not(text: str, calls: tuple[ToolUse, ...]) -> None:
    assert split_calls(text, TOOLS) == ("", calls)


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>{"name": "search", "arguments": {"query": "x',
        "I look.\n<tool_call>{'name': 'search', 'arguments': {'query': x}}</tool_call>",
        "<|python_tag|>search(query=",
    ],
)
def test_a_call_that_cannot_be_read_is_not_the_answer(text: str) -> None:
    _, (call,) = split_calls(text, TOOLS)
    assert call.name == ""
    assert call.arguments in text


@pytest.mark.parametrize(
    "text",
    [
        "Pears.",
        '{"name": "search"}',
        '{"name": "Ann", "arguments": {}}',
        'I call {"name": "search", "arguments": {}}',
        "To search, write <tool_call> tags.",
        "The mark <tool_call> opens a call (search is a tool).",
        "Paris [TOOL_CALLS]",
        "[1] see search (page 3)",
        '["search(x)"]',
        '<think>Should I <tool_call>{"name": "search", "arguments": {}}</tool_call>?</think>Paris',
    ],
)
def test_a_text_that_is_no_call_stays_whole(text: str) -> None:
    assert split_calls(text, TOOLS) == (text, ())


@given(st.text(max_size=60), st.sampled_from([*FORMS.values(), "<tool_call>", "[TOOL_CALLS]", "<function=", "to="]))
def test_any_text_is_read(text: str, mark: str) -> None:
    for each in (text, mark + text, text + mark):
        _, calls = split_calls(each, TOOLS)
        assert all(isinstance(json.dumps(asdict(call)), str) for call in calls)


async def test_where_calls_are_over_a_call_is_not_the_answer() -> None:
    last = Request(ASKED.messages, 50, tools=TOOLS, tool_choice="none")
    from flowbot.lm.answers import ask_fields

    text = [Field.of("text", "str")]
    for answers, found in (([FORMS["tags"], "Pears."], "Pears."), ([FORMS["XML"]], None)):
        async with asking(*(http(said(each)) for each in answers)) as (lm, endpoint):
            if found is None:
                with pytest.raises(AnswerError, match="calls a tool, and no calls are left"):
                    await ask_fields(partial(lm.ask, purpose="train"), last, text, retries=1)
            else:
                answer = await ask_fields(partial(lm.ask, purpose="train"), last, text, retries=1)
                assert answer.values == {"text": found}
            assert len(endpoint.bodies) == 2


async def test_a_call_as_calls_once_were_sent_is_one() -> None:
    body = said(None, message={"content": None, "function_call": {"name": "search", "arguments": '{"query": "x"}'}})
    async with asking(http(body)) as (lm, _):
        assert (await lm.ask(ASKED, purpose="train")).calls == (X,)
