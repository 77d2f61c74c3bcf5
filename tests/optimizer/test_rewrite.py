"""Rewrites by hypotheses: of which step, from which runs, what a large meta model is shown, and what is refused."""

from __future__ import annotations

from asyncio import gather
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from proposer_help import Roles, drawn, task_of, told
from search_help import searching

from flowbot.fields import Score
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.feedback.blame import ASKED, Blame, Blamed
from flowbot.optimizer.parameters.rewrite import GRADIENTS, Rewrite
from flowbot.optimizer.parameters.rule import Rule
from flowbot.optimizer.population import Candidate, Outcome
from flowbot.optimizer.seams import Focus, Proposal
from flowbot.optimizer.search import Search
from flowbot.run.events import Arm
from flowbot.runtime.program import WorkflowProgram
from flowbot.testing.fake import ReplyContent
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.workflow import Workflow

TASK = task_of([{"q": f"question {n}", "a": "silver" if n % 2 else "gold"} for n in range(20)])
CHAIN = ("plan", "middle", "answer")


def chain(*names: str, **more: Any) -> Workflow:
    """Steps that each read the one before; the last is `answer`."""
    nodes: dict[str, Any] = {}
    reads = "q"
    for name in names:
        nodes[name] = {"kind": "llm", "in": {"read": reads}, "out": {"a": "str"}, **more.get(name, {})}
        reads = f"{name}.a"
    told_ = {name: {"instruction": f"You are {name}."} for name in names}
    return Workflow.from_data(
        {"flowbot": 1, "inputs": {"q": "str"}, "outputs": {"a": reads}, "nodes": nodes, "parameters": told_}
    )


HYPOTHESES = "You improve one step"


def scripted(blamed: str = "answer", rewrite: Callable[[int], str] | None = None, given: int = 4) -> Roles:
    """Steps that are never right; a meta model that blames a step, has something to say of each, and numbers its rewrites."""
    count = 0

    def meta(prompt: str) -> ReplyContent:
        nonlocal count
        if prompt.startswith("A run of"):
            return {"evidence": "", "step": blamed}
        if prompt.startswith(HYPOTHESES):
            numbers = range(count + 1, count + 1 + given)
            count += given
            texts = {n: rewrite(n) if rewrite else f"You are {blamed}. Rewrite number {n}." for n in numbers}
            return {"hypotheses": [{"claim": f"claim {n}", "text": text} for n, text in texts.items()]}
        return f"say more in {prompt.split('Step `')[1].split('`')[0]}"

    return Roles(lambda name, _: name, meta)


async def begun(search: Search) -> None:
    await search.run(search.start, search.rows, "train")


async def test_one_reply_gives_four_hypotheses_and_the_first_draw_pays(tmp_path: Path) -> None:
    model, rewrite = scripted(), Rewrite()
    async with searching(TASK, chain("answer"), model, tmp_path, meta_mode="large") as search:
        await begun(search)
        (option,) = rewrite.options(search.population.start, search)
        assert (option.arm, option.level, option.most) == (Arm(kind="instruct", place="answer"), "parameters", 8)
        made: list[Proposal[WorkflowProgram]] = []
        for draw in range(8):
            (now,) = rewrite.options(search.population.start, search)
            before = search.spent
            made.append(await drawn(rewrite, search, "instruct", draw))
            assert search.spent - before == now.cost == (draw % 4 == 0), "what was paid for is handed in at no cost"
    assert [told(each, "answer").instruction for each in made] == [
        f"You are answer. Rewrite number {n}." for n in range(1, 9)
    ]
    assert made[2].title == "rewrite step `answer`: claim 3"
    assert (made[2].source, made[2].reason) == ("meta", "claim 3")
    assert len(set(made[0].shown)) == 6, "they are no evidence for it"
    assert made[0].shown == made[3].shown != made[4].shown
    asked = model.asked(HYPOTHESES)
    assert len(asked) == 2
    assert asked[0].count("\nWrong:\n") == 6
    assert "right a: " in asked[0]


async def test_hypotheses_can_be_handed_in_at_once(tmp_path: Path) -> None:
    model, rewrite = scripted(), Rewrite()
    async with searching(TASK, chain("answer"), model, tmp_path, meta_mode="large") as search:
        await begun(search)
        parent = search.population.start
        (option,) = rewrite.options(parent, search)
        made = await rewrite.propose(parent, Focus(option, 1, option.prior, option.prior), 9, search)
    assert [each.reason for each in made] == ["claim 2", "claim 3", "claim 4"]


