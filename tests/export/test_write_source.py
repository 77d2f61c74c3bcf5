"""`fb.write_source`: from a run, or a flow file, to the literals of the program's own files."""

from __future__ import annotations

import ast
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import flowbot as fb
from flowbot.export.source import rewriting
from flowbot.run.result import RunResult
from flowbot.workflow.workflow import Workflow

APP = """import flowbot as fb
from prompts import PLAN  # the texts
TOP_K = fb.Value("top_k", 5, choices=[3, 5])
MADE = fb.Param(NAME := "made", "as it was")
def answer(question): ...
"""
PROMPTS = 'import flowbot as fb\nPLAN = fb.Param("plan", "Write a query.")\nSAME = fb.Param("same", "Stays.")\n'


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    (tmp_path / "prompts.py").write_text(PROMPTS, encoding="utf-8")
    (tmp_path / "app.py").chmod(0o755)
    return tmp_path


def flow(texts: dict[str, Any], values: dict[str, Any] | None = None, **slots: Any) -> Workflow:
    told = {"texts": texts, "values": values or {}, "slots": slots}
    node = {"kind": "program", "call": "app.py:answer", "in": {"question": "question"}, "out": {"answer": "str"}}
    data = {"flowbot": 1, "inputs": {"question": "str"}, "outputs": {"answer": "app.answer"}, "nodes": {"app": node}}
    return Workflow.from_data({**data, "parameters": {"app": told}})


START = flow({"plan": "Write a query.", "same": "Stays.", "made": "as it was"}, {"top_k": 5})


def result(found: Workflow) -> RunResult:
    blank: dict[str, Any] = dict.fromkeys(
        ("run_id", "stopped_by", "method", "effort", "task", "task_hash", "metric"), ""
    )
    return RunResult(**blank, run_dir=Path("runs/one"), status="done", seed=0, models={}, found=found, start=START)


def test_what_a_run_found_is_written_into_the_files_that_declare_it(app: Path) -> None:
    found = flow({"plan": "Find it.", "same": "Stays.", "made": "as it was"}, {"top_k": 3})
    written = fb.write_source(result(found), folder=app)
    assert (set(written.names), written.left) == ({"plan", "top_k"}, ())
    assert (app / "prompts.py").read_text() == PROMPTS.replace("Write a query.", "Find it.")
    assert (app / "app.py").read_text() == APP.replace('"top_k", 5', '"top_k", 3')
    assert stat.S_IMODE((app / "app.py").stat().st_mode) == 0o755
    assert str(written) == f"Written: top_k, plan in {app / 'app.py'}, {app / 'prompts.py'}."
    assert fb.write_source(result(found), folder=app).files == ()


def test_what_cannot_be_written_is_left_with_its_reason_and_the_rest_is_written(app: Path) -> None:
    (app / "prompts.py").write_text(PROMPTS.replace("Write a query.", "Changed since."), encoding="utf-8")
    found = flow({"plan": "Find it.", "same": "Other.", "made": "now"}, gone={"nodes": {}}, values={"top_k": 5})
    written = fb.write_source(result(found), folder=app)
    told = [(each.where, each.what) for each in written.left]
    assert ("prompts.py:2", "plan was not written: its literal is another than when the search began") in told
    assert any(
        where == "app.py" and what.startswith("made was not written: it has no fb.Param") for where, what in told
    )
    assert ("app", "what fills the place gone is a workflow, and no part of a source") in told
    assert written.names == ("same",)
    assert "Changed since." in (app / "prompts.py").read_text()


def test_a_text_is_written_with_its_worked_examples(app: Path) -> None:
    shown = {"inputs": {"question": "One?"}, "outputs": {"answer": "1"}, "example": "a"}
    found = flow({"plan": {"text": "Find it.", "demonstrations": [shown]}})
    assert fb.write_source(result(found), folder=app).names == ("plan",)
    assert '"""Find it.\n\nExamples:\n\nquestion: One?\nanswer: 1"""' in (app / "prompts.py").read_text()


def test_turns_are_written_beside_their_text_which_stays_without_them(app: Path) -> None:
    old = PROMPTS.replace('a query.")', 'a query.", turns=[])').replace('"Stays.")', '"Stays.", turns=[("a", "b")])')
    (app / "prompts.py").write_text(old, encoding="utf-8")
    shown = [
        {"inputs": {"user": 'Say "hi".\nNow.'}, "outputs": {"reply": "hi"}},
        {"inputs": {"user": "b"}, "outputs": {"reply": "c"}},
    ]
    tuned = {"text": "Find it.", "demonstrations": shown, "turns": True}
    found, start = (
        flow({"plan": tuned, "same": "Stays."}),
        flow({"plan": {"text": "Write a query.", "turns": True}, "same": "Stays."}),
    )
    written = fb.write_source(replace(result(found), start=start), folder=app)
    assert (written.names, written.left) == (("plan", "plan.turns"), ())
    new = (app / "prompts.py").read_text()
    turns = '[\n    ("""Say "hi".\nNow.""", "hi"),\n    ("b", "c"),\n]'
    assert new == old.replace("Write a query.", "Find it.").replace("turns=[])", f"turns={turns})", 1)
    assert ast.literal_eval(turns) == [('Say "hi".\nNow.', "hi"), ("b", "c")]


