"""Ten pipelines as their owners wrote them: who read whom is found, and a run comes again from its store, byte for byte."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import truth

from flowbot.runtime.trace import Trace
from flowbot.store import Store
from pipelines import ran
from pipelines.case import Case
from pipelines.mock import Mock

HERE = Path(__file__).parent
SOURCES = [*HERE.parents[1].glob("src"), HERE.parents[1] / "benchmarks", HERE]
# Clients that their owners leave open, as most do.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_API_BASE", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    yield
    for name in [each for each in sys.modules if each.startswith("pipeline_")]:
        del sys.modules[name]
    gc.collect()


def run(case: Case, mock: Mock, store: Store | None = None) -> Trace:
    ran.point_to(mock.url)
    return asyncio.run(ran.traced(case, ran.loaded(case, HERE / "programs"), store or Store.memory()))


async def stored(path: Path) -> int:
    async with ran.opened(path, read_only=True) as store:
        return len(await store.items("lm"))


def steady(trace: Trace) -> dict[str, Any]:
    """A trace without how long things took."""
    dumped = trace.dump()
    for each in dumped["steps"]:
        each["usage"]["seconds"] = each["seconds"] = 0
    return {**dumped, "seconds": 0}


def test_the_true_edges_of_ten_pipelines_are_found() -> None:
    true, found, right = 0, 0, 0
    for case in truth.CASES:
        with Mock(case.answer) as mock:
            trace = run(case, mock)
        assert trace.outputs is not None, trace.error
        edges = set(case.found(trace))
        true, found, right = true + len(case.true()), found + len(edges), right + len(edges & case.true())
        assert len(edges & case.true()) >= 0.8 * len(case.true()), (case.name, case.true() ^ edges)
    assert right >= 0.95 * found
    assert right >= 0.9 * true


@pytest.mark.parametrize("case", truth.CASES, ids=lambda case: case.name)
def test_whatever_is_slow_the_trace_is_the_same_and_comes_again_without_a_request(case: Case) -> None:
    traces: list[Trace] = []
    for seed in range(3):
        store = Store.memory()
        with Mock(case.answer) as mock:
            mock.most, mock.chance = 0.01, random.Random(seed)
            traces.append(run(case, mock, store))
            asked = mock.requests
            again = run(case, mock, store)
        assert asked > 0
        assert mock.requests == asked
        assert json.dumps(again.dump()) == json.dumps(traces[-1].dump())
    assert steady(traces[0]) == steady(traces[1]) == steady(traces[2])


@pytest.mark.parametrize("case", [truth.MAPREDUCE, truth.VOTES], ids=lambda case: case.name)
def test_a_run_that_was_killed_goes_on_and_gives_the_same(case: Case, tmp_path: Path) -> None:
    with Mock(case.answer) as mock:
        whole = run(case, mock)
        asked = mock.requests
        command = [sys.executable, "-m", "pipelines.ran", "--resume", case.entry, str(tmp_path / "s.db"), mock.url]
        path = os.pathsep.join(map(str, SOURCES))
        mock.requests, mock.hold_after = 0, 2
        with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}) as child:
            assert mock.held.wait(60)
            while asyncio.run(stored(tmp_path / "s.db")) < 2:
                time.sleep(0.02)
            child.send_signal(signal.SIGKILL)
        mock.release()

        async def resumed() -> Trace:
            async with ran.opened(tmp_path / "s.db") as store:
                return await ran.traced(case, ran.loaded(case, HERE / "programs"), store)

        before = mock.requests
        ran.point_to(mock.url)
        trace = asyncio.run(resumed())
    assert steady(trace) == steady(whole)
    assert mock.requests - before < asked