async def test_what_the_meta_model_leaves_out_or_writes_at_length_is_no_proposal(tmp_path: Path) -> None:
    model, rewrite = scripted(given=2, rewrite=lambda number: f"{number} " * 100), Rewrite()
    async with searching(TASK, chain("answer"), model, tmp_path, meta_mode="large") as search:
        await begun(search)
        made = [await drawn(rewrite, search, "instruct", draw) for draw in range(3)]
    assert [each.program for each in made] == [None] * 3
    assert [each.faults[0] for each in made] == [
        *["it has 100 words, and 80 are the most"] * 2,
        "the meta model had no further hypothesis",
    ]


async def test_a_small_meta_model_is_never_asked_for_a_rewrite(tmp_path: Path) -> None:
    async with searching(TASK, chain("answer"), scripted(), tmp_path) as search:
        await begun(search)
        assert Rewrite().options(search.population.start, search) == []


async def test_runs_that_must_stay_right_are_shown(tmp_path: Path) -> None:
    def step(_: str, message: str) -> str:
        return "gold"

    model = Roles(step, scripted()._meta)  # pyright: ignore[reportPrivateUsage]
    async with searching(TASK, chain("answer"), model, tmp_path, meta_mode="large") as search:
        await begun(search)
        made = await drawn(Rewrite(), search, "instruct")
    (asked,) = model.asked(HYPOTHESES)
    assert asked.count("\nRight, and must stay right:\n") == 2
    assert len(made.shown) == 8


async def test_only_the_calls_from_the_blamed_step_to_the_end_are_asked_about(tmp_path: Path) -> None:
    model = scripted("middle")
    async with searching(TASK, chain(*CHAIN), model, tmp_path, meta_mode="large") as search:
        await begun(search)
        made = await drawn(Rewrite(), search, "instruct")
    assert made.edits == ("middle: rewritten",)
    asked = [each.split("Step `")[1].split("`")[0] for each in model.asked("A step")]
    assert set(asked) == {"middle", "answer"}
    gradients = [each for each in made.feedback if each.text.startswith("say")]
    on_it = [each.id for each in made.feedback if each.place == "middle"]
    assert [each.place for each in gradients] == ["answer", "middle"] * GRADIENTS
    assert list(made.because) == on_it, "what was said of the step, blame first"
    assert len(on_it) == ASKED + GRADIENTS
    assert "said of `middle`: say more in middle" in model.asked(HYPOTHESES)[0]
    last = next(each for each in made.feedback if each.place == "middle" and each.after)
    assert made.feedback.index(last) > [each.id for each in made.feedback].index(last.after[0]), "causes come first"


async def test_runs_that_speak_against_the_step_come_first(tmp_path: Path) -> None:
    def meta(prompt: str) -> ReplyContent:
        if prompt.startswith("A run of"):
            return {"evidence": "", "step": "plan" if "silver" in prompt else "answer"}
        return {"hypotheses": [{"claim": "old", "text": "You are new."}]} if prompt.startswith(HYPOTHESES) else "more"

    answers = {each.id: each.expected["a"] for each in TASK.splits["train"]}
    async with searching(
        TASK, chain("plan", "answer"), Roles(lambda name, _: name, meta), tmp_path, meta_mode="large"
    ) as search:
        await begun(search)
        made = await drawn(Rewrite(), search, "instruct")
    expected = {"plan: rewritten": "silver", "answer: rewritten": "gold"}[made.edits[0]]
    assert [answers[each] for each in made.shown[:3]] == [expected] * 3


async def test_draws_of_one_parent_side_by_side_ask_for_blame_once_and_repeat(tmp_path: Path) -> None:
    edits: list[list[tuple[str, ...]]] = []
    for folder in ("one", "two"):
        model, rewrite = scripted("plan"), Rewrite()
        (tmp_path / folder).mkdir()
        async with searching(TASK, chain(*CHAIN), model, tmp_path / folder, meta_mode="large") as search:
            await begun(search)
            cost = rewrite.options(search.population.start, search)[0].cost
            made = await gather(*(drawn(rewrite, search, "instruct", draw) for draw in range(12)))
            assert cost > ASKED
            assert rewrite.options(search.population.start, search)[0].cost == cost - ASKED
        assert len(model.asked(HYPOTHESES)) == 3
        assert len(model.asked("A run of")) == ASKED
        edits.append([each.edits for each in made])
    assert edits[0] == edits[1]


async def test_steps_that_nobody_blames_have_their_turn_where_the_blamed_one_is_not_mended(
    tmp_path: Path,
) -> None:
    async with searching(TASK, chain(*CHAIN), scripted("plan"), tmp_path, meta_mode="large") as search:
        await begun(search)
        rewrite, rule = Rewrite(), Rule(most=9)
        for proposer, kind, draws in ((rewrite, "instruct", 24), (rule, "rule", 9)):
            made = [await drawn(proposer, search, kind, draw) for draw in range(draws)]
            steps = [each.edits[0].split(":")[0] if each.edits else "" for each in made]
            assert steps[0] == "plan"
            assert len(set(steps)) > 1
            assert max(steps.count(each) for each in CHAIN) == steps.count("plan")


