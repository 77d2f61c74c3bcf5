"""Runs pipelines as nodes of a workflow against the endpoint, and says what was found of each.

python -m pipelines.ran ENVIRONMENT              # from benchmarks/, in that environment: one JSON object a pipeline
python -m pipelines.ran --resume FILE.py:FUNCTION STORE URL   # one of the tests' pipelines, with a store on disk
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from flowbot.lm.session import Session
from flowbot.runtime.engine import Engine
from flowbot.runtime.open_model import open_lm
from flowbot.runtime.trace import Trace
from flowbot.store import Store
from flowbot.task.programs import program_of
from flowbot.workflow.workflow import Workflow

from .case import Case
from .mock import Mock

PROGRAMS = Path(__file__).parent / "programs"


@asynccontextmanager
async def opened(path: Path, *, read_only: bool = False) -> AsyncGenerator[Store]:
    """A store on disk."""
    store = Store.open(path, read_only=read_only)
    try:
        yield store
    finally:
        await store.close()


def point_to(url: str) -> None:
    """Have the clients of all providers ask the endpoint."""
    os.environ |= {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "sk-none", "OPENAI_API_BASE": f"{url}/v1"}
    os.environ |= {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "sk-none", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}


def loaded(case: Case, folder: Path) -> Callable[..., Any]:
    """The pipeline's function, its file imported anew."""
    file, _, name = case.entry.partition(":")
    spec = importlib.util.spec_from_file_location(f"pipeline_{case.name}", folder / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return getattr(module, name)


async def traced(case: Case, entry: Callable[..., Any], store: Store) -> Trace:
    """One run of it."""
    made = program_of(entry)
    node = {"kind": "program", "call": made.name, "in": {name: name for name in case.inputs}, "out": dict(case.out)}
    workflow = Workflow.from_data(
        {
            "flowbot": 1,
            "inputs": dict.fromkeys(case.inputs, "str"),
            "outputs": {f"out_{name}": f"app.{name}" for name, _ in case.out},
            "nodes": {"app": node},
            "parameters": {"app": {}},
        }
    )
    session = Session(store)
    lm = open_lm(case.model, session, cache_dir=None, price=(1.0, 2.0)) if case.model else None
    engine = Engine(lm, session, programs={made.name: made}, price=(1.0, 2.0))
    try:
        engine.open_models(workflow)
        return await engine.run(workflow, dict(case.inputs), purpose="run")
    finally:
        await engine.close()
        if lm is not None:
            await lm.close()


async def outcome(case: Case, folder: Path, path: Path) -> dict[str, Any]:
    """Of one pipeline: its true edges, those found, those found rightly, requests of a replay, and whether that gives the same."""
    with Mock(case.answer) as mock:
        point_to(mock.url)
        entry = loaded(case, folder)
        async with opened(path) as store:
            trace = await traced(case, entry, store)
            asked = mock.requests
            again = await traced(case, entry, store)
    found, true = case.found(trace), case.true()
    return {
        "name": case.name,
        "error": trace.error,
        "true": len(true),
        "found": len(found),
        "right": len(true & set(found)),
        "missing": sorted(true - set(found)),
        "false": sorted(set(found) - true),
        "requests": asked,
        "replayed": mock.requests - asked,
        "same": json.dumps(again.dump()) == json.dumps(trace.dump()),
    }


async def main(arguments: list[str]) -> None:
    """See the top."""
    if arguments[0] == "--resume":
        import truth

        case = next(each for each in truth.CASES if each.entry == arguments[1])
        point_to(arguments[3])
        async with opened(Path(arguments[2])) as store:
            await traced(case, loaded(case, Path(truth.__file__).parent / "programs"), store)
        return
    from .framed import CASES

    for case in CASES[arguments[0]]:
        with tempfile.TemporaryDirectory() as folder:
            try:
                print(json.dumps(await outcome(case, PROGRAMS, Path(folder) / "store.db")), flush=True)
            except Exception as error:
                told = {"name": case.name, "error": f"{type(error).__name__}: {error}", "true": len(case.true())}
                print(json.dumps(told), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
