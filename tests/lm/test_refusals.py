"""What an endpoint refuses: a model's slip, a request that is too long, and what it does not take without naming it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from endpoint_help import Body, asking, http, said
from lm_helpers import request

from flowbot.fields import Field, InfrastructureError, ModelError, RefusedError, ToolSignature
from flowbot.lm.answers import AnswerError
from flowbot.lm.capabilities import Capabilities
from flowbot.lm.client import TOO_LONG, Message, Request, ToolUse
from flowbot.lm.openai import OpenAIClient
from flowbot.lm.rows import read_row
from flowbot.store import Store

TOTAL = [Field.of("total", "int")]
SCHEMA = {
    "type": "object",
    "properties": {"total": {"type": "integer"}},
    "required": ["total"],
    "additionalProperties": False,
}
GOOD = http(said('{"total": 7}'))
SEARCH = ToolSignature(
    "search",
    "Find pages.",
    (Field.of("query", "str"), Field.of("limit", "int")),
    (Field.of("result", "str"),),
    optional=frozenset({"limit"}),
)
QUESTION = (Message("system", "Answer."), Message("user", "Who?"))
WITH_TOOLS = Request(QUESTION, 50, tools=(SEARCH,))


def refusal(message: str, status: int = 400, **more: Any) -> bytes:
    return http({"error": {"message": message, **more}}, status)


def bad_json(written: str | None = "The total is seven.") -> bytes:
    message = "Failed to generate JSON. Please adjust your prompt. See 'failed_generation' for more details."
    more = {} if written is None else {"failed_generation": written}
    return refusal(message, type="invalid_request_error", code="json_validate_failed", **more)


async def total(lm: Any, text: str = "how many?") -> Any:
    return await lm.ask_fields([Message("user", text)], TOTAL, purpose="train")


async def test_a_slip_is_asked_for_again_with_its_words() -> None:
    async with asking(bad_json(), GOOD) as (lm, endpoint):
        answer = await total(lm)
        assert answer.values == {"total": 7}
        first, again = endpoint.bodies
        assert again["response_format"] == first["response_format"]
        assert again["messages"][-2] == {"role": "assistant", "content": "The total is seven."}
        assert "Failed to generate JSON" in again["messages"][-1]["content"]


@pytest.mark.parametrize("written", ["The total is seven.", "", None])
async def test_a_slip_that_repeats_is_the_rows_error_and_stored(written: str | None) -> None:
    store = Store.memory()
    async with asking(bad_json(written), store=store) as (lm, endpoint):
        for _ in range(2):
            with pytest.raises(AnswerError, match="Failed to generate JSON"):
                await total(lm)
        assert len(endpoint.bodies) == 2
        assert all(body["messages"][-1]["content"] for body in endpoint.bodies)
    async with asking(GOOD, store=store) as (lm, endpoint):
        with pytest.raises(AnswerError, match="Failed to generate JSON") as caught:
            await total(lm)
        assert endpoint.bodies == []
        assert [reply.usage.calls for reply in caught.value.replies] == [1, 1]
        assert lm.session.ledger.calls == {"train": 2}


async def test_what_a_slip_shows_is_read_where_it_plainly_is_the_answer() -> None:
    async with asking(bad_json('{"total": 7,}')) as (lm, endpoint):
        assert (await total(lm)).values == {"total": 7}
        assert len(endpoint.bodies) == 1


async def test_a_slip_where_a_text_is_wanted_is_never_the_text() -> None:
    slip = refusal("Tool choice is none, but model called a tool", code="tool_use_failed", failed_generation="{}")
    async with asking(slip) as (lm, _):
        with pytest.raises(AnswerError, match="model called a tool"):
            await lm.ask_fields(QUESTION, [Field.of("text", "str")], purpose="train")


SLIPS = {
    "read by its dialect": (
        refusal(
            "Failed to call a function. See 'failed_generation' for more details.",
            code="tool_use_failed",
            failed_generation='I look.\n<function=search>{"query": "x"}</function>',
        ),
        (ToolUse("search", '{"query": "x"}'),),
    ),
    "of another type": (
        refusal(
            "tool call validation failed: parameters for tool search did not match schema: errors: [`/limit`: expected"
            " integer, but got string]",
            code="tool_use_failed",
            failed_generation='<tool_call>{"name": "search", "arguments": {"query": "x", "limit": "3"}}</tool_call>',
        ),
        (ToolUse("search", '{"query": "x", "limit": "3"}'),),
    ),
    "not shown": (
        refusal("tool call validation failed: attempted to call tool 'find' which was not in request.tools"),
        (ToolUse("", ""),),
    ),
    "quoted in the message, as a fault of the server": (
        http({"error": 'error parsing tool call: raw=\'{"query": "x"}]\', err=invalid character'}, 500),
        (ToolUse("", '{"query": "x"}]'),),
    ),
    "at a position": (
        refusal("Failed to parse input at pos 12: <tool_call>search(", 500, type="server_error"),
        (ToolUse("", "<tool_call>search("),),
    ),
    "within a success": (
        http(said(None, finish_reason="function_call_filter: MALFORMED_FUNCTION_CALL")),
        (ToolUse("", ""),),
    ),
}


@pytest.mark.parametrize(("slip", "calls"), SLIPS.values(), ids=SLIPS.keys())
async def test_a_slip_of_a_call_is_a_call_and_native_calls_are_kept(slip: bytes, calls: tuple[ToolUse, ...]) -> None:
    store = Store.memory()
    async with asking(slip, store=store) as (lm, endpoint):
        reply = await lm.ask(WITH_TOOLS, purpose="train")
        assert (reply.calls, bool(reply.slip)) == (calls, True)
        assert (await lm.ask(WITH_TOOLS, purpose="train")) == reply
        assert len(endpoint.bodies) == 1
        assert isinstance(lm.client, OpenAIClient)
        assert lm.client.capabilities == Capabilities()
        assert len(await store.items("probe")) == 0


async def test_a_refusal_after_calls_went_through_is_of_that_request_alone() -> None:
    def answer(body: Body) -> bytes:
        if "Odd" in json.dumps(body["messages"]) and "tools" in body:
            return refusal("something about tools is wrong here")
        return http(said('{"thought": "", "call": {"name": "finish"}}'))

    store = Store.memory()
    async with asking(answer, store=store) as (lm, endpoint):
        await lm.ask(WITH_TOOLS, purpose="train")
        assert (await lm.ask(Request((Message("user", "Odd"),), 50, tools=(SEARCH,)), purpose="train")).ready
        await lm.ask(Request((Message("user", "Even"),), 50, tools=(SEARCH,)), purpose="train")
        assert ["tools" in body for body in endpoint.bodies] == [True, True, False, True]
        assert len(await store.items("probe")) == 0


async def test_tool_calls_are_not_given_up_for_good_after_one_refusal_that_does_not_speak_of_the_endpoint() -> None:
    def answer(body: Body) -> bytes:
        if "tools" in body:
            return refusal("the function call came out wrong")
        return http(said('{"thought": "", "call": {"name": "finish"}}'))

    async with asking(answer) as (lm, endpoint):
        assert isinstance(lm.client, OpenAIClient)
        for number, kept in ((1, "native"), (2, "json"), (3, "json")):
            await lm.ask(Request((Message("user", f"{number}"),), 50, tools=(SEARCH,)), purpose="train")
            assert lm.client.capabilities.tools == kept
        assert ["tools" in body for body in endpoint.bodies] == [True, False, True, False, False]


TOO_LONG_WORDS = [
    (400, "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."),
    (400, "This model's maximum prompt length is 131072 but the request contains 537812 tokens."),
    (400, "The input (70006 tokens) is longer than the model's context length (32768 tokens)."),
    (400, "The decoder prompt (length 5000) is longer than the maximum model length of 4096."),
    (400, "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length"),
    (400, "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 9015"),
    (422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. Given: 5000 `inputs` tokens"),
    (422, "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000"),
    (400, "prompt is too long: 209353 tokens > 199999 maximum"),
    (400, "input length and `max_tokens` exceed context limit: 90402 + 116650 > 204648"),
    (400, "Input length 131393 exceeds the maximum allowed input length of 131040 tokens."),
    (400, "Please reduce the length of the messages or completion."),
    (400, "Range of input length should be [1, 129024]"),
    (400, "Prompt exceeds max length"),
    (400, "Invalid request: Your request exceeded model token limit: 8192"),
    (400, "Input is too long for requested model."),
    (400, "Prompt too long: 5152 tokens exceeds max_seq_len 2048 (leave room for output tokens)"),
    (500, "the request exceeds the available context size. try increasing the context size"),
    (413, "Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 7000"),
    (429, "Request too large for x in organization y on tokens per min (TPM): Limit 10000, Requested 12000."),
]


@pytest.mark.parametrize(("status", "message"), TOO_LONG_WORDS)
async def test_too_long_in_every_servers_words(status: int, message: str) -> None:
    store = Store.memory()
    async with asking(refusal(message, status), store=store) as (lm, endpoint):
        for _ in range(2):
            with pytest.raises(ModelError, match=TOO_LONG):
                await lm.ask(request(), purpose="train")
        assert (len(endpoint.bodies), len(await store.items("lm"))) == (1, 1)


NO_ROOM = [
    "This model's maximum context length is {whole} tokens. However, you requested {sum} tokens ({taken} in the messages, "
    "{ceiling} in the completion). Please reduce the length of the messages or completion.",
    "'max_tokens' or 'max_completion_tokens' is too large: {ceiling}. This model's maximum context length is {whole} tokens and "
    "your request has {taken} input tokens ({ceiling} > {whole} - {taken}).",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= {whole}. Given: {taken} `inputs` tokens and {ceiling} "
    "`max_new_tokens`",
    "input length and `max_tokens` exceed context limit: {taken} + {ceiling} > {whole}",
    "The endpoint's context length is {whole:,} tokens; you requested about {sum:,} ({taken} of text, {ceiling:,} in the output).",
]


def _context(whole: int, words: str) -> Callable[[Body], bytes]:
    """An endpoint whose context holds so many tokens, the reply's ceiling included; a word of the prompt is a token."""

    def answer(body: Body) -> bytes:
        taken = sum(len(message["content"].split()) for message in body["messages"])
        ceiling = body["max_tokens"]
        told = words.format(whole=whole, taken=taken, ceiling=ceiling, sum=taken + ceiling)
        return http(said("yes")) if taken + ceiling <= whole else refusal(told)

    return answer


