"""A package in a thread of its own: whatever a call of ours raises leaves it, past whatever it does with exceptions, and is raised as it
came."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading

import pytest

from flowbot.fields import BudgetExceeded, InfrastructureError, Paused
from flowbot.optimizer.packages.bridge import Bridge, Left
from flowbot.optimizer.seams import PlanUsed


async def three() -> int:
    await asyncio.sleep(0)
    return 3


async def test_a_package_gets_results_from_the_loop_in_a_thread_of_its_own() -> None:
    bridge, here = Bridge(), threading.get_ident()
    ran: list[bool] = []

    async def where() -> int:
        ran.append(threading.get_ident() == here)
        return 1

    def package() -> int:
        assert threading.get_ident() != here
        return bridge.wait(where) + bridge.wait(three)

    assert await bridge.run(package) == 4
    assert ran == [True]


@pytest.mark.parametrize(
    "error",
    [
        BudgetExceeded("no call left", ceiling="calls"),
        PlanUsed("the plan is used", ceiling="calls"),
        InfrastructureError("the endpoint is gone", kind="connection"),
        Paused("stopped", stopped_by="signal"),
        ZeroDivisionError("a bug"),
    ],
)
@pytest.mark.parametrize("own", [False, True])
async def test_what_a_call_raises_leaves_a_package_that_catches_all_exceptions(error: Exception, own: bool) -> None:
    bridge = Bridge()
    reached: list[str] = []

    async def fails() -> None:
        raise error

    def call() -> None:
        if own:
            with bridge.ours():
                raise error
        bridge.wait(fails)

    def package() -> str:
        for _ in range(3):
            with contextlib.suppress(Exception):
                call()
            reached.append("after it")
        return "done"

    with pytest.raises(type(error)) as met:
        await bridge.run(package)
    assert met.value is error
    assert reached == []


async def test_a_package_that_catches_even_that_gets_no_further_call() -> None:
    bridge = Bridge()
    calls: list[str] = []

    async def fails() -> None:
        calls.append("call")
        raise InfrastructureError("the endpoint is gone")

    def package() -> str:
        for _ in range(3):
            with contextlib.suppress(BaseException):
                bridge.wait(fails)
        return "done"

    with pytest.raises(InfrastructureError):
        await bridge.run(package)
    assert calls == ["call"]


async def test_leaving_without_a_fault_is_no_error() -> None:
    bridge = Bridge()

    async def ends() -> None:
        raise Left

    assert await bridge.run(lambda: bridge.wait(ends)) is None


async def test_what_a_package_raises_of_itself_is_raised() -> None:
    def package() -> None:
        raise KeyError("its own")

    with pytest.raises(KeyError, match="its own"):
        await Bridge().run(package)


@pytest.mark.parametrize("catches", [Exception, BaseException])
async def test_a_cancelled_search_leaves_the_package_before_it_goes_on(catches: type[BaseException]) -> None:
    bridge, begun, ended = Bridge(), asyncio.Event(), threading.Event()
    calls: list[str] = []

    async def hangs() -> None:
        calls.append("call")
        begun.set()
        await asyncio.Event().wait()

    def package() -> None:
        try:
            for _ in range(2):
                with contextlib.suppress(catches):
                    bridge.wait(hangs)
        finally:
            ended.set()

    task = asyncio.create_task(bridge.run(package))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set(), "no thread outlives the search"
    assert calls == ["call"]


def test_importing_flowbot_imports_no_package() -> None:
    names = ("gepa", "dspy", "optuna", "litellm")
    code = f"import sys, flowbot, flowbot.optimizer.methods; print([each for each in {names} if each in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
