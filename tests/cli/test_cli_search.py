"""`optimize` and `demo` from end to end with the fake model: results, replay, pauses, what a person reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_help import FAKE, flowbot, write_flow, write_task
from thinking_help import thinking

from flowbot.cli.demo import demo_task_path

Capture = pytest.CaptureFixture[str]
LOW = ["--effort", "low"]
KEYS = {
    "run_id", "run_dir", "status", "stopped_by", "method", "effort", "seed", "workflow", "scores", "calls", "spent",
    "seconds", "nodes",
}  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))
    return tmp_path


def test_optimize_gives_one_object_and_the_same_command_replays_it(capsys: Capture, here: Path) -> None:
    command = ["optimize", str(write_task(here)), *FAKE, *LOW, "--cache-dir", "cache", "--json"]
    said = flowbot(capsys, *command)
    assert (said.status, said.err) == (0, "")
    first = said.json
    assert set(first) >= KEYS
    assert first["status"] == "done"
    assert set(first["scores"]) == {"start", "final", "difference"}
    assert set(first["scores"]["difference"]["test"]) == {"mean", "low", "high", "n"}
    assert first["spent"]["calls"] == sum(first["calls"].values()) > 0
    assert Path(first["workflow"]).is_file()
    assert (Path(first["run_dir"]) / "report.html").is_file()
    again = flowbot(capsys, *command).json
    assert again["now"]["calls"] == 0
    for name in KEYS:
        assert again[name] == first[name]


def test_optimize_tells_a_person_what_was_found(capsys: Capture, here: Path) -> None:
    said = flowbot(capsys, "optimize", str(write_task(here)), *FAKE, *LOW, "--cache-dir", "cache")
    assert said.status == 0
    for part in (
        "Estimate",
        "Closing test",
        "How good it is",
        "95 % interval",
        "What it took",
        "report.html",
        "flowbot run",
    ):
        assert part in said.out, part
    assert "\x1b" not in said.out
    assert max(len(line) for line in said.out.splitlines() if "flowbot run" not in line) <= 120
    command = next(line.strip() for line in said.out.splitlines() if line.strip().startswith("flowbot run"))
    assert "found.flow.yaml" in command


def test_a_start_that_stays_is_scored_once_and_not_beside_itself(capsys: Capture, here: Path) -> None:
    said = flowbot(capsys, "optimize", str(write_task(here)), *FAKE, "--method", "none+none", "--cache-dir", "cache")
    scores = said.out.partition("How good it is")[2].partition("What it took")[0]
    assert "start" in scores
    assert "found" not in scores
    assert "points" not in scores


def test_the_command_to_go_on_with_has_an_input_that_can_be_typed(capsys: Capture, here: Path) -> None:
    task = write_task(here)
    rows = [json.loads(line) for line in (here / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    for row in rows[:-1]:
        row["note"] += " as before" * 30
    (here / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    out = flowbot(capsys, "optimize", str(task), *FAKE, *LOW, "--cache-dir", "cache").out
    command = next(line for line in out.splitlines() if line.strip().startswith("flowbot run"))
    assert f"'note={rows[-1]['note']}'" in command


def test_quiet_leaves_the_verdict_and_the_files(capsys: Capture, here: Path) -> None:
    out = flowbot(capsys, "optimize", str(write_task(here)), *FAKE, *LOW, "--cache-dir", "cache", "-q").out.splitlines()
    assert len(out) == 3
    assert "test examples" in out[0]
    assert Path(out[1]).is_file()
    assert Path(out[2]).name == "report.html"


def test_optimize_begins_with_the_workflow_it_is_given(capsys: Capture, here: Path) -> None:
    task, flow = str(write_task(here)), str(write_flow(here))
    facts = flowbot(
        capsys, "optimize", task, "--start", flow, *FAKE, "--method", "none", "--cache-dir", "cache", "--json"
    ).json
    assert facts["nodes"] == 2
    assert facts["scores"]["difference"]["test"]["mean"] == 0


def test_a_run_is_taken_up_with_another_model_and_stands_beside_it(capsys: Capture, here: Path) -> None:
    task = str(write_task(here))
    plain = ["--method", "none+none", "--cache-dir", "cache"]
    old = flowbot(capsys, "optimize", task, *FAKE, *plain, "--run-dir", "runs/old", "--json").json
    assert old["before"] is None
    again = ["optimize", task, "--start", "old", "--model", "fake/counter?seed=9", *plain, "--run-dir", "runs/new"]
    before = flowbot(capsys, *again, "--json").json["before"]
    assert set(before) == {
        "run_id", "run_dir", "method", "models", "n", "scores", "now", "difference", "notes",
    }  # fmt: skip
    assert before["run_id"] == old["run_id"]
    assert before["scores"]["found"] == {**old["scores"]["final"]["test"]}
    read = " ".join(flowbot(capsys, *again).out.split())
    assert f"The run that was taken up, {old['run_id']} (fake/counter), began with" in read
    assert "What it found scores" in read
    compared = flowbot(capsys, "compare", "old", "new")
    assert "B took up A: it began with what that found." in " ".join(compared.out.split())


def test_seconds_pause_and_the_same_command_goes_on(capsys: Capture, here: Path) -> None:
    command = ["optimize", str(write_task(here)), *FAKE, *LOW, "--cache-dir", "cache", "--json"]
    said = flowbot(capsys, *command, "--max-seconds", "0.000001")
    assert said.status == 3
    assert (said.json["status"], said.json["stopped_by"]) == ("paused", "seconds")
    assert "run the same command again" in said.error
    assert "flowbot optimize" in said.error
    done = flowbot(capsys, *command)
    assert done.status == 0
    assert done.json["run_id"] == said.json["run_id"]


def test_ctrl_c_once_pauses_and_nothing_is_called_twice(capsys: Capture, here: Path) -> None:
    task = write_task(here, metric="metrics.py:score")
    (here / "metrics.py").write_text(
        """import os, signal
