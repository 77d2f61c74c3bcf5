"""Programs as users write them run as nodes: watched, tapped, bounded, and the same every time."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import tap_help
from aiohttp import web

import flowbot as fb
from flowbot.fields import BudgetExceeded, Paused, UserError
from flowbot.lm.budget import Budget
from flowbot.lm.client import Patience, Request
from flowbot.lm.client import Reply as ModelReply
from flowbot.lm.lm import LM
from flowbot.lm.session import Session
from flowbot.lm.tap import tapping
from flowbot.lm.tap.asked import Answer
from flowbot.optimizer.step_view import call_view
from flowbot.runtime.engine import Engine
from flowbot.runtime.trace import Trace
from flowbot.runtime.traced import one_run, stalls
from flowbot.runtime.traced.pure_results import PureResults
from flowbot.store import Store
from flowbot.task.programs import program_of
from flowbot.testing.fake import FakeClient
from flowbot.workflow.workflow import Workflow

PLAN = fb.Param("run_plan", "Write a search query.")
SAY = fb.Param("run_say", "Answer in one word.")
SHOWN = fb.Param("run_shown", "Answer as shown.", turns=[("One?", "1.")])
TOP_K = fb.Value("run_top_k", 2, choices=[1, 2, 3])
URL: list[str] = [""]
SEARCHED: list[str] = []


def body(system: str, user: str, **more: Any) -> dict[str, Any]:
    said = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    return {"model": "gpt-x", "temperature": 0, "max_tokens": 20, "messages": said, **more}


async def ask(system: str, user: str, **more: Any) -> str:
    async with httpx.AsyncClient() as client:
        reply = await client.post(f"{URL[0]}/chat/completions", json=body(system, user, **more))
        reply.raise_for_status()
    return str(reply.json()["choices"][0]["message"]["content"])


def ask_now(system: str, user: str, **more: Any) -> str:
    with httpx.Client() as client:
        reply = client.post(f"{URL[0]}/chat/completions", json=body(system, user, **more))
    return str(reply.json()["choices"][0]["message"]["content"])


@fb.step
async def plan(question: str) -> str:
    return await ask(str(PLAN), question)


@fb.step(kind="tool", pure=True)
def search(query: str, k: int) -> list[str]:
    SEARCHED.append(query)
    return [f"{query} {number}" for number in range(k)]


@fb.step
async def say(docs: list[str], question: str) -> str:
    return await ask(f"{SAY}", f"{question}\n{' '.join(docs)}")


async def answer(question: str) -> str:
    docs = search(await plan(question), TOP_K())
    return await say(docs, question)


def threads(question: str) -> str:
    def one(part: str) -> str:
        return ask_now(str(PLAN), part)

    with ThreadPoolExecutor() as pool:
        return " ".join(pool.map(one, question.split()))


async def blocking(question: str) -> str:
    return ask_now(str(PLAN), question)


def own_loop(question: str) -> str:
    return asyncio.run(answer(question))


async def streams(question: str) -> AsyncIterator[str]:
    for word in question.split():
        yield await plan(word)


@dataclass
class Reply:
    text: str
    words: int


async def several(question: str) -> Reply:
    text = await plan(question)
    return Reply(text, len(text.split()))


async def slotted(question: str) -> str:
    docs = search(question, 3)
    docs = await fb.slot("after_search", docs=docs, question=question)
    return await say(docs, question)


def slotted_in_a_thread(question: str) -> str:
    docs = fb.slot_sync("after_search", docs=search(question, 3), question=question)
    return ask_now(str(SAY), f"{question}\n{' '.join(docs)}")


async def slotted_by_a_helper(question: str) -> str:
    return slotted_in_a_thread(question)


def slotted_on_a_loop_of_its_own(question: str) -> str:
    return asyncio.run(slotted(question))


def answering(asked: dict[str, Any], number: int) -> web.Response:
    system, user = (each["content"] for each in asked["messages"])
    return web.json_response(tap_help.chat(f"{system.split()[0]}: {user}"))


@asynccontextmanager
async def engine(
    *programs: Callable[..., Any], store: Store | None = None, budget: Budget | None = None, **more: Any
) -> AsyncIterator[tuple[Engine, tap_help.Endpoint]]:
    async with tap_help.serving() as endpoint:
        endpoint.answer = answering
        URL[0] = endpoint.url
        made = [program_of(each, **more) for each in programs]
        found = Engine(
            None,
            Session(store or Store.memory(), budget),
            programs={each.name: each for each in made},
            price=(1.0, 2.0),
        )
        try:
            yield found, endpoint
        finally:
            await found.close()


def flow(name: str, out: dict[str, str] | None = None, parameters: Any = None, **node: Any) -> Workflow:
    out = out or {"answer": "str"}
    program = {"kind": "program", "call": name, "in": {"question": "question"}, "out": out, **node}
    return Workflow.from_data(
        {
            "flowbot": 1,
            "inputs": {"question": "str"},
            "outputs": {each: f"app.{each}" for each in out},
            "nodes": {"app": program},
            "parameters": {"app": parameters or {}},
        }
    )


async def run(made: Engine, workflow: Workflow, question: str = "pens ink", **more: Any) -> Trace:
    made.open_models(workflow)
    return await made.run(workflow, {"question": question}, purpose="train", **more)


def told(trace: Trace) -> list[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
    return [(each.address, each.kind, each.reads, each.texts) for each in trace.steps]


async def test_a_program_becomes_steps_with_what_each_read_and_which_texts_it_holds() -> None:
    async with engine(answer) as (made, _):
        trace = await run(made, flow("answer"))
    assert trace.outputs == {"answer": "Answer: pens ink\nWrite: pens ink 0 Write: pens ink 1"}
    assert told(trace) == [
        ("app", "program", ("app/say[1]",), ()),
        ("app/plan[1]/call[1]", "model", (), ("app:run_plan",)),
        ("app/plan[1]", "step", ("app/plan[1]/call[1]",), ()),
        ("app/search[1]", "tool", ("app/plan[1]",), ()),
        ("app/say[1]/call[1]", "model", ("app/search[1]",), ("app:run_say",)),
        ("app/say[1]", "step", ("app/search[1]", "app/say[1]/call[1]"), ()),
    ]
    call = trace.step("app/plan[1]/call[1]")
    assert call is not None
    assert (call.inputs, call.reply, call.usage.calls) == ({"user": "pens ink"}, "Write: pens ink", 1)
    assert made.session.ledger.calls == {"train": 2}
    assert trace.seconds > 0
    assert Trace.load(json.loads(json.dumps(trace.dump()))) == trace


@pytest.mark.parametrize(
    ("program", "question", "gives"),
    [
        (threads, "a b c", "Write: a Write: b Write: c"),
        (blocking, "a", "Write: a"),
        (own_loop, "a", "Answer: a\nWrite: a 0 Write: a 1"),
        (streams, "a b", "Write: aWrite: b"),
    ],
)
async def test_programs_of_every_make_run_and_come_again_from_the_store(
    program: Callable[..., Any], question: str, gives: str
) -> None:
    store = Store.memory()
    async with engine(program, store=store) as (made, endpoint):
        workflow = flow(program.__name__)
        first = await run(made, workflow, question)
        paid = len(endpoint.bodies)
        again = await run(made, workflow, question)
        assert len(endpoint.bodies) == paid
    assert first.outputs == {"answer": gives}
    assert (told(again), again.outputs) == (told(first), first.outputs)
    url = URL[0]
    async with engine(program, store=store) as (made, endpoint):  # of another process, so to say
        URL[0] = url
        assert told(await run(made, workflow, question)) == told(first)
        assert endpoint.bodies == []


async def test_parameters_of_the_candidate_are_read_and_two_run_at_once() -> None:
    told = [{"texts": {"run_plan": f"Find{number} it."}, "values": {"run_top_k": number}} for number in (1, 3)]
    async with engine(answer) as (made, _):
        traces = await asyncio.gather(*(run(made, flow("answer", parameters=each)) for each in told))
    assert [trace.outputs for trace in traces] == [
        {"answer": "Answer: pens ink\nFind1: pens ink 0"},
        {"answer": "Answer: pens ink\nFind3: pens ink 0 Find3: pens ink 1 Find3: pens ink 2"},
    ]


async def test_two_candidates_of_a_program_with_threads_run_at_once() -> None:
    told = [{"texts": {"run_plan": f"Find{number} it."}} for number in (1, 2)]
    async with engine(threads) as (made, _):
        traces = await asyncio.gather(*(run(made, flow("threads", parameters=each), "a b") for each in told))
    assert [trace.outputs for trace in traces] == [{"answer": f"Find{n}: a Find{n}: b"} for n in (1, 2)]


DELAYS: list[float] = []


async def side_by_side(question: str) -> str:
    @fb.step
    async def guess(number: int) -> str:
        await asyncio.sleep(DELAYS[number])
        return await ask(str(PLAN), question, temperature=1)

    first = await asyncio.gather(guess(0), guess(1), guess(2))
    return " ".join([*first, *await asyncio.gather(guess(0), guess(0))])


async def test_what_ends_first_changes_neither_what_is_paid_nor_the_trace() -> None:
    async with engine(side_by_side) as (made, endpoint):
        endpoint.answer = lambda asked, number: web.json_response(tap_help.chat(f"guess {number}"))
        DELAYS[:] = [0, 0.02, 0.04]
        first = await run(made, flow("side_by_side"))
        assert len(endpoint.bodies) == 5
        DELAYS[:] = [0.04, 0.02, 0]
        again = await run(made, flow("side_by_side"))
        assert len(endpoint.bodies) == 5
    assert [each.dump() for each in again.steps] == [each.dump() for each in first.steps]


async def test_an_example_is_not_shown_to_itself() -> None:
    shown = {"inputs": {"question": "q"}, "outputs": {"query": "x"}, "example": "e1"}
    parameters = {"texts": {"run_plan": {"text": "Find it.", "demonstrations": [shown]}}}
    async with engine(answer) as (made, endpoint):
        for example in ("e1", "e2"):
            await run(made, flow("answer", parameters=parameters), example=example)
    systems = [each["messages"][0]["content"] for each in endpoint.bodies]
    assert "Find it." in systems
    assert any("query: x" in each for each in systems)


async def chat_turns(question: str) -> str:
    said = [{"role": "system", "content": str(SHOWN)}, *SHOWN.turns(), {"role": "user", "content": question}]
    async with httpx.AsyncClient() as client:
        sent = await client.post(
            f"{URL[0]}/chat/completions", json={"model": "gpt-x", "max_tokens": 9, "messages": said}
        )
    return str(sent.json()["choices"][0]["message"]["content"])


async def response_turns(question: str) -> str:
    body = {"model": "gpt-x", "max_output_tokens": 9, "instructions": str(SHOWN)}
    said = [*SHOWN.turns(), {"role": "user", "content": question}]
    async with httpx.AsyncClient() as client:
        sent = await client.post(f"{URL[0]}/responses", json={**body, "input": said})
    return str(sent.json()["output"][0]["content"][0]["text"])


async def message_turns(question: str) -> str:
    body = {"model": "claude-x", "max_tokens": 9, "system": str(SHOWN)}
    said = [*SHOWN.turns(), {"role": "user", "content": question}]
    async with httpx.AsyncClient() as client:
        sent = await client.post(f"{URL[0]}/messages", json={**body, "messages": said})
    return str(sent.json()["content"][0]["text"])


@pytest.mark.parametrize("program", [chat_turns, response_turns, message_turns])
async def test_worked_examples_are_turns_in_every_protocol_and_no_input_of_the_call(
    program: Callable[..., Any],
) -> None:
    shown = [{"inputs": {"user": f"{n}?"}, "outputs": {"reply": f"{n}."}, "example": f"e{n}"} for n in (2, 3)]
    tuned = {"text": "Answer so.", "demonstrations": shown, "turns": True}
    name = program.__name__
    async with engine(program) as (made, endpoint):
        endpoint.answer = lambda asked, number: None
        plain = await run(made, flow(name), "Which?")
        trace = await run(made, flow(name, parameters={"texts": {"run_shown": tuned}}), "Which?", example="e3")
    sent = [each.get("messages") or each["input"] for each in endpoint.bodies]
    assert [each["content"] for each in sent[0] if each["role"] != "system"] == ["One?", "1.", "Which?"]
    assert [each["content"] for each in sent[1] if each["role"] != "system"] == ["2?", "2.", "Which?"]
    for each in (plain, trace):
        (call,) = [step for step in each.steps if step.kind == "model"]
        assert (call.inputs, call.texts, call.edges) == ({"user": "Which?"}, ("app:run_shown",), ())
        assert len(call.messages) == 4


async def test_a_result_has_the_declared_outputs_or_is_the_programs_fault() -> None:
    async with engine(several) as (made, _):
        trace = await run(made, flow("several", {"text": "str", "words": "int"}))
        assert trace.outputs == {"text": "Write: pens ink", "words": 3}
        wrong = await run(made, flow("several", {"text": "str", "other": "int"}))
    assert wrong.outputs is None
    assert "other is missing" in wrong.error


async def test_a_pure_step_is_made_once() -> None:
    store = Store.memory()
    SEARCHED.clear()
    async with engine(answer, own_loop, store=store) as (made, _):
        for name in ("answer", "answer", "own_loop"):
            await run(made, flow(name), "only once")
    assert SEARCHED == ["Write: only once"]


def searches(question: str) -> str:
    try:
        return search(question, 1)[0]
    except Exception:
        return "nothing found"


async def searches_async(question: str) -> str:
    @fb.step(pure=True)
    async def looked(query: str) -> list[str]:
        return [query]

    try:
        return (await looked(question))[0]
    except Exception:
        return "nothing found"


@pytest.mark.parametrize("program", [searches, searches_async])
async def test_a_store_that_cannot_tell_of_a_pure_step_stops_the_run_and_fails_no_program(
    program: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> None:
        raise Paused("the database is away", stopped_by="infrastructure")

    monkeypatch.setattr(PureResults, "get", away)
    async with engine(program) as (made, _):
        with pytest.raises(Paused, match="the database is away"):
            await run(made, flow(program.__name__))


async def wrong(question: str) -> str:
    await plan(question)
    raise ValueError("no good")


async def endless(question: str) -> str:
    while True:
        await plan(question)


async def swallows(question: str) -> str:
    for number in range(9):
        try:
            await plan(f"{question} {number}")
        except BaseException:
            continue
    return "fine"


CLOCK = [0.0]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program takes time of its own only where it hangs, however busy the machine is."""
    monkeypatch.setattr(one_run, "time", SimpleNamespace(monotonic=lambda: CLOCK[0]))


