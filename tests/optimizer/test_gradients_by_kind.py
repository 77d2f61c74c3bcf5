"""Gradients by parts through every kind of node, in the order of time, and where a functional step passes on what it got."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gradients_help import blaming, everything, flow, gradients_of, llm, parts_asked, said, step_of
from proposer_help import Roles, task_of
from search_help import searching

from flowbot.lm.client import Request, ToolUse
from flowbot.optimizer.feedback.backward import backward, feedback_on
from flowbot.testing.fake import ReplyContent


def steps_asked(asked: Roles) -> list[str]:
    return [step_of(prompt) for prompt in asked.prompts]


async def test_code_that_may_be_changed_has_feedback_on_its_text_and_inputs(tmp_path: Path) -> None:
    nodes = {"plan": llm(q="q"), "up": {"kind": "code", "in": {"x": "plan.a"}, "out": {"a": "str"}}}
    asked = blaming(everything)
    code = {"up": {"code": "def run(x):\n    return {'a': x.upper()}"}}
    gradients, _ = await gradients_of(flow(nodes, "up.a", code), asked, tmp_path)
    assert [each.part for each in gradients["up"]] == ["", "code", "in.x"]
    assert "x.upper()" in asked.prompts[0]


@pytest.mark.parametrize("inputs", [{"x": "plan.a"}, {"x": "plan.a", "q": "q"}])
async def test_a_step_that_nobody_may_change_passes_on_to_its_one_input(tmp_path: Path, inputs: dict[str, str]) -> None:
    up = {"kind": "code", "in": inputs, "out": {"a": "str"}, "frozen": True}
    code = {"up": {"code": f"def run({', '.join(inputs)}):\n    return {{'a': x.upper()}}"}}
    asked = blaming(everything)
    gradients, _ = await gradients_of(flow({"plan": llm(q="q"), "up": up}, "up.a", code), asked, tmp_path)
    assert [each.part for each in gradients["up"]] == ["", "in.x"]
    assert {each.source for each in gradients["up"]} == {"rule"}
    assert "silver" in gradients["plan"][0].text, "what was expected reaches the step before it"
    assert steps_asked(asked) == ["plan"]


async def test_of_several_inputs_one_question_says_which_are_to_blame(tmp_path: Path) -> None:
    both = {"kind": "code", "in": {"x": "plan.a", "y": "other.a"}, "out": {"a": "str"}, "frozen": True}
    code = {"both": {"code": "def run(x, y):\n    return {'a': x + y}"}}
    workflow = flow({"plan": llm(q="q"), "other": llm(q="q"), "both": both}, "both.a", code)
    asked = blaming(lambda step, part, _: "not here" if part == "input_y" else f"bad {part} of {step}")
    gradients, row = await gradients_of(workflow, asked, tmp_path)
    assert steps_asked(asked) == ["both", "plan"]
    assert parts_asked(asked.prompts[0]) == ["input_x", "input_y"]
    assert list(gradients) == ["both", "plan"]
    assert row.trace.step("other") is not None


@pytest.mark.parametrize(("how", "reached"), [("first", ["left"]), ("vote", ["left", "right"]), ("concat", ["right"])])
async def test_a_merge_passes_on_to_what_it_went_on_with(how: str, reached: list[str], tmp_path: Path) -> None:
    nodes = {
        "left": llm(q="q"),
        "right": llm(q="q"),
        "odd": llm(q="q"),
        "join": {"kind": "merge", "how": how, "in": ["left.a", "right.a", "odd.a"], "out": {"a": "str"}},
    }
    asked = Roles(
        lambda name, _: "odd" if name == "odd" else "same",
        lambda prompt: {
            part: "bad" if part != "input_left_a" and "odd" not in part else "" for part in parts_asked(prompt)
        },
    )
    gradients, _ = await gradients_of(flow(nodes, "join.a"), asked, tmp_path)
    assert [each for each in gradients if each != "join"] == list(reversed(reached))
    assert [each.part for each in gradients["join"]] == ["", *(f"in.{name}.a" for name in reached)]
    assert ("join" in steps_asked(asked)) == (how == "concat"), "only what was joined of several asks whose fault it is"


async def test_of_equal_samples_that_won_a_vote_one_is_asked_about(tmp_path: Path) -> None:
    nodes = {"solve": llm(q="q"), "join": {"kind": "merge", "how": "vote", "in": ["solve.a"], "out": {"a": "str"}}}
    told = {"solve": {"instruction": "You are solve.", "samples": 5, "temperature": 1.0}}
    replies = iter(["x", "same", "y", "same", "same"])
    asked = Roles(lambda name, _: next(replies), lambda prompt: dict.fromkeys(parts_asked(prompt), "bad"))
    gradients, row = await gradients_of(flow(nodes, "join.a", told), asked, tmp_path)
    assert row.trace.outputs == {"a": "same"}
    assert list(gradients) == ["join", "solve#2"]


async def test_a_judge_has_feedback_on_its_instruction_and_on_what_it_read(tmp_path: Path) -> None:
    nodes = {
        "left": llm(q="q"),
        "right": llm(q="q"),
        "best": {"kind": "merge", "how": "judge", "in": ["left.a", "right.a"], "out": {"a": "str"}},
    }
    asked = Roles(
        lambda name, _: {"choice": "B"} if name == "best" else name,
        lambda prompt: {part: f"bad {part}" for part in parts_asked(prompt)},
    )
    gradients, _ = await gradients_of(flow(nodes, "best.a"), asked, tmp_path)
    assert [each.part for each in gradients["best"]] == ["", "instruction", "in.left.a", "in.right.a"]
    assert said(gradients)["left"][""] == "`best`, of its input left.a: bad input_left_a"


def branching(ways: Any) -> dict[str, Any]:
    return {
        "sort": llm(q="q"),
        "route": {"kind": "branch", "in": {"kind": "sort.a"}, "ways": ways},
        "hard": {**llm(q="q"), "when": "route.hard"},
        "easy": {**llm(q="q"), "when": "route.easy"},
        "join": {"kind": "merge", "how": "first", "in": ["hard.a", "easy.a"], "out": {"a": "str"}},
    }


async def test_a_chosen_way_has_feedback_on_the_instruction_that_chose_it(tmp_path: Path) -> None:
    asked = Roles(
        lambda name, _: {"choice": "easy"} if name == "route" else name,
        lambda prompt: {part: f"bad {part} of {step_of(prompt)}" for part in parts_asked(prompt)},
    )
    gradients, _ = await gradients_of(flow(branching(["hard", "easy"]), "join.a"), asked, tmp_path)
    assert list(gradients) == ["join", "easy", "route", "sort"], "the way not taken made no mistake"
    assert [each.part for each in gradients["route"]] == ["", "instruction", "in.kind"]
    assert said(gradients)["route"][""].startswith("On the way that was taken, of `easy`: `join`")
    (route,) = [prompt for prompt in asked.prompts if step_of(prompt) == "route"]
    assert "took easy" in route


async def test_a_condition_passes_on_to_the_input_that_it_read(tmp_path: Path) -> None:
    asked = blaming(everything)
    ways = {"hard": {"ref": "kind", "op": "==", "value": "hard"}, "easy": "else"}
    gradients, _ = await gradients_of(flow(branching(ways), "join.a"), asked, tmp_path)
    assert [each.part for each in gradients["route"]] == ["", "in.kind"]
    assert "route" not in steps_asked(asked)
    assert said(gradients)["sort"][""].startswith("`route`, of its input kind: On the way that was taken, of `easy`")


async def test_a_tool_passes_on_what_it_got(tmp_path: Path) -> None:
    def lookup(name: str) -> str:
        """The price of a thing."""
        return f"price of {name}"

    task = task_of([{"q": "q0", "a": "silver"}], tools=[lookup])
    nodes = {
        "name": llm(q="q"),
        "look": {"kind": "tool", "tool": "lookup", "in": {"name": "name.a"}, "out": {"result": "str"}},
        "say": llm(found="look.result"),
    }
    asked = blaming(everything)
    async with searching(task, flow(nodes, "say.a"), asked, tmp_path) as search:
        search.meta_mode = "large"
        await search.run(search.start, search.rows, "train")
        (row,) = search.recorded(search.start, search.rows)
        gradients = await backward(search, search.start, row, parts=True)
    assert list(gradients) == ["say", "look", "name"]
    assert "look" not in steps_asked(asked)
    assert said(gradients)["look"]["in.name"] == said(gradients)["look"][""]


async def test_turns_of_tool_calls_are_numbered_and_the_tools_are_a_part(tmp_path: Path) -> None:
    def lookup(name: str) -> str:
        """The price of a thing."""
        return f"price of {name}"

    task = task_of([{"q": "q0", "a": "silver"}], tools=[lookup])
    told = {"say": {"instruction": "You are say.", "tools": ["lookup"]}}
    turns = iter(
        [
            [ToolUse("lookup", '{"name": "pen"}'), ToolUse("lookup", '{"name": "cup"}')],
            [ToolUse("lookup", '{"name": "jar"}')],
        ]
    )

    class Turning(Roles):
        def __call__(self, request: Request) -> ReplyContent:
            if request.tools and request.tool_choice != "none":
                return next(turns, "gold")
            return super().__call__(request)

    asked = Turning(lambda name, _: "gold", lambda prompt: {part: f"in turn 2: {part}" for part in parts_asked(prompt)})
    async with searching(task, flow({"say": llm(q="q")}, "say.a", told), asked, tmp_path) as search:
        search.meta_mode = "large"
        await search.run(search.start, search.rows, "train")
        (row,) = search.recorded(search.start, search.rows)
        gradients = await backward(search, search.start, row, parts=True)
    assert [each.part for each in gradients["say"]] == ["", "instruction", "format_hint", "tools"]
    (prompt,) = asked.prompts
    shown = [line for line in prompt.splitlines() if line.startswith("turn ")]
    assert [line.partition(": {")[0] for line in shown] == [
        'turn 1: called lookup("name": "pen")', 'turn 1: called lookup("name": "cup")', 'turn 2: called lookup("name": "jar")',
    ]  # fmt: skip


def refining(**more: Any) -> dict[str, Any]:
    """`plan` starts a draft, which `revise` writes anew from what `critic` said of the one before."""
    body = {
        "revise": llm(draft="draft", note="note"),
        "critic": {"kind": "llm", "in": {"draft": "revise.a"}, "out": {"a": "str", "ok": "bool"}},
    }
    carry = {
        "draft": {"type": "str", "start": "plan.a", "next": "revise.a"},
        "note": {"type": "str", "start": "q", "next": "critic.a"},
    }
    until = {"ref": "critic.ok", "op": "==", "value": True}
    return {
        "plan": llm(q="q"),
        "refine": {"kind": "loop", "max": 3, "until": until, "carry": carry, "nodes": body, **more},
        "end": llm(draft="refine.draft"),
    }


def looped() -> Roles:
    rounds = iter(range(1, 99))
    return Roles(
        lambda name, _: {"a": "so so", "ok": next(rounds) == 3} if name == "critic" else name,
        lambda prompt: {part: f"bad {part} of {address_of(prompt)}" for part in parts_asked(prompt)},
    )


def address_of(prompt: str) -> str:
    """Of the call that a question is about."""
    return prompt.split("This is `")[1].split("`")[0] if "This is `" in prompt else step_of(prompt)


async def test_rounds_of_a_loop_are_told_apart_and_kept_in_the_order_of_time(tmp_path: Path) -> None:
    asked = looped()
    gradients, row = await gradients_of(flow(refining(), "end.a"), asked, tmp_path)
    rounds = [f"refine/{name}[{step}]" for step in (3, 2, 1) for name in ("critic", "revise")]
    assert list(gradients) == ["end", *rounds, "plan"]
    assert "refine/revise[2]`, call 2 of 3" in next(
        each for each in asked.prompts if address_of(each) == "refine/revise[2]"
    )
    assert [each.place for each in feedback_on("refine/revise", [row], [gradients]) if each.part == "instruction"] == [
        "refine/revise[1]", "refine/revise[2]", "refine/revise[3]",
    ]  # fmt: skip
    heard = said(gradients)["refine/revise[2]"][""].splitlines()
    assert [line.split("`")[1] for line in heard] == ["refine/critic[2]", "refine/revise[3]"]
    assert "of its input draft" in heard[1]
    assert said(gradients)["plan"][""] == "`refine/revise[1]`, of its input draft: bad input_draft of refine/revise[1]"


async def test_what_tells_a_loop_to_go_on_or_to_end_hears_what_came_of_it(tmp_path: Path) -> None:
    nodes = refining()
    del nodes["refine"]["carry"]["note"]
    nodes["refine"]["nodes"]["revise"] = llm(draft="draft")
    gradients, row = await gradients_of(flow(nodes, "end.a"), looped(), tmp_path)
    heard = {address: call[""] for address, call in said(gradients).items() if "critic" in address}
    told = "After the loop was told to go on or to end, of "
    assert heard["refine/critic[3]"] == f"{told}`end`: bad input_draft of end"
    assert heard["refine/critic[1]"].startswith(
        f"{told}`refine/revise[2]`: `refine/critic[2]`, of its input draft: bad"
    )
    assert "instruction" in {each.part for each in feedback_on("refine/critic", [row], [gradients])}


async def test_items_of_a_map_are_told_apart_and_the_list_hears_of_its_items(tmp_path: Path) -> None:
    nodes = {
        "list": llm("list[str]", q="q"),
        "each": {"kind": "map", "over": "list.a", "limit": 9, "nodes": {"say": llm(word="item")}, "out": {"said": "say.a"}},
        "glue": {"kind": "code", "in": {"said": "each.said"}, "out": {"a": "str"}, "frozen": True},
    }  # fmt: skip
    code = {"glue": {"code": "def run(said):\n    return {'a': ' '.join(said)}"}}
    asked = Roles(
        lambda name, user: {"a": ["x", "y"]} if name == "list" else user[-1:],
        lambda prompt: dict.fromkeys(parts_asked(prompt), "" if "call 1 of" in prompt else "bad"),
    )
    gradients, row = await gradients_of(flow(nodes, "glue.a", code), asked, tmp_path)
    assert row.trace.outputs is not None
    assert list(gradients) == ["glue", "each/say[2]", "each/say[1]", "list"]
    assert [each.part for each in gradients["each/say[1]"]] == [""], "it is not to blame"
    assert said(gradients)["list"][""] == "`each/say[2]`, of its input word: bad"


async def test_a_skip_connection_brings_feedback_that_the_data_does_not(tmp_path: Path) -> None:
    nodes = {
        "plan": {**llm(q="q"), "feedback_from": ["answer"]},
        "side": llm(plan="plan.a"),
        "answer": llm(q="q", side="side.a"),
    }
    asked = blaming(lambda step, part, _: "not here" if part.startswith("input") else f"bad {part}")
    gradients, _ = await gradients_of(flow(nodes, "answer.a"), asked, tmp_path)
    assert list(gradients) == ["answer", "plan"]
    assert said(gradients)["plan"][""].startswith("Of `answer`: It is the workflow's output `a`")


async def test_a_call_that_failed_is_where_the_loss_arrives(tmp_path: Path) -> None:
    nodes = {"plan": llm(q="q"), "other": llm(q="q"), "answer": llm(plan="plan.a", other="other.a")}
    asked = Roles(
        lambda name, _: "" if name == "plan" else name,
        lambda prompt: dict.fromkeys(parts_asked(prompt), "bad"),
    )
    gradients, row = await gradients_of(flow(nodes, "answer.a"), asked, tmp_path)
    assert row.trace.error.startswith("plan: ")
    assert list(gradients) == ["plan"]
    assert said(gradients)["plan"][""].startswith("The run failed: plan: ")
    assert "error: " in asked.prompts[0]
