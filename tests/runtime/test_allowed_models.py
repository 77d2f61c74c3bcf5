"""Whose models are called: the user's list, letter for letter, and no file of this machine from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime_help import single

import flowbot as fb
from flowbot.fields import UserError
from flowbot.lm.lm import LM
from flowbot.runtime.allowed_models import SHOWN, allowed_models, named_models, require_allowed_models
from flowbot.runtime.open_model import names_file
from flowbot.task import Judge, Metric
from flowbot.task.read_metric import plainly, read_metric
from flowbot.workflow.workflow import Workflow

NAMES = st.sampled_from(["fake/echo", "fake/echo?seed=1", "openai/a", "openai/b", "recorded/x", "local//x", "local/x"])


def refusal(own: Any, **more: Any) -> str:
    with pytest.raises(UserError) as caught:
        require_allowed_models(own, **more)
    return str(caught.value)


def judged(model: str) -> Metric:
    """As from a task's file."""
    return read_metric(
        {"parts": {"a": {"judge": {"rubric": "Kind?", "model": model}}, "b": "exact"}}, "metric", plainly
    )


def test_the_list_is_what_the_user_names() -> None:
    metric = Metric.of(Judge("Kind?", model="openai/judge"))
    assert allowed_models("openai/a", None, models=["fake/echo"], metric=metric) == {
        "openai/a",
        "fake/echo",
        "openai/judge",
    }
    assert allowed_models(None, metric=judged("openai/judge")) == frozenset()


@pytest.mark.parametrize("models", ["openai/a", 3, [None], [["openai/a"]], ["nowhere/x"], ["openai"]])
def test_a_list_that_is_none_is_told(models: Any) -> None:
    with pytest.raises(UserError, match="model"):
        allowed_models(models=models)


def test_all_models_beyond_the_list_are_named_with_their_places_and_the_way_to_allow_them() -> None:
    said = refusal({"openai/a"}, workflow=single(model="openai/b"), where="my.flow.yaml", metric=judged("openai/c"))
    assert "openai/b (my.flow.yaml: step " in said
    assert "openai/c (metric.parts.a.judge.model)" in said
    assert "allow them with --models openai/b,openai/c (models=[…])" in said
    require_allowed_models({"openai/b", "openai/c"}, workflow=single(model="openai/b"), metric=judged("openai/c"))


def test_a_file_of_this_machine_is_refused_even_where_the_user_lists_it() -> None:
    said = refusal({"recorded/x"}, workflow=single(model="recorded/x"))
    assert "--models" not in said
    assert "take recorded/FILE and local/PATH out of the file" in said


def test_a_refusal_is_bounded() -> None:
    node = (
        single().sketch.nodes["answer"]
        if "answer" in single().sketch.nodes
        else next(iter(single().sketch.nodes.values()))
    )
    told = next(iter(single(model="openai/x").parameters.values()))
    parameters = {f"n{n}": told.model_copy(update={"model": f"openai/{n}{'x' * 900}"}) for n in range(400)}
    many = Workflow(
        sketch=single().sketch.model_copy(update={"nodes": dict.fromkeys(parameters, node)}), parameters=parameters
    )
    assert len(refusal((), workflow=many)) < 500 * (SHOWN + 2)


@given(st.lists(NAMES), NAMES)
def test_what_passes_stands_in_the_list_and_names_no_file(own: list[str], model: str) -> None:
    workflow = single(model=model)
    assert [name for _, name in named_models(workflow)] == [model]
    try:
        require_allowed_models(own, workflow=workflow)
    except UserError:
        assert model not in own or names_file(model)
    else:
        assert model in own
        assert not names_file(model)


@pytest.mark.parametrize(
    "model", ["recorded/x", "local//x", "local/~/x", "local/./x", "local/../x", "local/x.gguf?slots=2"]
)
def test_model_strings_that_name_files(model: str) -> None:
    assert names_file(model)
    assert not names_file("local/qwen2.5-coder-0.5b?slots=2")
    assert not names_file("fake/recorded/x")


def test_a_flow_calls_what_the_user_lists(tmp_path: Path) -> None:
    path = tmp_path / "a.flow.yaml"
    single(model="fake/echo?seed=1").save(path)
    with pytest.raises(UserError, match=r"fake/echo\?seed=1 \(workflow: step"):
        fb.load(path, lm="fake/echo")
    with fb.load(path, models=["fake/echo?seed=1"]) as flow:
        assert flow.models == {"fake/echo?seed=1"}
        assert flow(note="x")


def test_a_missing_key_of_any_step_is_found_before_the_first_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    first, second = single(model="fake/echo"), "openai/gpt-4.1"
    (name,) = first.sketch.nodes
    node = first.sketch.nodes[name]
    told = first.parameter(name).model_copy(update={"model": second})
    ends = {"text": f"{name}.text", "other": "more.text"}
    sketch = first.sketch.model_copy(update={"nodes": {name: node, "more": node}, "outputs": ends})
    both = Workflow(sketch=sketch, parameters={**first.parameters, "more": told})
    asked: list[str] = []
    monkeypatch.setattr(LM, "ask", lambda *args, **kwargs: asked.append("asked"))
    with fb.Flow(both, models=["fake/echo", second]) as flow, pytest.raises(UserError, match="OPENAI_API_KEY"):
        flow(note="x")
    assert not asked