async def hang() -> None:
    CLOCK[0] += 1000
    await asyncio.sleep(3600)


async def hangs(question: str) -> str:
    await plan(question)
    await hang()
    return ""


async def hangs_after_a_call_that_it_gave_up(question: str) -> str:
    tap, free = tapping.get(), asyncio.Event()

    async def late() -> Answer:
        await free.wait()
        return Answer(200, {}, json.dumps(tap_help.chat("late")).encode())

    assert tap is not None
    asked = tap.read(f"{URL[0]}/chat/completions", {}, json.dumps(body("Late.", question)).encode())
    assert asked is not None
    call = asyncio.ensure_future(tap.acall(asked, late))
    for _ in range(5):
        await asyncio.sleep(0)
    call.cancel()
    free.set()
    await asyncio.wait({call})
    await hang()
    return ""


async def grouped(question: str) -> str:
    async with asyncio.TaskGroup() as group:
        for number in range(3):
            await plan(f"{question} {number}")
        rest = [group.create_task(plan(f"{question} {number}")) for number in range(3, 9)]
    return " ".join(each.result() for each in rest)


def grouped_in_a_thread(question: str) -> str:
    return asyncio.run(grouped(question))


def hangs_in_a_thread(question: str) -> str:
    CLOCK[0] += 1000
    threading.Event().wait(30)
    return ""


