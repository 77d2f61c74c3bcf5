"""What may be tried on a step besides worked examples and rewrites: each arm does one thing, and offers nothing that a step cannot have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from proposer_help import Roles, drawn, task_of, told
from search_help import searching

from flowbot.optimizer.belief import Belief
from flowbot.optimizer.parameters.hint import Hint
from flowbot.optimizer.parameters.rule import WORDS, Rule, one_line
from flowbot.optimizer.parameters.rule_lines import neutral_lines, shipped_lines
from flowbot.optimizer.parameters.settings import Settings, samples, tools, without
from flowbot.optimizer.parameters.step_change import PROMPT_TOKENS, prompt_tokens, said
from flowbot.optimizer.pool_method import tuning
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.seams import Focus, Proposal
from flowbot.optimizer.search import Search
from flowbot.run.events import Arm
from flowbot.runtime.program import WorkflowProgram
from flowbot.task import Task
from flowbot.workflow.check import check
from flowbot.workflow.parameters import ChoiceParameters, Demonstration, LLMParameters
from flowbot.workflow.prompt import places
from flowbot.workflow.workflow import Workflow

TASK = task_of([{"q": f"question {n}", "a": "silver" if n % 2 else "gold"} for n in range(20)])


def lookup(word: str) -> str:
    """Look a word up."""
    return word


def search_web(word: str) -> str:
    """Search for a word."""
    return word


def one_step(out: str = "str", kind: str = "llm", **parameters: Any) -> Workflow:
    told_ = {"instruction": "You are answer.", **parameters}
    nodes: dict[str, Any] = {"answer": {"kind": kind, "in": {"q": "q"}, "out": {"a": out}}}
    return Workflow.from_data(
        {"flowbot": 1, "inputs": {"q": "str"}, "outputs": {"a": "answer.a"}, "nodes": nodes, "parameters": {"answer": told_}}
    )  # fmt: skip


def sampled(**parameters: Any) -> Workflow:
    data = one_step(**parameters).dump()
    data["nodes"]["join"] = {"kind": "merge", "how": "vote", "in": ["answer.a"], "out": {"a": "str"}}
    return Workflow.from_data({**data, "outputs": {"a": "join.a"}})


def saying(step: str = "brass", meta: str = "They glitter and shine.") -> Roles:
    return Roles(lambda *_: step, lambda _: meta)


async def begun(search: Search) -> None:
    await search.run(search.start, search.rows, "train")


async def offered(search: Search, *proposers: Any) -> list[str]:
    await begun(search)
    return [each.arm.kind for one in proposers for each in one.options(search.population.start, search)]


# Rules.


async def test_of_a_label_task_one_line_says_what_a_missed_label_means_the_next_is_neutral(tmp_path: Path) -> None:
    model = saying()
    async with searching(TASK, one_step(), model, tmp_path) as search:
        await begun(search)
        made = [await drawn(Rule(), search, "rule", draw) for draw in range(4)]
    lines = [told(each, "answer").instruction.splitlines() for each in made]
    assert all(first == "You are answer." and len(rest) == 1 for first, *rest in lines), "what stood there stays"
    added = [line for _, line in lines]
    assert {added[0], added[2]} == {"`gold`: They glitter and shine.", "`silver`: They glitter and shine."}
    shipped = {each.line for each in shipped_lines()}
    assert {added[1], added[3]} <= shipped
    assert len(set(added)) == 4
    assert [each.source for each in made] == ["meta", "prior", "meta", "prior"]
    assert made[0].shown, "whom the meta model was shown is no evidence"
    assert not made[1].shown
    assert len(model.prompts) == 2


async def test_a_large_meta_model_writes_the_line(tmp_path: Path) -> None:
    model = saying(meta="- Say gold for even numbers.\nBecause they are.")
    async with searching(TASK, one_step(), model, tmp_path, meta_mode="large") as search:
        await begun(search)
        made = await drawn(Rule(), search, "rule")
    assert told(made, "answer").instruction == "You are answer.\nSay gold for even numbers."
    assert "Mistake 6" in model.prompts[0]


async def test_of_blind_mistakes_no_label_is_known(tmp_path: Path) -> None:
    model = saying()
    async with searching(TASK, one_step(), model, tmp_path, feedback_mode="blind") as search:
        await begun(search)
        await drawn(Rule(), search, "rule")
    assert not model.prompts


async def test_a_line_goes_into_the_longest_text_of_a_prompt_of_ones_own(tmp_path: Path) -> None:
    prompt = [
        {"role": "system", "content": "You are answer."},
        {"role": "user", "content": "Say it in short words.\n\nQ: {q}\nA:"},
    ]
    start = Workflow.from_prompt(prompt, TASK)
    async with searching(TASK, start, saying(), tmp_path) as search:
        await begun(search)
        made = await drawn(Rule(), search, "rule", 1)
    before = start.parameter("answer")
    assert isinstance(before, LLMParameters)
    assert places(told(made, "answer").messages) == places(before.messages)
    assert said(told(made, "answer")).startswith(f"{said(before)}\n")


def test_a_line_is_the_first_that_says_something_without_its_bullet() -> None:
    assert one_line("\n\n- Say it.\nBecause.") == "Say it."
    assert one_line("1. 'Three digits'") == "Three digits"
    assert one_line("3 decimals only") == "3 decimals only"
    assert len(one_line("word " * 99).split()) == WORDS


def test_neutral_lines_fit_the_kind_and_are_not_said_twice() -> None:
    assert 15 <= len(shipped_lines()) <= 25
    numbers, labels = (neutral_lines(frozenset({kind}), "") for kind in ("int", "label"))
    assert any("dozen" in each for each in numbers)
    assert not any("dozen" in each for each in labels)
    assert not any("dozen" in each for each in neutral_lines(frozenset({"int"}), "A dozen is 12."))


# Hints.


async def test_labels_that_are_written_otherwise_are_listed(tmp_path: Path) -> None:
    async with searching(TASK, one_step(), saying("It is gold."), tmp_path) as search:
        await begun(search)
        made = await drawn(Hint(), search, "hint")
    assert told(made, "answer").format_hint == "`a` is one of: gold, silver. Write it exactly so, and nothing else."


@pytest.mark.parametrize(
    ("wanted", "gave", "line"),
    [
        ("paris", "Paris", "Write `a` in lower case."),
        ("7", "7 apples", "Write `a` in digits alone, without words or units."),
        ("Paris", "I think Paris it is", "Write `a` alone, in 1 word at most, without a sentence around it."),
    ],
)
async def test_a_form_that_the_runs_show_is_said_by_rule(tmp_path: Path, wanted: str, gave: str, line: str) -> None:
    model = saying(f"{gave}0")
    task = task_of([{"q": f"question {n}", "a": f"{wanted}{n}"} for n in range(6)])

    def step(_: str, message: str) -> str:
        number = message.strip().rpartition(" ")[2]
        return gave.replace("7", f"7{number}") if "7" in gave else gave.replace("aris", f"aris{number}")

    model = Roles(step, lambda _: "Write it.")
    async with searching(task, one_step(), model, tmp_path) as search:
        await begun(search)
        made = await drawn(Hint(), search, "hint")
    assert told(made, "answer").format_hint == line
    assert not model.prompts


async def test_a_form_that_no_rule_knows_is_asked_for(tmp_path: Path) -> None:
    task = task_of([{"q": f"question {n}", "a": f"Smith, John {n}"} for n in range(6)])
    model = Roles(
        lambda _, message: f"John {message.strip().rpartition(' ')[2]} Smith", lambda _: "Write the surname first."
    )
    async with searching(task, one_step(), model, tmp_path) as search:
        await begun(search)
        (option,) = Hint().options(search.population.start, search)
        made = await drawn(Hint(), search, "hint")
    assert option.cost == 1
    assert told(made, "answer").format_hint == "Write the surname first."
    assert len(made.shown) == 3


async def test_no_hint_is_offered_for_what_is_wrong_otherwise_or_no_text(tmp_path: Path) -> None:
    task = task_of([{"q": f"question {n}", "a": f"town {n}"} for n in range(6)])
    async with searching(task, one_step(), saying("nothing of the kind"), tmp_path) as search:
        assert await offered(search, Hint()) == []


async def test_of_an_answer_that_is_to_be_empty_no_length_is_said(tmp_path: Path) -> None:
    task = task_of([{"q": f"question {n}", "a": "" if n % 2 else f"town {n}"} for n in range(6)])
    async with searching(task, one_step(), saying("nothing of the kind"), tmp_path) as search:
        assert await offered(search, Hint()) == []


# Tools, samples.


async def test_each_tool_is_left_out_once_and_a_missing_one_allowed(tmp_path: Path) -> None:
    task = Task(
        goal="Answer.", inputs={"q": "str"}, outputs={"a": "str"}, metric="exact", tools=[lookup, search_web],
        train=[{"q": "x", "a": "gold"}], val=[{"q": "y", "a": "gold"}], test=[{"q": "z", "a": "gold"}],
    )  # fmt: skip
    for given, expected in (
        (("lookup",), [("lookup", "search_web")]),
        (("lookup", "search_web"), [("search_web",), ("lookup",)]),
    ):
        (tmp_path / str(len(given))).mkdir()
        async with searching(task, one_step(tools=list(given)), saying(), tmp_path / str(len(given))) as search:
            (option,) = Settings(tools).options(search.population.start, search)
            made = [await drawn(Settings(tools), search, "tools", draw) for draw in range(option.most)]
        assert [told(each, "answer").tools for each in made] == expected
    async with searching(task, one_step(), saying(), tmp_path) as search:
        assert Settings(tools).options(search.population.start, search) == []


async def test_more_samples_are_drawn_where_a_merge_joins_them(tmp_path: Path) -> None:
    async with searching(TASK, sampled(), saying(), tmp_path) as search:
        (option,) = Settings(samples).options(search.population.start, search)
        made = [told(await drawn(Settings(samples), search, "samples", draw), "answer") for draw in range(option.most)]
    assert [(each.samples, each.temperature) for each in made] == [(3, 0.7), (5, 0.7)]
    assert option.extra == 2
    async with searching(TASK, one_step(), saying(), tmp_path) as search:
        assert Settings(samples).options(search.population.start, search) == [], "nothing joins them"
    async with searching(TASK, sampled(samples=5, temperature=0.5), saying(), tmp_path) as search:
        assert Settings(samples).options(search.population.start, search) == []


# Without.

EVERYTHING: dict[str, Any] = {
    "demonstrations": [{"inputs": {"q": "x"}, "outputs": {"a": "y"}}],
    "format_hint": "In short.",
    "samples": 3,
    "temperature": 0.7,
}


async def test_whatever_a_step_has_is_left_out_alone(tmp_path: Path) -> None:
    async with searching(TASK, sampled(**EVERYTHING), saying(), tmp_path) as search:
        options = Settings(without).options(search.population.start, search)
        made = {
            each.arm.kind: told(await drawn(Settings(without), search, each.arm.kind), "answer") for each in options
        }
        before = search.start.workflow.parameter("answer")
    assert isinstance(before, LLMParameters)
    assert made == {
        "without demonstrations": before.model_copy(update={"demonstrations": ()}),
        "without hint": before.model_copy(update={"format_hint": ""}),
        "without samples": before.model_copy(update={"samples": 1, "temperature": 0.0}),
    }
    assert {each.arm.kind: each.extra for each in options}["without samples"] == -2
    assert all(each.tokens < 0 for each in options if each.arm.kind != "without samples")


async def test_a_rule_that_was_added_is_taken_back_and_what_is_the_users_own_stays(tmp_path: Path) -> None:
    own = "You are answer.\nThis line is the user's."
    async with searching(TASK, one_step(instruction=own), saying(), tmp_path) as search:
        start = search.population.start
        assert Settings(without).options(start, search) == []
        ruled = search.start.with_slot("answer", LLMParameters(instruction=f"{own}\nOne rule.\nTwo rules."))
        child = Candidate("p1", ruled, start, Arm(kind="rule"), Belief(0.0, 0.1))
        (option,) = Settings(without).options(child, search)
        (made,) = await Settings(without).propose(child, Focus(option, 0, option.prior, option.prior), 1, search)
        assert told(made, "answer").instruction == f"{own}\nOne rule."
        once = search.start.with_slot("answer", LLMParameters(instruction=f"{own}\nOne rule."))
        again = Candidate("p2", once, start, Arm(kind="rule"), Belief(0.0, 0.1))
        assert Settings(without).options(again, search) == [], "the start is known"


async def test_a_rule_of_a_branch_is_taken_back(tmp_path: Path) -> None:
    data = one_step().dump()
    data["nodes"]["route"] = {"kind": "branch", "in": {"q": "q"}, "ways": ["short", "long"]}
    data["nodes"]["answer"]["when"] = "route.short"
    data["nodes"]["other"] = {"kind": "llm", "when": "route.long", "in": {"q": "q"}, "out": {"a": "str"}}
    data["nodes"]["join"] = {"kind": "merge", "how": "first", "in": ["answer.a", "other.a"], "out": {"a": "str"}}
    data["parameters"] |= {"route": {"instruction": "You are route."}, "other": {"instruction": "You are other."}}
    start = Workflow.from_data({**data, "outputs": {"a": "join.a"}})
    assert check(start) == []
    async with searching(TASK, start, saying(), tmp_path) as search:
        parent = search.population.start
        assert Settings(without).options(parent, search) == []
        ruled = ChoiceParameters(instruction="You are route.\nOne rule.\nTwo rules.")
        child = Candidate("p1", search.start.with_slot("route", ruled), parent, Arm(kind="rule"), Belief(0.0, 0.1))
        (option,) = Settings(without).options(child, search)
        (made,) = await Settings(without).propose(child, Focus(option, 0, option.prior, option.prior), 1, search)
    assert str(option.arm) == "without rule route"
    assert made.program is not None
    assert made.program.workflow.parameter("route") == ChoiceParameters(instruction="You are route.\nOne rule.")


# All of them.


@pytest.mark.parametrize("mode", ["small", "large"])
@pytest.mark.parametrize(
    "start",
    [
        one_step(),
        sampled(**EVERYTHING),
        Workflow.from_prompt(
            [{"role": "user", "content": "You are answer. Answer this in a word.\n\nQ: {q}\nA:"}], TASK
        ),
    ],
)
async def test_every_proposal_is_valid_within_its_room_and_differs(tmp_path: Path, start: Workflow, mode: str) -> None:
    texts = iter(range(1000))

    def meta(prompt: str) -> Any:
        if "hypotheses" in prompt:
            return {"hypotheses": [{"claim": f"c{n}", "text": f"You are answer {next(texts)}."} for n in range(4)]}
        return f"They glitter {next(texts)} times."

    model = Roles(lambda *_: "It is gold.", meta)
    async with searching(TASK, start, model, tmp_path, meta_mode=mode) as search:
        await begun(search)
        parent, made = search.population.start, list[Proposal[WorkflowProgram]]()
        for proposer in tuning():
            for option in proposer.options(parent, search):
                drawn_ = list[Proposal[WorkflowProgram]]()
                for draw in range(option.most):
                    focus = Focus(option, draw, option.prior, option.prior)
                    drawn_ += await proposer.propose(parent, focus, 1, search)
                hashes = [each.program.hash for each in drawn_ if each.program]
                assert len(set(hashes)) == len(hashes) or option.arm.kind == "demonstrate", option.arm
                assert len(hashes) >= min(2, option.most) or not option.cost, option.arm
                made += drawn_
        before = start.parameter("answer")
    assert isinstance(before, LLMParameters)
    kinds = [each.program for each in made if each.program]
    assert len(kinds) > 5
    for program in kinds:
        assert check(program.workflow) == []
        after = program.workflow.parameter("answer")
        assert isinstance(after, LLMParameters)
        assert prompt_tokens(after) <= PROMPT_TOKENS
        assert places(after.messages) == places(before.messages)


async def test_a_prompt_that_has_no_room_gets_nothing_more(tmp_path: Path) -> None:
    full = one_step(instruction="You are answer. " + "word " * 1250, format_hint="hint " * 399)
    async with searching(TASK, full, saying(), tmp_path) as search:
        await begun(search)
        made = await drawn(Rule(), search, "rule", 1)
    assert made.program is None
    assert "tokens" in made.faults[0]


def test_a_token_is_four_letters_or_one_of_another_script() -> None:
    assert prompt_tokens(LLMParameters(instruction="word" * 10)) == 10
    assert prompt_tokens(LLMParameters(instruction="漢字" * 10)) == 20
    shown = Demonstration(inputs={"q": "x" * 400}, outputs={"a": "y"})
    assert prompt_tokens(LLMParameters(demonstrations=(shown,))) > 100
