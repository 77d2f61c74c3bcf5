"""A prompt of the user's own as an `llm` step's messages: its file, its rules, and what a rewrite may touch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbot.fields import UserError
from flowbot.notebook.workflow import workflow_html
from flowbot.workflow.check import check
from flowbot.workflow.diff import diff
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.prompt import (
    Prompt,
    PromptMessage,
    Ref,
    around,
    following,
    places,
    plain_text,
    prompt_text,
    reworded,
    slots,
)
from flowbot.workflow.workflow import Workflow

TICKET = [
    {"role": "system", "parts": ["You triage tickets for a shop.\n"]},
    {
        "role": "user",
        "parts": ["Read it.\n\nSubject: ", {"ref": "subject"}, "\nBody:\t", {"ref": "body"}, "\n\nAnswer with the queue's name alone. \r\n"],
    },
]  # fmt: skip


def workflow(messages: Any, **more: Any) -> Workflow:
    node = {"kind": "llm", "in": {"subject": "subject", "body": "body"}, "out": {"queue": "str"}}
    return Workflow.from_data(
        {
            "flowbot": 1,
            "inputs": {"subject": "str", "body": "str"},
            "outputs": {"queue": "answer.queue"},
            "nodes": {"answer": node},
            "parameters": {"answer": {"messages": messages, **more}},
        }
    )


def prompt(messages: Any) -> Prompt:
    return LLMParameters.model_validate({"messages": messages}).messages


TEXT = st.text(st.sampled_from("ab .:=\n\r\t#`<>{}"), min_size=1, max_size=30)
PARTS = st.lists(TEXT | st.sampled_from([Ref(ref="q"), Ref(ref="r")]), min_size=1, max_size=6)
MESSAGES = st.builds(lambda role, parts: PromptMessage(role=role, parts=tuple(parts)), st.sampled_from(["system", "user", "assistant"]), PARTS)  # fmt: skip
PROMPTS = st.lists(MESSAGES, min_size=1, max_size=4).map(tuple)


@pytest.mark.parametrize("ending", ["yaml", "json"])
def test_a_file_keeps_a_prompt_byte_for_byte(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"flow.{ending}"
    workflow(TICKET).save(path)
    assert Workflow.load(path).dump()["parameters"]["answer"]["messages"] == TICKET
    assert Workflow.load(path).hash == workflow(TICKET).hash


def test_a_person_can_read_the_prompt_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "flow.yaml"
    workflow(TICKET).save(path)
    written = path.read_text(encoding="utf-8")
    for line in ("You triage tickets for a shop.", "Read it.", "Subject: ", "- {ref: subject}", "Body:\t"):
        assert line in [each.strip(" ") if each.endswith((".", "}")) else each.lstrip(" ") for each in written.splitlines()]  # fmt: skip


def test_a_step_with_messages_needs_no_instruction_and_no_other_step_changes() -> None:
    assert check(workflow(TICKET)) == []
    assert LLMParameters(instruction="Go.").model_dump(exclude_defaults=True) == {"instruction": "Go."}


@pytest.mark.parametrize(
    ("messages", "more", "where", "said"),
    [
        (TICKET, {"instruction": "Go."}, "answer.instruction", "leave the instruction out, or the messages"),
        (TICKET[:1], {}, "answer.messages", "the input subject is shown nowhere"),
        ([*TICKET, {"role": "user", "parts": [{"ref": "subjct"}]}], {}, "answer.messages[2]", "name subject"),
    ],
)
def test_what_is_wrong_with_a_prompt_is_told(messages: Any, more: dict[str, Any], where: str, said: str) -> None:
    found = [str(defect) for defect in check(workflow(messages, **more))]
    assert any(f"parameters.{where}: " in each and said in each for each in found)


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([{"role": "king", "parts": ["x"]}], r"messages\[0\].role: found 'king'"),
        ([{"role": "user", "parts": [5]}], r"parts\[0\]: found 5; expected a text, or a place as {ref: question}"),
        ([{"role": "user", "parts": [""]}], r"parts\[0\]: found an empty text"),
        ([{"role": "user", "parts": []}], r"parts: found \[\]; expected at least 1"),
        ([{"role": "user", "parts": [{"reference": "x"}]}], r"parts\[0\]: found no 'ref'"),
        ([{"role": "user", "parts": ["x" * 100_001]}], r"found 100,001 characters; expected at most 100,000"),
    ],
)
def test_what_is_no_prompt_is_refused_in_one_line(messages: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        workflow(messages)


@given(PROMPTS, st.integers(0, 5), TEXT.filter(str.strip))
def test_a_rewrite_changes_one_text_and_keeps_every_place_in_order(before: Prompt, rank: int, text: str) -> None:
    slot = dict(enumerate(slots(before))).get(rank)
    if slot is None:
        return
    after = reworded(before, slot, text)
    assert places(after) == places(before)
    assert after[slot.message].parts[slot.part] == f"{slot.before}{text.strip()}{slot.behind}"
    assert before[slot.message].parts[slot.part] == f"{slot.before}{slot.text}{slot.behind}"
    assert reworded(after, slot, slot.text) == before


@given(PROMPTS, st.lists(st.sampled_from("qrst"), unique=True))
def test_a_prompt_follows_what_its_node_reads(before: Prompt, inputs: list[str]) -> None:
    after = following(before, inputs)
    shown = {ref for message in after for ref in message.refs}
    assert shown == set(inputs) or not after
    texts = [part for message in before for part in message.parts if isinstance(part, str)]
    left = [part for message in after for part in message.parts if isinstance(part, str)]
    assert [text for text in left if text in texts][: len(texts)] == texts or not after
    if {ref for message in before for ref in message.refs} == set(inputs):
        assert after == before


def test_what_frames_a_place_is_no_part_of_what_is_rewritten() -> None:
    parts = ["Sort the ticket.\nBe brief.\n\n## Subject\nSubject: ", {"ref": "subject"}, "\n\n<body>\n", {"ref": "body"}, "\n</body>\nQueue:"]  # fmt: skip
    found = slots(prompt([{"role": "user", "parts": parts}]))
    assert [slot.text for slot in found] == ["Sort the ticket.\nBe brief.\n\n## Subject"]
    assert (found[0].before, found[0].behind) == ("", "\nSubject: ")
    lone = slots(prompt([{"role": "user", "parts": ["Translate to German: ", {"ref": "text"}]}]))
    assert (lone[0].text, lone[0].behind) == ("Translate to German:", " ")


def test_the_longest_text_comes_first_and_examples_are_left_alone() -> None:
    turns = [
        {"role": "system", "parts": ["Be kind to all who write."]},
        {"role": "user", "parts": ["An example, longer than all the rest of this prompt together, and by far."]},
        {"role": "assistant", "parts": ["Its answer, which is long as well, longer than the request."]},
        {"role": "user", "parts": ["Say which queue this ticket is for, by name.\n", {"ref": "q"}]},
    ]
    assert [slot.message for slot in slots(prompt(turns))] == [3, 0]


def test_a_prompt_of_places_alone_is_told_more_as_the_system() -> None:
    told = LLMParameters.model_validate({"messages": [{"role": "user", "parts": [{"ref": "q"}]}]}).with_text(
        "Be brief."
    )
    assert prompt_text(told.messages) == "[system]\nBe brief.\n\n[user]\n{q}"


def test_where_a_text_stands_is_shown_without_it() -> None:
    found = prompt(TICKET)
    assert around(found, slots(found)[0], "[PART]").endswith("Body:\t{body}\n\n[PART] \r\n")


def test_a_prompt_in_words_names_its_answers() -> None:
    turns = [{"role": "user", "parts": ["hi"]}, {"role": "assistant", "parts": ["ho"]}, *TICKET[1:]]
    assert plain_text(prompt(turns)).startswith("hi\n\nExample of an answer:\nho\n\nRead it.")


def test_a_changed_prompt_shows_in_diff_and_notebook() -> None:
    other = workflow(TICKET).with_parameter("answer", LLMParameters(messages=prompt(TICKET)).with_text("Be quick."))
    assert [line.strip() for line in diff(workflow(TICKET), other) if "  +" in line] == ["+Be quick."]
    assert "Body:" in workflow_html(workflow(TICKET))
