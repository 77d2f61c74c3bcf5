"""Thoughts that a model leaves before its answer: each family's marks, and texts that only speak of them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lm_helpers import make_lm

from flowbot.fields import Field
from flowbot.lm.client import Message
from flowbot.lm.thoughts import without_thought

BEFORE = {
    "think": "<think>4 and {3}</think>\n\n",
    "think in capitals": "<Think>4 and 3</THINK>",
    "thinking": "<thinking>4 and 3</thinking>",
    "thought": "<thought>4 and 3</thought> ",
    "reasoning": "<reasoning>4 and 3</reasoning>",
    "brackets": "[THINK]4 and 3[/THINK]",
    "diamonds": "◁think▷4 and 3◁/think▷",
    "special tokens": "<|begin_of_thought|>4 and 3<|end_of_thought|>\n<|begin_of_solution|>",
    "a blank without width": "\u200b<think>4 and 3</think>",
    "a byte order mark": "\ufeff\n <think>4 and 3</think>\u200b\n",
    "nothing in it": "<think></think>\n",
    "twice": "<think>4</think>\n<think>and 3</think>",
    "a closing mark alone": "4 and 3 make 7.\n</think>\n\n",
    "a closing mark in the line": "4 and 3 make 7.</think>",
    "a closing mark after code": "```\n4 + 3\n``` makes 7.</think>",
    "a closing bracket alone": "4 and 3 make 7[/THINK]",
    "a closing mark of another name": "4 and 3\n</thinking>\n",
    "channels": "<|channel|>analysis<|message|>4 and 3<|end|><|start|>assistant<|channel|>final<|message|>",
    "channels, one constrained": "<|start|>assistant<|channel|>analysis<|message|>4<|end|><|start|>assistant"
    "<|channel|>final <|constrain|>json<|message|>",
    "channels without the first mark": "analysis<|message|>4 and 3<|end|><|start|>assistant<|channel|>final<|message|>",
    "channels without marks": "analysisWe add 4 and 3.assistantfinal",
}


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE.keys())
@pytest.mark.parametrize("answer", ["Seven.", '{"total": 7}'])
async def test_a_thought_is_no_part_of_the_answer(before: str, answer: str) -> None:
    assert without_thought(before + answer) == answer
    field, value = ("text: str", answer) if answer == "Seven." else ("total: int", 7)
    name, _, kind = field.partition(": ")
    lm = make_lm(lambda request, number: before + answer)
    found = await lm.ask_fields([Message("user", "4 and 3?")], [Field.of(name, kind)], purpose="train")
    assert (found.values, len(found.replies)) == ({name: value}, 1)


def test_an_answer_in_a_fence_stands_behind_a_closing_mark() -> None:
    assert without_thought("It is 7.</think>```json\n7\n```") == "```json\n7\n```"


@pytest.mark.parametrize(
    "text",
    [
        "<think>4 and",
        " \u200b<thinking>4 and",
        "[THINK]4 and",
        "<|channel|>analysis<|message|>4 and",
        "<|channel|>commentary<|message|>I look.",
        "4 and 3</think>",
        "4 and 3\n</think>\n",
    ],
)
def test_a_thought_alone_is_no_answer(text: str) -> None:
    assert without_thought(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "Use <think> tags to reason.",
        "Open with <think> and close with </think> before you answer.",
        "It wrote <think>hm</think> in the middle.",
        "Put </think> before the answer.",
        "The tag `</think>` ends it.",
        "I end it with </think>.",
        "The closing mark (</think>) is missing.",
        "It closes with </think>, which we strip.",
        "| tag | </think> | all |",
        "It opens so:\n- </think>\n- <p>",
        "<p>so</thought></p>",
        '```json\n{"text": "so</think>it ends"}\n```',
        "analysis of the case: none",
        "The final<|message|> mark",
        "[THINKING] is a word",
        '{"text": "so\\n</think>\\nit ends"}',
        "I think so.",
    ],
)
def test_a_text_that_speaks_of_marks_stays(text: str) -> None:
    assert without_thought(text) == text


@given(st.text(max_size=80), st.sampled_from(["<think>", "</think>", "[THINK]", "<|channel|>", "\u200b", ""]))
def test_any_text_is_read_and_nothing_is_added(text: str, mark: str) -> None:
    found = without_thought(mark + text)
    assert found in mark + text
    assert without_thought(json.dumps({"a": text})) == json.dumps({"a": text})
