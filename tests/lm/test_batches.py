"""Calls that go by batches: submitted once wherever the process ends, found by key, at half the price, and by themselves where one expired."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import flowbot.lm.parking as parking_module
from batch_endpoint import READ, WRITTEN, BatchEndpoint
from flowbot.fields import DeniedError, InfrastructureError, Paused, Usage, UserError
from flowbot.lm import batch_desk
from flowbot.lm.anthropic_form import completion_of, message_of
from flowbot.lm.batch_forms import AnthropicBatches, OpenAIBatches, Results
from flowbot.lm.budget import Budget
from flowbot.lm.client import Identity, Message, Request
from flowbot.lm.lm import LM
from flowbot.lm.openai import OpenAIClient
from flowbot.lm.pace import Pace
from flowbot.lm.prices import per_million, price_of
from flowbot.lm.session import Session
from flowbot.lm.tiers import Tier
from flowbot.lm.wire import Wire
from flowbot.runtime.open_model import open_lm
from flowbot.runtime.together import all_of
from flowbot.runtime.workbench import Workbench
from flowbot.store import Store

MODEL = "openai/gpt-4.1-mini"
FULL = (READ * 0.4 + WRITTEN * 1.6) / 1e6
CALLS, FEWEST = 12, 10


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchEndpoint]:
    monkeypatch.setattr(parking_module, "_SETTLED", 0.02)
    monkeypatch.setattr(parking_module, "POLL", 0.02)
    with BatchEndpoint(lambda body: re.findall(r"question (\d+)", str(body))[-1]) as found:
        monkeypatch.setenv("OPENAI_BASE_URL", found.url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        yield found


def made(store: Store, *, wait: bool, anthropic: str = "", usd: float | None = None) -> LM:
    session = Session(store, Budget(usd=usd), pace=Pace(batch=True, wait=wait, batch_from=FEWEST))
    price = (0.4, 1.6)
    if not anthropic:
        lm = open_lm(MODEL, session, price=price)
    else:
        batches = AnthropicBatches(Wire(anthropic, key="none", key_header="x-api-key"))
        identity = Identity("anthropic", "", "claude-sonnet-4-5")
        lm = LM(OpenAIClient(identity, Wire(anthropic, key="none"), batches=batches), session)
    tier = Tier("openai", "gpt-4.1-mini")
    return LM(lm.client, session, name=lm.name, price=per_million(price), tier=tier)


def question(number: int) -> Request:
    return Request((Message("system", "Say it."), Message("user", f"question {number:03}")), 200)


async def asked(lm: LM, *, purpose: str = "val", calls: int = CALLS) -> list[str]:
    """Each of some examples asks a question; a fault of one is everybody's."""
    parking = lm.endpoint.parking
    assert parking is not None

    async def one(number: int) -> str:
        with parking.example():
            return (await lm.ask(question(number), purpose=purpose)).text

    try:
        return await all_of(one(number) for number in range(calls))
    finally:
        await lm.session.connections.close()
        await lm.close()


WANTED = [f"{number:03}" for number in range(CALLS)]


@pytest.mark.parametrize("form", ["openai", "anthropic"])
async def test_a_batch_is_submitted_left_and_fetched(endpoint: BatchEndpoint, tmp_path: Path, form: str) -> None:
    anthropic = endpoint.url if form == "anthropic" else ""
    endpoint.polls = 2
    for _ in range(2):  # the second looks, and it is not done
        store = Store.open(tmp_path / "store.sqlite")
        lm = made(store, wait=False, anthropic=anthropic)
        with pytest.raises(Paused, match="1 batch of 12 calls under way") as caught:
            await asked(lm)
        assert caught.value.stopped_by == "batch"
        assert lm.session.ledger.spent.calls == 0
        await store.close()
    store = Store.open(tmp_path / "store.sqlite")
    lm = made(store, wait=True, anthropic=anthropic)
    assert await asked(lm) == WANTED
    assert set(endpoint.submitted.values()) == {1}
    assert len(endpoint.submitted) == CALLS
    assert not endpoint.ordinary
    assert lm.session.ledger.spent.usd == pytest.approx(CALLS * FULL / 2)
    again = made(store, wait=False, anthropic=anthropic)
    assert await asked(again) == WANTED
    assert again.session.budget.used["usd"] == pytest.approx(CALLS * FULL / 2)
    assert [row["left"] for row in (await store.items("batch")).values()] == [[]]
    await store.close()