@pytest.mark.parametrize("words", NO_ROOM)
async def test_a_ceiling_above_the_rest_of_the_context_is_lowered_for_that_request(words: str) -> None:
    store = Store.memory()
    async with asking(_context(4096, words), store=store) as (lm, endpoint):
        for many, sent in ((500, [4608, 3596]), (3000, [4608, 1096]), (10, [4608, 4086])):
            asked = Request((Message("user", "word " * many),), 4608)
            assert (await lm.ask(asked, purpose="train")).text == "yes"
            assert [body["max_tokens"] for body in endpoint.bodies] == sent
            endpoint.bodies.clear()
        with pytest.raises(ModelError, match=TOO_LONG):
            await lm.ask(Request((Message("user", "word " * 4090),), 4608), purpose="train")
        assert isinstance(lm.client, OpenAIClient)
        assert lm.client.capabilities == Capabilities()


@pytest.mark.parametrize(
    "message",
    [
        "max_tokens is 4608, and gpt-4 allows 4096 completion tokens at most",
        "max_tokens is 4608, and v1.5 of this model allows 4,096 tokens",
    ],
)
async def test_a_models_own_limit_is_learnt_and_no_requests_room(message: str) -> None:
    async with asking(refusal(message), http(said("yes"))) as (lm, endpoint):
        for _ in range(2):
            await lm.ask(Request((Message("user", f"{len(endpoint.bodies)}"),), 4608), purpose="train")
        assert [body["max_tokens"] for body in endpoint.bodies] == [4608, 4096, 4096]


