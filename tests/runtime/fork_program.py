"""A program that uses a flow, forks, and uses it on both sides. Prints one JSON line: what each side found."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from flowbot.fields import UserError
from flowbot.runtime.executors import Call
from flowbot.runtime.flow import Flow
from flowbot.runtime.workbench import Workbench
from flowbot.workflow.workflow import Workflow

Found = dict[str, Any]


def workflow() -> Workflow:
    return Workflow.from_data(
        {
            "flowbot": 1,
            "inputs": {"n": "int"},
            "outputs": {"twice": "d.n", "said": "a.text", "owner": "t.result"},
            "nodes": {
                "d": {"kind": "code", "in": {"n": "n"}, "out": {"n": "int"}},
                "a": {"kind": "llm", "in": {"n": "d.n"}, "out": {"text": "str"}},
                "t": {"kind": "tool", "tool": "owner", "in": {"n": "n"}, "out": {"result": "int"}},
            },
            "parameters": {
                "d": {"code": "def run(n):\n    return {'n': 10 // n}"},
                "a": {"instruction": "Say it."},
            },
        },
        "test",
    )


def owner(n: int) -> int:
    return os.getpid()


def used(flow: Flow, n: int) -> Found:
    """What a call gives; `own`: the tool ran in the process that called."""
    trace = flow.trace(n=n)
    if trace.outputs is None:
        return {"error": trace.error}
    outputs = dict(trace.outputs)
    return {**outputs, "owner": outputs["owner"] == os.getpid()}


def in_child(work: Callable[[], Any]) -> Any:
    """What `work` gives in a process forked from this one, which ends as programs do."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        with os.fdopen(writing, "w") as told:
            told.write(json.dumps(work()))
        sys.exit(0)
    os.close(writing)
    with os.fdopen(reading) as heard:
        text = heard.read()
    _, status = os.waitpid(child, 0)
    return json.loads(text) if status == 0 and text else {"status": status}


def twice_in_child(flow: Flow) -> list[Found]:
    found = [used(flow, 2), used(flow, 0)]
    flow.close()
    return [*found, used(flow, 5)]


FLOW: Flow


def in_pool(n: int) -> Found:
    return used(FLOW, n)


def alone(flow: Flow) -> Found:
    return {"failed": used(flow, 0)}


def by_fork(flow: Flow) -> Found:
    return {"before": used(flow, 1), "child": in_child(lambda: twice_in_child(flow)), "after": used(flow, 1)}


def by_grandchild(flow: Flow) -> Found:
    return {"before": used(flow, 1), "child": in_child(lambda: [used(flow, 2), in_child(lambda: used(flow, 5))])}


def by_pool(flow: Flow) -> Found:
    before = used(flow, 1)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.map(in_pool, [1, 2, 5])
    return {"before": before, "child": found, "after": used(flow, 1)}


def by_threads(flow: Flow) -> Found:
    """Forked while other threads are calling: whatever lock they hold is held for ever in the child. (Not while they import
    what the first call needs: a module's lock is Python's own affair.)"""
    used(flow, 1)
    stop = threading.Event()

    def call() -> None:
        while not stop.is_set():
            used(flow, 1)

    threads = [threading.Thread(target=call, daemon=True) for _ in range(4)]
    for each in threads:
        each.start()
    found = [in_child(lambda: used(flow, 2)) for _ in range(6)]
    stop.set()
    for each in threads:
        each.join()
    return {"child": found, "after": used(flow, 1)}


def by_signal(flow: Flow) -> Found:
    """A worker that has used the flow is asked to end as supervisors ask: by SIGTERM, which it answers by leaving."""
    before = used(flow, 1)
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
        os.write(writing, json.dumps(used(flow, 2)).encode())
        os.close(writing)
        while True:
            signal.pause()
    os.close(writing)
    with os.fdopen(reading) as heard:
        found = json.loads(heard.read())
    os.kill(child, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    return {"before": before, "child": found, "status": os.waitstatus_to_exitcode(status), "after": used(flow, 1)}


def by_workbench(flow: Flow) -> Found:
    """A program with worker processes forks; the child leaves the workbench, and ends, as programs do."""
    with Workbench(executor="processes") as bench:

        def pid() -> int:
            loop = bench.loop
            asked = bench.executor.run(Call("tool", "t", os.getpid, {}))
            return asyncio.run_coroutine_threadsafe(asked, loop).result(20).value

        def refused() -> str:
            try:
                return str(pid())
            except UserError as error:
                return str(error)

        return {"before": pid(), "child": in_child(refused), "after": pid(), "own": os.getpid()}


def by_coroutine(flow: Flow) -> Found:
    """The same from within the workbench's event loop, which the child has a copy of."""

    async def work() -> Found:
        async with Workbench(executor="processes") as bench:
            call = Call("tool", "t", os.getpid, {})
            before = (await bench.executor.run(call)).value
            reading, writing = os.pipe()
            if (child := os.fork()) == 0:
                try:
                    await bench.executor.run(call)
                except UserError as error:
                    os.write(writing, str(error).encode())
                await bench.executor.close()
                await bench.close()
                os._exit(0)
            os.close(writing)
            with os.fdopen(reading) as heard:
                found = heard.read()
            await asyncio.to_thread(os.waitpid, child, 0)
            after = (await bench.executor.run(call)).value
        return {"before": before, "child": found, "after": after, "own": os.getpid()}

    return asyncio.run(work())


if __name__ == "__main__":
    FLOW = Flow(workflow(), lm=sys.argv[2], tools=[owner])
    print(json.dumps(globals()[sys.argv[1]](FLOW)))
