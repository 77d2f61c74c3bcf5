"""`flowbot check`: every defect, what is worth a second look, and one question to the model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_help import FAKE, flowbot, write_flow, write_task

from flowbot.checks.models import too_long
from flowbot.fields import Field
from flowbot.task.examples import checked_examples

Capture = pytest.CaptureFixture[str]
JUDGE = "{judge: {rubric: The total is right.}}"


def _with_metric(folder: Path, text: str) -> str:
    path = write_task(folder, metric="metrics.py:score")
    (folder / "metrics.py").write_text(text, encoding="utf-8")
    return str(path)


def test_a_sound_task_says_what_it_is_and_asks_no_model(capsys: Capture, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    said = flowbot(capsys, "check", str(write_task(tmp_path, sizes=(16, 8, 120))), "--cache-dir", str(cache))
    assert (said.status, said.err) == (0, "")
    assert "16 train, 8 val, 120 test" in said.out
    assert "on all 144 rows" in said.out
    assert "120 test examples: differences below about 19 points may look like chance" in said.out
    assert "8 validation examples: differences below about 70 points may look like chance" in said.out
    assert "none was asked" in said.out
    assert not cache.exists()


def test_a_folder_is_checked_by_its_task_file(capsys: Capture, tmp_path: Path) -> None:
    write_task(tmp_path)
    assert flowbot(capsys, "check", str(tmp_path)).status == 0
    assert flowbot(capsys, "check", str(tmp_path / "none")).status == 2


def test_the_object_for_programs_has_facts_warnings_and_defects(capsys: Capture, tmp_path: Path) -> None:
    facts = flowbot(capsys, "check", str(write_task(tmp_path)), "--json").json
    assert set(facts) == {"ok", "defects", "warnings", "task", "model"}
    assert (facts["ok"], facts["defects"], facts["model"]) == (True, [], None)
    assert all(set(each) == {"where", "what", "mend"} for each in facts["warnings"])
    assert facts["task"]["examples"] == {"train": 16, "val": 8, "test": 8}
    assert facts["task"]["gold"] == {"n": 32, "mean": 1}
    assert facts["task"]["smallest_difference"] == {"val": 0.699, "test": 0.699}


def test_every_defect_of_a_task_is_listed_at_once(capsys: Capture, tmp_path: Path) -> None:
    path = write_task(tmp_path, metric="nemeric", more="tools: [tools.py:look]\ncolour: red\n")
    (tmp_path / "val.jsonl").write_text('{"note": "a", "total": "x"}\n{"note": \n', encoding="utf-8")
    said = flowbot(capsys, "check", str(path), "--json")
    assert said.status == 1
    assert said.json["ok"] is False
    wheres = " ".join(each["where"] for each in said.json["defects"])
    assert len(said.json["defects"]) == 5
    assert all(place in wheres for place in ("val.jsonl:1", "val.jsonl:2", "metric", "tools[0]"))
    assert flowbot(capsys, "check", str(path)).out.count("found") == 5


def test_defects_that_many_rows_share_are_said_once(capsys: Capture, tmp_path: Path) -> None:
    path = write_task(tmp_path)
    rows = "".join(json.dumps({"note": f"n {number}", "total": "x"}) + "\n" for number in range(12))
    (tmp_path / "val.jsonl").write_text(rows, encoding="utf-8")
    said = flowbot(capsys, "check", str(path))
    assert "val.jsonl:3" in said.out
    assert "val.jsonl:4" not in said.out
    assert "… and 9 more like that" in said.out
    assert len(flowbot(capsys, "check", str(path), "--json").json["defects"]) == 12


def test_rows_whose_expected_outputs_do_not_score_one_are_defects(capsys: Capture, tmp_path: Path) -> None:
    path = _with_metric(tmp_path, "def score(example, outputs):\n    return outputs['total'] < 60, 'too many'\n")
    said = flowbot(capsys, "check", path)
    assert said.status == 1
    assert "test.jsonl:5: its own expected outputs (total: 61) score 0, not 1: too many" in said.out
    assert "(and the same on 3 more rows)" in said.out


def test_a_metric_that_raises_is_named_with_row_and_line(capsys: Capture, tmp_path: Path) -> None:
    path = _with_metric(tmp_path, "def score(example, outputs):\n    want = example.expected['sum']\n    return 1\n")
    said = flowbot(capsys, "check", path)
    assert said.status == 1
    assert "train.jsonl:1: the metric fails on its own expected outputs (total: 5): KeyError: 'sum'" in said.out
    assert "(metrics.py:2)" in said.out


def test_a_metric_that_cannot_be_imported_is_named_with_its_line(capsys: Capture, tmp_path: Path) -> None:
    said = flowbot(capsys, "check", _with_metric(tmp_path, "import json\n\nraise OSError('no')\n"))
    assert said.status == 1
    assert "OSError: no at line 3" in said.out


def test_what_a_metric_prints_is_not_repeated(capsys: Capture, tmp_path: Path) -> None:
    text = "def score(example, outputs):\n    print('here')\n    return outputs == example.expected\n"
    said = flowbot(capsys, "check", _with_metric(tmp_path, text))
    assert said.status == 0
    assert "here" not in said.out


def test_a_metric_that_tells_nothing_apart_is_a_warning(capsys: Capture, tmp_path: Path) -> None:
    said = flowbot(capsys, "check", _with_metric(tmp_path, "def score(example, outputs):\n    return 1\n"), "--json")
    assert said.status == 0
    assert any("tells nothing apart" in each["mend"] for each in said.json["warnings"])


def test_a_split_without_examples_is_a_warning(capsys: Capture, tmp_path: Path) -> None:
    path = write_task(tmp_path)
    path.write_text(path.read_text("utf-8").replace(", test: test.jsonl", ""), encoding="utf-8")
    said = flowbot(capsys, "check", str(path), "--json")
    assert said.status == 0
    assert any(each["what"] == "no examples to report on (test)" for each in said.json["warnings"])
    assert list(said.json["task"]["smallest_difference"]) == ["val"]


def test_every_tool_that_cannot_be_opened_is_a_defect(capsys: Capture, tmp_path: Path) -> None:
    more = "tools:\n  - {sql: a.db}\n  - calculator\n  - {search: docs.jsonl}\n"
    (tmp_path / "a.db").write_text("no database", encoding="utf-8")
    (tmp_path / "docs.jsonl").write_text('{"title": "no text"}\n', encoding="utf-8")
    said = flowbot(capsys, "check", str(write_task(tmp_path, more=more)), "--json", "--cache-dir", str(tmp_path / "c"))
    assert said.status == 1
    assert len(said.json["defects"]) == 2
    assert said.json["task"]["tools"] == ["calculator"]


def test_a_model_is_asked_one_question(capsys: Capture, tmp_path: Path) -> None:
    cache = ["--cache-dir", str(tmp_path / "cache")]
    said = flowbot(capsys, "check", str(write_task(tmp_path)), *FAKE, *cache)
    assert said.status == 0
    assert "fake/counter answers (" in said.out
    facts = flowbot(capsys, "check", str(write_flow(tmp_path)), *FAKE, "--meta-model", "fake/counter", *cache, "--json")
    assert facts.json["model"]["ok"] is True
    assert facts.json["model"]["usage"]["calls"] == 1
    assert facts.json["meta_model"]["model"] == "fake/counter"


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ("openai/gpt-4.1-mini", "no key in the environment variable OPENAI_API_KEY"),
        ("nobody/x", "'nobody'"),
        ("fake/nobody", "nobody"),
    ],
)
def test_a_model_that_does_not_answer_is_a_defect(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, named: str
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    task = str(write_task(tmp_path))
    said = flowbot(capsys, "check", task, "--model", model, "--cache-dir", str(tmp_path / "cache"), "--json")
    assert said.status == 1
    (defect,) = said.json["defects"]
    assert defect["where"] == f"--model {model}"
    assert named in defect["what"]
    assert defect["mend"]
    assert said.json["model"]["ok"] is False
    assert said.json["task"]["gold"]["mean"] == 1  # all else is checked all the same


def test_a_judge_is_asked_only_with_a_model_and_about_few_rows(capsys: Capture, tmp_path: Path) -> None:
    task = str(write_task(tmp_path, metric=JUDGE))
    cache = ["--cache-dir", str(tmp_path / "cache")]
    said = flowbot(capsys, "check", task, *cache)
    assert said.status == 0
    assert "not asked" in said.out
    said = flowbot(capsys, "check", task, *FAKE, *cache)
    assert said.status == 0
    # What a pretend model says of them is worth little; it was asked.
    assert "all 3 rows that it was asked about" in said.out or 1 <= said.out.count("the judge gives") <= 3


def test_defects_alone_are_printed_with_quiet(capsys: Capture, tmp_path: Path) -> None:
    assert flowbot(capsys, "check", str(write_task(tmp_path)), "--quiet").out == ""
    broken = write_task(tmp_path, metric="none")
    assert flowbot(capsys, "check", str(broken), "--quiet").out.count("\n") == 1


def test_a_workflow_is_checked_against_a_task_with_all_its_defects(capsys: Capture, tmp_path: Path) -> None:
    flow, task = write_flow(tmp_path), write_task(tmp_path)
    (tmp_path / "val.jsonl").write_text("{\n[]\n", encoding="utf-8")
    said = flowbot(capsys, "check", str(flow), "--task", str(task), "--json")
    assert said.status == 1
    assert len(said.json["defects"]) == 2


def test_a_task_beside_a_file_that_is_no_workflow_is_refused(capsys: Capture, tmp_path: Path) -> None:
    task = str(write_task(tmp_path))
    said = flowbot(capsys, "check", task, "--task", task, "--quiet")
    assert said.status == 1
    assert "no `nodes`, so it is no workflow; expected a workflow's file" in said.out


def test_outputs_that_no_row_expects_are_given_to_the_metric_as_empty(capsys: Capture, tmp_path: Path) -> None:
    text = "def score(example, outputs):\n    return outputs['total'] == example.expected['total'] and not outputs['why']\n"
    path = Path(_with_metric(tmp_path, text))
    path.write_text(path.read_text("utf-8").replace("{total: int}", "{total: int, why: str}"), encoding="utf-8")
    facts = flowbot(capsys, "check", str(path), "--json").json
    assert facts["ok"] is True
    assert facts["task"]["gold"] == {"n": 32, "mean": 1}


def test_a_metric_without_labels_is_tried_on_empty_answers(capsys: Capture, tmp_path: Path) -> None:
    path = Path(_with_metric(tmp_path, "def score(example, outputs):\n    return 1 / outputs['total']\n"))
    for split in ("train", "val", "test"):
        rows = "".join(f'{{"note": "{split} {number}"}}\n' for number in range(4))
        (tmp_path / f"{split}.jsonl").write_text(rows, encoding="utf-8")
    said = flowbot(capsys, "check", str(path), "--json")
    assert said.status == 0
    whats = [each["what"] for each in said.json["warnings"]]
    assert any(what.startswith("it fails on empty values: ZeroDivisionError") for what in whats)
    assert any("no row has an expected output" in what for what in whats)


def test_inputs_that_are_longer_than_the_context_are_told_where_it_is_known() -> None:
    texts = ["short", "long " * 2000, "longer " * 2000]
    rows = checked_examples(
        [{"note": text} for text in texts], where="train", inputs=[Field.of("note", "str")], outputs=[]
    )
    (remark,) = too_long({"model": "local/x", "context": 2048}, rows)
    assert remark.where == "model local/x"
    assert "2 of 3 rows are likely too long for its context of 2,048 tokens; the longest, train[2]," in remark.what
    assert too_long({"model": "local/x", "context": 32_000}, rows) == []
    assert too_long({"model": "fake/x", "context": None}, rows) == []
    assert too_long(None, rows) == []


def test_listed_models_are_asked_beside_the_others(capsys: Capture, tmp_path: Path) -> None:
    path = str(write_task(tmp_path))
    common = ["check", path, "--model", "fake/counter", "--cache-dir", str(tmp_path / "cache"), "--json"]
    facts = flowbot(capsys, *common, "--models", "fake/echo,fake/judge?expires=1")
    assert facts.json["models"]["fake/echo"]["model"] == "fake/echo"
    assert facts.json["models"]["fake/judge?expires=1"]["ok"] is False
    (defect,) = facts.json["defects"]
    assert defect["where"] == "--models fake/judge?expires=1"
