"""A model that calls tools and then answers: both forms of calls, every kind of wrong call, and the bound."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any, Literal

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbot.fields import BudgetExceeded, Field, InfrastructureError, ModelError, RefusedError, Usage, UserError
from flowbot.lm.budget import Budget
from flowbot.lm.client import TOO_LONG, Identity, Message, Patience, Reply, Request, ToolUse
from flowbot.lm.lm import LM
from flowbot.lm.openai import OpenAIClient
from flowbot.lm.retry import RetryPolicy
from flowbot.lm.session import Session
from flowbot.lm.wire import Wire
from flowbot.runtime.react import CALLS_AT_ONCE, RESULT_CHARACTERS, Reacted, react
from flowbot.runtime.tools import ToolRunner
from flowbot.store import Store
from flowbot.task import Tool, tool_of
from flowbot.testing.fake import FakeClient, open_fake

QUESTION = (Message("system", "Answer."), Message("user", "How many pears?"))
TOTAL = [Field.of("total", "int")]
TEXT = [Field.of("text", "str")]


def count(what: str, extra: int = 0) -> int:
    """Counts things."""
    return len(what) + extra


def broken(what: str) -> str:
    raise ValueError(f"no {what} here")


def long(size: int) -> str:
    return "x" * size


def use(name: str = "count", **arguments: Any) -> ToolUse:
    return ToolUse(name, json.dumps(arguments))


class ScriptedModel(FakeClient):
    """Replies in this order, then `last` for ever; keeps what it was asked."""

    def __init__(self, *script: Any, last: Any = "42", tools: Literal["native", "json"] = "native") -> None:
        super().__init__(self._next, tools=tools)
        self.script = list(script)
        self.last = last
        self.asked: list[Request] = []

    def _next(self, request: Request) -> Any:
        self.asked.append(request)
        answer = self.script.pop(0) if self.script else self.last
        if isinstance(answer, Exception):
            raise answer
        return answer


async def run(
    model: Any,
    fields: Sequence[Field] = TOTAL,
    *,
    tools: Sequence[Callable[..., Any] | Tool] = (count, broken, long),
    allowed: Sequence[str] | None = None,
    rounds: int = 4,
    budget: Budget | None = None,
    session: Session | None = None,
    max_tokens: int = 200,
) -> Reacted:
    made = {tool.signature.name: tool for tool in map(tool_of, tools)}
    lm = LM(model, session or Session(Store.memory(), budget or Budget()), retry=RetryPolicy(tries=1))
    try:
        return await react(
            lm,
            ToolRunner(made, None),
            {name: tool.signature for name, tool in made.items()},
            QUESTION,
            fields,
            allowed=list(made) if allowed is None else allowed,
            rounds=rounds,
            purpose="train",
            draw=(),
            max_tokens=max_tokens,
            temperature=0.0,
        )
    finally:
        await lm.close()


async def test_calls_a_tool_reads_its_result_and_answers() -> None:
    model = ScriptedModel([use(what="pear")], {"total": 4})
    ran = await run(model)
    assert (ran.values, ran.error) == ({"total": 4}, "")
    (call,) = ran.calls
    assert (call.tool, call.arguments, call.result, call.error) == ("count", {"what": "pear"}, {"result": 4}, "")
    assert ran.messages == (*QUESTION, Message("assistant", "", (use(what="pear"),)), Message("tool", "4"))
    assert len(ran.replies) == 2
    assert [tool.name for tool in model.asked[0].tools] == ["count", "broken", "long"]


async def test_only_the_tools_allowed_are_offered_and_called() -> None:
    model = ScriptedModel([use("broken", what="x")], {"total": 4})
    ran = await run(model, allowed=["count"])
    assert [tool.name for tool in model.asked[0].tools] == ["count"]
    assert ran.calls[0].result is None
    assert "there is no tool 'broken'; the tools are count" in ran.messages[-1].content


async def test_a_text_is_the_answer_at_once_where_a_text_is_wanted() -> None:
    model = ScriptedModel([use(what="pear")], "four pears")
    assert (await run(model, TEXT)).values == {"text": "four pears"}
    assert len(model.asked) == 2


async def test_what_is_not_the_answer_yet_is_asked_for_by_its_schema() -> None:
    model = ScriptedModel([use(what="pear")], "I count [9] of them, so 4.", {"total": 4})
    ran = await run(model)
    assert ran.values == {"total": 4}
    assert model.asked[-1].schema is not None
    assert model.asked[-1].tool_choice == "none"
    assert [message.role for message in ran.messages[-2:]] == ["assistant", "user"]


async def test_by_json_the_answer_is_asked_for_at_the_end() -> None:
    script = [
        {"thought": "count", "call": {"name": "count", "arguments": {"what": "pear"}}},
        {"thought": "it is 4", "call": {"name": "finish"}},
    ]
    model = ScriptedModel(*script, {"total": 4}, tools="json")
    ran = await run(model)
    assert ran.values == {"total": 4}
    assert [call.result for call in ran.calls] == [{"result": 4}]
    assert not any(request.tools for request in model.asked)
    assert "it is 4" in [message.content for message in ran.messages]
    model = ScriptedModel(*script, {"answer": "four"}, tools="json")
    assert (await run(model, TEXT)).values == {"text": "four"}


async def test_over_the_wire_and_where_the_endpoint_takes_no_tools() -> None:
    bodies: list[dict[str, Any]] = []

    async def handle(asked: web.Request) -> web.Response:
        body = await asked.json()
        bodies.append(body)
        if "tools" in body:
            return web.json_response({"error": {"message": "model does not support tools"}}, status=400)
        text = body["messages"][-1]["content"]
        call = {"name": "finish"} if text.startswith("Result of") else {"name": "count", "arguments": {"what": "pear"}}
        reply = {"total": 4} if text == "Give the answer." else {"thought": "t", "call": call}
        return web.json_response({"choices": [{"message": {"content": json.dumps(reply)}}]})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", handle)
    server = TestServer(app)
    await server.start_server()
    base = str(server.make_url("/v1"))
    ran = await run(OpenAIClient(Identity("x", base, "m"), Wire(base)))
    await server.close()
    assert ran.values == {"total": 4}
    assert [call.result for call in ran.calls] == [{"result": 4}]
    assert ["tools" in body for body in bodies] == [True, False, False, False]


async def test_calls_of_one_reply_are_made_side_by_side_and_told_in_order() -> None:
    begun: list[str] = []
    both = asyncio.Event()

    async def wait(what: str) -> str:
        begun.append(what)
        if len(begun) == 2:
            both.set()
        await both.wait()
        if what == "slow":
            await asyncio.sleep(0)
        return what

    model = ScriptedModel([use("wait", what="slow"), use("wait", what="quick")], {"total": 1})
    ran = await run(model, tools=[wait])
    assert [call.result for call in ran.calls] == [{"result": "slow"}, {"result": "quick"}]
    assert [message.content for message in ran.messages[-2:]] == ["slow", "quick"]


async def test_no_more_than_so_many_calls_at_once() -> None:
    model = ScriptedModel([use(what="x" * n) for n in range(CALLS_AT_ONCE + 2)], {"total": 1})
    ran = await run(model)
    assert [call.result is None for call in ran.calls] == [False] * CALLS_AT_ONCE + [True] * 2
    assert "not made" in ran.messages[-1].content
    assert len([message for message in ran.messages if message.role == "tool"]) == CALLS_AT_ONCE + 2


async def test_the_very_same_call_is_made_once_and_the_model_told_so() -> None:
    made: list[str] = []

    def look(what: str, extra: int = 0) -> int:
        made.append(what)
        return len(made)

    same = ToolUse("look", '{"extra": null, "what": "a"}')
    model = ScriptedModel([use("look", what="a"), same], [same], [use("look", what="b")], {"total": 1})
    ran = await run(model, tools=[look])
    assert made == ["a", "b"]
    assert [call.result for call in ran.calls] == [{"result": 1}, {"result": 1}, {"result": 1}, {"result": 2}]
    told = [message.content for message in ran.messages if message.role == "tool"]
    assert [text.startswith("You have made this very call before") for text in told] == [False, True, True, False]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (use("no_such", what="x"), "there is no tool 'no_such'; the tools are count, broken, long"),
        (ToolUse("", "{"), "no call that can be read"),
        (ToolUse("count", "[3]"), "expected a JSON object of arguments; it takes what (str), extra (int)"),
        (ToolUse("count", "\ud800"), "expected a JSON object"),
        (ToolUse("count", '{"what": "\\ud800"}'), "not valid Unicode"),
        (ToolUse("count", "[" * 100_000), "expected a JSON object"),
        (ToolUse("count", '{"what": "a", "extra": NaN}'), "extra"),
        (use("count"), "what is missing"),
        (use("count", what="a", colour="red"), "colour is unknown"),
        (use("count", what="a", extra="many"), 'extra: found "many"'),
        (use("broken", what="pear"), "ValueError: no pear here"),
    ],
)
async def test_a_call_that_fails_is_told_to_the_model(asked: ToolUse, told: str) -> None:
    ran = await run(ScriptedModel([asked], {"total": 4}))
    assert ran.values == {"total": 4}
    assert ran.calls[0].result is None
    assert told in ran.calls[0].error
    assert told in ran.messages[-1].content
    assert ran.messages[-1].content.startswith("Error: ")


@pytest.mark.parametrize(
    "asked",
    [
        ToolUse("functions.count", '{"what": "pear"}'),
        ToolUse("Count", '{"what": "pear", "extra": null}'),
        ToolUse("count", "{'what': 'pear',}"),
        ToolUse("count", json.dumps('{"what": "pear"}')),
        ToolUse("count", '{"what": "pear", "extra": "0"}'),
    ],
)
async def test_a_call_that_is_nearly_right_is_made(asked: ToolUse) -> None:
    ran = await run(ScriptedModel([asked], {"total": 4}))
    assert ran.calls[0].tool == "count"
    assert ran.calls[0].result == {"result": 4}


async def test_a_call_that_was_cut_is_not_mended() -> None:
    class Cut(FakeClient):
        async def complete(self, request: Request, patience: Patience | None = None) -> Reply:
            reply = await super().complete(request)
            if request.tool_choice == "none":
                return reply
            return Reply("", "length", reply.usage, 0.0, calls=(ToolUse("count", '{"what": "all the pe'),))

    ran = await run(Cut(lambda request: {"total": 4}), rounds=1, max_tokens=77)
    assert ran.values == {"total": 4}
    assert "cut at 77 tokens" in ran.calls[0].error


async def test_json_that_was_cut_is_told_so() -> None:
    cut = '{"thought": "x", "call": {"name": "count", "arguments": {"what": "' + "y" * 500
    ran = await run(ScriptedModel(cut, last={"total": 4}, tools="json"), rounds=1, max_tokens=60)
    assert ran.values == {"total": 4}
    assert "cut at 60 tokens" in ran.calls[0].error


async def test_a_long_result_is_cut_for_the_model_and_whole_in_the_record() -> None:
    size = RESULT_CHARACTERS + 1234
    ran = await run(ScriptedModel([use("long", size=size)], {"total": 4}))
    assert ran.messages[-1].content.endswith("(cut: 1234 more characters)")
    assert len(ran.messages[-1].content) < RESULT_CHARACTERS + 50
    assert ran.calls[0].result == {"result": "x" * size}


@pytest.mark.parametrize("tools", ["native", "json"])
async def test_at_the_bound_the_model_must_answer(tools: Literal["native", "json"]) -> None:
    calls = {"n": 0}

    def reply(request: Request) -> Any:
        schema: Any = request.schema
        if schema is not None and "total" in schema["properties"]:
            return {"total": 4}
        calls["n"] += 1
        one = {"what": "x" * calls["n"]}
        return [use(**one)] if tools == "native" else {"thought": "", "call": {"name": "count", "arguments": one}}

    model = FakeClient(reply, tools=tools)
    ran = await run(model, rounds=3)
    assert ran.values == {"total": 4}
    assert len(ran.calls) == 3
    assert model.calls == 4
    assert ran.messages[-1].content == "3\n\nNo calls are left. Give the answer."
    assert "No calls are left" not in ran.messages[-3].content


async def test_an_answer_of_no_use_is_asked_for_again_and_then_an_error() -> None:
    ran = await run(ScriptedModel([use(what="pear")], "hm", "hm", "hm"))
    assert ran.values is None
    assert "expected" in ran.error
    assert len(ran.calls) == 1
    assert len(ran.replies) == 4


async def test_thinking_that_takes_all_tokens_is_given_more_room_once() -> None:
    class Thinker(ScriptedModel):
        async def complete(self, request: Request, patience: Patience | None = None) -> Reply:
            if request.max_tokens == 200 and request.tool_choice == "auto":
                self.asked.append(request)
                return Reply("", "length", Usage(calls=1, output_tokens=200), 0.0)
            return await super().complete(request)

    model = Thinker([use(what="pear")], {"total": 4})
    ran = await run(model)
    assert ran.values == {"total": 4}
    assert [request.max_tokens for request in model.asked] == [200, 800, 800]


@pytest.mark.parametrize(("slips", "values"), [(1, {"total": 4}), (9, None)])
async def test_a_call_that_the_endpoint_refuses_is_told_to_the_model_and_at_last_its_error(
    slips: int, values: Any
) -> None:
    bodies: list[dict[str, Any]] = []
    said = "tool call validation failed: parameters for tool count did not match schema"

    async def handle(asked: web.Request) -> web.Response:
        bodies.append(await asked.json())
        if len(bodies) <= slips:
            error = {"message": said, "code": "tool_use_failed", "type": "invalid_request_error"}
            return web.json_response({"error": error}, status=400)
        return web.json_response({"choices": [{"message": {"content": '{"total": 4}'}}]})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", handle)
    server = TestServer(app)
    await server.start_server()
    base = str(server.make_url("/v1"))
    client = OpenAIClient(Identity("x", base, "m"), Wire(base))
    ran = await run(client, rounds=2)
    await server.close()
    assert ran.values == values
    assert said in (ran.error if values is None else ran.calls[0].error)
    assert said in bodies[1]["messages"][-1]["content"]
    assert client.capabilities.tools == "native"
    assert len(bodies) == (2 if values else 4)


async def test_a_refusal_in_words_is_the_models_error() -> None:
    class Refuser(FakeClient):
        async def complete(self, request: Request, patience: Patience | None = None) -> Reply:
            return Reply("I would rather not", "refusal", Usage(calls=1), 0.0)

    ran = await run(Refuser(lambda request: ""), TEXT)
    assert (ran.values, ran.error) == (None, "the model refused: I would rather not")


async def test_a_chat_that_grows_too_long_is_the_models_error_with_the_calls_so_far() -> None:
    ran = await run(ScriptedModel([use(what="pear")], ModelError("longer than the model's context")))
    assert (ran.values, ran.error) == (None, "longer than the model's context")
    assert [call.result for call in ran.calls] == [{"result": 4}]
    assert ran.messages[-1] == Message("tool", "4")


@pytest.mark.parametrize("fault", [InfrastructureError("down", kind="auth", fatal=True), RefusedError("policy")])
async def test_what_is_not_the_models_fault_is_raised(fault: Exception) -> None:
    with pytest.raises(type(fault)):
        await run(ScriptedModel([use(what="pear")], last=fault))


async def test_a_ceiling_ends_the_loop() -> None:
    model = ScriptedModel([use(what="pear")], [use(what="fig")], {"total": 4})
    with pytest.raises(BudgetExceeded):
        await run(model, budget=Budget(calls=2))
    assert len(model.asked) == 2


async def test_a_tool_that_is_not_registered_is_a_users_error() -> None:
    with pytest.raises(UserError, match="tool 'nothing'"):
        await run(ScriptedModel(), allowed=["nothing"])


async def test_the_same_again_sends_nothing() -> None:
    session = Session(Store.memory(), Budget())
    first, again = (ScriptedModel([use(what="pear")], [use(what="fig")], {"total": 4}) for _ in range(2))
    ran = await run(first, session=session)
    replayed = await run(again, session=session)
    assert (replayed.values, replayed.messages, replayed.replies) == (ran.values, ran.messages, ran.replies)
    assert again.asked == []


@pytest.mark.parametrize("name", ["echo", "counter", "echo?tools=json", "counter?tools=json"])
async def test_built_in_fake_models_do_the_whole_loop(name: str) -> None:
    one, two = [await run(open_fake(name), TEXT, tools=[count]) for _ in range(2)]
    assert one.values
    assert (one.values, one.messages) == (two.values, two.messages)
    assert all(call.result is not None for call in one.calls)
    assert one.calls or name.endswith("json")


_calls = st.lists(
    st.builds(
        ToolUse,
        st.sampled_from(["count", "broken", "", "functions.count", "nothing"]) | st.text(max_size=4),
        st.text(max_size=12)
        | st.sampled_from(['{"what": "a"}', '{"what": "b"', "{}", "null", '"{}"', "{'what': 'c'}"]),
    ),
    max_size=3,
)
_written = st.text(max_size=20) | st.sampled_from(
    [
        '{"thought": "", "call": {"name": "count", "arguments": {"what": "a"}}}',
        '{"thought": "", "call": {"name": "finish"}}',
        '{"call": {"name": "count", "arguments": [1]}}',
        '{"call": "count"}',
        '{"total": 3}',
        '{"total": "many"}',
        "<think>hm",
        "",
    ]
)
_finish = st.sampled_from(["stop", "length", "refusal"])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(_calls, _written, _finish), min_size=1, max_size=8),
    st.integers(1, 4),
    st.sampled_from(["native", "json"]),
    st.booleans(),
)
async def test_no_reply_whatever_breaks_the_loop_or_its_bound(
    script: list[tuple[list[ToolUse], str, Any]], rounds: int, tools: Any, plain: bool
) -> None:
    class Whatever(FakeClient):
        async def complete(self, request: Request, patience: Patience | None = None) -> Reply:
            calls, text, finish = script[self.calls % len(script)]
            self.now = (list(calls) if tools == "native" and calls and request.tool_choice == "auto" else text, finish)
            reply = await super().complete(request)
            return Reply(reply.text, finish, reply.usage, 0.0, calls=reply.calls, ready=reply.ready)

    model = Whatever(lambda request: model.now[0], tools=tools)
    ran = await run(model, TEXT if plain else TOTAL, tools=[count, broken], rounds=rounds)
    # One to answer, one to ask again, one more with more room.
    assert model.calls <= rounds + 3
    assert len(ran.replies) == model.calls
    assert (ran.values is None) == bool(ran.error)
    results = [message for message in ran.messages if message.role == "tool"]
    assert len(results) == len(ran.calls) == sum(len(message.calls) for message in ran.messages)
    assert sum(bool(message.calls) for message in ran.messages) <= rounds


async def test_what_writes_is_called_as_often_as_it_is_asked_for_and_reading_is_anew_after_it() -> None:
    stock = [5]

    def look() -> int:
        return stock[0]

    def take(number: int) -> int:
        stock[0] -= number
        return number

    model = ScriptedModel(
        [use("look"), use("look")], [use("take", number=1), use("take", number=1)], [use("look")], {"total": 3}
    )
    tools = (tool_of(look), tool_of(take, effects="writes", simulate=take))
    ran = await run(model, tools=tools)
    assert stock == [3]
    assert [call.result for call in ran.calls] == [{"result": n} for n in (5, 5, 1, 1, 3)]
    assert [message.content for message in ran.messages if message.role == "tool"][-1] == "3"


async def test_results_are_cut_where_the_chat_grows_longer_than_the_context_and_the_model_answers() -> None:
    class Narrow(ScriptedModel):
        async def complete(self, request: Request, patience: Patience | None = None) -> Reply:
            if sum(len(message.content) for message in request.messages) > 900:
                raise ModelError(f"{TOO_LONG}: more than 900")
            return await super().complete(request)

    model = Narrow([use("long", size=600)], [use("long", size=700)], {"total": 4})
    ran = await run(model)
    assert (ran.values, ran.error) == ({"total": 4}, "")
    assert [len(message.content) for message in ran.messages if message.role == "tool"] == [250, 250]
    assert [len(call.result["result"]) for call in ran.calls if call.result] == [600, 700], "the trace keeps all"