async def test_the_first_hypothesis_on_each_of_several_texts_comes_before_the_second_on_any(tmp_path: Path) -> None:
    model, rewrite = scripted("plan"), Rewrite()
    async with searching(TASK, chain("plan", "answer"), model, tmp_path, meta_mode="large") as search:
        await begun(search)
        made: list[str] = []
        for draw in range(8):
            (option,) = rewrite.options(search.population.start, search)
            before = search.spent
            made.append((await drawn(rewrite, search, "instruct", draw)).reason)
            assert (search.spent > before) == (option.cost > 0) == (draw < 2)
    assert made == [f"claim {n}" for n in (1, 5, 2, 6, 3, 7, 4, 8)]


async def test_a_format_hint_has_its_turn_after_the_instruction(tmp_path: Path) -> None:
    model, rewrite = scripted(), Rewrite()
    workflow = chain("answer")
    hinted = LLMParameters(instruction="You are answer.", format_hint="In one word.")
    async with searching(TASK, workflow.with_parameter("answer", hinted), model, tmp_path, meta_mode="large") as search:
        await begun(search)
        first, second = [told(await drawn(rewrite, search, "instruct", draw), "answer") for draw in range(2)]
    assert (first.instruction, first.format_hint) == ("You are answer. Rewrite number 1.", "In one word.")
    assert (second.instruction, second.format_hint) == ("You are answer.", "You are answer. Rewrite number 5.")
    instruction, hint = model.asked(HYPOTHESES)
    assert "Its text now:\nYou are answer." in instruction
    assert "It has besides: In one word." in instruction
    assert "Its text now, which says how it is to write that:\nIn one word." in hint
    assert "It has besides: You are answer." in hint


async def test_rewrites_that_change_nothing_are_believed_in_less_and_less(tmp_path: Path) -> None:
    model = scripted(rewrite=lambda number: "You are answer." if number < 3 else f"You are new {number}.")
    rewrite = Rewrite()
    async with searching(TASK, chain("answer"), model, tmp_path, meta_mode="large") as search:
        await begun(search)

        def prior() -> Belief:
            return rewrite.options(search.population.start, search)[0].prior

        fresh = prior()
        for draw, share in enumerate((1 / 2, 1 / 3, 1 / 2)):
            made = await drawn(rewrite, search, "instruct", draw)
            assert (made.program is None) == (draw < 2)
            assert prior() == Belief(fresh.mean * share, fresh.spread * share)


async def test_rows_that_blame_was_shown_are_no_evidence_for_what_came_of_it(tmp_path: Path) -> None:
    async with searching(TASK, chain(*CHAIN), scripted("middle"), tmp_path, meta_mode="large") as search:
        await begun(search)
        made = await drawn(Rewrite(), search, "instruct")
    blamed = {each.example for each in made.feedback if each.text == "the first wrong step"}
    assert len(blamed) == ASKED
    assert blamed <= set(made.shown)


async def test_nothing_is_offered_where_nothing_is_wrong_or_nothing_may_be_changed(tmp_path: Path) -> None:
    right = Roles(lambda _, message: "gold", lambda _: "")
    task = task_of([{"q": "what", "a": "gold"}, {"q": "which", "a": "gold"}])
    for name, workflow, of, model in (
        ("right", chain("answer"), task, right),
        ("frozen", chain("answer", answer={"frozen": True}), TASK, scripted()),
    ):
        (tmp_path / name).mkdir()
        async with searching(of, workflow, model, tmp_path / name, meta_mode="large") as search:
            await begun(search)
            assert Rewrite().options(search.population.start, search) == []


async def test_a_copied_answer_is_refused_and_said(tmp_path: Path) -> None:
    rows = [{"q": f"q{n}", "a": answer} for n, answer in enumerate(("the golden answer of them all", "iron", "lead"))]
    model = scripted(rewrite=lambda _: "Always say: the golden answer of them all.")
    async with searching(task_of(rows), chain("answer"), model, tmp_path, meta_mode="large") as search:
        await begun(search)
        made = await drawn(Rewrite(), search, "instruct")
    assert made.program is None
    assert "copies the answer" in made.faults[0]


