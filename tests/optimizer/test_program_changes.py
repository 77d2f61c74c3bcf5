"""What is changed of a program besides its texts: values, what stands around it, and what fills its places."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from proposer_help import task_of
from search_help import searching
from traced_help import model, program, row

import flowbot as fb
from flowbot.optimizer.catalogue.catalogue import Catalogue
from flowbot.optimizer.demands import require_fits
from flowbot.optimizer.methods import find_method
from flowbot.optimizer.objective import Limits, Objective
from flowbot.optimizer.parameters.combine import combined
from flowbot.optimizer.parameters.settings import Settings, others, programs, values
from flowbot.optimizer.parameters.step_change import task_outputs
from flowbot.optimizer.rendering import instruction_text
from flowbot.optimizer.seams import Focus, Option
from flowbot.optimizer.search import Search
from flowbot.optimizer.step_models import StepModels
from flowbot.optimizer.structure.fillings import Fillings, places
from flowbot.program.params import Value
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.trace import Step
from flowbot.task.programs import UserProgram, program_of
from flowbot.workflow.check import check
from flowbot.workflow.edits.applying import applied
from flowbot.workflow.parameters import LLMParameters, ProgramParameters
from flowbot.workflow.workflow import Workflow

START = program({"plan": "Plan.", "answer": "Answer."}, top_k=5)
ROWS = [{"q": f"q{n}", "a": "silver"} for n in range(8)]
PLACE = Step("app/after[1]", "slot", {"docs": ["d1"], "q": "q", "odd": {}}, {"result": ["d1"]})


@pytest.mark.parametrize(
    ("value", "now", "found"),
    [
        (Value("k", 5, choices=[3, 5, 10, 20]), 10, [5, 20, 3]),
        (Value("on", True), True, [False]),
        (Value("k", 5, low=1, high=9), 5, [3, 7, 1, 9]),
        (Value("t", 0.5, low=0, high=1), 0.0, [0.5, 1.0]),
        (Value("name", "x"), "x", []),
    ],
)
def test_a_value_is_tried_near_what_it_is_first_and_within_what_it_may_be(
    value: Value, now: object, found: list[object]
) -> None:
    assert others(value, now) == found  # pyright: ignore[reportArgumentType]


def app() -> str:
    return f"{TOP_K()}"


TOP_K = Value("top_k", 5, choices=[3, 5, 10])


async def test_values_of_a_program_are_set_one_by_one(tmp_path: Path) -> None:
    named = program_of(app, name="app.py:run")
    async with searching(task_of(ROWS, programs=[named]), START, lambda _: "-", tmp_path) as search:
        proposer = Settings(values, steps=programs)
        (option,) = proposer.options(search.population.start, search)
        assert (str(option.arm), option.most) == ("value top_k app", 2)
        made = [await proposed(proposer, search, option, draw) for draw in range(2)]
    told = [each.workflow.parameter("app") for each in made]
    assert [each.values for each in told if isinstance(each, ProgramParameters)] == [{"top_k": 3}, {"top_k": 10}]


async def proposed(proposer: Settings | Fillings, search: Search, option: Option, draw: int = 0) -> WorkflowProgram:
    focus = Focus(option, draw, option.prior, option.prior)
    (made,) = await proposer.propose(search.population.start, focus, 1, search)
    assert made.program is not None, made.faults
    return made.program


def test_around_a_program_there_are_a_vote_a_review_and_a_stronger_model_where_they_fit() -> None:
    """One that changes the world is not run again for a vote."""
    number = Workflow.from_data(
        {**START.dump(), "nodes": {"app": {**START.dump()["nodes"]["app"], "out": {"a": "int"}}}}
    )
    models = StepModels("small", {"small": 1.0, "large": 5.0})
    found = {
        (kind.kind, kind.variant): applied(flow, kind.build("")).after
        for flow in (START, number)
        for kind in Catalogue().changes(flow, task_of(ROWS), models)
    }
    assert list(found) == [("review", ""), ("vote", ""), ("escalate", "agree")]
    assert not any(check(each) for each in found.values())
    voted, escalated = found["vote", ""], found["escalate", "agree"]
    assert [node.kind for node in voted.sketch.nodes.values()].count("program") == 3
    assert voted.sketch.outputs == {"a": "app_a.a"}
    assert {each.kind for each in escalated.sketch.nodes.values()} == {"program", "code", "branch", "llm", "merge"}
    again = escalated.parameter("app_again")
    assert isinstance(again, LLMParameters)
    assert again.model == "large"
    writing = task_of(ROWS, programs=[UserProgram("app.py:run", app, "app", effects="writes", simulate=app)])
    assert [each.kind for each in Catalogue().changes(number, writing, models)] == ["review"]


def test_changes_of_different_texts_and_values_go_together_and_of_one_text_do_not() -> None:
    start = WorkflowProgram(START)
    one = start.with_slot("app:plan", LLMParameters(instruction="Plan well.")).workflow
    other = start.with_slot("app:answer", LLMParameters(instruction="Answer well.")).workflow
    both = combined(START, one, other)
    assert both is not None
    assert [instruction_text(both, f"app:{each}") for each in ("plan", "answer")] == ["Plan well.", "Answer well."]
    assert combined(START, one, start.with_slot("app:plan", LLMParameters(instruction="Plan.!")).workflow) is None


async def test_a_place_is_filled_with_a_call_of_its_types_and_then_as_the_catalogue_says(tmp_path: Path) -> None:
    assert places([row(PLACE)], "app") == {"after": {"docs": "list[str]", "q": "str"}}
    assert places([row(PLACE), row(Step("app/after[1]", "slot", {"docs": 1, "q": "q"}, None))], "app") == {}
    async with searching(task_of(ROWS), START, lambda _: "-", tmp_path) as search:
        record(search, search.start)
        proposer = Fillings()
        (option,) = proposer.options(search.population.start, search)
        assert (option.arm.kind, option.arm.place, option.extra) == ("fill", "app:after", 1)
        filled = await proposed(proposer, search, option)
        assert not check(filled.workflow)
        search.population.start.program = filled
        record(search, filled)
        kinds = [each.arm.kind for each in proposer.options(search.population.start, search)]
        assert kinds[0] == "remove"
        assert {"verify", "think"} <= set(kinds)


async def test_a_reply_that_is_the_result_in_all_runs_is_an_output_of_the_task_and_no_other(tmp_path: Path) -> None:
    calls = (
        model("app/call[1]", "a plan", texts=["plan"]),
        model("app/call[2]", " no ", "app/call[1]", texts=["answer"]),
    )
    async with searching(task_of(ROWS), START, lambda _: "-", tmp_path) as search:
        for name in search.training[:2]:
            search._rows[search.start.hash, name] = row(*calls)  # pyright: ignore[reportPrivateUsage]
        assert task_outputs(search, search.start, "app:answer") == {}, "two runs may agree by chance"
        search._rows[search.start.hash, search.training[2]] = row(*calls)  # pyright: ignore[reportPrivateUsage]
        assert task_outputs(search, search.start, "app:answer") == {"reply": "a"}
        assert task_outputs(search, search.start, "app:plan") == {}


def record(search: Search, program: WorkflowProgram) -> None:
    name = search.training[0]
    search._rows[program.hash, name] = row(PLACE)  # pyright: ignore[reportPrivateUsage]


async def placed(q: str) -> str:
    docs = await fb.slot("after", docs=[f"{WHICH} {q}"], question=q)
    return docs[0]


WHICH = fb.Param("which", "lead")


async def test_what_fills_a_place_and_what_stands_around_a_program_runs(tmp_path: Path) -> None:
    task = task_of(ROWS, programs=[program_of(placed, name="app.py:run")])
    async with searching(task, program({"which": "lead"}), lambda _: {"revised": ["silver"]}, tmp_path) as search:
        rows = search.rows[:3]
        await search.run(search.start, rows, "train")
        assert search.population.scores(search.start, rows) == [0, 0, 0]
        proposer = Fillings()
        (option,) = proposer.options(search.population.start, search)
        filled = await proposed(proposer, search, option)
        await search.run(filled, rows, "train")
        assert search.population.scores(filled, rows) == [1, 1, 1]
        number = Workflow.from_data(
            {
                **filled.dump(),
                "nodes": {"app": {**filled.dump()["nodes"]["app"], "out": {"a": "Literal['silver', 'lead']"}}},
            }
        )
        (vote,) = [each for each in Catalogue().changes(number, task) if each.kind == "vote"]
        voted = WorkflowProgram(applied(number, vote.build("")).after)
        await search.run(voted, rows, "train")
        assert search.population.scores(voted, rows) == [1, 1, 1]


@pytest.mark.parametrize(("method", "said"), [("flowbot+blame", 1), ("none+blame", 0)])
def test_it_is_said_that_python_is_not_reordered_where_structures_are_changed(method: str, said: int) -> None:
    news: list[str] = []
    watch, bench = SimpleNamespace(news=news.append), SimpleNamespace(batches=None)
    ready: Any = SimpleNamespace(workflow=START, task=task_of(ROWS), watch=watch, bench=bench, price=None)
    require_fits(ready, find_method(method), Objective(), Limits(), ())
    assert len(news) == said
    assert all("`app` is your Python" in each for each in news)


async def test_a_search_counts_on_what_a_programs_first_runs_took_with_some_more(tmp_path: Path) -> None:
    task = task_of(ROWS, programs=[program_of(placed, name="app.py:run")])
    async with searching(task, program({"which": "lead"}), lambda _: "-", tmp_path) as search:
        assert search.calls_of(search.start) == 20
        await search.run(search.start, search.rows[:2], "train")
        assert search.calls_of(search.start) == 20, "not settled"
        search.settle()
        assert search.calls_of(search.start) == 1
        filled = search.start.with_slot("app", ProgramParameters(slots={"after": filling()}))
        assert search.calls_of(filled) == 2


def filling() -> dict[str, Any]:
    node = {"kind": "llm", "in": {"docs": "docs"}, "out": {"revised": "list[str]"}}
    return {
        "inputs": {"docs": "list[str]"},
        "outputs": {"docs": "revise.revised"},
        "nodes": {"revise": node},
        "parameters": {"revise": {"instruction": "-"}},
    }
