"""AFlow's search: who is modified, what its author is told, that nothing is tried twice, and that it ends whatever is written."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from gradient_world import journal, proposals, verdicts
from hypothesis import given
from hypothesis import strategies as st
from search_help import searching

from flowbot.lm.budget import Budget
from flowbot.lm.client import Request
from flowbot.optimizer.aflow.author import Author
from flowbot.optimizer.aflow.tree import BEST, PATIENCE, ROUNDS, Tree, chances
from flowbot.optimizer.editing import TRIES, structure
from flowbot.optimizer.feedback.question import LETTERS
from flowbot.optimizer.method import Sizes
from flowbot.optimizer.methods import find_method
from flowbot.optimizer.objective import Objective
from flowbot.optimizer.run import optimize_async
from flowbot.optimizer.search import Search
from flowbot.optimizer.structure.catalogue_changes import CatalogueChanges
from flowbot.run.events import Event, Proposal
from flowbot.run.result import PLAN_USED
from flowbot.task import Task
from flowbot.testing.fake import ReplyContent
from flowbot.testing.fake_behaviours import counter
from flowbot.workflow.starts import single_call
from flowbot.workflow.workflow import Workflow

scores = st.lists(st.floats(0, 1), min_size=1, max_size=BEST + 1)
VOTE = {"op": "ensemble", "id": "answer", "samples": 3, "temperature": 0.7, "how": "vote"}
PLAN = {
    "op": "split",
    "id": "answer",
    "name": "plan",
    "out": {"plan": "str"},
    "parameters": {"instruction": "Plan it."},
}


@given(scores)
def test_the_chances_are_a_distribution_that_follows_the_formula(found: list[float]) -> None:
    drawn = chances(found)
    assert math.isclose(math.fsum(drawn), 1.0)
    weights = [math.exp(0.2 * (100 * each - 100 * max(found))) for each in found]
    for chance, weight in zip(drawn, weights, strict=True):
        assert math.isclose(chance, 0.3 / len(found) + 0.7 * weight / sum(weights), rel_tol=1e-9)
        assert chance >= 0.3 / len(found), "each keeps its even share"


@dataclass
class Modeller:
    """Steps count as `fake/counter` does; a change is chosen, or written, by what the test says."""

    choice: Any = None
    edits: Any = None
    chosen: list[str] = field(default_factory=list[str])
    """Questions by letter."""
    written: list[Request] = field(default_factory=list[Request])
    """Questions for edits."""

    def __call__(self, request: Request) -> ReplyContent:
        said = request.messages[0].content
        if said.startswith("You improve LLM workflows by one change"):
            self.chosen.append(said)
            return self.choice(said) if callable(self.choice) else (self.choice or counter(request, said))
        if said.startswith("Change the structure"):
            self.written.append(request)
            return self.edits(request) if callable(self.edits) else (self.edits or "no")
        return counter(request, "\n".join(each.content for each in request.messages))


@pytest.fixture
def small(orders: Task) -> Task:
    """A dozen examples in every split."""
    return replace(orders, splits={split: rows[:12] for split, rows in orders.splits.items()})


def start(task: Task) -> Workflow:
    return single_call(task.inputs, task.outputs, task.goal, reasoning=False)


def tree() -> Tree:
    return Tree(Author(CatalogueChanges()))


async def run(search: Search, loop: Tree | None = None) -> tuple[str, list[Event]]:
    why = await (loop or tree()).search(search)
    return why, search.journal.events()


@pytest.mark.parametrize("mode", ["small", "large"])
async def test_a_meta_model_that_writes_rubbish_ends_it_with_the_start_and_all_faults_remembered(
    small: Task, tmp_path: Path, mode: Any
) -> None:
    model = Modeller(choice="rubbish", edits="rubbish")
    async with searching(small, start(small), model, tmp_path, meta_mode=mode) as search:
        why, events = await run(search)
        ran = {each.program.hash for each in search.population.members if search.population.outcomes(each.program)}
        assert search.population.incumbent is search.population.start
    made = proposals(events)
    assert why == f"the mean of the {BEST} best has stood for {PATIENCE} rounds"
    assert len(made) == PATIENCE
    assert all(each.program is None and each.faults for each in made)
    assert ran == {start(small).hash}, "nothing that is not valid runs"
    assert {len(each.faults) for each in made} == {TRIES}
    if mode == "large":
        assert len(model.written) == PATIENCE * TRIES
        assert "edits by the meta model: " in model.written[-1].messages[0].content, "failures are remembered"


async def test_no_structure_is_run_twice_and_each_is_run_on_all_rows_once(small: Task, tmp_path: Path) -> None:
    async with searching(small, start(small), Modeller(), tmp_path, planned=5000) as search:
        _, events = await run(search)
        members = search.population.members
        assert len(members) > BEST
        assert len({structure(each.program.workflow) for each in members}) == len(members)
        for each in members:
            assert set(search.population.outcomes(each.program)) == set(search.rows)
    assert any("tried before" in fault for each in proposals(events) for fault in each.faults)
    assert len(proposals(events)) <= ROUNDS
    assert {rule for _, rule in verdicts(events)} == {"mean of all rows"}


async def test_parents_are_the_start_and_the_three_best_until_then(small: Task, tmp_path: Path) -> None:
    async with searching(small, start(small), Modeller(), tmp_path, planned=5000) as search:
        _, events = await run(search)
        mean = {
            each.program.hash: search.population.mean(each.program, "score") or 0.0
            for each in search.population.members
        }
    known: list[str] = []
    parents: list[str] = []
    for each in proposals(events):
        best = sorted(known, key=lambda name: -mean[name])[:BEST]
        assert each.parents[0] in (start(small).hash, *best)
        parents.append(each.parents[0])
        known += [each.program] if each.program else []
    assert len(set(parents)) > 1


async def test_the_author_is_told_what_was_tried_on_the_parent_with_its_score_before_and_after(
    small: Task, tmp_path: Path
) -> None:
    first: list[str] = []

    def choose(said: str) -> ReplyContent:
        """Always the same place, as a small model that favours a letter does."""
        first.append(said.split("\nA) ")[1].split("\n")[0])
        return {"fault": "it adds wrongly", "choice": "A"}

    model = Modeller(choice=choose)
    async with searching(small, start(small), model, tmp_path, planned=5000) as search:
        _, events = await run(search)
    told = [said for said in model.chosen if "Tried on it before" in said]
    assert told
    assert any(f"- {first[0]}" in said and " % to " in said for said in told)
    made = proposals(events)
    assert made[0].reason == "it adds wrongly"
    assert made[0].source == "meta"
    assert made[0].because
    per_parent = [(each.parents[0], each.arm.kind, each.arm.place, each.code_by) for each in made if each.program]
    assert len(set(per_parent)) == len(per_parent), "no change is offered on a parent again"


@pytest.mark.parametrize(("objective", "paid_for"), [("score", False), ("calls=1", True)])
async def test_what_the_author_is_told_is_better_is_so_by_the_users_objective(
    small: Task, tmp_path: Path, objective: str, paid_for: bool
) -> None:
    model = Modeller(choice={"fault": "it adds wrongly", "choice": "A"})
    aim = Objective.parse(objective)
    async with searching(small, start(small), model, tmp_path, planned=5000, objective=aim) as search:
        await run(search)
    told = re.findall(r"from (\d+) % to (\d+) %, (no better|better)", "".join(model.chosen))
    assert {"better", "no better"} == {said for _, _, said in told}
    assert any(int(new) > int(old) and said == "no better" for old, new, said in told) == paid_for


async def test_a_repetition_is_refused_within_the_tries_and_another_modification_is_taken(
    small: Task, tmp_path: Path
) -> None:
    def edits(request: Request) -> ReplyContent:
        words = {**PLAN, "parameters": {"instruction": f"Plan it well, {len(request.messages)}."}}
        return {"edits": [VOTE if "tried before" in request.messages[-1].content else words]}

    model = Modeller(edits=edits)
    async with searching(small, start(small), model, tmp_path, planned=5000, meta_mode="large") as search:
        loop = tree()
        _, events = await run(search, loop)
    ours = [each for each in proposals(events) if each.parents[0] == start(small).hash]
    assert ours[0].program is not None
    assert ours[0].faults == ()
    second = ours[1]
    assert second.program is not None
    assert "tried before (p1: " in second.faults[0], "other words are no other structure"


async def test_it_ends_when_the_mean_of_the_best_stands(small: Task, tmp_path: Path) -> None:
    def steps(request: Request) -> ReplyContent:
        return Modeller()(request) if "You improve" in request.messages[0].content else {}

    async with searching(small, start(small), steps, tmp_path, planned=50_000) as search:
        why, events = await run(search)
    assert why == f"the mean of the {BEST} best has stood for {PATIENCE} rounds"
    assert len(proposals(events)) == PATIENCE, "all score nothing"
    assert {decision for decision, _ in verdicts(events)} <= {"drop", "set aside"}


@pytest.mark.parametrize("mode", ["small", "large"])
@pytest.mark.parametrize("planned", range(1, 60, 7))
async def test_nothing_is_begun_that_the_plan_does_not_surely_allow(
    small: Task, tmp_path: Path, planned: int, mode: Any
) -> None:
    model = Modeller(edits={"edits": [VOTE]})
    async with searching(small, start(small), model, tmp_path, planned=planned, meta_mode=mode) as search:
        why, _ = await run(search)
        assert why == PLAN_USED or (mode == "large" and planned >= 40)
        assert search.cuts == 0, "it was cut short"
        assert sum(search.session.ledger.calls.values()) <= planned


async def test_small_models_read_at_most_a_dozen_changes(small: Task, tmp_path: Path) -> None:
    model = Modeller()
    async with searching(small, start(small), model, tmp_path, planned=5000) as search:
        await run(search)
    assert max(said.count(") ") for said in model.chosen) <= len(LETTERS) + 4
    assert not any("\nM) " in said for said in model.chosen)


async def test_a_new_structure_is_tuned_by_a_few_judged_draws(small: Task, tmp_path: Path) -> None:
    loop = find_method("aflow+blame").loop(Sizes(12, 12, 12, 1, 2000))
    async with searching(small, start(small), Modeller(), tmp_path, planned=700) as search:
        await loop.search(search)
        events = search.journal.events()
    made = proposals(events)
    structures = {each.program for each in made if each.level == "structure"}
    tuned = [each for each in made if each.level == "parameters"]
    assert tuned
    assert all(each.parents[0] != start(small).hash for each in tuned), "the start is not tuned"
    of = [_root(each, made) for each in tuned]
    assert set(of) <= structures
    assert max(of.count(each) for each in of) <= 2


def _root(change: Proposal, made: list[Proposal]) -> str:
    """The structure that a change of parameters tunes."""
    parent = change.parents[0]
    own = next(each for each in made if each.program == parent)
    return parent if own.level == "structure" else _root(own, made)


@pytest.mark.parametrize(("method", "mode"), [("aflow", "small"), ("aflow", "large"), ("aflow+blame", "small")])
async def test_a_run_again_is_the_same_run(small: Task, tmp_path: Path, method: str, mode: Any) -> None:
    async def once() -> Any:
        return await optimize_async(
            small, lm="fake/counter", method=method, meta_mode=mode, effort=150, run_dir=tmp_path / "run", cache_dir=tmp_path / "cache"
        )  # fmt: skip

    first = await once()
    written = journal(tmp_path / "run")
    again = await once()
    assert (again.now.calls, journal(tmp_path / "run")) == (0, written)
    assert first.workflow.hash == again.workflow.hash
    assert sum(calls for purpose, calls in first.calls.items() if purpose != "test") <= 150


@pytest.mark.parametrize("ceiling", [40, 95, 160])
async def test_a_ceiling_is_never_passed_and_the_best_so_far_is_tested(
    small: Task, tmp_path: Path, ceiling: int
) -> None:
    budget = Budget(calls=ceiling)
    result = await optimize_async(
        small, lm="fake/counter", method="aflow", effort=500, budget=budget, run_dir=tmp_path / "run", cache_dir=tmp_path / "cache"
    )  # fmt: skip
    assert (result.status, result.stopped_by) == ("done", "budget")
    assert budget.used["calls"] <= ceiling
    assert result.final_scores.test is not None


async def test_with_enough_rows_what_is_found_is_confirmed_on_validation(orders: Task, tmp_path: Path) -> None:
    result = await optimize_async(
        orders, lm="fake/counter", method="aflow", effort=800, run_dir=tmp_path / "run", cache_dir=tmp_path / "cache"
    )
    decided = verdicts(journal(tmp_path / "run"))
    assert decided[-1][1] == "validation"
    assert not result.validation_joined
