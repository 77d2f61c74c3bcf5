"""What tells a user's callables apart, and what does not: their code, defaults, closures and the files that they import."""

from __future__ import annotations

import ast
import linecache
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from types import ModuleType
from typing import Any

import callables_help
import pytest
from callables_help import ALIKE, OBJECTS, FrozenJudge, by_default, holding, session_cookies

from flowbot.fields import Score
from flowbot.lm.session import Session
from flowbot.runtime.engine import Engine
from flowbot.runtime.scoring import scored
from flowbot.runtime.tools import not_stored
from flowbot.runtime.trace import Trace
from flowbot.store import Store
from flowbot.task import Example, Metric, Parts, Task, tool_of


@pytest.mark.parametrize("kind", ALIKE)
def test_callables_that_differ_are_told_apart_and_stored(kind: str) -> None:
    metrics = [Metric.of(each) for each in ALIKE[kind]]
    assert len({each.identity for each in metrics}) == len(metrics)
    assert all(each.kept for each in metrics)
    parts = [Parts({"part": each}).metric().identity for each in metrics]
    assert len(set(parts)) == len(metrics)


def test_objects_of_other_state_are_other_metrics_and_not_stored() -> None:
    for pair in OBJECTS:
        metrics = [Metric.of(each) for each in pair]
        assert metrics[0].identity != metrics[1].identity
        assert not any(each.kept for each in metrics)


def test_what_a_library_holds_for_itself_is_no_part_of_an_identity() -> None:
    jar = CookieJar()
    before = Metric.of(holding(jar))
    jar.set_cookie(next(iter(session_cookies())))
    assert Metric.of(holding(jar)).identity == before.identity
    assert not before.kept


def test_a_frozen_object_that_is_called_is_an_object_all_the_same() -> None:
    assert Metric.of(by_default(FrozenJudge(1))).kept
    assert not any(Metric.of(each).kept for each in (FrozenJudge(1), FrozenJudge(1).score))


@pytest.mark.parametrize("name", ["below_limit", "through_another"])
def test_a_constant_that_a_function_reads_and_the_program_sets_is_part_of_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = getattr(callables_help, name)
    before = Metric.of(function).identity
    assert Metric.of(function).identity == before
    monkeypatch.setattr(callables_help, "LIMIT", 4)
    assert Metric.of(function).identity != before


async def test_two_lambdas_share_no_score_in_one_store() -> None:
    task = Task(goal="g", inputs={"q": str}, outputs={"n": int}, metric="exact", train=[{"q": "a", "n": 1}])
    engine = Engine(None, Session(store=Store.memory()), tools={})
    trace = Trace(example="a", inputs={}, steps=(), outputs={"n": 2})
    found: list[Score] = []
    for call in (*ALIKE["lambdas of one line"], *ALIKE["lambdas of one line"]):
        own = Task(goal="g", inputs={"q": str}, outputs={"n": int}, metric=call, train=task.train)
        found.append(await scored(engine, own, own.train[0], trace))
    await engine.close()
    assert [each.value for each in found] == [0, 1, 0, 1]
    assert len(await engine.session.store.items("metric")) == 2


def test_identities_are_the_same_in_every_process() -> None:
    code = "import callables_help, flowbot as fb; print([fb.Metric.of(each).identity for each in {0}])"
    every = (
        "[*sum(callables_help.ALIKE.values(), ()), *sum(callables_help.OBJECTS, ()), lambda e, o: o in {'a', 'b', 'c'}]"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code.format(every)],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1


@pytest.fixture
def cell() -> Iterator[Callable[..., dict[str, Any]]]:
    """Runs the text of a notebook's cell in a namespace of its own."""
    named: list[str] = []

    def run(text: str, **given: Any) -> dict[str, Any]:
        name = f"<cell {len(named)}>"
        named.append(name)
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        space: dict[str, Any] = {"__name__": "__main__", **given}
        exec(compile(text, name, "exec"), space)  # noqa: S102 - as a notebook runs it
        return space

    yield run
    for name in named:
        del linecache.cache[name]


SCORE = "def score(example, outputs):\n    return helper(outputs) > limit\n"


def test_what_other_cells_of_a_notebook_define_is_part_of_a_function(cell: Callable[..., dict[str, Any]]) -> None:
    def told(helper: str, limit: Any) -> Metric:
        return Metric.of(cell(SCORE, helper=cell(helper)["helper"], limit=limit)["score"])

    plain = told("def helper(outputs):\n    return 1\n", 3)
    assert plain.kept
    assert plain.identity == told("def helper(outputs):\n    return 1\n", 3).identity
    assert plain.identity != told("def helper(outputs):\n    return 2\n", 3).identity
    assert plain.identity != told("def helper(outputs):\n    return 1\n", [4]).identity
    assert not told("def helper(outputs):\n    return 1\n", object()).kept