SMALL_CONTEXT_WORDS = [
    "This model's maximum context length is 4096 tokens. However, you requested 4708 tokens (100 in the messages, 4608 in the "
    "completion). Please reduce the length of the messages or completion.",
    "'max_tokens' or 'max_completion_tokens' is too large: 4608. This model's maximum context length is 4096 tokens and your "
    "request has 100 input tokens (4608 > 4096 - 100).",
    "This model's maximum context length is 4,096 tokens. However, you requested 4,608 output tokens and your prompt contains at "
    "least 100 input tokens, for a total of at least 4,708 tokens. (parameter=input_tokens, value=100)",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 100 `inputs` tokens and 4608 "
    "`max_new_tokens`",
    "input length and `max_tokens` exceed context limit: 100 + 4608 > 4096, decrease input length or `max_tokens`",
]


@pytest.mark.parametrize("message", SMALL_CONTEXT_WORDS)
async def test_a_reply_that_may_be_longer_than_the_context_is_given_what_is_left_of_it(message: str) -> None:
    async with asking(refusal(message), http(said("seven"))) as (lm, endpoint):
        asked = Request(QUESTION, 4608)
        assert (await lm.ask(asked, purpose="train")).text == "seven"
        assert (await lm.ask(asked, purpose="train")).text == "seven"
        assert [body["max_tokens"] for body in endpoint.bodies] == [4608, 3996]


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        (
            SMALL_CONTEXT_WORDS[0].replace("4708", "8640").replace("100", "4032"),
            [4608, 64],
        ),  # once: it is still refused
        (SMALL_CONTEXT_WORDS[0].replace("4708", "8641").replace("100", "4033"), [4608]),
        (SMALL_CONTEXT_WORDS[0].replace("4608", "4600"), [4608]),  # it speaks of another request
    ],
)
async def test_a_prompt_that_leaves_a_context_no_room_is_too_long(message: str, sent: list[int]) -> None:
    async with asking(refusal(message)) as (lm, endpoint):
        with pytest.raises(ModelError, match=TOO_LONG):
            await lm.ask(Request(QUESTION, 4608), purpose="train")
        assert [body["max_tokens"] for body in endpoint.bodies] == sent