from pathlib import Path

MARK = Path(__file__).with_name("pressed")


def score(example, outputs):
    if example.id == "train-4" and not MARK.exists():
        MARK.touch()
        os.kill(os.getpid(), signal.SIGINT)
    return float(bool(outputs) and outputs["total"] == example.expected["total"])
""",
        encoding="utf-8",
    )
    command = ["optimize", str(task), *FAKE, *LOW, "--cache-dir", "cache", "--json"]
    said = flowbot(capsys, *command)
    assert said.status == 3
    paused = said.json
    assert (paused["status"], paused["stopped_by"]) == ("paused", "signal")
    assert paused["spent"]["calls"] > 0
    assert "flowbot optimize" in said.err.splitlines()[-1]
    done = flowbot(capsys, *command)
    assert done.status == 0
    whole = done.json
    assert whole["now"]["calls"] + paused["now"]["calls"] == sum(whole["calls"].values())
    assert whole["spent"]["calls"] == sum(whole["calls"].values())


def test_an_endpoint_that_fails_pauses_with_its_reason(
    capsys: Capture, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = flowbot(
        capsys, "optimize", str(write_task(here)), "--model", "fake/counter?p500=1", *LOW, "--cache-dir", "cache"
    )
    assert said.status == 3
    assert "paused (infrastructure)" in said.err.splitlines()[-1]


def test_demo_runs_on_the_example_that_comes_with_it(capsys: Capture, here: Path) -> None:
    command = ["demo", "--short", *FAKE, "--meta-model", "fake/counter", "--cache-dir", "cache"]
    facts = flowbot(capsys, *command, "--json").json
    assert facts["status"] == "done"
    assert facts["effort"] == "100"
    assert facts["scores"]["final"]["test"]["n"] == 40
    said = flowbot(capsys, *command)
    assert said.status == 0
    assert "FlowBot demo" in said.out
    assert "desk lamps" in said.out
    assert "no account, no cost" in said.out
    said = flowbot(capsys, *command, "--price", "fake/counter=1,1")
    assert "no account, no cost" not in said.out
    other = flowbot(capsys, *command, "--start", "answer-only", "--json").json
    assert other["run_id"] != facts["run_id"]


def test_the_examples_of_the_demo_are_where_it_looks() -> None:
    folder = demo_task_path().parent
    assert {"task.yaml", "train.jsonl", "val.jsonl", "test.jsonl"} <= {path.name for path in folder.iterdir()}


def test_report_is_written_again_for_a_run(capsys: Capture, here: Path) -> None:
    run = flowbot(capsys, "optimize", str(write_task(here)), *FAKE, *LOW, "--cache-dir", "cache", "--json").json
    page = Path(run["run_dir"]) / "report.html"
    before = page.read_bytes()
    page.unlink()
    facts = flowbot(capsys, "report", run["run_id"], "--json").json
    assert facts == {"report": str(page), "run_dir": run["run_dir"], "status": "done"}
    assert page.read_bytes() == before
    assert json.loads((page.parent / "result.json").read_text(encoding="utf-8"))["run_id"] == run["run_id"]


def test_a_dry_run_below_a_ceiling_shows_the_estimate_beside_the_refusal_and_what_would_fit(
    capsys: Capture, here: Path
) -> None:
    common = ["optimize", str(write_task(here)), *FAKE, *LOW, "--dry-run"]
    said = flowbot(capsys, *common, "--max-calls", "3")
    assert said.status == 2
    assert "Estimate" in said.out
    assert "model calls, about" in said.out
    line = said.err.splitlines()[-1]
    assert "the ceiling of calls: found 3 calls; expected at least" in line
    least = line.partition("at least ")[2].split()[0]
    fits = flowbot(capsys, *common, "--max-calls", least)
    assert fits.status == 0
    assert f"Of {least} calls" in fits.out
    facts = flowbot(capsys, *common, "--max-calls", least, "--json").json
    assert facts["ceilings"]["calls"]["least"] == facts["ceilings"]["calls"]["given"] == int(least)


def test_a_ceiling_that_may_be_too_low_for_a_score_says_so_before_it_is_spent(capsys: Capture, here: Path) -> None:
    task = str(write_task(here, sizes=(16, 60, 2)))
    common = ["optimize", task, "--start", "self-refine", *FAKE, *LOW, "--dry-run"]
    facts = flowbot(capsys, *common, "--max-tokens", "1000000", "--json").json["ceilings"]["tokens"]
    assert facts["least"] < facts["start"]
    least = round(facts["least"])
    dry = " ".join(flowbot(capsys, *common, "--max-tokens", str(least)).out.split())
    assert f"{least:,} tokens may not be enough for a score: the start alone takes about" in dry


@pytest.mark.parametrize(("name", "told"), [("somebodys-model", True), ("gpt-5-mini", False), ("gpt-4.1-mini", False)])
def test_an_estimate_says_that_it_knows_of_no_thoughts(name: str, told: bool, capsys: Capture, here: Path) -> None:
    model = f"openai/{name}"
    out = flowbot(capsys, "optimize", str(write_task(here)), "--model", model, *LOW, "--dry-run").out
    assert (f"thoughts not included, should {model} think" in " ".join(out.split())) is told


def test_a_run_that_ended_before_there_was_a_score_claims_none(
    capsys: Capture, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with thinking() as endpoint:  # nobody knows before that it thinks: an estimate holds no thoughts
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        models = ["--model", "openai/somebodys-model", *LOW, "--cache-dir", "cache"]
        took = flowbot(capsys, "optimize", str(write_task(here)), *models, "--max-tokens", "6000")
    told = " ".join(took.out.split())
    assert took.status == 0
    assert "Nobody knows: it ended before the start was scored." in told
    assert "It was not tested." in told
    assert "the best so far was tested" not in told


def test_a_run_that_paid_for_more_under_a_higher_ceiling_says_what_it_paid(capsys: Capture, here: Path) -> None:
    common = ["optimize", str(write_task(here)), *FAKE, *LOW, "--cache-dir", "cache", "--run-dir", "run"]
    whole = flowbot(capsys, *common, "--json").json
    low = " ".join(flowbot(capsys, *common, "--max-calls", "60").out.split())
    assert f"Made by this run: {whole['spent']['calls']} calls, {whole['spent']['tokens']:,} tokens" in low
    assert "more than it takes" in low
    assert "All of it" not in low


def test_a_replay_says_that_it_is_one_and_compare_shows_what_was_paid(capsys: Capture, here: Path) -> None:
    command = ["optimize", str(write_task(here)), *FAKE, *LOW, "--cache-dir", "cache"]
    first = flowbot(capsys, *command, "--run-dir", "one")
    again = flowbot(capsys, *command, "--run-dir", "one")
    assert "All of it was made by this run" in " ".join(first.out.split())
    assert "replayed from the store" in " ".join(again.out.split())
    flowbot(capsys, *command, "--run-dir", "two", "--seed", "1")
    found = flowbot(capsys, "compare", "one", "two", "--json").json
    assert found["runs"][0]["spent"]["calls"] == sum(found["runs"][0]["calls"].values())
    assert "Paid" in flowbot(capsys, "compare", "one", "two").out


def test_models_that_steps_may_be_given_stand_in_the_dry_run_and_in_the_result(capsys: Capture, here: Path) -> None:
    other = "fake/counter?seed=3"
    command = ["optimize", str(write_task(here)), *FAKE, *LOW, "--models", other, "--cache-dir", "cache", "--json"]
    dry = flowbot(capsys, *command, "--dry-run", "--price", f"fake/counter=1,1;{other}=2,2").json
    assert dry["models"]["other"] == other
    assert set(dry["estimate"]["by_model"]) == {"fake/counter", other}
    assert dry["estimate"]["by_model"][other]["usd"] > 0
    found = flowbot(capsys, *command).json
    assert sum(each["calls"] for each in found["by_model"].values()) == sum(found["calls"].values())
    assert found["by_model"].keys() >= {"fake/counter", other}
    assert isinstance(found["step_models"], list)
    assert "--models" in (Path(found["run_dir"]) / "report.html").read_text(encoding="utf-8")