async def test_a_reply_tells_the_usual_price_however_it_came(endpoint: BatchEndpoint, tmp_path: Path) -> None:
    """What a workflow takes is compared, so it must not depend on which of its calls went by a batch."""
    store = Store.open(tmp_path / "store.sqlite")
    lm = made(store, wait=True)
    await asked(lm)
    again = await made(store, wait=True).ask(question(1), purpose="val")
    assert (again.tier, again.usage.usd) == ("batch", pytest.approx(FULL))
    assert lm.session.ledger.spent.usd == pytest.approx(CALLS * FULL / 2)
    await store.close()


def test_an_estimate_by_batches_is_half_where_a_model_has_them() -> None:
    usage = Usage(1, READ, WRITTEN)
    for price in (None, (0.4, 1.6)):
        usual = price_of(MODEL, usage, price)
        assert usual is not None
        assert price_of(MODEL, usage, price, batch=True) == pytest.approx(usual / 2)
        assert price_of("mistral/small", usage, (1, 1), batch=True) == price_of("mistral/small", usage, (1, 1))
    assert price_of("local/qwen2.5-coder-0.5b", usage, batch=True) == 0.0


async def test_what_expired_goes_by_itself_at_the_usual_price(endpoint: BatchEndpoint, tmp_path: Path) -> None:
    endpoint.expired = lambda body: body["messages"][-1]["content"][-1] in "05"
    store = Store.open(tmp_path / "store.sqlite")
    lm = made(store, wait=True)
    assert await asked(lm) == WANTED
    assert len(endpoint.ordinary) == 3
    assert lm.session.ledger.spent.usd == pytest.approx((9 / 2 + 3) * FULL)
    await store.close()


@pytest.mark.parametrize("form", ["openai", "anthropic"])
async def test_what_a_lost_batch_had_goes_by_another_and_then_by_itself_and_that_is_said(
    endpoint: BatchEndpoint, tmp_path: Path, form: str
) -> None:
    anthropic = endpoint.url if form == "anthropic" else ""
    store = Store.open(tmp_path / "store.sqlite")
    with pytest.raises(Paused):
        await asked(made(store, wait=False, anthropic=anthropic))
    endpoint.gone, said = True, list[str]()
    for _ in range(2):
        lm = made(store, wait=False, anthropic=anthropic)
        lm.session.on_retry = said.append
        with suppress(Paused):
            assert await asked(lm) == WANTED
    assert set(endpoint.ordinary.values()) == {1}
    assert set(endpoint.submitted.values()) == {2}
    assert lm.session.ledger.spent.usd == pytest.approx(CALLS * FULL)
    assert [row["left"] for row in (await store.items("batch")).values()] == [[], []]
    assert [line.partition(": ")[2] for line in said] == [
        "a batch of 12 calls is there no more: what is left goes by another",
        "a batch of 12 calls is submitted",
        "12 calls failed or expired in a batch: made at once, at the usual price",
    ]
    await store.close()


@pytest.mark.parametrize("form", ["openai", "anthropic"])
async def test_what_a_model_does_not_take_is_learnt_by_one_call_and_the_others_go_by_another_batch(
    endpoint: BatchEndpoint, tmp_path: Path, form: str
) -> None:
    endpoint.refused = lambda body: "temperature is not supported" if "temperature" in body else ""
    store = Store.open(tmp_path / "store.sqlite")
    lm = made(store, wait=True, anthropic=endpoint.url if form == "anthropic" else "")
    assert await asked(lm) == WANTED
    assert sorted(endpoint.submitted.values()) == [1] + [2] * (CALLS - 1)
    assert len(endpoint.ordinary) == 2  # with it, and without
    assert lm.session.ledger.spent.usd == pytest.approx(((CALLS - 1) / 2 + 1) * FULL)
    await store.close()


