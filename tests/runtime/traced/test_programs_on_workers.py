"""Programs on workers do what they do in this process, and hold no key."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tap_help
from aiohttp import web

from flowbot.fields import BudgetExceeded, InfrastructureError, UserError
from flowbot.lm.budget import Budget
from flowbot.lm.pace import Pace
from flowbot.lm.session import Session
from flowbot.lm.tap.away import WorkerWay, reached, with_keys
from flowbot.lm.tap.away import environment as environment_of
from flowbot.lm.tap.proxy import Way
from flowbot.runtime.engine import Engine
from flowbot.runtime.executors import Executor, open_executor, processes
from flowbot.runtime.executors.processes import ProcessExecutor
from flowbot.runtime.executors.protocol import Outcome
from flowbot.runtime.trace import Step, Trace
from flowbot.store import Store
from flowbot.task.modules import Modules
from flowbot.task.programs import UserProgram, read_program
from flowbot.workflow.workflow import Workflow

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills processes by signal")
KEY = "sk-own-0123456789abcdefghij"
APP = """
import asyncio, os, signal, threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import flowbot as fb
from beside import JOINED

PLAN = fb.Param("away_plan", "Write a search query.")
SAY = fb.Param("away_say", "Answer in one word.")
TOP_K = fb.Value("away_top_k", 2, choices=[1, 2, 3])
LOG = Path(__file__).with_name("log")
URL = os.environ["OPENAI_BASE_URL"]
HEADERS = {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}


def body(system, user, **more):
    said = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    return {"model": "gpt-x", "max_tokens": 20, "messages": said, **more}


async def ask(system, user, **more):
    async with httpx.AsyncClient(headers=HEADERS) as client:
        reply = await client.post(f"{URL}/chat/completions", json=body(system, user, **more))
        reply.raise_for_status()
    return str(reply.json()["choices"][0]["message"]["content"])


def ask_now(system, user, **more):
    with httpx.Client(headers=HEADERS) as client:
        reply = client.post(f"{URL}/chat/completions", json=body(system, user, **more))
    return str(reply.json()["choices"][0]["message"]["content"])


@fb.step
async def plan(question):
    return await ask(str(PLAN), question)


@fb.step(kind="tool", pure=True)
def search(query, k):
    with open(LOG, "a") as file:
        file.write("s")
    return [f"{query} {number}" for number in range(k)]


@fb.step
async def say(docs, question):
    return await ask(str(SAY), f"{question}{JOINED}{' '.join(docs)}")


async def answer(question):
    found = await asyncio.gather(*(plan(word) for word in question.split()))
    drawn = {await ask("Guess.", question), await ask("Guess.", question)}
    docs = [each for query in found for each in search(query, TOP_K())]
    docs = await fb.slot("after_search", docs=docs, question=question, raw=b"no data")
    return await say(docs, question) + f" of {len(drawn)}"


def threads(question):
    with ThreadPoolExecutor(3) as pool:
        return " ".join(pool.map(lambda word: ask_now(str(PLAN), word), question.split()))


@fb.step(name="a_name_that_is_long_enough_for_a_hundred_of_it_to_be_more_than_a_header_holds")
def deep(left):
    return deep(left - 1) if left else ask_now("Guess.", "deep")


def nested(question):
    return deep(100)


def fails(question):
    found = ask_now(str(PLAN), question)
    raise KeyError(found)


def stubborn(question):
    for number in range(9):
        try:
            ask_now(str(PLAN), f"{question} {number}")
        except Exception:
            pass
    return "done"


def sleeps(question):
    ask_now(str(PLAN), question)
    threading.Event().wait()


def killed(question):
    once = Path(__file__).with_name("killed")
    found = ask_now(str(PLAN), question)
    if not once.exists():
        once.touch()
        os.kill(os.getpid(), 9)
    return f"{found} {ask_now(str(SAY), question)}"


def dies(question):
    os._exit(7)


def shares(question):
    found = ask_now(str(PLAN), question)
    if question == "dies":
        os._exit(7)
    threading.Event().wait(0.5)  # in which the one beside it ends both
    return found


def stopped(question):
    once = Path(__file__).with_name("stopped")
    if not once.exists():
        once.touch()
        os.kill(os.getpid(), signal.SIGSTOP)
    return ask_now(str(PLAN), question)


def moderated(question):
    found = ask_now(str(PLAN), question)
    try:
        httpx.post(f"{URL}/moderations", headers=HEADERS, json={"input": found}).raise_for_status()
    except httpx.HTTPStatusError:
        return "refused"
    return found


def told(question):
    return " ".join(f"{name}={text[::-1]}" for name, text in os.environ.items() if name in question.split())