async def hangs_after_a_call_that_failed(question: str) -> str:
    def broken(request: httpx.Request) -> httpx.Response:
        raise ValueError

    async with httpx.AsyncClient(transport=httpx.MockTransport(broken)) as client:
        with suppress(ValueError):
            await client.post(f"{URL[0]}/chat/completions", json=body("", question))
    await hang()
    return ""


async def leaves(question: str) -> str:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (wrong, r"app: program wrong: test_programs_run\.py:\d+: ValueError: no good"),
        (endless, "app: program endless: more than 3 model calls"),
        (swallows, "app: program swallows: more than 3 model calls"),
        (hangs, r"app: program hangs: took longer than 0\.5 s"),
        (
            hangs_after_a_call_that_it_gave_up,
            r"app: program hangs_after_a_call_that_it_gave_up: took longer than 0\.5 s",
        ),
        (grouped, "app: program grouped: more than 3 model calls"),
        (grouped_in_a_thread, "app: program grouped_in_a_thread: more than 3 model calls"),
        (hangs_in_a_thread, r"app: program hangs_in_a_thread: took longer than 0\.5 s"),
        (hangs_after_a_call_that_failed, r"app: program hangs_after_a_call_that_failed: took longer than 0\.5 s"),
        (leaves, r"app: program leaves: test_programs_run\.py:\d+: SystemExit: 3"),
    ],
)
@pytest.mark.usefixtures("clock")
async def test_what_a_program_does_wrong_is_its_error_and_the_same_again(
    program: Callable[..., Any], told: str
) -> None:
    async with engine(program, timeout=0.5 if "hangs" in program.__name__ else 300) as (made, endpoint):
        workflow = flow(program.__name__, max_calls=3)
        first = await run(made, workflow)
        await made.session.flights.ended()  # what was sent when it was cut is seen to its end
        paid = len(endpoint.bodies)
        again = await run(made, workflow)
    assert first.outputs is None
    assert first.error == again.error
    assert re.match(told, first.error), first.error
    assert len(endpoint.bodies) == paid