@pytest.mark.parametrize(
    "message",
    [
        "max_tokens is too large: 100000, whatever you say",
        "max_tokens (5000) exceeds the most output tokens of this model",
        "Your request exceeded the quota of tokens per day",
        "The temperature exceeds 2",
        "Invalid 'tools': array too long",
        "Input should be greater than 0",
        "No such parameter: context",
        "The request exceeded the time limit of 60 seconds",
    ],
)
@pytest.mark.parametrize("status", [400, 500])
async def test_what_is_not_about_the_requests_length_is_no_overflow(message: str, status: int) -> None:
    async with asking(refusal(message, status)) as (lm, _):
        with pytest.raises(InfrastructureError):
            await lm.ask(request(), purpose="train")


async def test_the_words_of_a_prompt_that_a_refusal_quotes_decide_nothing() -> None:
    quoted = {"loc": ["body", "seed"], "msg": "Extra inputs are not permitted", "input": "the prompt is too long"}
    asked = Request((Message("user", "?"),), 50, seed=5)
    async with asking(http({"detail": [quoted]}, 422), http(said("hi"))) as (lm, endpoint):
        assert (await lm.ask(asked, purpose="train")).text == "hi"
        assert "seed" not in endpoint.bodies[1]


@pytest.mark.parametrize(
    "message", ["failed to parse output of the upstream", "the request to the upstream exceeded its buffer"]
)
async def test_a_server_that_fails_is_no_fault_of_the_models(message: str) -> None:
    async with asking(refusal(message, 500), http(said("hi"))) as (lm, endpoint):
        assert (await lm.ask(request(), purpose="train")).text == "hi"
        assert len(endpoint.bodies) == 2


LONG = "word " * 4000


def _holds(most: int, status: int = 400, words: str = "Bad Request") -> Callable[[Body], bytes]:
    """An endpoint that takes so many characters, and does not say why it refuses more."""

    def answer(body: Body) -> bytes:
        size = sum(len(message["content"]) for message in body["messages"])
        return http(said("yes")) if size <= most else refusal(words, status)

    return answer


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize("first", ["long", "short"])
async def test_an_unexplained_refusal_of_a_long_request_is_an_overflow_in_any_order(status: int, first: str) -> None:
    store = Store.memory()
    texts = [LONG, "short"] if first == "long" else ["short", LONG]
    async with asking(_holds(8000, status), store=store) as (lm, endpoint):
        for text in texts:
            if text == LONG:
                with pytest.raises(ModelError, match=f"{TOO_LONG}.*Bad Request"):
                    await lm.ask(request(text), purpose="train")
            else:
                assert (await lm.ask(request(text), purpose="train")).text == "yes"
        assert len(endpoint.bodies) == 3
        with pytest.raises(ModelError, match=TOO_LONG):
            await lm.ask(request(LONG), purpose="train")
        assert len(endpoint.bodies) == 3
        ledger = lm.session.ledger
    assert (ledger.spent.calls, ledger.spent.output_tokens) == (3, 6)  # the short one that showed it is paid for too
    async with asking(_holds(8000), store=store) as (lm, endpoint):
        with pytest.raises(ModelError, match=TOO_LONG):
            await lm.ask(request(LONG), purpose="train")
        await lm.ask(request("short"), purpose="train")
        assert endpoint.bodies == []
        assert lm.session.ledger.logical_by == ledger.logical_by
        row = read_row(await store.get(lm.key(request(LONG))))
        assert row.besides is not None
        assert row.besides.output_tokens == 3


