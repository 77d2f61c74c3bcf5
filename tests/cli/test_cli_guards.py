"""A workflow with defects is refused by every verb that would run it, before anything is paid or written."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_help import FAKE, flowbot, write_flow, write_task

from flowbot.workflow.workflow import Workflow


@pytest.mark.parametrize("verb", ["run", "eval", "optimize", "check"])
def test_a_workflow_with_defects_is_refused_by_every_verb(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.chdir(tmp_path)
    task, flow = write_task(tmp_path), write_flow(tmp_path)
    workflow = Workflow.load(flow)
    first = next(iter(workflow.sketch.outputs))
    outputs = workflow.sketch.model_copy(update={"outputs": {first: "nobody.x"}})
    workflow.model_copy(update={"sketch": outputs}).save(flow)
    cache = ["--cache-dir", str(tmp_path / "cache")]
    arguments = {
        "run": [str(flow), "note=x", *FAKE],
        "eval": [str(flow), str(task), *FAKE, *cache],
        "optimize": [str(task), "--start", str(flow), *FAKE, *cache],
        "check": [str(flow)],
    }
    said = flowbot(capsys, verb, *arguments[verb])
    assert said.status == (1 if verb == "check" else 2)
    assert f"outputs.{first}" in said.out + said.err
    assert "nothing produces 'nobody.x'" in said.out + said.err
    assert not (tmp_path / "runs").exists()


def test_check_lists_all_that_is_not_in_the_format(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    flow = tmp_path / "a.flow.yaml"
    flow.write_text("flowbot: 1\ninputs: {q: 3}\noutputs: {a: n.x}\nnodes: {n: {kind: lm}}\n", encoding="utf-8")
    said = flowbot(capsys, "check", str(flow), "--json")
    assert said.status == 1
    assert [each["where"] for each in said.json["defects"]] == ["inputs.q", "nodes.n"]
