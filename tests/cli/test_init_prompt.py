"""A user's prompt as an instruction: placeholders become words, braces stay, chats are read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbot.cli.prompt_file import MOST, read_prompt
from flowbot.fields import UserError

INPUTS = {"question": "question", "my_text": "my text"}


def said(text: str) -> str:
    return read_prompt(text, "prompt.txt", INPUTS).text


@pytest.mark.parametrize(
    "spelt",
    [
        "{question}",
        "{{question}}",
        "{{ question }}",
        "${question}",
        "$question",
        "<question>",
        "%(question)s",
        "{Question}",
    ],
)
def test_a_placeholder_in_a_sentence_becomes_words_for_the_input(spelt: str) -> None:
    found = read_prompt(f"Is {spelt} a fair one? Say yes or no.", "prompt.txt", INPUTS)
    assert found.text == "Is the question given below a fair one? Say yes or no."
    assert found.used == ("question",)


def test_an_input_is_named_by_its_column_as_well() -> None:
    assert said("Translate this {my text} now.") == said("Translate this {my_text} now.")
    assert said("Translate the {my text} now.") == "Translate the my text given below now."
    assert said("Given {question}, decide.") == "Given the question given below, decide."
    assert said("Weigh the question {question} up.") == "Weigh the question given below up."


@pytest.mark.parametrize(
    "shown",
    [
        "Question: {question}",
        "Question:\n{question}",
        "**Question:** {{question}}",
        '"""\n{question}\n"""',
        "Question:\n```text\n{question}\n```",
        "<question>\n{question}\n</question>",
        "{question}\n\nAnswer:",
        'Question: "{question}"\nYour answer:\n',
        "Frage: {question}\nAntwort:",
        "The customer's new question: {question}",
    ],
)
def test_lines_that_only_show_an_input_are_left_out(shown: str) -> None:
    found = read_prompt(f"Be brief.\n\n{shown}", "prompt.txt", INPUTS)
    assert (found.text, found.used) == ("Be brief.", ("question",))
    assert any("left out" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Translate to German: {question}", "Translate to German."),
        ("Answer the question: {question}", "Answer the question."),
        ("You are kind.\nSummarise: {question}\nSummary:", "You are kind.\nSummarise."),
        ("Translate to German:\n{question}", "Translate to German:"),
        ("{question}\n\nBe brief:", "Be brief:"),
        ("Here is the user's question: {question}\nSay yes.", "Say yes."),
    ],
)
def test_what_asks_for_something_is_no_label(text: str, asked: str) -> None:
    assert said(text) == asked


def test_a_prompt_that_asks_for_nothing_is_told() -> None:
    found = read_prompt("Question: {question}\nAnswer:", "prompt.txt", INPUTS)
    assert found.text == ""
    assert "it asks for nothing: the goal is the instruction" in found.notes


def test_an_input_at_the_end_of_a_request_ends_it() -> None:
    assert (
        said("Translate the following question to SQL: {question}\nSQL:") == "Translate the following question to SQL."
    )


@pytest.mark.parametrize(
    "text",
    [
        'Reply with {"answer": {"value": 1}} and nothing else.',
        "Fill in {name}, {{ other }} and ${more}; 100 %(sure)d <b>bold</b>.",
        "{% if x %} {{ x | upper }} {# note #}",
        "Write <question> in tags: <question>…</question>",
        "[not a chat]",
        "{not json",
        "It costs $price or $5.",
        "User: a word\nthat is not a section",
    ],
)
def test_what_names_no_input_stays_as_it_stands(text: str) -> None:
    assert said(text) == text


def test_unknown_placeholders_are_told() -> None:
    assert read_prompt("Use {name} for {question} please.", "prompt.txt", INPUTS).kept == ("{name}",)


def test_doubled_braces_of_a_format_string_become_single_ones() -> None:
    assert said('Weigh {question} up. Reply {{"a": {{"b": 1}}}}') == (
        'Weigh the question given below up. Reply {"a": {"b": 1}}'
    )
    assert said('Weigh {question} up. Reply {"a": {"b": 1}}').endswith('{"a": {"b": 1}}')


def test_the_only_input_may_have_any_usual_name() -> None:
    assert read_prompt("Sum {text} up.", "p", {"email": "email"}).text == "Sum the email given below up."
    assert read_prompt("Sum {text} up.", "p", INPUTS).text == "Sum {text} up."


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Q: {question}"}]),
        json.dumps({"messages": [{"role": "system", "content": [{"type": "text", "text": "Be kind."}]}]}),
        "System: Be kind.\nUser: {question}",
        "SYSTEM:\nBe kind.\n\nUSER:\n{question}\n",
        "### System\nBe kind.\n### User\n{question}",
        "<|system|>\nBe kind.\n<|user|>\n{question}\n<|assistant|>\n",
    ],
)
def test_chats_are_one_instruction(text: str) -> None:
    assert said(text) == "Be kind."


def test_answers_in_a_chat_are_examples() -> None:
    turns = [("system", "Be kind."), ("user", "hi"), ("assistant", "hello"), ("user", "{question}")]
    text = said(json.dumps([{"role": role, "content": content} for role, content in turns]))
    assert text == "Be kind.\n\nExample:\nhi\n\nExample of an answer:\nhello"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "found nothing"),
        ("\n ", "found nothing"),
        ("x" * (MOST + 1), "8,001 characters; expected at most 8,000"),
        ('[{"role": "king", "content": "x"}]', r"prompt.txt\[0\]: found .*king"),
        ('[{"role": "user"}]', r"prompt.txt\[0\]"),
    ],
)
def test_what_is_no_prompt_is_refused(text: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        said(text)


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = read_prompt(text, "prompt.txt", INPUTS)
    except UserError:
        return
    assert "\ufdd0" not in found.text
