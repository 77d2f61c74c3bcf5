"""LLM-AutoDiff's optimiser: what its question shows, and its two gates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gradient_world import World, journal, proposals, searched, single, task, verdicts
from search_help import searching

from flowbot.fields import Score
from flowbot.optimizer.autodiff.gated import BATCH, PROPOSALS, WINDOW, Gated
from flowbot.optimizer.autodiff.proposer import (
    RIGHT,
    SEVERAL,
    WRONG,
    AutoDiff,
    _turn,  # pyright: ignore[reportPrivateUsage]
    gradients_of,
)
from flowbot.optimizer.autodiff.question import question
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.parameters.wording import Wording
from flowbot.optimizer.population import Candidate, Outcome
from flowbot.optimizer.run import optimize_async
from flowbot.optimizer.seams import Focus, PlanUsed
from flowbot.optimizer.search import Search
from flowbot.run.events import Arm, Measured
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.together import all_of
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.workflow import Workflow

WORSE = "You are answer. Right: none of them."
EVEN = "You are answer. Right: even."
MORE = "You are answer. Right: even t1 t3 t5 t7 v1 v3."
FIRST = " ".join(f"t{n}" for n in range(1, 20, 2))


async def until_used(loop: Gated, search: Search) -> None:
    with pytest.raises(PlanUsed):
        await searched(loop, search)


async def test_a_text_that_lowers_the_subset_is_put_back_and_shown_as_failed(tmp_path: Path) -> None:
    model = World([WORSE, "You are answer. Right: all."])
    async with searching(task(), single(MORE), model, tmp_path) as search:
        loop = Gated()
        events = await searched(loop, search)
        best = await loop.choose(search)
    assert verdicts(events) == [("drop", "mean of the subset"), ("adopt", "mean of validation")]
    first, second = model.questions
    assert "Tried in its place" not in first
    failed = second.split("Tried in its place")[1]
    assert f"- {WORSE} (0.00, where the text now has 0.50, on 4 training rows)" in failed
    assert best.program.workflow == single("You are answer. Right: all.")
    assert len(search.population.outcomes(search.population.members[1].program)) == WRONG + RIGHT, "it was validated"


async def test_a_text_that_does_not_raise_validation_is_put_back_before_all_of_it_is_run(tmp_path: Path) -> None:
    model = World(["You are answer. Right: all-t even-v v1.", "You are answer. Right: all-t even-v v1 v3 v5."])
    async with searching(task(val=24), single("You are answer. Right: even-t even-v v1."), model, tmp_path) as search:
        loop = Gated()
        events = await searched(loop, search)
        losing = search.population.members[1]
        validated = search.population.scores(losing.program, search.validation)
        best = await loop.choose(search)
    assert verdicts(events) == [("drop", "mean of validation"), ("adopt", "mean of validation")]
    assert len(validated) == 12, "of the 11 rows that were wrong none is right: no more of them can tell"
    assert "(0.08, where the text now has 0.08, on 12 validation rows)" in model.questions[1]
    assert best.program.workflow == single("You are answer. Right: all-t even-v v1 v3 v5.")
    measured = [each for each in events if isinstance(each, Measured)]
    assert [(each.split, each.score.n) for each in measured] == [("val", 24), ("val", 24)]


async def test_a_subset_that_ties_does_not_pass(tmp_path: Path) -> None:
    model = World([f"You are answer. Right: even. Number {n}." for n in range(100)])
    async with searching(task(), single(EVEN), model, tmp_path, planned=100) as search:
        await until_used(loop := Gated(), search)
        assert await loop.choose(search) is search.population.start
    assert set(verdicts(search.journal.events())) == {("drop", "mean of the subset")}


async def test_it_stops_where_no_text_has_passed_in_a_walk_through_training(tmp_path: Path) -> None:
    model = World([f"You are answer. Right: even. Number {n}." for n in range(999)])
    async with searching(task(), single(EVEN), model, tmp_path, planned=9999) as search:
        await search.run(search.start, (loop := Gated()).opening(search), "val")
        why = await loop.search(search)
    made = proposals(search.journal.events())
    assert why == "no text passed in a walk through training"
    assert len(made) == PROPOSALS * (len(search.training) + WINDOW) // BATCH


async def test_scores_that_only_add_up_otherwise_do_not_pass(tmp_path: Path) -> None:
    async with searching(task(val=3), single(), World([]), tmp_path) as search:
        loop, start = Gated(), search.population.start
        loop._validated = search.validation  # pyright: ignore[reportPrivateUsage]
        program = WorkflowProgram(single("You are answer. Right: even."))
        other = Candidate("p1", program, start, Arm(kind="autodiff", place="answer"), Belief(0, 1))
        for who, scores in ((start, (0.1, 0.4, 0.7)), (other, (0.4, 0.7, 0.1))):
            for row, score in zip(search.validation, scores, strict=True):
                search.population.record(who.program.hash, row, Outcome(score))
        _, passed = await loop._validates(search, other, start)  # pyright: ignore[reportPrivateUsage]
    assert not passed


async def test_at_most_five_texts_are_tried_on_one_subset_and_the_next_step_asks_anew(tmp_path: Path) -> None:
    model = World([f"You are answer. Right: even. Number {n}." for n in range(100)])
    async with searching(task(), single(EVEN), model, tmp_path, planned=100) as search:
        await until_used(Gated(), search)
    shown = [each.shown for each in proposals(search.journal.events())]
    assert len(set(shown[:5])) == 1
    assert shown[5] != shown[0]
    assert search.spent <= 100


async def test_what_a_text_scored_is_shown_when_another_has_passed(tmp_path: Path) -> None:
    model = World([f"You are answer. Right: even {FIRST}.", "You are answer. Right: all."])
    async with searching(task(train=24), single(), model, tmp_path) as search:
        events = await searched(Gated(), search)
    assert [decision for decision, _ in verdicts(events)] == ["adopt"] * 2
    first, second = model.questions
    assert "Earlier texts" not in first
    assert "Now (the workflow scores 0.50 on 12 rows):" in second
    assert "- (score 0.00 on 12 rows) You are answer. Right: none." in second.split("Earlier texts")[1]


async def test_of_earlier_texts_the_best_three_are_shown_the_best_first(tmp_path: Path) -> None:
    async with searching(task(), single(), World([EVEN]), tmp_path) as search:
        here = search.population.start
        for number, score in enumerate((0.3, 0.1, 0.4, 0.2, 0.5)):
            search.population.record(here.program.hash, search.validation[0], Outcome(score))
            program = WorkflowProgram(single(f"You are answer. Right: none. Number {number}."))
            here = Candidate(f"p{number}", program, here, Arm(kind="autodiff", place="answer"), Belief(0, 1))
        now = Wording.of(here.program.workflow, "answer")
        text = question(search, here, "answer", now, [], [], [], []).text
    history = text.split("Earlier texts of this step:\n")[1].split("\n\n")[0].splitlines()
    assert [each.split(" on ")[0] for each in history] == ["- (score 0.50", "- (score 0.40", "- (score 0.30"]


async def test_the_same_text_again_is_not_run_again_and_a_refused_one_is_told(tmp_path: Path) -> None:
    model = World([WORSE, WORSE, "", "You are answer. Right: all."])
    async with searching(task(), single(EVEN), model, tmp_path) as search:
        events = await searched(Gated(), search)
    assert [each.faults for each in proposals(events)] == [
        (), ("it was tried before",), ("the reply was empty",), (),
    ]  # fmt: skip
    assert "- (refused: it was tried before)\n- (refused: the reply was empty)" in model.questions[-1]
    assert len(verdicts(events)) == 2


async def test_a_large_model_writes_several_at_once_that_are_tried_one_after_another(tmp_path: Path) -> None:
    texts = [WORSE, "You are answer. Right: t1.", "You are answer. Right: all.", "You are answer."]
    kinds = ["add", "remove", "reword", "reorder"]
    reply = {"proposals": [{"edit": kind, "why": f"by {kind}", "text": text} for kind, text in zip(kinds, texts, strict=True)]}  # fmt: skip

    class Large(World):
        def __call__(self, request: Any) -> Any:
            found = super().__call__(request)
            return {"instruction": "say more", "format_hint": "not here"} if found == {"fault": "say more", "part": "instruction"} else found  # fmt: skip

    model = Large([reply])
    async with searching(task(), single(EVEN), model, tmp_path) as search:
        search.meta_mode = "large"
        events = await searched(Gated(), search)
    made = proposals(events)
    assert [each.title.rpartition(": ")[2] for each in made] == kinds[:3], "the one after what passed is not tried"
    assert made[0].reason == "by add"
    assert len(model.questions) == 1
    assert "Write 4 different texts" in model.questions[0]


async def test_inside_an_outer_loop_the_texts_of_one_reply_are_the_next_draws_whatever_was_run_in_between(
    tmp_path: Path,
) -> None:
    def reply(number: int) -> dict[str, Any]:
        texts = [f"You are answer. Right: even. Number {number}{place}." for place in range(SEVERAL)]
        return {"proposals": [{"edit": "add", "why": f"why {text}", "text": text} for text in texts]}

    class Large(World):
        def __call__(self, request: Any) -> Any:
            found = super().__call__(request)
            return {"instruction": "say more", "format_hint": "not here"} if "fault" in found else found

    model = Large([reply(1), reply(2)])
    async with searching(task(), single(EVEN), model, tmp_path) as search:
        search.meta_mode = "large"
        await search.run(search.start, search.training, "train")
        proposer, start = AutoDiff(), search.population.start
        made: list[Any] = []
        for draws in ((0, 1), (2,), (3,), (4,)):  # the first two side by side, as the pool asks for them
            (option,) = proposer.options(start, search)
            new = draws[0] % SEVERAL == 0
            focuses = [Focus(option, draw, option.prior, option.prior) for draw in draws]
            for (found,) in await all_of(proposer.propose(start, focus, 1, search) for focus in focuses):
                tried = Candidate(f"p{len(made)}", found.program, start, option.arm, option.prior)  # type: ignore[arg-type]
                made.append(found)
                search.population.add(tried)  # the next question would be another one
                await search.run(tried.program, search.training[:2], "train")
                search.population.close(tried, "dropped")
            assert (option.cost > 0) == new
            assert len(model.questions) == 1 + draws[0] // SEVERAL
    assert len({each.program.hash for each in made}) == SEVERAL + 1


async def test_nothing_is_begun_that_the_plan_does_not_surely_allow(tmp_path: Path) -> None:
    for planned in range(1, 60):
        model = World([f"You are answer. Right: even. Number {n}." for n in range(100)])
        async with searching(task(), single(EVEN), model, tmp_path / str(planned), planned=planned) as search:
            await until_used(Gated(), search)
            assert search.cuts == 0, "it was cut short"
            assert sum(search.session.ledger.calls.values()) <= planned


LOOP: dict[str, Any] = {
    "flowbot": 1,
    "inputs": {"q": "str"},
    "outputs": {"a": "end.a"},
    "nodes": {
        "refine": {
            "kind": "loop", "max": 3, "carry": {"draft": {"type": "str", "start": "q", "next": "better.text"}},
            "nodes": {"better": {"kind": "llm", "in": {"draft": "draft"}, "out": {"text": "str"}}},
        },
        "end": {"kind": "llm", "in": {"draft": "refine.draft"}, "out": {"a": "str"}},
    },
    "parameters": {
        "refine/better": {"instruction": "You are better.", "format_hint": "One word.", "samples": 1},
        "end": {"instruction": "You are end. Right: none."},
    },
}  # fmt: skip


async def asked(search: Search, scores: list[float], path: str) -> str:
    """The question about a step from runs with these scores."""
    await search.run(search.start, search.training, "train")
    rows = search.recorded(search.start, search.training)[: len(scores)]
    rows = [replace(row, score=Score(score)) for row, score in zip(rows, scores, strict=True)]
    gradients = await gradients_of(search, search.start, rows)
    now = Wording.of(search.start.workflow, path)
    return question(search, search.population.start, path, now, rows, gradients, [], []).text


class Draft(World):
    """Its steps say which of them they are."""

    def __call__(self, request: Any) -> Any:
        if request.messages[0].content.startswith("You are "):
            return request.messages[0].content.split()[2].strip(".")
        found = super().__call__(request)
        if isinstance(found, dict):  # all is handed on to what was received, where another call gave it
            parts = request.schema["properties"]["part"]["enum"]
            return {
                "fault": self.fault,
                "part": next((each for each in parts if each.startswith("input")), "instruction"),
            }
        return found


async def test_gradients_come_by_example_the_worst_first_and_in_time_order_within_one(tmp_path: Path) -> None:
    async with searching(task(), Workflow.from_data(LOOP), Draft([]), tmp_path) as search:
        text = await asked(search, [0.5, 1.0, 0.0], "refine/better")
    runs = text.split("Runs with feedback, the worst first:")[1].split("\nRun ")[1:]
    assert [each.split("\n")[0] for each in runs] == [
        "1, score 0.00", "2, score 0.50", "3, score 1.00: right, and has to stay right",
    ]  # fmt: skip
    for each in runs[:2]:
        calls = [line.split("`")[1] for line in each.splitlines() if line.startswith("- call")]
        assert calls == sorted(calls), "the loop's first step comes first"
        assert calls[-1] == "refine/better[3]"
        assert len(calls) == 3
    assert "feedback on" not in runs[2], "of a right run nothing is asked"


async def test_the_question_shows_the_other_steps_who_reads_what_and_what_the_step_keeps(tmp_path: Path) -> None:
    async with searching(task(), Workflow.from_data(LOOP), Draft([]), tmp_path) as search:
        text = await asked(search, [0.0], "refine/better")
    assert "Its other steps stay as they are:\n- `end`: You are end. Right: none." in text
    assert "LLM call `end` reads `refine.draft`, writes `a`" in text
    assert "The step has besides, and keeps:\n- format: One word." in text
    assert "Now (the workflow scores 0.00 on 12 rows):\nYou are better.\n" in text
    assert "at most 80 words" in text


async def test_the_text_of_which_most_is_said_is_written_anew_first_a_hint_too(tmp_path: Path) -> None:
    hinted = LLMParameters(instruction=EVEN, format_hint="In one word.")
    async with searching(
        task(), single(EVEN).with_parameter("answer", hinted), World(["In capital letters."]), tmp_path
    ) as search:
        await search.run(search.start, search.training, "train")
        for part, turns in (("format_hint", [1, 0]), ("instruction", [0, 1])):
            said = search.feedback(search.start.hash, search.training[0], "answer", "wrong", part=part)
            assert [_turn(search.start, "answer", [said], number) for number in range(2)] == turns
        now = Wording.of(search.start.workflow, "answer", 1)
        rows = search.recorded(search.start, search.training[:1])
        text = question(search, search.population.start, "answer", now, rows, [{}], [], ()).text
    assert text.startswith("Improve the format hint of one step")
    assert ":\nIn one word.\n" in text
    assert f"- instruction: {EVEN}" in text


async def test_a_long_text_may_grow_by_a_fifth(tmp_path: Path) -> None:
    long = f"You are answer. Right: even. {' '.join(['Be careful.'] * 98)}"
    model = World([f"{long} Count."])
    async with searching(task(), single(long), model, tmp_path) as search:
        await search.run(search.start, search.training, "train")
        (option,) = AutoDiff().options(search.population.start, search)
        await AutoDiff().propose(search.population.start, Focus(option, 0, option.prior, option.prior), 1, search)
    assert "at most 241 words" in model.questions[0]


async def test_a_control_withholds_what_was_expected(tmp_path: Path) -> None:
    texts: dict[str, str] = {}
    for mode in ("real", "blind"):
        async with searching(task(), Workflow.from_data(LOOP), Draft([]), tmp_path / mode) as search:
            search.feedback_mode = mode  # pyright: ignore[reportAttributeAccessIssue]
            texts[mode] = await asked(search, [0.25, 0.0], "end")
    assert "the train metal" in texts["real"]
    assert "the train metal" not in texts["blind"]
    assert "score 0.25" in texts["real"]
    assert "score 0.25" not in texts["blind"]


async def test_inside_an_outer_loop_draws_share_the_gradients_of_a_subset(tmp_path: Path) -> None:
    model = World([f"You are answer. Right: even. Number {n}." for n in range(9)])
    async with searching(task(), single(EVEN), model, tmp_path) as search:
        await search.run(search.start, search.training, "train")
        proposer, start = AutoDiff(), search.population.start
        (option,) = proposer.options(start, search)
        assert (option.arm, option.cost) == (Arm(kind="autodiff", place="answer"), 1 + WRONG)
        spent: list[int] = []
        made: list[Any] = []
        for draw in range(SEVERAL + 1):
            before = search.spent
            made += await proposer.propose(start, Focus(option, draw, option.prior, option.prior), 1, search)
            spent.append(search.spent - before)
    assert spent[:SEVERAL] == [option.cost, 1, 1, 1]
    assert spent[SEVERAL] > 1, "other rows"
    assert len({each.program.hash for each in made}) == SEVERAL + 1
    assert len(made[0].shown) == WRONG + RIGHT


async def test_of_a_step_that_nothing_is_said_of_no_text_is_asked_for(tmp_path: Path) -> None:
    async with searching(task(), Workflow.from_data(LOOP), Draft([], fault="no change"), tmp_path) as search:
        await search.run(search.start, search.training, "train")
        proposer, start = AutoDiff(), search.population.start
        option = next(each for each in proposer.options(start, search) if each.arm.place == "refine/better")
        (made,) = await proposer.propose(start, Focus(option, 0, option.prior, option.prior), 1, search)
    assert (made.program, made.faults) == (None, ("nothing is said of refine/better",))
    assert made.feedback


async def test_inside_an_outer_loop_what_was_dropped_is_shown_with_what_it_measured(tmp_path: Path) -> None:
    model = World(["You are answer. Right: even. Once more."])
    async with searching(task(), single(EVEN), model, tmp_path) as search:
        await search.run(search.start, search.training, "train")
        start = search.population.start
        lost = Candidate(
            "p1", WorkflowProgram(single(WORSE)), start, Arm(kind="autodiff", place="answer"), Belief(0, 1)
        )
        search.population.add(lost)
        await search.run(lost.program, search.training[:8], "train")
        search.population.close(lost, "dropped")
        (option,) = AutoDiff().options(start, search)
        await AutoDiff().propose(start, Focus(option, 0, option.prior, option.prior), 1, search)
    (asked_for,) = model.questions
    assert f"- {WORSE} (0.00, where the text now has" in asked_for
    assert "on 8 training rows)" in asked_for


async def test_a_run_again_is_the_same_run_and_latency_decides_nothing(orders: Any, tmp_path: Path) -> None:
    small = replace(orders, splits={split: rows[:12] for split, rows in orders.splits.items()})

    async def run(name: str, latency: int) -> Any:
        return await optimize_async(
            small, lm=f"fake/counter?latency={latency}&seed=3", method="none+autodiff", effort=90,
            run_dir=tmp_path / name, cache_dir=tmp_path / f"cache {name}",
        )  # fmt: skip

    first = await run("a", 0)
    written = journal(tmp_path / "a")
    again = await run("a", 0)
    assert (again.now.calls, journal(tmp_path / "a")) == (0, written)
    await run("b", 2)
    timeless = [
        [each.model_copy(update={"seconds": 0.0}) if isinstance(each, Measured) else each for each in events]
        for events in (written, journal(tmp_path / "b"))
    ]
    assert timeless[0] == timeless[1]
    assert sum(calls for purpose, calls in first.calls.items() if purpose != "test") <= 90
