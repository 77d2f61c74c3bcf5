"""What a pipeline imports: texts and values are read where they are used, steps are seen by whoever watches, and nobody watching is plain Python."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, cast

import pytest

import flowbot as fb
from flowbot.program.applied import Applied, apply
from flowbot.program.reach import tunable
from flowbot.program.stopping import Stop
from flowbot.program.watching import MISSING, StepInfo, current, watcher

PLAN = fb.Param("plan", "Write a search query for {question}.")
TOP_K = fb.Value("top_k", 5, choices=[3, 5, 10])


@dataclass
class Seen:
    step: StepInfo
    arguments: Mapping[str, object]
    inside: Seen | None
    stored: Any = MISSING
    result: Any = MISSING
    error: BaseException | None = None

    async def known(self) -> Any:
        return self.stored

    def done(self, result: object) -> None:
        assert (self.result, self.error) == (MISSING, None)
        self.result = result

    def failed(self, error: BaseException) -> None:
        self.error = error


@dataclass
class Watching:
    texts: dict[str, str] = field(default_factory=dict[str, str])
    stored: dict[str, Any] = field(default_factory=dict[str, Any])
    calls: list[Seen] = field(default_factory=list[Seen])

    def text(self, name: str, default: str) -> str:
        return self.texts.get(name, default)

    def turns(self, name: str, default: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
        return [(name, self.texts[name])] if name in self.texts else default

    def value(self, name: str, default: Any) -> Any:
        return 3 if name == "top_k" else default

    def enter(self, step: StepInfo, arguments: Mapping[str, object]) -> Seen:
        inside: Any = current.get()
        self.calls.append(Seen(step, arguments, inside, self.stored.get(step.name, MISSING)))
        return self.calls[-1]

    async def slot(self, name: str, values: Mapping[str, object]) -> Any:
        return f"{name} filled"

    def slot_sync(self, name: str, values: Mapping[str, object]) -> Any:
        return f"{name} filled now"

    @contextmanager
    def __call__(self) -> Generator[Watching]:
        token = watcher.set(self)
        try:
            yield self
        finally:
            watcher.reset(token)


@fb.step
def plain(text: str, more: int = 1) -> str:
    return text * more


@fb.step(name="planned", kind="tool", pure=True, reads=["plain"])
async def waited(text: str) -> str:
    """Waits."""
    await asyncio.sleep(0)
    return plain(text)


@fb.step
def parts(text: str) -> Generator[str]:
    for letter in text:
        yield plain(letter)


@fb.step
async def stream(text: str) -> AsyncIterator[str]:
    for letter in text:
        await asyncio.sleep(0)
        yield plain(letter)


@fb.step
def handed_on(text: str) -> Any:
    return waited(text)


class Agent:
    @fb.step
    def method(self, text: str) -> str:
        return plain(text)

    @fb.step
    @classmethod
    def of(cls, text: str) -> str:
        return f"{cls.__name__} {text}"

    @staticmethod
    @fb.step
    def free(text: str) -> str:
        return text


def test_a_pipeline_imports_the_standard_library_alone() -> None:
    code = (
        "import sys, flowbot as fb\n"
        "p = fb.Param('p', 'x'); v = fb.Value('v', 1)\n"
        "@fb.step\ndef s(): return f'{p}{v()}'\n"
        "assert s() == 'x1' and fb.slot\n"
        "print(*{n for n in sys.modules if n.partition('.')[0] not in sys.stdlib_module_names})"
    )
    environment = {key: value for key, value in os.environ.items() if key != "FLOWBOT_PARAMS"}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True,
        env={**environment, "PYTHONPATH": os.path.dirname(os.path.dirname(fb.__file__))},
    )  # fmt: skip
    loaded = {each for each in done.stdout.split() if each not in ("__main__", "flowbot")}
    assert {each for each in loaded if not each.startswith("flowbot.program")} == set()


def test_a_text_is_read_where_it_is_used_and_goes_stale_nowhere() -> None:
    assert f"{PLAN}" == str(PLAN) == "" + PLAN == PLAN + "" == PLAN.default
    assert PLAN.default == "%s" % PLAN  # noqa: UP031 - as users write it
    assert PLAN.format(question="pens") == "Write a search query for pens."
    with Watching({"plan": "Other %s"})():
        assert (f"{PLAN:>10}", PLAN % "x", PLAN + PLAN) == ("  Other %s", "Other x", "Other %sOther %s")
    stale: Any = PLAN
    for read in (", ".join, json.dumps):
        with pytest.raises(TypeError):
            read([stale])
    assert (TOP_K(), Watching()().__enter__().value("top_k", 5)) == (5, 3)


@pytest.mark.parametrize(
    "made",
    [
        partial(fb.Param, "no name", "x"),
        partial(fb.Param, "p", cast("str", None)),
        partial(fb.Param, "p", "x" * 8001),
        partial(fb.Param, "p", "x", turns=cast("Any", [("alone",)])),
        partial(fb.Param, "p", "x", turns=cast("Any", ["ab"])),
        partial(fb.Param, "p", "x", turns=[("a", "b")] * 17),
        lambda: fb.Param("p", "x").turns(),
        partial(fb.Value, "v", cast("str", None)),
        partial(fb.Value, "v", 4, choices=[3, 5]),
        partial(fb.Value, "v", 4, low=1),
        partial(fb.Value, "v", 4, low=5, high=9),
        partial(fb.Value, "v", True, choices=[1, 2]),
        lambda: fb.step(cast("Any", "no function")),
        partial(fb.step(kind="llm"), lambda: 1),
    ],
)
def test_what_cannot_be_is_refused_where_it_stands(made: Callable[[], Any]) -> None:
    with pytest.raises((TypeError, ValueError), match=r"fb\.(Param|Value|step)"):
        made()


def test_applied_texts_stand_where_nobody_watches() -> None:
    apply(Applied({"plan": "Found."}, {"top_k": 10}))
    try:
        assert (str(PLAN), TOP_K()) == ("Found.", 10)
        with Watching()():
            assert str(PLAN) == PLAN.default
    finally:
        apply(None)


def test_turns_are_those_of_the_source_the_file_or_whoever_watches() -> None:
    says = fb.Param("says", "Say it.", turns=[("a", "b")])
    assert [*says.turns()] == [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    with Watching({"says": "Other"})():
        assert [each["content"] for each in says.turns()] == ["says", "Other"]
    apply(Applied({"says": "Found."}, turns={"says": [("c", "d"), ("e", "f")]}))
    try:
        assert "".join(each["content"] for each in says.turns()) == "cdef"
        with pytest.raises(ValueError, match=r"has turns of it; expected turns=\[\] beside its text"):
            str(fb.Param("says", "Say it, as a file says that no longer fits."))
    finally:
        apply(None)


async def every_kind(text: str) -> list[Any]:
    agent = Agent()
    return [
        plain(text, more=2),
        await waited(text),
        list(parts(text)),
        [each async for each in stream(text)],
        await handed_on(text),
        agent.method(text),
        Agent.of(text),
        Agent.free(text),
        await fb.slot("after", first=text, second=1),
    ]


def test_every_kind_of_function_gives_the_same_watched_and_not() -> None:
    alone = asyncio.run(every_kind("ab"))
    assert alone == ["abab", "ab", ["a", "b"], ["a", "b"], "ab", "ab", "Agent ab", "ab", "ab"]
    with Watching()() as watching:
        assert asyncio.run(every_kind("ab")) == [*alone[:-1], "after filled"]
    named = [(each.step.name, each.inside.step.name if each.inside else "") for each in watching.calls]
    assert named == [
        ("plain", ""), ("planned", ""), ("plain", "planned"), ("parts", ""), ("plain", "parts"), ("plain", "parts"),
        ("stream", ""), ("plain", "stream"), ("plain", "stream"), ("handed_on", ""), ("planned", "handed_on"),
        ("plain", "planned"), ("method", ""), ("plain", "method"), ("of", ""), ("free", ""),
    ]  # fmt: skip
    assert watching.calls[0].arguments == {"text": "ab", "more": 2}
    assert (watching.calls[1].step.doc, watching.calls[1].step.reads) == ("Waits.", ("plain",))
    assert [each.result for each in watching.calls[3:7]] == [["a", "b"], "a", "b", ["a", "b"]]
    assert all(next(iter(each.arguments)) == "text" for each in watching.calls)


def test_a_stored_result_stands_in_for_the_call() -> None:
    stored = {"planned": "kept", "parts": ["x"], "stream": ["y"], "plain": "z"}
    with Watching(stored=stored)() as watching:
        assert asyncio.run(every_kind("ab"))[:4] == ["z", "kept", ["x"], ["y"]]
    assert [each.step.name for each in watching.calls[:4]] == ["plain", "planned", "parts", "stream"]


def test_a_generator_hides_no_step_of_who_reads_it_and_may_be_left() -> None:
    def reading() -> list[Any]:
        reader = parts("abc")
        seen = [next(reader), current.get()]
        reader.close()
        return seen

    with Watching()() as watching:
        assert reading() == ["a", None]
    assert watching.calls[0].result == ["a"]


def test_what_is_raised_goes_on_and_is_told_a_stop_too() -> None:
    @fb.step
    def wrong(error: BaseException) -> None:
        raise error

    for error in (KeyError("x"), Stop(RuntimeError("spent"))):
        with Watching()() as watching, pytest.raises(type(error)), suppress(ValueError):
            wrong(error)
        assert (watching.calls[0].error, current.get()) == (error, None)
    with pytest.raises(TypeError, match="unexpected keyword"), Watching()():
        plain("a", wrong=1)  # pyright: ignore[reportCallIssue]


async def test_two_candidates_at_once_read_their_own() -> None:
    async def run(text: str) -> list[str]:
        read: list[str] = []
        with Watching({"plan": text})():
            for _ in range(3):
                await asyncio.sleep(0)
                read.append(await asyncio.to_thread(str, PLAN))
        return read

    assert await asyncio.gather(run("one"), run("two")) == [["one"] * 3, ["two"] * 3]


INNER = fb.Param("inner", "i")
HELD = {"deep": [fb.Param("held", "h")]}
MODEL = fb.Value("temperature", 0.5, low=0, high=1)
UNUSED = fb.Param("unused", "u")


class Pipeline:
    @lru_cache  # noqa: B019 - as users write it
    def cached(self) -> float:
        return MODEL()  # pyright: ignore[reportReturnType]

    def __call__(self, question: str) -> str:
        inside = lambda: str(INNER)  # noqa: E731
        return f"{PLAN}{HELD['deep']}{inside()}{self.cached()}{question}"


def test_what_a_program_reads_is_found_by_its_code() -> None:
    def helper(question: str) -> str:
        return Pipeline()(question)

    assert [each.name for each in tunable(helper)] == [each.name for each in tunable(Pipeline())]
    assert {each.name for each in tunable(helper)} == {"plan", "held", "inner", "temperature"}
    other = fb.Param("plan", "another")
    with pytest.raises(ValueError, match=r"two of the name 'plan': .*test_program.py:\d+ and .*test_program.py:\d+"):
        tunable(lambda: (Pipeline(), other))


async def filling(values: Mapping[str, object]) -> Any:
    return [*cast("list[str]", values["docs"]), "filled"]


async def test_a_place_in_plain_code_is_filled_also_where_a_loop_runs() -> None:
    assert fb.slot_sync("after", docs=["a"]) == ["a"]
    with Watching()():
        assert fb.slot_sync("after", docs=["a"]) == "after filled now"
    apply(Applied(slots={"after": filling}))
    try:
        assert fb.slot_sync("after", docs=["a"]) == ["a", "filled"] == await fb.slot("after", docs=["a"])
    finally:
        apply(None)
    with pytest.raises(TypeError, match="no value"):
        fb.slot_sync("after")
