"""Files for frameworks: whole for every start, no text of a workflow is code in them, and they ask and score as the workflow does."""

from __future__ import annotations

import ast
import builtins
import os
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, get_args

import pytest
from export_help import FLOW, MODEL, task
from hypothesis import given, settings
from hypothesis import strategies as st
from test_python_source import texts

from flowbot.export.export import ExportResult, read_export
from flowbot.export.exported import Exported
from flowbot.export.exporting import exported
from flowbot.export.framework import Framework
from flowbot.export.scored import ScoredParity, require_modules
from flowbot.export.target import Target, refusals, targets
from flowbot.fields import BudgetExceeded, UserError
from flowbot.lm.budget import Budget
from flowbot.stats import Estimate
from flowbot.task import tool_of
from flowbot.workflow.nodes import LLMNode, Node
from flowbot.workflow.starts import list_starts
from flowbot.workflow.workflow import Workflow

FRAMEWORKS = {name: target for name, target in targets().items() if isinstance(target, Framework)}
every = pytest.mark.parametrize("target", FRAMEWORKS.values(), ids=FRAMEWORKS)


class Found(TypedDict):
    """What a search gives."""

    results: list[dict[str, str]]


def search(query: str) -> Found:
    """Find passages."""
    raise NotImplementedError(query)


def python(code: str) -> str:
    """Run a program."""
    raise NotImplementedError(code)


def described(workflow: Workflow, **more: Any) -> Exported:
    tools = [tool_of(search), tool_of(python)]
    given: dict[str, Any] = {"model": "openai/gpt-4.1-mini", "tools": tools, "trust_code": True, **more}
    return exported(workflow, **given)


def file_of(target: Framework, made: Exported) -> str:
    assert target.refuses(made) == []
    return target.files(made)[target.file(made)]


def one_step(texts: Mapping[str, Any], out: str = "a") -> Workflow:
    nodes = {"a": {"kind": "llm", "in": {"q": "q"}, "out": {out: "str", "b": "str"}}}
    data = {
        "flowbot": 1,
        "inputs": {"q": "str"},
        "outputs": {"a": f"a.{out}"},
        "nodes": nodes,
        "parameters": {"a": texts},
    }
    return Workflow.from_data(data)


@every
def test_every_start_is_a_whole_file(target: Framework) -> None:
    assert len(FRAMEWORKS) == 4
    for start in list_starts():
        made = described(start.workflow, name=start.name, goal=start.goal)
        if target.name == "python" and len({model.provider for model in made.models}) > 1:
            continue  # it has one endpoint
        tree = ast.parse(file_of(target, made))
        defined = {
            each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        }
        imported = {
            each.asname or each.name
            for node in tree.body
            if isinstance(node, ast.Import | ast.ImportFrom)
            for each in node.names
        }
        used = {each.id for each in ast.walk(tree) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)}
        stored = {each.id for each in ast.walk(tree) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
        arguments = {each.arg for each in ast.walk(tree) if isinstance(each, ast.arg)}
        inner = {each.name for each in ast.walk(tree) if isinstance(each, ast.AsyncFunctionDef | ast.FunctionDef)}
        handlers = {each.name for each in ast.walk(tree) if isinstance(each, ast.ExceptHandler)}
        known = defined | imported | stored | arguments | inner | handlers | {*dir(builtins), "__name__"}
        assert used <= known, (start.name, used - known)
        assert imported <= used | {"annotations"}, (start.name, imported - used)


@every
@given(texts, texts)
@settings(max_examples=30)
def test_no_text_becomes_code(target: Framework, text: str, shown: str) -> None:
    def kinds(text: str, shown: str) -> list[str]:
        demonstration = {"inputs": {"q": text}, "outputs": {"a": shown, "b": ""}}
        workflow = one_step(
            {"instruction": f"x{text}"[:8000], "format_hint": f"y{shown}", "demonstrations": [demonstration]}
        )
        source = file_of(target, described(workflow, goal=text, origin=shown))
        # f"{{…}}" for a text with braces and "…" for one without are both literals
        plain = ("Constant", "JoinedStr")
        return [type(node).__name__ for node in ast.walk(ast.parse(source)) if type(node).__name__ not in plain]

    assert kinds(text, shown) == kinds("plain", "plain")


@every
@given(st.lists(st.sampled_from(["import os", '"""', "'", "{q}", "\\"]), min_size=1).map("".join))
@settings(max_examples=20)
def test_labels_and_own_words_are_literals(target: Framework, text: str) -> None:
    own = {"messages": [{"role": "user", "parts": [text, {"ref": "q"}, text]}]}
    found = [
        each.value
        for each in ast.walk(ast.parse(file_of(target, described(one_step(own)))))
        if isinstance(each, ast.Constant)
    ]
    assert text in "".join(each for each in found if isinstance(each, str))


def test_what_cannot_be_said_is_refused_with_the_step_and_a_way_out() -> None:
    def said(name: str, workflow: Workflow, **more: Any) -> str:
        return "; ".join(FRAMEWORKS[name].refuses(described(workflow, **more)))

    react = next(start.workflow for start in list_starts() if start.name == "react")
    code = next(start.workflow for start in list_starts() if start.name == "retrieve-then-read")
    ended = one_step({"messages": [{"role": "user", "parts": [{"ref": "q"}]}, {"role": "assistant", "parts": ["So:"]}]})
    for name in FRAMEWORKS:
        assert "--trust-code" in said(name, code, trust_code=False)
        assert "step act calls the tool search" in said(name, react, tools=None)
    assert "step a ends with a message of the assistant" in said("pydantic-ai", ended)
    assert said("langgraph", ended) == ""
    assert "step a gives model_x" in said("dspy", one_step({"instruction": "x"}, "model_x"))
    renamed = {
        "flowbot": 1,
        "inputs": {"flow": "str"},
        "outputs": {"a": "a.a"},
        "nodes": {"a": {"kind": "llm", "in": {"q": "flow"}, "out": {"a": "str"}}},
    }
    assert "the input flow has a name" in said(
        "langgraph", Workflow.from_data({**renamed, "parameters": {"a": {"instruction": "x"}}})
    )


def test_an_interpreter_without_the_framework_is_told_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FRAMEWORKS["dspy"].__class__, "modules", ("no_such_framework",))
    with pytest.raises(UserError, match=r"no_such_framework.*pip install 'dspy>=.*--python"):
        read_export(every_kind(tmp_path), "dspy", model=MODEL, task=task(1), trust_code=True)
    with pytest.raises(UserError, match="--python"):
        read_export(
            every_kind(tmp_path), "dspy", model=MODEL, task=task(1), trust_code=True, python=str(tmp_path / "none")
        )


