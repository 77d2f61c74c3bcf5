"""The door for edits that a model writes: which parameters they may bring."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from edit_samples import TOOLS, made, nodes, stock
from hypothesis import given
from hypothesis import strategies as st

from flowbot.workflow.edits.applying import applied
from flowbot.workflow.edits.draft import EditError
from flowbot.workflow.edits.parse import parse_edits
from flowbot.workflow.parameters import (
    CATALOGUE_SAMPLES,
    CATALOGUE_TEMPERATURE,
    WRITABLE,
    LLMParameters,
    Parameters,
    unwritable,
)
from flowbot.workflow.workflow import Workflow

KEPT: dict[str, set[str]] = {
    "LLMParameters": {"model", "max_tokens"},
    "ChoiceParameters": {"model"},
    "CoreParameters": {"model", "max_tokens"},
    "ProgramParameters": {"slots"},
}
"""What only the user says."""
CALL = {"kind": "llm", "in": {"q": "question"}, "out": {"n": "int"}, "when": "route.many"}
TOLD = {"instruction": "Do it."}


def test_every_field_of_parameters_is_decided() -> None:
    for kind in get_args(Parameters):
        kept = KEPT.get(kind.__name__, set())
        assert set(WRITABLE[kind]) | kept == set(kind.model_fields)
        assert not set(WRITABLE[kind]) & kept


PLACES: dict[str, Any] = {
    "parameters": {"op": "replace", "id": "careful", "node": CALL, "parameters": {}},
    "critic": {"op": "review", "id": "careful", "critic": {}},
    "reviser": {"op": "review", "id": "careful", "reviser": {}},
    "divide": {"op": "decompose", "id": "careful", "divide": {}},
    "combine": {"op": "decompose", "id": "careful", "combine": {}},
    "ask": {"op": "insert_retrieval", "id": "careful", "tool": "lookup", "ask": {}},
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"model": "openai/x"}, "leave model out"),
        ({"max_tokens": 9_000}, "leave max_tokens out"),
        ({"samples": CATALOGUE_SAMPLES + 1, "temperature": 1}, f"ask for {CATALOGUE_SAMPLES} at most"),
        ({"temperature": CATALOGUE_TEMPERATURE + 0.1}, f"set {CATALOGUE_TEMPERATURE:g} at most"),
    ],
)
def test_what_an_edit_may_not_set_is_refused_wherever_it_stands(place: str, more: dict[str, Any], said: str) -> None:
    with pytest.raises(EditError, match=f"^edit 1, {place}: .*{said}"):
        parse_edits([{**PLACES[place], place: {**TOLD, **more}}])
    assert parse_edits([{**PLACES[place], place: {**TOLD, "model": None, "samples": 1}}])


def test_parameters_of_bodies_and_of_a_rewrite_are_looked_at() -> None:
    loop = nodes(stock())["refine"]
    told = {"critic": TOLD, "revise": {**TOLD, "model": "openai/x"}}
    with pytest.raises(EditError, match=r"edit 1, parameters\.revise: found model 'openai/x'"):
        parse_edits([{"op": "replace", "id": "refine", "node": loop, "parameters": told}])
    branch = {"kind": "branch", "in": {"q": "question"}, "ways": ["a", "b"]}
    parameters = {"route": {**TOLD, "model": "openai/x"}}
    with pytest.raises(EditError, match=r"edit 1, parameters\.route: found model"):
        parse_edits([{"op": "rewrite", "outputs": {}, "nodes": {"route": branch}, "parameters": parameters}])


@given(
    st.dictionaries(
        st.sampled_from(sorted(LLMParameters.model_fields)), st.sampled_from([None, 0, 1, 2, 50, "x", ["x"], []])
    )
)
def test_no_reply_sets_a_model_or_room(data: dict[str, Any]) -> None:
    try:
        edits = parse_edits([{**PLACES["parameters"], "parameters": {**TOLD, **data}}])
    except EditError:
        return
    given = edits[0].model_dump()["parameters"]
    assert given["model"] is None
    assert given["max_tokens"] is None
    assert given["samples"] <= CATALOGUE_SAMPLES
    assert given["temperature"] <= CATALOGUE_TEMPERATURE


def test_what_the_user_set_is_no_fault_of_ours() -> None:
    assert unwritable(LLMParameters()) == ""
    assert "model" in unwritable(LLMParameters(model="openai/x"))


def test_a_step_that_is_replaced_keeps_its_model_and_its_room() -> None:
    data = stock().dump()
    data["parameters"]["careful"] |= {"model": "openai/trusted", "max_tokens": 99}
    edit = {"op": "replace", "id": "careful", "node": CALL, "parameters": TOLD}
    after = made(edit, on=Workflow.from_data(data)).after
    assert after.dump()["parameters"]["careful"] == {**TOLD, "model": "openai/trusted", "max_tokens": 99}


def test_an_edit_freezes_and_pins_nothing() -> None:
    node = {**CALL, "frozen": True, "model": "pinned"}
    after = applied(
        stock(), parse_edits([{"op": "replace", "id": "careful", "node": node, "parameters": TOLD}]), tools=TOOLS
    ).after
    assert after.sketch.nodes["careful"].dump() == CALL
    with pytest.raises(EditError, match="expected 'pinned'"):
        parse_edits([{"op": "replace", "id": "careful", "node": {**CALL, "model": "openai/x"}}])


def test_tools_are_some_of_those_offered() -> None:
    edit = {**PLACES["parameters"], "parameters": {**TOLD, "tools": ["shell"]}}
    with pytest.raises(EditError, match="shell"):
        applied(stock(), parse_edits([edit]), tools=TOOLS)
    edit["parameters"]["tools"] = ["lookup"]
    told = applied(stock(), parse_edits([edit]), tools=TOOLS).after.parameter("careful")
    assert isinstance(told, LLMParameters)
    assert told.tools == ("lookup",)


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        ({"op": "insert_retrieval", "id": "careful", "tool": 3}, "tool"),
        ({"op": "output", "output": 3, "to": "total.n"}, "output"),
        ({"op": "decompose", "id": "careful", "code": 3}, "code"),
        (
            {"op": "add", "id": "x", "node": {"kind": "code", "in": {}, "out": {}}, "parameters": {"code": 3}},
            "parameters.code",
        ),
    ],
)
def test_a_member_that_is_called_like_a_kind_or_an_edit_is_named(edit: dict[str, Any], place: str) -> None:
    with pytest.raises(EditError, match=rf"edit 1, {place}: found 3; expected a text"):
        parse_edits([edit])
