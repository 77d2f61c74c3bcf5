"""Whatever is fast or slow in a run: the same calls, the same numbers, the same edges."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from flowbot.program.strands import forked
from flowbot.runtime.traced.order import addresses
from flowbot.runtime.traced.provenance import edges
from flowbot.runtime.traced.recorder import Recorder

TEXTS = ("the first heron stood", "a second kestrel fell", "three swifts slept", "no bird at all")
Made = tuple[Any, ...]
"""A piece of a program: `("step", name, text)` gives a text, `("take", name)` gives a text with the last one in it, `("blind", name)` gives what
tells nothing; `("row", ...)` one after the other, `("group", ...)` side by side, `("holder", name, piece)` within a step."""
NAMES = st.sampled_from("ab")
LEAF = st.one_of(
    st.tuples(st.just("step"), NAMES, st.sampled_from(TEXTS)),
    st.tuples(st.just("take"), NAMES),
    st.tuples(st.just("blind"), NAMES),
)


def _inner(piece: st.SearchStrategy[Made]) -> st.SearchStrategy[Made]:
    return st.one_of(
        st.lists(piece, min_size=1, max_size=3).map(lambda each: ("row", *each)),
        st.lists(piece, min_size=2, max_size=3).map(lambda each: ("group", *each)),
        st.tuples(st.just("holder"), st.sampled_from("xy"), piece),
    )


PROGRAMS = st.recursive(LEAF, _inner, max_leaves=9)


class Running:
    """One run of a made program, in an order that a seed gives."""

    def __init__(self, seed: int) -> None:
        self.recorder, self.chance = Recorder(), random.Random(seed)

    async def run(self, piece: Made, last: str, parent: str | None = None) -> str:
        match piece:
            case ("row", *pieces):
                for each in pieces:
                    last = await self.run(each, last, parent)
                return last
            case ("group", *pieces):
                return "; ".join(await asyncio.gather(*(self.run(each, last, parent) for each in pieces)))
            case ("holder", name, inner):
                call = self.recorder.begin("step", name, {"seen": last}, parent=parent)
                result = await self.run(inner, last, call.id)
            case (kind, name, *text):
                call = self.recorder.begin("step", name, {"seen": last if kind == "take" else True}, parent=parent)
                for _ in range(self.chance.randrange(4)):
                    await asyncio.sleep(0)
                result = {"step": "".join(text), "take": f"{name} has {last}", "blind": ""}[kind]
            case _:
                raise AssertionError(piece)
        call.done(result)
        return result


def told(recorder: Recorder, result: object) -> tuple[dict[str, object], set[tuple[str, ...]]]:
    """Every call by its address with what it gave, and every edge."""
    events = recorder.events()
    found = edges(events, {}, result)
    names = addresses(events, found, "app") | {"": ""}
    of = {names[each.id]: each for each in events}
    assert all(list(names).index(each.source) < list(names).index(each.reader) for each in found)
    return (
        {name: (of[name].name, of[name].gave and of[name].gave.value) for name in names.values() if name},
        {(names[each.reader], names[each.source], each.part, each.how) for each in found},
    )


ALIKE = ("row", ("take", "b"), ("step", "a", TEXTS[0]))


@settings(max_examples=60, deadline=None)
@example(("group", ALIKE, ALIKE), [0, 1])
@example(("group", ALIKE, ALIKE, ("row", ALIKE, ALIKE)), [0, 1, 2])
@example(("group", ("row", ("blind", "a"), ("blind", "b")), ("row", ("blind", "a"), ("take", "b"))), [1, 2, 3])
@given(PROGRAMS, st.lists(st.integers(0, 99), min_size=2, max_size=3, unique=True))
def test_any_order_of_the_same_calls_gives_the_same_trace_and_edges(piece: Made, seeds: list[int]) -> None:
    async def one(seed: int) -> tuple[dict[str, object], set[tuple[str, ...]]]:
        running = Running(seed)
        return told(running.recorder, await running.run(piece, ""))

    first, *others = [asyncio.run(one(seed)) for seed in seeds]
    assert all(each == first for each in others)


def test_a_group_reads_nothing_of_itself_and_what_follows_reads_all_of_it() -> None:
    async def run(seed: int) -> set[tuple[str, ...]]:
        running = Running(seed)
        ends = ("row", ("blind", "a"), ("blind", "b"))
        return told(running.recorder, await running.run(("row", ("group", ends, ends, ends), ("blind", "c")), ""))[1]

    for seed in range(5):
        time = {each[:2] for each in asyncio.run(run(seed)) if each[3] == "time" and each[0]}
        assert {source for reader, source in time if reader == "app/c[1]"} == {f"app/b[{n}]" for n in (1, 2, 3)}
        assert sorted(reader for reader, _ in time if "/b" in reader) == [f"app/b[{n}]" for n in (1, 2, 3)]


def test_threads_of_a_small_pool_read_nothing_of_one_another() -> None:
    def run(order: Sequence[int]) -> set[tuple[str, ...]]:
        recorder = Recorder()

        def work(number: int) -> None:
            recorder.begin("step", "a", {"of": bool(number)}, parent=None).done(True)
            recorder.begin("step", "b", {"of": bool(number)}, parent=None).done(True)

        with ThreadPoolExecutor(1) as pool:
            jobs: list[Future[None]] = []
            for number in order:
                jobs.append(pool.submit(forked(work), number))
                while not jobs[-1].done():  # as a fast one has before the next is started, though nobody waits for it
                    time.sleep(0)
            for each in jobs:
                each.result()
        recorder.begin("step", "c", {}, parent=None).done(True)
        return told(recorder, None)[1]

    assert run([0, 1, 2]) == run([2, 1, 0])
    assert {(reader[:6], source[:6]) for reader, source, *_ in run([0, 1, 2])} == {
        ("app/b[", "app/a["),
        ("app/c[", "app/b["),
    }


def test_a_thread_that_has_done_nothing_yet_is_not_taken_for_one_that_it_starts() -> None:
    recorder = Recorder()

    def started() -> str:
        with ThreadPoolExecutor(1) as pool:  # as LangChain does it: a context of its own within what is submitted
            pool.submit(forked(copy_context().run), recorder.begin, "step", "a", {}, parent=None).result().done(True)
        recorder.begin("step", "b", {}, parent=None).done(True)
        return ""

    with ThreadPoolExecutor(1) as pool:
        pool.submit(forked(copy_context().run), started).result()
    assert [each[:2] for each in told(recorder, None)[1]] == [("app/b[1]", "app/a[1]")]


def test_a_run_whose_recorder_is_made_elsewhere_sees_what_was_joined() -> None:
    async def run() -> set[tuple[str, ...]]:
        context = copy_context()
        recorder = context.run(Recorder)

        async def one(number: int) -> str:
            call = recorder.begin("model", "call", {}, parent=None)
            await asyncio.sleep(0)
            call.done(TEXTS[number])
            return TEXTS[number]

        async def all_of() -> None:
            found = await asyncio.gather(one(0), one(1))
            recorder.begin("model", "last", {"messages": "\n".join(found)}, parent=None).done("end")

        await asyncio.create_task(all_of(), context=context)
        return told(recorder, "end")[1]

    assert {each[:2] for each in asyncio.run(run()) if each[3] == "text"} == {
        ("app/last[1]", "app/call[1]"),
        ("app/last[1]", "app/call[2]"),
        ("", "app/last[1]"),
    }