async def test_what_is_refused_in_two_batches_goes_by_itself(endpoint: BatchEndpoint, tmp_path: Path) -> None:
    endpoint.refused = lambda body: "not in a batch" if endpoint.steps[-1].startswith("GET") else ""
    store = Store.open(tmp_path / "store.sqlite")
    assert await asked(made(store, wait=True)) == WANTED
    assert sorted(endpoint.submitted.values()) == [1] + [2] * (CALLS - 1)
    assert set(endpoint.ordinary.values()) == {1}
    await store.close()


async def test_what_no_call_can_be_made_of_ends_the_run_after_one(endpoint: BatchEndpoint, tmp_path: Path) -> None:
    endpoint.refused = lambda body: "not today"
    store = Store.open(tmp_path / "store.sqlite")
    with pytest.raises(InfrastructureError, match="not today"):
        await asked(made(store, wait=True))
    assert len(endpoint.submitted) == CALLS
    assert len(endpoint.ordinary) < CALLS / 2
    await store.close()


async def test_a_batch_that_failed_as_a_whole_is_a_pause_with_its_reason_and_then_submitted_anew(
    endpoint: BatchEndpoint, tmp_path: Path
) -> None:
    endpoint.state = "failed"
    store = Store.open(tmp_path / "store.sqlite")
    with pytest.raises(Paused, match="failed, and nothing of it was made: too many tokens at once"):
        await asked(made(store, wait=True))
    assert not endpoint.ordinary
    endpoint.state = "completed"
    assert await asked(made(store, wait=True)) == WANTED
    assert not endpoint.ordinary
    await store.close()


@pytest.mark.parametrize("state", ["cancelled", "expired"])
async def test_a_batch_that_ended_early_gives_what_it_has(endpoint: BatchEndpoint, tmp_path: Path, state: str) -> None:
    endpoint.state = state
    endpoint.expired = lambda body: int(body["messages"][-1]["content"][-3:]) % 2 == 1
    store = Store.open(tmp_path / "store.sqlite")
    lm = made(store, wait=True)
    assert await asked(lm) == WANTED
    assert len(endpoint.ordinary) == CALLS / 2
    assert lm.session.ledger.spent.usd == pytest.approx((CALLS / 4 + CALLS / 2) * FULL)
    await store.close()


def spoiled(lines: bytes) -> bytes:
    """Results of which the first four are of no use, the next two come twice, and some are nobody's."""
    good = lines.split(b"\n")
    other = json.loads(good[0]) | {"custom_id": "f" * 64}
    twice = [json.dumps({"custom_id": json.loads(each)["custom_id"], "response": None}).encode() for each in good[4:6]]
    long = good[1].replace(b'"content": "', b'"content": "' + b"x" * 10_000_000)
    wrong = [json.dumps(each).encode() for each in (other, {"custom_id": 3}, [], None)]
    return b"\n".join([b"\xff\x00{", long, good[2][:40], b"", *wrong, *good[4:], *twice])


async def test_lines_that_are_garbage_doubled_missing_or_too_long(endpoint: BatchEndpoint, tmp_path: Path) -> None:
    endpoint.answer = lambda body: re.findall(r"question (\d+)", str(body))[-1] + "\u2028"
    endpoint.edit = lambda lines: spoiled(lines) if b"question" not in lines and lines else lines
    store = Store.open(tmp_path / "store.sqlite")
    lm = made(store, wait=True)
    assert [each.strip() for each in await asked(lm)] == WANTED
    assert len(endpoint.ordinary) == 4
    assert lm.session.ledger.spent.usd == pytest.approx(((CALLS - 4) / 2 + 4) * FULL)
    await store.close()