"""
FILL = {
    "flowbot": 1,
    "inputs": {"docs": "list[str]"},
    "outputs": {"docs": "keep.docs"},
    "nodes": {"keep": {"kind": "code", "in": {"docs": "docs"}, "out": {"docs": "list[str]"}}},
    "parameters": {"keep": {"code": "def run(docs):\n    return {'docs': docs[:1]}"}},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "task"
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    (folder / "beside.py").write_text("JOINED = '\\n'")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return folder


class Endpoint(tap_help.Endpoint):
    """Answers by what is asked, and refuses whoever has no key."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn = Counter[str]()
        self.answer = self.said

    async def handle(self, asked: web.Request) -> web.StreamResponse:
        if asked.headers.get("Authorization") != f"Bearer {KEY}":
            return tap_help.error(401, "who are you?")
        return await super().handle(asked)

    def said(self, asked: dict[str, Any], number: int) -> web.Response:
        if "messages" not in asked:
            return web.json_response({"results": []})
        system, user = (each["content"] for each in asked["messages"])
        if system == "Guess.":
            self.drawn[user] += 1
            return web.json_response(tap_help.chat(f"guess {self.drawn[user]}"))
        return web.json_response(tap_help.chat(f"{system.split()[0]}: {user}"))


@asynccontextmanager
async def served(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Endpoint]:
    monkeypatch.setattr(tap_help, "Endpoint", Endpoint)
    async with tap_help.serving() as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        yield endpoint  # type: ignore[misc]


def program(folder: Path, name: str, **more: Any) -> UserProgram:
    made = read_program({"call": f"app.py:{name}", **more}, "program", folder, Modules(run=True))
    assert made is not None
    return made


def flow(name: str, **parameters: Any) -> Workflow:
    node = {"kind": "program", "call": f"app.py:{name}", "in": {"question": "question"}, "out": {"answer": "str"}}
    return Workflow.from_data(
        {
            "flowbot": 1,
            "inputs": {"question": "str"},
            "outputs": {"answer": "app.answer"},
            "nodes": {"app": {**node, "max_calls": parameters.pop("max_calls", 20)}},
            "parameters": {"app": parameters},
        }
    )


@asynccontextmanager
async def engine(
    executor: Executor, made: UserProgram, store: Store | None = None, **more: Any
) -> AsyncIterator[Engine]:
    session = Session(store or Store.memory(), **more)
    found = Engine(None, session, programs={made.name: made}, price=(1.0, 2.0), executor=executor)
    try:
        yield found
    finally:
        await found.close()


async def run(made: Engine, workflow: Workflow, question: str = "pens ink", **more: Any) -> Trace:
    made.open_models(workflow)
    return await made.run(workflow, {"question": question}, purpose="train", **more)


def timeless(value: Any) -> Any:
    """Without how long the endpoint took, which is its own each time."""
    if isinstance(value, dict):
        return {name: timeless(each) for name, each in value.items() if name != "seconds"}
    return [timeless(each) for each in value] if isinstance(value, list) else value


