"""The fake model: deterministic replies and faults, time that does not pass, usage, behaviours."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbot.fields import Field, InfrastructureError, RefusedError, ToolSignature, UserError
from flowbot.lm.client import Client, Message, Patience, Request, ToolUse
from flowbot.testing.fake import HANG_SECONDS, FakeClient, Faults, open_fake
from flowbot.testing.fake_behaviours import fill, numbers

ITEMS = {
    "type": "object",
    "properties": {
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "count": {"type": "integer"}},
                "required": ["name", "count"],
            },
        }
    },
    "required": ["items"],
}
TOTAL = {
    "type": "object",
    "properties": {"reasoning": {"type": "string"}, "total": {"type": "integer"}},
    "required": ["reasoning", "total"],
}


def ask(text: str, schema: dict[str, Any] | None = None, *, shown: bool = False, max_tokens: int = 500) -> Request:
    shots = (Message("user", "1 and 1"), Message("assistant", "2")) if shown else ()
    return Request((Message("system", "Count."), *shots, Message("user", text)), max_tokens, schema=schema)


async def outcomes(client: Client, requests: int = 40, tries: int = 3) -> list[str]:
    seen: list[str] = []
    for n in range(requests):
        for _ in range(tries):
            try:
                seen.append((await client.complete(ask(f"question {n}"))).text)
            except InfrastructureError as error:
                seen.append(f"{error.kind} {error.retry_after}")
            except RefusedError:
                seen.append("refused")
    return seen


FAULTY = "echo?p429=0.2&p500=0.1&preset=0.1&phang=0.1&garbage=0.1&refuse=0.1&latency=0.2"


async def test_replies_and_faults_repeat_exactly():
    first = await outcomes(open_fake(FAULTY))
    assert first == await outcomes(open_fake(FAULTY))
    assert first != await outcomes(open_fake(FAULTY + "&seed=1"))


def test_replies_do_not_depend_on_the_process():
    program = (
        "import asyncio; from flowbot.testing.fake import open_fake; from flowbot.lm.client import *;"
        "print(asyncio.run(open_fake('counter').complete(Request((Message('user', 'hello'),), 50))).text)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True) for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout != ""


async def test_faults_come_about_as_often_as_asked_and_are_of_the_right_kinds():
    seen = Counter(text.split()[0] for text in await outcomes(open_fake(FAULTY), requests=200, tries=1))
    for kind, expected in {
        "rate_limit": 36,
        "server": 18,
        "connection": 18,
        "timeout": 18,
        "garbage": 18,
        "refused": 20,
    }.items():
        assert expected / 2 <= seen[kind] <= expected * 1.7, (kind, seen)


async def test_half_of_the_rate_limits_say_how_long_to_wait():
    seen = Counter(await outcomes(open_fake("echo?p429=1"), requests=100, tries=1))
    assert set(seen) == {"rate_limit 1.0", "rate_limit None"}
    assert 25 <= seen["rate_limit None"] <= 75


async def test_a_refusal_repeats_and_a_fault_does_not_have_to():
    seen = await outcomes(open_fake("echo?refuse=0.5&p500=0.5"))
    by_request = [seen[at : at + 3] for at in range(0, len(seen), 3)]
    assert all(len(set(tries)) == 1 for tries in by_request if "refused" in tries)
    assert any("server None" in tries and any(text.startswith("question") for text in tries) for tries in by_request)


async def test_latency_passes_on_the_virtual_clock_only():
    client = FakeClient(lambda request: "yes", latency=100.0)
    replies = await asyncio.gather(*(client.complete(ask(f"q{n}")) for n in range(20)))
    assert client.clock.now() == max(reply.seconds for reply in replies)
    assert all(50 <= reply.seconds <= 150 for reply in replies)
    assert len({reply.seconds for reply in replies}) == 20


async def test_usage_counts_characters_and_max_tokens_cuts():
    client = FakeClient(lambda request: "x" * 100)
    whole = await client.complete(ask("y" * 400))
    assert (whole.finish, whole.usage.output_tokens, whole.usage.usd) == ("stop", 25, 0.0)
    assert whole.usage.input_tokens == 101
    cut = await client.complete(ask("y", max_tokens=10))
    assert (cut.finish, cut.text) == ("length", "x" * 40)


async def test_a_users_mapping_is_sent_as_json():
    reply = await FakeClient(lambda request: {"b": 1, "a": "é"}).complete(ask("x"))
    assert reply.text == '{"b": 1, "a": "é"}'


async def test_faults_of_a_users_fake():
    client = FakeClient(lambda request: "yes", faults=Faults(preset=1.0))
    with pytest.raises(InfrastructureError) as caught:
        await client.complete(ask("x"))
    assert (caught.value.kind, caught.value.fatal) == ("connection", False)


async def _fault(client: Client, patience: Patience | None = None) -> InfrastructureError:
    with pytest.raises(InfrastructureError) as caught:
        await client.complete(ask("x"), patience)
    return caught.value


async def test_an_answer_that_breaks_off_is_garbage():
    fault = await _fault(open_fake("echo?ptrunc=1"))
    assert (fault.kind, fault.fatal) == ("garbage", False)


@pytest.mark.parametrize("name", ["echo?pempty=1", "counter?pempty=1"])
async def test_an_empty_reply_is_a_reply_that_is_paid_for(name: str):
    reply = await open_fake(name).complete(ask("two pears", TOTAL))
    assert (reply.text, reply.finish, reply.calls) == ("", "stop", ())
    assert reply.usage.calls == 1
    assert reply.usage.input_tokens > 0


async def test_a_fault_of_one_try_leaves_the_reply_of_another_as_it_is():
    client = open_fake("counter?pempty=0.5&ptrunc=0.2")
    plain = await open_fake("counter").complete(ask("two pears", TOTAL))
    texts: list[str] = []
    for _ in range(30):
        try:
            texts.append((await client.complete(ask("two pears", TOTAL))).text)
        except InfrastructureError:
            continue
    assert set(texts) == {"", plain.text}


@pytest.mark.parametrize(
    ("patience", "seconds"),
    [(None, HANG_SECONDS), (Patience(None), HANG_SECONDS), (Patience(5.0), 5.0), (Patience(9e9), HANG_SECONDS)],
)
async def test_a_hang_lasts_as_long_as_the_callers_patience(patience: Patience | None, seconds: float):
    client = FakeClient(lambda request: "yes", faults=Faults(phang=1.0))
    fault = await _fault(client, patience)
    assert (fault.kind, fault.fatal) == ("timeout", False)
    assert client.clock.now() == seconds


async def test_a_reply_that_outlasts_patience_is_a_time_out():
    client = FakeClient(lambda request: "yes", latency=100.0)
    assert (await _fault(client, Patience(10.0))).kind == "timeout"
    assert client.clock.now() == 10.0
    assert (await client.complete(ask("x"), Patience(150.0))).text == "yes"


async def test_an_endpoint_dies_for_a_while_and_returns():
    client = open_fake("echo?dies=20-80")
    assert isinstance(client, FakeClient)
    assert (await client.complete(ask("x"))).text == "x"
    await client.clock.sleep(20.0)
    fault = await _fault(client)
    assert (fault.kind, fault.fatal) == ("connection", False)
    await client.clock.sleep(59.0)
    await _fault(client)
    await client.clock.sleep(1.0)
    assert (await client.complete(ask("x"))).text == "x"


async def test_a_key_expires_with_the_nth_call():
    client = open_fake("echo?expires=3")
    for _ in range(2):
        assert (await client.complete(ask("x"))).text == "x"
    for _ in range(2):
        fault = await _fault(client)
        assert (fault.kind, fault.fatal) == ("auth", True)


async def test_echo_repeats_the_user():
    client = open_fake("echo")
    assert (await client.complete(ask("hello there"))).text == "hello there"
    schema = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
    assert json.loads((await client.complete(ask("hi", schema))).text) == {"answer": "hi"}


async def test_counter_lists_what_is_in_the_text_and_errs_on_a_fifth():
    client = open_fake("counter")
    right = 0
    for n in range(100):
        text = f"{n + 30} apples, three pears and twenty-one figs"
        found = json.loads((await client.complete(ask(text, ITEMS))).text)["items"]
        right += found == [
            {"name": "apples", "count": n + 30},
            {"name": "pears", "count": 3},
            {"name": "figs", "count": 21},
        ]
    assert 70 <= right <= 90


@pytest.mark.parametrize(("shown", "low", "high"), [(False, 20, 40), (True, 30, 50)])
async def test_counter_is_mostly_wrong_when_asked_for_the_sum_at_once(shown: bool, low: int, high: int):
    client = open_fake("counter?seed=5")
    right = 0
    for n in range(100):
        reply = json.loads((await client.complete(ask(f"{n} apples and 2 pears", TOTAL, shown=shown))).text)
        assert list(reply) == ["reasoning", "total"]
        right += reply["total"] == n + 2
    assert low <= right <= high


async def test_counter_writes_code_that_sums():
    prompt = "Write `def run(entries, more)` ending in return {'sum': value}."
    text = (await open_fake("counter").complete(ask(prompt))).text
    assert text.startswith("```python\ndef run(entries, more):")
    assert "return {'sum': total}" in text
    compile(text.removeprefix("```python").removesuffix("```"), "reply", "exec")


def test_numbers_are_read_in_digits_and_words():
    text = "Twelve eggs, 3.5 kg, -2 degrees, a dozen; forty-two, A4 paper, seven"
    assert [value for value, _ in numbers(text)] == [12, 3.5, -2, 12, 42, 7]


KINDS: dict[str, Any] = {"enum": ["a", "b"]}


@given(st.text(max_size=8))
def test_any_schema_is_filled_with_a_value_that_fits(key: str):
    schema: dict[str, Any] = {
        "$defs": {
            "node": {
                "anyOf": [
                    {"type": "null"},
                    {
                        "type": "object",
                        "properties": {
                            "op": {"const": "add"},
                            "next": {"$ref": "#/$defs/node"},
                            "n": {"type": "integer", "maximum": 5},
                        },
                        "required": ["op", "next", "n"],
                    },
                ]
            }
        },
        "type": "object",
        "properties": {
            "kind": KINDS,
            "ok": {"type": "boolean"},
            "node": {"$ref": "#/$defs/node"},
            "left_out": {"type": "string"},
            "many": {"type": "array", "items": KINDS, "minItems": 3, "maxItems": 4},
        },
        "required": ["kind", "ok", "node", "many"],
    }
    value = fill(schema, key, texts=lambda schema, place: place, total=9)
    assert list(value) == ["kind", "ok", "node", "many"]
    assert value["kind"] in "ab"
    assert isinstance(value["ok"], bool)
    assert 3 <= len(value["many"]) <= 4
    node = value["node"]
    while node is not None:
        assert (node["op"], node["n"]) == ("add", 5)
        node = node["next"]


@pytest.mark.parametrize(
    ("rest", "part"),
    [
        ("nobody", "counter, echo"),
        ("echo?speed=1", "'speed'"),
        ("echo?latency=soon", "latency=soon"),
        ("echo?latency=-1", "latency=-1"),
        ("echo?p500=1.5", "p500=1.5"),
        ("echo?p500=nan", "p500=nan"),
        ("echo?p500=0.6&p429=0.6", "more than 1"),
        ("echo?seed=1.5", "whole number"),
        ("echo?clock=slow", "real or virtual"),
        ("echo?ptrunc=0.6&pempty=0.6", "more than 1"),
        ("echo?dies=60", "FROM-TO"),
        ("echo?dies=60-20", "FROM-TO"),
        ("echo?expires=0", "at least 1|from 1"),
        ("echo?expires=1.5", "whole number"),
        ("echo?seed=1&seed=2", "once"),
        ("echo?seed", "seed=VALUE"),
    ],
)
def test_wrong_options_are_a_users_error(rest: str, part: str):
    with pytest.raises(UserError, match=part):
        open_fake(rest)


def test_identity_names_what_changes_replies():
    one, other = open_fake("counter?seed=1&p500=0.1"), open_fake("counter?seed=2")
    assert one.identity != other.identity
    assert one.identity == open_fake("counter?seed=1").identity
    assert one.identity == open_fake("counter?seed=1&ptrunc=0.1&dies=1-2&expires=9").identity
    assert isinstance(one, Client)


SEARCH = ToolSignature("search", "", (Field.of("query", "str"), Field.of("most", "int")), (Field.of("result", "str"),))


@pytest.mark.parametrize("name", ["echo", "counter"])
async def test_built_in_models_call_a_tool_once_with_arguments_of_its_types(name: str) -> None:
    client = open_fake(name)
    asked = Request((Message("user", "two pears and 3 figs"),), 200, tools=(SEARCH,))
    first = await client.complete(asked)
    assert await open_fake(name).complete(asked) == first
    (use,) = first.calls
    assert use.name == "search"
    assert json.loads(use.arguments) == {"query": "two pears and 3 figs", "most": 5}
    told = (*asked.messages, Message("assistant", "", first.calls), Message("tool", "4 pears"))
    then = await client.complete(Request(told, 200, tools=(SEARCH,)))
    assert then.text
    assert not then.calls
    final = await client.complete(Request(told, 200, tools=(SEARCH,), tool_choice="none", schema=TOTAL))
    assert set(json.loads(final.text)) == {"reasoning", "total"}


async def test_a_model_without_tool_calls_of_its_own_writes_json() -> None:
    client = open_fake("counter?tools=json")
    assert client.identity != open_fake("counter").identity
    asked = [Request((Message("user", f"{n} pears"),), 200, tools=(SEARCH,)) for n in range(20)]
    replies = [await client.complete(each) for each in asked]
    assert {reply.ready for reply in replies} == {True, False}
    assert all(reply.ready or reply.calls[0].name == "search" for reply in replies)


async def test_a_callable_may_ask_for_calls() -> None:
    client = FakeClient(lambda request: [ToolUse("search", "{}")])
    reply = await client.complete(ask("x"))
    assert (reply.text, reply.calls) == ("", (ToolUse("search", "{}"),))
