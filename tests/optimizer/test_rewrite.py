"""Rewrites from gradients: of which step, from which runs, what the meta model is shown, and what is refused."""

from __future__ import annotations

from asyncio import gather
from collections.abc import Callable
from pathlib import Path
from typing import Any

from proposer_help import Roles, drawn, task_of, told
from search_help import searching

from flowbot.optimizer.belief import Belief
from flowbot.optimizer.feedback.blame import ASKED
from flowbot.optimizer.parameters.rewrite import Rewrite
from flowbot.optimizer.population import Candidate, Outcome
from flowbot.optimizer.search import Search
from flowbot.run.events import Arm
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


def scripted(blamed: str = "answer", rewrite: Callable[[int], str] | None = None) -> Roles:
    """Steps that are never right; a meta model that blames a step, has something to say of each, and numbers its rewrites."""
    count = 0

    def meta(prompt: str) -> ReplyContent:
        nonlocal count
        if prompt.startswith("A run of"):
            return {"step": blamed}
        if prompt.startswith("Improve"):
            count += 1
            return rewrite(count) if rewrite else f"You are {blamed}. Rewrite number {count}."
        return f"say more in {prompt.split('Step `')[1].split('`')[0]}"

    return Roles(lambda name, _: name, meta)


async def begun(search: Search) -> None:
    await search.run(search.start, search.rows, "train")


async def test_a_rewrite_of_the_only_step_says_what_it_rests_on(tmp_path: Path) -> None:
    model, rewrite = scripted(), Rewrite()
    async with searching(TASK, chain("answer"), model, tmp_path) as search:
        await begun(search)
        (option,) = rewrite.options(search.population.start, search)
        before = search.spent
        made = await drawn(rewrite, search, "instruct")
        assert search.spent - before == option.cost == 4
    assert (option.arm, option.level, option.most) == (Arm(kind="instruct", place="answer"), "parameters", 4)
    assert told(made, "answer").instruction == "You are answer. Rewrite number 1."
    assert len(set(made.shown)) == 3, "they are no evidence for it"
    assert [each.example for each in made.feedback] == list(made.shown)
    assert made.because == tuple(each.id for each in made.feedback)
    assert (made.source, made.reason) == ("meta", "say more in answer")
    assert model.asked("Improve")[0].count("\n- say more in answer") == 3


async def test_another_draw_is_made_from_other_runs_and_is_another_text(tmp_path: Path) -> None:
    temperatures: list[float] = []
    model = scripted()
    async with searching(TASK, chain("answer"), lambda request: (temperatures.append(request.temperature), model(request))[1], tmp_path) as search:  # fmt: skip
        await begun(search)
        first = await drawn(Rewrite(), search, "instruct", 0)
        assert set(temperatures) == {0.0}
        second = await drawn(Rewrite(), search, "instruct", 1)
    assert temperatures[-1] > 0
    assert not set(first.shown) & set(second.shown)
    assert first.program is not None
    assert second.program is not None
    assert first.program.hash != second.program.hash


async def test_only_the_calls_from_the_blamed_step_to_the_end_are_asked_about(tmp_path: Path) -> None:
    model = scripted("middle")
    async with searching(TASK, chain(*CHAIN), model, tmp_path) as search:
        await begun(search)
        made = await drawn(Rewrite(), search, "instruct")
    assert made.edits == ("middle: rewritten",)
    asked = [each.split("Step `")[1].split("`")[0] for each in model.asked("A step")]
    assert set(asked) == {"middle", "answer"}
    gradients = [each for each in made.feedback if each.text.startswith("say")]
    on_it = [each.id for each in made.feedback if each.place == "middle"]
    assert [each.place for each in gradients] == ["answer", "middle"] * 3
    assert list(made.because) == on_it, "what was said of the step, blame first"
    assert len(on_it) == ASKED + 3
    last = next(each for each in made.feedback if each.place == "middle" and each.after)
    assert made.feedback.index(last) > [each.id for each in made.feedback].index(last.after[0]), "causes come first"


async def test_runs_that_speak_against_the_step_come_first(tmp_path: Path) -> None:
    def meta(prompt: str) -> ReplyContent:
        if prompt.startswith("A run of"):
            return {"step": "plan" if "silver" in prompt else "answer"}
        return "You are new."

    answers = {each.id: each.expected["a"] for each in TASK.splits["train"]}
    async with searching(TASK, chain("plan", "answer"), Roles(lambda name, _: name, meta), tmp_path) as search:
        await begun(search)
        made = await drawn(Rewrite(), search, "instruct")
    expected = {"plan: rewritten": "silver", "answer: rewritten": "gold"}[made.edits[0]]
    assert [answers[each] for each in made.shown[:3]] == [expected] * 3