async def chains(question: str) -> str:
    async def chain(name: str) -> str:
        for number in range(3):
            await plan(f"{name} {number}")
        return name

    return " ".join(await asyncio.gather(*map(chain, question.split())))


def chains_on_a_loop_of_their_own(question: str) -> str:
    return asyncio.run(chains(question))


def chains_in_threads(question: str) -> str:
    def chain(name: str) -> None:
        for number in range(3):
            ask_now(str(PLAN), f"{name} {number}")

    with ThreadPoolExecutor() as pool:
        return str([*pool.map(chain, question.split())])


@pytest.mark.parametrize("program", [chains, chains_on_a_loop_of_their_own, chains_in_threads])
async def test_calls_under_way_when_a_program_is_stopped_are_its_own_and_a_replay_lets_in_the_same(
    program: Callable[..., Any],
) -> None:
    """Which calls are the first four is chance, but once."""
    async with engine(program) as (made, endpoint):

        def held(asked: dict[str, Any]) -> bool:
            return asked["messages"][1]["content"] == "pens 0" and len(endpoint.bodies) < 4

        endpoint.held = held
        workflow = flow(program.__name__, max_calls=4)
        first = await run(made, workflow)
        assert first.error.endswith("more than 4 model calls")
        ledger = made.session.ledger
        assert ledger.logical.calls == ledger.spent.calls == len(endpoint.bodies) == 4
        assert first.usage.calls == 4
        again = await run(made, workflow)
    assert len(endpoint.bodies) == 4
    assert told(again) == told(first)