@pytest.mark.parametrize(
    ("turns", "told"),
    [
        ("", "its default is not in the call"),
        (", turns=SHOWN", "its default is the name SHOWN, no literal"),
        (', turns=[("a", "b"), ("c",)]', "its default is an expression, no literal"),
        (', turns=[("x", "y")]', "its literal is another than when the search began"),
        (", turns=[\n    # none yet\n]", "comments stand between its turns"),
    ],
)
def test_turns_that_cannot_be_written_are_left_with_the_reason(app: Path, turns: str, told: str) -> None:
    (app / "prompts.py").write_text(PROMPTS.replace('a query."', f'a query."{turns}'), encoding="utf-8")
    shown = {"inputs": {"user": "One?"}, "outputs": {"reply": "1"}}
    found = flow({"plan": {"text": "Write a query.", "demonstrations": [shown], "turns": True}, "same": "Stays."})
    start = flow({"plan": {"text": "Write a query.", "turns": True}, "same": "Stays."})
    written = fb.write_source(replace(result(found), start=start), folder=app)
    assert [each.what for each in written.left] == [f"plan.turns was not written: {told}"]
    assert written.files == ()


def test_a_flow_file_alone_does_not_tell_what_stood_there(app: Path) -> None:
    flow({"plan": "Find it."}).save(app / "app.flow.yaml")
    with pytest.raises(fb.UserError, match="the run that found it; or --force"):
        fb.write_source(app / "app.flow.yaml", folder=app)
    assert fb.write_source(app / "app.flow.yaml", folder=app, force=True).names == ("plan",)


def test_a_name_in_two_files_is_written_in_neither(app: Path) -> None:
    (app / "app.py").write_text(APP + 'PLAN = fb.Param("plan", "Write a query.")\n', encoding="utf-8")
    written = fb.write_source(result(flow({"plan": "Find it."})), folder=app)
    assert (written.files, [each.what for each in written.left]) == (
        (),
        ["plan was not written: it is declared in several files"],
    )


def test_what_has_no_source_is_the_users_mistake_in_one_line(app: Path, tmp_path: Path) -> None:
    with pytest.raises(fb.UserError, match="no such file; expected the folder in which the program stands"):
        fb.write_source(result(flow({"plan": "x"})), folder=tmp_path / "none")
    plain = replace(
        result(START),
        found=Workflow.from_data(
            {
                "flowbot": 1,
                "inputs": {"q": "str"},
                "outputs": {"a": "c.a"},
                "nodes": {"c": {"kind": "llm", "in": {"q": "q"}, "out": {"a": "str"}}},
            }
        ),
    )
    with pytest.raises(fb.UserError, match="no program"):
        fb.write_source(plain, folder=app)


def test_a_file_that_may_not_be_written_is_left_and_no_other_is_written(app: Path) -> None:
    (app / "prompts.py").chmod(0o444)
    with pytest.raises(fb.UserError, match=r"prompts\.py: found a file that its owner may not write"):
        fb.write_source(result(flow({"plan": "Find it."}, {"top_k": 3})), folder=app)
    assert ((app / "app.py").read_text(), (app / "prompts.py").read_text()) == (APP, PROMPTS)


def test_what_somebody_saves_in_this_moment_stays(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = rewriting.rewritten

    def slow(source: bytes, changes: Any, where: str) -> rewriting.Rewritten:
        (app / "prompts.py").write_text(PROMPTS + "# saved meanwhile", encoding="utf-8")
        return real(source, changes, where)

    monkeypatch.setattr(rewriting, "rewritten", slow)
    with pytest.raises(fb.UserError, match="changed in this moment"):
        fb.write_source(result(flow({"plan": "Find it."})), folder=app)
    assert (app / "prompts.py").read_text() == PROMPTS + "# saved meanwhile"
    assert {each.name for each in app.iterdir()} == {"app.py", "prompts.py"}


def test_a_link_to_the_program_stays_a_link(app: Path, tmp_path: Path) -> None:
    (app / "src").mkdir()
    (app / "prompts.py").rename(app / "src" / "prompts.py")
    (app / "prompts.py").symlink_to("src/prompts.py")
    assert fb.write_source(result(flow({"plan": "Find it."})), folder=app).names == ("plan",)
    assert (app / "prompts.py").is_symlink()
    assert "Find it." in (app / "src" / "prompts.py").read_text()
