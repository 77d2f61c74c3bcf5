"""What the tap costs a model call of a user's program, over the bare client.

    python benchmarks/tap.py [ROUNDS] [--calls N]

httpx's own clients send chat completions to an endpoint within the process that answers at once; each way of asking runs bare, through
the tap on an empty store (the client sends, the reply is stored) and through the tap again (the reply is replayed), ROUNDS (9) times in
turn, N (400) different calls each. What is measured is processor time, of all threads, the store's own among them. Prints one JSON
object: milliseconds a call of each round, and what the least of the tap is above the least of the bare client: other work on the
machine only adds. Beside it, what a workflow's own call takes that is sent in the same way, by a model that answers at once: of what
the tap costs, the part that is the price of store, ledger and gate.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from flowbot.fields import Usage
from flowbot.lm.client import Identity, Message, Patience, Reply, Request
from flowbot.lm.lm import LM
from flowbot.lm.session import Session
from flowbot.lm.tap import Models, Tap, install, tapping
from flowbot.store import Store

URL = "https://api.openai.com/v1/chat/completions"
SYSTEM = "You answer questions about a shop. " * 40
REPLY: dict[str, Any] = {
    "model": "gpt-4.1-mini",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "An answer. " * 40}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 300, "completion_tokens": 120, "total_tokens": 420},
}
Ask = Callable[[int, int], Awaitable[None]]
"""Makes so many calls, in the round of that number."""


def body(turn: int, number: int) -> dict[str, Any]:
    """The body of a request."""
    asked = {"role": "user", "content": f"Question {number} of round {turn}?"}
    return {"model": "gpt-4.1-mini", "messages": [{"role": "system", "content": SYSTEM}, asked]}


def answer(request: httpx.Request) -> httpx.Response:
    """What the endpoint answers."""
    return httpx.Response(200, json=REPLY)


async def in_tasks(turn: int, calls: int) -> None:
    """Async code, sixteen calls at once."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:

        async def some(first: int) -> None:
            for number in range(first, calls, 16):
                (await client.post(URL, json=body(turn, number))).json()

        await asyncio.gather(*map(some, range(16)))


async def in_a_thread(turn: int, calls: int) -> None:
    """Blocking code in a thread, one call at a time."""

    def program() -> None:
        with httpx.Client(transport=httpx.MockTransport(answer)) as client:
            for number in range(calls):
                client.post(URL, json=body(turn, number)).json()

    await asyncio.to_thread(program)


class AtOnce:
    """A model that answers at once."""

    identity = Identity("own", "", "at-once")
    default_concurrency = 16
    price_ref = "free"

    async def complete(self, request: Request, patience: Patience | None = None) -> Reply:
        """Answer."""
        text = REPLY["choices"][0]["message"]["content"]
        return Reply(text, "stop", Usage(calls=1, input_tokens=300, output_tokens=120), 0.001)

    async def close(self) -> None:
        """Nothing is open."""


async def ours(store: Store, turn: int, calls: int, *, threaded: bool) -> float:
    """Milliseconds of processor time of a workflow's own call: sixteen at once, or one at a time from a thread."""
    lm, loop = LM(AtOnce(), Session(store)), asyncio.get_running_loop()

    async def one(number: int) -> None:
        said = (Message("system", SYSTEM), Message("user", f"Question {number} of round {turn}, {threaded}?"))
        await lm.ask(Request(said, 200), purpose="train")

    async def some(first: int) -> None:
        for number in range(first, calls, 16):
            await one(number)

    def program() -> None:
        for number in range(calls):
            asyncio.run_coroutine_threadsafe(one(number), loop).result()

    begun = time.process_time()
    await (asyncio.to_thread(program) if threaded else asyncio.gather(*map(some, range(16))))
    found = 1000 * (time.process_time() - begun) / calls
    await lm.close()
    return found


async def measured(ask: Ask, turn: int, calls: int) -> float:
    """Milliseconds of processor time a call."""
    begun = time.process_time()
    await ask(turn, calls)
    return 1000 * (time.process_time() - begun) / calls


async def tapped(store: Store, ask: Ask, turn: int, calls: int) -> float:
    """The same through a tap of a run that begins, its calls' commits included."""
    models = Models(Session(store))
    tap = Tap(models)
    held = tapping.set(tap)
    try:
        found = await measured(ask, turn, calls)
    finally:
        tapping.reset(held)
    tap.close()
    await models.close()
    return found


async def way(ask: Ask, rounds: int, calls: int) -> dict[str, Any]:
    """One way of asking: each round's figures, and the differences of the least."""
    found: dict[str, list[float]] = {"bare": [], "sent": [], "replayed": [], "of a workflow": []}
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "store.sqlite")
        try:
            await tapped(store, ask, -1, 100)  # what is loaded at first need
            for turn in range(rounds):
                found["bare"].append(await measured(ask, turn, calls))
                found["sent"].append(await tapped(store, ask, turn, calls))
                found["replayed"].append(await tapped(store, ask, turn, calls))
                found["of a workflow"].append(await ours(store, turn, calls, threaded=ask is in_a_thread))
        finally:
            await store.close()
    bare = min(found["bare"])
    above = {name: round(min(found[name]) - bare, 3) for name in ("sent", "replayed")}
    return {"ms_a_call": {name: [round(each, 3) for each in times] for name, times in found.items()}, "above": above}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rounds", nargs="?", type=int, default=9)
    parser.add_argument("--calls", type=int, default=400)
    given = parser.parse_args()
    install()
    ways: dict[str, Ask] = {"tasks": in_tasks, "thread": in_a_thread}
    found = {name: asyncio.run(way(ask, given.rounds, given.calls)) for name, ask in ways.items()}
    machine = {"processors": os.cpu_count(), "load": os.getloadavg()[0]}
    print(json.dumps({"calls": given.calls, **machine, **found}))


if __name__ == "__main__":
    main()
