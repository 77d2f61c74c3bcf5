"""The verbs of the command line as functions: plain values, the same that the verb of that name prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import flowbot as fb
from flowbot.cli.app import app

ROWS = "".join(json.dumps({"note": f"{n} pens and {n + 2} cups", "total": 2 * n + 2}) + "\n" for n in range(1, 61))


def printed(capsys: pytest.CaptureFixture[str], *command: str) -> Any:
    """What a verb prints as JSON."""
    capsys.readouterr()
    app([*command, "--json"], result_action="return_value")
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with rows, and a cache folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "rows.jsonl").write_text(ROWS, encoding="utf-8")
    return tmp_path


@pytest.fixture
def task(here: Path) -> fb.Task:
    """A task that was made of the rows."""
    return fb.Task.load(fb.init("rows.jsonl", outputs=["total"], out=here / "sums").folder)


def searched(task: fb.Task, here: Path, seed: int = 0) -> fb.RunResult:
    return fb.optimize(task, lm="fake/counter", effort="low", seed=seed, run_dir=here / f"run{seed}")


def test_init_makes_a_folder_and_says_what_it_guessed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = fb.init("rows.jsonl", outputs=["total"], out=here / "sums")
    assert (made.task, made.start) == (here / "sums" / "task.yaml", None)
    assert "metric" in {each.what for each in made.guesses}
    told = printed(capsys, "init", "rows.jsonl", "--outputs", "total", "--out", "sums", "--force")
    assert {**made.dump(), "dir": "sums"} == {name: value for name, value in told.items() if name != "next"}
    with pytest.raises(fb.UserError, match="sums"):
        fb.init("rows.jsonl", out=here / "sums")


async def test_check_finds_defects_also_inside_a_running_loop(
    task: fb.Task, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = fb.check(here / "sums")
    assert found.ok
    assert found.facts["task"]["metric"] == task.metric.name
    (here / "sums" / "task.yaml").write_text("flowbot: 1\ngoal: Add up.\n", encoding="utf-8")
    wrong = fb.check(here / "sums", lm="fake/counter")
    assert not wrong.ok
    assert all(each.where and each.what for each in wrong.defects)
    assert wrong.facts["model"]["ok"]


def test_check_prints_what_the_function_gives(task: fb.Task, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "check", "sums") == json.loads(json.dumps(fb.check("sums").dump()))


def test_show_lists_examples_and_shows_one(task: fb.Task, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = searched(task, here)
    listed = fb.show(result)
    assert {each.id for each in listed.examples if each.split == "test"} == {each.id for each in task.test}
    one = fb.show(result.run_dir, listed.examples[0].id)
    assert one.example.id == listed.examples[0].id
    assert one.example.start is not None
    assert printed(capsys, "show", "run0") == json.loads(json.dumps({**listed.dump(), "run_dir": "run0"}))
    with pytest.raises(fb.UserError, match="no example 'none'"):
        fb.show(str(result.run_dir), "none")


def test_diff_compares_workflows_files_and_runs(task: fb.Task, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = fb.starts("single-call", task), fb.starts("chain-of-thought", task)
    one.save("one.flow.yaml")
    other.save("other.flow.yaml")
    found = fb.diff(one, other)
    assert not found.same
    assert found.same_fields
    assert found.changes
    told = printed(capsys, "diff", "one.flow.yaml", "other.flow.yaml")
    assert told == json.loads(json.dumps(fb.diff("one.flow.yaml", Path("other.flow.yaml")).dump()))
    assert told["changes"] == list(found.changes)
    result = searched(task, here)
    assert fb.diff(result).same == (result.workflow.hash == result.start.hash)
    with pytest.raises(fb.UserError, match="a second workflow"):
        fb.diff(one)


def test_compare_gives_paired_differences(task: fb.Task, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = searched(task, here), searched(task, here, seed=1)
    found = fb.compare(first, str(second.run_dir))
    assert len(found.examples) == len(task.test)
    assert [(each.first, each.second) for each in found.differences] == [("A", "B")]
    assert (
        printed(capsys, "compare", "run0", "run1")["differences"] == json.loads(json.dumps(found.dump()))["differences"]
    )


def test_starts_are_listed_and_made_to_fit(task: fb.Task) -> None:
    assert "self-refine" in {each.name for each in fb.starts()}
    assert fb.starts("self-refine").source
    fitted = fb.starts("self-refine", task)
    assert list(fitted.sketch.inputs) == ["note"]
    assert fb.starts("self-refine", "sums").hash == fitted.hash
    with pytest.raises(fb.UserError, match="expected self-refine"):
        fb.starts("self-refin")


async def test_models_are_listed_and_one_is_asked(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = fb.models()
    assert {each.provider for each in listed.providers} >= {"openai"}
    assert not any(each.on_disk for each in listed.local)
    asked = fb.models("fake/counter", cache_dir="cache")
    assert asked.model == "fake/counter"
    assert asked.usage.calls == 1
    with pytest.raises(fb.UserError, match="nobody"):
        fb.models("nobody/x")


def test_the_cache_is_looked_at_kept_small_and_carried(
    task: fb.Task, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fb.evaluate("single-call", task, lm="fake/counter", cache_dir="cache")
    store = fb.cache("cache")
    number = store.stats().entries["lm"]
    assert number
    assert store.verify().sound
    assert store.export("out.jsonl", kind="lm").entries == number
    assert store.prune(kind="lm", dry_run=True).entries == number
    store.prune(kind="lm")
    assert "lm" not in store.stats().entries
    assert store.add("out.jsonl").new == number
    store.limit(size=10**9)
    assert store.stats().limits.size == 10**9
    assert printed(capsys, "cache", "--cache-dir", "cache")["kinds"]["lm"]["entries"] == number


face: Any = fb
"""What no type checker holds to its types."""


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: face.check(3), "file: found 3; expected the path of a task"),
        (lambda: face.check(None), "file: found None; expected the path of a task"),
        (lambda: face.check("sums", lm=3), "lm: found 3; expected a model string"),
        (lambda: face.check("sums", models="fake/echo"), "models: found 'fake/echo'; expected a list of model strings"),
        (
            lambda: face.check("sums", modle="fake/echo"),
            r"check\(\): found the argument 'modle'.*did you mean 'models'",
        ),
        (lambda: face.check(), r"check\(\): found a call that does not fit.*expected check\(file, …\)"),
        (lambda: face.init("rows.jsonl", outputs="total"), "outputs: found 'total'; expected a list of columns"),
        (lambda: face.init(["rows.jsonl"]), "files: found a list; expected the path of a file"),
        (lambda: face.init("rows.jsonl", split="0.4,0.3,0.3"), "split: found '0.4,0.3,0.3'; expected three parts"),
        (lambda: face.init("rows.jsonl", ouputs=["total"]), "did you mean 'outputs'"),
        (lambda: face.starts(3), "name: found 3; expected a start's name"),
        (lambda: face.starts("self-refine", 3), "task: found 3; expected a Task, or the path"),
        (lambda: face.starts("self-refine", pins="openai/gpt-4.1"), "pins: found 'openai/gpt-4.1'; expected model"),
        (lambda: face.starts(task="sums"), "name: found None, beside a task; expected a start's name"),
        (lambda: face.models(3), "model: found 3; expected a model string"),
        (lambda: face.models("fake/echo", price="0.4"), "price: found '0.4'; expected two numbers"),
        (lambda: face.cache(3), "cache_dir: found 3; expected the path of a folder"),
        (lambda: face.cache("c").prune(older_than="30d"), "older_than: found '30d'; expected a whole number"),
        (lambda: face.cache("c").prune(kind="llm"), "kind: found 'llm'; expected one of lm, tool"),
        (lambda: face.cache("c").limit(size=-1), "size: found -1; expected a whole number"),
        (lambda: face.cache("c").limit(size=0), "size: found 0; expected a whole number of bytes above 0"),
        (
            lambda: face.cache("c").limit(sise=1),
            r"Cache\.limit\(\): found the argument 'sise'; expected one of size, age",
        ),
        (lambda: face.cache("c").export(3), "file: found 3; expected the path of a file"),
        (lambda: face.show(None), "run: found None; expected a run's result, its folder"),
        (lambda: face.show("sums", 3), "example: found 3; expected an example's id"),
        (lambda: face.diff(3), "a: found 3; expected a workflow, its file, or a run"),
        (lambda: face.compare(3, 4), "runs: found 3; expected a run's result"),
        (lambda: face.compare("a", "b", split="train"), "split: found 'train'; expected one of val, test"),
        (lambda: face.write_report(3), "run: found 3; expected a run's result"),
        (lambda: face.load(3), "path: found 3; expected the path of a workflow's file"),
        (lambda: face.load(), r"load\(\): found a call that does not fit.*expected load\(path, …\)"),
        (lambda: face.Flow("a.flow.yaml"), r"workflow: found 'a.flow.yaml'; expected a Workflow; fb\.load"),
        (lambda: face.Workflow.load(3), "path: found 3; expected the path of a file"),
        (lambda: face.Task.load(3), "path: found 3; expected the path of a task.yaml"),
        (lambda: face.Workbench(stored=3), "stored: found 3; expected True or False"),
    ],
)
def test_a_slip_in_an_argument_is_one_line_and_does_nothing(call: Any, told: str, here: Path) -> None:
    with pytest.raises(fb.UserError, match=told):
        call()
    assert [each.name for each in here.iterdir()] == ["rows.jsonl"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"lm": 3}, "lm: found 3; expected a model string"),
        ({"tools": len}, "tools: found a .*; expected a list of tools"),
        ({"tools": "lookup"}, "tools: found 'lookup'; expected a list of tools"),
        ({"say": 3}, "say: found 3; expected a function"),
        ({"workbench": 3}, r"workbench: found 3; expected an fb\.Workbench"),
    ],
)
def test_a_slip_in_a_flows_setting_is_one_line(task: fb.Task, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(fb.UserError, match=told):
        face.Flow(fb.starts("single-call", task), **{"lm": "fake/counter", **settings})


def test_none_is_taken_where_it_is_the_default(task: fb.Task) -> None:
    flow = fb.Flow(fb.starts("single-call", task, pins=None, cache_dir=None), lm="fake/counter", tools=None, say=None)
    assert set(flow(note="2 pens")) == {"total"}
    assert fb.check("sums", lm=None, price=None, say=None).ok


def test_a_run_serves_wherever_a_workflow_does(task: fb.Task, here: Path) -> None:
    result = fb.optimize(task, lm="fake/counter", effort=5)
    name = result.run_dir.name
    for run in (result, result.run_dir, str(result.run_dir), name):
        with fb.load(run, lm="fake/counter") as flow:
            assert flow.workflow.hash == result.workflow.hash
        assert fb.evaluate(run, task, lm="fake/counter").workflow.hash == result.workflow.hash
        assert fb.write_report(run).is_file()
    assert fb.check(result).workflow == fb.check(result.run_dir).workflow == result.workflow
    again = fb.optimize(task, lm="fake/counter", effort=5, start=name, run_dir=here / "again")
    assert again.start.hash == result.workflow.hash
    (here / "runs" / "chain-of-thought").mkdir()  # a start of the library keeps its name
    assert fb.evaluate("chain-of-thought", task, lm="fake/counter").rows
    with pytest.raises(fb.UserError, match=r"no found\.flow\.yaml"):
        fb.load(here / "runs" / "chain-of-thought", lm="fake/counter")
