"""Every path that a public function or class takes may be a text or a `Path`."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

import flowbot as fb
from flowbot import task
from flowbot.run.view import read_run
from flowbot.runtime import toolbox
from flowbot.runtime.toolbox import opened_task, opened_tools
from flowbot.task import MCPSource, SearchSource, SQLSource
from flowbot.workflow.starts import single_call
from flowbot.workflow.workflow import Workflow

GIVEN_BACK = {"BenchResult.folder", "RunResult.run_dir", "RunSummary.run_dir", "RunView.run_dir"}
"""Paths of objects that FlowBot makes and nobody else."""
PATHS = re.compile(r"\bPath\b|\bRows\b|\bTaskLike\b|\bWorkflowLike\b|\bRunLike\b")
"""In an annotation: a path, or an alias that includes one."""
TITLES = "docs.jsonl"
SEARCH = {"s": {"kind": "tool", "tool": "search", "in": {"query": "note"}, "out": {"results": "list[str]"}}}

AsGiven = Callable[[Path], Path | str]


def arguments() -> Iterator[tuple[str, str]]:
    """Function, or class, and parameter, with its annotation; of methods as well."""
    named = {name: getattr(package, name) for package in (fb, task, toolbox) for name in package.__all__}
    for name, value in (named | {"read_run": read_run}).items():
        if callable(value):
            yield from _of(name, value)
            for member, attribute in vars(value).items() if inspect.isclass(value) else ():
                if not member.startswith("_") and isinstance(attribute, staticmethod | classmethod | FunctionType):
                    yield from _of(f"{name}.{member}", getattr(value, member))


def _of(name: str, value: Any) -> Iterator[tuple[str, str]]:
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):  # an alias of types
        return
    for each in parameters:
        told = each.annotation if isinstance(each.annotation, str) else inspect.formatannotation(each.annotation)
        if PATHS.search(told) and f"{name}.{each.name}" not in GIVEN_BACK:
            yield f"{name}.{each.name}", told


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a task, a workflow, documents and a finished run."""
    folder = tmp_path_factory.mktemp("paths")
    rows = [{"note": f"{n} pens and {n + 2} cups", "total": 2 * n + 2} for n in range(1, 41)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "task.yaml").write_text(
        "flowbot: 1\ngoal: Add up.\ninputs: {note: str}\noutputs: {total: int}\nmetric: numeric\ndata: {all: rows.jsonl, split: [0.4, 0.2, 0.4]}\n",
        encoding="utf-8",
    )
    (folder / TITLES).write_text('{"text": "pens and cups"}\n', encoding="utf-8")
    (folder / "empty.sqlite").touch()
    task = fb.Task.load(folder)
    single_call(task.inputs, task.outputs, task.goal, reasoning=False).save(folder / "one.flow.yaml")
    sketch = {"flowbot": 1, "inputs": {"note": "str"}, "outputs": {"found": "s.results"}, "nodes": SEARCH}
    (folder / "search.flow.yaml").write_text(json.dumps(sketch), encoding="utf-8")
    return folder


def rows_given(place: Path, as_given: AsGiven, name: str) -> None:
    given: dict[str, Any] = {name: as_given(place / "rows.jsonl")}
    made = fb.Task(goal="Add up.", inputs={"note": str}, outputs={"total": int}, metric="numeric", **given)
    assert sum(len(each) for each in made.splits.values()) == 40


def splits_given(place: Path, as_given: AsGiven) -> None:
    given: dict[Any, Any] = {"train": as_given(place / "rows.jsonl")}
    made = fb.Task(goal="Add up.", inputs={"note": str}, outputs={"total": int}, metric="numeric", splits=given)
    assert len(made.train) == 40


def source_given(place: Path, as_given: AsGiven) -> None:
    outputs: dict[str, Any] = {"total": int}
    source = as_given(place / "task.yaml")
    made = fb.Task(goal="Add up.", inputs={"note": str}, outputs=outputs, metric="numeric", source=source)
    assert made.source == place / "task.yaml"


def searched(place: Path, as_given: AsGiven, make: Callable[..., fb.Flow], given: Any) -> None:
    tools = [SearchSource(corpus=as_given(place / TITLES))]
    with make(given, tools=tools, cache_dir=as_given(place / "cache")) as flow:
        assert flow(note="cups") == {"found": ["pens and cups"]}
    assert (place / "cache" / "corpora").is_dir()


async def tools_opened(place: Path, as_given: AsGiven) -> None:
    given = [SearchSource(corpus=as_given(place / TITLES)), SQLSource(file=as_given(place / "empty.sqlite"))]
    async with opened_tools(given, cache_dir=as_given(place / "cache")) as tools:
        assert list(tools) == ["search", "sql"]