def every_kind(folder: Path, *, choosing: bool = False) -> Path:
    """The workflow of every kind, but for tools that a model chooses: each framework has its own way with them."""
    data = deepcopy(FLOW)
    if not choosing:
        del data["parameters"]["act"]["tools"]
    Workflow.from_data(data).save(folder / "every-kind.flow.json")
    return folder / "every-kind.flow.json"


async def checked(folder: Path, to: str, *, rows: int = 4, choosing: bool = False, **more: Any) -> ScoredParity:
    python = os.environ.get("FRAMEWORKS_PYTHON", "")  # an interpreter that has what is not installed for this one
    try:
        require_modules(FRAMEWORKS[to], python)
    except UserError as error:
        pytest.skip(str(error))
    flow = every_kind(folder, choosing=choosing)
    ready = read_export(flow, to, model=MODEL, task=task(rows), trust_code=True, python=python)
    result: ExportResult = await ready.write(folder / to, cache_dir=folder / "cache", force=True, **more)
    assert isinstance(result.parity, ScoredParity)
    return result.parity


@pytest.mark.parametrize("to", ["langgraph", "dspy"])
async def test_it_asks_as_the_workflow_does(tmp_path: Path, to: str) -> None:
    parity = await checked(tmp_path, to)
    assert (parity.examples, parity.ok, parity.failed) == (4, True, ())
    # Where a step fails the workflow runs what does not need it, and a graph stops.
    assert parity.requests - 6 <= parity.same == parity.made
    assert (parity.workflow, parity.alike) == (parity.export, 4)


async def test_a_ceiling_ends_the_check_and_is_no_score(tmp_path: Path) -> None:
    parity = await checked(tmp_path, "dspy", rows=1, choosing=True)
    assert parity.made > parity.same  # a tool is chosen by a prompt of DSPy's own
    with pytest.raises(BudgetExceeded):
        await checked(tmp_path, "dspy", rows=1, choosing=True, budget=Budget(calls=parity.requests))


async def test_pydantic_ai_asks_again_in_its_own_words(tmp_path: Path) -> None:
    parity = await checked(tmp_path, "pydantic-ai")
    assert parity.examples == 4
    assert parity.same > 20


def test_an_export_fails_where_it_is_surely_worse() -> None:
    parity = ScoredParity("val", 4, 4, 4, 4, (), (), 0.9, 0.5, Estimate(-0.4, -0.6, -0.1, 30), (), "")
    assert not parity.ok
    assert replace(parity, difference=Estimate(-0.1, -0.3, 0.1, 30)).ok
    assert not replace(parity, difference=Estimate(0.0, 0.0, 0.0, 1), failed=("v0",)).ok


@pytest.mark.parametrize("target", targets().values(), ids=targets())
def test_a_kind_of_step_that_a_target_does_not_name_is_refused_in_words(target: Target) -> None:
    kinds = {each.kind_name(): each for each in get_args(get_args(Node)[0])}
    assert target.says <= set(kinds)
    made = described(one_step({"instruction": "x"}))
    assert refusals(target, made) == []
    for kind in ({*kinds} | {"later"}) - target.says:  # one that is still to come may well be a step that asks a model
        node = kinds.get(kind, LLMNode).model_construct(kind=kind, call="app.py:answer")
        said = refusals(target, replace(made, steps=(*made.steps, replace(made.steps[0], path="x/y", node=node))))
        known = {"program": "runs app.py:answer, a program already", "core": "is a program in words"}
        words = known.get(kind, f"is of the kind {kind}, which {target.name} cannot say")
        assert [each.startswith("step x/y ") and words in each for each in said] == [True]
