"""The verbs that use what there is: check, run, eval, models, report."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from cli_help import FAKE, FLOW, flowbot, write_flow, write_task

Capture = pytest.CaptureFixture[str]


def test_check_accepts_a_sound_task_and_a_sound_workflow(capsys: Capture, tmp_path: Path) -> None:
    task, flow = write_task(tmp_path), write_flow(tmp_path)
    said = flowbot(capsys, "check", str(task))
    assert said.status == 0
    assert "16 train, 8 val, 8 test" in said.out
    said = flowbot(capsys, "check", str(flow), "--task", str(task), "--json")
    assert said.status == 0
    assert said.json == {"ok": True, "defects": [], "warnings": [], "task": None, "model": None}


def test_check_lists_every_defect_of_a_workflow(capsys: Capture, tmp_path: Path) -> None:
    text = FLOW.replace("items: answer.items", "items: answer.things").replace("{note: note}", "{note: notes}")
    said = flowbot(capsys, "check", str(write_flow(tmp_path, text)), "--json")
    assert said.status == 1
    assert said.json["ok"] is False
    assert len(said.json["defects"]) >= 2
    assert all(set(each) == {"where", "what", "mend"} for each in said.json["defects"])


def test_check_finds_that_a_workflow_is_for_another_task(capsys: Capture, tmp_path: Path) -> None:
    flow = write_flow(tmp_path, FLOW.replace("outputs: {total: compute.total}", "outputs: {sum: compute.total}"))
    assert flowbot(capsys, "check", str(flow)).status == 0
    assert flowbot(capsys, "check", str(flow), "--task", str(write_task(tmp_path))).status == 1


def test_check_of_a_broken_task_names_the_line(capsys: Capture, tmp_path: Path) -> None:
    task = write_task(tmp_path)
    (tmp_path / "val.jsonl").write_text('{"note": "a", "total": 1}\n{"note": \n', encoding="utf-8")
    said = flowbot(capsys, "check", str(task), "--json")
    assert said.status == 1
    assert "val.jsonl:2" in said.json["defects"][0]["where"]


def test_run_prints_the_outputs(capsys: Capture, tmp_path: Path) -> None:
    flow = str(write_flow(tmp_path))
    cache = ["--cache-dir", str(tmp_path / "cache")]
    said = flowbot(capsys, "run", flow, "note=3 pens and 4 cups", *FAKE, *cache)
    assert (said.status, said.err) == (0, "")
    name, value = said.out.strip().split(": ")
    assert name == "total"
    assert flowbot(capsys, "run", flow, "note=3 pens and 4 cups", *FAKE, *cache, "--json").json == {"total": int(value)}


def test_run_takes_many_inputs_from_a_file_in_their_order(capsys: Capture, tmp_path: Path) -> None:
    flow = str(write_flow(tmp_path))
    rows = [{"note": f"{number} pens"} for number in (3, 1, 2)]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    cache = ["--cache-dir", str(tmp_path / "cache")]
    said = flowbot(capsys, "run", flow, "--inputs", str(file), *FAKE, *cache, "--json")
    alone = [flowbot(capsys, "run", flow, f"note={row['note']}", *FAKE, *cache, "--json").json for row in rows]
    assert said.json == alone
    lines = flowbot(capsys, "run", flow, "--inputs", str(file), *FAKE, *cache).out.splitlines()
    assert [json.loads(line) for line in lines] == alone


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.csv", "id;note;total\n1;2 pens;2\n2;3 pens;3\n"),
        ("rows.json", '[{"note": "2 pens"}, {"note": "3 pens", "total": 3}]'),
        ("rows.json", '{"rows": [{"note": "2 pens"}, {"note": "3 pens"}]}'),
        ("rows", '{"note": "2 pens"}\n{"note": "3 pens"}\n'),
        ("-", '\ufeff{"note": "2 pens"}\n{"note": "3 pens"}\n'),
    ],
)
def test_run_reads_every_kind_of_data_file(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    Path(name if name != "-" else "unused").write_text(text, encoding="utf-8")
    flow, cache = str(write_flow(tmp_path)), ["--cache-dir", "cache"]
    alone = [flowbot(capsys, "run", flow, f"note={n} pens", *FAKE, *cache, "--json").json for n in (2, 3)]
    assert flowbot(capsys, "run", flow, "--inputs", name, *FAKE, *cache, "--json").json == alone


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        ("rows.csv", b"note,total\n2 pens,2,x\n", "rows.csv:2: found 3 cells"),
        ("rows.csv", "note\nfünf\n".encode("cp1252"), "rows.csv:2: found bytes that are not UTF-8"),
        ("rows.jsonl", b'{"note": "a"}\n{"nota": "b"}\n', "rows.jsonl:2: found no 'note' (there is nota)"),
        ("rows.jsonl", b'{"note": "a"}\n{"note": \n', "rows.jsonl:2"),
        ("rows.json", b"[]", "rows.json: found no rows"),
        ("rows.xlsx", b"PK", "rows.xlsx"),
        ("-", b"note: a", "standard input"),
    ],
)
def test_run_names_the_row_that_is_wrong(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, raw: bytes, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(raw.decode("latin-1")))
    Path(name if name != "-" else "unused").write_bytes(raw)
    found = flowbot(capsys, "run", str(write_flow(tmp_path)), "--inputs", name, *FAKE)
    assert (found.status, said in found.error) == (2, True), found.error


def test_run_takes_one_object_as_one_row(capsys: Capture, tmp_path: Path) -> None:
    file = tmp_path / "one.json"
    file.write_text('{\n "note": "3 pens"\n}', encoding="utf-8")
    common = ["run", str(write_flow(tmp_path)), *FAKE, "--cache-dir", str(tmp_path / "cache"), "--json"]
    assert flowbot(capsys, *common, "--inputs", str(file)).json == flowbot(capsys, *common, "note=3 pens").json


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ([], "no note"),
        (["note=a", "more=b"], "more"),
        (["just text"], "NAME=VALUE"),
        (["note=a", "--inputs", "x.json"], "--inputs"),
        (["--inputs", "no-such.json"], "no-such.json"),
    ],
)
def test_run_says_what_is_wrong_with_inputs(capsys: Capture, tmp_path: Path, values: list[str], named: str) -> None:
    said = flowbot(capsys, "run", str(write_flow(tmp_path)), *values, *FAKE)
    assert said.status == 2
    assert named in said.error


def test_run_reads_values_by_the_type_of_the_input(capsys: Capture, tmp_path: Path) -> None:
    text = """flowbot: 1
