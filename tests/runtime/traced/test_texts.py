"""Texts of a program are found in the requests that hold them, and a new text keeps the places that a program fills."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flowbot.program.places import lost_place
from flowbot.runtime.traced.texts import found
from flowbot.workflow.parameters import Demonstration, TunedText

PLAN = "Write a search query."


def test_a_text_is_found_and_what_stands_beside_it_is_what_the_call_received() -> None:
    held = found([("system", PLAN), ("user", "Who wrote Emma?")], {"plan": PLAN, "answer": "Answer shortly."})
    assert held == (("plan",), {"user": "Who wrote Emma?"})


def test_texts_in_one_message_come_in_their_order_and_none_within_another() -> None:
    texts = {"style": "Be brief.", "long": "Answer. Be brief. Cite.", "blank": " "}
    held = found([("user", "Answer. Be brief. Cite.\n\nDocs: d1\nBe brief.")], texts)
    assert held == (("long", "style"), {"user": "Docs: d1"})
    assert found([("user", "Answer. Be brief. Cite.\nDocs: d1")], texts).texts == ("long",)


def test_a_filled_text_is_found_and_what_fills_it_was_received() -> None:
    text = "Answer {question} from\n{docs}\nReply as {{json}}."
    sent = text.format(question="who?", docs="d1 d2")
    assert found([("user", sent)], {"ask": text}) == (("ask",), {"user": "who?\nd1 d2"})
    assert found([("user", text)], {"ask": text}).texts == ("ask",), "as it stands"
    assert found([("user", "Rate it 3 of 5.")], {"rate": "Rate it %s of 5."}).texts == ("rate",)


def test_several_messages_of_one_speaker_are_told_apart_and_a_short_text_is_no_part_of_a_word() -> None:
    held = found([("user", "one"), ("assistant", "yes"), ("user", "onerous")], {"first": "one"})
    assert held == (("first",), {"assistant": "yes", "user": "onerous"})
    assert found([("user", "a"), ("user", "b")], {}).inputs == {"user": "a", "user#2": "b"}


def test_turns_are_found_as_they_were_handed_out_and_are_nothing_that_a_call_received() -> None:
    turns = {"plan": [("Who?", "He."), ("When?", "Now.")], "none": [], "other": [("Who?", "She.")]}
    told = [("user", "Who?"), ("assistant", "He. "), ("user", "When?"), ("assistant", "Now.")]
    history = [("user", "Who?"), ("assistant", "She, I think.")]
    held = found([("system", PLAN), *told, *history, ("user", "Why?")], {"plan": PLAN}, turns)
    assert held == (("plan",), {"user": "Who?", "assistant": "She, I think.", "user#2": "Why?"})
    assert found([*told[:3], ("assistant", "Later.")], {}, turns).inputs.keys() == {
        "user",
        "assistant",
        "user#2",
        "assistant#2",
    }
    assert found([*told, ("user", "Why?")], {}, turns) == (("plan",), {"user": "Why?"})


@pytest.mark.parametrize(
    ("inputs", "pairs"),
    [
        ({"user": "q"}, [("q", "r")]),
        ({"system": "docs", "user": "q"}, [("docs\n\nq", "r")]),
        ({"user": "q", "assistant": "a", "user#2": "p"}, [("q", "a"), ("p", "r")]),
        ({"user": "q", "tool": "found", "assistant": "a"}, [("q\n\nfound", "a\n\nr")]),
        ({"assistant": "a", "user": "q"}, [("q", "r")]),
        ({}, []),
    ],
)
def test_what_a_call_received_and_gave_is_a_conversation_that_the_user_begins(
    inputs: dict[str, str], pairs: list[tuple[str, str]]
) -> None:
    shown = Demonstration(inputs=inputs, outputs={"reply": "r"}, example="t1")
    told = TunedText(text="Say it.", demonstrations=(shown,), turns=True)
    assert ([*told.pairs()], [*told.pairs("t1")]) == (pairs, [])


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("Say {what}.", "Tell {what} now.", ""),
        ("Say {what}.", "Tell it.", "leaves out the place {what}"),
        ("Say {what}.", "Tell {what} to {whom}.", "has a place {whom}"),
        ("Say %s.", "Tell it.", "leaves out the place %s"),
        ("Give {{}} for {what}.", "For {what} give nothing.", ""),
        ("Say {what}.", 'Say {what} as {"a": 1}.', 'has a place {"a"}'),
        ("Say {what}.", 'Say {what} as {{"a": 1}}.', ""),
        ("Say {what}.", "Say {what} in {.", "braces do not match"),
        ("Give it.", 'Give {"a": 1} or {name}.', ""),
    ],
)
def test_a_new_text_keeps_the_places_of_the_old_one(old: str, new: str, fault: str) -> None:
    assert fault in lost_place(old, new)
    assert bool(fault) == bool(lost_place(old, new))


@pytest.mark.parametrize(
    ("text", "fill"),
    [("Say {what}.", lambda text: text.format(what="it")), ("Say %s.", lambda text: text % "it"), ("Say it.", str)],
)
def test_worked_examples_behind_a_text_that_is_filled_stay_as_they_are(text: str, fill: Callable[[str], str]) -> None:
    shown = Demonstration(inputs={"user": "a {b} of 100%"}, outputs={"reply": {"c": 1}}, example="t1")
    read = TunedText(text=text, demonstrations=(shown,)).shown()
    sent = fill(read)
    assert sent == 'Say it.\n\nExamples:\n\nuser: a {b} of 100%\nreply: {"c": 1}'
    assert found([("user", sent)], {"say": read}).texts == ("say",)