async def test_draws_of_one_parent_side_by_side_ask_for_blame_once_and_repeat(tmp_path: Path) -> None:
    edits: list[list[tuple[str, ...]]] = []
    for folder in ("one", "two"):
        model, rewrite = scripted("plan"), Rewrite()
        (tmp_path / folder).mkdir()
        async with searching(TASK, chain(*CHAIN), model, tmp_path / folder) as search:
            await begun(search)
            cost = rewrite.options(search.population.start, search)[0].cost
            made = await gather(*(drawn(rewrite, search, "instruct", draw) for draw in range(4)))
            assert rewrite.options(search.population.start, search)[0].cost == cost - ASKED
        assert len(model.asked("A run of")) == ASKED
        edits.append([each.edits for each in made])
    assert edits[0] == edits[1]


async def test_rewrites_that_change_nothing_are_believed_in_less_and_less(tmp_path: Path) -> None:
    model = scripted(rewrite=lambda number: "You are answer." if number < 3 else "You are new.")
    rewrite = Rewrite()
    async with searching(TASK, chain("answer"), model, tmp_path) as search:
        await begun(search)

        def prior() -> Belief:
            return rewrite.options(search.population.start, search)[0].prior

        fresh = prior()
        for draw, share in enumerate((1 / 2, 1 / 3, 1 / 2)):
            made = await drawn(rewrite, search, "instruct", draw)
            assert (made.program is None) == (draw < 2)
            assert prior() == Belief(fresh.mean * share, fresh.spread * share)


async def test_rows_that_blame_was_shown_are_no_evidence_for_what_came_of_it(tmp_path: Path) -> None:
    async with searching(TASK, chain(*CHAIN), scripted("middle"), tmp_path) as search:
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
        async with searching(of, workflow, model, tmp_path / name) as search:
            await begun(search)
            assert Rewrite().options(search.population.start, search) == []


async def test_a_copied_answer_is_refused_and_said(tmp_path: Path) -> None:
    rows = [{"q": f"q{n}", "a": answer} for n, answer in enumerate(("the golden answer of them all", "iron", "lead"))]
    model = scripted(rewrite=lambda _: "Always say: the golden answer of them all.")
    async with searching(task_of(rows), chain("answer"), model, tmp_path) as search:
        await begun(search)
        made = await drawn(Rewrite(), search, "instruct")
    assert made.program is None
    assert "copies the answer" in made.faults[0]


async def test_where_no_feedback_asks_for_a_change_no_rewrite_is_asked_for(tmp_path: Path) -> None:
    model = Roles(lambda name, _: name, lambda _: "No change.")
    async with searching(TASK, chain("answer"), model, tmp_path) as search:
        await begun(search)
        made = await drawn(Rewrite(), search, "instruct")
    assert made.program is None
    assert made.faults == ("no feedback asks for a change of answer",)
    assert len(made.feedback) == 3
    assert not model.asked("Improve")


async def test_what_was_tried_on_the_step_is_shown_with_what_it_gained(tmp_path: Path) -> None:
    model = scripted()
    async with searching(TASK, chain("answer"), model, tmp_path) as search:
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
    shown, plain = model.asked("Improve")
    history = shown.removeprefix(plain).splitlines()
    assert history[-3:] == [
        "- (+0.20 ± 0.05, n 1) Try number 1.",
        "- (not known yet) Try number 2.",
        "- (-0.10 ± 0.05, n 1) Try number 0.",
    ]
    assert "Try number" not in plain


async def test_a_step_is_rewritten_from_runs_in_which_it_ran(tmp_path: Path) -> None:
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
    model = scripted("rare")
    known = {f"question {n}": "silver" if n % 2 else "gold" for n in range(20) if "1" not in str(n)}
    model.step = lambda name, said: next((a for q, a in known.items() if said.endswith(q)), name)
    async with searching(TASK, Workflow.from_data(data), model, tmp_path) as search:
        await begun(search)
        made = await drawn(Rewrite(), search, "instruct")
    ran = {each.id for each in TASK.splits["train"] if "1" in each.inputs["q"]}
    assert made.edits == ("rare: rewritten",)
    assert set(made.shown) <= ran
