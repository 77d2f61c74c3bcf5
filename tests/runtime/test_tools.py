from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from flowbot.fields import InfrastructureError, StepError, UserError
from flowbot.runtime.memo import Memo
from flowbot.runtime.tools import ToolRunner
from flowbot.store import Store
from flowbot.task import Timed, tool_of


def runner(call: Callable[..., Any], memo: Memo | None = None, **more: Any) -> ToolRunner:
    options = {key: more.pop(key) for key in ("effects", "simulate", "pure", "identity") if key in more}
    return ToolRunner({"t": tool_of(call, name="t", **options)}, memo, **more)


async def test_sync_and_async_callables_are_called_by_name() -> None:
    def plain(a: int, b: list[str]) -> int:
        return a + len(b)

    async def later(a: int, b: list[str]) -> int:
        return a + len(b)

    for call in (plain, later):
        outputs, _ = await runner(call).call("t", {"a": "1", "b": ["x"]})
        assert outputs == {"result": 2}


async def test_a_dataclass_gives_one_output_a_member() -> None:
    @dataclass
    class Found:
        name: str
        count: int

    def find(name: str) -> Found:
        return Found(name, 2)

    find.__annotations__["return"] = Found
    outputs, _ = await runner(find).call("t", {"name": "pear"})
    assert outputs == {"name": "pear", "count": 2}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [({}, "name is missing"), ({"name": "a", "x": 1}, "x is unknown"), ({"name": ["a"]}, 'found ["a"]; expected str')],
)
async def test_wrong_arguments_fail_before_the_call(arguments: dict[str, Any], told: str) -> None:
    def never(name: str) -> str:
        raise AssertionError

    with pytest.raises(StepError) as caught:
        await runner(never).call("t", arguments)
    assert told in str(caught.value)


async def test_an_unknown_tool_is_the_users_error() -> None:
    with pytest.raises(UserError, match=r"'u'.*one of the registered tools: t"):
        await runner(_upper).call("u", {})


def _upper(text: str) -> str:
    return text.upper()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyError("pear"), "tool t: KeyError: 'pear'"),
        (TimeoutError("its own"), "tool t: TimeoutError: its own"),
        (SystemExit(3), "SystemExit"),
        (ValueError("\ud800"), "ValueError: \N{REPLACEMENT CHARACTER}"),
    ],
)
async def test_what_a_tool_raises_is_a_failed_step(error: BaseException, told: str) -> None:
    def bad() -> str:
        raise error

    with pytest.raises(StepError) as caught:
        await runner(bad).call("t", {})
    assert told in str(caught.value)


@pytest.mark.parametrize("result", ["many", float("nan"), None, b"x"])
async def test_a_result_of_another_type_is_a_failed_step(result: Any) -> None:
    def count() -> int:
        return result

    with pytest.raises(StepError, match="tool t: result"):
        await runner(count).call("t", {})


async def test_a_result_that_is_too_large_is_a_failed_step() -> None:
    def large() -> str:
        return "x" * 2_000_000

    with pytest.raises(StepError, match="larger than"):
        await runner(large).call("t", {})


@pytest.mark.parametrize(("length", "fits"), [(99_000, True), (101_000, False)])
async def test_a_result_may_be_100_kb_and_a_larger_one_says_how_large_it_is(length: int, fits: bool) -> None:
    def say(length: int) -> str:
        return "x" * length

    if fits:
        outputs, _ = await runner(say).call("t", {"length": length})
        assert len(outputs["result"]) == length
    else:
        with pytest.raises(StepError, match=r"101,0\d\d bytes, larger than 100,000: ask for less"):
            await runner(say).call("t", {"length": length})


@pytest.mark.parametrize(
    "error", [InfrastructureError("the server is gone"), UserError("docs", "changed", "as it was")]
)
async def test_what_is_not_the_tools_own_fault_is_raised_and_not_stored(error: Exception) -> None:
    calls: list[int] = []

    async def far() -> str:
        calls.append(1)
        raise error

    memo = Memo(Store.memory())
    for _ in range(2):
        with pytest.raises(type(error)):
            await runner(far, memo).call("t", {})
    assert len(calls) == 2


async def test_time_is_bounded_and_a_time_out_is_stored() -> None:
    never, calls = threading.Event(), []

    def hang() -> str:
        calls.append(1)
        never.wait()
        return "done"

    memo = Memo(Store.memory())
    for _ in range(2):
        with pytest.raises(StepError, match=r"took longer than 0\.02 s"):
            await runner(hang, memo, seconds=0.02, identity="hang").call("t", {})
    never.set()
    assert len(calls) == 1