def test_a_notebook_compiles_each_statement_alone(cell: Callable[..., dict[str, Any]]) -> None:
    text = "import math\ndef score(example, outputs):\n    return math.fsum([outputs])\n"
    space = cell(text)
    name = space["score"].__code__.co_filename
    for statement in ast.parse(text).body:
        exec(compile(ast.Module([statement], []), name, "exec"), space)  # noqa: S102 - as a notebook runs it
    assert Metric.of(space["score"]).kept
    assert Metric.of(space["score"]).identity == Metric.of(cell(text)["score"]).identity


def test_a_function_whose_file_was_changed_since_its_import_is_not_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "changed_since.py"
    file.write_text("def score(example, outputs):\n    return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    import changed_since  # type: ignore[import-not-found]

    before = Metric.of(changed_since.score)
    assert before.kept
    file.write_text("def score(example, outputs):\n    return 0\n")
    task = Task(goal="g", inputs={"q": str}, outputs={"n": int}, metric=changed_since.score)
    assert not task.metric.kept
    assert task.metric.identity != before.identity
    assert [line.partition(":")[0] for line in not_stored(task)] == ["metric score"]
    sys.modules.pop("changed_since")


FILES = {
    "metrics.py": "from words import count\nfrom pack.inner import deep\n\ndef score(example, outputs):\n    return count() + deep()\n",
    "words.py": "import far\n\ndef count():\n    return far.VALUE\n",
    "far.py": "VALUE = 0.5\n",
    "pack/__init__.py": "",
    "pack/inner.py": "from .side import one\n\ndef deep():\n    return one() - one()\n",
    "pack/side.py": "def one():\n    return 0.25\n",
    "unused.py": "VALUE = 1\n",
    "rows.jsonl": '{"q": "a", "n": 1}\n{"q": "b", "n": 1}\n{"q": "c", "n": 1}\n',
    "task.yaml": "flowbot: 1\ngoal: g\ninputs: {q: str}\noutputs: {n: int}\nmetric: metrics.py:score\ntools: [tools.py:find]\n"
    "data: {all: rows.jsonl, split: [0.34, 0.33, 0.33]}\n",
    "tools.py": "import far\n\ndef find(name: str) -> float:\n    return far.VALUE\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def told(folder: Path) -> tuple[str, str]:
    task = Task.load(folder / "task.yaml")
    assert task.metric.identity == Task.load(folder / "task.yaml", callables=False).metric.identity
    return task.metric.identity, task.tools[0].identity


@pytest.mark.parametrize(
    ("name", "metric", "tool"),
    [
        ("metrics.py", True, False),
        ("words.py", True, False),
        ("far.py", True, True),
        ("pack/__init__.py", True, False),
        ("pack/inner.py", True, False),
        ("pack/side.py", True, False),
        ("unused.py", False, False),
        ("tools.py", False, True),
    ],
)
def test_the_files_that_a_metric_or_tool_imports_are_part_of_it(
    folder: Path, name: str, metric: bool, tool: bool
) -> None:
    before = told(folder)
    assert told(folder) == before
    (folder / name).write_text((folder / name).read_text() + "\n# changed\n")
    after = told(folder)
    assert (after[0] != before[0], after[1] != before[1]) == (metric, tool)


def test_a_helper_that_was_changed_is_run_as_it_is_now(folder: Path) -> None:
    example = Example("e", {}, {})
    assert Task.load(folder / "task.yaml").metric(example, {}).value == 0.5
    (folder / "far.py").write_text("VALUE = 0.7\n")
    (folder / "pack" / "side.py").write_text("def one():\n    return 0.5\n")
    task = Task.load(folder / "task.yaml")
    assert task.metric(example, {}).value == 0.7
    assert task.tools[0].call("x") == 0.7


def test_a_folder_without_helpers_keeps_the_identity_that_it_had(folder: Path) -> None:
    from flowbot.fields.files import sha256

    (folder / "metrics.py").write_text("import json\n\ndef score(example, outputs):\n    return 1\n")
    assert Task.load(folder / "task.yaml").metric.identity == f"score@{sha256(folder / 'metrics.py')}"
    assert Metric.of(callables_help.always).identity == f"always@{sha256(Path(callables_help.__file__))}"
    assert tool_of(plain_tool).identity.startswith("plain_tool@")


def plain_tool(name: str) -> str:
    return name


def test_helpers_of_one_name_beside_two_tasks_are_two(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    for name, text in FILES.items():
        (other / name).parent.mkdir(exist_ok=True)
        (other / name).write_text(text.replace("VALUE = 0.5", "VALUE = 0.9"))
    tasks = [Task.load(each / "task.yaml") for each in (folder, other, folder)]
    assert [each.metric(Example("e", {}, {}), {}).value for each in tasks] == [0.5, 0.9, 0.5]


def test_a_module_of_the_program_stays_what_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = ModuleType("words")
    theirs.__file__ = str(folder.parent / "elsewhere" / "words.py")
    monkeypatch.setitem(sys.modules, "words", theirs)
    assert Task.load(folder / "task.yaml").metric(Example("e", {}, {}), {}).value == 0.5
    assert sys.modules["words"] is theirs
