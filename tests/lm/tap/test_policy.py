"""What a program may not do, and what it is spared: ceilings, faults of the endpoint, its own retries, its own catching of errors."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import httpx
import openai
import pytest
from lm_helpers import until
from tap_help import KEY, Endpoint, chat, chat_events, error, events, running, serving

from flowbot.fields import BudgetExceeded, InfrastructureError, ModelError, Paused, UserError
from flowbot.fields.secrets import hide_text
from flowbot.lm.budget import Budget
from flowbot.lm.tap import tapping
from flowbot.lm.tap.asked import Answer
from flowbot.program.stopping import Stop
from flowbot.store import Store


async def ask(there: Endpoint, text: str = "Who?", *, retries: int = 2, model: str = "gpt-x", **more: Any) -> str:
    async with openai.AsyncOpenAI(base_url=there.url, api_key=KEY, max_retries=retries) as client:
        messages: list[Any] = [{"role": "user", "content": text}]
        done = await client.chat.completions.create(model=model, messages=messages, **more)
    return done.choices[0].message.content or ""


async def test_a_ceiling_of_calls_stops_a_program_that_catches_every_exception() -> None:
    async with serving() as there, running(budget=Budget(calls=3)) as run:
        with run.tapped() as tap:

            async def stubborn(text: str) -> str:
                for _ in range(5):
                    try:
                        return await ask(there, text, temperature=0)
                    except Exception:
                        continue
                return "made up"

            with pytest.raises(Stop) as stop:
                await asyncio.gather(*(stubborn(f"Who is {number}?") for number in range(8)))
            assert isinstance(stop.value.cause, BudgetExceeded)
            # Also what is stored is not for a program that has caught its stop.
            with pytest.raises(Stop):
                await ask(there, there.bodies[0]["messages"][0]["content"], temperature=0)
            assert isinstance(tap.stopped, BudgetExceeded)
    assert len(there.bodies) == 3


@pytest.mark.parametrize(("limit", "fits"), [({"max_completion_tokens": 100}, True), ({}, False)])
async def test_a_request_reserves_what_it_may_take(limit: Any, fits: bool) -> None:
    """Without a limit of its own that is the model's: more than the ceiling here."""
    async with serving() as there, running(budget=Budget(usd=0.01)) as run:
        with run.tapped():
            if fits:
                assert await ask(there, **limit) == "words 1"
            else:
                with pytest.raises(Stop) as stop:
                    await ask(there, **limit)
                assert isinstance(stop.value.cause, BudgetExceeded)
    assert len(there.bodies) == fits
    assert run.session.budget.used["usd"] <= 0.01


async def test_a_tier_of_unknown_price_is_refused_under_a_ceiling_and_one_that_is_known_is_charged() -> None:
    """As it was asked for, where the answer does not say."""
    async with serving() as there, running(budget=Budget(usd=1.0)) as run:
        with run.tapped():
            await ask(there, model="gpt-5", max_completion_tokens=10, service_tier="flex")
        with run.tapped(), pytest.raises(Stop) as stop:
            await ask(there, "Now?", model="gpt-5", max_completion_tokens=10, service_tier="priority")
        assert isinstance(stop.value.cause, UserError)
    assert run.session.budget.used["usd"] == pytest.approx((12 + 2 * 3) / 1e6 / 2)


async def test_a_client_that_packs_its_requests_is_seen() -> None:
    body = gzip.compress(json.dumps({"model": "gpt-x", "messages": [], "temperature": 0}).encode())
    async with serving() as there, running() as run:
        with run.tapped():
            async with httpx.AsyncClient(base_url=there.url, headers={"content-encoding": "gzip"}) as client:
                for _ in range(2):
                    assert (await client.post("chat/completions", content=body)).status_code == 200
    assert len(there.bodies) == len(run.heard) - 1 == 1


async def test_a_reply_without_limit_reserves_what_the_user_says() -> None:
    async with serving() as there, running(budget=Budget(usd=0.01), max_reply=1000) as run:
        with run.tapped():
            assert await ask(there) == "words 1"


async def test_dollars_of_a_model_of_unknown_price_are_refused() -> None:
    async with serving() as there, running(budget=Budget(usd=1.0), price=None) as run:
        with run.tapped(), pytest.raises(Stop) as stop:
            await ask(there)
    assert isinstance(stop.value.cause, UserError)
    assert not there.bodies


