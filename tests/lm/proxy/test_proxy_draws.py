"""Which reply a request gets: draws by arrival, stored replies for whoever asks the same again, and what a store lacks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from lm_helpers import until
from proxy_help import HI, TOOLS, proxied, texts

from flowbot.fields import InfrastructureError, UserError
from flowbot.lm.budget import Budget
from flowbot.testing.fake import FakeClient


async def test_the_same_requests_under_another_token_get_the_same_bytes_and_pay_nothing() -> None:
    asked: list[tuple[str, dict[str, Any]]] = [
        ("chat/completions", HI),
        ("chat/completions", {**HI, "n": 3}),
        ("chat/completions", {**HI, "temperature": 0}),
        ("chat/completions", {**HI, "stream": True}),
        ("responses", {"model": "m", "input": "hi"}),
        ("responses", {"model": "m", "input": "other", "stream": True}),
    ]
    async with proxied() as bench:
        runs = []
        for _ in range(2):
            access = bench.open()
            runs.append([await bench.post(access.url, body, path) for path, body in asked])
        assert runs[0] == runs[1]
        assert len(bench.client.sent) == 8
        assert access.misses == 0
        assert access.session.ledger.logical.calls == 8
        assert access.session.ledger.spent.calls == 0


async def test_equal_requests_are_draws_in_order_of_arrival_and_one_at_temperature_0_or_with_a_seed() -> None:
    async with proxied() as bench:
        access = bench.open()
        found = await asyncio.gather(*(bench.post(access.url) for _ in range(5)))
        assert len({texts(answer)[0] for _, answer in found}) == 5
        for more in ({"temperature": 0}, {"seed": 7}):
            found = await asyncio.gather(*(bench.post(access.url, {**HI, **more}) for _ in range(3)))
            assert len({texts(answer)[0] for _, answer in found}) == 1
        seeds = [request.seed for request in bench.client.sent]
        assert len(seeds) == 7
        assert len(set(seeds[:5])) == 5  # each draw is another request to the endpoint

        _, answer = await bench.post(access.url, {**HI, "seed": 7, "n": 2})
        assert len(set(texts(answer))) == 2
        assert bench.client.sent[-1].seed == 8


async def test_draws_are_counted_for_each_example_alone() -> None:
    async with proxied() as bench:
        access = bench.open()
        first, second = access.url_for("a/b ü?"), access.url_for("2")
        said = [texts((await bench.post(url))[1])[0] for url in (first, first, second, second)]
        assert said == ["reply 1", "reply 2", "reply 1", "reply 2"]
        assert {name: usage.calls for name, usage in access.took.items()} == {"a/b ü?": 2, "2": 2}


async def test_a_draw_that_failed_or_was_given_up_is_the_next_requests() -> None:
    def answering(request: Any, number: int) -> Any:
        return InfrastructureError("down", kind="other", fatal=True) if number == 1 else f"reply {number}"

    async with proxied(answering) as bench:
        access = bench.open()
        assert (await bench.post(access.url))[0] == 503
        bench.client.gate.clear()
        waiting = asyncio.ensure_future(bench.post(access.url))
        await until(lambda: len(bench.client.sent) == 2)
        waiting.cancel()
        await until(lambda: not bench.proxy._under_way)  # pyright: ignore[reportPrivateUsage]
        bench.client.gate.set()
        assert texts((await bench.post(access.url))[1]) == ["reply 2"]  # which was sent, and so finished and was stored
        assert len({request.seed for request in bench.client.sent}) == 1


async def test_what_the_store_lacks_is_refused_or_asked_and_not_kept() -> None:
    async with proxied() as bench:
        kept = bench.open()
        await bench.post(kept.url)

        refusing = bench.open(mode="refuse")
        assert texts((await bench.post(refusing.url))[1]) == ["reply 1"]
        status, answer = await bench.post(refusing.url)
        assert (status, answer["error"]["code"], refusing.misses) == (404, "not_stored", 1)

        replaying = bench.open(mode="replay")
        greedy = {**HI, "temperature": 0}
        said = [texts((await bench.post(replaying.url, each))[1])[0] for each in (HI, HI, greedy, greedy)]
        assert said == ["reply 1", "reply 2", "reply 3", "reply 3"]
        assert replaying.session.ledger.spent.calls == 2
        assert (await bench.post(refusing.url, greedy))[0] == 404


async def test_refusing_asks_nothing_not_even_whether_the_model_thinks() -> None:
    async with proxied() as bench:
        bench.client.thinking = None
        access = bench.open(mode="refuse")
        status, answer = await bench.post(access.url)
        assert (status, answer["error"]["code"]) == (404, "not_stored")
        assert not bench.client.sent

        kept = bench.open()
        await bench.post(kept.url)
        assert (await bench.post(access.url))[0] == 200
        assert len(bench.client.sent) == 2


async def test_what_an_example_took_counts_each_call_once_as_the_ledger_does() -> None:
    def model(request: Any) -> Any:
        ended = "Result of" in request.messages[-1].content
        asked = "call" in request.schema["properties"]
        name = "finish" if ended else "weather"
        return {"thought": "", "call": {"name": name, "arguments": {}}} if asked else {"answer": "sunny"}

    called = {"id": "a", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    messages = [
        *HI["messages"],
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "a", "content": "it shines"},
    ]
    async with proxied(client=FakeClient(model, tools="json")) as bench:
        access = bench.open()
        for _ in range(3):
            body = {**HI, "temperature": 0, "tools": TOOLS, "messages": messages}
            assert texts((await bench.post(access.url, body))[1]) == ["sunny"]
        assert access.took[""].calls == access.session.ledger.logical.calls == 2


async def test_an_example_that_no_address_can_hold_is_refused() -> None:
    async with proxied() as bench:
        access = bench.open()
        for example in ("", ".", "..", "x" * 9000):
            with pytest.raises(UserError, match="no address"):
                access.url_for(example)


async def test_a_budget_that_is_used_up_is_told_and_held() -> None:
    async with proxied() as bench:
        whole = Budget(calls=3)
        access = bench.open(whole.child(calls=2))
        found = await asyncio.gather(*(bench.post(access.url) for _ in range(4)))
        assert sorted(status for status, _ in found) == [200, 200, 403, 403]
        refused = next(answer for status, answer in found if status == 403)
        assert refused["error"]["code"] == "budget_exceeded"
        assert (len(bench.client.sent), whole.used["calls"]) == (2, 2)
        async with bench.http.get(access.budget_url) as answer:
            told = await answer.json()
        assert told["calls"] == {"used": 2, "ceiling": 2, "left": 0}
        assert told["tokens"] == {"used": 30, "ceiling": None, "left": None}


async def test_another_series_has_draws_of_its_own_above_temperature_0() -> None:
    async with proxied() as bench:
        first, other = bench.open(), bench.open(series=1)
        for body, different in ((HI, True), ({**HI, "temperature": 0}, False)):
            said = [texts((await bench.post(each.url, body))[1])[0] for each in (first, other)]
            assert (said[0] != said[1]) is different