async def hangs_after_two_calls(question: str) -> str:
    given_up = asyncio.ensure_future(plan("late"))
    await plan(question)
    given_up.cancel()
    await asyncio.sleep(3600)
    return ""


async def test_a_replay_of_a_time_out_counts_the_calls_that_it_made() -> None:
    store = Store.memory()
    async with engine(hangs_after_two_calls, store=store, timeout=0.2) as (made, endpoint):
        await run(made, flow("hangs_after_two_calls"))
        assert made.session.ledger.spent.calls == len(endpoint.bodies) == 2
        programs, used = made.programs, made.session.budget.used
    other = Engine(None, Session(store), programs=programs, price=(1.0, 2.0))
    assert "took longer" in (await run(other, flow("hangs_after_two_calls"))).error
    assert (other.session.ledger.logical.calls, other.session.ledger.spent.calls) == (2, 0)
    assert other.session.budget.used == used
    await other.close()


RAN_IN: list[int] = []


async def stalls_its_loop(question: str) -> str:
    RAN_IN.append(threading.get_ident())
    if len(RAN_IN) > 1:
        return "apart"
    while not LOGGED:
        time.sleep(0.01)  # noqa: ASYNC251 - as such programs do
    await asyncio.sleep(3600)
    return "late"


LOGGED: list[str] = []