async def task_opened(place: Path, as_given: AsGiven) -> None:
    loaded = fb.Task.load(as_given(place))
    made = fb.Task(
        goal=loaded.goal, inputs=loaded.inputs, outputs=loaded.outputs, metric="numeric", splits=loaded.splits,
        tools=[SearchSource(corpus=as_given(place / TITLES))],
    )  # fmt: skip
    async with opened_task(made, cache_dir=as_given(place / "cache")) as task:
        assert [tool.signature.name for tool in task.tools] == ["search"]


async def server_started(place: Path, as_given: AsGiven) -> None:
    (place / "server.py").write_text("import sys; sys.exit('no server here')", encoding="utf-8")
    source = MCPSource(only={"a": "a"}, command=("python3", "server.py"), folder=as_given(place))
    with pytest.raises(fb.UserError, match="no server here"):
        async with opened_tools([source]):
            pass


def made(place: Path, as_given: AsGiven) -> None:
    (place / "prompt.txt").write_text("Add up {note}.", encoding="utf-8")
    found = fb.init(
        as_given(place / "rows.jsonl"), prompt=as_given(place / "prompt.txt"), out=as_given(place / "made"), force=True
    )
    assert found.start == place / "made" / "start.flow.yaml"


def checked(place: Path, as_given: AsGiven) -> None:
    assert fb.check(as_given(place)).ok
    flow, task = as_given(place / "one.flow.yaml"), as_given(place / "task.yaml")
    assert fb.check(flow, task=task, cache_dir=as_given(place / "cache")).ok


def fitted(place: Path, as_given: AsGiven) -> None:
    assert fb.starts("single-call", as_given(place), cache_dir=as_given(place / "cache")).sketch.inputs


def listed(place: Path, as_given: AsGiven) -> None:
    assert fb.models(cache_dir=as_given(place / "cache")).local


def stored(place: Path, as_given: AsGiven) -> None:
    assert fb.models("fake/counter", cache_dir=as_given(place / "kept")).reply
    store = fb.cache(as_given(place / "kept"))
    assert store.export(as_given(place / "out.jsonl")).entries == store.add(as_given(place / "out.jsonl")).entries > 0


async def optimized(place: Path, as_given: AsGiven) -> None:
    result = await fb.optimize_async(
        as_given(place / "task.yaml"),
        lm="fake/counter",
        start=as_given(place / "one.flow.yaml"),
        run_dir=as_given(place / "run"),
        cache_dir=as_given(place / "cache"),
        effort="low",
    )
    assert result.run_dir == place / "run"
    (place / "run" / "report.html").unlink(missing_ok=True)
    assert result.report_path is None
    written = fb.write_report(as_given(place / "run"))
    assert result.report_path == written
    assert written.is_file()
    assert read_run(as_given(place / "run")).run_dir == place / "run"
    assert fb.show(as_given(place / "run")).run.run_dir == place / "run"
    assert fb.diff(as_given(place / "one.flow.yaml"), as_given(place / "run")).a.workflow.hash == result.start.hash
    with pytest.raises(fb.UserError, match="the same run twice"):
        fb.compare(as_given(place / "run"), as_given(place / "run"))
    assert fb.RunResult.load(as_given(place / "run")).run_dir == place / "run"
    assert [each.run_dir for each in fb.runs(as_given(place))] == [place / "run"]


def tasked(place: Path, as_given: AsGiven) -> None:
    with fb.load(place / "one.flow.yaml", lm="fake/counter", task=as_given(place / "task.yaml")) as flow:
        assert flow.workflow == Workflow.load(place / "one.flow.yaml")


async def evaluated(place: Path, as_given: AsGiven) -> None:
    flow, task = as_given(place / "one.flow.yaml"), as_given(place)
    found = await fb.evaluate_async(flow, task, lm="fake/counter", cache_dir=as_given(place / "cache"))
    assert len(found.rows) == 8
    assert (place / "cache" / "store.sqlite").is_file()


async def compared(place: Path, as_given: AsGiven) -> None:
    (place / "bench.yaml").write_text(
        "{tasks: {adding: task.yaml}, methods: {one: {start: single-call}}, models: {m: {task: fake/counter}}}"
    )
    result = await fb.bench_async(
        as_given(place / "bench.yaml"), out=as_given(place / "compared"), cache_dir=as_given(place / "cache")
    )
    assert (result.status, result.folder) == ("done", place / "compared")


async def shared(place: Path, as_given: AsGiven) -> None:
    async with fb.Workbench(cache_dir=as_given(place / "shared")) as bench:
        await fb.evaluate_async(place / "one.flow.yaml", place, lm="fake/counter", workbench=bench)
    assert (place / "shared" / "store.sqlite").is_file()


