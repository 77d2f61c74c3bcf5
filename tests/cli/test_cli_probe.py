"""`models MODEL` and `check --model` judge the endpoint: a stub that says one thing, and a model that thinks, are no defects."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_help import flowbot, write_flow, write_task
from thinking_help import thinking

Capture = pytest.CaptureFixture[str]
MODEL = "openai/somebodys-model"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-nobody")


@pytest.mark.parametrize("text", ["positive", "", "[]"])
def test_a_stub_in_a_users_ci_is_no_defect(
    text: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = str(write_task(tmp_path))
    cache = ["--cache-dir", str(tmp_path / "cache")]
    with thinking(lambda body: text, least=0, most=0) as stub:
        monkeypatch.setenv("OPENAI_BASE_URL", stub.url)
        asked = flowbot(capsys, "models", MODEL, *cache)
        checked = flowbot(capsys, "check", task, "--model", MODEL, *cache)
        facts = flowbot(capsys, "check", task, "--model", MODEL, *cache, "--json").json
    assert (asked.status, checked.status) == (0, 0)
    assert "Note" in asked.out
    assert "Note" in checked.out
    assert facts["ok"] is True
    assert facts["defects"] == []
    assert facts["model"]["note"]


def test_a_model_that_thinks_is_no_defect_and_what_it_needs_is_said(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = str(write_task(tmp_path))
    cache = ["--cache-dir", str(tmp_path / "cache")]
    with thinking(lambda body: json.dumps({"answer": 32}), least=900, most=900) as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        asked = flowbot(capsys, "models", MODEL, *cache)
        checked = flowbot(capsys, "check", task, "--model", MODEL, *cache, "--json")
        assert endpoint.empty == 0
    assert (asked.status, checked.status) == (0, 0)
    assert "it thinks (900 tokens here): replies have room for 4,096 tokens more" in " ".join(asked.out.split())
    assert "Takes JSON by schema, temperature, seed" in " ".join(asked.out.split())
    assert checked.json["model"]["thinking"] == {"seen": 900, "room": 4096}
    assert checked.json["model"]["note"] == ""


def test_a_run_after_the_check_pays_for_no_second_question(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = str(write_task(tmp_path, sizes=(4, 4, 4)))
    more = ["--model", MODEL, "--cache-dir", str(tmp_path / "cache")]
    with thinking() as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        assert flowbot(capsys, "check", task, *more).status == 0
        assert flowbot(capsys, "eval", str(write_flow(tmp_path)), task, *more).status == 0
        asked = [json.dumps(body["messages"]) for body in endpoint.bodies]
        assert sum("spiders" in each for each in asked) == 1
        assert endpoint.empty == 0
