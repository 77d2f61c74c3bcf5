"""The measurements of inner optimisers: what is designed on is not reported on, and both commands run to their end on a mock endpoint."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from set_look_alikes import write_look_alikes

import gradients
import spoiled
import without
from first_jobs.model import Asked, Thinker
from flowbot.fields.yaml import read_data
from flowbot.optimizer.pool_method import PoolMethod
from flowbot.run.events import Arm, Proposal, Started, Verdict
from flowbot.run.journal import Journal, read_events
from flowbot.run.result import RunResult
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.check import check
from flowbot.workflow.workflow import Workflow
from inner.choices import Question, changed
from inner.kept import Kept
from inner.lists import HERE, read_lists, task_of
from inner.spoils import read_spoils
from mocked import anything

MODELS = ["--model", "openai/gpt-4.1-mini", "--meta-model", "openai/gpt-4.1-mini"]


def sets_of(file: Path) -> set[str]:
    """The sets that a bench file names."""
    tasks: dict[str, Any] = read_data(file)["tasks"]
    return {entry["set"] for entry in tasks.values() if isinstance(entry, dict) and "set" in entry}


# the two lists


def test_no_comparison_reports_on_a_task_that_was_designed_on() -> None:
    lists = read_lists()
    files = list(HERE.glob("*.yaml"))

    assert {"inner.yaml", "inner_sweep.yaml"} <= {file.name for file in files}
    for file in files:
        if file.name not in lists.seen:
            assert not sets_of(file) & set(lists.design), file.name
    for name in ("inner.yaml", "inner_sweep.yaml"):
        assert sets_of(HERE / name) <= set(lists.report), name


def test_a_task_in_both_lists_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "design.txt"
    file.write_text("design a: one\nreport b: two\nreport a: three\n", encoding="utf-8")

    with pytest.raises(ValueError, match="a in both lists"):
        read_lists(file)


@pytest.mark.parametrize("line", ["design a", "try a: one", "design a: one\ndesign a: two"])
def test_a_line_that_is_none_is_an_error(tmp_path: Path, line: str) -> None:
    file = tmp_path / "design.txt"
    file.write_text(f"{line}\n", encoding="utf-8")

    with pytest.raises(ValueError, match="expected"):
        read_lists(file)


def test_a_set_for_design_is_scored_on_dev_and_one_for_reports_on_test(tmp_path: Path) -> None:
    write_look_alikes(tmp_path)

    task, split = task_of("trec6", tmp_path, 2, 3)
    assert (split, len(task.splits["val"]), len(task.splits["test"])) == ("val", 3, 1)
    task, split = task_of("gsm8k", tmp_path, 2, 3)
    assert (split, len(task.splits["val"]), len(task.splits["test"])) == ("test", 1, 3)
    with pytest.raises(ValueError, match="neither list"):
        task_of("mbpp", tmp_path, 2, 3)


# does the gradient matter


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Thinker]:
    """A model whose steps are right once they are told of towns, and which tells them so in ever other words where it is asked to."""

    numbers = count(1)

    def text() -> str:
        return f"A question for a town is LOC; take care of case {next(numbers)}."

    def mind(asked: Asked) -> Any:
        if "answer" in asked.fields:
            return {"answer": "LOC" if "town" in asked.system.casefold() else "NUM"}
        if "hypotheses" in asked.fields:
            return {"hypotheses": [{"claim": "It does not know what towns are.", "text": text()} for _ in range(2)]}
        if asked.schema is None and "Improve" in asked.text:
            return text()
        return anything(asked) if asked.schema else "The step should know what towns are."

    with Thinker(mind) as thinker:
        monkeypatch.setenv("OPENAI_BASE_URL", thinker.url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        yield thinker


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_proposals_of_all_arms_are_scored_on_the_same_rows_and_a_second_time_asks_nothing(
    endpoint: Thinker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_look_alikes(tmp_path / "data")
    command = [
        str(tmp_path / "out"),
        "--task",
        "trec6",
        "--data",
        str(tmp_path / "data"),
        "--proposals",
        "3",
        "--rows",
        "4",
    ]
    command += ["--train", "4", "--questions", "2", "--cache-dir", str(tmp_path / "cache"), *MODELS]

    gradients.main(command)
    asked, told = endpoint.count.requests, capsys.readouterr().out
    gradients.main(command)

    assert endpoint.count.requests == asked > 0
    assert capsys.readouterr().out == told
    settings, *lines = lines_of(tmp_path / "out" / "gradients.jsonl")
    assert (settings["split"], settings["rows"]) == ("val", 4)
    assert list(dict.fromkeys(each["arm"] for each in lines)) == list(gradients.ARMS)
    real = [each for each in lines if each["arm"] == "real"]
    run = [each for each in real[1:] if "scores" in each]
    assert len({json.dumps(each["told"]) for each in run}) == len(run) == 3
    assert {tuple(each["scores"]) for each in lines if "scores" in each} == {tuple(real[0]["scores"])}
    assert re.search(r"\| real \| \d+ \| 3 \| \+100\.0", told)


def test_a_small_meta_model_has_no_blind_arm(
    endpoint: Thinker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_look_alikes(tmp_path / "data")
    command = [str(tmp_path / "out"), "--task", "trec6", "--data", str(tmp_path / "data"), "--meta-mode", "small"]
    command += ["--proposals", "1", "--rows", "4", "--train", "4", "--questions", "0"]
    command += ["--cache-dir", str(tmp_path / "cache"), *MODELS]
    with pytest.raises(SystemExit):
        gradients.main([*command, "--arms", "real", "blind"])
    assert "--arms blind: --meta-mode small" in capsys.readouterr().err
    gradients.main(command)
    _, *lines = lines_of(tmp_path / "out" / "gradients.jsonl")
    assert list(dict.fromkeys(each["arm"] for each in lines)) == ["real", "shuffled", "rule"]


def test_what_an_arm_gained_is_over_the_parent_on_the_same_rows() -> None:
    parent = {"arm": "real", "draw": -1, "scores": {"a": 0.0, "b": 1.0, "c": 0.0, "d": 1.0}, "meta_calls": 7}
    better = {"arm": "real", "draw": 0, "scores": {"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0}}
    worse = {"arm": "real", "draw": 1, "scores": {"a": 0.0, "b": 0.0, "c": 0.0}}
    same = {"arm": "real", "draw": 2, "fault": "the same as draw 0"}

    found = gradients.gains([parent, better, worse, same])

    assert (found.drawn, found.different, found.better, found.meta_calls) == (3, 2, 1, 7)
    assert found.gain is not None
    assert found.gain.mean == pytest.approx((2 - 1) / 2 / 3)  # of a, b and c, which all were run on
    assert found.gain.low < found.gain.mean < found.gain.high


def test_choices_are_compared_where_other_mistakes_were_shown() -> None:
    first, second, third = (Question("system", number) for number in range(3))

    found = changed(
        [
            {
                "as asked": {first: ("m1", "A"), second: ("m2", "B"), third: ("m3", "C")},
                "other mistakes": {first: ("m4", "B"), second: ("m5", "B"), third: ("m3", "C")},
                "no mistakes": {first: ("", "A"), second: ("", "A"), third: ("", "A")},
            }
        ]
    )

    assert (found.questions, found.swapped, found.blind) == (2, 1, 1)


# the right step


def test_every_way_spoils_one_instruction_of_a_valid_workflow() -> None:
    spoils = read_spoils()

    assert len(spoils.ways) == len({way.instruction for way in spoils.ways}) == 12
    assert {way.step for way in spoils.ways} == {"list", "numbers"}
    assert not check(spoils.workflow)
    for way in spoils.ways:
        told = spoils.spoiled(way)
        different = [path for path in told.parameters if told.parameter(path) != spoils.workflow.parameter(path)]
        assert different == [way.step]
    assert len(spoils.suspects) == 3


def test_a_spoiled_workflow_is_searched_by_each_method_once(
    endpoint: Thinker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(tmp_path / "out"), "--methods", "blame", "any-step", "layerwise", "--ways", "opposite", "--effort", "30", "--rows", "5", "5", "4"]  # fmt: skip
    command += ["--cache-dir", str(tmp_path / "cache"), *MODELS, "--harm"]

    spoiled.main([*command, "1.1"])
    assert [each["method"] for each in lines_of(tmp_path / "out" / "spoiled.jsonl")] == ["none"]  # no fault, no search
    command += ["-1"]
    spoiled.main(command)
    asked = endpoint.count.requests
    spoiled.main(command)

    assert endpoint.count.requests == asked > 0
    lines = lines_of(tmp_path / "out" / "spoiled.jsonl")
    assert [(each["method"], each["step"]) for each in lines] == [
        ("none", "list"),
        ("blame", "list"),
        ("any-step", "list"),
        ("layerwise", "list"),
    ]
    assert all(each["calls"] <= 30 for each in lines[1:])
    assert "by lot 1 in 3" in capsys.readouterr().out

    fewer = ["--methods", "any-step", "--effort", "20"]
    spoiled.main([*command, *fewer])  # other settings beside them; what a way costs is known
    lines = lines_of(tmp_path / "out" / "spoiled.jsonl")
    assert [each.get("effort") for each in lines] == [None, 30, 30, 30, 20]


def test_the_control_asks_nobody_which_step_it_is() -> None:
    blames = [each.blame for each in spoiled.any_step() if hasattr(each, "blame")]

    assert blames
    assert {type(each) for each in blames} == {spoiled.AnyStep}
    assert blames[0].cost(WorkflowProgram(flow()), []) == 0


def flow(**told: str) -> Workflow:
    """Two steps, told so."""
    nodes = {
        "one": {"kind": "llm", "in": {"q": "q"}, "out": {"a": "str"}},
        "two": {"kind": "llm", "in": {"q": "one.a"}, "out": {"a": "str"}},
    }
    parameters = {name: {"instruction": told.get(name, "Answer.")} for name in nodes}
    return Workflow.from_data(
        {"flowbot": 1, "inputs": {"q": "str"}, "outputs": {"a": "two.a"}, "nodes": nodes, "parameters": parameters}
    )


def test_proposals_are_aimed_at_the_steps_that_they_change(tmp_path: Path) -> None:
    start, first, both = flow(), flow(one="Think."), flow(one="Think.", two="Think.")
    journal = Journal.open(tmp_path / "journal.jsonl")
    journal.record(Started(run="r", task="t", goal="g", method="m", seed=0, effort=1, models={}, start=start.hash, program=start.dump()))  # fmt: skip
    for name, program in (("p1", first), ("p2", both)):
        journal.record(Proposal(id=name, level="parameters", arm=Arm(kind="instruct"), parents=(start.hash,), program=program.hash,
                                dump=program.dump(), title="t", source="meta"))  # fmt: skip
        journal.record(Verdict(proposal=name, incumbent=start.hash, decision="adopt", rule="always", n=0, mine=0.0, theirs=0.0,
                               gain=0.0, spread=0.0, p=0.5, spent=len(name) * int(name[1])))  # fmt: skip
    journal.close()
    result = RunResult(run_id="r", run_dir=tmp_path, status="done", stopped_by="finished", method="m", effort="1", seed=0, task="t",
                       task_hash="h", metric="exact", models={}, found=both, start=start)  # fmt: skip

    assert spoiled.aim(result, "one") == {"aimed": [1.0, 0.5], "adopted_at": 4}
    assert spoiled.aim(result, "two") == {"aimed": [0.0, 0.5], "adopted_at": 4}


def test_a_repair_wins_back_half_of_what_was_lost() -> None:
    about = {"method": "blame", "step": "list", "calls": 90, "aimed": [1.0, 0.0]}
    lines = [
        {**about, "working": 0.8, "spoiled": 0.2, "found": 0.6, "adopted_at": 40},
        {**about, "working": 0.8, "spoiled": 0.2, "found": 0.3, "adopted_at": 60},
        {**about, "working": 0.8, "spoiled": 0.8, "found": 0.8, "adopted_at": 10},  # nothing to win back
    ]

    row = spoiled.table(lines, 3).splitlines()[2]

    assert row.startswith("| blame | 2 | 50% of 4 | 1 (")
    assert row.endswith("| 42% | 90 | 40 |")


# what a kind of change is worth


def test_a_search_is_run_whole_and_without_a_kind_of_change_once(
    endpoint: Thinker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_look_alikes(tmp_path / "data")
    command = [
        str(tmp_path / "out"),
        "--without",
        "Demonstrations",
        "--seeds",
        "1",
        "--effort",
        "30",
        "--rows",
        "3",
        "2",
        "2",
    ]
    command += ["--data", str(tmp_path / "data"), "--cache-dir", str(tmp_path / "cache"), *MODELS]

    without.main(command)
    asked = endpoint.count.requests
    without.main(command)

    assert endpoint.count.requests == asked > 0
    lines = lines_of(tmp_path / "out" / "without.jsonl")
    assert [each["method"] for each in lines] == ["none+blame", "without Demonstrations"]
    assert all(len(each["start"]) == len(each["found"]) == 2 and each["calls"] <= 30 for each in lines)
    tried = [
        {event.arm.kind for event in read_events(journal) if isinstance(event, Proposal)}
        for journal in sorted((tmp_path / "out" / "runs").glob("*/journal.jsonl"))
    ]
    assert sum("demonstrate" in kinds for kinds in tried) == 1
    assert "| without Demonstrations |" in capsys.readouterr().out


def test_what_is_left_out_is_set_beside_the_whole_search_of_the_same_seed() -> None:
    lines = [
        {"method": "none+blame", "seed": 0, "start": [0.0, 0.0], "found": [1.0, 1.0]},
        {"method": "without Rule", "seed": 0, "start": [0.0, 0.0], "found": [1.0, 0.0]},
        {"method": "without Rule", "seed": 1, "start": [0.0, 0.0], "found": [0.0, 0.0]},  # nothing to set it beside
    ]
    rows = [*without.table(lines)][2:]
    assert rows[0] == "| none+blame | +100 | +100.0 |  |"
    assert rows[1].startswith("| without Rule | +50 | +50.0 | -50.0 (")


def test_a_search_without_a_kind_differs_in_nothing_else() -> None:
    whole, less = (without.method_of(name) for name in ("none+blame", "without Rule"))
    assert isinstance(whole, PoolMethod)
    assert isinstance(less, PoolMethod)
    kinds = [without.kind_of(each) for each in whole.proposers()]
    assert "Rule" in kinds
    assert [without.kind_of(each) for each in less.proposers()] == [each for each in kinds if each != "Rule"]
    assert replace(less, name=whole.name, proposers=whole.proposers) == whole


async def test_lines_of_a_killed_measurement_are_made_once(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    path.write_text('{"a": 1, "b": 2}\n{"a": 2, "b"', encoding="utf-8")

    async def made() -> dict[str, int]:
        return {"b": 3}

    kept = Kept(path)
    assert [await kept.line({"a": each}, made) for each in (1, 2, 2)] == [
        {"a": 1, "b": 2},
        {"a": 2, "b": 3},
        {"a": 2, "b": 3},
    ]
    assert Kept(path).lines == lines_of(path) == kept.lines
