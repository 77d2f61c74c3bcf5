"""What holds for every edit on every workflow."""

from __future__ import annotations

from typing import Any

import edit_samples
import random_workflows
from edit_samples import stock
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_workflows import workflows

from flowbot.workflow.check import check
from flowbot.workflow.edits.applying import applied, apply
from flowbot.workflow.edits.draft import EditError
from flowbot.workflow.edits.edit import dump_edits
from flowbot.workflow.edits.parse import parse_edits
from flowbot.workflow.nodes import is_frozen, walk
from flowbot.workflow.workflow import Workflow

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TOOLS = {**random_workflows.TOOLS, **edit_samples.TOOLS}
TOLD = {"instruction": "Do it."}


@st.composite
def edits(draw: st.DrawFn, workflow: Workflow) -> dict[str, Any]:
    """One edit of a kind that keeps types by itself, about any node of the workflow."""
    paths = [path for path, _ in walk(workflow.sketch)]
    path = draw(st.sampled_from(paths))
    beside = path.rpartition("/")[0]
    near = [each for each in paths if each.rpartition("/")[0] == beside]
    return draw(st.sampled_from([
        {"op": "rename", "id": path, "to": draw(st.sampled_from(["new_name", "other_name", "list"]))},
        {"op": "split", "id": path, "name": "new_first", "out": {"new_notes": "str"}, "parameters": TOLD},
        {"op": "fuse", "first": path, "second": draw(st.sampled_from(near))},
        {"op": "review", "id": path, "rounds": draw(st.integers(1, 3))},
        {"op": "ensemble", "id": path, "how": draw(st.sampled_from(["vote", "judge"]))},
        {"op": "decompose", "id": path},
        {"op": "insert_branch", "id": path, "name": "new_way", "instruction": "Which?"},
        {"op": "insert_retrieval", "id": path, "tool": "lookup"},
        {"op": "remove", "id": path},
    ]))  # fmt: skip


@st.composite
def cases(draw: st.DrawFn) -> tuple[Workflow, list[dict[str, Any]]]:
    """A workflow and one to three edits of it."""
    workflow = draw(st.one_of(st.builds(stock), workflows()))
    return workflow, draw(st.lists(edits(workflow), min_size=1, max_size=3))


def told(workflow: Workflow) -> list[str]:
    """Everything that the nodes are told, sorted."""
    given = (each.model_dump() for each in workflow.parameters.values())
    return sorted(text for each in given for key in ("instruction", "code") if (text := each.get(key)))


@settings(quick, max_examples=250)
@given(cases())
def test_edits_give_a_valid_workflow_or_an_error_and_leave_the_original(
    case: tuple[Workflow, list[dict[str, Any]]],
) -> None:
    workflow, data = case
    before = workflow.model_dump_json()
    parsed = parse_edits(data)
    assert parse_edits(dump_edits(parsed)) == parsed
    assert all(str(edit) and "\n" not in str(edit) for edit in parsed)
    try:
        record = applied(workflow, parsed, tools=TOOLS)
    except EditError:
        assert workflow.model_dump_json() == before
        return
    after = record.after
    assert workflow.model_dump_json() == before
    assert record.before is workflow
    assert len(record.said) >= len(parsed)
    assert check(after, tools=TOOLS) == []
    assert Workflow.from_data(after.dump()).hash == after.hash
    assert after.sketch.inputs == workflow.sketch.inputs
    assert list(after.sketch.outputs) == list(workflow.sketch.outputs)
    assert apply(record.before, parse_edits(dump_edits(record.edits)), tools=TOOLS).hash == after.hash
    for path, node in walk(workflow.sketch):
        if is_frozen(workflow.sketch, path):
            assert dict(walk(after.sketch))[path] == node
            assert after.parameters.get(path) == workflow.parameters.get(path)


@quick
@given(st.one_of(st.builds(stock), workflows()), st.data())
def test_a_name_given_and_taken_back_leaves_no_trace(workflow: Workflow, data: st.DataObject) -> None:
    start = apply(workflow, [])  # in order
    path = data.draw(st.sampled_from([path for path, _ in walk(start.sketch)]))
    body, slash, name = path.rpartition("/")
    away = parse_edits([{"op": "rename", "id": path, "to": "new_name"}])
    back = parse_edits([{"op": "rename", "id": f"{body}{slash}new_name", "to": name}])
    try:
        renamed = apply(start, away)
    except EditError:  # a frozen node reads it, or has it in its body
        assert any(node.frozen for _, node in walk(start.sketch))
        return
    assert told(renamed) == told(start)
    assert len(renamed.parameters) == len(start.parameters)
    assert apply(renamed, back).hash == start.hash


@quick
@given(st.one_of(st.builds(stock), workflows()), st.data(), st.sampled_from(["review", "ensemble", "decompose"]))
def test_a_node_keeps_what_it_is_told_wherever_an_edit_takes_it(
    workflow: Workflow, data: st.DataObject, op: str
) -> None:
    paths = [path for path, node in walk(workflow.sketch) if node.kind == "llm"]
    assume(paths)
    path = data.draw(st.sampled_from(paths))
    try:
        after = apply(workflow, parse_edits([{"op": op, "id": path}]), tools=TOOLS)
    except EditError:
        return
    left = told(after)
    for text in told(workflow):
        assert text in left
        left.remove(text)