@pytest.mark.parametrize("status", [404, 401, 429, 500])
async def test_an_endpoint_that_fails_at_batches_is_said_and_nothing_goes_at_the_usual_price(
    endpoint: BatchEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(parking_module, "LOOKS", 3)
    endpoint.fails = lambda step: status if "files" in step else 0
    store = Store.open(tmp_path / "store.sqlite")
    with pytest.raises(InfrastructureError, match=str(status)) as caught:
        await asked(made(store, wait=True))
    assert isinstance(caught.value, DeniedError) is (status == 404)
    assert len([step for step in endpoint.steps if step == "POST files"]) == (1 if status < 429 else 3)
    assert not endpoint.ordinary
    endpoint.fails = lambda step: 0
    assert await asked(made(store, wait=True)) == WANTED
    assert set(endpoint.submitted.values()) == {1}
    await store.close()


@pytest.mark.parametrize("form", ["openai", "anthropic"])
@pytest.mark.parametrize("days", [-3, 3])
async def test_a_batch_that_nobody_recorded_is_found_whatever_the_clock_says(
    endpoint: BatchEndpoint, tmp_path: Path, form: str, days: int
) -> None:
    anthropic = endpoint.url if form == "anthropic" else ""
    store = Store.open(tmp_path / "store.sqlite")
    endpoint.made = lambda: datetime.now(UTC) + timedelta(days=days)  # the provider's clock, beside ours
    others = {f"{number:064}": {"messages": []} for number in range(CALLS)}
    endpoint._taken("msgbatch" if anthropic else "batch", others, {})  # of somebody who shares the account
    endpoint.cut = lambda step: step in ("POST batches", "POST messages/batches")
    monkey = pytest.MonkeyPatch()
    monkey.setattr(parking_module, "LOOKS", 1)
    with pytest.raises(InfrastructureError):
        await asked(made(store, wait=True, anthropic=anthropic))
    monkey.undo()
    endpoint.cut = lambda step: False
    assert await asked(made(store, wait=True, anthropic=anthropic)) == WANTED
    assert set(endpoint.submitted.values()) == {1}
    assert not endpoint.ordinary
    await store.close()


async def test_parked_calls_do_not_keep_the_room_that_a_call_made_at_once_waits_for(
    endpoint: BatchEndpoint, tmp_path: Path
) -> None:
    """A call made at once is answered with nothing, and is to be sent again when all room is kept by parked ones: these go all the same."""
    store = Store.open(tmp_path / "store.sqlite")
    empty = iter([""])
    endpoint.expired = lambda body: "question 000" in str(body)
    endpoint.answer = lambda body: (
        next(empty, "0") if endpoint.expired(body) else re.findall(r"question (\d+)", str(body))[-1]
    )
    worst = made(store, wait=True, usd=1.0)._worst(replace(question(0), max_tokens=2000), "gradients").usd
    assert worst is not None
    lm = made(store, wait=True, usd=6.5 * FULL + CALLS / 2 * worst)
    parking = lm.endpoint.parking
    assert parking is not None

    async def one(number: int) -> str:
        with parking.example():
            await lm.ask(replace(question(number), max_tokens=2000), purpose="val")
            return (await lm.ask(replace(question(100 + number), max_tokens=2000), purpose="val")).text

    found = await asyncio.wait_for(all_of(one(number) for number in range(CALLS)), 20)
    assert found == [f"1{number:02}" for number in range(CALLS)]
    assert next(empty, None) is None
    await lm.session.connections.close()
    await lm.close()
    await store.close()


async def test_an_answer_of_no_use_does_not_wait_for_the_room_that_a_batch_under_way_keeps(
    endpoint: BatchEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent again by itself, it may have to wait for that batch: which is looked at all the same."""
    monkeypatch.setattr(batch_desk, "MOST", CALLS - 1)
    store, large = Store.open(tmp_path / "store.sqlite"), [True]
    requests = [replace(question(number), max_tokens=2000) for number in range(CALLS)]
    worst = made(store, wait=True, usd=1.0)._worst(requests[0], "val").usd
    assert worst is not None
    lm = made(store, wait=True, usd=(CALLS + 0.5) * worst)
    alone = max(requests, key=lm.key)  # the last by its key has a batch of its own
    empty, results = iter([""]), OpenAIBatches.results

    async def in_turn(batches: OpenAIBatches, id: str) -> Results | None:
        found = await results(batches, id)
        if found is not None and len(found) > 1 and large:  # the other one first
            large.clear() if next(empty, None) is None else None
            return None
        return found

    monkeypatch.setattr(OpenAIBatches, "results", in_turn)
    endpoint.answer = lambda body: (
        next(empty, "again")
        if alone.messages[-1].content in str(body)
        else re.findall(r"question (\d+)", str(body))[-1]
    )
    parking = lm.endpoint.parking
    assert parking is not None

    async def one(request: Request) -> str:
        with parking.example():
            return (await lm.ask(request, purpose="val")).text

    found = await asyncio.wait_for(all_of(one(each) for each in requests), 20)
    assert found == ["again" if each is alone else each.messages[-1].content[-3:] for each in requests]
    await lm.session.connections.close()
    await lm.close()
    await store.close()


async def test_what_is_given_up_while_its_answer_is_fetched_is_fetched_again(
    endpoint: BatchEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path / "store.sqlite")
    fetched, results = asyncio.Event(), OpenAIBatches.results

    async def slow(batches: OpenAIBatches, id: str) -> Results | None:
        if found := await results(batches, id):
            fetched.set()
            await asyncio.sleep(0.1)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(OpenAIBatches, "results", slow)
        lm = made(store, wait=True)
        parking = lm.endpoint.parking
        assert parking is not None
        asking = [asyncio.create_task(lm.ask(question(number), purpose="val")) for number in range(CALLS)]
        await fetched.wait()
        for each in asking:
            each.cancel()
        await asyncio.sleep(0.3)
        await lm.session.connections.close()
        await lm.close()
    assert await asked(made(store, wait=True)) == WANTED
    assert set(endpoint.submitted.values()) == {1}
    assert not endpoint.ordinary
    await store.close()


async def test_an_example_that_waits_for_what_another_holds_does_not_keep_a_batch_back_for_ever(
    endpoint: BatchEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parking_module, "_STUCK", 0.1)
    store = Store.open(tmp_path / "store.sqlite")
    lm, places = made(store, wait=True), asyncio.Semaphore(FEWEST)
    parking = lm.endpoint.parking
    assert parking is not None

    async def one(number: int) -> str:
        with parking.example():
            async with places:
                return (await lm.ask(question(number), purpose="val")).text

    assert await asyncio.wait_for(all_of(one(number) for number in range(CALLS)), 20) == WANTED
    assert len(endpoint.submitted) == FEWEST
    await lm.session.connections.close()
    await lm.close()
    await store.close()


async def test_who_waits_outlasts_looks_that_fail(
    endpoint: BatchEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuts = iter([True] * 3)
    endpoint.cut = lambda step: step.startswith("GET") and next(cuts, False)
    store = Store.open(tmp_path / "store.sqlite")
    assert await asked(made(store, wait=True)) == WANTED
    assert next(cuts, None) is None
    monkeypatch.setattr(parking_module, "LOOKS", 2)
    endpoint.cut = lambda step: step.startswith("GET")
    with pytest.raises(InfrastructureError):
        await asked(made(Store.memory(), wait=True))
    await store.close()


async def test_a_second_run_uses_its_own_client(endpoint: BatchEndpoint, tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store.sqlite")
    first = made(store, wait=True)
    connections = first.session.connections
    assert await asked(first) == WANTED
    session = Session(store, connections=connections)
    second = open_lm(MODEL, session, price=(0.4, 1.6))
    assert await asked(second, purpose="test", calls=2 * CALLS) == [f"{number:03}" for number in range(2 * CALLS)]
    for lm in (first, second):
        assert isinstance(lm.client, OpenAIClient)
        assert isinstance(lm.client.batches, OpenAIBatches)
        assert lm.client.batches._wire._session is None
    await store.close()


async def test_few_calls_and_questions_of_a_search_go_at_once(endpoint: BatchEndpoint, tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store.sqlite")
    assert await asked(made(store, wait=False), calls=FEWEST - 1) == WANTED[: FEWEST - 1]
    assert await asked(made(store, wait=False), purpose="gradients") == WANTED
    assert not endpoint.submitted
    assert set(endpoint.ordinary.values()) == {1}
    await store.close()


async def test_a_ceiling_reserves_by_the_price_of_a_batch(endpoint: BatchEndpoint, tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store.sqlite")
    lm = made(store, wait=True, usd=1.05 * CALLS * FULL / 2)
    assert await asked(lm) == WANTED  # by the usual price there would be no room for all of them at once
    assert len(endpoint.submitted) == CALLS
    assert not endpoint.ordinary
    await store.close()


class Killed(Exception):
    pass


def lives(path: Path, monkeypatch: pytest.MonkeyPatch, at: int, *, after: bool) -> tuple[int, float]:
    """Ask until all is there; the first life ends before or after its `at`-th step. The number of lives, and what is charged in dollars."""
    steps = 0
    died: asyncio.Event | None = None

    def guarded(call: Callable[..., object]) -> Callable[..., object]:
        async def dies(when: bool) -> None:
            if died is not None and (died.is_set() or (steps == at and when is after)):
                died.set()
                await asyncio.get_running_loop().create_future()  # nothing more of it happens

        async def step(*arguments: object, **more: object) -> object:
            nonlocal steps
            steps += 1
            await dies(False)
            done = await call(*arguments, **more)  # type: ignore[misc]
            await dies(True)
            return done

        return step

    async def life(number: int) -> float:
        nonlocal died
        died = asyncio.Event() if number == 1 else None
        store = Store.open(path)
        lm = made(store, wait=number > 1)
        asking = asyncio.create_task(asked(lm))
        if died is not None:
            await asyncio.wait({asking, asyncio.create_task(died.wait())}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise Killed
        assert await asking == WANTED
        await store.close()
        return lm.session.budget.used["usd"]

    with monkeypatch.context() as patched:
        patched.setattr(Wire, "fetch", guarded(Wire.fetch))
        patched.setattr(Store, "put", guarded(Store.put))
        for number in range(1, 5):
            try:
                return number, asyncio.run(life(number))
            except (Paused, Killed):
                pass
    raise AssertionError("it does not end")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3, 4, 5, 8, 15])
def test_wherever_the_process_ends_nothing_is_submitted_twice(
    endpoint: BatchEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, after: bool
) -> None:
    endpoint.polls = 0
    number, usd = lives(tmp_path / "store.sqlite", monkeypatch, at, after=after)
    assert number > 1
    assert set(endpoint.submitted.values()) == {1}
    assert len(endpoint.submitted) == CALLS
    assert not endpoint.ordinary
    assert usd == pytest.approx(CALLS * FULL / 2)


async def test_a_submit_whose_answer_was_lost_is_found(
    endpoint: BatchEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_time(seconds: float, sleep: Callable[..., object] = asyncio.sleep) -> None:
        await sleep(min(seconds, 0.02))  # type: ignore[misc]

    monkeypatch.setattr(parking_module.asyncio, "sleep", no_time)
    cuts = iter([True])
    endpoint.cut = lambda step: step == "POST batches" and next(cuts, False)
    store = Store.open(tmp_path / "store.sqlite")
    assert await asked(made(store, wait=True)) == WANTED
    assert set(endpoint.submitted.values()) == {1}
    await store.close()


async def test_a_model_without_batches_is_refused(tmp_path: Path) -> None:
    async with Workbench(pace=Pace(batch=True), cache_dir=tmp_path) as bench:
        with pytest.raises(UserError, match="of whose batches FlowBot knows nothing"):
            async with bench.engine("fake/echo", bench.session(), tools={}):
                pass


def test_messages_for_anthropic_ask_for_the_same() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"q": "x"}'}}
    tool = {"type": "function", "function": {"name": "look", "description": "d", "parameters": {"type": "object"}}}
    params = message_of(
        {
            "model": "claude",
            "max_tokens": 50,
            "temperature": 1.5,
            "seed": 3,
            "stop": "END",
            "parallel_tool_calls": False,
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": "q"},
                {"role": "assistant", "content": "", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c1", "content": "found"},
                {"role": "user", "content": "and?"},
            ],
            "tools": [tool],
            "tool_choice": {"type": "function", "function": {"name": "look"}},
        }
    )
    assert params == {
        "model": "claude",
        "max_tokens": 50,
        "temperature": 1.0,
        "stop_sequences": ["END"],
        "system": "be brief",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "q"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "look", "input": {"q": "x"}}]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": "found"},
                    {"type": "text", "text": "and?"},
                ],
            },
        ],
        "tools": [{"name": "look", "description": "d", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "tool", "name": "look", "disable_parallel_tool_use": True},
    }
    used = {"type": "tool_use", "id": "c1", "name": "look", "input": {"q": "x"}}
    message = {
        "content": [{"type": "text", "text": "hm"}, used],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 5},
    }
    said = completion_of(message)["choices"][0]["message"]
    assert said["content"] == "hm"
    assert said["tool_calls"] == [{**call, "function": {"name": "look", "arguments": '{"q": "x"}'}}]
