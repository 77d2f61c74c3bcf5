"""The shipped priors: they are what their source says, and a faulty file is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from search_help import searching

import priors as benchmark
from flowbot.fields import Type, UserError
from flowbot.optimizer.judge import PRIOR_SPREAD
from flowbot.optimizer.priors import load_priors, shipped_priors
from flowbot.optimizer.structure.catalogue_changes import CatalogueChanges
from flowbot.optimizer.task_kinds import LONG, task_kinds
from flowbot.task import Task
from flowbot.workflow.starts import single_call
from simulate.world import ADD, REMOVE


def test_the_shipped_priors_are_the_base_rates_of_the_simulator() -> None:
    priors = shipped_priors()
    assert "not measured" in priors.source
    expected = {**ADD, "best": ADD["vote"], "remove": REMOVE}
    judged = {"derive": 0.08, "derive by code": 0.0, "verify": -0.03}
    expected |= {
        "calculate": ADD["compute"],
        "program": ADD["compute"],
        "quote": ADD["plan"],
        "route": ADD["apart"],
        **judged,
    }
    assert all(f"`{kind.split()[0]}`" in priors.source for kind in (*judged, "calculate", "program", "quote", "route"))
    assumed = {**priors.structure, **priors.assumed}
    assert assumed == pytest.approx(expected, abs=5e-5)


def test_a_kind_is_looked_up_in_its_loop_and_one_of_ones_own_is_believed_to_gain_nothing() -> None:
    priors = shipped_priors()
    assert priors.belief("instruct", "parameters").mean > 0 > priors.belief("rewrite").mean
    assert (priors.belief("of my own").mean, priors.belief("of my own").spread) == (0.0, PRIOR_SPREAD)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"structure": {"vote": 2}}, "structure.vote"),
        ({"structure": {"vote": "much"}}, "structure.vote"),
        ({"source": ""}, "source"),
        ({"kinds": {}}, "kinds"),
    ],
)
def test_a_faulty_file_is_refused_with_its_member(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    path = tmp_path / "own.json"
    path.write_text(json.dumps({"source": "mine", "structure": {}, "parameters": {}} | change), encoding="utf-8")
    with pytest.raises(UserError, match=named):
        load_priors(path)


def test_what_is_known_by_kind_of_task_is_averaged_and_else_the_kind_is_believed(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    tasks = {"vote": {"output label": 0.1, "input long": -0.04}}
    path.write_text(json.dumps({"source": "mine", "structure": {"vote": 0.02}, "parameters": {}, "tasks": tasks}))
    priors = load_priors(path)

    def mean(*of: str) -> float:
        return priors.belief("vote", tasks=of).mean

    assert (mean(), mean("output text"), mean("output label", "tools no")) == (0.02, 0.02, 0.1)
    assert mean("output label", "input long") == pytest.approx(0.03)
    assert priors.belief("plan", tasks=("output label",)).mean == 0.0
    path.write_text(json.dumps({"source": "old", "structure": {"vote": 0.02}, "parameters": {}}))
    assert load_priors(path).belief("vote", tasks=("output label",)).mean == 0.02, "files of before are read"


async def test_options_of_the_catalogue_are_believed_by_what_their_step_gives(orders: Task, tmp_path: Path) -> None:
    """A computing step in place of a call that gives numbers alone has a value of its own, and no other change has yet."""
    for output, mean in (("int", 0.095), ("float", 0.095), ("bool", -0.011)):
        given = replace(orders.outputs[0], type=Type.parse(output))
        start = single_call(orders.inputs, (given,), orders.goal, reasoning=True)
        async with searching(orders, start, lambda _: "", tmp_path) as search:
            options = CatalogueChanges().options(search.population.start, search)
        priors = {each.arm.kind: each.prior.mean for each in options}
        assert priors["compute"] == mean
        assert {kind: each for kind, each in priors.items() if kind != "compute"} == {
            kind: shipped_priors().belief(kind).mean for kind in priors if kind != "compute"
        }


@pytest.mark.parametrize(
    ("inputs", "outputs", "found"),
    [
        ({"a": "str"}, {"x": "int", "y": "float"}, ("output number", "input short")),
        ({"a": "str", "b": "str"}, {"x": "bool"}, ("output label", "input several")),
        ({"a": "list[str]", "b": "str"}, {"x": "Literal['p', 'q']"}, ("output label", "input list")),
        ({"a": "str"}, {"x": "str"}, ("output text", "input short")),
        ({"a": "str"}, {"x": "list[int]"}, ("output list", "input short")),
        ({"a": "str"}, {"x": "{p: int}"}, ("output object", "input short")),
        ({"a": "str"}, {"x": "int", "y": "str"}, ("output object", "input short")),
    ],
)
def test_the_kind_of_task_of_a_step(inputs: Any, outputs: Any, found: tuple[str, ...]) -> None:
    task = Task(goal="Do it.", inputs=inputs, outputs=outputs, metric="exact")
    for reasoning in (True, False):
        flow = single_call(task.inputs, task.outputs, task.goal, reasoning=reasoning)
        assert task_kinds(task, flow, "answer", []) == (*found, "tools no")


async def test_long_inputs_and_how_runs_fail_are_kinds_of_task(orders: Task, tmp_path: Path) -> None:
    start = single_call(orders.inputs, orders.outputs, orders.goal, reasoning=False)
    async with searching(orders, start, lambda _: {"total": -1}, tmp_path) as search:
        await search.run(search.start, search.rows[:2], "train")
        rows = search.recorded(search.start, search.rows)
    one, two = rows
    partial = replace(one, score=replace(one.score, value=0.5))
    error = replace(one, trace=replace(one.trace, error="answer: too long"))

    def failure(*of: Any) -> str:
        return task_kinds(orders, start, "answer", of)[-1]

    assert failure(one, two) == "failure wrong"
    assert failure(partial) == "failure partial"
    assert failure(error, error, one) == "failure error"
    assert failure(replace(one, score=replace(one.score, value=1.0))) == "tools no"
    long = replace(orders.splits["train"][0], inputs={"note": "x" * LONG})
    assert "input long" in task_kinds(replace(orders, splits={"train": [long]}), start, "answer", [])


# The measurement


def line(
    task: str, change: str, scores: list[float], kind: str = "vote", tasks: tuple[str, ...] = ()
) -> dict[str, Any]:
    about = {"task": task, "start": "single-call", "model": "m", "meta_model": "m", "change": change}
    more = {"kind": kind, "tasks": list(tasks)} if change else {}
    return {**about, **more, "scores": {str(row): score for row, score in enumerate(scores)}}


LINES = [
    line("a", "", [0, 0]), line("a", "one", [1, 0], tasks=("output label", "tools no")), line("a", "two", [0, 0], tasks=("output label", "tools no")),
    line("b", "", [1, 1]), line("b", "one", [0, 1], tasks=("output text", "tools no")), line("b", "else", [1, 1], "plan", ("output text",)),
    {**line("a", "two", [-1, 0], tasks=("output label", "tools no")), "by": "prior"},
    {**line("b", "gone", [], "plan", ("output text",)), "fault": "not valid"},
]  # fmt: skip


def test_a_kind_is_drawn_from_what_was_assumed_towards_its_mean_gain_one_gain_a_task() -> None:
    data = {"source": "Assumed.", "structure": {"vote": 0.02, "think": 0.3}, "parameters": {}, "tasks": {"compute": {"output number": 0.1}}}  # fmt: skip
    made = benchmark.written(data, LINES)
    on_a, on_b = (
        (0.25 + 0.125) / 2 / 2,
        0.25,
    )  # variances of the means: two rows of two changes, of which one says the same of both; two rows of one
    two, one = 0.005 / (0.005 + 0.0144 + (on_a + on_b) / 2), 0.0025 / (0.0025 + 0.0144 + on_a)
    vote = 0.02 + two * ((0.25 - 0.5) / 2 - 0.02)
    assert made["structure"] == {"vote": pytest.approx(vote, abs=1e-4), "think": 0.3, "plan": 0.0}
    assert made["tasks"]["compute"] == {"output number": 0.1}, "what was not measured stays"
    assert set(made["tasks"]["vote"]) == {"output label", "output text"}, "what all tasks have tells none apart"
    assert made["tasks"]["vote"]["output label"] == pytest.approx(vote + one * (0.25 - vote), abs=2e-4)
    assert made["tasks"]["plan"] == {"output text": 0.0}, "measured on one kind of output, it is known for that alone"
    assert made["assumed"] == {"vote": 0.02, "plan": 0.0}
    assert benchmark.written(made, LINES) == made, "the same lines count once"


def test_the_gains_of_every_change_are_measured_once_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def code(*given: Any, **more: Any) -> tuple[str, list[str]]:
        return "def run(**given):\n    return {'total': 0}", []

    monkeypatch.setattr("flowbot.optimizer.structure.catalogue_changes.write_code", code)
    command = [str(tmp_path), "--tasks", "orders", "--rows", "5", "--train", "4", "--model", "fake/counter", "--meta-model", "fake/counter", "--cache-dir", str(tmp_path / "cache")]  # fmt: skip
    benchmark.main(command)
    raw = (tmp_path / "priors.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(each) for each in raw.splitlines()]
    assert lines[0]["change"] == ""
    assert {"compute", "think", "vote"} <= {each["kind"] for each in lines[1:]}
    assert {each["by"] for each in lines[1:] if each["kind"] == "compute"} == {"meta", "prior"}, (
        "as a search tries both"
    )
    assert all(len(each["scores"]) == 5 for each in lines if "fault" not in each)
    assert all("output number" in each["tasks"] for each in lines[1:])
    benchmark.main(command)
    assert (tmp_path / "priors.jsonl").read_text(encoding="utf-8") == raw
    (tmp_path / "priors.jsonl").write_text(raw[: len(raw) - 20], encoding="utf-8")
    benchmark.main([*command, "--write", str(tmp_path / "made.json")])
    made = load_priors(tmp_path / "made.json")
    assert "on orders with fake/counter" in made.source
    assert made.assumed["vote"] == shipped_priors().structure["vote"]


def test_only_design_tasks_are_measured(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gsm8k: not for design; there are orders"):
        benchmark.main([str(tmp_path), "--tasks", "gsm8k"])
