"""Texts of somebody else's, cut and made valid: whatever they are, and whatever says them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbot.fields import InfrastructureError, Score, StepError, UserError
from flowbot.fields.bounds import NAME, PARTS, TEXT, bounded, error_text, raised

ANY = st.text(st.characters())  # halves of surrogate pairs and control characters too


@given(ANY, st.integers(1, 200))
def test_any_text_becomes_valid_bounded_and_stays_so(text: str, most: int) -> None:
    once = bounded(text, most)
    assert len(once) <= most
    assert once.encode().decode() == once
    assert not {"\x00", "\x1b", "\x7f", "\x9b"} & set(once)
    assert bounded(once, most) == once


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=100))
def test_a_text_that_fits_stays_as_it_is(text: str) -> None:
    assert bounded(text + "\n\t", 200) == text + "\n\t"


def test_of_a_long_text_the_middle_is_left_out_and_its_length_said() -> None:
    cut = bounded("a" * 50_000 + "b" * 50_000)
    assert len(cut) == TEXT
    assert cut.startswith("aaa")
    assert cut.endswith("bbb")
    assert "100,000 characters in all" in cut


class Odd(str):
    """A text that lies about itself."""

    def __len__(self) -> int:
        return 1

    def __str__(self) -> str:
        raise ValueError("no")


def test_a_class_derived_from_text_cannot_evade_it() -> None:
    assert len(bounded(Odd("x" * 100_000))) == TEXT
    assert type(bounded(Odd("x"))) is str


class Mute(Exception):
    """Cannot say its text."""

    def __str__(self) -> str:
        raise SystemExit(3)


def test_an_error_that_cannot_be_told_is_told() -> None:
    assert raised(Mute()) == "Mute: an error without a text (SystemExit)"
    assert error_text(ValueError()) == "no message"
    assert raised(KeyError("a")) == "KeyError: 'a'"
    assert len(raised(type("E" * 10_000, (Exception,), {})("x" * 10_000))) <= TEXT + NAME + 2


@pytest.mark.parametrize(
    "error", [StepError("x" * 10**6), InfrastructureError("\ud800" * 10**6), UserError("w" * 10**6, "f" * 10**6, "e")]
)
def test_errors_are_bounded_where_they_are_made(error: Exception) -> None:
    assert len(str(error)) <= TEXT
    assert str(error).encode()


def test_scores_are_bounded_where_they_are_made() -> None:
    score = Score(0.5, "x" * 10**6 + "\ud800", {"n" * 1000: 0.5})
    assert len(score.feedback) == TEXT
    assert [len(name) for name in score.parts] == [NAME]
    with pytest.raises(ValueError, match="at most 100"):
        Score(0.5, "", {str(n): 0.5 for n in range(PARTS + 1)})
    with pytest.raises(ValueError, match="a list; expected a text"):
        Score(0.5, ["x"])  # pyright: ignore[reportArgumentType]
