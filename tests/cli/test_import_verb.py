"""`flowbot import` and `flowbot export --to core`: a program in words becomes a workflow, and a workflow one."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_help import FAKE, flowbot, write_flow, write_task
from core_programs import PROGRAMS

from flowbot.report.prompts import step_prompts
from flowbot.workflow.core import read_core
from flowbot.workflow.nodes import CoreNode
from flowbot.workflow.parameters import MOST_LETTERS, MOST_TOOLS, CoreParameters
from flowbot.workflow.workflow import Workflow

Capture = pytest.CaptureFixture[str]
ORDERS = Path(__file__).parents[2] / "examples" / "orders"
TEXT = (ORDERS / "count.core.txt").read_text(encoding="utf-8")


def test_a_program_becomes_a_flow_for_a_task_which_runs_and_goes_back_as_it_was(
    capsys: Capture, tmp_path: Path
) -> None:
    flow, out = tmp_path / "count.flow.yaml", tmp_path / "text"
    said = flowbot(
        capsys, "import", str(ORDERS / "count.core.txt"), "--task", str(ORDERS / "task.yaml"), "--out", str(flow)
    )
    assert (said.status, said.err) == (0, "")
    workflow = Workflow.load(flow)
    assert (workflow.sketch.outputs, isinstance(workflow.sketch.nodes["plan"], CoreNode)) == (
        {"total": "plan.total"},
        True,
    )
    assert flowbot(capsys, "check", str(flow), str(ORDERS / "task.yaml")).status == 0
    places = ["--cache-dir", str(tmp_path / "cache"), "--limit", "1", "--json"]
    found = flowbot(capsys, "eval", str(flow), str(ORDERS / "task.yaml"), *FAKE, *places)
    assert found.status == 0
    said = flowbot(capsys, "export", str(flow), "--to", "core", "--out", str(out), "--json")
    lost = ["plan: the types of what it gives."]
    assert (said.status, said.json["lost"], said.json["files"]) == (0, lost, ["program.core.txt"])
    assert (out / "program.core.txt").read_text(encoding="utf-8") == TEXT


def test_lifted_it_has_typed_nodes_and_where_it_cannot_be_that_is_said(capsys: Capture, tmp_path: Path) -> None:
    said = flowbot(capsys, "import", str(ORDERS / "count.core.txt"), "--lift", "--json")
    assert (said.json["lifted"], list(said.json["workflow"]["nodes"])) == (True, ["step_1_again", "step_3", "step_4"])
    knot = tmp_path / "knot.core.txt"
    knot.write_text(
        "S:::decision:::x:::a::A::b::B\nA:::process:::x:::next::B\nB:::decision:::x:::a::A:::b::C\nC:::terminal:::x",
        encoding="utf-8",
    )
    said = flowbot(capsys, "import", str(knot), "--lift", "--interpreter", "faithful", "--json")
    assert (said.status, said.json["lifted"], said.json["workflow"]["nodes"]["plan"]["interpreter"]) == (
        0,
        False,
        "faithful",
    )
    assert said.json["why"].startswith("One of its circles")
    assert said.json["notes"] == ["line 3: its branches stand apart by `:::` and are read as one list."]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("S:::process:::x:::next::T\nE:::terminal:::x", "line 1: there is no step 'T'"),
        ("x" * 9000, "9,000 letters"),
        ("x" * 10_000_000, "1,000,000 bytes"),
    ],
)
def test_a_program_with_a_defect_is_refused_in_one_line(
    capsys: Capture, tmp_path: Path, text: str, wanted: str
) -> None:
    file = tmp_path / "bad.core.txt"
    file.write_text(text, encoding="utf-8")
    said = flowbot(capsys, "import", str(file))
    assert said.status == 2
    assert str(file) in said.error
    assert wanted in said.error


def test_a_workflow_becomes_a_program_and_what_is_lost_is_said(capsys: Capture, tmp_path: Path) -> None:
    write_task(tmp_path / "task")
    said = flowbot(
        capsys, "export", str(write_flow(tmp_path)), "--to", "core", "--out", str(tmp_path / "out"), "--json"
    )
    program, defects = read_core((tmp_path / "out" / "program.core.txt").read_text(encoding="utf-8"))
    assert (said.status, defects) == (0, [])
    assert program.steps[-1].kind == "terminal"
    assert said.json["lost"][0].startswith("Of all steps: ")


def test_a_step_may_be_named_as_the_end_is(capsys: Capture, tmp_path: Path) -> None:
    flow, out = tmp_path / "a.flow.yaml", tmp_path / "out"
    nodes = "outputs: {kind: llm, in: {q: q}, out: {a: str}}"
    told = "outputs: {instruction: Do it.}"
    flow.write_text(
        f"flowbot: 1\ninputs: {{q: str}}\noutputs: {{a: outputs.a}}\nnodes: {{{nodes}}}\nparameters: {{{told}}}\n",
        encoding="utf-8",
    )
    assert flowbot(capsys, "export", str(flow), "--to", "core", "--out", str(out)).status == 0
    program, defects = read_core((out / "program.core.txt").read_text(encoding="utf-8"))
    assert ([step.name for step in program.steps], defects) == (["outputs", "Outputs_2"], [])


def test_a_workflow_with_defects_becomes_no_program(capsys: Capture, tmp_path: Path) -> None:
    flow = tmp_path / "a.flow.yaml"
    flow.write_text("flowbot: 1\ninputs: {q: str}\noutputs: {a: q}\nnodes: {}\n", encoding="utf-8")
    said = flowbot(capsys, "export", str(flow), "--to", "core", "--out", str(tmp_path / "out"))
    assert (said.status, "the workflow has no nodes" in said.error) == (2, True)


def test_more_tools_than_a_step_may_call_are_refused(capsys: Capture, tmp_path: Path) -> None:
    task = write_task(tmp_path / "task")
    names = [f"tool_{number}" for number in range(MOST_TOOLS + 1)]
    code = "".join(f'def {name}(x: str) -> str:\n    """It."""\n    return x\n' for name in names)
    (task.parent / "many.py").write_text(code, encoding="utf-8")
    listed = "".join(f"  - many.py:{name}\n" for name in names)
    task.write_text(f"{task.read_text(encoding='utf-8')}\ntools:\n{listed}", encoding="utf-8")
    said = flowbot(capsys, "import", str(ORDERS / "count.core.txt"), "--task", str(task))
    assert (said.status, "found 33 of them; expected 32 at most" in said.error) == (2, True)


def test_a_program_of_the_most_letters_is_taken_and_typed_nodes_have_no_interpreter(
    capsys: Capture, tmp_path: Path
) -> None:
    file = tmp_path / "long.core.txt"
    file.write_text(f"A:::terminal:::{'x' * (MOST_LETTERS - 15)}", encoding="utf-8")
    said = flowbot(capsys, "import", str(file), "--lift", "--interpreter", "faithful", "--json")
    assert (said.status, said.json["lifted"]) == (0, True)
    assert said.json["notes"] == ["Typed nodes are run as those of any workflow: --interpreter says nothing of them."]


def test_line_ends_of_another_system_are_read_as_any(capsys: Capture, tmp_path: Path) -> None:
    file = tmp_path / "crlf.core.txt"
    file.write_bytes(TEXT.replace("\n", "\r\n").encode())
    said = flowbot(capsys, "import", str(file), "--json")
    assert said.json["workflow"]["parameters"]["plan"]["program"] == TEXT


def test_branches_loops_and_maps_become_decisions(capsys: Capture, tmp_path: Path) -> None:
    lifted = tmp_path / "lifted.flow.yaml"
    for name in ("again", "ahead", "ends"):
        flowbot(capsys, "import", str(_program(tmp_path, name)), "--lift", "--out", str(lifted), "--force")
        flowbot(capsys, "export", str(lifted), "--to", "core", "--out", str(tmp_path / name))
        program, defects = read_core((tmp_path / name / "program.core.txt").read_text(encoding="utf-8"))
        assert defects == []
        assert sum(step.kind == "decision" for step in program.steps) == {"again": 2, "ahead": 2, "ends": 3}[name]


def _program(folder: Path, name: str) -> Path:
    (folder / f"{name}.core.txt").write_text(PROGRAMS[name], encoding="utf-8")
    return folder / f"{name}.core.txt"


def test_other_exports_refuse_a_program_in_words(capsys: Capture, tmp_path: Path) -> None:
    flow = tmp_path / "count.flow.yaml"
    flowbot(capsys, "import", str(ORDERS / "count.core.txt"), "--out", str(flow))
    said = flowbot(capsys, "export", str(flow), "--to", "python", "--out", str(tmp_path / "out"), *FAKE)
    assert said.status == 2
    assert "step plan is a program in words, which FlowBot carries out" in said.error
    told = Workflow.load(flow).parameter("plan")
    assert isinstance(told, CoreParameters)
    assert told.program == TEXT


def test_where_prompts_are_read_its_text_stands_and_two_texts_differ_line_by_line(
    capsys: Capture, tmp_path: Path
) -> None:
    flow, other = tmp_path / "a.flow.yaml", tmp_path / "b.flow.yaml"
    flowbot(capsys, "import", str(ORDERS / "count.core.txt"), "--out", str(flow))
    workflow = Workflow.load(flow)
    assert [(each.step, each.text) for each in step_prompts(workflow, None)] == [("plan", TEXT)]
    told = workflow.parameter("plan")
    changed = told.model_copy(update={"program": TEXT.replace("Add up the numbers", "Sum the numbers")})
    workflow.with_parameter("plan", changed).save(other)
    (only,) = flowbot(capsys, "diff", str(flow), str(other), "--json").json["texts"]
    assert (only["node"], only["what"], [kind for kind, _ in only["pieces"]]) == (
        "plan",
        "program",
        ["same", "gone", "new", "same"],
    )
