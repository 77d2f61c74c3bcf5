"""Worked examples as a change: which runs are shown, that draws differ, and when there is nothing to show."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from proposer_help import Roles, drawn, task_of, told
from search_help import searching

from flowbot.fields import Score
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.feedback.runs import alternated, failing, good, typical
from flowbot.optimizer.parameters.demonstrations import Demonstrations
from flowbot.optimizer.parameters.step_change import PROMPT_TOKENS, prompt_tokens
from flowbot.optimizer.population import Candidate, Outcome
from flowbot.run.events import Arm
from flowbot.runtime.evaluation import Row
from flowbot.runtime.trace import Step, Trace
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.workflow import Workflow

ROWS = [{"q": f"colour of thing {n} {'very ' * n}", "a": ("red", "blue", "green")[n % 3]} for n in range(18)]
TASK = task_of(ROWS)
RIGHT = {row["q"].strip(): row["a"] for row in ROWS[:12]}


def one_step(**more: Any) -> Workflow:
    return Workflow.from_data(
        {
            "flowbot": 1,
            "inputs": {"q": "str"},
            "outputs": {"a": "answer.a"},
            "nodes": {"answer": {"kind": "llm", "in": {"q": "q"}, "out": {"a": "str", **more}}},
            "parameters": {"answer": {"instruction": "You are answer."}},
        }
    )


def knowing(rows: dict[str, str]) -> Roles:
    """A model that is right on those rows."""

    def step(_: str, message: str) -> str:
        return next((answer for question, answer in rows.items() if message.strip().endswith(question)), "grey")

    return Roles(step, lambda _: "no question of the meta model is asked here")


async def test_draws_show_good_runs_in_other_numbers_chosen_other_ways(tmp_path: Path) -> None:
    model = knowing(RIGHT)
    async with searching(TASK, one_step(), model, tmp_path) as search:
        await search.run(search.start, search.rows, "train")
        made = [await drawn(Demonstrations(), search, "demonstrate", draw) for draw in range(8)]
        again = await drawn(Demonstrations(), search, "demonstrate", 3)
    shown = [told(each, "answer").demonstrations for each in made]
    assert [len(each) for each in shown] == [4, 8, 8, 4, 2, 4, 4, 2]
    assert len({each.program.hash for each in made if each.program}) == 8
    assert again == made[3]
    names = [[each.example for each in every] for every in shown]
    assert names == [sorted(each) for each in names], "the same set chosen two ways is one program"
    right = {example.id for example in TASK.splits["train"] if example.inputs["q"].strip() in RIGHT}
    assert {each.example for each in (*shown[3], *shown[7])} <= right, "what is hard was solved all the same"
    expected = {example.id: example.expected["a"] for example in TASK.splits["train"]}
    assert all(each.outputs["a"] == expected[each.example] for every in shown for each in every), (
        "corrected where wrong"
    )
    assert any(each.example not in right for every in shown for each in every), "corrected runs are among them"
    assert {each.outputs["a"] for each in shown[0]} == {"red", "blue", "green"}, "of each answer one"
    longest = sorted(
        (example for example in TASK.splits["train"] if example.id in right), key=lambda e: -len(e.inputs["q"])
    )
    assert {each.example for each in shown[7]} == {each.id for each in longest[:2]}
    assert all(each.example in made[0].edits[0] for each in shown[0])
    assert made[0].shown == (), "the engine leaves out a row's own demonstration"
    assert not model.prompts


async def test_those_nearest_to_a_mistake_share_its_words(tmp_path: Path) -> None:
    rows = [{"q": f"the {word} of {n}", "a": "right"} for n in range(6) for word in ("weight", "height")]
    rows.append({"q": "the weight of an elephant", "a": "right"})
    model = knowing({row["q"]: row["a"] for row in rows[:-1]})
    async with searching(task_of(rows), one_step(), model, tmp_path) as search:
        await search.run(search.start, search.rows, "train")
        made = await drawn(Demonstrations(), search, "demonstrate", 5)
    near = [each.inputs["q"] for each in told(made, "answer").demonstrations]
    assert any("weight" in each and "elephant" not in each for each in near)


async def test_one_good_run_is_told_as_one(tmp_path: Path) -> None:
    rows = [{"q": f"the weight of {n}", "a": "right"} for n in range(4)]
    async with searching(task_of(rows), one_step(), knowing({rows[0]["q"]: "right"}), tmp_path) as search:
        await search.run(search.start, search.rows, "train")
        made = await drawn(Demonstrations(), search, "demonstrate", 1)
        solved = await drawn(Demonstrations(), search, "demonstrate", 3)
    assert " 1 good run and 3 right answers," in made.title
    assert " 1 good run," in solved.title


async def test_a_good_run_that_is_not_perfect_is_shown_as_it_should_be(tmp_path: Path) -> None:
    rows = [{"q": f"the colour of {n}", "a": f"blue {n}"} for n in range(6)]
    model = knowing({row["q"]: f"it is {row['a']} I think" for row in rows[1:]} | {rows[0]["q"]: rows[0]["a"]})
    async with searching(task_of(rows, metric="f1"), one_step(), model, tmp_path) as search:
        await search.run(search.start, search.rows, "train")
        made = await drawn(Demonstrations(), search, "demonstrate", 1)
    assert {each.outputs["a"] for each in told(made, "answer").demonstrations} == {row["a"] for row in rows}
    assert " 1 good run and 5 right answers," in made.title


async def test_a_step_that_got_nothing_right_is_shown_what_is_expected_of_it(tmp_path: Path) -> None:
    async with searching(TASK, one_step(), knowing({}), tmp_path) as search:
        await search.run(search.start, search.rows, "train")
        made = await drawn(Demonstrations(), search, "demonstrate")
    expected = {example.id: example.expected["a"] for example in TASK.splits["train"]}
    shown = told(made, "answer").demonstrations
    assert len(shown) == 4
    assert all(each.outputs == {"a": expected[each.example]} for each in shown)
    assert "right answers" in made.title


async def test_what_is_nearest_to_a_mistake_is_another_row(tmp_path: Path) -> None:
    parts = [" ".join(f"{letter}{n}" for n in range(5)) for letter in "abcdefghij"]
    rows = [{"q": text, "a": "right"} for text in (" ".join(parts), *parts)]
    async with searching(task_of(rows), one_step(), knowing({}), tmp_path) as search:
        await search.run(search.start, search.rows, "train")
        made = await drawn(Demonstrations(), search, "demonstrate", 5)
    assert rows[0]["q"] in [each.inputs["q"] for each in told(made, "answer").demonstrations]


def test_of_samples_what_most_gave_is_typical_and_of_a_loop_the_last_step() -> None:
    def calls(*addresses: str) -> list[Step]:
        outputs = ("blue", "blue", "red")
        return [Step(address, "llm", {}, {"a": said}) for address, said in zip(addresses, outputs, strict=True)]

    assert typical(calls("answer#1", "answer#2", "answer#3")).address == "answer#2"
    assert typical(calls("loop[1]/answer", "loop[2]/answer", "loop[3]/answer")).address == "loop[3]/answer"


async def test_nothing_is_offered_where_nothing_can_be_shown(tmp_path: Path) -> None:
    proposer = Demonstrations()
    async with searching(TASK, one_step(reasoning="str"), knowing({}), tmp_path) as search:
        assert proposer.options(search.population.start, search) == [], "no run yet"
        await search.run(search.start, search.rows, "train")
        assert proposer.options(search.population.start, search) == [], "more is given than the task knows of"


async def test_a_frozen_step_is_let_be(tmp_path: Path) -> None:
    data = one_step().dump()
    data["nodes"]["answer"]["frozen"] = True
    async with searching(TASK, Workflow.from_data(data), knowing(RIGHT), tmp_path) as search:
        await search.run(search.start, search.rows, "train")
        assert Demonstrations().options(search.population.start, search) == []


async def test_where_two_runs_can_be_shown_there_is_one_set(tmp_path: Path) -> None:
    rows = ROWS[:2]
    async with searching(task_of(rows), one_step(), knowing({}), tmp_path) as search:
        await search.run(search.start, search.rows, "train")
        (option,) = Demonstrations().options(search.population.start, search)
    assert option.most == 1


async def test_where_answers_hardly_repeat_inputs_that_are_least_alike_are_shown(tmp_path: Path) -> None:
    topics = ("the price of a pen", "the length of the river", "who wrote this old book")
    rows = [{"q": f"{topic} {n}", "a": f"{topic[:6]} {n}"} for topic in topics for n in range(5)]
    async with searching(task_of(rows), one_step(), knowing({row["q"]: row["a"] for row in rows}), tmp_path) as search:
        await search.run(search.start, search.rows, "train")
        made = await drawn(Demonstrations(), search, "demonstrate", 0)
    shown = [each.inputs["q"] for each in told(made, "answer").demonstrations]
    assert all(any(each.startswith(topic) for each in shown) for topic in topics)


async def test_hard_is_what_other_programs_got_wrong(tmp_path: Path) -> None:
    async with searching(TASK, one_step(), knowing(RIGHT), tmp_path) as search:
        await search.run(search.start, search.rows, "train")
        other = search.start.with_slot("answer", LLMParameters(instruction="You are other."))
        search.population.add(Candidate("p1", other, search.population.start, Arm(kind="rule"), Belief(0.0, 0.1)))
        right = [each.id for each in TASK.splits["train"] if each.inputs["q"].strip() in RIGHT]
        hard = set(sorted(right)[:2])
        for row in right:
            search.population.record(other.hash, row, Outcome(float(row not in hard)))
        made = await drawn(Demonstrations(), search, "demonstrate", 7)
    assert {each.example for each in told(made, "answer").demonstrations} == hard


async def test_only_as_many_are_shown_as_the_prompt_has_room_for(tmp_path: Path) -> None:
    long = [{"q": f"thing {n}: {'word ' * 800}", "a": "red"} for n in range(9)]
    knows = knowing({row["q"].strip(): row["a"] for row in long})
    async with searching(task_of(long), one_step(), knows, tmp_path) as search:
        await search.run(search.start, search.rows, "train")
        made = [told(await drawn(Demonstrations(), search, "demonstrate", draw), "answer") for draw in range(4)]
    assert all(0 < len(each.demonstrations) < 4 for each in made)
    assert all(prompt_tokens(each) <= PROMPT_TOKENS for each in made)


def row_of(score: float) -> Row:
    return Row(TASK.splits["train"][0], Trace("", {}, (), None), Score(score))


@given(st.lists(st.integers(0, 20).map(lambda n: n / 20), max_size=30))
def test_good_runs_and_failing_ones(scores: list[float]) -> None:
    rows = [row_of(score) for score in scores]
    best, worst = good(rows), failing(rows)
    assert all(row.score.value > 0 for row in best)
    assert all(row.score.value < 1 for row in worst)
    assert bool(worst) == any(score < 1 for score in scores)
    wrong = sorted(score for score in scores if score < 1)
    assert sorted(row.score.value for row in worst) == [each for each in wrong if each <= wrong[(len(wrong) - 1) // 2]]
    assert not scores or max(scores) == 0 or best, "graded scores have good runs too, though none is perfect"
    if set(scores) <= {0.0, 1.0} and scores:
        assert [row.score.value for row in worst] == [0.0] * scores.count(0.0)
        assert [row.score.value for row in best] == [1.0] * scores.count(1.0)


@given(st.lists(st.sampled_from("abc"), max_size=20), st.integers(0, 9))
def test_items_alternate_by_label(labels: list[str], seed: int) -> None:
    items = list(enumerate(labels))
    Random(seed).shuffle(items)
    found = alternated(items, lambda item: item[1])
    assert sorted(found) == sorted(items)
    kinds = len(set(labels))
    assert {label for _, label in found[:kinds]} == set(labels), "one of each comes first"
