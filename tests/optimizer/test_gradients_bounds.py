"""What a backward pass takes and tells: its longest chain in time, its questions at most, its budget, and no more than is told."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

import pytest
from gradients_help import blaming, everything, flow, gradients_of, llm, parts_asked, said, step_of
from proposer_help import Roles, task_of
from search_help import searching
from test_rendering import row as row_of
from test_rendering import step

from flowbot.fields import Score
from flowbot.lm.client import Request
from flowbot.lm.lm import LM
from flowbot.optimizer.feedback.backward import backward, backward_all, most_questions
from flowbot.optimizer.feedback.blame import Blame
from flowbot.optimizer.feedback.loss import said_of_end, wrong_outputs
from flowbot.optimizer.feedback.parts import is_not_here, names_of
from flowbot.optimizer.feedback.question import SEEN_TOKENS
from flowbot.optimizer.feedback.runs import failing
from flowbot.optimizer.rendering import LEAST, LETTERS_PER_TOKEN, fair_share, value_text
from flowbot.optimizer.seams import FeedbackMode
from flowbot.optimizer.told import as_told
from flowbot.task import Task
from flowbot.testing.fake import FakeClient
from flowbot.workflow.workflow import Workflow

WIDE = {
    "plan": llm(q="q"),
    **{f"left{n}": llm(plan="plan.a", q="q") for n in range(4)},
    "answer": llm(q="q", **{f"x{n}": f"left{n}.a" for n in range(4)}),
}
DEPTH = 3


@pytest.mark.parametrize("parts", [False, True])
async def test_a_batch_takes_no_longer_than_its_longest_chain_of_calls(tmp_path: Path, parts: bool) -> None:
    task = task_of([{"q": f"q{n}", "a": "silver"} for n in range(6)])
    asked = blaming(everything) if parts else Roles(lambda name, _: name, lambda _: "wrong")
    async with searching(task, flow(WIDE, "answer.a"), asked, tmp_path) as search:
        search.meta_mode = "large"
        await search.run(search.start, search.rows, "train")
        rows = search.recorded(search.start, search.rows)
        client = FakeClient(asked, latency=10.0, concurrency=64)
        search.meta = LM(client, search.session)
        found = await backward_all(search, search.start, rows, parts=parts)
    assert client.calls == 6 * len(WIDE)
    assert all(list(each)[-1] == "plan" for each in found)
    assert client.clock.now() <= DEPTH * 15.0, "each call takes 15 seconds at most, and three depend on each other"


def random_flow(rng: Random) -> Workflow:
    """Steps of several kinds that read one or two of those before."""
    nodes: dict[str, Any] = {"s0": llm(q="q")}
    code: dict[str, Any] = {}
    for number in range(1, rng.randint(3, 9)):
        reads = [f"{each}.a" for each in rng.sample(list(nodes), k=min(len(nodes), rng.choice((1, 1, 2))))]
        inputs = {f"x{at}": reference for at, reference in enumerate(reads)}
        name, kind = f"s{number}", rng.choice(("llm", "llm", "code", "frozen", "merge"))
        if kind == "merge":
            nodes[name] = {
                "kind": "merge",
                "how": rng.choice(("first", "vote", "concat")),
                "in": reads,
                "out": {"a": "str"},
            }
        elif kind == "llm":
            nodes[name] = llm(**inputs)
        else:
            nodes[name] = {"kind": "code", "in": inputs, "out": {"a": "str"}, "frozen": kind == "frozen"}
            code[name] = {"code": f"def run({', '.join(inputs)}):\n    return {{'a': {' + '.join(inputs)}}}"}
    return flow(nodes, f"{list(nodes)[-1]}.a", code)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("mode", ["small", "large"])
async def test_never_more_is_asked_than_was_foreseen_and_never_of_what_is_not_reached(
    tmp_path: Path, seed: int, mode: str
) -> None:
    rng = Random(f"{seed}/{mode}")

    def meta(prompt: str) -> dict[str, Any]:
        parts = parts_asked(prompt)
        if mode == "small":
            return {"fault": "bad", "part": rng.choice([*parts, "none"])}
        return {part: rng.choice(("bad", "", "not here")) for part in parts}

    workflow = random_flow(rng)
    asked = Roles(lambda name, _: name, meta)
    gradients, row = await gradients_of(workflow, asked, tmp_path, mode=mode)
    async with searching(task_of([{"q": "q0", "a": "silver"}]), workflow, asked, tmp_path / "other") as search:
        assert len(asked.prompts) <= most_questions(search.start, row, parts=True)
    told = {step_of(prompt) for prompt in asked.prompts}
    assert told <= set(gradients)
    order = [step.address for step in row.trace.steps]
    assert list(gradients) == sorted(gradients, key=lambda each: -order.index(each)), "the last call first"
    for address, call in gradients.items():
        assert call[0].part == "", address
        if address != order[-1]:
            readers = {each.id: each for each in chain(*gradients.values())}
            assert call[0].after, "somebody who read it said so"
            assert all(readers[each].part.startswith("in.") for each in call[0].after)


async def test_most_questions_is_exact_where_everything_is_to_blame(tmp_path: Path) -> None:
    asked = blaming(everything)
    gradients, row = await gradients_of(flow(WIDE, "answer.a"), asked, tmp_path)
    async with searching(
        task_of([{"q": "q0", "a": "silver"}]), flow(WIDE, "answer.a"), asked, tmp_path / "x"
    ) as search:
        assert most_questions(search.start, row, parts=True) == len(asked.prompts) == len(gradients) == 6
        assert most_questions(search.start, row, until="left1", parts=True) == 2


async def test_only_from_a_step_to_the_end_and_with_the_same_questions(tmp_path: Path) -> None:
    asked, whole = blaming(everything), blaming(everything)
    await gradients_of(flow(WIDE, "answer.a"), whole, tmp_path / "whole")
    gradients, _ = await gradients_of(flow(WIDE, "answer.a"), asked, tmp_path / "part", until="left1")
    assert list(gradients) == ["answer", "left1"]
    assert set(asked.prompts) <= set(whole.prompts)


async def test_what_a_question_shows_keeps_to_its_budget_and_says_what_it_left_out(tmp_path: Path) -> None:
    nodes = {"plan": llm(q="q"), "answer": llm(plan="plan.a", q="q")}
    task = task_of([{"q": "word " * 20_000, "a": "silver"}])
    asked = Roles(
        lambda name, _: "long " * 400 + name if name == "plan" else "short",
        lambda prompt: dict.fromkeys(parts_asked(prompt), "said " * 100) | {"fault": "x", "part": "input_plan"},
    )
    for mode in ("small", "large"):
        async with searching(task, flow(nodes, "answer.a"), asked, tmp_path / mode) as search:
            search.meta_mode = mode
            await search.run(search.start, search.rows, "train")
            (row,) = search.recorded(search.start, search.rows)
            asked.prompts.clear()
            await backward(search, search.start, row, parts=True)
        words = 1500 if mode == "small" else 2500  # of the question itself
        assert asked.prompts
        assert all(len(prompt) < LETTERS_PER_TOKEN * SEEN_TOKENS[mode] + words for prompt in asked.prompts)
        assert all("characters left out" in prompt for prompt in asked.prompts)
        assert "a: short" in asked.prompts[0], "what is short stands as it is"


@pytest.mark.parametrize("seed", range(20))
def test_a_budget_is_shared_fairly(seed: int) -> None:
    rng = Random(seed)
    texts = ["x" * rng.choice((0, 5, 90, 700, 9000)) for _ in range(rng.randint(1, 12))]
    tokens = rng.choice((30, 300, 3000))
    most = fair_share(texts, tokens)
    shown = [value_text(text, most) for text in texts]
    room = LETTERS_PER_TOKEN * tokens
    assert sum(map(len, shown)) <= max(room, LEAST * len(texts))
    cut = [len(text) for text, short in zip(texts, shown, strict=True) if short != text]
    whole = [len(text) for text, short in zip(texts, shown, strict=True) if short == text]
    assert not cut or max(whole, default=0) <= most < min(cut), "the longest are cut, all to one length"
    assert all(len(text) <= room for text in texts) or cut


def test_what_is_left_out_is_counted() -> None:
    text = "a" * 1000 + "z" * 500
    shown = value_text(text, 300)
    assert len(shown) <= 300
    left = int(shown.split(" … ")[1].split(" characters")[0].replace(",", ""))
    assert left == 1500 - sum(map(len, (shown.split(" … ")[0], shown.split(" … ")[2])))
    assert shown.startswith("aaa")
    assert shown.endswith("zzz")


@pytest.mark.parametrize("mode", ["blind", "shuffled"])
@pytest.mark.parametrize("meta", ["small", "large"])
@pytest.mark.parametrize("metric", ["exact", "own"])
async def test_the_controls_never_tell_what_was_expected(
    tmp_path: Path, mode: FeedbackMode, meta: Any, metric: str
) -> None:
    answers = [f"secret{n}" for n in range(6)]

    def own(example: Any, outputs: Any) -> tuple[float, str]:
        """Says what would have been right."""
        return 0.0, f"it is {example.expected['a']}"

    rows = [{"q": f"q{n}", "a": answer} for n, answer in enumerate(answers)]
    task = task_of(rows, metric=own if metric == "own" else "exact")
    by_question = {f"q{n}": answer for n, answer in enumerate(answers)}
    shown: list[str] = []

    def reply(request: Request) -> Any:
        prompt = "\n".join(message.content for message in request.messages)
        if prompt.startswith("You are "):
            return "wrong"
        shown.append(prompt)
        (question,) = {question for question in by_question if f"q: {question}" in prompt} or {""}
        if mode == "blind":
            assert not any(answer in prompt for answer in answers)
        elif question:
            assert by_question[question] not in prompt
        if request.schema is None:
            return "wrong"
        fields: dict[str, Any] = request.schema["properties"]
        return {name: each.get("enum", ["wrong"])[0] for name, each in fields.items()}

    nodes = {"plan": llm(q="q"), "answer": llm(plan="plan.a", q="q")}
    async with searching(task, flow(nodes, "answer.a"), reply, tmp_path) as search:
        search.feedback_mode, search.meta_mode = mode, meta
        await search.run(search.start, search.rows, "train")
        recorded = search.recorded(search.start, search.rows)
        await Blame().of(search, search.start)
        for parts in (False, True):
            await backward_all(search, search.start, recorded, parts=parts)
    assert len(shown) > 12
    if mode == "shuffled":
        assert any(answer in json.dumps(shown) for answer in answers), "it tells of another mistake"


def test_the_control_that_tells_nothing_says_no_right_run_is_wrong() -> None:
    runs = [replace(row_of(step("plan")), score=Score(value, "said")) for value in (1.0, 0.7, 0.0)]
    told = as_told(runs, runs[1:], "blind", 0, {})
    assert [each.score for each in told] == [Score(1.0), Score(0.0), Score(0.0)]
    assert not any(each.example.expected for each in told)
    assert [row.example.id for row in failing(told)] == ["e1", "e1"]


async def test_what_is_told_of_a_row_is_the_same_whatever_is_run_later_or_beside_it(tmp_path: Path) -> None:
    task = task_of([{"q": f"q{n}", "a": f"secret{n}"} for n in range(30)])
    async with searching(task, flow({"plan": llm(q="q")}, "plan.a"), lambda request: "wrong", tmp_path) as search:
        search.feedback_mode = "shuffled"
        await search.run(search.start, search.training[:4], "train")
        search.settle()
        first = search.recorded(search.start, search.training)
        await search.run(search.start, search.training[4:6], "train")  # by another proposer, beside this one
        told = search.told(search.start, first)
        early = {row.example.expected["a"] for row in first}
        assert all(row.example.expected["a"] in early for row in told)
        assert all(row.example.expected != real.example.expected for row, real in zip(told, first, strict=True))
        for end in range(8, 31, 2):
            await search.run(search.start, search.training[:end], "train")
            search.settle()
            assert search.told(search.start, first) == told


@pytest.mark.parametrize("mode", ["small", "large"])
async def test_a_call_of_which_no_part_can_be_at_fault_is_not_asked_about(tmp_path: Path, mode: str) -> None:
    told = {"answer": {"messages": [{"role": "user", "parts": [{"ref": "q"}]}]}}
    asked = blaming(everything)
    workflow = flow({"answer": llm(q="q")}, "answer.a", told)

    def reply(request: Request) -> Any:
        return "wrong" if request.messages[0].content.startswith("q") else asked(request)

    gradients, _ = await gradients_of(workflow, reply, tmp_path, mode=mode)
    assert len(asked.prompts) == (mode == "large"), "a large model may ask for a hint"
    assert list(gradients) == ["answer"]


async def test_of_several_outputs_the_wrong_one_is_followed(tmp_path: Path) -> None:
    data = {
        "flowbot": 1,
        "inputs": {"q": "str"},
        "outputs": {"a": "one.a", "b": "two.a"},
        "nodes": {"one": llm(q="q"), "two": llm(q="q")},
        "parameters": {name: {"instruction": f"You are {name}."} for name in ("one", "two")},
    }
    task = Task(
        goal="Two.",
        train=[{"q": "q0", "a": "silver", "b": "gold"}],
        test=[{"q": "q1", "a": "x", "b": "x"}],
        val=[{"q": "q2", "a": "x", "b": "x"}],
        inputs={"q": "str"},
        outputs={"a": "str", "b": "str"},
        metric="exact",
    )
    asked = Roles(
        lambda name, _: "silver" if name == "one" else "lead", lambda prompt: dict.fromkeys(parts_asked(prompt), "bad")
    )
    async with searching(task, Workflow.from_data(data), asked, tmp_path) as search:
        search.meta_mode = "large"
        await search.run(search.start, search.rows, "train")
        (ran,) = search.recorded(search.start, search.rows)
        gradients = await backward(search, search.start, ran, parts=True)
        assert wrong_outputs(ran, search.task.metric) == ["b"]
    assert list(gradients) == ["two"]
    assert "gold" in said(gradients)["two"][""]
    assert "silver" not in said(gradients)["two"][""].partition("Score")[0]


def test_a_persons_and_a_judges_words_stand_in_the_loss() -> None:

    row = replace(row_of(step("plan")), score=Score(0.5, "too curt; a person says: be kind"))
    assert said_of_end(row, "a") == (
        "It is the workflow's output `a`. right a: 4\nScore: 0.50 (too curt; a person says: be kind)"
    )


@pytest.mark.parametrize(
    ("text", "nothing"),
    [("", True), ("Not here.", True), ("no change", True), ("None", True), ("N/A", True), ("nothing", True),
     ("Nothing in it says which unit is meant.", False), ("none of the options are explained", False), ("note the unit", False)],
)  # fmt: skip
def test_what_says_that_the_fault_lies_elsewhere(text: str, nothing: bool) -> None:
    assert is_not_here(text) is nothing


def test_names_of_parts_are_identifiers_and_differ() -> None:
    parts = ["instruction", "messages[0]", "in.plan.query", "in.plan_query", "in.instruction", f"in.{'x' * 80}"]
    names = names_of(parts)
    assert list(names.values()) == parts
    assert all(name.isidentifier() and len(name) <= 64 for name in names)
    assert list(names)[:3] == ["instruction", "messages_0", "input_plan_query"]