@pytest.mark.parametrize(("text", "most", "sent"), [(LONG, 0, 2), ("word " * 100, 0, 1), ("word " * 100, 300, 1)])
async def test_a_refusal_that_has_nothing_to_do_with_length_stays_a_fault(text: str, most: int, sent: int) -> None:
    async with asking(_holds(most)) as (lm, endpoint):
        with pytest.raises(InfrastructureError, match="Bad Request"):
            await lm.ask(request(text), purpose="train")
        assert len(endpoint.bodies) == sent


NO_SYSTEM = [
    (400, {"object": "error", "message": "System role not supported", "type": "BadRequestError", "code": 400}),
    (400, {"error": {"message": "Unsupported value: 'messages[0].role' does not support 'system' with this model."}}),
    (400, [{"error": {"code": 400, "message": "Developer instruction is not enabled for models/gemma-3-27b-it"}}]),
    (400, {"error": {"message": "Conversation roles must alternate user/assistant/user/assistant/..."}}),
    (400, {"error": {"message": "Only user and assistant roles are supported!"}}),
    (400, {"error": {"message": 'messages: Unexpected role "system".'}}),
    (422, {"detail": "this model has no system message"}),
    (500, {"error": {"message": "Jinja Exception: System role not supported", "type": "server_error"}}),
]


@pytest.mark.parametrize(("status", "body"), NO_SYSTEM, ids=str)
async def test_a_system_message_that_is_refused_goes_before_the_first_user_message(status: int, body: Any) -> None:
    def answer(asked: Body) -> bytes:
        roles = [message["role"] for message in asked["messages"]]
        return http(body, status) if "system" in roles else http(said("hi"))

    store = Store.memory()
    chat = (
        Message("system", "Be brief."),
        Message("user", "Who?"),
        Message("assistant", "I."),
        Message("user", "Why?"),
    )
    for sent in (2, 1):
        async with asking(answer, store=store) as (lm, endpoint):
            assert (await lm.client.complete(Request(chat, 50))).text == "hi"
            assert len(endpoint.bodies) == sent
            assert endpoint.bodies[-1]["messages"] == [
                {"role": "user", "content": "Be brief.\n\nWho?"},
                {"role": "assistant", "content": "I."},
                {"role": "user", "content": "Why?"},
            ]
            assert isinstance(lm.client, OpenAIClient)
            assert "system" in " ".join(lm.client.capabilities.dropped())


NO_SCHEMA = [
    "Invalid JSON payload received. Unknown name \"additionalProperties\" at 'generation_config.response_schema'",
    "The response_schema is not enabled for this model",
    "xgrammar is not installed",
    "Failed to compile the grammar",
    "Bad Request",
    "",
]


@pytest.mark.parametrize("message", NO_SCHEMA)
@pytest.mark.parametrize("takes", ["tool", "json", "prompt"])
async def test_a_schema_that_is_refused_in_whatever_words_is_given_up_and_that_remembered(
    message: str, takes: str
) -> None:
    formats = ("tool", "json", "prompt")

    def answer(body: Body) -> bytes:
        kind = body.get("response_format", {}).get("type", "")
        used = "tool" if "tools" in body else {"json_schema": "schema", "json_object": "json"}.get(kind, "prompt")
        if used not in formats[formats.index(takes) :]:
            return refusal(message)
        if used == "tool":
            call = {"type": "function", "function": {"name": "reply", "arguments": '{"total": 7}'}}
            return http(said(None, message={"content": None, "tool_calls": [call]}))
        return GOOD

    store = Store.memory()
    for sent in (2 + formats.index(takes), 1):
        async with asking(answer, store=store) as (lm, endpoint):
            assert (await total(lm, f"{sent}")).values == {"total": 7}
            assert len(endpoint.bodies) == sent
            assert isinstance(lm.client, OpenAIClient)
            assert lm.client.capabilities.reply_format == takes


