"""A program's calls in threads, in other event loops, and in other processes: all go past the tap of the run that started them."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import aiohttp
import openai
import pytest
from lm_helpers import until
from tap_help import KEY, Endpoint, chat, error, running, serving

from flowbot.fields import BudgetExceeded, Paused
from flowbot.lm.budget import Budget
from flowbot.lm.tap import BlockingCallError, Tap
from flowbot.lm.tap.asked import Answer
from flowbot.lm.tap.errand import Errand
from flowbot.program.stopping import Stop
from flowbot.store import Store

ASK = """
import os
import openai
client = openai.OpenAI(api_key=os.environ["OPENAI_API_KEY"])
done = client.chat.completions.create(model="gpt-x", messages=[{"role": "user", "content": "Who?"}])
print(done.choices[0].message.content)
"""


def ask(url: str, text: str = "Who?") -> str:
    with openai.OpenAI(base_url=url, api_key=KEY) as client:
        messages: list[Any] = [{"role": "user", "content": text}]
        return client.chat.completions.create(model="gpt-x", messages=messages).choices[0].message.content or ""


async def test_threads_that_a_program_starts_are_its_own() -> None:
    """Also in a pool that another run has used before."""
    pool = ThreadPoolExecutor(1)
    async with serving() as there, running() as first, running() as second:

        def program() -> None:
            thread = threading.Thread(target=ask, args=(there.url, "in a thread"))
            thread.start()
            thread.join()
            pool.submit(ask, there.url, "in a pool").result()

        for run in (first, second):
            with run.tapped():
                await asyncio.to_thread(program)
        await asyncio.wrap_future(pool.submit(ask, there.url, "of nobody"))
    said = [[each.messages[-1].content for each in run.heard] for run in (first, second)]
    assert said == [["in a thread", "in a pool"]] * 2
    assert len(there.bodies) == 5
    pool.shutdown()


async def test_many_threads_stay_within_a_ceiling() -> None:
    async with serving() as there, running(budget=Budget(calls=5)) as run:

        def program() -> None:
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda number: ask(there.url, f"Who is {number}?"), range(20)))

        with run.tapped(), pytest.raises(Stop) as stop:
            await asyncio.to_thread(program)
    assert isinstance(stop.value.cause, BudgetExceeded)
    assert len(there.bodies) == 5


async def test_an_event_loop_of_the_programs_own() -> None:
    async with serving() as there, running() as run:

        async def program() -> list[str]:
            async with openai.AsyncOpenAI(base_url=there.url, api_key=KEY) as client:
                asked = [
                    client.chat.completions.create(model="gpt-x", messages=[{"role": "user", "content": f"{number}?"}])
                    for number in range(4)
                ]
                return [each.choices[0].message.content or "" for each in await asyncio.gather(*asked)]

        with run.tapped():
            found = await asyncio.to_thread(lambda: asyncio.run(program()))
    assert sorted(found) == [f"words {number}" for number in range(1, 5)]
    assert len(run.heard) == 4


@pytest.mark.parametrize("what", ["a client", "a process"])
async def test_what_blocks_the_loop_that_it_waits_for_is_told(what: str) -> None:
    async with serving() as there, running() as run:
        ways = {
            "a client": lambda: ask(there.url),
            "a process": lambda: subprocess.run([sys.executable, "-c", ""], check=True),
        }
        with run.tapped(), pytest.raises(Stop) as stop:
            ways[what]()
    assert isinstance(stop.value.cause, BlockingCallError)
    assert not there.bodies


def in_process(there: Endpoint) -> str:
    environment = {**os.environ, "OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": there.url}
    done = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def in_fork(there: Endpoint) -> str:
    context = multiprocessing.get_context("fork")
    answers: Any = context.SimpleQueue()
    process = context.Process(target=lambda: answers.put(ask(there.url)))
    process.start()
    process.join()
    return answers.get()


def in_process_by_place(there: Endpoint) -> str:
    """`Popen` is handed its environment as the last of its unnamed arguments."""
    environment = {**os.environ, "OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": there.url}
    given: Any = (-1, None, None, subprocess.PIPE, None, None, True, False, None, environment)
    with subprocess.Popen([sys.executable, "-c", ASK], *given) as process:
        return process.communicate()[0].decode().strip()


@pytest.mark.parametrize("way", [in_process, in_process_by_place, in_fork])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
async def test_another_process_has_the_same_keys(way: Any) -> None:
    store = Store.memory()
    async with serving() as there:
        async with running(store) as run:
            with run.tapped(scope=lambda: "step"):
                assert await asyncio.to_thread(way, there) == "words 1"
            assert run.heard[0].scope == "step"
        async with running(store) as again:
            with again.tapped(scope=lambda: "step"):
                assert await asyncio.to_thread(ask, there.url) == "words 1"
            assert again.heard[0].stored
    assert len(there.bodies) == 1


async def test_the_proxy_lets_nobody_in_without_a_token_and_no_call_after_the_run() -> None:
    async with serving() as there, running(budget=Budget(calls=1)) as run:
        with run.tapped() as tap:
            passage = tap.passage({"OPENAI_BASE_URL": there.url})
            body = {"model": "gpt-x", "messages": [{"role": "user", "content": "Who?"}]}
            async with aiohttp.ClientSession() as session:

                async def status(url: str) -> int:
                    async with session.post(f"{url}/chat/completions", json=body) as answer:
                        return answer.status

                assert await status(passage.url) == 200
                assert await status(passage.url) == 403  # the ceiling
                assert await status(passage.url.replace(passage.token, "guess")) == 401
                tap.close()
                assert await status(passage.url) == 401
    assert len(there.bodies) == 1


async def test_a_run_whose_equal_call_another_run_gave_up_makes_it_itself() -> None:
    """Both wait for the first one's client, which fails twice: between its tries the first run is closed."""
    async with serving() as there, running() as run:
        there.answer = lambda body, number: error(500, "overloaded", retry_after="0.2") if number == 1 else None
        question: dict[str, Any] = {
            "model": "gpt-x",
            "messages": [{"role": "user", "content": "Who?"}],
            "temperature": 0,
        }

        def program() -> str:
            with openai.OpenAI(base_url=there.url, api_key=KEY) as client:
                return client.chat.completions.create(**question).choices[0].message.content or ""

        async def tapped() -> tuple[Tap, asyncio.Future[str]]:
            with run.open() as tap:
                return tap, asyncio.ensure_future(asyncio.to_thread(program))

        gone, first = await tapped()
        _, second = await tapped()
        await until(lambda: run.session.ledger.retries > 0)
        gone.close()
        with pytest.raises(Stop) as stop:
            await first
        assert isinstance(stop.value.cause, Paused)
        assert await second == "words 2"
    assert len(there.bodies) == 2


