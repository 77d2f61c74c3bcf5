"""Several models in one workflow: which step gets which, by what rule, and that ceilings, replay and identity hold."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gradients_help import flow, llm
from proposer_help import task_of
from search_help import searching

import flowbot as fb
import flowbot.optimizer.methods as m
from flowbot.fields import Usage, UserError
from flowbot.lm import providers
from flowbot.lm.client import Identity, Request
from flowbot.lm.providers import add_provider
from flowbot.optimizer.catalogue.catalogue import Catalogue
from flowbot.optimizer.parameters.settings import Settings, models
from flowbot.optimizer.run import planned
from flowbot.optimizer.step_models import StepModels, choices, step_models
from flowbot.optimizer.structure.catalogue_changes import CatalogueChanges
from flowbot.run.events import Noted, Proposal
from flowbot.run.journal import read_events
from flowbot.task import Judge, Metric, Task
from flowbot.testing.fake import FakeClient, Faults
from flowbot.workflow.check import check
from flowbot.workflow.edits.applying import applied
from flowbot.workflow.parameters import ChoiceParameters, LLMParameters
from flowbot.workflow.starts import single_call
from flowbot.workflow.workflow import Workflow

CHEAP, DEAR = "two/cheap", "two/dear"
PRICE = {CHEAP: (1.0, 1.0), DEAR: (10.0, 10.0)}
MODELS_ALONE = m.PoolMethod("models", lambda: [Settings(models, late=True)], critic=None, asks=False)
START = flow({"easy": llm(q="q"), "hard": llm(note="easy.a")}, "hard.a")
"""One step that any model does, and one that the cheap model does half of the time."""


def told(request: Request) -> str:
    return request.messages[-1].content


def client(name: str) -> FakeClient:
    """`dear` is always right. `cheap` is right at `easy`, and at `hard` for every second question."""

    def reply(request: Request) -> str:
        said = "\n".join(each.content for each in request.messages)
        luck = int(hashlib.sha256(told(request).encode()).hexdigest(), 16) % 2
        if "You are hard" in said and name == "cheap" and luck:
            return "tin"
        return told(request).replace("question", "note") if "You are easy" in said else "silver"

    return named(name, reply)


def named(name: str, reply: Callable[[Request], Any], faults: Faults | None = None) -> FakeClient:
    made = FakeClient(reply, name=name, faults=faults)
    made.identity, made.price_ref = Identity("two", "", name), None
    return made


@pytest.fixture(autouse=True)
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "_ADDED", dict[str, Any]())
    add_provider("two", client)


def silver(rows: int = 40, more: str = "") -> Task:
    splits = ("train", "val", "test")
    data = {split: [{"q": f"question {split} {n}{more}", "a": "silver"} for n in range(rows)] for split in splits}
    return Task(goal="Answer.", inputs={"q": "str"}, outputs={"a": "str"}, metric="exact", **data)


async def found(folder: Path, task: Task | None = None, **given: Any) -> fb.RunResult:
    options: dict[str, Any] = {
        "lm": DEAR, "models": [CHEAP], "start": START, "method": MODELS_ALONE, "effort": 400, "price": PRICE,
        "run_dir": folder / "run", "cache_dir": folder / "cache", **given,
    }  # fmt: skip
    return await fb.optimize_async(task or silver(), **options)


def models_of(workflow: Workflow) -> dict[str, str | None]:
    given = {path: workflow.parameter(path) for path in workflow.sketch.nodes}
    return {path: each.model for path, each in given.items() if isinstance(each, LLMParameters | ChoiceParameters)}


async def test_a_cheap_model_replaces_a_dear_one_where_it_suffices_and_not_where_it_fails(tmp_path: Path) -> None:
    result = await found(tmp_path)
    assert models_of(result.workflow) == {"easy": CHEAP, "hard": None}
    assert result.step_models == (CHEAP,)
    assert result.to_json()["step_models"] == [CHEAP]
    assert models_of(Workflow.load(result.workflow_path)) == {"easy": CHEAP, "hard": None}


async def test_a_step_that_needs_it_gets_the_strong_model_and_no_other_step(tmp_path: Path) -> None:
    result = await found(tmp_path, lm=CHEAP, models=[DEAR])
    assert models_of(result.workflow) == {"easy": None, "hard": DEAR}
    assert result.difference.test is not None
    assert result.difference.test.low > 0


async def test_a_stronger_model_that_gains_less_than_it_costs_is_not_taken(tmp_path: Path) -> None:
    result = await found(tmp_path, lm=CHEAP, models=[DEAR], price={CHEAP: (1.0, 1.0), DEAR: (100.0, 100.0)})
    assert models_of(result.workflow) == {"easy": None, "hard": None}


async def test_a_pinned_model_and_a_frozen_step_stay(tmp_path: Path) -> None:
    start = flow({"easy": {**llm(q="q"), "model": "pinned"}, "hard": {**llm(note="easy.a"), "frozen": True}}, "hard.a")
    result = await found(tmp_path, start=start)
    assert result.unchanged
    assert not [each for each in read_events(result.run_dir / "journal.jsonl") if isinstance(each, Proposal)]


async def test_without_a_list_no_step_gets_another_model(tmp_path: Path) -> None:
    result = await found(tmp_path, models=None)
    assert result.unchanged
    assert set(result.by_model) == {DEAR}


async def test_calls_tokens_and_dollars_stand_by_model_and_come_to_those_by_purpose(tmp_path: Path) -> None:
    result = await found(tmp_path)
    assert set(result.by_model) == {CHEAP, DEAR}
    for part in ("calls", "tokens", "usd"):
        by_model = sum(getattr(each, part) for each in result.by_model.values())
        assert by_model == pytest.approx(sum(getattr(each, part) for each in result.by_purpose.values()))
    rate = {model: each.usd * 1e6 / each.tokens for model, each in result.by_model.items() if each.usd is not None}
    assert rate == {CHEAP: pytest.approx(1.0), DEAR: pytest.approx(10.0)}
    assert result.models["other"] == CHEAP
    (note,) = [e for e in read_events(result.run_dir / "journal.jsonl") if isinstance(e, Noted) and e.about == "models"]
    assert f"{CHEAP} (0.1), {DEAR} (1)" in note.text
    again = fb.RunResult.load(result.run_dir)
    assert again.by_model == result.by_model


async def test_the_same_call_again_replays_without_a_call(tmp_path: Path) -> None:
    first, again = await found(tmp_path), await found(tmp_path)
    assert again.now.calls == 0
    assert again.workflow.hash == first.workflow.hash
    assert again.by_model == first.by_model


@pytest.mark.parametrize("share", [0.5, 0.8])
async def test_no_ceiling_is_passed(tmp_path: Path, share: float) -> None:
    task = silver(more=" and more" * 200)
    whole = await found(tmp_path, task)
    assert whole.spent.usd is not None
    ceiling = share * whole.spent.usd
    result = await found(tmp_path / "less", task, budget=fb.Budget(usd=ceiling))
    assert (result.status, result.passed) == ("done", "")
    assert result.spent.usd is not None
    assert 0.5 * ceiling < result.spent.usd <= ceiling
    assert result.tested is not None
    assert result.tested.run < result.tested.of or result.stopped_by == "budget"


async def identity(folder: Path, **given: Any) -> dict[str, Any]:
    options: dict[str, Any] = {"lm": DEAR, "models": [CHEAP], "start": START, "method": MODELS_ALONE, "price": PRICE}
    async with (
        planned(silver(), cache_dir=folder, **{**options, **given}) as plan,
        plan.ready.engine(plan.lm, plan.judge_lm) as engine,
    ):
        return plan.identity(engine)


async def test_list_and_prices_are_part_of_who_a_run_is(tmp_path: Path) -> None:
    one = await identity(tmp_path)
    assert [[each["name"], weight] for each, weight in one["step_models"]] == [["cheap", 0.1], ["dear", 1.0]]
    assert await identity(tmp_path, price={**PRICE, CHEAP: (2.0, 2.0)}) != one
    assert "step_models" not in await identity(tmp_path, models=None)
    dearer = {**PRICE, DEAR: (20.0, 20.0)}
    assert await identity(tmp_path, models=None, price=dearer) == await identity(tmp_path, models=None)
    by_cost = [await identity(tmp_path, models=None, price=each, objective="cost") for each in (PRICE, dearer)]
    assert by_cost[0] != by_cost[1], "another price is another order of what costs less"
    assert "step_models" not in await identity(tmp_path, models=[DEAR])


async def test_the_estimate_says_what_each_model_takes(tmp_path: Path) -> None:
    async with planned(silver(), lm=CHEAP, models=[DEAR], start=START, cache_dir=tmp_path, price=PRICE) as plan:
        expected = plan.estimate
    assert set(expected.by_model) == {CHEAP, DEAR}
    assert sum(each.calls for each in expected.by_model.values()) == expected.calls
    async with planned(silver(), lm=CHEAP, start=START, cache_dir=tmp_path, price=PRICE) as plan:
        assert plan.estimate.usd is not None
        assert expected.usd is not None
        assert plan.estimate.usd < expected.usd


async def test_a_listed_model_whose_key_is_refused_ends_the_run_before_anything_else_is_asked(tmp_path: Path) -> None:
    asked: list[FakeClient] = []

    def opened(name: str) -> FakeClient:
        asked.append(named(name, lambda _: "x", Faults(expires=1) if name == "cheap" else None))
        return asked[-1]

    add_provider("two", opened)
    with pytest.raises(fb.DeniedError, match="two/cheap"):
        await found(tmp_path)
    assert sum(each.calls for each in asked if each.identity.name == "dear") <= 1


async def test_a_listed_model_without_a_price_is_refused_under_a_ceiling_in_dollars(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"two/cheap, whose price is unknown"):
        await found(tmp_path, price={DEAR: (10.0, 10.0)}, budget=fb.Budget(usd=1))


def test_prices_decide_the_order_and_else_the_list_does() -> None:
    class Priced:
        def __init__(self, usd: float | None) -> None:
            self.usd = usd

        def cost(self, usage: Usage) -> float | None:
            return self.usd

    def order(**costs: float | None) -> StepModels:
        usd = {f"fake/{name}": each for name, each in costs.items()}
        prices = {name: Priced(each) for name, each in usd.items()}
        return step_models("fake/own", list(usd), lambda _: Usage(1, 100, 100), prices.__getitem__)  # type: ignore[arg-type]

    by_price = order(own=1.0, big=4.0, small=0.25)
    small, own, big = "fake/small", "fake/own", "fake/big"
    assert list(by_price.weights.items()) == [(small, 0.25), (own, 1.0), (big, 4.0)]
    assert (by_price.cheaper(None), by_price.stronger(small), by_price.strongest) == ([small], [own, big], big)
    assert "by price" in str(by_price)
    for unknown in ({"small": None, "own": 1.0, "big": 9.0}, {"small": 0.0, "own": 0.0, "big": 0.0}):
        given = order(**unknown)
        assert dict(given.weights) == {small: 0.5, own: 1.0, big: 2.0}
        assert "in the order given" in str(given)


def test_models_on_this_machine_are_told_apart_by_size() -> None:
    class Free:
        def cost(self, usage: Usage) -> float:
            return 0.0

    large, small = "local/qwen2.5-coder-1.5b", "local/qwen2.5-coder-0.5b?slots=2"
    found = step_models(large, [large, small], lambda _: Usage(1, 1, 1), lambda _: Free())  # type: ignore[arg-type, return-value]
    assert list(found.weights) == [small, large]
    assert found.weights[small] == pytest.approx(491400064 / 1117320768, abs=1e-6)


def test_what_a_judge_of_a_file_names_and_files_of_this_machine_are_no_models_of_steps() -> None:
    metric = Metric.of(Judge("Kind?", model="openai/gpt-4.1"))
    plain = task_of([{"q": "1", "a": "2"}]).metric
    assert choices(DEAR, [CHEAP, "recorded/x.jsonl"], plain) == (DEAR, CHEAP)
    assert choices(DEAR, [CHEAP, DEAR], plain) == (CHEAP, DEAR), "the place of the task model is what the list says"
    assert choices(DEAR, [DEAR], plain) == ()
    assert choices(DEAR, None, plain) == ()
    assert choices(DEAR, ["openai/gpt-4.1"], metric) == ()


async def test_branches_and_judges_of_merges_have_models_too(tmp_path: Path) -> None:
    start = flow(
        {
            "route": {"kind": "branch", "in": {"q": "q"}, "ways": ["one", "two"]},
            "left": {**llm(q="q"), "when": "route.one"},
            "right": {**llm(q="q"), "when": "route.two"},
            "best": {
                "kind": "merge",
                "how": "judge",
                "in": ["left.a", "right.a"],
                "given": {"q": "q"},
                "out": {"a": "str"},
            },
        },
        "best.a",
    )
    listed = StepModels("fake", {"small": 0.5, "fake": 1.0})
    async with searching(silver(4), start, lambda request: "x", tmp_path, models=listed) as search:
        options = Settings(models, late=True).options(search.population.start, search)
    assert [each.arm.place for each in options] == ["route", "left", "right", "best"]
    assert {each.arm.kind for each in options} == {"cheaper model"}
    assert all(each.late and each.extra == -0.5 for each in options)


def escalations(task: Task, start: Workflow, models: StepModels) -> dict[str, Workflow]:
    changes = Catalogue().changes(start, task, models)
    return {each.key: applied(start, each.build(""), tools={}).after for each in changes if each.kind == "escalate"}


BOTH = StepModels(CHEAP, {CHEAP: 1.0, DEAR: 10.0})
NUMBER = fb.Task(
    goal="Count.", inputs={"q": "str"}, outputs={"n": "int"}, metric="exact", rows=[{"q": f"q{n}", "n": n} for n in range(90)]
)  # fmt: skip


@pytest.mark.parametrize("reasoning", [True, False])
def test_escalating_asks_the_strongest_model_again_by_a_declared_check(reasoning: bool) -> None:
    start = single_call(NUMBER.inputs, NUMBER.outputs, NUMBER.goal, reasoning=reasoning)
    made = escalations(NUMBER, start, BOTH)
    assert set(made) == {"escalate:sure:answer", "escalate:agree:answer"}
    for changed in made.values():
        assert check(changed, tools={}, task_inputs=NUMBER.inputs, task_outputs=NUMBER.outputs) == []
        assert models_of(changed)["answer_again"] == DEAR
        assert models_of(changed)["answer"] is None
        assert not escalations(NUMBER, changed, BOTH), "once is enough"


async def test_what_it_adds_counts_as_the_strong_model_does(tmp_path: Path) -> None:
    start = single_call(NUMBER.inputs, NUMBER.outputs, NUMBER.goal, reasoning=False)
    async with searching(NUMBER, start, lambda request: "x", tmp_path, models=BOTH) as search:
        options = CatalogueChanges().options(search.population.start, search)
    assert [each.extra for each in options if each.arm.kind == "escalate"] == [10, 11]
    assert next(each.extra for each in options if each.arm.kind == "review") == 1


def test_it_is_offered_where_there_is_a_stronger_model_and_the_steps_own_is_not_pinned() -> None:
    start = single_call(NUMBER.inputs, NUMBER.outputs, NUMBER.goal, reasoning=True)
    assert not escalations(NUMBER, start, StepModels())
    assert not escalations(NUMBER, start, StepModels(DEAR, {CHEAP: 0.1, DEAR: 1.0}))
    pinned = flow({"answer": {**llm(q="q"), "model": "pinned"}}, "answer.a")
    assert not escalations(silver(4), pinned, BOTH)
    assert set(escalations(silver(4), flow({"answer": llm(q="q")}, "answer.a"), BOTH)) == {"escalate:sure:answer"}


@pytest.mark.parametrize(("key", "calls"), [("sure", (1, 2)), ("agree", (2, 3))])
async def test_what_it_makes_runs_the_strong_model_only_where_the_check_fails(
    tmp_path: Path, key: str, calls: tuple[int, int]
) -> None:
    start = single_call(NUMBER.inputs, NUMBER.outputs, NUMBER.goal, reasoning=False)
    changed = escalations(NUMBER, start, BOTH)[f"escalate:{key}:answer"]

    def reply(request: Request) -> Any:
        hard = "hard" in told(request)
        warm = int(request.temperature > 0 and hard)
        return {"n": 1 + warm, "sure": not hard} if "sure" in str(request.schema) else {"n": 1 + warm}

    add_provider("two", lambda name: named(name, reply if name == "cheap" else lambda _: {"n": 9}))
    async with fb.Workbench(cache_dir=tmp_path) as bench:
        flow_ = fb.Flow(changed, lm=CHEAP, models=[DEAR], workbench=bench)
        easy, hard = await flow_.atrace(q="easy"), await flow_.atrace(q="hard")
    assert (easy.outputs, easy.usage.calls) == ({"n": 1}, calls[0])
    assert (hard.outputs, hard.usage.calls) == ({"n": 9}, calls[1])