async def test_what_was_tried_on_the_step_is_shown_with_what_it_gained(tmp_path: Path) -> None:
    model = scripted()
    async with searching(TASK, chain("answer"), model, tmp_path, meta_mode="large") as search:
        await begun(search)
        for number, (gain, known) in enumerate(((-0.1, True), (0.2, True), (0.0, False))):
            started = search.population.start
            parameters = search.start.workflow.parameter("answer")
            assert isinstance(parameters, LLMParameters)
            tried = search.start.with_slot("answer", parameters.with_text(f"Try number {number}."))
            member = Candidate(f"p{number}", tried, started, Arm(kind="instruct", place="answer"), Belief(gain, 0.05))
            search.population.add(member)
            if known:
                search.population.record(tried.hash, search.rows[0], Outcome(0.0))
        await drawn(Rewrite(), search, "instruct", 0)
        await drawn(Rewrite(history=0), search, "instruct", 0)
    shown, plain = model.asked(HYPOTHESES)
    history = shown.removeprefix(plain).splitlines()
    assert history[-4:-1] == [
        "- (+0.20 ± 0.05, n 1) Try number 1.",
        "- (not known yet) Try number 2.",
        "- (-0.10 ± 0.05, n 1) Try number 0.",
    ]
    assert "Try number" not in plain


def two_ways() -> Workflow:
    """One step for the questions with a 1, another one for the rest."""
    first = {"ref": "q", "op": "contains", "value": "1"}
    data: dict[str, Any] = {
        "flowbot": 1,
        "inputs": {"q": "str"},
        "outputs": {"a": "join.a"},
        "nodes": {
            "pick": {"kind": "branch", "in": {"q": "q"}, "ways": {"first": first, "rest": "else"}},
            "rare": {"kind": "llm", "when": "pick.first", "in": {"q": "q"}, "out": {"a": "str"}},
            "usual": {"kind": "llm", "when": "pick.rest", "in": {"q": "q"}, "out": {"a": "str"}},
            "join": {"kind": "merge", "how": "first", "in": ["rare.a", "usual.a"], "out": {"a": "str"}},
        },
        "parameters": {name: {"instruction": f"You are {name}."} for name in ("rare", "usual")},
    }
    return Workflow.from_data(data)


def wrong_in_one(blamed: str) -> Roles:
    """Only the step for questions with a 1 is ever wrong."""
    model = scripted(blamed)
    known = {f"question {n}": "silver" if n % 2 else "gold" for n in range(20) if "1" not in str(n)}
    model.step = lambda name, said: next((a for q, a in known.items() if said.endswith(q)), name)
    return model


async def test_a_step_is_rewritten_from_runs_in_which_it_ran(tmp_path: Path) -> None:
    model = wrong_in_one("rare")
    async with searching(TASK, two_ways(), model, tmp_path, meta_mode="large") as search:
        await begun(search)
        made = await drawn(Rewrite(), search, "instruct")
    ran = {each.id for each in TASK.splits["train"] if "1" in each.inputs["q"]}
    assert made.edits == ("rare: rewritten",)
    assert set(made.shown) <= ran


async def test_a_step_that_ran_in_no_failing_run_is_never_asked_about(tmp_path: Path) -> None:
    model, blame = wrong_in_one("rare"), Blame()
    async with searching(TASK, two_ways(), model, tmp_path, meta_mode="large") as search:
        await begun(search)
        blame._known.made[search.start.hash] = Blamed({"rare": 0, "usual": 60})  # pyright: ignore[reportPrivateUsage]
        proposers = (Rewrite(blame=blame), "instruct"), (Rule(blame=blame), "rule")
        made = [await drawn(each, search, kind) for each, kind in proposers]
    assert all("step `rare`" in each.title for each in made)
    (rewrite,) = model.asked(HYPOTHESES)
    assert "\nWrong:\n" in rewrite
    (rule,) = model.asked("A step of an LLM workflow makes")
    assert "Mistake 1" in rule


SAID = "the answer must not contain any commas or full stops anywhere in it"
GRADIENT = "the step should name the metal alone and never say why it chose that one"


def strict(example: Mapping[str, Any], outputs: Mapping[str, Any]) -> Score:
    return Score(0.0, SAID)


def noting(text: str) -> Roles:
    """A meta model that takes a text over into what it writes."""
    writing = scripted(rewrite=lambda _: f"You are answer. Note: {text}.")._meta  # pyright: ignore[reportPrivateUsage]
    return Roles(lambda name, _: name, lambda asked: GRADIENT if asked.startswith("A step") else writing(asked))


async def test_what_metric_and_gradients_said_may_be_taken_over(tmp_path: Path) -> None:
    task = task_of([{"q": f"question {n}", "a": "gold"} for n in range(8)], metric=strict)
    for text in (SAID, GRADIENT):
        (tmp_path / text[:10]).mkdir()
        async with searching(
            task, chain("plan", "answer"), noting(text), tmp_path / text[:10], meta_mode="large"
        ) as search:
            await begun(search)
            assert text in told(await drawn(Rewrite(), search, "instruct"), "answer").instruction
    model = Roles(lambda name, _: name, lambda _: f"Note: {SAID}.")
    async with searching(task, chain("answer"), model, tmp_path, meta_mode="large") as search:
        await begun(search)
        assert SAID in told(await drawn(Rule(), search, "rule"), "answer").instruction
