"""What every driver shares: the examples, what is measured, and the one line that it prints. Standard library only.

A driver is a script that gets one JSON object as its argument (see `Setting`) and prints one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import threading
import time
import urllib.request
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EXPECTED = "step result 42"
INSTRUCTIONS = {
    "plan": "Plan in one sentence how to answer the question about the shop's stock. Name what has to be counted.",
    "draft": "Draft an answer to the question about the shop's stock, following the plan. Be brief and say the number.",
    "answer": "Give the final answer to the question about the shop's stock, mended where the draft is wrong.",
}
"""What the three steps are asked: plan(question), draft(question, plan), answer(question, draft)."""
MAX_TOKENS = 64
WARM_UP = 4
_BASE = 1_000_000


@dataclass(frozen=True)
class Setting:
    """How to run.

    Args:
        base_url: of the mock endpoint, without `/v1`.
        n: examples, of three calls each.
        concurrency: the limit, on whatever the driver can limit.
        folder: where the driver may keep files (stores, caches).
        variant: which way of the driver's; "" is its first.
        cache: whether calls are kept on disk and looked up there.
        faults: shares of the endpoint's faults, set after the warm-up.
        cut_s: seconds after which the driver tells what it has and ends.
    """

    base_url: str
    n: int
    concurrency: int
    folder: str
    variant: str = ""
    cache: bool = False
    faults: dict[str, float] = field(default_factory=dict[str, float])
    cut_s: float = 600.0


@dataclass
class Tally:
    """What came of the examples so far."""

    finished: int = 0
    failed: int = 0
    wrong: list[str] = field(default_factory=list[str])
    extra: dict[str, Any] = field(default_factory=dict[str, Any])

    def fail(self, error: BaseException) -> None:
        """Count an example that raised, and keep the first reason."""
        self.failed += 1
        self.extra.setdefault("first_error", f"{type(error).__name__}: {error}"[:300])

    def score(self, number: int, answer: object) -> float:
        """Count a finished example; 1.0 for the expected answer."""
        self.finished += 1
        if answer == EXPECTED:
            return 1.0
        self.wrong.append(str(number))
        return 0.0


def setting() -> Setting:
    """The setting in the command line; the limit on open files is raised on the way."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    chosen = Setting(**json.loads(sys.argv[1]))
    os.environ["OPENAI_BASE_URL"] = chosen.base_url + "/v1"
    os.environ["OPENAI_API_KEY"] = "mock"
    Path(chosen.folder).mkdir(parents=True, exist_ok=True)
    return chosen


def question(number: int) -> str:
    """The question of an example; no two are alike."""
    return f"Question {number}: how many boxes of article {number * 7919} are left on shelf {number % 97}?"


def numbers(chosen: Setting) -> range:
    """The numbers of the examples."""
    return range(_BASE, _BASE + chosen.n)


def warm_up_numbers() -> range:
    """The numbers of the warm-up's examples: others than those that are measured."""
    return range(WARM_UP)


def prompt(step: str, number: int, given: str = "") -> str:
    """What a step is shown beside its instruction, for drivers that write their own prompts."""
    asked = question(number)
    return asked if step == "plan" else f"question: {asked}\n{'plan' if step == 'draft' else 'draft'}: {given}"


async def limited(work: Callable[[int], Awaitable[None]], asked: range, concurrency: int, tally: Tally) -> None:
    """Work on examples side by side, so many at once; one that raises is counted as failed."""
    limit = asyncio.Semaphore(concurrency)

    async def one(number: int) -> None:
        async with limit:
            try:
                await work(number)
            except Exception as error:
                tally.fail(error)

    await asyncio.gather(*(one(number) for number in asked))


@contextmanager
def measured(chosen: Setting) -> Generator[Tally]:
    """Reset the endpoint's counters and set its faults, measure what is done inside, print the line; cut off after `cut_s`."""
    tally = Tally()
    once = threading.Lock()
    control(chosen, reset=True, faults=chosen.faults)
    before = _rss_mb()
    cpu, began = _cpu_s(), time.perf_counter()

    def tell(*, cut: bool) -> None:
        wall, used = time.perf_counter() - began, _cpu_s() - cpu
        if not once.acquire(blocking=False):
            return
        server = _server(chosen, "/_stats")
        calls = 3 * chosen.n if chosen.cache else server["answered"]
        line = {
            "wall_s": round(wall, 4),
            "cpu_s": round(used, 4),
            "calls": calls,
            "cpu_ms_per_call": round(1000 * used / max(1, calls), 4),
            "rss_before_mb": before,
            "peak_rss_mb": _peak_rss_mb(),
            "finished": tally.finished,
            "lost": chosen.n - tally.finished,
            "failed": tally.failed,
            "wrong": sorted(tally.wrong),
            "cut": cut,
            "server": server,
            **tally.extra,
        }
        print(json.dumps(line), flush=True)

    def cut_off() -> None:
        tell(cut=True)
        os._exit(0)

    watchdog = threading.Timer(chosen.cut_s, cut_off)
    watchdog.daemon = True
    watchdog.start()
    yield tally
    watchdog.cancel()
    tell(cut=False)


def control(chosen: Setting, **wanted: Any) -> dict[str, Any]:
    """Set the mock endpoint; returns its counters."""
    return _server(chosen, "/_ctl", json.dumps(wanted).encode())


def _server(chosen: Setting, path: str, data: bytes | None = None) -> dict[str, Any]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(chosen.base_url + path, data=data, timeout=30) as answer:
        return json.load(answer)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak_rss_mb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * resource.getpagesize() / 2**20, 1)
