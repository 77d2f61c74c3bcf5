"""TextGrad, plain: every text is overwritten at once, and nothing is compared unless that is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gradient_world import World, journal, proposals, searched, single, task, verdicts
from search_help import searching

from flowbot.optimizer.run import optimize_async
from flowbot.optimizer.seams import Focus, PlanUsed
from flowbot.optimizer.textgrad.descent import STEPS, Descent
from flowbot.optimizer.textgrad.proposer import BATCH, TextGrad
from flowbot.workflow.parameters import CodeParameters, LLMParameters
from flowbot.workflow.workflow import Workflow

WORSE = "You are answer. Right: none of them."


def numbered(right: str = "even") -> World:
    return World([f"You are answer. Right: {right}. Number {n}." for n in range(1, 50)])


async def test_a_text_is_overwritten_at_once_whatever_it_scores_and_the_last_one_is_returned(tmp_path: Path) -> None:
    model = World(["You are answer. Right: all.", *[f"You are answer. Right: none. Number {n}." for n in range(2, 50)]])
    async with searching(task(), single(), model, tmp_path) as search:
        loop = Descent()
        events = await searched(loop, search)
        best = await loop.choose(search)
        validated = [search.population.scores(each.program, search.validation) for each in search.population.members]
    assert verdicts(events) == [("adopt", "always")] * STEPS
    assert best.program.workflow == single(f"You are answer. Right: none. Number {STEPS}.")
    assert not any(validated), "nothing was validated"
    assert [len(each.shown) for each in proposals(events)] == [BATCH] * STEPS


async def test_what_is_said_of_a_batch_is_one_text_with_right_rows_in_it_and_no_history(tmp_path: Path) -> None:
    model = numbered("even")
    async with searching(task(), single("You are answer. Right: even."), model, tmp_path) as search:
        await searched(Descent(), search)
    assert all(each.endswith("Feedback:\nsay more\nsay more\nsay more") for each in model.questions)
    assert len(model.gradients) == STEPS * BATCH, "right rows are asked about, too"
    assert "Number 1." not in model.questions[3], "only the text as it is now is shown"


async def test_the_batches_go_through_training_and_begin_again(tmp_path: Path) -> None:
    async with searching(task(train=6), single(), numbered(), tmp_path) as search:
        events = await searched(Descent(), search)
        order = search.training
    shown = [each.shown for each in proposals(events)]
    assert shown[:3] == [tuple(order[:3]), tuple(order[3:]), tuple(order[:3])]


async def test_with_revert_what_lowers_validation_is_put_back(tmp_path: Path) -> None:
    class Wordy(World):
        def gradient(self) -> str:
            return f"say more, {len(self.gradients)}"  # the same question has the same answer

    model = Wordy([WORSE, "You are answer. Right: even v1.", "You are answer. Right: v1 even.", *[WORSE] * 20])
    async with searching(task(), single("You are answer. Right: even."), model, tmp_path) as search:
        loop = Descent(revert=True)
        events = await searched(loop, search)
        best = await loop.choose(search)
    decided = verdicts(events)
    assert decided[:3] == [
        ("drop", "mean of validation"),
        ("adopt", "mean of validation"),
        ("adopt", "mean of validation"),
    ]
    assert {each for each, _ in decided[3:]} == {"drop"}
    assert best.program.workflow == single("You are answer. Right: v1 even."), "an equal score stays"


@pytest.mark.parametrize("revert", [False, True])
async def test_nothing_is_begun_that_the_plan_does_not_surely_allow(tmp_path: Path, revert: bool) -> None:
    for planned in range(1, 60):
        async with searching(task(), single(), numbered(), tmp_path / str(planned), planned=planned) as search:
            with pytest.raises(PlanUsed):
                await searched(Descent(revert=revert), search)
            assert search.cuts == 0, "it was cut short"
            assert sum(search.session.ledger.calls.values()) <= planned


async def test_every_text_is_written_anew_in_one_step_and_one_that_is_refused_stays(tmp_path: Path) -> None:
    data: dict[str, Any] = {
        "flowbot": 1,
        "inputs": {"q": "str"},
        "outputs": {"a": "end.a"},
        "nodes": {
            "plan": {"kind": "llm", "in": {"q": "q"}, "out": {"a": "str"}},
            "count": {"kind": "code", "in": {"a": "plan.a"}, "out": {"n": "int"}},
            "end": {"kind": "llm", "in": {"a": "plan.a", "n": "count.n"}, "out": {"a": "str"}},
        },
        "parameters": {
            "plan": {"instruction": "You are plan. Right: none."},
            "count": {"code": "def run(a):\n    return {'n': 1}"},
            "end": {"instruction": "You are end. Right: none."},
        },
    }

    class Steps(World):
        def __call__(self, request: Any) -> Any:
            if request.messages[0].content.startswith("You are "):
                return "iron"
            return super().__call__(request)

        def text(self, question: str) -> Any:
            if "step `count`" in question:
                return "```python\ndef run(a):\n    return {'n': 2}\n```"
            return "" if "step `plan`" in question else super().text(question)

    model = Steps(["You are end. Right: more."])
    async with searching(task(), Workflow.from_data(data), model, tmp_path) as search:
        await search.run(search.start, search.training, "train")
        proposer = TextGrad()
        (option,) = proposer.options(search.population.start, search)
        assert option.cost == 3 + 3 * BATCH
        (made,) = await proposer.propose(
            search.population.start, Focus(option, 0, option.prior, option.prior), 1, search
        )
    assert made.program is not None
    count, end, plan = (made.program.workflow.parameter(each) for each in ("count", "end", "plan"))
    assert count == CodeParameters(code="def run(a):\n    return {'n': 2}")
    assert isinstance(end, LLMParameters)
    assert end.instruction == "You are end. Right: more."
    assert plan == search.start.workflow.parameter("plan")
    assert made.faults == ("plan: the reply was empty",)
    assert made.edits == ("count: new code", "end: new instruction")


async def test_a_run_again_is_the_same_run(orders: Any, tmp_path: Path) -> None:
    small = replace(orders, splits={split: rows[:9] for split, rows in orders.splits.items()})

    async def run() -> Any:
        return await optimize_async(
            small, lm="fake/counter", method="none+textgrad", effort=100, run_dir=tmp_path / "run", cache_dir=tmp_path / "cache"
        )  # fmt: skip

    first = await run()
    written = journal(tmp_path / "run")
    again = await run()
    assert (again.now.calls, journal(tmp_path / "run")) == (0, written)
    assert sum(calls for purpose, calls in first.calls.items() if purpose != "test") <= 100
    assert first.stopped_because == f"{STEPS} steps were made"
