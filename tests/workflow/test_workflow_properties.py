"""What holds for every workflow: sound ones check clean and survive the file; damage is reported, never a crash."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_workflows import TOOLS, damaged_data, shuffled, workflow_data, workflows

from flowbot.draw.mermaid import draw_mermaid
from flowbot.draw.svg import draw_svg
from flowbot.draw.text import draw_text
from flowbot.fields import UserError
from flowbot.workflow.check import check, require_valid
from flowbot.workflow.diff import diff
from flowbot.workflow.graph import predecessors, topological
from flowbot.workflow.nodes import HasNodes, LoopNode, MapNode, node_at, walk
from flowbot.workflow.scope import Scope
from flowbot.workflow.workflow import Workflow

T = TypeVar("T", bound=Exception)
U = TypeVar("U")
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def outcome(kind: type[T], call: Callable[[], U]) -> T | U:
    """What a call gives: its result, or the error of this one kind that it raises."""
    try:
        return call()
    except kind as error:
        return error


def bodies(holder: HasNodes) -> Iterator[HasNodes]:
    """A body and those inside it."""
    yield holder
    for node in holder.nodes.values():
        if isinstance(node, LoopNode | MapNode):
            yield from bodies(node)


@settings(quick, max_examples=150)
@given(workflow_data())
def test_a_sound_workflow_has_no_defects(data: dict[str, Any]) -> None:
    workflow = Workflow.from_data(data)
    assert check(workflow, tools=TOOLS) == []
    require_valid(workflow, tools=TOOLS)


@quick
@given(workflows(), st.sampled_from([".yaml", ".json"]))
def test_save_and_load_give_the_same_workflow(tmp_path_factory: Any, workflow: Workflow, ending: str) -> None:
    path: Path = tmp_path_factory.mktemp("flow") / f"w{ending}"
    workflow.save(path)
    again = Workflow.load(path)
    assert again == workflow
    assert again.hash == workflow.hash
    assert diff(workflow, again) == []
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@quick
@given(st.tuples(workflow_data(), st.randoms(use_true_random=False)).map(lambda pair: (pair[0], shuffled(*pair))))
def test_diff_is_empty_exactly_when_hashes_are_equal(pair: tuple[Any, Any]) -> None:
    a, b = map(Workflow.from_data, pair)
    assert (diff(a, b) == []) == (a.hash == b.hash)


@settings(quick, max_examples=300)
@given(damaged_data())
def test_damaged_data_gives_user_errors_and_defects_only(data: Any) -> None:
    workflow = outcome(UserError, lambda: Workflow.from_data(data, "f.yaml"))
    if isinstance(workflow, UserError):
        assert workflow.where.startswith("f.yaml")
        assert str(workflow).isprintable()
        return
    defects = check(workflow, tools=TOOLS)
    assert defects == check(Workflow.from_data(json.loads(json.dumps(workflow.dump()))), tools=TOOLS)
    assert all(defect.where and defect.what and defect.mend and str(defect).isprintable() for defect in defects)
    refused = outcome(UserError, lambda: require_valid(workflow, tools=TOOLS))
    assert isinstance(refused, UserError) == bool(defects)
    for draw in (draw_text, draw_mermaid, draw_svg):
        assert draw(workflow)
    workflow.hash.encode()


@quick
@given(workflows())
def test_in_every_body_each_node_comes_after_what_it_reads(workflow: Workflow) -> None:
    for body in bodies(workflow.sketch):
        order = topological(body)
        assert sorted(order) == sorted(body.nodes)
        for name, node in body.nodes.items():
            assert all(order.index(other) < order.index(name) for other in predecessors(body, name))
            assert all(order.index(name) < order.index(later) for later in node.feedback_from)


@quick
@given(workflows())
def test_every_reference_has_the_type_that_its_scope_tells(workflow: Workflow) -> None:
    scope = Scope.of(workflow.sketch)
    for path, node in walk(workflow.sketch):
        assert node_at(workflow.sketch, path) == node
        assert all(scope.at(path).type_of(reference) is not None for reference in node.references())