async def test_a_busy_endpoint_is_asked_again_and_the_call_counts_once() -> None:
    async with serving() as there, running() as run:
        there.answer = lambda body, number: error(429, "slow down", retry_after="0") if number < 3 else None
        with run.tapped():
            assert await ask(there, retries=5) == "words 3"
    assert len(there.bodies) == 3
    assert run.session.ledger.logical.calls == run.session.ledger.spent.calls == 1
    assert run.session.ledger.retries == 2


async def test_a_client_that_tries_again_itself_does_not_multiply_the_tries() -> None:
    async with serving() as there, running() as run:
        there.answer = lambda body, number: error(401, f"no such key {KEY}")
        with run.tapped(), pytest.raises(Stop) as stop:
            await ask(there, retries=2)
    assert isinstance(stop.value.cause, InfrastructureError)
    assert len(there.bodies) == 1
    assert KEY not in str(stop.value.cause)
    assert KEY not in hide_text(f"Bearer {KEY}")


async def test_an_error_that_the_request_deserved_is_the_programs_and_is_replayed() -> None:
    store = Store.memory()
    async with serving() as there:
        there.answer = lambda body, number: error(400, "this content is refused")
        for _ in range(2):
            async with running(store) as run:
                with run.tapped(), pytest.raises(openai.BadRequestError, match="refused"):
                    await ask(there)
                assert "refused" in run.heard[0].error
    assert len(there.bodies) == 1


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (403, "flagged by moderation"),
        (429, "Request too large for gpt-x on tokens per minute"),
        (500, "the request exceeds the context size"),
    ],
)
async def test_a_request_that_is_refused_for_what_it_says_stops_no_run_whatever_the_status(
    status: int, text: str
) -> None:
    async with serving() as there, running() as run:
        there.answer = lambda body, number: error(status, text)
        with run.tapped() as tap, pytest.raises(openai.APIStatusError, match=text):
            await ask(there, retries=2)
    assert tap.stopped is None
    assert len(there.bodies) == 1


@pytest.mark.parametrize("broken", [chat_events("half", finish=None)[:2], [{"error": {"message": "overloaded"}}]])
async def test_a_stream_that_breaks_off_is_asked_again(broken: Any) -> None:
    async with serving() as there, running() as run:
        there.answer = lambda body, number: events(broken) if number == 1 else None
        async with openai.AsyncOpenAI(base_url=there.url, api_key=KEY) as client:
            with run.tapped():
                messages: list[Any] = [{"role": "user", "content": "Who?"}]
                stream = await client.chat.completions.create(model="gpt-x", messages=messages, stream=True)
                assert "".join([each.choices[0].delta.content or "" async for each in stream]) == "words 2"
    assert run.heard[0].estimated


async def test_equal_requests_are_samples_of_their_own_and_those_at_temperature_0_are_one() -> None:
    async with serving() as there, running() as run:
        with run.tapped():
            drawn = await asyncio.gather(*(ask(there) for _ in range(3)))
            settled = await asyncio.gather(*(ask(there, temperature=0) for _ in range(3)))
        with run.tapped():
            again = await asyncio.gather(*(ask(there) for _ in range(3)))
        with run.tapped(replicate=1):
            other = await ask(there)
        with run.tapped(scope=lambda: "plan"):
            inside = await ask(there)
    assert len(set(drawn)) == 3
    assert len(set(settled)) == 1
    assert again == drawn
    assert len({*drawn, other, inside}) == 5
    assert len(there.bodies) == 6


async def test_what_changes_no_reply_is_no_part_of_the_key() -> None:
    async with serving() as there, running() as run:
        for number in range(2):
            with run.tapped():
                await ask(there, user=f"user {number}", metadata={"trace": str(number)}, service_tier="auto")
    assert len(there.bodies) == 1


async def test_a_program_makes_no_more_calls_than_it_may() -> None:
    async with serving() as there, running() as run:
        with run.tapped(max_calls=2), pytest.raises(Stop) as stop:
            await asyncio.gather(*(ask(there, f"Who is {number}?") for number in range(5)))
    assert isinstance(stop.value.cause, ModelError)
    assert len(there.bodies) == 2