@pytest.fixture
async def two() -> AsyncIterator[ProcessExecutor]:
    executor = ProcessExecutor(2)
    yield executor
    await executor.close()


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("answer", {"texts": {"away_plan": "Search for this."}, "values": {"away_top_k": 3}}),
        ("answer", {"slots": {"after_search": FILL}}),
        ("threads", {}),
        ("nested", {}),
        ("fails", {}),
        ("stubborn", {"max_calls": 3}),
    ],
)
async def test_a_run_on_a_worker_leaves_the_trace_that_it_leaves_here(
    name: str, more: Any, folder: Path, two: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(monkeypatch) as endpoint:
        traces, ledgers = list[Any](), list[Any]()
        for executor in (open_executor(), two):
            endpoint.drawn.clear()
            async with engine(executor, program(folder, name)) as made:
                for _ in range(2):  # the second time from the store
                    traces.append(timeless((await run(made, flow(name, **more))).dump()))
                ledgers.append((made.session.ledger.calls, made.session.ledger.logical.usd))
    assert len({json.dumps(each) for each in traces}) == 1
    assert len(traces[0]["steps"]) > 1
    assert ledgers[0] == ledgers[1]
    assert len(two.pids) == 1


async def test_runs_whose_worker_is_killed_are_made_again_and_pay_once(
    folder: Path, two: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def four(made: Engine) -> list[Any]:
        asked = (run(made, flow("killed"), f"pens {number}") for number in range(4))
        return [timeless(each.dump()) for each in await asyncio.gather(*asked)]

    async with served(monkeypatch) as endpoint, engine(two, program(folder, "killed")) as made:
        traces = await four(made)
        assert (folder / "killed").exists()
        assert traces[3]["outputs"] == {"answer": "Write: pens 3 Answer: pens 3"}
        assert (len(endpoint.bodies), made.session.ledger.calls) == (8, {"train": 8})
        assert len(two.pids) <= 2
    async with served(monkeypatch), engine(open_executor(), program(folder, "killed")) as made:
        assert await four(made) == traces


async def test_a_worker_that_is_lost_each_time_is_the_programs_failure(
    folder: Path, two: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(monkeypatch), engine(two, program(folder, "dies")) as made:
        said = (await run(made, flow("dies"))).error
    assert said == "app: program app.py:dies: its process was lost 3 times out of 3; the last one ended with status 7"


async def test_a_program_that_ends_each_worker_does_not_fail_those_beside_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = ProcessExecutor(1)
    try:
        async with served(monkeypatch) as endpoint, engine(one, program(folder, "shares")) as made:
            asked = (run(made, flow("shares"), question) for question in ("dies", "pens", "ink"))
            dies, *others = await asyncio.gather(*asked)
        assert dies.error.endswith("its process was lost 3 times out of 3; the last one ended with status 7")
        assert [each.outputs for each in others] == [{"answer": "Write: pens"}, {"answer": "Write: ink"}]
        assert len(endpoint.bodies) == 3
    finally:
        await one.close()


async def test_a_worker_of_which_nothing_is_heard_is_lost_and_its_run_made_again(
    folder: Path, two: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "SILENT_SECONDS", 3.0)
    async with served(monkeypatch), engine(two, program(folder, "stopped", timeout=1)) as made:
        assert (await run(made, flow("stopped"), "pens")).outputs == {"answer": "Write: pens"}
    assert (folder / "stopped").exists()


async def test_a_program_that_takes_too_long_is_ended_with_its_process_and_others_are_not(
    folder: Path, two: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(monkeypatch), engine(two, program(folder, "sleeps", timeout=0.2)) as made:
        first = (await run(made, flow("sleeps"))).error
        assert first == "app: program app.py:sleeps: took longer than 0.2 s, waiting for models not counted"
        assert two.pids == ()
        assert (await run(made, flow("sleeps"))).error == first
        assert two.pids == ()  # it is stored


async def test_a_budget_that_is_spent_stops_the_program_and_is_raised_here(
    folder: Path, two: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(monkeypatch) as endpoint:
        async with engine(two, program(folder, "stubborn"), budget=Budget(calls=2)) as made:
            with pytest.raises(BudgetExceeded):
                await run(made, flow("stubborn"))
        assert len(endpoint.bodies) == 2
        assert (made.session.ledger.calls, len(two.pids)) == ({"train": 2}, 1)


async def test_a_program_on_a_worker_has_no_key_and_its_keys_go_to_their_provider_alone(
    folder: Path, two: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC_API_KEY", "OTHER_WORD"):
        monkeypatch.setenv(name, f"{name}-0123456789")
    monkeypatch.setenv("FLOWBOT_STORE", "postgresql://ada:secret@db/flowbot")
    monkeypatch.delenv("MISTRAL_API_KEY", raising=False)
    asked = "OPENAI_API_KEY ANTHROPIC_API_KEY MISTRAL_API_KEY FLOWBOT_STORE OTHER_WORD"
    async with served(monkeypatch), engine(two, program(folder, "told")) as made:
        found = (await run(made, flow("told"), asked)).outputs
    given = {name: text[::-1] for name, text in (each.split("=") for each in str(found and found["answer"]).split())}
    words = {name: f"flowbot-means-{name}" for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")}
    assert given == {**words, "OTHER_WORD": "OTHER_WORD-0123456789"}
    for pid in two.pids:
        held = Path(f"/proc/{pid}/environ").read_bytes()  # noqa: ASYNC240
        assert not any(each.encode() in held for each in (KEY, "ANTHROPIC_API_KEY-", "secret@db"))


async def test_a_key_goes_to_its_provider_alone(
    folder: Path, two: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(monkeypatch) as endpoint, engine(two, program(folder, "threads")) as made:
        there = endpoint.url
        elsewhere = {"OPENAI_BASE_URL": there.replace("127.0.0.1", "localhost")}
        assert with_keys(there, {"Authorization": "Bearer flowbot-means-OPENAI_API_KEY"})[1] == {
            "Authorization": f"Bearer {KEY}"
        }
        said = {"Authorization": "Bearer flowbot-means-OPENAI_API_KEY"}
        assert with_keys("http://api.openai.com/v1/chat/completions", said)[1] == said, "not in plain where it is https"
        monkeypatch.setattr("flowbot.lm.tap.away.environment", lambda: environment_of() | elsewhere)
        with pytest.raises(
            UserError, match=r"a request of a worker to localhost:[0-9]+ with OPENAI_API_KEY, which goes"
        ):
            await run(made, flow("threads"))
    assert endpoint.bodies == []


async def test_what_a_worker_cannot_be_told_or_cannot_reach_runs_here(
    folder: Path, two: ProcessExecutor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="flowbot")
    async with served(monkeypatch) as endpoint, engine(two, program(folder, "told")) as made:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url.replace("http://", "http://ada:secret1234@"))
        found = (await run(made, flow("told"), "OPENAI_API_KEY")).outputs
        assert (found, two.pids) == ({"answer": f"OPENAI_API_KEY={KEY[::-1]}"}, ())
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        way = Way.__init__
        monkeypatch.setattr(Way, "__init__", lambda self, base, token: way(self, "http://127.0.0.1:9", token))
        assert (await run(made, flow("told"), "OPENAI_API_KEY")).outputs == found
        assert len(two.pids) == 1
    async with served(monkeypatch), engine(two, program(folder, "told"), pace=Pace(batch=True)) as made:
        assert (await run(made, flow("told"), "OPENAI_API_KEY")).outputs == found
    one, other, batches = [each.message for each in caplog.records if "runs in this process" in each.message]
    assert one == "program app.py:told runs in this process: the address of a model holds a password"
    assert batches.endswith("its calls go by batches, of more examples than workers take at once")
    assert other.endswith("cannot be reached at 127.0.0.1:9 from there; FLOWBOT_COORDINATOR says where it can be")


async def test_a_request_that_asks_no_model_and_needs_its_key_is_made_here(
    folder: Path, two: ProcessExecutor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="flowbot")
    async with served(monkeypatch) as endpoint, engine(two, program(folder, "moderated")) as made:
        assert (await run(made, flow("moderated"))).outputs == {"answer": "Write: pens ink"}
        assert [each.get("input") for each in endpoint.bodies] == [None, "Write: pens ink"]
    (said,) = [each.message for each in caplog.records if "runs in this process" in each.message]
    assert said.endswith("that asks no model needs a key, and a worker has none")


async def test_where_workers_are_to_ask_is_said_by_a_variable(
    folder: Path, two: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(monkeypatch):
        for said in ("a b", "203.0.113.7", "127.0.0.1:99999"):
            monkeypatch.setenv("FLOWBOT_COORDINATOR", said)
            async with engine(two, program(folder, "threads")) as made:
                with pytest.raises(
                    UserError, match=r"FLOWBOT_COORDINATOR.*HOST or HOST:PORT, an address of this machine"
                ):
                    await run(made, flow("threads"))
        monkeypatch.setenv("FLOWBOT_COORDINATOR", "127.0.0.2")
        async with engine(two, program(folder, "threads")) as made:
            assert (await run(made, flow("threads"))).outputs == {"answer": "Write: pens Write: ink"}


async def test_a_token_is_good_for_one_run_as_long_as_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answers(what: str, told: Any) -> Any:
        return {"what": what}

    async with served(monkeypatch), tap_help.running() as made:
        face = made.models.face(asyncio.get_running_loop())
        admitted = partial(WorkerWay, models=made.models, answers=answers, purpose="train", replicate=0, max_calls=1)
        way = face.admit(admitted)
        async with reached(way.base) as first, reached(way.base) as again:
            with pytest.raises(InfrastructureError, match="the run has begun again"):
                await first.tell("slot", {})
            assert await again.tell("slot", {}) == {"what": "slot"}
            face.forget(way)
            with pytest.raises(InfrastructureError, match="unknown token"):
                await again.tell("slot", {})


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"steps": [{"address": "app"}]},
        {"steps": "app"},
        {"steps": [Step("app", "program", {}, {}).dump(), Step("other/plan[1]", "step", {}, {}).dump()]},
    ],
)
async def test_what_a_worker_tells_is_looked_at(
    value: Any, folder: Path, two: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def elsewhere(call: Any) -> Outcome:
        return Outcome(value)

    async with served(monkeypatch), engine(two, program(folder, "threads")) as made:
        monkeypatch.setattr(two, "elsewhere", elsewhere)
        with pytest.raises(InfrastructureError, match="a worker sent what is no trace"):
            await run(made, flow("threads"))


async def test_a_run_on_a_cluster_leaves_the_trace_that_it_leaves_here(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local: Any = pytest.importorskip("distributed").LocalCluster
    traces = list[Any]()
    async with served(monkeypatch) as endpoint:
        with local(
            n_workers=2, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address="127.0.0.1:0"
        ) as machines:
            for executor in (open_executor(), open_executor(machines.scheduler_address.replace("tcp", "dask"))):
                endpoint.drawn.clear()
                async with engine(executor, program(folder, "answer")) as made:
                    asked = (run(made, flow("answer"), f"pens {name}") for name in ("ink", "paper", "glue"))
                    traces.append([timeless(each.dump()) for each in await asyncio.gather(*asked)])
                await executor.close()
    assert traces[0] == traces[1]