async def saved(place: Path, as_given: AsGiven) -> None:
    workflow = fb.Workflow.load(as_given(place / "one.flow.yaml"))
    workflow.save(as_given(place / "again.flow.yaml"))
    assert fb.Workflow.load(place / "again.flow.yaml") == workflow


async def of_a_program(place: Path, as_given: AsGiven) -> None:
    """A program that asks no model: what is lifted, applied and written of it."""
    (place / "app.py").write_text(
        "import flowbot as fb\n\nPLAN = fb.Param('plan', 'Add.')\n\n\ndef answer(note: str) -> int:\n    return len(str(PLAN))\n",
        encoding="utf-8",
    )
    lifted = await fb.lift_async(
        str(place / "app.py:answer"), as_given(place / "task.yaml"), cache_dir=as_given(place / "cache")
    )
    assert lifted.workflow is None
    flow = {
        "flowbot": 1, "inputs": {"note": "str"}, "outputs": {"total": "app.total"},
        "nodes": {"app": {"kind": "program", "call": "app.py:answer", "in": {"note": "note"}, "out": {"total": "int"}}},
        "parameters": {"app": {"texts": {"plan": "Add it up."}}},
    }  # fmt: skip
    (place / "app.flow.yaml").write_text(json.dumps(flow), encoding="utf-8")
    fb.use(as_given(place / "app.flow.yaml"))
    fb.use(None)
    fb.write_source(as_given(place / "app.flow.yaml"), folder=as_given(place), force=True)
    assert "Add it up." in (place / "app.py").read_text(encoding="utf-8")


USES: dict[str, Callable[[Path, AsGiven], Any]] = {
    **{f"Task.{name}": (lambda place, as_given, name=name: rows_given(place, as_given, name)) for name in ("train", "val", "test", "rows")},
    "Task.splits": splits_given,
    "Task.source": source_given,
    "Task.load.path": task_opened,
    "opened_task.cache_dir": task_opened,
    "opened_tools.cache_dir": tools_opened,
    "SearchSource.corpus": tools_opened,
    "SQLSource.file": tools_opened,
    "MCPSource.folder": server_started,
    **dict.fromkeys(("load.path", "load.cache_dir"), lambda place, as_given: searched(place, as_given, fb.load, as_given(place / "search.flow.yaml"))),
    "load.task": tasked,
    "Flow.cache_dir": lambda place, as_given: searched(place, as_given, fb.Flow, Workflow.load(place / "search.flow.yaml")),
    "Workbench.cache_dir": shared,
    **dict.fromkeys((f"init.{each}" for each in ("files", "prompt", "out")), made),
    **dict.fromkeys((f"check.{each}" for each in ("file", "task", "cache_dir")), checked),
    **dict.fromkeys(("starts.task", "starts.cache_dir"), fitted),
    "models.cache_dir": listed,
    "cache.cache_dir": stored,
    **dict.fromkeys(("show.run", "diff.a", "diff.b", "compare.runs"), optimized),
    **dict.fromkeys(("Workflow.load.path", "Workflow.save.path"), saved),
    **dict.fromkeys((f"{name}.{each}" for name in ("optimize", "optimize_async") for each in ("task", "start", "run_dir", "cache_dir")), optimized),
    **dict.fromkeys((f"{name}.{each}" for name in ("bench", "bench_async") for each in ("file", "out", "cache_dir")), compared),
    **dict.fromkeys(("write_report.run", "read_run.run_dir", "runs.folder", "RunResult.load.run_dir"), optimized),
    **dict.fromkeys((f"{name}.{each}" for name in ("evaluate", "evaluate_async") for each in ("workflow", "task", "cache_dir")), evaluated),
    **dict.fromkeys(("use.path", "write_source.found", "write_source.folder"), of_a_program),
    **dict.fromkeys((f"{name}.{each}" for name in ("lift", "lift_async") for each in ("task", "cache_dir")), of_a_program),
}  # fmt: skip
"""What uses each path of the public face. Plain functions share the code of those that are awaited, which a test holds them to."""


def test_every_path_takes_texts_too_and_is_used_below() -> None:
    found = dict(arguments())
    assert set(found) == set(USES)
    only_paths = [
        name for name, told in found.items() if "Path" in told and "str" not in re.sub(r"\b(?!Path|str)\w+", "", told)
    ]
    assert only_paths == []


@pytest.mark.parametrize("as_given", [str, Path])
@pytest.mark.parametrize("use", dict.fromkeys(USES.values()), ids=lambda use: use.__name__.strip("<>"))
async def test_a_path_is_taken_as_text_and_as_path(
    use: Callable[[Path, AsGiven], Any], as_given: AsGiven, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    done = use(place, as_given)
    if inspect.isawaitable(done):
        await done
