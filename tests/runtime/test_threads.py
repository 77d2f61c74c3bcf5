from __future__ import annotations

import sys
import threading

import pytest

from flowbot.runtime.threads import in_thread


async def test_gives_what_the_function_returns_or_raises() -> None:
    assert await in_thread(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)


async def test_one_that_never_returns_is_left_to_itself() -> None:
    never = threading.Event()
    with pytest.raises(TimeoutError):
        await in_thread(never.wait, seconds=0.01)
    never.set()
    assert await in_thread(lambda: 1, seconds=30) == 1


async def test_its_exit_is_not_ours() -> None:
    with pytest.raises(RuntimeError, match="SystemExit"):
        await in_thread(sys.exit)
    with pytest.raises(RuntimeError, match="StopIteration"):
        await in_thread(lambda: next(iter(())))
