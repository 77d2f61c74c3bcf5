"""A function of the user's own as a model: asked, stored, counted and refused as an endpoint is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from lm_helpers import request

import flowbot as fb
from flowbot.fields import BudgetExceeded, InfrastructureError, UserError
from flowbot.fields.errors import FlowBotError
from flowbot.lm.budget import Budget
from flowbot.lm.callable_model import model_string
from flowbot.lm.clock import VirtualClock
from flowbot.lm.foreign_faults import fault_of
from flowbot.lm.lm import LM
from flowbot.lm.session import Session
from flowbot.lm.tap import Models, Tap, tapping
from flowbot.runtime.open_model import open_client
from flowbot.store import Store

Asked = list[list[dict[str, Any]]]


def lm_of(call: Any, *, budget: Budget | None = None, store: Store | None = None) -> LM:
    client = open_client(model_string(fb.CallableModel(call, name="mine"), "lm"))
    client.clock = VirtualClock()  # type: ignore[attr-defined]
    return LM(client, Session(store or Store.memory(), budget))


def task(folder: Path) -> Path:
    (folder / "rows.jsonl").write_text("\n".join(f'{{"n": {n}, "reply": "yes"}}' for n in range(4)))
    (folder / "task.yaml").write_text(
        "flowbot: 1\ngoal: Say yes.\ninputs: {n: int}\noutputs: {reply: str}\nmetric: exact\ndata: {val: rows.jsonl}\n"
    )
    return folder / "task.yaml"


class Gateway:
    name = "gateway/7b"

    def __init__(self) -> None:
        self.asked: Asked = []

    def __call__(self, messages: list[dict[str, Any]]) -> str:
        self.asked.append(messages)
        return "yes"


@pytest.mark.parametrize("kind", ["async", "plain", "returns a coroutine"])
async def test_a_function_is_asked_once_and_its_reply_is_stored_and_counted(kind: str) -> None:
    asked: Asked = []

    async def later(messages: list[dict[str, Any]]) -> str:
        asked.append(messages)
        await asyncio.sleep(0)
        return "four pens"

    def at_once(messages: list[dict[str, Any]]) -> str:
        asked.append(messages)
        return "four pens"

    call = {"async": later, "plain": at_once, "returns a coroutine": lambda messages: later(messages)}[kind]
    lm = lm_of(call)
    replies = [await lm.ask(request("how many?"), purpose="x") for _ in range(2)]
    await lm.close()
    assert [each.text for each in replies] == ["four pens"] * 2
    assert asked == [[{"role": "user", "content": "how many?"}]]
    assert lm.session.ledger.calls == {"x": 1}
    assert replies[0].usage.output_tokens > 0
    assert replies[0].estimated


async def test_it_is_told_what_its_signature_takes_and_its_own_count_of_tokens_is_taken() -> None:
    told: list[dict[str, Any]] = []

    async def ask(messages: Any, *, temperature: float, seed: int | None = None, **more: Any) -> dict[str, Any]:
        told.append({"temperature": temperature, "seed": seed, **more})
        usage = {"prompt_tokens": 30, "completion_tokens": 7}
        return {"choices": [{"message": {"content": "hi"}, "finish_reason": "length"}], "usage": usage}

    lm = lm_of(ask)
    reply = await lm.ask(request(temperature=0.5), purpose="x", draw=(2,))
    assert told[0]["temperature"] == 0.5
    assert told[0]["seed"] is not None  # another draw is another request
    assert set(told[0]) == {"temperature", "seed"}
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.finish) == (30, 7, "length")


async def test_a_ceiling_holds_before_it_is_called() -> None:
    gateway = Gateway()
    lm = lm_of(gateway, budget=Budget(calls=1))
    await lm.ask(request("a"), purpose="x")
    with pytest.raises(BudgetExceeded):
        await lm.ask(request("b"), purpose="x")
    assert len(gateway.asked) == 1


async def test_its_own_calls_pass_no_tap() -> None:
    seen: list[object] = []
    lm = lm_of(lambda messages: seen.append(tapping.get()) or "yes")
    token = tapping.set(Tap(Models(lm.session)))
    await lm.ask(request(), purpose="x")
    assert tapping.get() is not None
    tapping.reset(token)
    assert seen == [None]


class Throttled(Exception):
    response = {"Error": {"Code": "ThrottlingException"}, "ResponseMetadata": {"HTTPStatusCode": 400}}  # noqa: RUF012


class Denied(Exception):
    status_code = 401


@pytest.mark.parametrize(
    ("error", "kind", "fatal"),
    [
        (Throttled("slow down"), "rate_limit", False),
        (Denied("no such key"), "auth", True),
        (TimeoutError(), "timeout", False),
        (ConnectionResetError("gone"), "connection", False),
        (RuntimeError("the gateway is ill"), "server", False),
        (KeyError("choices"), "other", True),
    ],
)
def test_what_it_raises_is_told_by_its_kind(error: Exception, kind: str, fatal: bool) -> None:
    fault = fault_of("ask()", error)
    assert isinstance(fault, InfrastructureError)
    assert (fault.kind, fault.fatal) == (kind, fatal)
    assert str(fault).startswith("ask(): ")


async def test_a_fault_is_tried_again_and_a_mistake_in_the_code_is_not_and_names_its_line() -> None:
    calls: list[int] = []

    def ask(messages: Any) -> str:
        calls.append(1)
        if len(calls) < 3:
            raise OSError("reset")
        return messages["wrong"]

    lm = lm_of(ask)
    with pytest.raises(InfrastructureError, match=rf"TypeError.*\({__file__}:\d+\)"):
        await lm.ask(request(), purpose="x")
    assert len(calls) == 3


@pytest.mark.parametrize("returned", [None, 3, b"yes", "x" * 2_000_001])
async def test_what_is_no_reply_is_no_answer(returned: object) -> None:
    lm = lm_of(lambda messages: returned)
    with pytest.raises(InfrastructureError, match="which is no reply"):
        await lm.ask(request(), purpose="x")


def test_an_evaluation_takes_a_function_that_names_itself_and_replays_it(tmp_path: Path) -> None:
    gateway, path = Gateway(), task(tmp_path)
    found = fb.evaluate("single-call", path, lm=gateway, cache_dir=tmp_path)
    assert (found.mean, found.lm, len(gateway.asked)) == (1.0, "callable/gateway/7b", 4)
    again = Gateway()
    assert fb.evaluate("single-call", path, lm=again, cache_dir=tmp_path).spent.calls == 0
    assert again.asked == []


def test_one_that_does_not_say_who_answers_is_refused_for_a_stored_run_and_serves_a_flow(tmp_path: Path) -> None:
    def ask(messages: list[dict[str, Any]]) -> str:
        return "yes"

    with pytest.raises(UserError, match=r"lm: .*ask, which does not say who answers.*fb\.CallableModel\(ask, name="):
        fb.evaluate("single-call", task(tmp_path), lm=ask, cache_dir=tmp_path)
    workflow = fb.evaluate("single-call", tmp_path / "task.yaml", lm=Gateway(), cache_dir=tmp_path).workflow
    with fb.Flow(workflow, lm=ask) as flow:
        assert flow(n=3) == {"reply": "yes"}
        with pytest.raises(UserError, match="a function without a name"):
            fb.evaluate(flow, tmp_path / "task.yaml", cache_dir=tmp_path)


@pytest.mark.parametrize("name", ["", "two words", "a?b=c", 3])
def test_a_name_is_one_word(name: Any) -> None:
    with pytest.raises(UserError, match="CallableModel: name"):
        fb.CallableModel(Gateway(), name=name)


def test_a_name_that_nobody_gave_is_one_line() -> None:
    with pytest.raises(UserError, match="no function of that name in this program"):
        open_client("callable/nobody")


def test_errors_of_flowbots_own_stay_what_they_are() -> None:
    error = FlowBotError("x")
    assert fault_of("here", error) is error
