"""What a model meant: mended, without ever taking long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbot.lm.mending import MOST_CHARACTERS, MOST_NESTED, mended, unfenced


@given(st.text())
def test_any_text_is_mended_or_not(text: str) -> None:
    mended(text)
    assert unfenced(f"```json\n{text}x\n```") == f"{text}x".strip("\n")


@pytest.mark.parametrize("text", ["{" * (MOST_NESTED + 1), '{"a": "' + "x" * MOST_CHARACTERS, "[{" * MOST_NESTED])
def test_what_takes_long_is_left(text: str) -> None:
    assert mended(text) == ""


def test_mends_what_is_nearly_json() -> None:
    assert mended("{'a': 1,}") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("```\n  x = 1\n```", "  x = 1"),
        (" ```python \nx\n\n``` ", "x"),
        ("```x``` y", "```x``` y"),
        ("```\n", "```\n"),
        ("say ```\nx\n```", "say ```\nx\n```"),
    ],
)
def test_takes_a_fence_off(text: str, inside: str) -> None:
    assert unfenced(text) == inside
