"""A user's prompt as text: which template it is, where its places are, and that nothing else is touched."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbot.fields import UserError
from flowbot.fields.chat import read_chat
from flowbot.fields.prompt import Mark, divided, places

NAMES = ("question", "body")
KNOWN = dict.fromkeys(NAMES, ())
VALUES = {"question": "Who {x}?", "body": "a $b %c\r\n{{d}}"}


def filled(text: str) -> str:
    (parts,) = divided([text], KNOWN).texts
    return "".join(VALUES[part.input] if isinstance(part, Mark) else part for part in parts)


TEXT = st.text(st.sampled_from("ab {}$%()s\n\r\t<>/x"), max_size=12)


@given(st.lists(TEXT | st.sampled_from(NAMES), max_size=6))
def test_a_format_string_is_filled_as_python_fills_it(pieces: list[str]) -> None:
    text = "".join(f"{{{p}}}" if p in NAMES else p.replace("{", "{{").replace("}", "}}") for p in pieces)
    if any(p in NAMES for p in pieces) and "${" not in text:
        assert filled(text) == text.format(**VALUES)


@given(st.lists(TEXT | st.sampled_from(NAMES), max_size=6))
def test_a_percent_string_is_filled_as_python_fills_it(pieces: list[str]) -> None:
    plain = str.maketrans("", "", "{}$<>")
    text = "".join(f"%({p})s" if p in NAMES else p.translate(plain).replace("%", "%%") for p in pieces)
    if any(p in NAMES for p in pieces):
        assert filled(text) == text % VALUES


@given(st.lists(TEXT | st.sampled_from(NAMES), max_size=6), st.booleans())
def test_a_template_is_filled_as_python_fills_it(pieces: list[str], braced: bool) -> None:
    plain = str.maketrans("", "", "{}%<>")
    spelt = "${%s}" if braced else "$%s "
    text = "".join(spelt % p if p in NAMES else p.translate(plain).replace("$", "$$") for p in pieces)
    if any(p in NAMES for p in pieces):
        assert filled(text) == string.Template(text).substitute(VALUES)


@given(st.lists(TEXT | st.sampled_from(NAMES), max_size=6))
def test_parts_as_they_are_written_are_the_text(pieces: list[str]) -> None:
    """Where no escape is read, the places as they are written and what stands between them are the prompt's bytes."""
    text = '{"json": 1} ' + "".join(f"{{{{ {p} }}}}" if p in NAMES else p for p in pieces)
    (parts,) = divided([text], KNOWN).texts
    assert "".join(part.written if isinstance(part, Mark) else part for part in parts) == text


@pytest.mark.parametrize("mark", ["{question}", "{{question}}", "{{- question -}}", "${question}", "$question", "%(question)s", "<question>"])  # fmt: skip
def test_each_way_to_mark_a_place_is_one(mark: str) -> None:
    (parts,) = divided([f"Weigh {mark} up."], KNOWN).texts
    assert parts == ("Weigh ", Mark("question", mark), " up.")
    assert places(f"Weigh {mark} up.") == ("question",)


@pytest.mark.parametrize(
    "text",
    [
        'Reply {"answer": {"value": 1}}.',
        "Fill {name}, {{ other }}, ${more}, $price or $5; 100 %(sure)d <b>bold</b>.",
        "{% if x %} {{ x | upper }} {# note #}",
        "Write <question> in tags: <question>…</question>",
    ],
)
def test_what_marks_no_input_is_text(text: str) -> None:
    assert divided([text], KNOWN).texts == ((text,),)


def test_an_input_is_meant_where_it_is_marked_in_the_surest_way() -> None:
    (parts,) = divided(['Tag <question> as {"x": 1}: {question}'], KNOWN).texts
    assert parts == ('Tag <question> as {"x": 1}: ', Mark("question", "{question}"))


def test_a_mark_that_a_format_string_escapes_is_text_and_told() -> None:
    found = divided(["{question} and {{body}}"], KNOWN)
    assert found.texts == ((Mark("question", "{question}"), " and {body}"),)
    assert found.escaped == ("{{body}}",)


def test_an_expression_on_an_input_is_kept_as_text_and_told() -> None:
    assert divided(["{question!r} {body:>10} {% if body %}"], KNOWN).kept == (
        "{% if body %}",
        "{question!r}",
        "{body:>10}",
    )


def test_a_price_in_a_format_string_is_no_other_language() -> None:
    (parts,) = divided(["It costs ${body}: {question}"], KNOWN).texts
    assert parts == ("It costs $", Mark("body", "{body}"), ": ", Mark("question", "{question}"))


def test_places_are_named_in_order_as_they_are_written() -> None:
    text = 'System: A {{ Ticket ID }}\nUser: {Subject} <Body>\n{Subject} reply {"queue": 1}'
    assert places(text) == ("Ticket ID", "Subject", "Body")
    assert places('Sort {subject}. Reply {{"queue": "x"}}') == ("subject",)


def test_sections_keep_their_line_ends() -> None:
    chat = read_chat("### System\r\nBe kind.\r\n  Always.\r\n### User\r\n{question}\r\n", "p")
    assert chat.messages == (("system", "Be kind.\r\n  Always."), ("user", "{question}"))


def test_a_text_is_one_message_byte_for_byte() -> None:
    text = "\n User: a word\r\nthat is\tno section \n\n"
    assert read_chat(text, "p").messages == (("user", text),)


def test_a_picture_and_parts_in_a_chat_are_told() -> None:
    parts = (
        '[{"role": "developer", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}]}]'
    )
    chat = read_chat(parts, "p")
    assert chat.messages == (("system", "a"),)
    assert len(chat.notes) == 3


def test_a_malformed_message_is_named() -> None:
    with pytest.raises(UserError, match=r"p\[1\]: found .*king"):
        read_chat('[{"role": "user", "content": "x"}, {"role": "king", "content": "x"}]', "p")


def test_sections_keep_their_indent_and_lose_blank_lines_alone() -> None:
    text = "System: Be kind.  \r\n \r\nUser:\r\n\r\n    Q: {question}\r\n\r\n  A:  \r\n\r\n"
    assert read_chat(text, "p").messages == (("system", "Be kind.  "), ("user", "    Q: {question}\r\n\r\n  A:  "))
    assert read_chat("System: Be kind.\nUser:\n   ", "p").messages[1] == ("user", "")


def test_what_stands_beside_a_chat_is_told() -> None:
    messages = [
        {"role": "user", "content": "{question}", "name": "Ann"},
        {"role": "assistant", "content": "x", "refusal": None},
    ]
    chat = read_chat(json.dumps({"model": "gpt", "temperature": 0.7, "messages": messages}), "p")
    assert chat.messages == (("user", "{question}"), ("assistant", "x"))
    assert chat.notes == (
        "of a message its role and content are kept, not name",
        "of what stands beside the messages nothing is kept: model, temperature",
    )
    assert read_chat(json.dumps({"messages": messages[1:]}), "p").notes == ()