async def test_a_grammar_that_a_server_cannot_compile_is_a_refusal_although_it_says_500() -> None:
    answers = (refusal('Grammar error: Unimplemented keys: ["propertyNames"]', 500), GOOD)
    async with asking(*answers) as (lm, endpoint):
        assert (await total(lm)).values == {"total": 7}
        assert "response_format" not in endpoint.bodies[1]
        assert isinstance(lm.client, OpenAIClient)
        assert lm.client.capabilities == Capabilities()  # that one schema is refused


async def test_a_system_message_that_is_refused_without_a_word_is_given_up_at_last() -> None:
    def answer(body: Body) -> bytes:
        return refusal("Bad Request") if body["messages"][0]["role"] == "system" else http(said("hi"))

    async with asking(answer) as (lm, endpoint):
        assert (await lm.ask(Request(QUESTION, 50), purpose="train")).text == "hi"
        assert len(endpoint.bodies) == 2


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"message": "The response was filtered due to Azure's content management policy."}}),
        (400, {"error": {"message": "Content Exists Risk", "code": "invalid_request_error"}}),
        (400, {"error": {"message": "Output blocked by content filtering policy"}}),
        (403, {"code": "x", "error": "Content violates usage guidelines."}),
        (400, {"error": {"message": "flagged as potentially violating our usage policy", "code": "invalid_prompt"}}),
    ],
)
async def test_policy_in_other_words_is_a_refusal(status: int, body: Any) -> None:
    async with asking(http(body, status)) as (lm, endpoint):
        with pytest.raises(RefusedError):
            await lm.ask(request(), purpose="train")
        assert len(endpoint.bodies) == 2


async def test_a_schema_that_was_taken_before_is_given_up_for_one_request_alone() -> None:
    odd: list[Body] = []

    def answer(body: Body) -> bytes:
        if "odd" in body["messages"][-1]["content"] and "response_format" in body:
            odd.append(body)
            return refusal("Bad Request")
        return GOOD

    async with asking(answer, capabilities=Capabilities(reply_format="json")) as (lm, _):
        for text in ("even", "odd", "other"):
            assert (await total(lm, text)).values == {"total": 7}
        assert isinstance(lm.client, OpenAIClient)
        assert lm.client.capabilities == Capabilities(reply_format="json")
        assert len(odd) == 1


async def test_what_does_not_help_is_not_held_against_the_endpoint() -> None:
    store = Store.memory()
    async with asking(refusal("first"), refusal("second"), refusal("third"), refusal("last"), store=store) as (lm, _):
        with pytest.raises(InfrastructureError, match="first"):
            await total(lm)
        assert isinstance(lm.client, OpenAIClient)
        assert lm.client.capabilities == Capabilities()
        assert len(await store.items("probe")) == 0


async def test_a_fault_after_something_was_given_up_is_that_fault() -> None:
    slow = refusal("slow down", 429)
    async with asking(refusal("response_format is not known"), slow, GOOD) as (lm, _):
        assert (await total(lm)).values == {"total": 7}


async def test_a_ceiling_that_is_refused_is_lowered_to_what_is_allowed() -> None:
    def answer(body: Body) -> bytes:
        message = f"max_tokens is too large: {body['max_tokens']}. This model supports at most 4,096 completion tokens."
        return refusal(message) if body["max_tokens"] > 4096 else http(said("hi"))

    async with asking(answer) as (lm, endpoint):
        for ceiling in (9000, 8000, 50):
            assert (await lm.ask(request(max_tokens=ceiling), purpose="train")).text == "hi"
        assert [body["max_tokens"] for body in endpoint.bodies] == [9000, 4096, 4096, 50]


def test_capabilities_of_before_are_still_read() -> None:
    old = {"reply_format": "json", "temperature": True, "seed": False, "max_tokens": "max_tokens", "tools": "native"}
    assert Capabilities.load(old) == Capabilities(reply_format="json", seed=False)
    new = Capabilities(system=False, most_tokens=4096)
    assert Capabilities.load(new.dump()) == new
