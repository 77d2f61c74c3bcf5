"""AutoFlow's search: what the chat tells the writer, that defects are answered in it, that the best program is kept, and that it replays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from gradient_world import journal, proposals
from search_help import searching

from flowbot.fields import Field, ModelError, UserError
from flowbot.fields.words import percent
from flowbot.lm.client import Request
from flowbot.optimizer.autoflow.asking import STEPS, program_of, question
from flowbot.optimizer.autoflow.chat import LEAST, ROUNDS, Chat
from flowbot.optimizer.autoflow.writer import TRIES, Writer, core_text
from flowbot.optimizer.guard import Guard
from flowbot.optimizer.methods import find_method
from flowbot.optimizer.run import optimize_async, planned
from flowbot.optimizer.search import Search
from flowbot.run.events import Proposal
from flowbot.run.result import PLAN_USED
from flowbot.task import Example, Task
from flowbot.task.tools import tool_of
from flowbot.testing.fake import ReplyContent
from flowbot.testing.fake_behaviours import BEHAVIOURS, counter
from flowbot.workflow.starts import single_call
from flowbot.workflow.starts.core import core_workflow
from flowbot.workflow.workflow import Workflow

MANUAL = "Step 1:::process:::Say A.:::next::Step 2\nStep 2:::terminal:::Give the label."
HALF = "Step 1:::process:::Say B if it is odd.:::next::Step 2\nStep 2:::terminal:::Give the label."
RIGHT = "Step 1:::process:::Say B.:::next::Step 2\nStep 2:::terminal:::Give the label."
LOST = "Step 1:::process:::Say B.:::next::Step 9\nStep 2:::terminal:::Give the label."


def rows(split: str) -> list[Example]:
    return [
        Example(id=f"{split}-{n}", inputs={"text": f"{split} letter {n}"}, expected={"label": "b"}) for n in range(12)
    ]


@pytest.fixture
def task() -> Task:
    """Twelve rows in every split, all of which are b."""
    return Task(
        goal="Label the letter.",
        inputs=[Field.of("text", "str")],
        outputs=[Field.of("label", "Literal['a', 'b']")],
        metric="exact",
        splits={split: rows(split) for split in ("train", "val", "test")},
    )


def start(task: Task) -> Workflow:
    return core_workflow(MANUAL, task.inputs, task.outputs, max_steps=4)


@dataclass
class Modeller:
    """Labels a letter as the program says; writes the programs of the test, one after another, then rubbish."""

    programs: Iterator[str] = field(default_factory=lambda: iter(()))
    chats: list[Request] = field(default_factory=list[Request])

    def __call__(self, request: Request) -> ReplyContent:
        text = said(request)
        if text.startswith("Write a program in words"):
            self.chats.append(request)
            return next(self.programs, "no")
        odd = text.split("letter ")[1].split()[0][-1] in "13579"
        right = "Say B." in text or ("if it is odd" in text and odd)
        wanted = dict(request.schema["properties"]) if request.schema is not None else {}
        return {name: ("b" if right else "a") if name == "label" else "yes" for name in wanted or ("label",)}


async def searched(
    task: Task,
    model: Modeller,
    folder: Path,
    *,
    words: bool = False,
    mode: Any = "large",
    **more: Any,
) -> tuple[list[Proposal], Search]:
    """What was proposed, and the search, which has ended."""
    async with searching(task, start(task), model, folder, meta_mode=mode, **more) as search:
        why = await Chat(Writer(words)).search(search)
        assert why in (PLAN_USED, f"{ROUNDS} rounds were made")
        return proposals(search.journal.events()), search


def said(request: Request) -> str:
    return "\n".join(each.content for each in request.messages)


async def test_the_chat_tells_each_program_and_what_it_was_worth_and_the_best_is_kept(
    task: Task, tmp_path: Path
) -> None:
    model = Modeller(iter([HALF, RIGHT, RIGHT.replace("B", "C")]))
    _, search = await searched(task, model, tmp_path)
    assert "Say B." in (core_text(search.population.incumbent.program.workflow) or "")
    first, second, third, fourth, *_ = model.chats
    assert [each.role for each in first.messages] == ["user", "assistant", "user"]
    assert "Say A." in said(first)
    assert f"Its score is {percent(0.0)}" in said(first)
    assert "if it is odd" not in said(first)
    assert "if it is odd" in said(second)
    assert f"the highest so far is {percent(0.5)}" in said(second)
    assert f"the highest so far is {percent(1.0)}" in said(third)
    assert f"Its score is {percent(0.0)}; the highest so far is {percent(1.0)}" in said(fourth)


async def test_the_writer_is_told_words_only_where_it_is_asked_to_be_and_never_an_answer_beforehand(
    task: Task, tmp_path: Path
) -> None:
    for words in (False, True):
        model = Modeller(iter([RIGHT]))
        folder = tmp_path / str(words)
        folder.mkdir()
        made, _ = await searched(task, model, folder, words=words)
        assert ("right label: b" in said(model.chats[0])) is words
        assert bool(made[0].shown) is words


@pytest.mark.parametrize("mode", ["large", "small"])
async def test_a_large_model_is_told_of_defects_in_the_same_chat_and_a_small_one_asked_anew(
    task: Task, tmp_path: Path, mode: Any
) -> None:
    model = Modeller(iter([LOST, RIGHT]))
    made, search = await searched(task, model, tmp_path, mode=mode)
    assert len(made[0].faults) == 1
    assert "there is no step 'Step 9'" in made[0].faults[0]
    asked_again = said(model.chats[1])
    assert ("Step 9" in asked_again) is (mode == "large")
    assert ("cannot be run" in asked_again) is (mode == "large")
    assert "Say B." in (core_text(search.population.incumbent.program.workflow) or "")


async def test_rubbish_ends_with_the_start_and_in_bounded_calls(task: Task, tmp_path: Path) -> None:
    model = Modeller()
    made, search = await searched(task, model, tmp_path, planned=400)
    assert search.population.incumbent is search.population.start
    assert all(len(each.faults) == TRIES for each in made)
    assert len(model.chats) == TRIES * len(made) == TRIES * ROUNDS


async def test_a_program_is_run_once_and_one_that_was_tried_is_refused(task: Task, tmp_path: Path) -> None:
    model = Modeller(iter([HALF, HALF.lower().replace("say b", "Say B"), HALF, RIGHT]))
    made, search = await searched(task, model, tmp_path)
    hashes = [each.program.hash for each in search.population.members]
    assert len(hashes) == len(set(hashes))
    assert any("was tried before" in fault for each in made for fault in each.faults)


async def test_what_is_too_long_or_copies_a_training_row_is_refused(task: Task, tmp_path: Path) -> None:
    long = "\n".join(
        [f"Step {n}:::process:::Say B.:::next::Step {n + 1}" for n in range(1, STEPS + 1)]
        + [f"Step {STEPS + 1}:::terminal:::Label."]
    )
    words = "one two three four five six seven eight nine ten"
    copied = {"text": f"{words} letter 1"}
    given = replace(task, splits={**task.splits, "train": [replace(task.train[0], inputs=copied), *task.train[1:]]})
    model = Modeller(iter([long, RIGHT.replace("Say B.", f"Say B. {words}"), HALF]))
    made, search = await searched(given, model, tmp_path)
    faults = " ".join(made[0].faults)
    assert f"{STEPS} are the most" in faults
    assert "copies" in faults
    assert "if it is odd" in (core_text(search.population.incumbent.program.workflow) or "")


async def test_a_start_without_a_program_is_replaced_as_a_whole(task: Task, tmp_path: Path) -> None:
    plain = single_call(task.inputs, task.outputs, task.goal, reasoning=False)
    model = Modeller(iter([RIGHT]))
    async with searching(task, plain, model, tmp_path, meta_mode="large") as search:
        await Chat(Writer()).search(search)
        assert "Say B." in (core_text(search.population.incumbent.program.workflow) or "")
    assert "a workflow without a program in words" in said(model.chats[0])


def tool(text: str) -> str:
    """Gives back a text."""
    return text


@pytest.mark.parametrize(
    ("tools", "frozen", "why"), [(33, [], "33 of them"), (33, ["answer"], "a frozen step"), (32, [], "")]
)
async def test_a_start_that_no_program_could_replace_is_refused_before_anything_is_paid_for(
    task: Task, tmp_path: Path, tools: int, frozen: list[str], why: str
) -> None:
    given = replace(task, tools=tuple(tool_of(tool, name=f"tool_{number}") for number in range(tools)))
    plain = single_call(task.inputs, task.outputs, task.goal, reasoning=False)
    more: dict[str, Any] = {"start": plain, "lm": "fake/counter", "method": "autoflow", "effort": 60, "freeze": frozen}
    if not why:
        async with planned(given, **more):
            return
    with pytest.raises(UserError, match=why):
        await optimize_async(given, run_dir=tmp_path / "run", cache_dir=tmp_path / "cache", **more)
    assert not (tmp_path / "run").exists()
    if not frozen:
        more["start"] = start(task)
        async with planned(given, **more):
            """Its program calls none."""


async def test_a_program_whose_shortest_way_is_beyond_the_bound_is_refused(task: Task, tmp_path: Path) -> None:
    steps = [f"Step {n}:::process:::Do {n}.:::next::Step {n + 1}" for n in range(1, STEPS)]
    model = Modeller(iter(["\n".join([*steps, f"Step {STEPS}:::terminal:::Label."]), RIGHT]))
    made, _ = await searched(task, model, tmp_path)
    assert "its shortest way takes 8 steps" in made[0].faults[0]


async def test_all_programs_are_scored_on_the_same_rows_of_which_there_are_so_few_that_some_programs_fit(
    task: Task, tmp_path: Path
) -> None:
    model = Modeller(iter([HALF, RIGHT]))
    planned = 130
    _, search = await searched(task, model, tmp_path, planned=planned)
    ran = [set(search.population.outcomes(each.program)) for each in search.population.members]
    assert len({frozenset(each) for each in ran}) == 1
    assert len(ran[0]) == planned // (LEAST * 4)


@pytest.mark.parametrize(
    ("method", "mode"), [("autoflow", "small"), ("autoflow-words", "large"), ("autoflow+blame", "small")]
)
async def test_a_run_again_is_the_same_run(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, mode: Any
) -> None:
    def answers(request: Request, key: str) -> ReplyContent:
        text = [HALF, RIGHT, LOST][sum(each.role == "assistant" for each in request.messages) % 3]
        asks = request.messages[0].content.startswith("Write a program in words") and request.schema is None
        return text if asks else counter(request, key)

    monkeypatch.setitem(BEHAVIOURS, "writes", answers)

    async def once() -> Any:
        return await optimize_async(
            task, start=start(task), lm="fake/writes", method=method, meta_mode=mode, effort=150, run_dir=tmp_path / "run", cache_dir=tmp_path / "cache"
        )  # fmt: skip

    first = await once()
    written = journal(tmp_path / "run")
    again = await once()
    assert (again.now.calls, journal(tmp_path / "run")) == (0, written)
    assert first.workflow.hash == again.workflow.hash
    assert sum(calls for purpose, calls in first.calls.items() if purpose != "test") <= 150


def test_the_program_of_a_reply_stands_in_a_fence_or_bare() -> None:
    for reply in (RIGHT, f"Here it is:\n```text\n{RIGHT}\n```\nIt is short.", f"{RIGHT}\n\nIt is short."):
        assert program_of(reply) == RIGHT
    assert program_of("I will not.") == ""


def test_the_question_shows_what_comes_in_and_nothing_that_is_expected(task: Task) -> None:
    row = replace(task.train[0], expected={"label": "SECRET"})
    asked = question(task, {}, [row])
    assert "train letter 0" in asked
    assert "SECRET" not in asked


def test_an_input_that_every_row_has_is_no_secret_of_one(task: Task) -> None:
    words = "one two three four five six seven eight nine ten"
    given = replace(
        task,
        inputs=[*task.inputs, Field.of("rules", "str")],
        splits={
            "train": [replace(each, inputs={**each.inputs, "rules": words}) for each in task.train],
            "val": [],
            "test": [],
        },
    )
    assert Guard(given).copied_text(words, start(task)) == ""
    other = [replace(given.train[0], inputs={**given.train[0].inputs, "rules": f"{words} more"}), *given.train[1:]]
    assert "copies" in Guard(replace(given, splits={**given.splits, "train": other})).copied_text(words, start(task))


def test_the_methods_have_names_and_no_inner_loop_of_their_own() -> None:
    assert [find_method(name).name for name in ("autoflow", "autoflow-words+gepa")] == [
        "autoflow+none",
        "autoflow-words+gepa",
    ]


async def test_a_chat_that_is_longer_than_the_models_context_is_told_less(task: Task, tmp_path: Path) -> None:
    class Short(Modeller):
        def __call__(self, request: Request) -> ReplyContent:
            if said(request).startswith("Write a program in words") and len(request.messages) > 5:
                self.chats.append(request)
                raise ModelError("the request is longer than the model's context")
            return super().__call__(request)

    numbered = [MANUAL.replace("Say A.", f"Say A {number} times.") for number in range(1, 6)]
    model = Short(iter([*numbered, RIGHT]))
    written, search = await searched(task, model, tmp_path, words=True)
    assert "Say B." in (core_text(search.population.incumbent.program.workflow) or "")
    assert all(each.program is not None and not each.faults for each in written[:6])
    sizes = [len(each.messages) for each in model.chats]
    assert sizes[:7] == [3, 5, 7, 5, 5, 5, 5], "what was too long is not sent again"