async def test_a_program_that_holds_the_loop_up_is_named_and_runs_in_a_thread_from_then_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its run that is cut meanwhile is none that counts: it may have waited for another."""
    monkeypatch.setattr(stalls, "_LATE", 0.02)
    monkeypatch.setattr(stalls, "_log", SimpleNamespace(warning=lambda text, *given: LOGGED.append(text % given)))
    RAN_IN.clear()
    LOGGED.clear()
    async with engine(stalls_its_loop, timeout=0.2) as (made, _):
        assert (await run(made, flow("stalls_its_loop"))).outputs == {"answer": "apart"}
    assert RAN_IN[0] == threading.get_ident() != RAN_IN[1]
    (line,) = LOGGED
    assert re.match(r"program stalls_its_loop holds up all that runs beside it, at test_programs_run\.py:\d+;", line)


async def waits_for_one_model(question: str) -> str:
    if (said := await plan(question)).startswith("Write"):
        await hang()
    return said


@pytest.mark.usefixtures("clock")
async def test_a_time_out_with_one_model_is_none_with_another() -> None:
    store = Store.memory()
    async with engine(waits_for_one_model, store=store, timeout=0.5) as (made, _):
        assert "took longer" in (await run(made, flow("waits_for_one_model"))).error
    session = Session(store)
    lm = LM(FakeClient(lambda request: "other"), session)
    program = program_of(waits_for_one_model, timeout=0.5)
    other = Engine(lm, session, programs={program.name: program})
    assert (await run(other, flow("waits_for_one_model"))).outputs == {"answer": "other"}
    await other.close()


async def in_threads_of_the_loop(question: str) -> str:
    return await asyncio.to_thread(ask_now, str(PLAN), question)


class Started(FakeClient):
    """A model that is started in a thread of the loop's, as a local one is."""

    async def complete(self, request: Request, patience: Patience | None = None) -> ModelReply:
        await asyncio.to_thread(int)
        return await super().complete(request, patience)


async def test_programs_in_all_threads_of_the_loop_wait_for_a_model_that_needs_one() -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
    program = program_of(in_threads_of_the_loop, timeout=30)
    session = Session(Store.memory())
    made = Engine(LM(Started(lambda request: "here"), session), session, programs={program.name: program})
    traces = [run(made, flow("in_threads_of_the_loop"), f"q{number}") for number in range(3)]
    assert [each.outputs for each in await asyncio.gather(*traces)] == [{"answer": "here"}] * 3
    await made.close()


SEEN: list[str] = []


async def asks_when_its_time_is_over(question: str) -> str:
    CLOCK[0] += 1000
    SEEN.append(await plan(question))
    await hang()
    return ""


@pytest.mark.usefixtures("clock")
async def test_a_program_is_not_cut_amid_a_call() -> None:
    """Its client would be closed under the call, and what is paid for be lost."""
    SEEN.clear()
    async with engine(asks_when_its_time_is_over, timeout=0.5) as (made, _):
        assert "took longer" in (await run(made, flow("asks_when_its_time_is_over"))).error
    assert SEEN == ["Write: pens ink"]


async def forks(question: str) -> str:
    if (child := os.fork()) == 0:
        signal.alarm(20)  # ends a child that would go on as the search itself
        raise SystemExit(7)
    return str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))  # noqa: ASYNC222 - as such programs do


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
async def test_a_fork_that_leaves_the_program_ends_and_does_not_go_on_as_the_search() -> None:
    async with engine(forks) as (made, _):
        assert (await run(made, flow("forks"))).outputs == {"answer": "7"}


