"""A judge on the command line: which model, what it takes, what is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_help import flowbot, write_task

JUDGED = "{judge: {rubric: Is the total right?, repeats: 3}}"
FLOW = """flowbot: 1
inputs: {note: str}
outputs: {total: add.total}
nodes: {add: {kind: llm, in: {note: note}, out: {total: int}}}
parameters: {add: {instruction: Add.}}
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str, list[str]]:
    task = write_task(tmp_path, metric=JUDGED)
    flow = tmp_path / "found.flow.yaml"
    flow.write_text(FLOW)
    return str(flow), str(task), ["--cache-dir", str(tmp_path / "cache")]


def test_eval_tells_what_the_judge_took_and_how_it_wavers(
    files: tuple[str, str, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    flow, task, more = files
    options = ["eval", flow, task, "--model", "fake/counter", "--judge-model", "fake/judge", *more]
    facts = flowbot(capsys, *options, "--json").json
    judge = facts["judge"]
    assert judge["model"] == "fake/judge"
    assert judge["calls"] == 3 * 8
    assert facts["calls"] == 4 * 8
    assert 0 < judge["spread"] < 1
    assert 0 < judge["tokens"] < facts["tokens"]
    assert judge["usd"] == 0
    assert all(row["feedback"] for row in facts["rows"])
    said = flowbot(capsys, *options).out
    assert "Judge fake/judge: 24 calls" in said
    assert "vary by" in said
    dry = flowbot(capsys, *options, "--dry-run", "--json").json
    assert dry["judge"] == {"model": "fake/judge", "calls": 24}
    assert dry["calls"] == 32


def test_the_judge_is_the_task_model_where_none_is_named_and_missing_where_there_is_none(
    files: tuple[str, str, list[str]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    flow, task, more = files
    assert (
        flowbot(capsys, "eval", flow, task, "--model", "fake/judge", *more, "--json").json["judge"]["model"]
        == "fake/judge"
    )
    bare = tmp_path / "bare.flow.yaml"
    code = "parameters: {add: {code: 'def run(note): return len(note)'}}\n"
    bare.write_text(FLOW.replace("kind: llm", "kind: code").split("parameters")[0] + code)
    said = flowbot(capsys, "eval", str(bare), task, *more)
    assert said.status == 2
    assert "--judge-model: found nothing, and the metric's judge asks a model" in said.error


def test_a_judge_that_gives_no_verdicts_is_told(
    files: tuple[str, str, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    flow, task, more = files
    said = flowbot(capsys, "eval", flow, task, "--model", "fake/counter", "--judge-model", "fake/judge?pempty=1", *more)
    assert said.status == 3
    assert "no verdict on any of 8 examples can be read; name another judge (--judge-model" in said.err


def test_a_search_plans_and_tells_its_judge(
    files: tuple[str, str, list[str]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _, task, more = files
    options = ["optimize", task, "--model", "fake/counter", "--judge-model", "fake/judge", "--effort", "low", *more]
    dry = flowbot(capsys, *options, "--dry-run", "--json").json
    assert dry["models"]["judge"] == "fake/judge"
    assert dry["estimate"]["by_purpose"]["judge"] > 0
    run = ["--run-dir", str(tmp_path / "run")]
    assert flowbot(capsys, *options, *run, "--json").json["judge"]["model"] == "fake/judge"
    assert "Judge fake/judge:" in flowbot(capsys, *options, *run).out