def counted(**options: Any) -> tuple[list[int], ToolRunner]:
    calls: list[int] = []

    def tick(n: int) -> int:
        calls.append(n)
        if n < 0:
            raise ValueError("negative")
        return len(calls)

    return calls, runner(tick, options.pop("memo", None), **options)


async def test_results_and_errors_are_stored_and_equal_calls_share_one() -> None:
    memo = Memo(Store.memory())
    calls, tools = counted(memo=memo)
    results = await asyncio.gather(*(tools.call("t", {"n": 1}) for _ in range(5)))
    assert len({str(each) for each in results}) == 1
    for _ in range(2):
        with pytest.raises(StepError, match="negative"):
            await tools.call("t", {"n": -1})
    assert calls == [1, -1]


async def test_a_pure_tool_is_not_stored_and_one_in_use_neither() -> None:
    for options in ({"memo": Memo(Store.memory()), "pure": True}, {}):
        calls, tools = counted(**options)
        await tools.call("t", {"n": 1})
        await tools.call("t", {"n": 1})
        assert calls == [1, 1]


async def test_a_tool_that_writes_is_called_through_its_stand_in_unless_allowed() -> None:
    def refund(order: str) -> str:
        return f"paid {order}"

    def pretend(order: str) -> str:
        return f"would pay {order}"

    with pytest.raises(UserError, match="simulate"):
        runner(refund, effects="writes")
    memo = Memo(Store.memory())
    tried, _ = await runner(refund, memo, effects="writes", simulate=pretend).call("t", {"order": "a"})
    real, _ = await runner(refund, memo, effects="writes", simulate=pretend, allow_writes=True).call(
        "t", {"order": "a"}
    )
    assert (tried, real) == ({"result": "would pay a"}, {"result": "paid a"})


async def test_a_tool_cannot_change_the_values_it_is_given() -> None:
    def spoil(row: dict) -> int:  # type: ignore[type-arg]
        row["spoiled"] = True
        return 1

    row = {"a": 1}
    await runner(spoil).call("t", {"row": row})
    assert row == {"a": 1}


async def test_what_nobody_waits_for_any_more_does_not_begin_but_what_began_is_stored() -> None:
    go, begun = threading.Event(), threading.Event()

    def wait(n: int) -> int:
        begun.set()
        go.wait()
        return n

    memo = Memo(Store.memory())
    tools = runner(wait, memo, identity="wait")
    asked = [asyncio.create_task(tools.call("t", {"n": n})) for n in range(40)]
    await asyncio.to_thread(begun.wait)
    for each in asked:
        each.cancel()
    go.set()
    await asyncio.gather(*asked, return_exceptions=True)
    await memo.settle()
    assert 1 <= len(await memo.store.items("tool")) <= 16


async def test_a_tool_that_bounds_its_own_time_is_left_to_it_and_says_what_it_took() -> None:
    turn = asyncio.Event()

    async def wait(text: str) -> str:
        await turn.wait()
        return Timed(text, 1.5)  # type: ignore[return-value]

    tool = replace(tool_of(wait, name="t", identity="wait"), timed=True)
    tools = ToolRunner({"t": tool}, Memo(Store.memory()), seconds=0.01)
    asked = asyncio.create_task(tools.call("t", {"text": "a"}))
    await asyncio.sleep(0.05)
    assert not asked.done()
    turn.set()
    assert await asked == await tools.call("t", {"text": "a"}) == ({"result": "a"}, 1.5)


class Shelf:
    def __init__(self, place: str) -> None:
        self.place = place
        self.asked = 0

    def find(self, name: str) -> str:
        self.asked += 1
        return f"{name} in {self.place} {self.asked}"


async def test_methods_of_two_objects_share_no_result() -> None:
    memo = Memo(Store.memory())
    north, south = Shelf("north"), Shelf("south")
    found = [(await runner(each.find, memo).call("t", {"name": "pear"}))[0]["result"] for each in (north, south, north)]
    assert found == ["pear in north 1", "pear in south 1", "pear in north 2"]
    for _ in range(2):
        kept = await runner(south.find, memo, identity="south").call("t", {"name": "pear"})
        assert kept[0] == {"result": "pear in south 2"}


ASKED: list[str] = []


def find_in(place: str, name: str) -> str:
    ASKED.append(place)
    return f"{name} in {place}"


async def test_partials_with_other_arguments_share_no_result_and_equal_ones_do() -> None:
    memo = Memo(Store.memory())
    ASKED.clear()
    for place in ("north", "south", "north"):
        found, _ = await runner(partial(find_in, place), memo).call("t", {"name": "pear"})
        assert found == {"result": f"pear in {place}"}
    assert ASKED == ["north", "south"]
