"""The shipped priors: they are what their source says, and a faulty file is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import NormalDist
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
    assert priors.structure == pytest.approx(expected, abs=5e-5)


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

    assert (mean("output label", "tools no"), mean("output label", "input long")) == (0.1, pytest.approx(0.03))
    for others in ((), ("output text",), ("output text", "input long")):
        assert mean(*others) == 0.02, "of another output nothing is known, however long the input"
    tasks["vote"].pop("output label")
    path.write_text(json.dumps({"source": "mine", "structure": {"vote": 0.02}, "parameters": {}, "tasks": tasks}))
    assert load_priors(path).belief("vote", tasks=("output text", "input long")).mean == -0.04
    assert priors.belief("plan", tasks=("output label",)).mean == 0.0
    path.write_text(json.dumps({"source": "old", "structure": {"vote": 0.02}, "parameters": {}}))
    assert load_priors(path).belief("vote", tasks=("output label",)).mean == 0.02, "files of before are read"


async def test_options_of_the_catalogue_are_believed_by_what_their_step_gives(orders: Task, tmp_path: Path) -> None:
    """A computing step in place of a call that gives numbers alone is believed to gain far more than anything else."""
    for output, kind in (("int", "number"), ("float", "number"), ("bool", "label")):
        given = replace(orders.outputs[0], type=Type.parse(output))
        start = single_call(orders.inputs, (given,), orders.goal, reasoning=True)
        async with searching(orders, start, lambda _: "", tmp_path) as search:
            options = CatalogueChanges().options(search.population.start, search)
        priors = {each.arm.kind: each.prior for each in options}
        for each, prior in priors.items():
            assert prior == shipped_priors().belief(each, tasks=(f"output {kind}", "input short", "tools no"))
        best = max(priors, key=lambda each: priors[each].mean)
        assert (best == "compute") == (kind == "number")


def test_what_is_believed_to_gain_much_may_gain_nothing() -> None:
    """Six pairs without a gain are told from the belief: a bold prior must not adopt by itself."""
    prior = shipped_priors().belief("compute", tasks=("output number",))
    assert prior.mean > 0.4
    assert prior.spread >= prior.mean
    assert prior.updated(0.0, 0.2 / 6).above() < 0.75 < prior.updated(0.5, 0.2 / 6).above()


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
    # Rows are what is known apart: of `a` the means of two changes by row are 1/2 and 0 ("one" gained 1 and 0, "two" 0 and 0).
    on_a, on_b = (benchmark.Gain(*of, frozenset()) for of in ((0.25, 0.25 / 2), (-0.5, 0.5 / 2)))
    between = 0.75**2 / 2 - (on_a.noise + on_b.noise) / 2  # of the one kind with two tasks
    elsewhere = benchmark.drawn([on_b], 0.02, between)
    assert (made["structure"], made["parameters"]) == (data["structure"], {}), "of other outputs nothing is known"
    assert made["tasks"]["compute"] == {"output number": 0.1}, "what was not measured stays"
    assert set(made["tasks"]["vote"]) == {"output label", "output text"}, "what all tasks have tells none apart"
    assert made["tasks"]["vote"]["output label"] == benchmark.drawn([on_a], elsewhere, between) > elsewhere
    assert made["tasks"]["plan"] == {"output text": 0.0}
    assert benchmark.written(made, LINES) == made, "the same lines count once"


def gain(mean: float, noise: float) -> benchmark.Gain:
    return benchmark.Gain(mean, noise, frozenset())


@pytest.mark.parametrize(
    ("means", "center", "tasks"), [([0.1, 0.0], 0.02, 0.01), ([0.6, 0.5], -0.01, 0.0), ([-0.2], 0.05, 0.02)]
)
def test_a_kind_is_believed_by_the_posterior_of_the_mixture(means: list[float], center: float, tasks: float) -> None:
    """Beside the plain sum over a grid of true gains."""
    towards = [gain(each, 0.01) for each in means]
    seen = NormalDist(sum(means) / len(means), ((0.01 + tasks) / len(means)) ** 0.5)
    grid = [step / 1000 for step in range(-3000, 3001)]
    normals = [
        (1 - benchmark.SHARE, NormalDist(center, benchmark.USUAL)),
        (benchmark.SHARE, NormalDist(center, benchmark.GREAT)),
    ]
    mass = [seen.pdf(each) * sum(share * normal.pdf(each) for share, normal in normals) for each in grid]
    expected = sum(each * of for each, of in zip(grid, mass, strict=True)) / sum(mass)
    assert benchmark.drawn(towards, center, tasks) == pytest.approx(expected, abs=2e-3)


def test_a_great_gain_is_believed_and_a_small_one_may_be_luck() -> None:
    assert benchmark.drawn([gain(0.5, 0.015), gain(0.65, 0.015)], 0.0, 0.01) > 0.4
    assert 0.0 < benchmark.drawn([gain(0.1, 0.015), gain(0.1, 0.015)], 0.0, 0.01) < 0.05


def test_the_spread_from_task_to_task_is_what_gains_vary_beyond_their_noise() -> None:
    rng = Random(0)
    found = {
        str(kind): {str(task): gain(rng.gauss(kind / 100, (0.01 + 0.02) ** 0.5), 0.02) for task in range(6)}
        for kind in range(300)
    }
    assert benchmark.between_tasks(found) == pytest.approx(0.01, abs=0.003)
    assert benchmark.between_tasks({"one": {"a": gain(0.5, 0.01)}}) == 0.0
    assert benchmark.between_tasks({"one": {"a": gain(0.1, 0.5), "b": gain(0.1, 0.5)}}) == 0.0


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
    assert "output number" in made.tasks["vote"]
    assert made.structure == shipped_priors().structure


def test_only_design_tasks_are_measured(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gsm8k: not for design; there are orders"):
        benchmark.main([str(tmp_path), "--tasks", "gsm8k"])