TOLD: list[str] = []


@fb.step(pure=True)
def signs_in(question: str) -> dict[str, str]:
    TOLD.append(question)
    return {"token": os.environ["SHOP_TOKEN"]}


@fb.step
def refuses(token: str) -> str:
    raise ValueError(f"wrong: {token}")


async def tells(question: str) -> str:
    with suppress(ValueError):
        refuses(signs_in(question)["token"])
    return "done"


async def test_a_key_of_the_environment_is_in_no_trace_and_no_store(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "open-sesame-4711")
    store = Store.open(tmp_path / "cache.sqlite")
    TOLD.clear()
    async with engine(tells, store=store) as (made, _):
        traces = [await run(made, flow("tells")) for _ in range(2)]
    await store.close()
    assert TOLD == ["pens ink"] * 2  # what cannot be kept is made again
    assert traces[0].outputs == {"answer": "done"}
    assert [each.error for each in traces[0].steps if each.node == "app/refuses"] == ["wrong: [secret]"]
    assert "open-sesame" not in repr([each.steps for each in traces])
    kept = b"".join(each.read_bytes() for each in tmp_path.iterdir())  # noqa: ASYNC240 - nothing else runs
    assert b"open-sesame" not in kept


async def test_waiting_for_a_model_is_not_the_programs_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    def slow(asked: dict[str, Any], number: int) -> web.Response:
        clock[0] += 1000
        return answering(asked, number)

    monkeypatch.setattr(one_run, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    async with engine(answer, timeout=1) as (made, endpoint):
        endpoint.answer = slow
        trace = await run(made, flow("answer"))
    assert trace.outputs is not None, trace.error


@pytest.mark.parametrize("program", [swallows, grouped, grouped_in_a_thread])
async def test_a_spent_budget_ends_the_run_also_where_the_program_catches_it(program: Callable[..., Any]) -> None:
    async with engine(program, budget=Budget(calls=2)) as (made, _):
        with pytest.raises(BudgetExceeded):
            await run(made, flow(program.__name__))


FILLING = {
    "inputs": {"docs": "list[str]"},
    "outputs": {"docs": "cut.docs"},
    "nodes": {"cut": {"kind": "code", "in": {"docs": "docs"}, "out": {"docs": "list[str]"}}},
    "parameters": {"cut": {"code": "def run(docs):\n    return {'docs': docs[:1]}"}},
}


@pytest.mark.parametrize("program", [slotted, slotted_in_a_thread, slotted_by_a_helper, slotted_on_a_loop_of_its_own])
async def test_a_place_is_filled_by_a_workflow_and_its_steps_are_there(program: Callable[..., Any]) -> None:
    name = program.__name__
    async with engine(program) as (made, _):
        plain = await run(made, flow(name))
        filled = await run(made, flow(name, parameters={"slots": {"after_search": FILLING}}))
        turned = {**FILLING, "inputs": {"docs": "int"}}
        broken = await run(made, flow(name, parameters={"slots": {"after_search": turned}}))
    assert plain.outputs == {"answer": "Answer: pens ink\npens ink 0 pens ink 1 pens ink 2"}
    place = plain.step("app/after_search[1]")
    assert place is not None
    assert (place.kind, place.inputs["question"]) == ("slot", "pens ink")
    assert filled.outputs == {"answer": "Answer: pens ink\npens ink 0"}
    assert filled.step("app/after_search[1]/cut") is not None
    assert "slot after_search: inputs" in broken.error


class Shop:
    @fb.step
    async def look(self, question: str) -> str:
        """In the shop."""
        return await ask("Shop.", question, temperature=1)


class Depot:
    @fb.step
    async def look(self, question: str) -> str:
        """In the depot."""
        return await ask("Shop.", question, temperature=1)


async def two_of_a_name(question: str) -> str:
    return " ".join(await asyncio.gather(*(each.look(question) for each in ORDER)))


ORDER: list[Any] = [Shop(), Depot()]


async def test_steps_of_one_name_in_two_classes_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the same is asked in both: whichever comes first, each has the reply that it had."""
    async with engine(two_of_a_name) as (made, endpoint):
        endpoint.answer = lambda asked, number: web.json_response(tap_help.chat(f"words {number}"))
        first = await run(made, flow("two_of_a_name"))
        monkeypatch.setitem(globals(), "ORDER", [*reversed(ORDER)])
        second = await run(made, flow("two_of_a_name"))
    gave = {each.function.rpartition(".")[0]: each.outputs for each in first.steps if each.node == "app/look"}
    assert len(gave) == 2
    assert [each.outputs for each in second.steps if each.node == "app/look"] == [*gave.values()]
    described = {each.function: call_view(flow("two_of_a_name"), each).about for each in second.steps if each.function}
    assert {name.split(".")[-2]: "In the depot" in about for name, about in described.items()} == {
        "Shop": False,
        "Depot": True,
    }


def writes(question: str) -> str:
    raise AssertionError("it must not run")


def pretends(question: str) -> str:
    return "pretended"


async def test_a_program_that_writes_needs_a_stand_in() -> None:
    with pytest.raises(UserError, match="program writes: found a program that writes"):
        async with engine(writes, effects="writes"):
            pass
    async with engine(writes, effects="writes", simulate=pretends) as (made, _):
        assert (await run(made, flow("writes"))).outputs == {"answer": "pretended"}


@pytest.mark.parametrize(
    ("workflow", "told"),
    [
        (flow("other"), "the program 'other', which is not there; expected .*there is answer"),
        (
            flow("answer", parameters={"texts": {"nothing": "x"}}),
            r"parameters\.app\.texts\.nothing: .*run_plan, run_say",
        ),
        (
            flow("answer", parameters={"texts": {"run_plan": {"text": "x", "turns": True}}}),
            r"texts\.run_plan: .*as turns, which answer does not send; expected turns=\[\] beside its text",
        ),
        (flow("answer", parameters={"values": {"run_top_k": 7}}), r"values\.run_top_k: .*7 is none of 1, 2, 3"),
    ],
)
async def test_what_is_missing_is_said_before_anything_runs(workflow: Workflow, told: str) -> None:
    async with engine(answer) as (made, _):
        with pytest.raises(UserError, match=told):
            made.open_models(workflow)


async def test_inputs_that_a_program_does_not_take_are_a_users_mistake() -> None:
    other = Workflow.from_data({**flow("answer").dump(), "inputs": {"q": "str"}, "nodes": {
        "app": {"kind": "program", "call": "answer", "in": {"q": "q"}, "out": {"answer": "str"}}}})  # fmt: skip
    async with engine(answer) as (made, _):
        with pytest.raises(UserError, match=r"program answer: found the inputs q .*what it takes: question"):
            await made.run(other, {"q": "x"}, purpose="train")


def test_a_file_of_its_own_is_named_by_the_task(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import flowbot as fb\nP = fb.Param('p', 'x')\ndef answer(question: str) -> str:\n    return f'{P} {question}'\n"
    )
    (tmp_path / "rows.jsonl").write_text('{"question": "a", "answer": "x a"}\n')
    (tmp_path / "task.yaml").write_text(
        "flowbot: 1\ngoal: Say it.\ninputs: {question: str}\noutputs: {answer: str}\nmetric: exact\n"
        "data: {train: rows.jsonl, val: rows2.jsonl, test: rows3.jsonl}\nprograms: [{call: app.py:answer, timeout: 5}]\n"
    )
    for number in (2, 3):
        (tmp_path / f"rows{number}.jsonl").write_text(f'{{"question": "{number}", "answer": "x {number}"}}\n')
    task = fb.Task.load(tmp_path)
    assert [(each.name, each.timeout, [p.name for p in each.tunable]) for each in task.programs] == [
        ("app.py:answer", 5.0, ["p"])
    ]
    assert task.identity["programs"]
    assert fb.Task.load(tmp_path, callables=False).programs == ()
    with fb.Flow(flow("app.py:answer", parameters={"texts": {"p": "y"}}), programs=task.programs) as used:
        assert used(question="b") == {"answer": "y b"}