async def test_what_is_left_over_of_a_run_is_stopped_and_told_to_nobody() -> None:
    async with serving() as there, running() as run:
        with run.tapped() as tap:
            late = asyncio.ensure_future(ask(there))
            await until(lambda: tap.calls > 0)
        held = tapping.set(tap)
        for call in (late, ask(there, "Once more?")):
            with pytest.raises(Stop) as stop:
                await call
            assert isinstance(stop.value.cause, Paused)
        tapping.reset(held)
    assert tap.stopped is None
    assert not run.heard
    assert len(there.bodies) <= 1


async def test_somebody_who_answers_in_the_clients_place() -> None:
    async with serving() as there, running() as run:
        body = json.dumps(chat("made up")).encode()
        with run.tapped(answer=lambda asked: Answer(200, {"content-type": "application/json"}, body)):
            assert await ask(there) == "made up"
    assert not there.bodies


async def test_what_is_started_for_a_call_is_no_part_of_the_program() -> None:
    seen: list[object] = []
    async with serving() as there, running() as run:
        with run.tapped(answer=lambda asked: seen.append(tapping.get())) as tap:
            await ask(there)
            assert tapping.get() is tap
    assert seen == [None]


async def test_a_request_that_cannot_be_counted_is_not_sent() -> None:
    async with serving() as there, running() as run:
        with run.tapped() as tap, pytest.raises(Stop) as stop:
            await ask(there, "a" * 9_000_000)
    assert isinstance(stop.value.cause, UserError)
    assert tap.stopped is stop.value.cause
    assert not there.bodies


async def test_a_call_that_can_never_be_made_ends() -> None:
    """What goes wrong before anything is sent, and is no error of FlowBot's, is tried some times and then the program's."""
    async with serving() as there, running() as run:
        with run.tapped():
            run.session.admit = _broken
            with pytest.raises((openai.APIConnectionError, LookupError)):
                await ask(there, retries=0)
    assert not there.bodies


def _broken(key: str) -> None:
    raise LookupError


async def test_a_call_is_over_also_where_nobody_waits_for_it_any_more() -> None:
    ended: list[int] = []
    free = asyncio.Event()

    async def late() -> Answer:
        await free.wait()
        return Answer(200, {"content-type": "application/json"}, json.dumps(chat("late")).encode())

    body = json.dumps({"model": "gpt-x", "messages": []}).encode()
    async with running() as run:
        with run.tapped(ended=lambda: ended.append(1)) as tap:
            asked = tap.read("http://127.0.0.1/v1/chat/completions", {}, body)
            assert asked is not None
            given_up = asyncio.ensure_future(tap.acall(asked, late))
            await until(lambda: tap.calls == 1)
            given_up.cancel()
            with pytest.raises(asyncio.CancelledError):
                await given_up
            assert ended == [1]
            free.set()
            assert (await tap.acall(asked, late)).text == "late"
            assert ended == [1, 1]


async def test_a_key_in_any_header_is_kept_out_of_what_is_stored_and_told() -> None:
    """Also where the headers in which keys mostly stand were seen before."""
    other = "a-key-of-another-header-0123456"
    async with serving() as there, running() as run:
        there.answer = lambda body, number: error(400, f"no account for {other}")
        with run.tapped():
            with pytest.raises(openai.BadRequestError):
                await ask(there, "Once.")
            with pytest.raises(openai.BadRequestError) as told:
                await ask(there, "Again.", extra_headers={"Helicone-Auth": f"Bearer {other}"})
    assert other not in f"{told.value}{run.heard[-1].error}"


class Line(httpx.AsyncBaseTransport):
    """Opens its connection when it is let, and says whether that is open."""

    def __init__(self) -> None:
        self.begun, self.free, self.open = asyncio.Event(), asyncio.Event(), False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.begun.set()
        await self.free.wait()
        self.open = True
        return httpx.Response(200, json=chat("late"))

    async def aclose(self) -> None:
        self.open = False


async def test_what_a_client_opens_after_it_was_closed_under_its_call_is_closed_too() -> None:
    async with running() as run:
        line, body = Line(), {"model": "gpt-x", "messages": [{"role": "user", "content": "Who?"}]}
        with run.tapped() as tap:
            async with httpx.AsyncClient(transport=line) as client:
                call = asyncio.ensure_future(client.post("http://127.0.0.1:9/v1/chat/completions", json=body))
                await line.begun.wait()
                call.cancel()
            line.free.set()
            await tap.settle()
        assert not line.open
        assert run.session.ledger.calls == {"program": 1}  # it is paid for, and stored
