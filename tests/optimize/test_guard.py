"""What a model proposes must not carry training answers."""

from __future__ import annotations

from flowbot.optimize.guard import copied_answer
from flowbot.task import Example


def examples(*pairs: tuple[str, str]) -> list[Example]:
    return [Example(f"e{n}", {"text": given}, {"answer": answer}) for n, (given, answer) in enumerate(pairs)]


def test_a_long_answer_in_an_instruction_is_refused() -> None:
    found = copied_answer("Say 'The Treaty of Utrecht!' if asked.", examples(("When?", "the treaty of Utrecht")))
    assert "e0" in found
    assert "answer" in found


def test_labels_numbers_and_short_answers_are_exempt() -> None:
    rows = examples(("a", "billing problem"), ("b", "billing problem"), ("c", "12"), ("d", "yes"))
    assert copied_answer("Choose 'billing problem' for invoices; 12 and yes are fine.", rows) == ""


def test_a_copied_stretch_of_an_input_is_refused() -> None:
    rows = examples(("please send half a dozen lamps to the old harbour office", "6"))
    assert "e0" in copied_answer("If it says please send half a dozen lamps to the old harbour, say so.", rows)
    assert copied_answer("Half a dozen is 6.", rows) == ""