inputs: {note: str, times: "list[int]"}
outputs: {n: compute.n, note: compute.note}
nodes:
  compute: {kind: code, in: {note: note, times: times}, out: {n: int, note: str}}
parameters:
  compute: {code: "def run(note, times):\\n    return {'n': sum(times), 'note': note}"}
"""
    flow = str(write_flow(tmp_path, text))
    cache = ["--cache-dir", str(tmp_path / "cache")]
    assert flowbot(capsys, "run", flow, "note=12", "times=[1, 2]", *cache, "--json").json == {"n": 3, "note": "12"}
    assert flowbot(capsys, "run", flow, "note=12", "times=[1, x]", *cache).status == 2


def test_run_that_gives_nothing_is_status_1(capsys: Capture, tmp_path: Path) -> None:
    flow = write_flow(tmp_path, FLOW.replace("return {'total'", "return {'sum'"))
    said = flowbot(capsys, "run", str(flow), "note=3 pens", *FAKE, "--cache-dir", str(tmp_path / "cache"))
    assert said.status == 1
    assert "compute" in said.error


def test_eval_gives_a_row_for_each_example(capsys: Capture, tmp_path: Path) -> None:
    task, flow = str(write_task(tmp_path)), str(write_flow(tmp_path))
    common = ["eval", flow, task, "--split", "test", *FAKE, "--cache-dir", str(tmp_path / "cache")]
    facts = flowbot(capsys, *common, "--json").json
    wanted = {"mean", "low", "high", "n", "errors", "calls", "tokens", "usd", "seconds", "rows"}
    assert wanted <= set(facts)
    assert facts["n"] == len(facts["rows"]) == 8
    assert [row["id"] for row in facts["rows"]] == [f"test-{number}" for number in range(25, 33)]
    assert all(set(row) == {"id", "score", "outputs", "feedback", "parts", "error"} for row in facts["rows"])
    assert facts["mean"] == pytest.approx(sum(row["score"] for row in facts["rows"]) / 8)
    assert 0 <= facts["low"] <= facts["mean"] <= facts["high"] <= 1
    assert facts["calls"] >= 8
    again = flowbot(capsys, *common, "--json").json
    assert again["spent"]["calls"] == 0
    assert (again["rows"], again["calls"], again["tokens"]) == (facts["rows"], facts["calls"], facts["tokens"])
    said = flowbot(capsys, *common, "--quiet")
    assert said.out.count("\n") == 1
    assert "on 8 examples (95 % interval" in said.out


def test_eval_pauses_when_the_metric_raises_and_names_the_example(capsys: Capture, tmp_path: Path) -> None:
    task = write_task(tmp_path, metric="metrics.py:score")
    (tmp_path / "metrics.py").write_text(
        "def score(example, outputs):\n    if example.id == 'val-20':\n        raise KeyError('oh')\n    return 1.0\n",
        encoding="utf-8",
    )
    flow, cache = str(write_flow(tmp_path)), str(tmp_path / "cache")
    said = flowbot(capsys, "eval", flow, str(task), *FAKE, "--cache-dir", cache, "--json")
    assert said.status == 3
    assert "val-20" in said.error
    assert said.out == ""


def test_a_ceiling_in_calls_ends_eval_and_more_lets_it_go_on(capsys: Capture, tmp_path: Path) -> None:
    task, flow = str(write_task(tmp_path)), str(write_flow(tmp_path))
    common = ["eval", flow, task, *FAKE, "--cache-dir", str(tmp_path / "cache"), "--json"]
    said = flowbot(capsys, *common, "--max-calls", "3")
    assert said.status == 1
    assert "higher ceiling" in said.error
    assert flowbot(capsys, *common).json["spent"]["calls"] <= 9


def test_dry_runs_open_nothing(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    task, flow, cache = str(write_task(tmp_path)), str(write_flow(tmp_path)), str(tmp_path / "cache")
    common = [*FAKE, "--cache-dir", cache, "--dry-run", "--json"]
    assert flowbot(capsys, "eval", flow, task, *common).json == {"dry_run": True, "n": 8, "calls": 8}
    assert flowbot(capsys, "run", flow, "note=a", *common).json == {"dry_run": True, "calls": 1}
    facts = flowbot(capsys, "optimize", task, *common).json
    assert facts["estimate"]["calls"] == sum(facts["estimate"]["by_purpose"].values()) > 0
    assert facts["estimate"]["usd"] == 0.0
    assert not (tmp_path / "cache").exists()
    assert not (tmp_path / "runs").exists()


def test_models_lists_what_there_is_and_tries_one(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    cache = ["--cache-dir", str(tmp_path)]
    said = flowbot(capsys, "models", *cache, "--json")
    assert {"local/qwen2.5-coder-0.5b", "local/qwen2.5-coder-1.5b"} <= {each["model"] for each in said.json["local"]}
    openai = next(each for each in said.json["providers"] if each["provider"] == "openai")
    assert openai["key_set"] is True
    people = flowbot(capsys, "models", *cache).out
    assert "openai/NAME" in people
    assert "sk-secret" not in said.out + people
    facts = flowbot(capsys, "models", "fake/counter", *cache, "--json").json
    assert facts["ok"] is True
    assert facts["price"] == {"input": 0.0, "output": 0.0}


def test_models_says_when_an_endpoint_is_not_there(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    said = flowbot(capsys, "models", "openai/any", "--cache-dir", str(tmp_path), "--json")
    assert said.status == 1
    assert said.json["ok"] is False
    assert "openai/any" in said.error
