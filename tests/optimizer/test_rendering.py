"""Workflows and runs in words: what a prompt says of every kind of step, and what stays as it was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flowbot.fields import Score
from flowbot.optimizer.rendering import (
    REPEATS,
    expected_text,
    instruction_text,
    loss_text,
    mistake_text,
    run_text,
    sentence,
)
from flowbot.runtime.evaluation import Row
from flowbot.runtime.trace import Step, ToolCall, Trace
from flowbot.task import METRICS, Example, Metric
from flowbot.workflow.workflow import Workflow


def workflow(nodes: dict[str, Any], parameters: dict[str, Any] | None = None) -> Workflow:
    return Workflow.from_data(
        {"flowbot": 1, "inputs": {"q": "str"}, "outputs": {}, "nodes": nodes, "parameters": parameters or {}}
    )


def row(*steps: Step) -> Row:
    trace = Trace(example="e1", inputs={"q": "How many?"}, steps=steps, outputs={"a": 3})
    return Row(
        example=Example(id="e1", inputs={"q": "How many?"}, expected={"a": 4}), trace=trace, score=Score(value=0.0)
    )


def step(address: str, kind: str = "llm", outputs: dict[str, Any] | None = None, **more: Any) -> Step:
    return Step(address=address, kind=kind, inputs={}, outputs={"n": 1} if outputs is None else outputs, **more)


PLAIN = {
    "plan": {"kind": "llm", "in": {"q": "q"}, "out": {"why": "str", "n": "int"}},
    "look": {"kind": "tool", "tool": "search", "in": {"q": "q"}, "out": {"n": "int"}},
    "sum": {"kind": "code", "in": {"n": "plan.n"}, "out": {"n": "int"}},
    "best": {"kind": "merge", "how": "vote", "in": ["look.n", "sum.n"], "out": {"n": "int"}},
}


def test_a_plain_workflow_reads_as_the_stored_prompts_have_it() -> None:
    assert sentence(workflow(PLAIN)) == (
        "LLM call `plan` reads `q`, writes `why`, then `n`; tool `search` gives `n` from `q`; "
        "Python step `sum` computes `n` from `plan.n`; `best` merges `look.n`, `sum.n` (vote)."
    )


def test_a_plain_run_reads_as_the_stored_prompts_have_it() -> None:
    run = row(step("plan", outputs={"n": 3}), Step("sum", "code", {"n": 3}, None, error="no number"))
    assert run_text(run) == "q: How many?\n[plan]\nn: 3\n[sum]\nerror: no number"
    assert (
        mistake_text(run, 2, METRICS["exact"])
        == "Mistake 2\nq: How many?\n[plan]\nn: 3\n[sum]\nerror: no number\nright a: 4"
    )
    assert mistake_text(row(step("plan")), 1, METRICS["exact"]) == "Mistake 1\nq: How many?\nn: 1\nright a: 4"


NESTED = {
    "route": {"kind": "branch", "in": {"q": "q"}, "ways": {"long": {"ref": "q", "op": "contains", "value": "and"}, "short": "else"}},
    "pick": {"kind": "branch", "when": "route.long", "in": {"q": "q"}, "ways": ["a", "b"]},
    "list": {"kind": "llm", "in": {"q": "q"}, "out": {"items": "list[str]"}},
    "best": {"kind": "merge", "how": "judge", "in": ["list.items"], "given": {"q": "q"}, "out": {"items": "list[str]"}},
    "each": {
        "kind": "map", "over": "best.items", "limit": 9, "out": {"ns": "refine.n"},
        "nodes": {"refine": {
            "kind": "loop", "max": 3, "until": {"ref": "critic.ok", "op": "==", "value": True},
            "carry": {"n": {"type": "int", "start": "item", "next": "critic.n"}},
            "nodes": {"critic": {"kind": "llm", "in": {"n": "n"}, "out": {"ok": "bool", "n": "int"}}},
        }},
    },
}  # fmt: skip
TOLD = {
    "list": {"instruction": "List.", "samples": 5, "temperature": 1, "tools": ["search"]},
    "best": {"instruction": "The longest."},
    "each/refine/critic": {"instruction": "Judge."},
}


@pytest.mark.parametrize(
    "clause",
    [
        "branch `route` reads `q`, takes `long` if q contains and, `short` else",
        "if `route` takes `long`: branch `pick` asks a model to choose `a` or `b` by `q`",
        "LLM call `list` reads `q`, writes `items`, 5 samples, may call `search`",
        "`best` asks a model for the best of `list.items`, shown `q`",
        "map `each` runs for each `item` of `best.items`, collects `ns` (of each `refine.n`) [loop `each/refine` repeats up to 3 "
        "times until critic.ok == true, carrying `n` (first `item`, then `critic.n`) [LLM call `each/refine/critic` reads `n`",
    ],
)
def test_every_kind_of_step_is_said(clause: str) -> None:
    assert clause in sentence(workflow(NESTED, TOLD))


def test_instructions_are_found_by_path_whatever_the_kind() -> None:
    flow = workflow(NESTED, TOLD)
    assert instruction_text(flow, "each/refine/critic") == "Judge."
    assert instruction_text(flow, "best") == "The longest."
    assert instruction_text(flow, "each") == ""


def test_notes_and_tool_calls_are_said() -> None:
    calls = (
        ToolCall("search", {"query": "lamp"}, {"hits": 6}),
        ToolCall("fetch", {}, None, error="there is no tool fetch"),
    )
    text = run_text(row(step("list", calls=calls), step("refine", "loop", note="stopped at its bound of 3 steps")))
    assert (
        'turn 1: called search("query": "lamp"): {"hits": 6}\nturn 2: called fetch(): error: there is no tool fetch\nn: 1'
        in text
    )
    assert text.endswith("[refine]\nn: 1\n(stopped at its bound of 3 steps)")


def test_of_many_items_the_first_the_last_and_the_first_that_failed_are_shown() -> None:
    steps = [step("each", "map")]
    for item in range(1, 31):
        failed = {"error": "no price"} if item in (12, 20) else {}
        steps += [step(f"each/find[{item}]"), step(f"each/price[{item}]", **failed)]
    text = run_text(row(*steps))
    shown = [line for line in text.splitlines() if line.startswith("[")]
    numbers = [*range(1, REPEATS), 12, 30]
    wanted = [f"[each/{name}[{number}]]" for number in numbers for name in ("find", "price")]
    assert [line for line in shown if "left out" not in line] == ["[each]", *wanted]
    assert [line for line in shown if "left out" in line] == ["[each] (others like these are left out)"]


def test_steps_of_a_loop_within_an_item_are_counted_by_themselves() -> None:
    steps = [step(f"each/refine[{item}]/critic[{number}]") for item in (1, 2) for number in range(1, 6)]
    text = run_text(row(*steps))
    for item in (1, 2):
        assert f"[each/refine[{item}]/critic[5]]" in text
        assert f"[each/refine[{item}]/critic[3]]" not in text
        assert f"[each/refine[{item}]] (others like these are left out)" in text


def test_samples_beyond_a_few_are_left_out() -> None:
    text = run_text(row(*(step(f"list#{number}") for number in range(1, 9))))
    assert text.count("n: 1") == REPEATS
    assert "[list] (others like these are left out)" in text


def test_a_mistake_without_labels_says_what_was_judged_and_pretends_nothing() -> None:
    own = Metric.of(lambda example, outputs: 0.0)
    bare = replace(row(step("plan")), example=Example("e1", {"q": "How many?"}, {}))
    said = replace(bare, score=Score(0.5, "too short"))
    assert mistake_text(bare, 1, own).endswith("n: 1\n(no right answer is known)")
    assert mistake_text(said, 1, own).endswith("n: 1\njudged too short")
    assert expected_text(bare) == "(no right answer is known)"
    assert expected_text(row()) == "a: 4"


def test_what_is_said_of_a_run_is_cut_where_it_is_very_long() -> None:
    said = replace(row(step("plan")), score=Score(0.5, "a" * 2000))
    assert loss_text(said) == f"0.50 ({'a' * 2000})"
    assert len(loss_text(replace(said, score=Score(0.5, "a" * 1_000_000)))) < 4000


def test_words_beyond_the_comparison_are_told_with_what_was_right() -> None:
    compared = replace(row(step("plan")), score=Score(0.0, "a: found 3, expected 4"))
    assert mistake_text(compared, 1, METRICS["exact"]).endswith("\nright a: 4")
    own = Metric.of(lambda example, outputs: 0.0)
    assert mistake_text(compared, 1, own).endswith("\nright a: 4\njudged a: found 3, expected 4")
    noted = replace(compared, example=replace(compared.example, feedback="Count twice."))
    assert mistake_text(noted, 1, METRICS["exact"]).endswith("\nright a: 4\njudged a person says: Count twice.")