async def test_a_run_whose_equal_call_another_runs_client_failed_makes_it_itself() -> None:
    async with serving() as there, running() as run:
        there.answer = lambda body, number: error(500, "overloaded", retry_after="0.1") if number == 1 else None
        closed = openai.AsyncOpenAI(base_url=there.url, api_key=KEY)
        kept = openai.AsyncOpenAI(base_url=there.url, api_key=KEY)

        async def program(client: openai.AsyncOpenAI) -> str:
            messages: list[Any] = [{"role": "user", "content": "Who?"}]
            done = await client.chat.completions.create(model="gpt-x", messages=messages, temperature=0)
            return done.choices[0].message.content or ""

        with run.tapped():
            first = asyncio.ensure_future(program(closed))
            second = asyncio.ensure_future(program(kept))
            await until(lambda: run.session.ledger.retries > 0)
            await closed.close()
            assert await second == "words 2"
            with pytest.raises((openai.APIConnectionError, RuntimeError)):
                await first
        await kept.close()
    assert len(there.bodies) == 2


async def test_a_run_whose_equal_call_another_runs_loop_left_makes_it_itself() -> None:
    """The loop that one program has of its own ends while its client waits for the answer."""
    sending, leaving = threading.Event(), threading.Event()
    question = {"model": "gpt-x", "messages": [{"role": "user", "content": "Who?"}], "temperature": 0}

    async def forever() -> Answer:
        sending.set()
        await asyncio.sleep(3600)
        raise AssertionError

    async def at_once() -> Answer:
        return Answer(200, {"content-type": "application/json"}, json.dumps(chat("words")).encode())

    async with running() as run:
        with run.tapped() as gone, run.tapped() as kept:
            asked = gone.read("http://127.0.0.1/v1/chat/completions", {}, json.dumps(question).encode())
            assert asked is not None

            async def leaves() -> None:
                call = asyncio.ensure_future(gone.acall(asked, forever))
                await asyncio.to_thread(leaving.wait, 30)
                assert not call.done()

            first = asyncio.ensure_future(asyncio.to_thread(lambda: asyncio.run(leaves())))
            await asyncio.to_thread(sending.wait, 30)
            second = asyncio.ensure_future(kept.acall(asked, at_once))
            await until(lambda: kept.calls > 0)
            leaving.set()
            await first
            assert (await second).text == "words"


async def test_what_is_left_over_of_a_run_starts_no_way_in() -> None:
    async with running() as run:
        with run.tapped() as tap:
            tap.close()
            with pytest.raises(Stop):
                await asyncio.create_subprocess_exec(sys.executable, "-c", "")
            with pytest.raises(Stop):
                tap.elsewhere("http://127.0.0.1/v1")


async def test_what_was_given_up_before_its_turn_is_not_sent() -> None:
    sent: list[int] = []
    errand = Errand(lambda: sent.append(1) or Answer(200, {}, b""))
    given_up = errand.post()
    given_up.cancel()
    await asyncio.sleep(0)
    asking: Future[Any] = Future()
    asking.set_result(None)
    errand.run(asking)
    assert not sent
    with pytest.raises(ConnectionAbortedError):
        await errand.post()
